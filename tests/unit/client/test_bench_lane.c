/* One thread of the load: its seconds, its arrivals, its end. */
#include "client/bench_lane.h"

#include "tests/support/bench_rig.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#define SECOND_NS UINT64_C(1000000000)

static void test_a_second_is_closed_when_it_has_passed(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(1);
    struct lane *lane = calloc(1, sizeof(*lane));
    char error[256];
    assert_non_null(lane);
    bench->options.warmup_s = 1;
    bench->options.seconds = 2;
    bench_rig_begin(bench);
    bench->load.lanes_count = 1;
    check_ok(lane_open(lane, &bench->load, 0, error, sizeof(error)));
    lane_clock(lane, 5 * SECOND_NS); /* not started: nothing */
    lane->started = true;
    lane->start_ns = 10 * SECOND_NS;
    lane->counts.posted = 3;
    histogram_add(&lane->second_us, 70);
    lane_clock(lane, 9 * SECOND_NS);
    lane_clock(lane, 11 * SECOND_NS - 1);
    assert_int_equal(lane->run.posted, 0);
    assert_int_equal(lane->cpu_begin_ns, 0);
    lane_clock(lane, 11 * SECOND_NS);
    assert_int_equal(lane->run.posted, 3);
    assert_int_equal(lane->counts.posted, 0);
    assert_int_equal(lane->second_us.count, 0);
    assert_int_equal(bench_series_row(bench->load.series, 0).counts.posted, 3);
    assert_int_equal(bench_series_row(bench->load.series, 0).p50_us, 70);
    assert_true(lane->cpu_begin_ns > 0 && lane->cpu_end_ns == 0);
    /* Seconds may be skipped: what was counted belongs to the one that was running. */
    lane->counts.posted = 4;
    lane_clock(lane, 15 * SECOND_NS);
    assert_int_equal(bench_series_row(bench->load.series, 1).counts.posted, 4);
    assert_int_equal(bench_series_row(bench->load.series, 4).counts.posted, 0);
    assert_true(lane->cpu_end_ns >= lane->cpu_begin_ns);
    assert_int_equal(lane->second, 5);
    lane_free(lane);
    free(lane);
    bench_rig_close(bench);
}

static void test_connections_are_shared_out(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(1);
    uint32_t count = 0;
    uint32_t nodes[2] = {0, 0};
    bench_rig_add(bench, 2);
    bench->options.connections = 7;
    bench_rig_begin(bench);
    bench->load.lanes_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        struct lane *lane = calloc(1, sizeof(*lane));
        char error[256];
        assert_non_null(lane);
        check_ok(lane_open(lane, &bench->load, i, error, sizeof(error)));
        assert_true(lane->lines_count == 2 || lane->lines_count == 3);
        count += lane->lines_count;
        for (uint32_t j = 0; j < lane->lines_count; j++) {
            nodes[lane->lines[j].node] += 1;
        }
        lane_free(lane);
        free(lane);
    }
    assert_int_equal(count, 7);
    assert_true(nodes[0] == 4 && nodes[1] == 3);
    bench_rig_close(bench);
}

static void test_the_warm_up_is_not_measured(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.warmup_s = 1;
    bench_rig_run(bench);
    const struct bench_counts warm = bench_series_sum(bench->load.series, 0, 1);
    const uint64_t latencies = bench->result.latency_us.count;
    assert_true(warm.posted > 0);
    assert_true(latencies > 0);
    /* But for what was sent before the window's begin and answered after it. */
    assert_true(latencies <= bench->result.run.requests - warm.requests);
    assert_true(latencies + 8 >= bench->result.run.requests - warm.requests);
    assert_int_equal(bench->result.without_latency_requests, 0);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_the_open_loop_sends_at_its_times(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.rate_per_s = 300;
    bench->options.poisson = false;
    bench->options.payments = 3; /* so 100 requests */
    bench->options.threads = 2;
    bench_rig_run(bench);
    const struct bench_counts *run = &bench->result.run;
    assert_true(run->requests + run->not_sent_requests >= 98);
    assert_true(run->requests + run->not_sent_requests <= 102);
    assert_int_equal(run->posted, 3 * run->requests);
    assert_int_equal(bench->result.latency_us.count, run->requests);
    /* The two threads take turns. */
    assert_int_equal(bench->load.lanes[1].schedule.begin_ns,
                     bench->load.lanes[0].schedule.begin_ns + SECOND_NS / 100);
    assert_true(bench->result.generator.late_us.count > 0);
    bench_rig_close(bench);
    rig_close(rig);
}

/* As if the machine had stood still for half a second: that is part of what a user waits. */
static void test_latencies_run_from_the_intended_start(void **state)
{
    (void)state;
    char error[256];
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.rate_per_s = 100;
    bench->options.poisson = false;
    bench_rig_begin(bench);
    check_ok(bench_load_open(&bench->load, error, sizeof(error)));
    atomic_store(&bench->load.start_ns, lane_now_ns() - SECOND_NS / 2);
    assert_int_equal(uv_async_send(&bench->load.lanes[0].go), 0);
    bench_load_join(&bench->load);
    bench_load_result(&bench->load, &bench->result);
    assert_true(bench->result.latency_us.value_max >= 400000);
    assert_true(bench->result.generator.late_us.value_max >= 400000);
    assert_true(bench->result.run.requests >= 98);
    bench_rig_close(bench);
    rig_close(rig);
}

/* The one place is taken for ever: two arrivals wait, all others are not sent. */
static void test_what_is_not_answered_ends_as_unknown(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.hold, 1000000);
    rig_start(rig);
    rig->options.request_timeout_ms = 60000;
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.rate_per_s = 500;
    bench->options.poisson = false;
    bench->options.backlog = 1;
    bench->options.connections = 1;
    bench->options.in_flight = 1;
    bench_rig_run(bench);
    const struct bench_counts *run = &bench->result.run;
    assert_int_equal(run->unknown, 1);
    assert_int_equal(run->posted + run->refused + run->requests, 0);
    assert_true(run->not_sent_requests >= 497 && run->not_sent_requests <= 500);
    assert_int_equal(bench->result.without_latency_requests, run->not_sent_requests + 1);
    assert_string_equal(bench->load.reason, "requests were left without an answer at the end");
    bench_rig_close(bench);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_is_closed_when_it_has_passed),
        cmocka_unit_test(test_connections_are_shared_out),
        cmocka_unit_test(test_the_warm_up_is_not_measured),
        cmocka_unit_test(test_the_open_loop_sends_at_its_times),
        cmocka_unit_test(test_latencies_run_from_the_intended_start),
        cmocka_unit_test(test_what_is_not_answered_ends_as_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
