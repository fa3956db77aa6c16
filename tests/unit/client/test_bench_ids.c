#include "client/bench_ids.h"

#include "base/limits.h"
#include "tests/support/check.h"

static const uint64_t ids_max = UINT64_C(1) << 30;

static uint64_t give(struct bench_ids *ids, uint32_t now_ms)
{
    uint32_t ms = 0;
    return bench_ids_give(ids, now_ms, &ms);
}

static void test_nothing_is_remembered_at_first(void **state)
{
    (void)state;
    struct bench_ids ids;
    bench_ids_init(&ids, 1, ids_max);
    assert_int_equal(bench_ids_end(&ids), 0);
    assert_false(bench_ids_acknowledged(&ids, 0));
    bench_ids_deinit(&ids);
    bench_ids_deinit(&ids);
}

static void test_requests_are_numbered_from_zero(void **state)
{
    (void)state;
    struct bench_ids ids;
    bench_ids_init(&ids, 3, ids_max);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(give(&ids, 0), i);
        assert_int_equal(bench_ids_end(&ids), 3 * (i + 1));
    }
    bench_ids_deinit(&ids);
}

static void test_each_item_is_acknowledged_alone(void **state)
{
    (void)state;
    struct bench_ids ids;
    bench_ids_init(&ids, 3, ids_max);
    for (int i = 0; i < 100; i++) {
        (void)give(&ids, 0);
    }
    bench_ids_acknowledge(&ids, 0, 0);
    bench_ids_acknowledge(&ids, 21, 0); /* payment 63, the last of a word */
    bench_ids_acknowledge(&ids, 21, 1); /* payment 64, the first of the next */
    bench_ids_acknowledge(&ids, 99, 2);
    for (uint64_t payment = 0; payment < 300; payment++) {
        const bool wanted = payment == 0 || payment == 63 || payment == 64 || payment == 299;
        assert_int_equal(bench_ids_acknowledged(&ids, payment), wanted);
    }
    assert_false(bench_ids_acknowledged(&ids, 300));
    assert_false(bench_ids_acknowledged(&ids, UINT64_MAX));
    assert_int_equal(ids.acknowledged_count, 4);
    bench_ids_deinit(&ids);
}

static void test_acknowledged_twice_counts_once(void **state)
{
    (void)state;
    struct bench_ids ids;
    bench_ids_init(&ids, 2, ids_max);
    (void)give(&ids, 0);
    bench_ids_acknowledge(&ids, 0, 1);
    bench_ids_acknowledge(&ids, 0, 1);
    assert_int_equal(ids.acknowledged_count, 1);
    assert_true(bench_ids_acknowledged(&ids, 1));
    assert_false(bench_ids_acknowledged(&ids, 0));
    bench_ids_deinit(&ids);
}

/* The time is given to 64 payments together, and each payment's is told again at the end. */
static void test_times_are_told_again(void **state)
{
    (void)state;
    static const struct {
        uint32_t payments;
        uint32_t neighbours; /* requests that share a time */
    } rows[] = {{1, 64}, {2, 32}, {3, 21}, {32, 2},
                {33, 1}, {63, 1}, {64, 1}, {BATCH_ITEMS_MAX, 1}};
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        const uint32_t payments = rows[row].payments;
        struct bench_ids ids;
        bench_ids_init(&ids, payments, ids_max);
        for (uint32_t i = 0; i < 300; i++) {
            uint32_t ms = 0;
            const uint64_t request = bench_ids_give(&ids, 1000 + 7 * i, &ms);
            assert_int_equal(request, i);
            assert_int_equal(ms, 1000 + 7 * (i - i % rows[row].neighbours));
        }
        assert_int_equal(bench_ids_end(&ids), (uint64_t)300 * payments);
        for (uint32_t i = 0; i < 300; i++) {
            const uint32_t wanted = 1000 + 7 * (i - i % rows[row].neighbours);
            const uint64_t first = (uint64_t)i * payments;
            assert_int_equal(bench_ids_ms(&ids, first), wanted);
            assert_int_equal(bench_ids_ms(&ids, first + payments - 1), wanted);
        }
        bench_ids_deinit(&ids);
    }
}

