/* The engine without a network: two engines pass their bytes to each other. */
#include "base/certificate.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/tls.h"
#include "tests/support/check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 512 };

/* Two CAs: `home` signs nodes 1 and 2, `foreign` signs a node 1 of its own. */
struct fixture {
    char *home;
    char *foreign;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char error[256];
    assert_non_null(fixture);
    fixture->home = test_dir_make();
    fixture->foreign = test_dir_make();
    check_ok(certificate_make_ca(fixture->home, error, sizeof error));
    check_ok(certificate_make_ca(fixture->foreign, error, sizeof error));
    check_ok(certificate_make_node(fixture->home, 1, NULL, 0, error, sizeof error));
    check_ok(certificate_make_node(fixture->home, 99999, NULL, 0, error, sizeof error));
    check_ok(certificate_make_node(fixture->foreign, 1, NULL, 0, error, sizeof error));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    test_dir_remove(fixture->home);
    test_dir_remove(fixture->foreign);
    free(fixture);
    return 0;
}

/* A context with the CA of ca_dir and, where node is not 0, the certificate of cert_dir. */
static struct tls_context *context_make(const char *ca_dir, const char *cert_dir, unsigned node,
                                        struct tls_options options)
{
    char ca[PATH_BYTES], cert[PATH_BYTES], key[PATH_BYTES], error[256] = "";
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", ca_dir != NULL ? ca_dir : "");
    (void)snprintf(cert, sizeof cert, "%s/node%u.pem", cert_dir, node);
    (void)snprintf(key, sizeof key, "%s/node%u.key", cert_dir, node);
    options.ca_path = ca_dir != NULL ? ca : NULL;
    options.cert_path = node != 0 ? cert : NULL;
    options.key_path = node != 0 ? key : NULL;
    struct tls_context *context = NULL;
    enum status status = tls_context_open(&context, &options, error, sizeof error);
    if (status != STATUS_OK) {
        fail_msg("%s", error);
    }
    return context;
}

static const struct tls_options peer_server = {
    .server = true, .verify_peer = true, .tls13_only = true};
static const struct tls_options peer_client = {.verify_peer = true, .tls13_only = true};

struct side {
    struct tls_context *context;
    struct tls *tls;
    struct buffer plain;
    enum status status;
};

struct pair {
    struct side client;
    struct side server;
};

static void side_open(struct side *side, struct tls_context *context, const char *host)
{
    side->context = context;
    side->status = STATUS_OK;
    buffer_init(&side->plain, 4 * 1024 * 1024);
    check_ok(tls_open(&side->tls, context, host));
}

static void side_close(struct side *side)
{
    tls_close(side->tls);
    tls_context_close(side->context);
    buffer_deinit(&side->plain);
}

/* Carries what `from` has to say to `to`; true when there was something. */
static bool carry(struct side *from, struct side *to)
{
    struct buffer wire;
    buffer_init(&wire, 8 * 1024 * 1024);
    check_ok(tls_drain(from->tls, &wire));
    bool moved = wire.size > 0;
    for (size_t at = 0; at < wire.size && to->status == STATUS_OK;) {
        size_t count = wire.size - at < 1000 ? wire.size - at : 1000;
        if (tls_feed(to->tls, wire.data + at, count) != STATUS_OK) {
            break;
        }
        at += count;
        do {
            to->status = tls_read(to->tls, &to->plain);
        } while (to->status == STATUS_AGAIN);
    }
    buffer_deinit(&wire);
    return moved;
}

static void converse(struct pair *pair)
{
    for (int i = 0; i < 20; i++) {
        bool there = carry(&pair->client, &pair->server);
        bool back = carry(&pair->server, &pair->client);
        if (!there && !back) {
            return;
        }
    }
    fail_msg("the two sides never fall silent");
}

static struct pair pair_make(struct tls_context *client, struct tls_context *server,
                             const char *host)
{
    struct pair pair;
    side_open(&pair.client, client, host);
    side_open(&pair.server, server, NULL);
    converse(&pair);
    return pair;
}

static void pair_close(struct pair *pair)
{
    side_close(&pair->client);
    side_close(&pair->server);
}

