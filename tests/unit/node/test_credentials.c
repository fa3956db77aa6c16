/* Whose certificate a node may start with. */
#include "node/credentials.h"

#include "base/certificate.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <sys/stat.h>

static char *root;

/* Node 1's configuration with the files of `owner`. */
static void config_fill(struct config *config, const char *owner)
{
    char text[1024];
    char path[512];
    char error[CONFIG_ERROR_BYTES];
    int size = snprintf(text, sizeof(text),
                        "cluster = \"demo\" data = \"node{id}\"\n"
                        "node 1 { peer = \"a:1\" client = \"localhost:1\" }\n"
                        "tls { ca = \"ca.pem\" cert = \"%s.pem\" key = \"%s.key\" }",
                        owner, owner);
    assert_true(size > 0 && (size_t)size < sizeof(text));
    (void)snprintf(path, sizeof(path), "%s/cluster.conf", root);
    check_ok(config_parse(config, text_of(text), path, 1, error, sizeof(error)));
}

static bool may_start(const char *owner)
{
    static struct config config;
    config_fill(&config, owner);
    return credentials_check(&config);
}

static int set_up(void **state)
{
    (void)state;
    char error[512];
    root = test_dir_make();
    check_ok(certificate_make_ca(root, error, sizeof(error)));
    for (uint32_t node = 1; node <= 2; node++) {
        check_ok(certificate_make_node(root, node, NULL, 0, error, sizeof(error)));
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_dir_remove(root);
    return 0;
}

static void only_its_own_certificate_is_taken(void **state)
{
    (void)state;
    assert_true(may_start("node1"));
    assert_false(may_start("node2"));
    assert_false(may_start("ca")); /* names no node */
    assert_false(may_start("node3"));
}

static void an_open_key_is_only_warned_of(void **state)
{
    (void)state;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/node1.key", root);
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(may_start("node1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_own_certificate_is_taken),
        cmocka_unit_test(an_open_key_is_only_warned_of),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
