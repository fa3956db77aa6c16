/* The files that are written, what they say, and what is refused. */
#include "base/certificate.h"
#include "tests/support/check.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512 };

static char error[256];

static int setup(void **state)
{
    *state = test_dir_make();
    error[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    test_dir_remove(*state);
    return 0;
}

static void path_make(char path[PATH_BYTES], const char *dir, const char *name)
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", dir, name);
}

static X509 *certificate_read(const char *dir, const char *name)
{
    char path[PATH_BYTES];
    path_make(path, dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_non_null(certificate);
    return certificate;
}

static bool file_exists(const char *dir, const char *name)
{
    char path[PATH_BYTES];
    path_make(path, dir, name);
    return access(path, F_OK) == 0;
}

static void expect_mode(const char *dir, const char *name, mode_t mode)
{
    char path[PATH_BYTES];
    struct stat stat_of;
    path_make(path, dir, name);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, mode);
}

static void test_keys_are_private_and_curves_are_p256(void **state)
{
    check_ok(certificate_make_ca(*state, error, sizeof error));
    check_ok(certificate_make_node(*state, 3, NULL, 0, error, sizeof error));
    expect_mode(*state, "ca.key", 0600);
    expect_mode(*state, "node3.key", 0600);
    static const char *const names[] = {"ca.pem", "node3.pem"};
    for (int i = 0; i < 2; i++) {
        X509 *certificate = certificate_read(*state, names[i]);
        char curve[32] = "";
        size_t size = 0;
        assert_int_equal(
            EVP_PKEY_get_group_name(X509_get0_pubkey(certificate), curve, sizeof curve, &size), 1);
        assert_string_equal(curve, "prime256v1");
        assert_int_equal(X509_get_version(certificate), X509_VERSION_3);
        assert_true(X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0);
        assert_true(X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0);
        X509_free(certificate);
    }
}

static void test_a_node_is_signed_for_both_sides(void **state)
{
    check_ok(certificate_make_ca(*state, error, sizeof error));
    check_ok(certificate_make_node(*state, 1, NULL, 0, error, sizeof error));
    X509 *ca = certificate_read(*state, "ca.pem");
    X509 *node = certificate_read(*state, "node1.pem");
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_check_ca(node), 0);
    assert_int_equal(X509_check_issued(ca, node), X509_V_OK);
    assert_int_equal(X509_verify(node, X509_get0_pubkey(ca)), 1);
    assert_int_equal(X509_check_purpose(node, X509_PURPOSE_SSL_SERVER, 0), 1);
    assert_int_equal(X509_check_purpose(node, X509_PURPOSE_SSL_CLIENT, 0), 1);
    assert_int_equal(X509_get_pathlen(ca), 0);
    X509_free(ca);
    X509_free(node);
}

static void test_names_of_a_node(void **state)
{
    static const char *const hosts[] = {"bank.example", "10.1.2.3", "fd00::7"};
    check_ok(certificate_make_ca(*state, error, sizeof error));
    check_ok(certificate_make_node(*state, 42, hosts, 3, error, sizeof error));
    X509 *node = certificate_read(*state, "node42.pem");
    GENERAL_NAMES *names = X509_get_ext_d2i(node, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 7);
    int kind = 0;
    const ASN1_STRING *uri = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &kind);
    assert_int_equal(kind, GEN_URI);
    assert_string_equal((const char *)ASN1_STRING_get0_data(uri), "urn:payledger:node:42");
    GENERAL_NAMES_free(names);
    static const char *const good[] = {"localhost", "bank.example"};
    static const char *const good_addresses[] = {"127.0.0.1", "::1", "10.1.2.3", "fd00::7"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(X509_check_host(node, good[i], 0, 0, NULL), 1);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(X509_check_ip_asc(node, good_addresses[i], 0), 1);
    }
    assert_int_equal(X509_check_host(node, "other.example", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(node, "10.1.2.4", 0), 0);
    X509_free(node);
}

static void expect_host_refused(const char *dir, const char *host)
{
    check_status(certificate_make_node(dir, 1, &host, 1, error, sizeof error), STATUS_INVALID);
    assert_non_null(strstr(error, "neither a DNS name nor an IP address"));
    assert_false(file_exists(dir, "node1.key"));
    assert_false(file_exists(dir, "node1.pem"));
}

