#include "client/identifier.h"

#include "tests/support/check.h"

static void test_fresh_ids_are_version_7(void **state)
{
    (void)state;
    const struct uuid a = identifier_fresh(1764000000123456789);
    const struct uuid b = identifier_fresh(1764000000123456789);
    char text[UUID_TEXT_BYTES];
    uuid_format(&a, text);
    /* 1764000000123 ms = 0x019ab697e87b */
    assert_memory_equal(text, "019ab697-e87b-7", 15);
    assert_true(text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b');
    assert_false(uuid_equal(&a, &b));
}

static void test_derived_ids_depend_on_everything(void **state)
{
    (void)state;
    const struct uuid a = identifier_derived(TEXT("may"), 7, TEXT("alice,shop,5"));
    const struct uuid again = identifier_derived(TEXT("may"), 7, TEXT("alice,shop,5"));
    assert_true(uuid_equal(&a, &again));
    const struct uuid others[] = {identifier_derived(TEXT("june"), 7, TEXT("alice,shop,5")),
                                  identifier_derived(TEXT("may"), 8, TEXT("alice,shop,5")),
                                  identifier_derived(TEXT("may"), 7, TEXT("alice,shop,6")),
                                  identifier_derived(TEXT("mayalice"), 7, TEXT(",shop,5"))};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(uuid_equal(&a, &others[i]));
    }
    char text[UUID_TEXT_BYTES];
    uuid_format(&a, text);
    assert_int_equal(text[14], '8');
    struct uuid parsed;
    assert_true(uuid_parse(text_of(text), &parsed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_ids_are_version_7),
        cmocka_unit_test(test_derived_ids_depend_on_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
