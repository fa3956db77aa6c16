#include "client/amount.h"

#include "tests/support/check.h"

static void test_amounts_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t scale;
        uint64_t minor;
    } rows[] = {{"19.99", 2, 1999},
                {"19.9", 2, 1990},
                {"19", 2, 1900},
                {"0.01", 2, 1},
                {"0", 2, 0},
                {"0.00", 2, 0},
                {"7", 0, 7},
                {"0.3", 1, 3},
                {"1.1", 18, 1100000000000000000ULL},
                {"0.000000000000000001", 18, 1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        u128 minor = 12345;
        assert_int_equal(amount_parse(text_of(rows[i].text), rows[i].scale, &minor), AMOUNT_OK);
        assert_true(minor == rows[i].minor);
    }
}

static void test_other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",   ".",  ".5",  "5.",    "01",    "00.1",
                                        "-1", "+1", "1e3", "1,000", "1.2.3", "1 000",
                                        " 1", "1 ", "0x1", "1.-2",  "1.2x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        u128 minor = 5;
        assert_int_equal(amount_parse(text_of(wrong[i]), 2, &minor), AMOUNT_SYNTAX);
        assert_true(minor == 5);
    }
    u128 minor = 0;
    assert_int_equal(amount_parse(TEXT("1.001"), 2, &minor), AMOUNT_TOO_PRECISE);
    assert_int_equal(amount_parse(TEXT("1.100"), 2, &minor), AMOUNT_TOO_PRECISE);
    assert_int_equal(amount_parse(TEXT("1.0"), 0, &minor), AMOUNT_TOO_PRECISE);
}

static void test_the_largest_amount(void **state)
{
    (void)state;
    u128 minor = 0;
    assert_int_equal(amount_parse(TEXT("85070591730234615865843651857942052863"), 0, &minor),
                     AMOUNT_OK);
    assert_true(minor == AMOUNT_LIMIT - 1);
    assert_int_equal(amount_parse(TEXT("850705917302346158658436518579420528.63"), 2, &minor),
                     AMOUNT_OK);
    assert_true(minor == AMOUNT_LIMIT - 1);
    static const char *const large[] = {"85070591730234615865843651857942052864",
                                        "99999999999999999999999999999999999999",
                                        "999999999999999999999999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        assert_int_equal(amount_parse(text_of(large[i]), 0, &minor), AMOUNT_TOO_LARGE);
    }
    assert_int_equal(amount_parse(TEXT("8507059173023461586584365185794205287"), 1, &minor),
                     AMOUNT_TOO_LARGE);
    assert_int_equal(amount_parse(TEXT("85070591730234615866"), 18, &minor), AMOUNT_TOO_LARGE);
}

static void check_format(i128 minor, uint8_t scale, const char *wanted)
{
    char text[AMOUNT_TEXT_BYTES];
    amount_format(minor, scale, text);
    assert_string_equal(text, wanted);
}

static void test_format(void **state)
{
    (void)state;
    check_format(80001, 2, "800.01");
    check_format(0, 2, "0.00");
    check_format(0, 0, "0");
    check_format(5, 2, "0.05");
    check_format(-5, 2, "-0.05");
    check_format(-123456, 3, "-123.456");
    check_format(7, 0, "7");
    check_format(1, 18, "0.000000000000000001");
    check_format((i128)(AMOUNT_LIMIT - 1), 0, "85070591730234615865843651857942052863");
    const i128 lowest = -(i128)(AMOUNT_LIMIT - 1) * 2 - 2;
    check_format(lowest, 18, "-170141183460469231731.687303715884105728");
}

static void test_format_and_parse_agree(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int i = 0; i < 20000; i++) {
        u128 minor = ((u128)test_random(&seed) << 64 | test_random(&seed)) >> 2;
        minor >>= test_random(&seed) % 120;
        uint8_t scale = (uint8_t)(test_random(&seed) % (CURRENCY_SCALE_MAX + 1));
        char text[AMOUNT_TEXT_BYTES];
        amount_format((i128)minor, scale, text);
        u128 back = 0;
        assert_int_equal(amount_parse(text_of(text), scale, &back), AMOUNT_OK);
        assert_true(back == minor);
    }
}

static void test_money_is_split(void **state)
{
    (void)state;
    struct text number;
    struct text currency;
    assert_true(money_split(TEXT("19.99 EUR"), &number, &currency));
    assert_true(text_equal(number, TEXT("19.99")));
    assert_true(text_equal(currency, TEXT("EUR")));
    assert_true(money_split(TEXT("  1   X "), &number, &currency));
    assert_true(text_equal(currency, TEXT("X")));
    assert_false(money_split(TEXT("19.99"), &number, &currency));
    assert_false(money_split(TEXT(""), &number, &currency));
    assert_false(money_split(TEXT("1 EUR x"), &number, &currency));
}

static void test_signed_integers(void **state)
{
    (void)state;
    i128 value = 1;
    assert_true(i128_parse(TEXT("-500"), &value));
    assert_true(value == -500);
    assert_true(i128_parse(TEXT("0"), &value));
    assert_true(value == 0);
    assert_false(i128_parse(TEXT("--5"), &value));
    assert_false(i128_parse(TEXT("-"), &value));
    assert_false(i128_parse(TEXT(""), &value));
    assert_false(i128_parse(TEXT("5.0"), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amounts_are_exact),
        cmocka_unit_test(test_other_texts_are_refused),
        cmocka_unit_test(test_the_largest_amount),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_and_parse_agree),
        cmocka_unit_test(test_money_is_split),
        cmocka_unit_test(test_signed_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
