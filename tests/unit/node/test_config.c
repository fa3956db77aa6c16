#include "node/config.h"
#include "node/config_scan.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#define NODES                                                                                      \
    "node 1 { peer = \"127.0.0.1:7101\" client = \"127.0.0.1:2346\" }\n"                           \
    "node 2 { peer = \"127.0.0.1:7102\" client = \"127.0.0.1:2347\" }\n"                           \
    "node 3 { peer = \"127.0.0.1:7103\" client = \"127.0.0.1:2348\" }\n"
#define TLS "tls { ca = \"pki/ca.pem\" cert = \"pki/node{id}.pem\" key = \"/k/node{id}.key\" }\n"
#define TOP "cluster = \"demo\"\ndata = \"var/node{id}\"\n"

static struct config config;
static char error[CONFIG_ERROR_BYTES];

static enum status parse(const char *text, uint32_t node_id)
{
    return config_parse(&config, text_of(text), "etc/cluster.conf", node_id, error, sizeof(error));
}

/* The file is refused, and the sentence holds these parts. */
static void check_refused(const char *text, const char *where, const char *what)
{
    enum status status = parse(text, 1);
    if (status != STATUS_INVALID) {
        fail_msg("%s: accepted:\n%s", status_name(status), text);
    }
    if (strncmp(error, where, strlen(where)) != 0 || strstr(error, what) == NULL) {
        fail_msg("'%s' does not say '%s' and '%s' about:\n%s", error, where, what, text);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    check_ok(parse(TOP NODES TLS, 2));
    assert_string_equal(config.cluster, "demo");
    assert_int_equal(config.nodes_count, 3);
    assert_int_equal(config_self(&config)->id, 2);
    assert_string_equal(config_self(&config)->peer_host, "127.0.0.1");
    assert_int_equal(config_self(&config)->peer_port, 7102);
    assert_int_equal(config_self(&config)->client_port, 2347);
    assert_int_equal(config_self(&config)->peer_listen_port, 7102);
    assert_int_equal(config_self(&config)->client_listen_port, 2347);
    assert_int_equal(config.workers, 4);
    assert_int_equal(config.session_requests_max, SESSION_REQUESTS_MAX);
    assert_int_equal(config.request_timeout_ms, REQUEST_TIMEOUT_MS);
    assert_int_equal(config.map_bytes, 65536ULL * MEBIBYTE);
    assert_int_equal(config.disk_reserve_bytes, DISK_RESERVE_BYTES);
    assert_int_equal(config.log, LOG_INFO);
    assert_int_equal(config.origins_count, 0);
    assert_false(config.insecure_open);
    assert_false(config.tls_clients);
    assert_int_equal(config.heartbeat_ms, RAFT_HEARTBEAT_MS);
    assert_int_equal(config.election_timeout_ms, RAFT_ELECTION_TIMEOUT_MS);
    assert_int_equal(config.snapshot_bytes, RAFT_SNAPSHOT_BYTES);
    assert_int_equal(config.snapshot_trailing, RAFT_SNAPSHOT_TRAILING);
    assert_int_equal(config.copy_hold_bytes, RAFT_COPY_HOLD_BYTES);
}

static void test_every_key(void **state)
{
    (void)state;
    check_ok(parse(
        TOP "workers=1\nmap_mb = 16 disk_reserve_mb = 0\nlog = \"debug\"\nsession_requests = 7\n"
            "request_timeout_ms = 100 insecure_open = true\n"
            "origins = { \"https://shop.example\", \"http://[::1]:8080\" }\n"
            "node 99999 { peer = \"[::1]:1\" client = \"shop.example:65535\"\n"
            "  peer_listen = \"0.0.0.0:7\" client_listen = \"[::]:8\" } # behind a proxy\n"
            "tls { ca = \"ca\" cert = \"{id}{id}\" key = \"/k\" clients = true }\n"
            "raft { heartbeat_ms = 100 election_timeout_ms = 1000 snapshot_mb = 2\n"
            "  snapshot_trailing = 1 copy_hold_mb = 64 }",
        99999));
    const struct config_node *self = config_self(&config);
    assert_string_equal(self->peer_host, "::1");
    assert_string_equal(self->client_host, "shop.example");
    assert_int_equal(self->client_port, 65535);
    assert_string_equal(self->peer_listen_host, "0.0.0.0");
    assert_int_equal(self->peer_listen_port, 7);
    assert_string_equal(self->client_listen_host, "::");
    assert_int_equal(self->client_listen_port, 8);
    assert_int_equal(config.workers, 1);
    assert_int_equal(config.map_bytes, 16 * MEBIBYTE);
    assert_int_equal(config.disk_reserve_bytes, 0);
    assert_int_equal(config.log, LOG_DEBUG);
    assert_int_equal(config.session_requests_max, 7);
    assert_int_equal(config.request_timeout_ms, 100);
    assert_true(config.insecure_open);
    assert_int_equal(config.origins_count, 2);
    assert_string_equal(config.origins[1], "http://[::1]:8080");
    assert_true(config.tls_clients);
    assert_string_equal(config.tls_cert, "etc/9999999999");
    assert_int_equal(config.heartbeat_ms, 100);
    assert_int_equal(config.election_timeout_ms, 1000);
    assert_int_equal(config.snapshot_bytes, 2 * MEBIBYTE);
    assert_int_equal(config.snapshot_trailing, 1);
    assert_int_equal(config.copy_hold_bytes, 64 * MEBIBYTE);
}

static void test_relative_paths_start_at_the_file(void **state)
{
    (void)state;
    check_ok(parse(TOP NODES TLS, 3));
    assert_string_equal(config.data, "etc/var/node3");
    assert_string_equal(config.tls_ca, "etc/pki/ca.pem");
    assert_string_equal(config.tls_key, "/k/node3.key");
    check_ok(config_parse(&config, TEXT(TOP NODES TLS), "cluster.conf", 1, error, sizeof(error)));
    assert_string_equal(config.data, "var/node1");
    check_ok(config_parse(&config, TEXT(TOP NODES TLS), "/a/b", 1, error, sizeof(error)));
    assert_string_equal(config.data, "/a/var/node1");
}

static void test_nodes_are_sorted(void **state)
{
    (void)state;
    check_ok(parse(TOP TLS "node 30 { peer = \"a:1\" client = \"localhost:2\" }\n"
                           "node 4 { peer = \"b:1\" client = \"localhost:3\" }\n"
                           "node 17 { peer = \"c:1\" client = \"localhost:4\" }\n",
                   17));
    assert_int_equal(config.nodes[0].id, 4);
    assert_string_equal(config.nodes[0].peer_host, "b");
    assert_int_equal(config.nodes[1].id, 17);
    assert_int_equal(config.nodes[2].id, 30);
    assert_int_equal(config.self, 1);
}

static void test_structure_is_checked(void **state)
{
    (void)state;
    static const char *const rest = "etc/cluster.conf:";
    check_refused(TOP TOP NODES TLS,
                  "etc/cluster.conf:3:", "cluster: given again (first in line 1)");
    check_refused(TOP NODES TLS "raft { }\nraft { }", "etc/cluster.conf:8:", "raft: given again");
    check_refused(TOP NODES TLS "node 2 { }", "etc/cluster.conf:7:", "given again");
    check_refused(TOP NODES TLS "raft { heartbeat_ms = 25 heartbeat_ms = 25 }",
                  "etc/cluster.conf:7:", "heartbeat_ms: given again");
    check_refused("cluster = \"demo\"\n" NODES TLS, rest, "data is missing");
    check_refused(TOP NODES, rest, "tls: the section is missing");
    check_refused(TOP NODES "tls {\n ca = \"a\" key = \"b\" }",
                  "etc/cluster.conf:6:", "tls: cert is missing");
    check_refused(TOP TLS "node 1 { peer = \"a:1\" }",
                  "etc/cluster.conf:4:", "node: client is missing");
    check_refused(TOP NODES TLS "colour = \"red\"",
                  "etc/cluster.conf:7:", "colour: there is no such key");
    check_refused(TOP NODES TLS "raft { workers = 4 }",
                  "etc/cluster.conf:7:", "no such key in section raft");
    check_refused(TOP NODES TLS "include(\"x\")", "etc/cluster.conf:7:", "no such key");
    check_refused(TOP NODES TLS "raft { heartbeat_ms = 25", rest, "not closed");
    check_refused(TOP NODES TLS "}", "etc/cluster.conf:7:", "}: there is no such key");
    check_refused(TOP NODES TLS "workers 4", "etc/cluster.conf:7:", "'=' expected");
    check_refused(TOP NODES TLS "workers += 4", "etc/cluster.conf:7:", "'=' expected");
    check_refused(TOP NODES TLS "workers =", "etc/cluster.conf:7:", "a value is missing");
    check_refused(TOP NODES TLS "// c", "etc/cluster.conf:7:", "//: there is no such key");
    check_refused(TOP NODES TLS "/* c */", "etc/cluster.conf:7:", "no such key");
    check_refused("", rest, "cluster is missing");
}

static void test_numbers_are_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {"0",  "65",  "04",    "0x4",        "-1",   "+4",   "4.0",
                                        "4k", "1e1", "\"4\"", "4294967300", "true", "{ 4 }"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[1024];
        char what[64];
        (void)snprintf(text, sizeof(text), TOP NODES TLS "\nworkers = %s\n", wrong[i]);
        (void)snprintf(what, sizeof(what), "workers = %.1s", wrong[i]);
        check_refused(text, "etc/cluster.conf:8:", what);
        assert_non_null(strstr(error, "from 1 to 64"));
    }
    check_ok(parse(TOP NODES TLS "workers = 64", 1));
    check_refused(TOP NODES TLS "raft { heartbeat_ms = 101 election_timeout_ms = 800 }",
                  "etc/cluster.conf:7:", "election_timeout_ms = 800: must be at least 8 times");
}

