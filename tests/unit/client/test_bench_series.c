#include "client/bench_series.h"

#include "tests/support/check.h"

#include <pthread.h>
#include <string.h>

static const struct histogram no_latency;

/* One request with one posted payment, answered after so long. */
static void add_one(struct bench_series *series, uint32_t second, uint64_t latency_us)
{
    static struct histogram one;
    one = no_latency;
    histogram_add(&one, latency_us);
    const struct bench_counts counts = {.posted = 1, .requests = 1};
    bench_series_add(series, second, &counts, &one);
}

static void test_every_count_is_added_by_its_second(void **state)
{
    (void)state;
    struct bench_series *series = NULL;
    check_ok(bench_series_open(&series, 4));
    const struct bench_counts counts = {.posted = 1,
                                        .refused = 2,
                                        .overloaded = 3,
                                        .unknown = 4,
                                        .not_sent_requests = 5,
                                        .requests = 6,
                                        .reads = 7,
                                        .reads_failed = 8,
                                        .retries = 9};
    bench_series_add(series, 1, &counts, &no_latency);
    bench_series_add(series, 1, &counts, &no_latency);
    bench_series_add(series, 3, &counts, &no_latency);
    const struct bench_second row = bench_series_row(series, 1);
    const struct bench_counts twice = {.posted = 2,
                                       .refused = 4,
                                       .overloaded = 6,
                                       .unknown = 8,
                                       .not_sent_requests = 10,
                                       .requests = 12,
                                       .reads = 14,
                                       .reads_failed = 16,
                                       .retries = 18};
    assert_memory_equal(&row.counts, &twice, sizeof(twice));
    const struct bench_second empty = bench_series_row(series, 2);
    const struct bench_second zero = {.max_us = 0};
    assert_memory_equal(&empty, &zero, sizeof(zero));
    const struct bench_counts sum = bench_series_sum(series, 1, 4);
    assert_int_equal(sum.posted, 3);
    assert_int_equal(sum.retries, 27);
    assert_int_equal(bench_series_sum(series, 2, 3).requests, 0);
    assert_int_equal(bench_series_sum(series, 3, 4).requests, 6);
    assert_int_equal(bench_series_sum(series, 3, 3).requests, 0);
    bench_series_close(series);
}

/* What two threads saw is one distribution: not the mean, and not the later of two percentiles. */
static void test_latencies_of_threads_are_merged(void **state)
{
    (void)state;
    static struct histogram fast;
    static struct histogram slow;
    struct bench_series *series = NULL;
    const struct bench_counts counts = {.requests = 50};
    check_ok(bench_series_open(&series, 2));
    fast = no_latency;
    slow = no_latency;
    for (int i = 0; i < 97; i++) {
        histogram_add(&fast, 10);
    }
    for (int i = 0; i < 3; i++) {
        histogram_add(&slow, 60);
    }
    bench_series_add(series, 0, &counts, &slow);
    struct bench_second row = bench_series_row(series, 0);
    assert_int_equal(row.p50_us, 60);
    bench_series_add(series, 0, &counts, &fast);
    row = bench_series_row(series, 0);
    assert_int_equal(row.p50_us, 10);
    assert_int_equal(row.p99_us, 60);
    assert_int_equal(row.max_us, 60);
    bench_series_close(series);
}

static void test_each_second_has_its_own_latencies(void **state)
{
    (void)state;
    struct bench_series *series = NULL;
    check_ok(bench_series_open(&series, 40));
    for (uint32_t second = 0; second < 40; second++) {
        add_one(series, second, 10 + second % 20);
    }
    for (uint32_t second = 0; second < 40; second++) {
        const struct bench_second row = bench_series_row(series, second);
        assert_int_equal(row.p50_us, 10 + second % 20);
        assert_int_equal(row.p99_us, 10 + second % 20);
        assert_int_equal(row.max_us, 10 + second % 20);
    }
    bench_series_close(series);
}

