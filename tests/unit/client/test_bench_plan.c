#include "client/bench_plan.h"

#include "tests/support/check.h"

#include <math.h>
#include <string.h>

/* 23 November 2026, 13:00:00.123456789 UTC */
static const int64_t begin_ns = INT64_C(1795438800123456789);
static const uint64_t begin_ms = UINT64_C(1795438800123);

static struct bench_options options_of(uint32_t accounts, enum bench_distribution distribution)
{
    return (struct bench_options){.accounts = accounts,
                                  .distribution = distribution,
                                  .exponent_milli = BENCH_EXPONENT_MILLI,
                                  .mix_payments = 1,
                                  .ids_v7 = true,
                                  .seed = 42};
}

/* ---- ids ---------------------------------------------------------------------------------- */

static int uuid_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct uuid));
}

/* RFC 9562, 5.7: 48 bits of milliseconds, most significant first, version 7, variant 10. */
static void test_v7_ids_have_the_time_and_the_marks(void **state)
{
    (void)state;
    static const uint32_t times_ms[] = {0, 1, 999, 86400000, UINT32_MAX};
    const struct bench_options options = options_of(10, BENCH_UNIFORM);
    struct bench_plan plan;
    bench_plan_init(&plan, &options, begin_ns);
    for (uint64_t number = 0; number < 1000; number++) {
        const uint32_t ms = times_ms[number % 5];
        const struct uuid id = bench_plan_id(&plan, (uint32_t)number % 3, number, ms);
        uint64_t time_ms = 0;
        for (int i = 0; i < 6; i++) {
            time_ms = time_ms << 8 | id.bytes[i];
        }
        assert_int_equal(time_ms, begin_ms + ms);
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
    }
}

/* RFC 9562, 5.4 */
static void test_random_ids_are_version_four(void **state)
{
    (void)state;
    struct bench_options options = options_of(10, BENCH_UNIFORM);
    struct bench_plan plan;
    options.ids_v7 = false;
    bench_plan_init(&plan, &options, begin_ns);
    for (uint64_t number = 0; number < 1000; number++) {
        const struct uuid id = bench_plan_id(&plan, 0, number, 5);
        const struct uuid other = bench_plan_id(&plan, 0, number, 6);
        assert_int_equal(id.bytes[6] >> 4, 4);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_memory_equal(&id, &other, sizeof(id)); /* no time in it */
    }
}

/* All bits but the marks (and the time of v7) are as often 1 as 0. */
static void test_ids_are_random_where_they_may_be(void **state)
{
    (void)state;
    enum { IDS = 20000 };
    for (int v7 = 0; v7 < 2; v7++) {
        struct bench_options options = options_of(10, BENCH_UNIFORM);
        struct bench_plan plan;
        uint32_t ones[128] = {0};
        options.ids_v7 = v7 == 1;
        bench_plan_init(&plan, &options, begin_ns);
        for (uint64_t number = 0; number < IDS; number++) {
            const struct uuid id = bench_plan_id(&plan, 0, number, 0);
            for (int bit = 0; bit < 128; bit++) {
                ones[bit] += id.bytes[bit / 8] >> (7 - bit % 8) & 1;
            }
        }
        for (int bit = v7 == 1 ? 48 : 0; bit < 128; bit++) {
            const bool mark = (bit >= 48 && bit < 52) || bit == 64 || bit == 65;
            /* Five standard deviations, which are 71. */
            assert_true(mark || (ones[bit] > IDS / 2 - 354 && ones[bit] < IDS / 2 + 354));
        }
    }
}

