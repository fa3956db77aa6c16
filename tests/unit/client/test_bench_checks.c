#include "client/bench_checks.h"

#include "client/bench_message.h"
#include "tests/support/bench_rig.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

static enum client_exit read_totals(struct bench_rig *bench, struct bench_totals *totals)
{
    struct console console = {.options = bench->client, .out = stdout, .errors = tmpfile()};
    assert_non_null(console.errors);
    buffer_init(&console.params, MESSAGE_BYTES_MAX);
    buffer_init(&console.currencies, 1024);
    const enum client_exit end = bench_totals_read(&console, 3, totals);
    console_close(&console);
    assert_int_equal(fclose(console.errors), 0);
    return end;
}

static void test_totals_are_read(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    struct bench_totals totals = {.balanced = false, .moved_minor = 1};
    atomic_store(&rig->node.currencies, 3);
    assert_int_equal(read_totals(bench, &totals), CLIENT_DONE);
    assert_true(totals.balanced);
    assert_int_equal((int64_t)totals.moved_minor, 0);
    /* Other currencies are looked at, but not as what was moved. */
    atomic_store(&rig->node.debits, 700);
    atomic_store(&rig->node.credits, 700);
    assert_int_equal(read_totals(bench, &totals), CLIENT_DONE);
    assert_true(totals.balanced);
    assert_int_equal((int64_t)totals.moved_minor, 0);
    atomic_store(&rig->node.credits, 701);
    assert_int_equal(read_totals(bench, &totals), CLIENT_DONE);
    assert_false(totals.balanced);
    atomic_store(&rig->node.currency, "BENCH");
    assert_int_equal(read_totals(bench, &totals), CLIENT_DONE);
    assert_int_equal((int64_t)totals.moved_minor, 700);
    atomic_store(&rig->node.code, CODE_NO_LEADER);
    assert_int_equal(read_totals(bench, &totals), CLIENT_UNREACHABLE);
    bench_rig_close(bench);
    rig_close(rig);
}

static void check_moved(int64_t moved, uint64_t posted, uint64_t unknown, bool right)
{
    struct bench_rig *bench = bench_rig_open(1);
    const struct bench_totals before = {.moved_minor = 1000, .balanced = true};
    const struct bench_totals after = {.moved_minor = 1000 + (i128)moved * BENCH_AMOUNT_MINOR,
                                       .balanced = true};
    bench->result.run = (struct bench_counts){.posted = posted, .unknown = unknown};
    bench_checks_totals(&before, &after, &bench->result);
    assert_true(bench->result.checks.totals_read && bench->result.checks.totals_balance);
    assert_int_equal(bench->result.checks.moved_right, right);
    bench_rig_close(bench);
}

static void test_what_moved_is_what_was_acknowledged(void **state)
{
    (void)state;
    check_moved(5, 5, 0, true);
    check_moved(4, 5, 0, false);
    check_moved(6, 5, 0, false);
    check_moved(5, 5, 2, true);
    check_moved(7, 5, 2, true);
    check_moved(8, 5, 2, false);
    check_moved(4, 5, 2, false);
    check_moved(0, 0, 0, true);
}

static void test_totals_that_do_not_balance_are_noted(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(1);
    const struct bench_totals totals = {.balanced = false};
    bench_checks_totals(&totals, &totals, &bench->result);
    assert_true(bench_checks_failed(&bench->result.checks));
    bench_rig_close(bench);
}

/* Pays for a second; two threads, three payments of a request. */
static struct bench_rig *paid(const struct rig *rig)
{
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.threads = 2;
    bench->options.payments = 3;
    bench_rig_run(bench);
    assert_true(bench->result.run.posted > 20);
    return bench;
}

static void test_every_acknowledged_id_is_asked_for(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.finds, true);
    rig_start(rig);
    struct bench_rig *bench = paid(rig);
    struct bench_checks checks = {.ids_checked = 0};
    const uint32_t before = atomic_load(&rig->node.submitted);
    bench_checks_ids(&bench->client, &bench->load, 0, bench->result.run.posted, &checks);
    assert_int_equal(checks.ids_acknowledged, bench->result.run.posted);
    assert_int_equal(checks.ids_checked, bench->result.run.posted);
    assert_int_equal(checks.ids_missing + checks.ids_unread, 0);
    assert_int_equal(atomic_load(&rig->node.submitted) - before, bench->result.run.posted);
    /* Acknowledged ones that were not remembered were not checked. */
    checks = (struct bench_checks){.ids_checked = 0};
    bench_checks_ids(&bench->client, &bench->load, 0, bench->result.run.posted + 3, &checks);
    assert_int_equal(checks.ids_unread, 3);
    /* Or for as many as are wanted. */
    checks = (struct bench_checks){.ids_checked = 0};
    bench->options.verify = 17;
    bench_checks_ids(&bench->client, &bench->load, 0, bench->result.run.posted, &checks);
    assert_int_equal(checks.ids_checked, 17);
    checks = (struct bench_checks){.ids_checked = 0};
    bench->options.verify = 0;
    bench_checks_ids(&bench->client, &bench->load, 0, bench->result.run.posted, &checks);
    assert_int_equal(checks.ids_checked, 0);
    assert_int_equal(checks.ids_acknowledged, bench->result.run.posted);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_an_id_that_is_not_found_is_missing(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = paid(rig);
    struct bench_checks checks = {.ids_checked = 0};
    bench->options.verify = 5;
    bench_checks_ids(&bench->client, &bench->load, 0, bench->result.run.posted, &checks);
    assert_int_equal(checks.ids_checked, 5);
    assert_int_equal(checks.ids_missing, 5);
    assert_int_equal(strlen(checks.missing_id), UUID_TEXT_BYTES - 1);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_a_refusal_says_nothing_about_the_id(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = paid(rig);
    struct bench_checks checks = {.ids_checked = 0};
    bench->options.verify = 5;
    atomic_store(&rig->node.code, CODE_INTERNAL);
    bench_checks_ids(&bench->client, &bench->load, 0, bench->result.run.posted, &checks);
    assert_int_equal(checks.ids_checked + checks.ids_missing, 0);
    assert_int_equal(checks.ids_unread, 5);
    /* The witness alone is asked: nobody listens at this one. */
    bench_rig_add(bench, 1);
    atomic_store(&rig->node.code, CODE_OK);
    atomic_store(&rig->node.finds, true);
    checks = (struct bench_checks){.ids_checked = 0};
    bench_checks_ids(&bench->client, &bench->load, 1, bench->result.run.posted, &checks);
    assert_int_equal(checks.ids_unread, 5);
    assert_int_equal(checks.ids_checked, 0);
    bench_rig_close(bench);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals_are_read),
        cmocka_unit_test(test_what_moved_is_what_was_acknowledged),
        cmocka_unit_test(test_totals_that_do_not_balance_are_noted),
        cmocka_unit_test(test_every_acknowledged_id_is_asked_for),
        cmocka_unit_test(test_an_id_that_is_not_found_is_missing),
        cmocka_unit_test(test_a_refusal_says_nothing_about_the_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