/* A thread that is behind still finds its second, as long as it is not too far away. */
static void test_threads_may_be_some_seconds_apart(void **state)
{
    (void)state;
    struct bench_series *series = NULL;
    check_ok(bench_series_open(&series, 40));
    add_one(series, 10, 5);
    add_one(series, 10 + BENCH_SECONDS_OPEN - 1, 50);
    add_one(series, 10, 7);
    add_one(series, 10, 7);
    assert_int_equal(bench_series_row(series, 10).p50_us, 7);
    assert_int_equal(bench_series_row(series, 10 + BENCH_SECONDS_OPEN - 1).p50_us, 50);
    /* Too far: counts and the maximum stay right, percentiles stay what they were. */
    add_one(series, 10 + BENCH_SECONDS_OPEN, 20);
    add_one(series, 10, 63);
    const struct bench_second old = bench_series_row(series, 10);
    assert_int_equal(old.counts.posted, 4);
    assert_int_equal(old.max_us, 63);
    assert_int_equal(old.p99_us, 7);
    const struct bench_second new = bench_series_row(series, 10 + BENCH_SECONDS_OPEN);
    assert_int_equal(new.counts.posted, 1);
    assert_int_equal(new.max_us, 20);
    bench_series_close(series);
}

static void test_seconds_without_a_row_are_left_out(void **state)
{
    (void)state;
    struct bench_series *series = NULL;
    check_ok(bench_series_open(&series, 3));
    add_one(series, 2, 5);
    add_one(series, 3, 5);
    add_one(series, UINT32_MAX, 5);
    assert_int_equal(bench_series_sum(series, 0, 3).posted, 1);
    static struct bench_result result;
    bench_series_take(series, 0, &result);
    assert_int_equal(result.seconds_count, 3);
    bench_result_deinit(&result);
    bench_series_close(series);
    bench_series_close(NULL);
}

static void test_rows_are_taken_up_to_the_last(void **state)
{
    (void)state;
    static const struct {
        uint32_t least, wanted;
    } rows[] = {{0, 4}, {4, 4}, {5, 5}, {9, 9}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct bench_result result;
        struct bench_series *series = NULL;
        check_ok(bench_series_open(&series, 9));
        add_one(series, 0, 3);
        add_one(series, 3, 4);
        bench_series_take(series, rows[i].least, &result);
        add_one(series, 0, 9); /* too late, and harmless */
        bench_series_close(series);
        assert_int_equal(result.seconds_count, rows[i].wanted);
        assert_int_equal(result.seconds[0].p50_us, 3);
        assert_int_equal(result.seconds[0].counts.posted, 1);
        assert_int_equal(result.seconds[3].max_us, 4);
        assert_int_equal(result.seconds[rows[i].wanted - 1].counts.reads, 0);
        bench_result_deinit(&result);
    }
}

enum { THREADS = 4, ROUNDS = 200, ROWS = 5 };

static void *add_many(void *data)
{
    static _Thread_local struct histogram one;
    const struct bench_counts counts = {.posted = 2, .reads = 1};
    one = no_latency;
    histogram_add(&one, 8);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        bench_series_add(data, i % ROWS, &counts, &one);
    }
    return NULL;
}

static void test_threads_lose_no_count(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct bench_series *series = NULL;
    check_ok(bench_series_open(&series, ROWS));
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, series), 0);
    }
    /* The watcher looks while they add. */
    uint64_t seen = 0;
    for (int i = 0; i < 100; i++) {
        const struct bench_counts now = bench_series_sum(series, 0, ROWS);
        assert_true(now.posted >= seen);
        assert_int_equal(now.posted, 2 * now.reads); /* never half of what was added */
        seen = now.posted;
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(bench_series_sum(series, 0, ROWS).posted, 2 * THREADS * ROUNDS);
    for (uint32_t row = 0; row < ROWS; row++) {
        assert_int_equal(bench_series_row(series, row).counts.reads, THREADS * ROUNDS / ROWS);
    }
    bench_series_close(series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_count_is_added_by_its_second),
        cmocka_unit_test(test_latencies_of_threads_are_merged),
        cmocka_unit_test(test_each_second_has_its_own_latencies),
        cmocka_unit_test(test_threads_may_be_some_seconds_apart),
        cmocka_unit_test(test_seconds_without_a_row_are_left_out),
        cmocka_unit_test(test_rows_are_taken_up_to_the_last),
        cmocka_unit_test(test_threads_lose_no_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