static void test_other_values_are_checked(void **state)
{
    (void)state;
    const char *at = "etc/cluster.conf:7:";
    check_refused(TOP NODES TLS "insecure_open = yes", at, "insecure_open = yes");
    check_refused(TOP NODES TLS "insecure_open = \"true\"", at, "must be true or false");
    check_refused(TOP NODES TLS "log = info", at, "log = info: must be a string");
    check_refused(TOP NODES TLS "log = \"loud\"", at, "log = \"loud\"");
    check_refused(TOP NODES TLS "log = 'info'", at, "must be a string in double quotes");
    check_refused(TOP NODES TLS "log = \"$HOME\"", at, "'$' is not allowed");
    check_refused(TOP NODES TLS "log = \"a\\n\"", at, "'\\' is not allowed");
    check_refused(TOP NODES TLS "log = \"info", at, "not closed");
    check_refused(TOP NODES TLS "origins = \"https://a\"", at, "must be a list");
    check_refused(TOP NODES TLS "origins = { https }", at, "a quoted string expected");
    check_refused(TOP NODES TLS "origins = { \"https://a\" \"https://b\" }", at, "',' or '}'");
    check_refused(TOP NODES TLS "origins = { \"https://a\", }", at, "a quoted string expected");
    check_refused(TOP NODES TLS "origins = { \"https://a/\" }", at, "https://a/");
    check_refused(TOP NODES TLS "origins = { \"*\" }", at, "\"*\"");
    check_refused(NODES TLS "cluster = \"\" data = \"x\"", "etc/cluster.conf:5:", "1 to 64 bytes");
    check_refused(NODES TLS "cluster = \"x\" data = \"a{node}\"",
                  "etc/cluster.conf:5:", "no braces but {id}");
    check_refused(NODES TLS "cluster = \"x\" data = \"\"", "etc/cluster.conf:5:", "data = \"\"");
    check_refused(NODES TLS "cluster = \"x\" data = a{id}",
                  "etc/cluster.conf:5:", "must be a string");
    check_ok(parse(TOP NODES TLS "origins = { }", 1));
    check_ok(parse(TOP NODES TLS "origins = { \"http://a\"\n, \"http://b\" }", 1));
}

