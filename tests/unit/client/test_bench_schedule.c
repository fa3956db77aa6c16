#include "client/bench_schedule.h"

#include "tests/support/check.h"

#include <math.h>

enum { TAKE_MAX = 4096 };

static const uint64_t begin_ns = UINT64_C(5000000000);

/* All that waits, in order; returns how many. */
static uint32_t take_all(struct bench_schedule *schedule, uint64_t intended_ns[TAKE_MAX])
{
    uint32_t count = 0;
    uint64_t one_ns = 0;
    while (bench_schedule_take(schedule, &one_ns)) {
        assert_true(count < TAKE_MAX);
        intended_ns[count] = one_ns;
        count += 1;
    }
    return count;
}

static struct bench_schedule schedule_of(double gap_ns, bool poisson, uint32_t waiting_max,
                                         uint64_t seed, uint64_t length_ns)
{
    struct bench_schedule schedule;
    const struct bench_dice dice = {.state = seed};
    check_ok(bench_schedule_init(&schedule, gap_ns, poisson, waiting_max, dice));
    bench_schedule_begin(&schedule, begin_ns, begin_ns + length_ns);
    return schedule;
}

static void test_even_arrivals_stand_on_a_grid(void **state)
{
    (void)state;
    uint64_t taken_ns[TAKE_MAX];
    struct bench_schedule schedule = schedule_of(250, false, 16, 1, 2000);
    assert_int_equal(bench_schedule_next_ns(&schedule), begin_ns + 250);
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 249), 0);
    assert_int_equal(take_all(&schedule, taken_ns), 0);
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 250), 0);
    assert_int_equal(take_all(&schedule, taken_ns), 1);
    assert_int_equal(taken_ns[0], begin_ns + 250);
    assert_int_equal(bench_schedule_next_ns(&schedule), begin_ns + 500);
    /* Late: all that were due meanwhile, each with its own time and not the present one. */
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 1100), 0);
    assert_int_equal(take_all(&schedule, taken_ns), 3);
    assert_int_equal(taken_ns[0], begin_ns + 500);
    assert_int_equal(taken_ns[1], begin_ns + 750);
    assert_int_equal(taken_ns[2], begin_ns + 1000);
    bench_schedule_deinit(&schedule);
}

static void test_no_arrival_at_the_end_or_later(void **state)
{
    (void)state;
    uint64_t taken_ns[TAKE_MAX];
    struct bench_schedule schedule = schedule_of(250, false, 16, 1, 1000);
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 1000000), 0);
    assert_int_equal(take_all(&schedule, taken_ns), 3);
    assert_int_equal(taken_ns[2], begin_ns + 750);
    assert_true(bench_schedule_next_ns(&schedule) == UINT64_MAX);
    assert_int_equal(bench_schedule_advance(&schedule, UINT64_MAX), 0);
    assert_int_equal(take_all(&schedule, taken_ns), 0);
    bench_schedule_deinit(&schedule);
    schedule = schedule_of(250, false, 16, 1, 0);
    assert_true(bench_schedule_next_ns(&schedule) == UINT64_MAX);
    bench_schedule_deinit(&schedule);
}

static void test_fractions_of_a_nanosecond_are_not_lost(void **state)
{
    (void)state;
    uint64_t taken_ns[TAKE_MAX];
    /* 3 a second: the third after exactly one second, the 3,000th after 1,000 of them. */
    struct bench_schedule schedule =
        schedule_of(1e9 / 3, false, TAKE_MAX, 1, UINT64_C(1001000000000));
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + UINT64_C(1000000000010)), 0);
    assert_int_equal(take_all(&schedule, taken_ns), 3000);
    assert_int_equal(taken_ns[0], begin_ns + 333333333);
    assert_int_equal(taken_ns[1], begin_ns + 666666666);
    assert_in_range(taken_ns[2999], begin_ns + UINT64_C(999999999990),
                    begin_ns + UINT64_C(1000000000010));
    bench_schedule_deinit(&schedule);
}

static void test_a_full_backlog_drops_the_newest_and_says_so(void **state)
{
    (void)state;
    uint64_t taken_ns[TAKE_MAX];
    struct bench_schedule schedule = schedule_of(100, false, 3, 1, 100000);
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 300), 0);
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 1000), 7);
    assert_int_equal(take_all(&schedule, taken_ns), 3);
    assert_int_equal(taken_ns[0], begin_ns + 100);
    assert_int_equal(taken_ns[1], begin_ns + 200);
    assert_int_equal(taken_ns[2], begin_ns + 300);
    /* The dropped ones are gone, time went on. */
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 1100), 0);
    assert_int_equal(take_all(&schedule, taken_ns), 1);
    assert_int_equal(taken_ns[0], begin_ns + 1100);
    bench_schedule_deinit(&schedule);
}