static void test_ids_are_unique(void **state)
{
    (void)state;
    enum { LANES = 4, IDS_PER_LANE = 50000, IDS = LANES * IDS_PER_LANE, RUNS = 2 };
    struct uuid *ids = calloc((size_t)RUNS * IDS, sizeof(*ids));
    assert_non_null(ids);
    const struct bench_options options = options_of(10, BENCH_UNIFORM);
    size_t count = 0;
    for (int64_t run = 0; run < RUNS; run++) {
        struct bench_plan plan;
        /* The same seed within the same millisecond: the same payments, but paid anew. */
        bench_plan_init(&plan, &options, begin_ns + run);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            for (uint64_t number = 0; number < IDS_PER_LANE; number++) {
                ids[count] = bench_plan_id(&plan, lane, number, 0);
                count += 1;
            }
        }
    }
    qsort(ids, count, sizeof(*ids), uuid_order);
    for (size_t i = 1; i < count; i++) {
        assert_memory_not_equal(&ids[i - 1], &ids[i], sizeof(*ids));
    }
    free(ids);
}

static void test_an_id_can_be_made_again(void **state)
{
    (void)state;
    const struct bench_options options = options_of(10, BENCH_UNIFORM);
    struct bench_plan plan;
    struct bench_plan again;
    bench_plan_init(&plan, &options, begin_ns);
    bench_plan_init(&again, &options, begin_ns);
    const struct uuid last = bench_plan_id(&plan, 63, UINT64_C(1) << 30, 7);
    const struct uuid first = bench_plan_id(&again, 63, UINT64_C(1) << 30, 7);
    assert_memory_equal(&first, &last, sizeof(first));
}

/* ---- accounts ----------------------------------------------------------------------------- */

static void test_a_payment_goes_between_two_accounts(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 3, 5, 1000, 1618, BENCH_ACCOUNTS_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        for (int distribution = BENCH_UNIFORM; distribution <= BENCH_HOT; distribution++) {
            const struct bench_options options =
                options_of(counts[i], (enum bench_distribution)distribution);
            struct bench_plan plan;
            bench_plan_init(&plan, &options, begin_ns);
            for (uint64_t number = 0; number < 2000; number++) {
                uint32_t debit = UINT32_MAX;
                uint32_t credit = UINT32_MAX;
                bench_plan_accounts(&plan, 1, number, &debit, &credit);
                assert_true(debit < counts[i] && credit < counts[i]);
                assert_int_not_equal(debit, credit);
            }
        }
    }
}

static void test_the_seed_decides_who_pays(void **state)
{
    (void)state;
    struct bench_options options = options_of(1000, BENCH_UNIFORM);
    struct bench_plan plan;
    struct bench_plan later;
    struct bench_plan other;
    uint32_t same_lane = 0;
    uint32_t same_seed = 0;
    bench_plan_init(&plan, &options, begin_ns);
    bench_plan_init(&later, &options, begin_ns + 1000000000);
    struct bench_options changed = options;
    changed.seed = 43;
    bench_plan_init(&other, &changed, begin_ns);
    for (uint64_t number = 0; number < 1000; number++) {
        uint32_t a[2];
        uint32_t b[2];
        bench_plan_accounts(&plan, 0, number, &a[0], &a[1]);
        bench_plan_accounts(&later, 0, number, &b[0], &b[1]);
        assert_memory_equal(a, b, sizeof(a));
        bench_plan_accounts(&plan, 1, number, &b[0], &b[1]);
        same_lane += memcmp(a, b, sizeof(a)) == 0 ? 1 : 0;
        bench_plan_accounts(&other, 0, number, &b[0], &b[1]);
        same_seed += memcmp(a, b, sizeof(a)) == 0 ? 1 : 0;
    }
    assert_true(same_lane < 10 && same_seed < 10);
}

/* How often each account stands on each side of `payments` payments. */
static void count_sides(const struct bench_options *options, uint64_t payments, uint32_t *debits,
                        uint32_t *credits)
{
    struct bench_plan plan;
    bench_plan_init(&plan, options, begin_ns);
    for (uint64_t number = 0; number < payments; number++) {
        uint32_t debit = 0;
        uint32_t credit = 0;
        bench_plan_accounts(&plan, 0, number, &debit, &credit);
        debits[debit] += 1;
        credits[credit] += 1;
    }
}

/* Within five standard deviations of a count that is binomial. */
static void check_count(uint32_t found, double draws, double probability)
{
    const double expected = draws * probability;
    const double deviation = sqrt(expected * (1 - probability));
    if (fabs(found - expected) > 5 * deviation + 1) {
        fail_msg("%u, expected %.0f (%.0f)", found, expected, deviation);
    }
}

