/* The load against a pretended node: what it sends, how it counts what comes back. */
#include "client/bench_load.h"

#include "tests/support/bench_rig.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

static struct bench_counts sum_of(struct bench_rig *bench)
{
    return bench_series_sum(bench->load.series, 0, bench->load.series->rows_max);
}

static void test_every_payment_is_posted_once(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.threads = 3;
    bench->options.connections = 5;
    bench->options.payments = 2;
    bench_rig_run(bench);
    const struct bench_counts *run = &bench->result.run;
    uint64_t acknowledged = 0;
    for (uint32_t i = 0; i < 3; i++) {
        acknowledged += bench_load_ids(&bench->load, i)->acknowledged_count;
    }
    assert_true(run->posted > 0);
    assert_int_equal(run->posted, 2 * run->requests);
    assert_int_equal(run->requests, atomic_load(&rig->node.submitted));
    assert_int_equal(acknowledged, run->posted);
    assert_int_equal(run->refused + run->unknown + run->not_sent_requests + run->retries, 0);
    assert_int_equal(bench_load_seq(&bench->load), 2); /* what the pretended node says */
    assert_int_equal(bench->load.reason[0], '\0');
    /* The seconds hold all of it; what was meant to begin in the time has a latency. */
    assert_int_equal(sum_of(bench).posted, run->posted);
    assert_int_equal(bench->result.latency_us.count, run->requests);
    assert_int_equal(bench->result.without_latency_requests, 0);
    assert_int_equal(bench->result.generator.late_us.count, 0);
    assert_true(bench->result.generator.cpu_us >= bench->result.generator.busiest_cpu_us);
    assert_true(bench->result.generator.busiest_cpu_us > 0);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_reads_are_mixed_in(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.finds, true);
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.mix_reads = 1;
    bench->options.reads = BENCH_READ_PAYMENT;
    bench_rig_run(bench);
    const struct bench_counts *run = &bench->result.run;
    assert_true(run->reads > 0 && run->posted > 0);
    assert_int_equal(run->reads_failed, 0);
    assert_int_equal(run->reads, bench->result.read_latency_us.count);
    assert_int_equal(run->reads + run->requests, atomic_load(&rig->node.submitted));
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_reads_of_what_is_not_there_fail(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.mix_payments = 0;
    bench->options.mix_reads = 1;
    bench_rig_run(bench);
    assert_true(bench->result.run.reads_failed > 0);
    assert_int_equal(bench->result.run.reads + bench->result.run.requests, 0);
    assert_int_equal(bench->result.read_latency_us.count, 0);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_without_retry_a_refusal_is_counted(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.code, CODE_NO_LEADER);
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench_rig_run(bench);
    const struct bench_counts *run = &bench->result.run;
    assert_int_equal(run->posted + run->unknown + run->retries, 0);
    assert_int_equal(run->refused, atomic_load(&rig->node.submitted));
    /* 8 in flight, a rest of 100 ms: about eleven rounds. */
    assert_true(run->refused >= 8 && run->refused <= 8 * 20);
    assert_int_equal(bench->result.without_latency_requests, run->refused);
    assert_string_equal(bench->result.errors.rows[0].code, "no_leader");
    assert_int_equal(bench->result.errors.rows[0].count, run->refused);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_without_retry_unknown_stays_unknown(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.code, CODE_UNKNOWN);
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench_rig_run(bench);
    assert_true(bench->result.run.unknown > 0);
    assert_int_equal(bench->result.run.unknown, atomic_load(&rig->node.submitted));
    assert_int_equal(bench->result.run.refused, 0);
    bench_rig_close(bench);
    rig_close(rig);
}

/* The node gives one answer for a while, then another. */
struct change {
    struct fake_node *node;
    enum code first, then;
};

static struct bench_rig *run_with_change(struct rig *rig, const struct change *change)
{
    char error[256] = "";
    const uint64_t begin_ms = test_now_ms();
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.retry = true;
    bench->options.connections = 1;
    bench->options.in_flight = 8;
    atomic_store(&rig->node.code, change->first);
    bench_rig_begin(bench);
    check_ok(bench_load_open(&bench->load, error, sizeof(error)));
    bench_load_start(&bench->load);
    /* So that each of the eight was sent again, and answered as at first, once or twice. */
    while (atomic_load(&rig->node.submitted) < 24) {
        assert_true(test_now_ms() - begin_ms < 10000);
        test_sleep_ms(1);
    }
    atomic_store(&rig->node.code, change->then);
    bench_load_join(&bench->load);
    bench_load_result(&bench->load, &bench->result);
    return bench;
}

static void test_with_retry_refusals_are_sent_again(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const struct change change = {.first = CODE_NO_LEADER, .then = CODE_OK};
    struct bench_rig *bench = run_with_change(rig, &change);
    const struct bench_counts *run = &bench->result.run;
    assert_int_equal(run->refused + run->unknown, 0);
    assert_true(run->retries >= 8);
    assert_int_equal(run->requests + run->retries, atomic_load(&rig->node.submitted));
    assert_int_equal(bench_load_ids(&bench->load, 0)->acknowledged_count, run->posted);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_with_retry_unknown_ends_with_an_answer(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const struct change change = {.first = CODE_UNKNOWN, .then = CODE_OK};
    struct bench_rig *bench = run_with_change(rig, &change);
    assert_int_equal(bench->result.run.refused + bench->result.run.unknown, 0);
    assert_true(bench->result.run.posted > 0 && bench->result.run.retries >= 8);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_a_refusal_that_is_not_recorded_leaves_the_doubt(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const struct change change = {.first = CODE_UNKNOWN, .then = CODE_INTERNAL};
    struct bench_rig *bench = run_with_change(rig, &change);
    /* Those eight that were in doubt; all later ones are known to be refused. */
    assert_int_equal(bench->result.run.unknown, 8);
    assert_true(bench->result.run.refused > 0);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_a_recorded_refusal_ends_the_doubt(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.refusal, CODE_PAYMENT_EXPIRED);
    rig_start(rig);
    const struct change change = {.first = CODE_UNKNOWN, .then = CODE_OK};
    struct bench_rig *bench = run_with_change(rig, &change);
    assert_int_equal(bench->result.run.unknown + bench->result.run.posted, 0);
    assert_true(bench->result.run.refused > 0);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_over_tls(void **state)
{
    (void)state;
    char ca[512];
    char *dir = test_dir_make();
    struct rig *rig = rig_open();
    rig_use_tls(rig, dir);
    rig_start(rig);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->client.tls = true;
    bench->client.ca_path = ca;
    bench_rig_run(bench);
    assert_true(bench->result.run.posted > 0);
    bench_rig_close(bench);
    rig_close(rig);
    test_dir_remove(dir);
}

static void test_a_wrong_ca_is_told(void **state)
{
    (void)state;
    char error[256] = "";
    struct bench_rig *bench = bench_rig_open(1);
    bench->client.tls = true;
    bench->client.ca_path = "/nowhere.pem";
    bench_rig_begin(bench);
    assert_int_not_equal(bench_load_open(&bench->load, error, sizeof(error)), STATUS_OK);
    assert_non_null(strstr(error, "/nowhere.pem"));
    bench_rig_close(bench);
}

static void test_nobody_there(void **state)
{
    (void)state;
    char error[256] = "";
    struct bench_rig *bench = bench_rig_open(1);
    bench->options.threads = 2;
    bench_rig_begin(bench);
    check_status(bench_load_open(&bench->load, error, sizeof(error)), STATUS_NETWORK);
    assert_string_equal(error, "connection refused");
    bench_rig_close(bench);
}

static void test_a_dead_node_is_left_for_the_next(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(1);
    bench_rig_add(bench, rig->port);
    bench_rig_run(bench);
    assert_int_equal(atomic_load(&bench->load.connected), 2);
    assert_true(bench->result.run.posted > 0);
    assert_int_equal(bench->result.run.unknown, 0);
    assert_string_equal(bench->load.reason, "connection refused");
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_a_load_that_never_starts_is_closed(void **state)
{
    (void)state;
    char error[256] = "";
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.threads = 2;
    bench_rig_begin(bench);
    check_ok(bench_load_open(&bench->load, error, sizeof(error)));
    bench_rig_close(bench);
    assert_int_equal(atomic_load(&rig->node.submitted), 0);
    rig_close(rig);
}

static void test_the_first_reason_is_kept(void **state)
{
    (void)state;
    struct bench_load load = {.connected = 0};
    assert_int_equal(pthread_mutex_init(&load.reason_lock, NULL), 0);
    bench_load_note(&load, "first");
    bench_load_note(&load, "second");
    assert_string_equal(load.reason, "first");
    assert_int_equal(pthread_mutex_destroy(&load.reason_lock), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_payment_is_posted_once),
        cmocka_unit_test(test_reads_are_mixed_in),
        cmocka_unit_test(test_reads_of_what_is_not_there_fail),
        cmocka_unit_test(test_without_retry_a_refusal_is_counted),
        cmocka_unit_test(test_without_retry_unknown_stays_unknown),
        cmocka_unit_test(test_with_retry_refusals_are_sent_again),
        cmocka_unit_test(test_with_retry_unknown_ends_with_an_answer),
        cmocka_unit_test(test_a_refusal_that_is_not_recorded_leaves_the_doubt),
        cmocka_unit_test(test_a_recorded_refusal_ends_the_doubt),
        cmocka_unit_test(test_over_tls),
        cmocka_unit_test(test_a_wrong_ca_is_told),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_a_dead_node_is_left_for_the_next),
        cmocka_unit_test(test_a_load_that_never_starts_is_closed),
        cmocka_unit_test(test_the_first_reason_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
