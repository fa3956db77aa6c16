#include "tests/support/check.h"

#include "ledger/types.h"

static void uuid_is_written_as_it_was_read(void **state)
{
    (void)state;
    struct uuid uuid;
    char text[UUID_TEXT_BYTES];
    assert_true(uuid_parse(TEXT("0198d2c4-a0f0-7c3e-9b1f-5a1122334455"), &uuid));
    assert_int_equal(uuid.bytes[0], 0x01);
    assert_int_equal(uuid.bytes[15], 0x55);
    uuid_format(&uuid, text);
    assert_string_equal(text, "0198d2c4-a0f0-7c3e-9b1f-5a1122334455");
}

static void uuid_of_either_case_is_the_same(void **state)
{
    (void)state;
    struct uuid lower;
    struct uuid upper;
    assert_true(uuid_parse(TEXT("abcdef01-a0f0-7c3e-9b1f-5a1122334455"), &lower));
    assert_true(uuid_parse(TEXT("ABCDEF01-A0F0-7C3E-9B1F-5A1122334455"), &upper));
    assert_true(uuid_equal(&lower, &upper));
    upper.bytes[15] ^= 1;
    assert_false(uuid_equal(&lower, &upper));
}

static void uuid_of_another_form_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "0198d2c4-a0f0-7c3e-9b1f-5a112233445",
        "0198d2c4-a0f0-7c3e-9b1f-5a11223344555",
        "0198d2c4a-0f0-7c3e-9b1f-5a1122334455",
        "0198d2c4-a0f0-7c3e-9b1f05a1122334455",
        "{198d2c4-a0f0-7c3e-9b1f-5a112233445}",
        "0198d2c4-a0f0-7c3e-9b1f-5a112233445g",
        "0198d2c4-a0f0-7c3e-9b1f- a112233445",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct uuid uuid = {.bytes = {7}};
        assert_false(uuid_parse(text_of(wrong[i]), &uuid));
        assert_int_equal(uuid.bytes[0], 7);
    }
}

static void account_ids_have_a_form(void **state)
{
    (void)state;
    char longest[ACCOUNT_ID_BYTES_MAX + 1];
    for (size_t i = 0; i < sizeof(longest); i++) {
        longest[i] = 'a';
    }
    assert_true(account_id_valid((struct text){longest, ACCOUNT_ID_BYTES_MAX}));
    assert_false(account_id_valid((struct text){longest, ACCOUNT_ID_BYTES_MAX + 1}));
    assert_true(account_id_valid(TEXT("a")));
    assert_true(account_id_valid(TEXT("Customers:4711_eur.main-0")));
    assert_false(account_id_valid(TEXT("")));
    assert_false(account_id_valid(TEXT("a b")));
    assert_false(account_id_valid(TEXT("a/b")));
    assert_false(account_id_valid(TEXT("\xc3\xa4")));
    assert_false(account_id_valid((struct text){"a\0b", 3}));
}

static void currency_codes_have_a_form(void **state)
{
    (void)state;
    assert_true(currency_code_valid(TEXT("EUR")));
    assert_true(currency_code_valid(TEXT("A1")));
    assert_true(currency_code_valid(TEXT("ABCDEFGHIJ12")));
    assert_false(currency_code_valid(TEXT("ABCDEFGHIJ123")));
    assert_false(currency_code_valid(TEXT("A")));
    assert_false(currency_code_valid(TEXT("")));
    assert_false(currency_code_valid(TEXT("1A")));
    assert_false(currency_code_valid(TEXT("Eur")));
}

static void every_field_has_its_own_name(void **state)
{
    (void)state;
    assert_string_equal(field_name(FIELD_NONE), "");
    assert_string_equal(field_name(FIELD_VALID_UNTIL), "valid_until");
    for (int a = FIELD_NONE + 1; a < FIELD_COUNT; a++) {
        assert_true(field_name((enum field)a)[0] != '\0');
        for (int b = FIELD_NONE; b < a; b++) {
            assert_string_not_equal(field_name((enum field)a), field_name((enum field)b));
        }
    }
}

static void balances_are_on_the_normal_side(void **state)
{
    (void)state;
    struct account account = {.debits_posted = 30,
                              .credits_posted = 100,
                              .debits_held = 5,
                              .credits_held = 7,
                              .overdraft_limit = 11};
    assert_true(account_posted(&account) == 70);
    assert_true(account_held(&account) == 5);
    assert_true(account_available(&account) == 70 - 5 + 11);
    account.debit_normal = true;
    assert_true(account_posted(&account) == -70);
    assert_true(account_held(&account) == 7);
    assert_true(account_available(&account) == -70 - 7 + 11);
}

static void the_largest_counters_do_not_wrap(void **state)
{
    (void)state;
    const u128 most = AMOUNT_LIMIT - 1;
    const struct account rich = {.credits_posted = most, .overdraft_limit = most};
    assert_true(account_available(&rich) == 2 * (i128)most);
    const struct account poor = {.debits_posted = most, .debits_held = most};
    assert_true(account_available(&poor) == -2 * (i128)most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuid_is_written_as_it_was_read),
        cmocka_unit_test(uuid_of_either_case_is_the_same),
        cmocka_unit_test(uuid_of_another_form_is_refused),
        cmocka_unit_test(account_ids_have_a_form),
        cmocka_unit_test(currency_codes_have_a_form),
        cmocka_unit_test(every_field_has_its_own_name),
        cmocka_unit_test(balances_are_on_the_normal_side),
        cmocka_unit_test(the_largest_counters_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