/* 40: the golden section of it, 25, has a divisor in common with it. */
enum { PAYMENTS = 200000, ACCOUNTS = 40 };

static void test_uniform_accounts_are_all_alike(void **state)
{
    (void)state;
    uint32_t debits[ACCOUNTS] = {0};
    uint32_t credits[ACCOUNTS] = {0};
    const struct bench_options options = options_of(ACCOUNTS, BENCH_UNIFORM);
    count_sides(&options, PAYMENTS, debits, credits);
    for (int i = 0; i < ACCOUNTS; i++) {
        check_count(debits[i], PAYMENTS, 1.0 / ACCOUNTS);
        check_count(credits[i], PAYMENTS, 1.0 / ACCOUNTS);
    }
}

static void test_a_hot_account_is_in_every_payment(void **state)
{
    (void)state;
    uint32_t debits[ACCOUNTS] = {0};
    uint32_t credits[ACCOUNTS] = {0};
    const struct bench_options options = options_of(ACCOUNTS, BENCH_HOT);
    count_sides(&options, PAYMENTS, debits, credits);
    assert_int_equal(debits[0] + credits[0], PAYMENTS);
    check_count(debits[0], PAYMENTS, 0.5);
    for (int i = 1; i < ACCOUNTS; i++) {
        check_count(debits[i], PAYMENTS, 0.5 / (ACCOUNTS - 1));
        check_count(credits[i], PAYMENTS, 0.5 / (ACCOUNTS - 1));
    }
}

static int descending(const void *a, const void *b)
{
    const uint32_t first = *(const uint32_t *)a;
    const uint32_t second = *(const uint32_t *)b;
    return first < second ? 1 : first > second ? -1 : 0;
}

/*
 * Both sides are drawn by Zipf's law, the second until it differs: rank i is in a payment with
 * probability p_i + sum over j of p_j p_i / (1 - p_j), j other than i. Every rank is an account of
 * its own.
 */
static void test_zipf_accounts_follow_the_law(void **state)
{
    (void)state;
    uint32_t sides[ACCOUNTS] = {0};
    uint32_t credits[ACCOUNTS] = {0};
    double probability[ACCOUNTS];
    double sum = 0;
    const struct bench_options options = options_of(ACCOUNTS, BENCH_ZIPF);
    count_sides(&options, PAYMENTS, sides, credits);
    for (int i = 0; i < ACCOUNTS; i++) {
        /* A hot account pays as often as it is paid. */
        check_count(sides[i], sides[i] + credits[i], 0.5);
        sides[i] += credits[i];
        probability[i] = pow(i + 1, -BENCH_EXPONENT_MILLI / 1000.0);
        sum += probability[i];
    }
    qsort(sides, ACCOUNTS, sizeof(sides[0]), descending);
    for (int i = 0; i < 10; i++) { /* further on neighbours in rank are too alike to be sorted */
        double wanted = probability[i] / sum;
        for (int j = 0; j < ACCOUNTS; j++) {
            const double other = probability[j] / sum;
            wanted += j == i ? 0 : other * (probability[i] / sum) / (1 - other);
        }
        check_count(sides[i], PAYMENTS, wanted);
    }
    assert_true(sides[ACCOUNTS - 1] > 0);
}

/* Frequent accounts are not neighbours in the ledger's file. */
static void test_frequent_accounts_lie_apart(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static uint32_t debits[MANY];
    static uint32_t credits[MANY];
    const struct bench_options options = options_of(MANY, BENCH_ZIPF);
    count_sides(&options, PAYMENTS, debits, credits);
    int best[3];
    for (int place = 0; place < 3; place++) {
        best[place] = 0;
        for (int i = 1; i < MANY; i++) {
            const int other = best[place];
            best[place] = debits[i] + credits[i] > debits[other] + credits[other] ? i : other;
        }
        debits[best[place]] = 0;
        credits[best[place]] = 0;
    }
    assert_int_equal(best[0], 0);
    assert_true(abs(best[1] - best[0]) > 50);
    assert_true(abs(best[2] - best[1]) > 50);
}

