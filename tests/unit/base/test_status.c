/* Both vocabularies are complete and unambiguous. */
#include "base/status.h"
#include "tests/support/check.h"

#include <string.h>

static void test_every_status_has_its_own_name_and_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        assert_true(strlen(status_name((enum status)i)) > 0);
        assert_true(strlen(status_text((enum status)i)) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(status_name((enum status)i), status_name((enum status)j));
        }
    }
    assert_string_equal(status_name(STATUS_NOT_LEADER), "not_leader");
    assert_string_equal(status_text(STATUS_IO), "a disk operation failed");
}

static void test_a_wrong_status_is_named_so(void **state)
{
    (void)state;
    assert_string_equal(status_name(STATUS_COUNT), "invalid_status");
    assert_string_equal(status_text((enum status) - 1), "not a status");
}

static void test_codes_are_found_by_value(void **state)
{
    (void)state;
    uint32_t count = 0;
    const struct code_info *rows = code_table(&count);
    assert_true(count > 30);
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(code_info(rows[i].code), &rows[i]);
        assert_true(rows[i].code > CODE_OK && rows[i].code <= CODE_VALUE_MAX);
        assert_true(rows[i].rpc_number <= -32000 && rows[i].rpc_number >= -32768);
        assert_true(strlen(rows[i].text) > 0);
        for (uint32_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].name, rows[j].name);
            assert_true(rows[j].code < rows[i].code);
        }
        if (rows[i].recorded == YES) {
            assert_int_equal(rows[i].retryable, NO);
        }
    }
    assert_int_equal(rows[count - 1].code, CODE_VALUE_MAX);
    assert_string_equal(code_info(CODE_INSUFFICIENT_FUNDS)->name, "insufficient_funds");
    assert_int_equal(code_info(CODE_INSUFFICIENT_FUNDS)->rpc_number, -32010);
    assert_int_equal(code_info(CODE_UNKNOWN)->recorded, UNSURE);
}

static void test_values_without_a_row_give_none(void **state)
{
    (void)state;
    assert_null(code_info(CODE_OK));
    assert_null(code_info((enum code)30));
    assert_null(code_info((enum code)(CODE_VALUE_MAX + 1)));
    assert_null(code_info((enum code)255));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_its_own_name_and_a_text),
        cmocka_unit_test(test_a_wrong_status_is_named_so),
        cmocka_unit_test(test_codes_are_found_by_value),
        cmocka_unit_test(test_values_without_a_row_give_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