static void test_hosts_can_not_smuggle_names(void **state)
{
    check_ok(certificate_make_ca(*state, error, sizeof error));
    expect_host_refused(*state, "");
    expect_host_refused(*state, "a,URI:urn:payledger:node:2");
    expect_host_refused(*state, "a b");
    expect_host_refused(*state, "*.example");
    expect_host_refused(*state, ".example");
    expect_host_refused(*state, "example.");
    expect_host_refused(*state, "a..b");
    expect_host_refused(*state, "-a");
    expect_host_refused(*state, "urn:payledger:node:2");
    expect_host_refused(*state, "10.0.0.1/8");
    const char *hosts[CERTIFICATE_HOSTS_MAX + 1];
    for (int i = 0; i <= CERTIFICATE_HOSTS_MAX; i++) {
        hosts[i] = "a";
    }
    check_status(
        certificate_make_node(*state, 1, hosts, CERTIFICATE_HOSTS_MAX + 1, error, sizeof error),
        STATUS_LIMIT);
    check_ok(certificate_make_node(*state, 1, hosts, CERTIFICATE_HOSTS_MAX, error, sizeof error));
}

static void test_nothing_is_overwritten(void **state)
{
    check_ok(certificate_make_ca(*state, error, sizeof error));
    X509 *before = certificate_read(*state, "ca.pem");
    check_status(certificate_make_ca(*state, error, sizeof error), STATUS_EXISTS);
    assert_non_null(strstr(error, "/ca.key: File exists"));
    X509 *after = certificate_read(*state, "ca.pem");
    assert_int_equal(X509_cmp(before, after), 0);
    X509_free(before);
    X509_free(after);
    check_ok(certificate_make_node(*state, 1, NULL, 0, error, sizeof error));
    check_status(certificate_make_node(*state, 1, NULL, 0, error, sizeof error), STATUS_EXISTS);
    char path[PATH_BYTES];
    path_make(path, *state, "node1.key");
    assert_int_equal(unlink(path), 0);
    check_status(certificate_make_node(*state, 1, NULL, 0, error, sizeof error), STATUS_EXISTS);
    assert_non_null(strstr(error, "/node1.pem: File exists"));
    assert_false(file_exists(*state, "node1.key"));
}

static void test_a_missing_or_foreign_ca_is_named(void **state)
{
    char other[PATH_BYTES], from[PATH_BYTES], to[PATH_BYTES];
    check_status(certificate_make_node(*state, 1, NULL, 0, error, sizeof error), STATUS_IO);
    assert_non_null(strstr(error, "/ca.pem: No such file or directory"));
    path_make(other, *state, "other"); /* made on the way */
    check_ok(certificate_make_ca(*state, error, sizeof error));
    check_ok(certificate_make_ca(other, error, sizeof error));
    path_make(from, other, "ca.key");
    path_make(to, *state, "ca.key");
    assert_int_equal(rename(from, to), 0);
    check_status(certificate_make_node(*state, 1, NULL, 0, error, sizeof error), STATUS_TLS);
    assert_non_null(strstr(error, "/ca.key: is not the key of ca.pem"));
    assert_int_equal(truncate(to, 10), 0);
    check_status(certificate_make_node(*state, 1, NULL, 0, error, sizeof error), STATUS_TLS);
    assert_non_null(strstr(error, "/ca.key: "));
    assert_int_equal(unlink(to), 0);
    check_status(certificate_make_node(*state, 1, NULL, 0, error, sizeof error), STATUS_IO);
    assert_false(file_exists(*state, "node1.key"));
}

static void test_a_directory_that_can_not_be_made_is_named(void **state)
{
    (void)state;
    check_status(certificate_make_ca("/proc/nowhere/pki", error, sizeof error), STATUS_IO);
    assert_non_null(strstr(error, "/proc/nowhere/pki: "));
}

int main(void)
{
#define CERTIFICATE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CERTIFICATE_TEST(test_keys_are_private_and_curves_are_p256),
        CERTIFICATE_TEST(test_a_node_is_signed_for_both_sides),
        CERTIFICATE_TEST(test_names_of_a_node),
        CERTIFICATE_TEST(test_hosts_can_not_smuggle_names),
        CERTIFICATE_TEST(test_nothing_is_overwritten),
        CERTIFICATE_TEST(test_a_missing_or_foreign_ca_is_named),
        CERTIFICATE_TEST(test_a_directory_that_can_not_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
