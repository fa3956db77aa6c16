/* What people read of a result. */
#include "client/bench_report.h"

#include "tests/support/bench_rig.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

static struct bench_rig *rig;
static char text[8192];

static int set_up(void **state)
{
    (void)state;
    rig = bench_rig_open(2346);
    bench_rig_add(rig, 2347);
    rig->result.window_us = 2000000;
    rig->result.checks = (struct bench_checks){.totals_read = true,
                                               .totals_balance = true,
                                               .moved_right = true,
                                               .moved_minor = 12345,
                                               .ids_acknowledged = 9,
                                               .ids_checked = 4};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bench_rig_close(rig);
    return 0;
}

static void report(void)
{
    memset(text, 0, sizeof(text));
    struct console console = {.options = rig->client, .out = fmemopen(text, sizeof(text) - 1, "w")};
    assert_non_null(console.out);
    bench_report_text(&console, &rig->options, &rig->result);
    assert_int_equal(fclose(console.out), 0);
}

static void check_has(const char *wanted)
{
    if (strstr(text, wanted) == NULL) {
        fail_msg("not in it: %s\n%s", wanted, text);
    }
}

static void check_lacks(const char *unwanted)
{
    if (strstr(text, unwanted) != NULL) {
        fail_msg("in it: %s\n%s", unwanted, text);
    }
}

static void test_the_generator_is_busy_above_four_fifths(void **state)
{
    (void)state;
    rig->result.generator.cpu_us = 4000000; /* of many threads */
    rig->result.generator.busiest_cpu_us = 1600000;
    assert_false(bench_generator_busy(&rig->result));
    rig->result.generator.busiest_cpu_us = 1600001;
    assert_true(bench_generator_busy(&rig->result));
}

static void test_rates_and_latencies(void **state)
{
    (void)state;
    rig->result.window = (struct bench_counts){.posted = 3000,
                                               .refused = 7,
                                               .overloaded = 5,
                                               .unknown = 2,
                                               .requests = 300,
                                               .reads = 10,
                                               .retries = 4};
    bench_errors_add(&rig->result.errors, TEXT("overloaded"), 5);
    bench_errors_add(&rig->result.errors, TEXT("unknown"), 2);
    histogram_add(&rig->result.latency_us, 50);
    rig->result.generator = (struct bench_generator){.cpu_us = 600000, .busiest_cpu_us = 500000};
    report();
    check_has("2 connections x 4 requests in flight, 1 payments each, closed loop\n");
    check_has("rate       1500 payments/s, 150 requests/s, 5 reads/s in 2.0 s\n");
    check_has("3000 posted, 7 refused (5 overloaded), 2 unknown, 0 requests not sent, "
              "4 sent again\n");
    check_has("errors     overloaded 5, unknown 2\n");
    check_has("latency    p50 0.050, p90 0.050, p99 0.050, p99.9 0.050, max 0.050 ms\n");
    check_lacks("requests have none");
    check_lacks("reads      p50");
    rig->result.without_latency_requests = 17;
    check_has("0.30 cores, busiest thread 25 % of one, 200.00 us a payment\n");
    rig->options.rate_per_s = 100;
    histogram_add(&rig->result.read_latency_us, 50);
    report();
    check_has("open loop at 100/s (poisson)\n");
    check_has("but 17 requests have none: refused, unknown, not sent\n");
    check_has("reads      p50");
}

static void test_nodes(void **state)
{
    (void)state;
    rig->result.nodes[0] = (struct bench_node){.address = "127.0.0.1:2346",
                                               .known = true,
                                               .leader = true,
                                               .cpu_us = 1000000,
                                               .elapsed_us = 2000000,
                                               .entries = 10,
                                               .payments = 35};
    rig->result.nodes[1] = (struct bench_node){.address = "127.0.0.1:2347"};
    report();
    check_has("127.0.0.1:2346  leader    1.00   0.50  0.00       5.00            3.50");
    check_has("127.0.0.1:2347  unknown");
}

static void test_checks(void **state)
{
    (void)state;
    report();
    check_has("checks     totals balance; 123.45 BENCH moved, as acknowledged\n");
    check_has("4 of 9 acknowledged ids asked for: 0 missing, 0 without an answer\n");
    rig->result.checks.totals_balance = false;
    rig->result.checks.moved_right = false;
    rig->result.checks.ids_missing = 1;
    (void)snprintf(rig->result.checks.missing_id, sizeof(rig->result.checks.missing_id), "x-y");
    report();
    check_has("totals DO NOT BALANCE; 123.45 BENCH moved, NOT AS ACKNOWLEDGED\n");
    check_has("MISSING, for example: x-y\n");
    rig->result.checks = (struct bench_checks){.ids_unread = 3, .ids_acknowledged = 3};
    report();
    check_has("the totals could not be read\n");
    check_has("3 of 3 acknowledged ids asked for: 0 missing, 3 without an answer\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_generator_is_busy_above_four_fifths, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rates_and_latencies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checks, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
