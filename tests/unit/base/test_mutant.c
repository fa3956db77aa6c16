/* Faults on purpose exist in builds for them alone, and there only the one that is named. */
#include "base/mutant.h"

#include "tests/support/check.h"

static bool active_with(const char *name)
{
    assert_int_equal(setenv("PAYLEDGER_MUTANT", name, 1), 0);
    const bool active = MUTANT("a-fault");
    assert_int_equal(unsetenv("PAYLEDGER_MUTANT"), 0);
    return active;
}

static void a_fault_is_active_only_where_it_is_built_in_and_named(void **state)
{
    (void)state;
#ifdef PAYLEDGER_MUTANTS
    assert_true(active_with("a-fault"));
#else
    assert_false(active_with("a-fault"));
#endif
    assert_false(active_with("a-fault-more"));
    assert_false(active_with("a"));
    assert_false(active_with(""));
    assert_false(MUTANT("a-fault"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_is_active_only_where_it_is_built_in_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
