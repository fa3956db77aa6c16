#include "client/table.h"

#include "tests/support/check.h"

#include <string.h>

static void check_printed(const struct table *table, const char *wanted)
{
    char printed[1024] = "";
    FILE *out = fmemopen(printed, sizeof(printed), "w");
    assert_non_null(out);
    table_print(table, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, wanted);
}

static void test_columns_align(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, "account|>posted|note");
    table_string(&table, "alice");
    table_string(&table, "800.01");
    table_string(&table, "");
    table_string(&table, "a-longer-one");
    table_string(&table, "-5.00");
    table_string(&table, "x");
    check_printed(&table, "account       posted  note\n"
                          "alice         800.01\n"
                          "a-longer-one   -5.00  x\n");
    table_deinit(&table);
}

static void test_characters_count_not_bytes(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, "a|b");
    table_string(&table, "\xc3\xa4\xc3\xb6");
    table_string(&table, "1");
    check_printed(&table, "a   b\n\xc3\xa4\xc3\xb6  1\n");
    table_deinit(&table);
}

static void test_control_characters_are_harmless(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, "a");
    table_string(&table, "x\x1b[31m\ny\x7f");
    table_string(&table, "\xc2\x9b"
                         "31m");
    check_printed(&table, "a\nx?[31m?y?\n??31m\n");
    table_deinit(&table);
}

static void test_an_unfinished_row_is_not_shown(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, "a|b");
    table_string(&table, "1");
    check_printed(&table, "a  b\n");
    table_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_align),
        cmocka_unit_test(test_characters_count_not_bytes),
        cmocka_unit_test(test_control_characters_are_harmless),
        cmocka_unit_test(test_an_unfinished_row_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
