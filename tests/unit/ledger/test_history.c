#include "ledger/history.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <stdlib.h>

enum { ENTRIES = 70000 };

/* Walks from the newest entry to entry `target` as an as-of look-up does; returns the steps. */
static uint32_t walk(const struct entry_side *sides, uint64_t newest, uint64_t target)
{
    uint32_t steps = 0;
    uint64_t at = newest;
    while (at > target) {
        const uint64_t jump = history_jump_number(at);
        const uint64_t next = jump >= target ? jump : at - 1;
        /* The payment of entry n has seq n + 100 here. */
        const uint64_t seq = jump >= target ? sides[at].jump_seq : sides[at].previous_seq;
        assert_true(seq == next + 100);
        at = next;
        steps++;
    }
    return steps;
}

static void every_entry_is_reached_in_logarithmic_steps(void **state)
{
    (void)state;
    struct account account = {.number = 5};
    struct entry_side *sides = calloc(ENTRIES + 1, sizeof(*sides));
    assert_non_null(sides);
    for (uint64_t number = 1; number <= ENTRIES; number++) {
        account.credits_posted += 3;
        history_append(&account, number + 100, &sides[number]);
        assert_true(sides[number].number == number && sides[number].account == 5);
        assert_true(sides[number].balance_after == (i128)(3 * number));
    }
    uint32_t most = 0;
    for (uint64_t target = 1; target <= ENTRIES; target += 7) {
        const uint32_t steps = walk(sides, ENTRIES, target);
        most = steps > most ? steps : most;
    }
    assert_in_range(most, 1, 200);
    assert_int_equal(walk(sides, ENTRIES, ENTRIES), 0);
    free(sides);
}

static void the_first_entries_have_no_jump(void **state)
{
    (void)state;
    struct account account = {.number = 1};
    struct entry_side side;
    for (uint64_t number = 1; number <= 16; number++) {
        history_append(&account, number, &side);
        assert_true(side.jump_seq == 0 && history_jump_number(number) == 0);
        assert_true(side.previous_seq == number - 1);
    }
    history_append(&account, 17, &side);
    assert_true(side.jump_seq == 16 && history_jump_number(17) == 16);
}

static void entries_of_one_payment_follow_each_other(void **state)
{
    (void)state;
    struct account account = {.number = 1};
    struct entry_side first;
    struct entry_side second;
    history_append(&account, 9, &first);
    history_append(&account, 9, &second);
    assert_true(first.number == 1 && second.number == 2);
    assert_true(first.previous_seq == 0 && second.previous_seq == 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_reached_in_logarithmic_steps),
        cmocka_unit_test(the_first_entries_have_no_jump),
        cmocka_unit_test(entries_of_one_payment_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
