#include "client/histogram.h"

#include "tests/support/check.h"

static void test_percentiles_are_close(void **state)
{
    (void)state;
    static struct histogram histogram;
    assert_int_equal(histogram_percentile(&histogram, 500), 0);
    for (uint64_t value = 1; value <= 100000; value++) {
        histogram_add(&histogram, value);
    }
    static const uint32_t permilles[] = {1, 10, 500, 900, 990, 999, 1000};
    for (size_t i = 0; i < sizeof(permilles) / sizeof(permilles[0]); i++) {
        const uint64_t exact = (uint64_t)permilles[i] * 100;
        const uint64_t found = histogram_percentile(&histogram, permilles[i]);
        assert_true(found >= exact);
        assert_true(found <= exact + exact / 32 + 1);
    }
    assert_int_equal(histogram.value_max, 100000);
    assert_int_equal(histogram.count, 100000);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    static struct histogram histogram;
    histogram_add(&histogram, 7);
    histogram_add(&histogram, 63);
    assert_int_equal(histogram_percentile(&histogram, 500), 7);
    assert_int_equal(histogram_percentile(&histogram, 1000), 63);
}

static void test_huge_values_do_no_harm(void **state)
{
    (void)state;
    static struct histogram histogram;
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, 0);
    assert_int_equal(histogram_percentile(&histogram, 500), 0);
    assert_true(histogram_percentile(&histogram, 1000) > UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_are_close),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_huge_values_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
