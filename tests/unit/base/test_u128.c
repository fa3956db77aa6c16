/* Exact decimal text of 128-bit numbers. */
#include "base/limits.h"
#include "base/u128.h"
#include "tests/support/check.h"

#include <string.h>

static u128 parsed(const char *text)
{
    u128 value = 0;
    if (!u128_parse(text, strlen(text), &value)) {
        fail_msg("%s does not parse", text);
    }
    return value;
}

static void expect_text(u128 value, const char *wanted)
{
    char text[U128_TEXT_BYTES];
    size_t size = u128_format(value, text);
    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(wanted));
}

static void expect_signed(i128 value, const char *wanted)
{
    char text[U128_TEXT_BYTES];
    size_t size = i128_format(value, text);
    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(wanted));
}

static void test_formats_landmarks(void **state)
{
    (void)state;
    expect_text(0, "0");
    expect_text(1, "1");
    expect_text(10, "10");
    expect_text(UINT64_MAX, "18446744073709551615");
    expect_text((u128)UINT64_MAX + 1, "18446744073709551616");
    expect_text(AMOUNT_LIMIT, "85070591730234615865843651857942052864");
    expect_text(AMOUNT_LIMIT - 1, "85070591730234615865843651857942052863");
    expect_text(~(u128)0, "340282366920938463463374607431768211455");
}

static void test_formats_signed_landmarks(void **state)
{
    (void)state;
    i128 most = (i128)(~(u128)0 >> 1);
    expect_signed(0, "0");
    expect_signed(-1, "-1");
    expect_signed(42, "42");
    expect_signed(most, "170141183460469231731687303715884105727");
    expect_signed(-most, "-170141183460469231731687303715884105727");
    expect_signed(-most - 1, "-170141183460469231731687303715884105728");
}

static void test_parses_landmarks(void **state)
{
    (void)state;
    assert_true(parsed("0") == 0);
    assert_true(parsed("9") == 9);
    assert_true(parsed("18446744073709551616") == (u128)UINT64_MAX + 1);
    assert_true(parsed("85070591730234615865843651857942052864") == AMOUNT_LIMIT);
    assert_true(parsed("85070591730234615865843651857942052863") == AMOUNT_LIMIT - 1);
    u128 power = 1;
    for (int i = 0; i < AMOUNT_DIGITS_MAX; i++) {
        power *= 10;
    }
    assert_true(parsed("99999999999999999999999999999999999999") == power - 1);
}

static void test_refuses_everything_else_and_leaves_the_value(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "00",
                                        "01",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "1e3",
                                        "0x1",
                                        "1_0",
                                        "100000000000000000000000000000000000000",
                                        "a",
                                        ":",
                                        "/",
                                        "1\n",
                                        "000000000000000000000000000000000000001",
                                        "\xd9\xa1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        u128 value = 77;
        if (u128_parse(wrong[i], strlen(wrong[i]), &value)) {
            fail_msg("\"%s\" parses", wrong[i]);
        }
        assert_true(value == 77);
    }
    u128 value = 77;
    assert_false(u128_parse("1\0", 2, &value));
    assert_false(u128_parse(NULL, 0, &value));
    assert_true(value == 77);
}

static void test_reads_exactly_the_given_size(void **state)
{
    (void)state;
    u128 value = 0;
    assert_true(u128_parse("123456", 3, &value));
    assert_true(value == 123);
}

static void test_text_and_number_agree_at_random(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int i = 0; i < 100000; i++) {
        unsigned bits = (unsigned)(test_random(&seed) % 127);
        u128 value = ((u128)test_random(&seed) << 64 | test_random(&seed)) >> (127 - bits) >> 1;
        char text[U128_TEXT_BYTES];
        size_t size = u128_format(value, text);
        u128 again = 0;
        assert_true(value < AMOUNT_LIMIT);
        assert_true(u128_parse(text, size, &again));
        assert_true(again == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_landmarks),
        cmocka_unit_test(test_formats_signed_landmarks),
        cmocka_unit_test(test_parses_landmarks),
        cmocka_unit_test(test_refuses_everything_else_and_leaves_the_value),
        cmocka_unit_test(test_reads_exactly_the_given_size),
        cmocka_unit_test(test_text_and_number_agree_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