static void test_the_backlog_is_first_in_first_out_around_its_end(void **state)
{
    (void)state;
    struct bench_schedule schedule = schedule_of(100, false, 4, 1, 1000000);
    uint64_t wanted_ns = begin_ns;
    uint64_t taken_ns = 0;
    for (uint64_t step = 1; step <= 50; step++) {
        /* Three come, three go: the ring of four turns by three each time. */
        assert_int_equal(bench_schedule_advance(&schedule, begin_ns + step * 300), 0);
        assert_int_equal(schedule.count, 3);
        for (int i = 0; i < 3; i++) {
            wanted_ns += 100;
            assert_true(bench_schedule_take(&schedule, &taken_ns));
            assert_int_equal(taken_ns, wanted_ns);
        }
        assert_false(bench_schedule_take(&schedule, &taken_ns));
        assert_int_equal(taken_ns, wanted_ns);
    }
    bench_schedule_deinit(&schedule);
}

/* splitmix64 and the inverse of the exponential distribution, written down a second time. */
static double gap_expected(uint64_t *seed, double gap_ns)
{
    *seed += UINT64_C(11400714819323198485);
    uint64_t z = *seed;
    z = (z ^ (z >> 30)) * UINT64_C(13787848793156543929);
    z = (z ^ (z >> 27)) * UINT64_C(10723151780598845931);
    z = z ^ (z >> 31);
    return gap_ns * -log(((double)(z / 2048) + 1) / 9007199254740992.0);
}

static void test_poisson_arrivals_follow_from_the_seed(void **state)
{
    (void)state;
    uint64_t taken_ns[TAKE_MAX];
    uint64_t seed = 77;
    double at_ns = 0;
    struct bench_schedule schedule = schedule_of(10000, true, TAKE_MAX, 77, 10000000);
    assert_int_equal(bench_schedule_advance(&schedule, begin_ns + 10000000), 0);
    const uint32_t count = take_all(&schedule, taken_ns);
    assert_in_range(count, 800, 1200);
    for (uint32_t i = 0; i < count; i++) {
        at_ns += gap_expected(&seed, 10000);
        assert_int_equal(taken_ns[i], begin_ns + (uint64_t)at_ns);
    }
    assert_true(at_ns + gap_expected(&seed, 10000) >= 10000000);
    bench_schedule_deinit(&schedule);
}

/* Counts of a Poisson process in equal spans: mean and variance are the same. */
static void test_poisson_counts_vary_as_they_should(void **state)
{
    (void)state;
    enum { SPANS = 20000, MEAN = 20 };
    uint64_t taken_ns[TAKE_MAX];
    double sum = 0;
    double squares = 0;
    struct bench_schedule schedule =
        schedule_of(1000, true, TAKE_MAX, 2026, (uint64_t)SPANS * MEAN * 1000);
    for (uint64_t i = 1; i <= SPANS; i++) {
        assert_int_equal(bench_schedule_advance(&schedule, begin_ns + i * MEAN * 1000 - 1), 0);
        const double count = take_all(&schedule, taken_ns);
        sum += count;
        squares += count * count;
    }
    const double mean = sum / SPANS;
    const double variance = squares / SPANS - mean * mean;
    /* Standard errors: 0.03 and 0.2; the seed is fixed, the bounds are five of them wide. */
    assert_true(fabs(mean - MEAN) < 0.16);
    assert_true(fabs(variance - MEAN) < 1.1);
    bench_schedule_deinit(&schedule);
}

static void test_deinit_is_harmless_twice(void **state)
{
    (void)state;
    struct bench_schedule schedule = schedule_of(1, false, 1, 1, 0);
    uint64_t taken_ns = 9;
    assert_false(bench_schedule_take(&schedule, &taken_ns));
    assert_int_equal(taken_ns, 9);
    bench_schedule_deinit(&schedule);
    bench_schedule_deinit(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_arrivals_stand_on_a_grid),
        cmocka_unit_test(test_no_arrival_at_the_end_or_later),
        cmocka_unit_test(test_fractions_of_a_nanosecond_are_not_lost),
        cmocka_unit_test(test_a_full_backlog_drops_the_newest_and_says_so),
        cmocka_unit_test(test_the_backlog_is_first_in_first_out_around_its_end),
        cmocka_unit_test(test_poisson_arrivals_follow_from_the_seed),
        cmocka_unit_test(test_poisson_counts_vary_as_they_should),
        cmocka_unit_test(test_deinit_is_harmless_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