/* ---- reads -------------------------------------------------------------------------------- */

static void test_reads_come_in_their_ratio(void **state)
{
    (void)state;
    static const struct {
        uint32_t payments, reads;
    } rows[] = {{1, 0}, {9, 1}, {1, 1}, {1, 1000}, {0, 1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench_options options = options_of(10, BENCH_UNIFORM);
        struct bench_plan plan;
        uint32_t reads = 0;
        options.mix_payments = rows[i].payments;
        options.mix_reads = rows[i].reads;
        bench_plan_init(&plan, &options, begin_ns);
        for (uint64_t number = 0; number < 100000; number++) {
            const bool read = bench_plan_reads(&plan, 0, number);
            assert_int_equal(read, bench_plan_reads(&plan, 0, number));
            reads += read ? 1 : 0;
        }
        check_count(reads, 100000, (double)rows[i].reads / (rows[i].payments + rows[i].reads));
    }
}

/* ---- dice --------------------------------------------------------------------------------- */

/* Steele, Lea and Flood's generator: the outputs of its reference implementation for seed 0. */
static void test_dice_are_splitmix64(void **state)
{
    (void)state;
    struct bench_dice dice = {.state = 0};
    assert_true(bench_dice_next(&dice) == UINT64_C(0xE220A8397B1DCDAF));
    assert_true(bench_dice_next(&dice) == UINT64_C(0x6E789E6AA1B965F4));
    assert_true(bench_dice_next(&dice) == UINT64_C(0x06C45D188009454F));
}

static void test_dice_stay_below_their_bound(void **state)
{
    (void)state;
    static const uint32_t bounds[] = {1, 2, 7, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        struct bench_dice dice = {.state = i};
        uint32_t highest = 0;
        for (int draw = 0; draw < 10000; draw++) {
            const uint32_t value = bench_dice_below(&dice, bounds[i]);
            assert_true(value < bounds[i]);
            highest = value > highest ? value : highest;
        }
        assert_true(highest >= (uint32_t)((uint64_t)(bounds[i] - 1) * 99 / 100));
    }
}

/* Each place has numbers of its own: of arrivals, payments and reads, of lanes, of requests. */
static void test_streams_have_nothing_in_common(void **state)
{
    (void)state;
    const struct bench_options options = options_of(10, BENCH_UNIFORM);
    struct bench_plan plan;
    uint64_t first[4 * 3 * 5];
    size_t count = 0;
    bench_plan_init(&plan, &options, begin_ns);
    for (int stream = BENCH_STREAM_PAYMENTS; stream <= BENCH_STREAM_TARGETS; stream++) {
        for (uint32_t lane = 0; lane < 3; lane++) {
            for (uint64_t number = 0; number < 5; number++) {
                struct bench_dice dice =
                    bench_dice_of(&plan, (enum bench_stream)stream, lane, number);
                first[count] = bench_dice_next(&dice);
                for (size_t i = 0; i < count; i++) {
                    assert_true(first[i] != first[count]);
                }
                count += 1;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v7_ids_have_the_time_and_the_marks),
        cmocka_unit_test(test_random_ids_are_version_four),
        cmocka_unit_test(test_ids_are_random_where_they_may_be),
        cmocka_unit_test(test_ids_are_unique),
        cmocka_unit_test(test_an_id_can_be_made_again),
        cmocka_unit_test(test_a_payment_goes_between_two_accounts),
        cmocka_unit_test(test_the_seed_decides_who_pays),
        cmocka_unit_test(test_uniform_accounts_are_all_alike),
        cmocka_unit_test(test_a_hot_account_is_in_every_payment),
        cmocka_unit_test(test_zipf_accounts_follow_the_law),
        cmocka_unit_test(test_frequent_accounts_lie_apart),
        cmocka_unit_test(test_reads_come_in_their_ratio),
        cmocka_unit_test(test_dice_are_splitmix64),
        cmocka_unit_test(test_dice_stay_below_their_bound),
        cmocka_unit_test(test_streams_have_nothing_in_common),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
