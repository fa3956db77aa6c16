#include "tests/support/check.h"
#include "tests/support/trio.h"

static void one_node_elects_itself_and_applies(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    assert_int_equal(leader->id, 1);
    trio_pay(trio, 1, 20, 64);
    assert_int_equal(leader->applied_count, 20);
    trio_close(trio);
}

static void three_nodes_apply_the_same_entries_in_the_same_order(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    trio_pay(trio, 1, 1000, 128);
    trio_check_same(trio);
    assert_true(leader->applied_count >= 1000);
    assert_int_equal(metric_get(&leader->metrics, METRIC_LEADER), 1);
    trio_close(trio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_elects_itself_and_applies),
        cmocka_unit_test(three_nodes_apply_the_same_entries_in_the_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