static void test_nodes_are_checked(void **state)
{
    (void)state;
    static const char *const titles[] = {"0", "01", "100000", "-1", "x", "\"1\"", "", "1.5"};
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        char text[1024];
        (void)snprintf(text, sizeof(text),
                       TOP TLS "node %s { peer = \"a:1\" client = \"localhost:2\" }", titles[i]);
        check_refused(text, "etc/cluster.conf:4:", "the title must be a number from 1 to 99999");
    }
    static const char *const addresses[] = {"",        "a",    "a:",    "a:0",   "a:01",
                                            "a:65536", ":1",   "a b:1", "::1:1", "[::1]",
                                            "[a]:1",   "a:1x", "a:-1",  "[]:1",  "[::g]:1"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        char text[1024];
        char what[64];
        (void)snprintf(text, sizeof(text),
                       TOP TLS "node 1 {\n peer = \"%s\"\n client = \"localhost:2\" }",
                       addresses[i]);
        (void)snprintf(what, sizeof(what), "peer = \"%s\": must be \"host:port\"", addresses[i]);
        check_refused(text, "etc/cluster.conf:5:", what);
    }
    check_refused(TOP TLS "node 1 { peer = \"a:1\" client = \"localhost:2\" }\n"
                          "node 2 { peer = \"a:2\" client = \"localhost:3\" }\n",
                  "etc/cluster.conf:", "2 nodes: a cluster has 3 or 5");
    check_refused(TOP TLS NODES "node 4 { peer = \"127.0.0.1:7101\" client = \"localhost:3\" }\n"
                                "node 5 { peer = \"a:2\" client = \"localhost:4\" }\n",
                  "etc/cluster.conf:7:", "is also the peer address of node 1");
    check_status(parse(TOP NODES TLS, 4), STATUS_INVALID);
    assert_non_null(strstr(error, "there is no node 4"));
}

