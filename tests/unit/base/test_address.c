#include "base/address.h"

#include "tests/support/check.h"

static void test_addresses_come_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
    } rows[] = {{"127.0.0.1:1", "127.0.0.1", 1},
                {"shop.example:65535", "shop.example", 65535},
                {"[::1]:2346", "::1", 2346},
                {"[fe80::1]:10", "fe80::1", 10}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char host[HOST_BYTES_MAX + 1];
        uint16_t port = 0;
        assert_true(address_parse(text_of(rows[i].text), host, &port));
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
        char text[ADDRESS_TEXT_BYTES];
        address_format(host, port, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",     "a",     ":",      ":1",      "a:",       "a:0",
                                        "a:01", "a:+1",  "a:1x",   "a:65536", "a:100000", "::1:1",
                                        "[]:1", "[a]:1", "[::1:1", "a b:1",   "a/b:1",    "[::1]"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char host[HOST_BYTES_MAX + 1];
        uint16_t port = 0;
        if (address_parse(text_of(wrong[i]), host, &port)) {
            fail_msg("%s is no address", wrong[i]);
        }
    }
}

static void test_loopback(void **state)
{
    (void)state;
    assert_true(address_is_loopback("127.0.0.1"));
    assert_true(address_is_loopback("127.9.8.7"));
    assert_true(address_is_loopback("::1"));
    assert_true(address_is_loopback("localhost"));
    assert_false(address_is_loopback("128.0.0.1"));
    assert_false(address_is_loopback("0.0.0.0"));
    assert_false(address_is_loopback("::"));
    assert_false(address_is_loopback("127.0.0.1.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_come_back),
        cmocka_unit_test(test_other_texts_are_refused),
        cmocka_unit_test(test_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