/* Memory grows by doubling: what was noted before is still there, what is new is empty. */
static void test_growth_keeps_what_was_noted(void **state)
{
    (void)state;
    struct bench_ids ids;
    enum { REQUESTS = 600000 };
    bench_ids_init(&ids, 1, ids_max);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(give(&ids, i), i);
        if (i % 3 == 0) {
            bench_ids_acknowledge(&ids, i, 0);
        }
    }
    assert_int_equal(bench_ids_end(&ids), REQUESTS);
    assert_int_equal(ids.acknowledged_count, REQUESTS / 3);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(bench_ids_acknowledged(&ids, i), i % 3 == 0);
        assert_int_equal(bench_ids_ms(&ids, i), i - i % 64);
    }
    bench_ids_deinit(&ids);
}

/*
 * Whole requests are remembered as long as there is room: of one that is cut off, the id could not
 * be made again.
 */
static void test_what_is_beyond_the_bound_is_not_remembered(void **state)
{
    (void)state;
    struct bench_ids ids;
    bench_ids_init(&ids, 40, 100); /* two requests and a half */
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t ms = 0;
        assert_int_equal(bench_ids_give(&ids, 500 + i, &ms), i);
        assert_int_equal(ms, 500 + i); /* ids go on as before */
        for (uint32_t item = 0; item < 40; item++) {
            bench_ids_acknowledge(&ids, i, item);
        }
    }
    assert_int_equal(bench_ids_end(&ids), 80);
    assert_int_equal(ids.acknowledged_count, 80);
    assert_true(bench_ids_acknowledged(&ids, 79));
    assert_false(bench_ids_acknowledged(&ids, 80));
    assert_int_equal(bench_ids_ms(&ids, 79), 501);
    bench_ids_deinit(&ids);
    bench_ids_init(&ids, 1, 0);
    assert_int_equal(give(&ids, 0), 0);
    bench_ids_acknowledge(&ids, 0, 0);
    assert_int_equal(bench_ids_end(&ids), 0);
    assert_int_equal(ids.acknowledged_count, 0);
    bench_ids_deinit(&ids);
}

/* Where memory gives out, only what has both its bit and its time counts as remembered. */
static void test_without_memory_the_rest_is_not_remembered(void **state)
{
    (void)state;
    struct bench_ids ids;
    bench_ids_init(&ids, 40, ids_max);
    for (uint32_t i = 0; i < 4096; i++) {
        (void)give(&ids, i);
    }
    const uint64_t end = bench_ids_end(&ids);
    assert_int_equal(end, 4096 * 40);
    ids.failed = true; /* as a refused growth leaves it: there are bits for more, but no times */
    for (uint32_t i = 4096; i < 6000; i++) {
        assert_int_equal(give(&ids, i), i);
        bench_ids_acknowledge(&ids, i, 0);
    }
    assert_int_equal(bench_ids_end(&ids), end);
    assert_int_equal(ids.acknowledged_count, 0);
    assert_int_equal(bench_ids_ms(&ids, end - 1), 4095);
    bench_ids_deinit(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_remembered_at_first),
        cmocka_unit_test(test_requests_are_numbered_from_zero),
        cmocka_unit_test(test_each_item_is_acknowledged_alone),
        cmocka_unit_test(test_acknowledged_twice_counts_once),
        cmocka_unit_test(test_times_are_told_again),
        cmocka_unit_test(test_growth_keeps_what_was_noted),
        cmocka_unit_test(test_what_is_beyond_the_bound_is_not_remembered),
        cmocka_unit_test(test_without_memory_the_rest_is_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