static void test_more_nodes_than_there_may_be(void **state)
{
    (void)state;
    char text[4096] = TOP TLS;
    for (int i = 1; i <= 30; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used,
                       "node %d { peer = \"a:%d\" client = \"localhost:%d\" }\n", i, i, i);
        enum status wanted = i == 1 || i == 3 || i == 5 ? STATUS_OK : STATUS_INVALID;
        check_status(parse(text, 1), wanted);
    }
    assert_non_null(strstr(error, "more than 7 nodes"));
}

static void test_open_addresses_need_a_word(void **state)
{
    (void)state;
    check_refused(TOP TLS "node 1 { peer = \"a:1\"\nclient = \"shop.example:2\" }",
                  "etc/cluster.conf:5:", "insecure_open = true");
    check_refused(TOP TLS
                  "node 1 { peer = \"a:1\"\nclient = \"localhost:2\"\nclient_listen = \"[::]:2\" }",
                  "etc/cluster.conf:6:", "insecure_open = true");
    check_ok(parse(TOP TLS "insecure_open = true\n"
                           "node 1 { peer = \"a:1\" client = \"shop.example:2\" }",
                   1));
    check_ok(
        parse(TOP TLS "node 1 { peer = \"a:1\" client = \"x:2\" client_listen = \"[::1]:2\" }", 1));
}

static void test_bytes_are_checked(void **state)
{
    (void)state;
    static const char hidden[] = TOP NODES TLS "\0 workers = 0";
    check_status(config_parse(&config, (struct text){hidden, sizeof(hidden) - 1}, "f", 1, error,
                              sizeof(error)),
                 STATUS_INVALID);
    assert_non_null(strstr(error, "NUL"));
    check_refused(TOP NODES TLS "\xc3\xa4 = 1", "etc/cluster.conf:7:", "byte 0xc3");
    check_ok(parse("# \xc3\xa4\n" TOP NODES TLS, 1));
    char *large = malloc(CONFIG_BYTES_MAX + 2);
    assert_non_null(large);
    memset(large, '\n', CONFIG_BYTES_MAX + 1);
    check_status(config_parse(&config, (struct text){large, CONFIG_BYTES_MAX + 1}, "f", 1, error,
                              sizeof(error)),
                 STATUS_INVALID);
    assert_non_null(strstr(error, "larger"));
    free(large);
}

static void test_files(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/cluster.conf", dir);
    check_status(config_load(&config, path, 1, error, sizeof(error)), STATUS_IO);
    assert_non_null(strstr(error, "No such file"));
    check_status(config_load(&config, dir, 1, error, sizeof(error)), STATUS_IO);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(TOP NODES TLS, file) >= 0);
    assert_int_equal(fclose(file), 0);
    check_ok(config_load(&config, path, 1, error, sizeof(error)));
    assert_int_equal(strncmp(config.data, dir, strlen(dir)), 0);
    assert_non_null(strstr(config.data, "/var/node1"));
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_relative_paths_start_at_the_file),
        cmocka_unit_test(test_nodes_are_sorted),
        cmocka_unit_test(test_structure_is_checked),
        cmocka_unit_test(test_numbers_are_checked),
        cmocka_unit_test(test_other_values_are_checked),
        cmocka_unit_test(test_nodes_are_checked),
        cmocka_unit_test(test_more_nodes_than_there_may_be),
        cmocka_unit_test(test_open_addresses_need_a_word),
        cmocka_unit_test(test_bytes_are_checked),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