static void test_mutual_tls_tells_each_side_the_other_node(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = pair_make(context_make(fixture->home, fixture->home, 99999, peer_client),
                                 context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    assert_true(tls_handshake_done(pair.client.tls));
    assert_true(tls_handshake_done(pair.server.tls));
    assert_int_equal(tls_peer_node(pair.client.tls), 1);
    assert_int_equal(tls_peer_node(pair.server.tls), 99999);
    pair_close(&pair);
}

/* Runs a handshake that the server must refuse, and compares both sides' reasons. */
static void expect_refused(struct tls_context *client, struct tls_context *server,
                           const char *server_says, const char *client_says)
{
    struct pair pair = pair_make(client, server, NULL);
    check_status(pair.server.status, STATUS_TLS);
    assert_false(tls_handshake_done(pair.server.tls));
    assert_int_equal(tls_peer_node(pair.server.tls), 0);
    assert_string_equal(tls_error(pair.server.tls), server_says);
    check_status(pair.client.status, STATUS_TLS);
    assert_string_equal(tls_error(pair.client.tls), client_says);
    assert_int_equal(pair.client.plain.size, 0);
    check_status(tls_write(pair.server.tls, "x", 1), STATUS_TLS);
    check_status(tls_read(pair.server.tls, &pair.server.plain), STATUS_TLS);
    pair_close(&pair);
}

static void test_a_client_without_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    expect_refused(context_make(fixture->home, NULL, 0, peer_client),
                   context_make(fixture->home, fixture->home, 1, peer_server),
                   "the other side sent no certificate", "the other side demands a certificate");
}

static void test_a_client_of_a_foreign_ca_is_refused(void **state)
{
    struct fixture *fixture = *state;
    expect_refused(context_make(fixture->home, fixture->foreign, 1, peer_client),
                   context_make(fixture->home, fixture->home, 1, peer_server),
                   "the other side's certificate is from an unknown CA",
                   "the other side does not know our certificate's CA");
}

static void test_a_server_of_a_foreign_ca_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair =
        pair_make(context_make(fixture->home, fixture->home, 1, peer_client),
                  context_make(fixture->home, fixture->foreign, 1, peer_server), NULL);
    check_status(pair.client.status, STATUS_TLS);
    assert_string_equal(tls_error(pair.client.tls),
                        "the other side's certificate is from an unknown CA");
    assert_false(tls_handshake_done(pair.client.tls));
    check_status(pair.server.status, STATUS_TLS);
    pair_close(&pair);
}

static EVP_PKEY *key_read(const char *dir, const char *name)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_non_null(key);
    return key;
}

/* Rewrites node1.pem of `dir` with other times or another SAN and signs it anew. */
static void certificate_change(const char *dir, long not_after_s, const char *san)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/node1.pem", dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_non_null(certificate);
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), not_after_s));
    int place = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
    assert_true(place >= 0);
    X509_EXTENSION_free(X509_delete_ext(certificate, place));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    EVP_PKEY *ca_key = key_read(dir, "ca.key");
    assert_true(X509_sign(certificate, ca_key, EVP_sha256()) > 0);
    EVP_PKEY_free(ca_key);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
    X509_free(certificate);
}

static void test_an_expired_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    certificate_change(fixture->foreign, -3600, "URI:urn:payledger:node:1");
    expect_refused(context_make(fixture->home, fixture->foreign, 1, peer_client),
                   context_make(fixture->foreign, fixture->home, 1, peer_server),
                   "the other side's certificate has expired",
                   "the other side says our certificate has expired");
}

static void expect_node_of_san(struct fixture *fixture, const char *san, uint32_t node)
{
    certificate_change(fixture->foreign, 3600, san);
    struct pair pair =
        pair_make(context_make(fixture->home, fixture->foreign, 1, peer_client),
                  context_make(fixture->foreign, fixture->home, 1, peer_server), NULL);
    assert_true(tls_handshake_done(pair.server.tls));
    if (tls_peer_node(pair.server.tls) != node) {
        fail_msg("%s: node %u, wanted %u", san, tls_peer_node(pair.server.tls), node);
    }
    pair_close(&pair);
}

static void test_only_one_exact_uri_names_a_node(void **state)
{
    struct fixture *fixture = *state;
    expect_node_of_san(fixture, "URI:urn:payledger:node:7", 7);
    expect_node_of_san(fixture, "DNS:a.example,URI:urn:other:1,URI:urn:payledger:node:12345",
                       12345);
    expect_node_of_san(fixture, "URI:urn:payledger:node:0", 0);
    expect_node_of_san(fixture, "URI:urn:payledger:node:07", 0);
    expect_node_of_san(fixture, "URI:urn:payledger:node:", 0);
    expect_node_of_san(fixture, "URI:urn:payledger:node:123456", 0);
    expect_node_of_san(fixture, "URI:urn:payledger:node:1x", 0);
    expect_node_of_san(fixture, "URI:urn:payledger:node:-1", 0);
    expect_node_of_san(fixture, "URI:URN:payledger:node:1", 0);
    expect_node_of_san(fixture, "DNS:urn:payledger:node:1", 0);
    expect_node_of_san(fixture, "URI:urn:payledger:node:1,URI:urn:payledger:node:2", 0);
}

