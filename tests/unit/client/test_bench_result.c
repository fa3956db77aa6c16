#include "client/bench_result.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_every_count_is_added(void **state)
{
    (void)state;
    struct bench_counts sum = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const struct bench_counts more = {10, 20, 30, 40, 50, 60, 70, 80, 90};
    bench_counts_add(&sum, &more);
    assert_int_equal(sum.posted, 11);
    assert_int_equal(sum.refused, 22);
    assert_int_equal(sum.overloaded, 33);
    assert_int_equal(sum.unknown, 44);
    assert_int_equal(sum.not_sent_requests, 55);
    assert_int_equal(sum.requests, 66);
    assert_int_equal(sum.reads, 77);
    assert_int_equal(sum.reads_failed, 88);
    assert_int_equal(sum.retries, 99);
}

static void test_a_code_has_one_row(void **state)
{
    (void)state;
    struct bench_errors errors = {.count = 0};
    bench_errors_add(&errors, TEXT("overloaded"), 3);
    bench_errors_add(&errors, TEXT("overload"), 1);
    bench_errors_add(&errors, TEXT("overloaded"), 4);
    assert_int_equal(errors.count, 2);
    assert_string_equal(errors.rows[0].code, "overloaded");
    assert_int_equal(errors.rows[0].count, 7);
    assert_int_equal(errors.rows[1].count, 1);
}

static void test_codes_beyond_the_table_are_counted_as_other(void **state)
{
    (void)state;
    struct bench_errors errors = {.count = 0};
    uint64_t sum = 0;
    for (int i = 0; i < BENCH_CODES_MAX + 5; i++) {
        char code[16];
        (void)snprintf(code, sizeof(code), "code_%d", i);
        bench_errors_add(&errors, text_of(code), 2);
    }
    assert_int_equal(errors.count, BENCH_CODES_MAX);
    assert_string_equal(errors.rows[0].code, "code_0");
    assert_string_equal(errors.rows[BENCH_CODES_MAX - 1].code, "other");
    for (uint32_t i = 0; i < errors.count; i++) {
        sum += errors.rows[i].count;
    }
    assert_int_equal(sum, 2 * (BENCH_CODES_MAX + 5));
}

static void test_what_is_no_code_is_counted_as_other(void **state)
{
    (void)state;
    struct bench_errors errors = {.count = 0};
    char large[BENCH_CODE_BYTES + 1];
    memset(large, 'a', sizeof(large));
    large[BENCH_CODE_BYTES] = '\0';
    bench_errors_add(&errors, TEXT("a\"b"), 1);
    bench_errors_add(&errors, TEXT(""), 1);
    bench_errors_add(&errors, text_of(large), 1);
    bench_errors_add(&errors, text_of(large + 1), 1);
    assert_int_equal(errors.count, 2);
    assert_string_equal(errors.rows[0].code, "other");
    assert_int_equal(errors.rows[0].count, 3);
    assert_int_equal(strlen(errors.rows[1].code), BENCH_CODE_BYTES - 1);
}

static struct bench_checks good_checks(void)
{
    return (struct bench_checks){
        .totals_read = true, .totals_balance = true, .moved_right = true, .ids_checked = 5};
}

static void test_checks_pass_only_when_all_were_made(void **state)
{
    (void)state;
    struct bench_checks checks = good_checks();
    assert_true(bench_checks_passed(&checks));
    assert_false(bench_checks_failed(&checks));
    checks.ids_unread = 1;
    assert_false(bench_checks_passed(&checks));
    assert_false(bench_checks_failed(&checks));
    checks = (struct bench_checks){.totals_read = false};
    assert_false(bench_checks_passed(&checks));
    assert_false(bench_checks_failed(&checks));
}

static void test_each_check_can_fail(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct bench_checks checks = good_checks();
        checks.totals_balance = i != 0;
        checks.moved_right = i != 1;
        checks.ids_missing = i == 2 ? 1 : 0;
        assert_true(bench_checks_failed(&checks));
        assert_false(bench_checks_passed(&checks));
    }
    /* A missing id is a failure also where the totals could not be read. */
    const struct bench_checks checks = {.ids_missing = 1};
    assert_true(bench_checks_failed(&checks));
}

static void test_the_seconds_are_freed(void **state)
{
    (void)state;
    struct bench_result *result = calloc(1, sizeof(*result));
    assert_non_null(result);
    result->seconds = calloc(3, sizeof(*result->seconds));
    result->seconds_count = 3;
    bench_result_deinit(result);
    assert_null(result->seconds);
    assert_int_equal(result->seconds_count, 0);
    bench_result_deinit(result);
    free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_count_is_added),
        cmocka_unit_test(test_a_code_has_one_row),
        cmocka_unit_test(test_codes_beyond_the_table_are_counted_as_other),
        cmocka_unit_test(test_what_is_no_code_is_counted_as_other),
        cmocka_unit_test(test_checks_pass_only_when_all_were_made),
        cmocka_unit_test(test_each_check_can_fail),
        cmocka_unit_test(test_the_seconds_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
