/*
 * Draws are compared with the distribution itself, added up term by term: Pearson's chi-squared
 * over bins that expect enough draws. Seeds are fixed, so that the outcome is.
 */
#include "client/zipf.h"

#include "tests/support/check.h"

#include <math.h>

enum { DRAWS = 400000 };

struct source {
    uint64_t state;
    uint64_t asked;
};

static uint64_t source_next(void *data)
{
    struct source *source = data;
    source->asked += 1;
    return test_random(&source->state);
}

/* The probability of each rank, index 0 unused. */
static void probabilities(uint32_t count, double exponent, double *probability)
{
    double sum = 0;
    for (uint32_t rank = count; rank >= 1; rank--) {
        probability[rank] = pow((double)rank, -exponent);
        sum += probability[rank];
    }
    for (uint32_t rank = 1; rank <= count; rank++) {
        probability[rank] /= sum;
    }
}

/* Chi-squared is nearly normal for many bins: its excess over the mean in standard deviations. */
static double chi_excess(const uint32_t *drawn, const double *probability, uint32_t count)
{
    double chi = 0;
    double bins = 0;
    double expected = 0;
    double found = 0;
    for (uint32_t rank = 1; rank <= count; rank++) {
        expected += probability[rank] * DRAWS;
        found += drawn[rank];
        if (expected >= 20 || rank == count) {
            chi += expected > 0 ? (found - expected) * (found - expected) / expected : 0;
            bins += 1;
            expected = 0;
            found = 0;
        }
    }
    return bins < 2 ? 0 : (chi - (bins - 1)) / sqrt(2 * (bins - 1));
}

static void check_distribution(uint32_t count, double exponent)
{
    struct zipf zipf;
    struct source source = {.state = 20261123 + count};
    double *probability = calloc((size_t)count + 1, sizeof(*probability));
    uint32_t *drawn = calloc((size_t)count + 1, sizeof(*drawn));
    assert_non_null(probability);
    assert_non_null(drawn);
    probabilities(count, exponent, probability);
    zipf_init(&zipf, count, exponent);
    for (int i = 0; i < DRAWS; i++) {
        const uint32_t rank = zipf_draw(&zipf, source_next, &source);
        assert_true(rank >= 1 && rank <= count);
        drawn[rank] += 1;
    }
    const double excess = chi_excess(drawn, probability, count);
    if (excess > 5) {
        fail_msg("%u ranks, exponent %.3f: chi-squared is %.1f deviations too high", count,
                 exponent, excess);
    }
    /* As the header promises. */
    if (source.asked > DRAWS + DRAWS / 4) {
        fail_msg("%u ranks, exponent %.3f: %.3f numbers a draw", count, exponent,
                 (double)source.asked / DRAWS);
    }
    free(probability);
    free(drawn);
}

static void test_draws_follow_the_law(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 3, 10, 1000, 100000};
    static const double exponents[] = {0, 0.001, 0.5, 0.99, 1, 1.001, 1.5, 2, 5};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        for (size_t j = 0; j < sizeof(exponents) / sizeof(exponents[0]); j++) {
            check_distribution(counts[i], exponents[j]);
        }
    }
}

static void test_the_first_of_many_accounts_is_as_frequent_as_it_should(void **state)
{
    (void)state;
    enum { ACCOUNTS = 10000000 };
    struct zipf zipf;
    struct source source = {.state = 1};
    double sum = 0;
    double first_ten = 0;
    for (uint32_t rank = ACCOUNTS; rank >= 1; rank--) {
        sum += pow(rank, -0.99);
        first_ten = rank == 11 ? sum : first_ten;
    }
    first_ten = (sum - first_ten) / sum;
    uint32_t drawn = 0;
    zipf_init(&zipf, ACCOUNTS, 0.99);
    for (int i = 0; i < DRAWS; i++) {
        drawn += zipf_draw(&zipf, source_next, &source) <= 10 ? 1 : 0;
    }
    const double deviation = sqrt(DRAWS * first_ten * (1 - first_ten));
    assert_true(fabs(drawn - DRAWS * first_ten) < 5 * deviation);
}

static void test_one_rank_is_always_drawn(void **state)
{
    (void)state;
    static const double exponents[] = {0, 0.99, 1, 5};
    for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
        struct zipf zipf;
        struct source source = {.state = 3};
        zipf_init(&zipf, 1, exponents[i]);
        for (int draw = 0; draw < 1000; draw++) {
            assert_int_equal(zipf_draw(&zipf, source_next, &source), 1);
        }
    }
}

/* First one number that is as extreme as can be, then ordinary ones where it is rejected. */
static uint64_t extreme_next(void *data)
{
    struct source *source = data;
    source->asked += 1;
    return source->asked == 1 ? source->state : source->asked * UINT64_C(0x9E3779B97F4A7C15);
}

static void test_extreme_numbers_stay_in_range(void **state)
{
    (void)state;
    static const uint64_t extremes[] = {0, 1, UINT64_C(1) << 11, UINT64_MAX - 2048, UINT64_MAX};
    static const uint32_t counts[] = {1, 2, 1000, 10000000, UINT32_MAX};
    static const double exponents[] = {0, 1e-9, 0.99, 1 - 1e-9, 1, 1 + 1e-9, 5, 40};
    for (size_t i = 0; i < 5 * 5 * 8; i++) {
        struct zipf zipf;
        struct source source = {.state = extremes[i % 5]};
        const uint32_t count = counts[i / 5 % 5];
        zipf_init(&zipf, count, exponents[i / 25]);
        const uint32_t rank = zipf_draw(&zipf, extreme_next, &source);
        assert_true(rank >= 1 && rank <= count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_follow_the_law),
        cmocka_unit_test(test_the_first_of_many_accounts_is_as_frequent_as_it_should),
        cmocka_unit_test(test_one_rank_is_always_drawn),
        cmocka_unit_test(test_extreme_numbers_stay_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