static void test_an_unverified_client_has_no_node(void **state)
{
    struct fixture *fixture = *state;
    struct tls_options open_server = {.server = true};
    struct pair pair = pair_make(context_make(fixture->home, fixture->home, 99999, peer_client),
                                 context_make(NULL, fixture->home, 1, open_server), NULL);
    assert_true(tls_handshake_done(pair.server.tls));
    assert_int_equal(tls_peer_node(pair.server.tls), 0);
    assert_int_equal(tls_peer_node(pair.client.tls), 1);
    pair_close(&pair);
}

static void expect_host(struct fixture *fixture, const char *host, const char *refusal)
{
    struct tls_options client = {.verify_peer = true, .verify_host = true};
    struct tls_options server = {.server = true};
    struct pair pair = pair_make(context_make(fixture->home, NULL, 0, client),
                                 context_make(NULL, fixture->home, 1, server), host);
    if (refusal == NULL) {
        check_ok(pair.client.status);
        assert_true(tls_handshake_done(pair.client.tls));
    } else {
        check_status(pair.client.status, STATUS_TLS);
        assert_string_equal(tls_error(pair.client.tls), refusal);
    }
    pair_close(&pair);
}

static void test_a_client_verifies_the_host(void **state)
{
    expect_host(*state, "localhost", NULL);
    expect_host(*state, "127.0.0.1", NULL);
    expect_host(*state, "::1", NULL);
    expect_host(*state, "bank.example", "the other side's certificate does not name the host");
    expect_host(*state, "127.0.0.2", "the other side's certificate does not name the address");
}

static void test_old_versions_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct side server;
    side_open(&server, context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    check_ok(tls_feed(server.tls, request, sizeof request - 1));
    check_status(tls_read(server.tls, &server.plain), STATUS_TLS);
    assert_string_equal(tls_error(server.tls), "plain HTTP came to a TLS port");
    side_close(&server);
    side_open(&server, context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    check_ok(tls_feed(server.tls, "SSH-2.0-OpenSSH_9.2p1\r\n", 23));
    check_status(tls_read(server.tls, &server.plain), STATUS_TLS);
    assert_string_equal(tls_error(server.tls), "the other side does not speak TLS");
    side_close(&server);
}

static void test_bytes_written_early_arrive_after_the_handshake(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair;
    side_open(&pair.client, context_make(fixture->home, fixture->home, 1, peer_client), NULL);
    side_open(&pair.server, context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    check_ok(tls_write(pair.client.tls, "early ", 6));
    check_ok(tls_write(pair.client.tls, "bird", 4));
    check_ok(tls_write(pair.server.tls, "welcome", 7));
    converse(&pair);
    assert_int_equal(pair.server.plain.size, 10);
    assert_memory_equal(pair.server.plain.data, "early bird", 10);
    assert_int_equal(pair.client.plain.size, 7);
    assert_memory_equal(pair.client.plain.data, "welcome", 7);
    pair_close(&pair);
}

static void test_large_data_passes_unchanged(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = pair_make(context_make(fixture->home, fixture->home, 1, peer_client),
                                 context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    enum { SIZE = 3 * 1024 * 1024 + 17 };
    uint8_t *data = malloc(SIZE);
    assert_non_null(data);
    uint64_t seed = test_seed();
    for (size_t i = 0; i < SIZE; i++) {
        data[i] = (uint8_t)test_random(&seed);
    }
    check_ok(tls_write(pair.client.tls, data, SIZE));
    converse(&pair);
    assert_int_equal(pair.server.plain.size, SIZE);
    assert_memory_equal(pair.server.plain.data, data, SIZE);
    free(data);
    pair_close(&pair);
}

static void test_a_full_plain_buffer_says_again(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = pair_make(context_make(fixture->home, fixture->home, 1, peer_client),
                                 context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    uint8_t data[5000];
    memset(data, 'x', sizeof data);
    check_ok(tls_write(pair.client.tls, data, sizeof data));
    struct buffer wire, plain;
    buffer_init(&wire, 10000);
    buffer_init(&plain, 1000);
    check_ok(tls_drain(pair.client.tls, &wire));
    check_ok(tls_feed(pair.server.tls, wire.data, wire.size));
    size_t sum = 0;
    enum status status = STATUS_AGAIN;
    for (int i = 0; i < 10 && status == STATUS_AGAIN; i++) {
        buffer_clear(&plain);
        status = tls_read(pair.server.tls, &plain);
        assert_true(plain.size <= 1000);
        sum += plain.size;
    }
    check_ok(status);
    assert_int_equal(sum, sizeof data);
    buffer_deinit(&wire);
    buffer_deinit(&plain);
    pair_close(&pair);
}

static void test_a_full_out_buffer_keeps_the_ciphertext(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = pair_make(context_make(fixture->home, fixture->home, 1, peer_client),
                                 context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    struct buffer small;
    buffer_init(&small, 10);
    check_ok(tls_write(pair.client.tls, "hello", 5));
    check_status(tls_drain(pair.client.tls, &small), STATUS_FULL);
    assert_int_equal(small.size, 0);
    assert_false(small.failed);
    converse(&pair);
    assert_int_equal(pair.server.plain.size, 5);
    buffer_deinit(&small);
    pair_close(&pair);
}

static void test_an_orderly_end_is_told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = pair_make(context_make(fixture->home, fixture->home, 1, peer_client),
                                 context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    check_ok(tls_write(pair.client.tls, "bye", 3));
    tls_shutdown(pair.client.tls);
    check_status(tls_write(pair.client.tls, "more", 4), STATUS_CLOSED);
    (void)carry(&pair.client, &pair.server);
    check_status(pair.server.status, STATUS_CLOSED);
    assert_int_equal(pair.server.plain.size, 3);
    check_ok(tls_write(pair.server.tls, "answer", 6));
    pair.client.status = STATUS_OK;
    (void)carry(&pair.server, &pair.client);
    assert_int_equal(pair.client.plain.size, 6);
    pair_close(&pair);
}

static void test_a_damaged_record_breaks_the_engine(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = pair_make(context_make(fixture->home, fixture->home, 1, peer_client),
                                 context_make(fixture->home, fixture->home, 1, peer_server), NULL);
    struct buffer wire;
    buffer_init(&wire, 1000);
    check_ok(tls_write(pair.client.tls, "pay 100", 7));
    check_ok(tls_drain(pair.client.tls, &wire));
    wire.data[wire.size - 1] ^= 1;
    check_ok(tls_feed(pair.server.tls, wire.data, wire.size));
    check_status(tls_read(pair.server.tls, &pair.server.plain), STATUS_TLS);
    assert_int_equal(pair.server.plain.size, 0);
    assert_string_equal(tls_error(pair.server.tls), "a record was damaged on its way");
    check_status(tls_feed(pair.server.tls, "x", 1), STATUS_TLS);
    buffer_deinit(&wire);
    pair_close(&pair);
}

static void expect_context_error(struct tls_options options, const char *part)
{
    char error[512] = "";
    struct tls_context *context = NULL;
    check_status(tls_context_open(&context, &options, error, sizeof error), STATUS_TLS);
    assert_null(context);
    if (strstr(error, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error, part);
    }
}

static void test_errors_of_files_name_the_file(void **state)
{
    struct fixture *fixture = *state;
    char ca[PATH_BYTES], cert[PATH_BYTES], key[PATH_BYTES], other[PATH_BYTES];
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", fixture->home);
    (void)snprintf(cert, sizeof cert, "%s/node1.pem", fixture->home);
    (void)snprintf(key, sizeof key, "%s/node1.key", fixture->home);
    (void)snprintf(other, sizeof other, "%s/node99999.key", fixture->home);
    expect_context_error((struct tls_options){.ca_path = "/nowhere/ca.pem", .verify_peer = true},
                         "CA /nowhere/ca.pem: No such file");
    expect_context_error(
        (struct tls_options){.cert_path = "/nowhere/a.pem", .key_path = key, .server = true},
        "certificate /nowhere/a.pem: No such file");
    expect_context_error((struct tls_options){.cert_path = cert, .key_path = other, .server = true},
                         "key values mismatch");
    expect_context_error((struct tls_options){.cert_path = key, .key_path = key, .server = true},
                         "node1.key: no start line");
    expect_context_error((struct tls_options){.server = true}, "needs a certificate");
    expect_context_error((struct tls_options){.verify_peer = true}, "a CA is needed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutual_tls_tells_each_side_the_other_node),
        cmocka_unit_test(test_a_client_without_certificate_is_refused),
        cmocka_unit_test(test_a_client_of_a_foreign_ca_is_refused),
        cmocka_unit_test(test_a_server_of_a_foreign_ca_is_refused),
        cmocka_unit_test(test_an_unverified_client_has_no_node),
        cmocka_unit_test(test_a_client_verifies_the_host),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_bytes_written_early_arrive_after_the_handshake),
        cmocka_unit_test(test_large_data_passes_unchanged),
        cmocka_unit_test(test_a_full_plain_buffer_says_again),
        cmocka_unit_test(test_a_full_out_buffer_keeps_the_ciphertext),
        cmocka_unit_test(test_an_orderly_end_is_told_apart),
        cmocka_unit_test(test_a_damaged_record_breaks_the_engine),
        cmocka_unit_test(test_errors_of_files_name_the_file),
        cmocka_unit_test(test_only_one_exact_uri_names_a_node),
        cmocka_unit_test(test_an_expired_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
