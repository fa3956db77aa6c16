/* What is committed, as told by a peer that does not lead. */
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/trio.h"

enum { PAYMENTS = 60, QUIET_MS = 1500 };

/* One node of three, started again by itself: it has all entries and nobody to say what of them is
 * committed. */
struct alone {
    struct trio *trio;
    struct trio_node *node;
    uint64_t index; /* of the last entry, which all had applied */
    uint64_t term;
};

static void stop_all(struct trio *trio)
{
    for (uint32_t id = 1; id <= trio->count; id++) {
        trio_stop(trio, id);
    }
}

static struct alone leave_alone(void)
{
    struct alone alone = {.trio = trio_open(3)};
    trio_start_all(alone.trio);
    trio_elect(alone.trio);
    trio_pay(alone.trio, 1, PAYMENTS, 64);
    alone.node = trio_node(alone.trio, 2);
    alone.index = alone.node->applied_last_index;
    alone.term = consensus_term_at(alone.node->consensus, alone.index);
    assert_true(alone.term > 0);
    stop_all(alone.trio);
    trio_start(alone.trio, 2);
    trio_run_for(alone.trio, QUIET_MS);
    assert_int_equal(alone.node->applied_count, 0);
    assert_int_equal(alone.node->leader, 0);
    return alone;
}

static void node_without_a_leader_applies_what_a_peer_knows(void **state)
{
    (void)state;
    struct alone alone = leave_alone();
    struct consensus *consensus = alone.node->consensus;
    const uint64_t term = consensus_term(consensus);
    assert_true(consensus_learn_committed(consensus, 3, alone.index - 10, alone.term));
    assert_int_equal(alone.node->applied_last_index, alone.index - 10);
    assert_true(consensus_learn_committed(consensus, 3, alone.index, alone.term));
    assert_int_equal(alone.node->applied_count, PAYMENTS);
    assert_int_equal(alone.node->applied_last_index, alone.index);
    assert_true(consensus_learn_committed(consensus, 1, alone.index - 1, alone.term)); /* known */
    assert_int_equal(consensus_term(consensus), term);
    assert_int_equal(consensus_leader(consensus), 0); /* the peer leads nobody */
    /* The log is as it was, and each entry is applied once. */
    trio_start(alone.trio, 1);
    trio_start(alone.trio, 3);
    trio_elect(alone.trio);
    trio_pay(alone.trio, PAYMENTS + 1, PAYMENTS, 64);
    trio_check_same(alone.trio);
    assert_int_equal(alone.node->applied_count, 2 * PAYMENTS);
    trio_close(alone.trio);
}

static void only_the_very_entry_is_learned(void **state)
{
    (void)state;
    struct alone alone = leave_alone();
    struct consensus *consensus = alone.node->consensus;
    assert_false(consensus_learn_committed(consensus, 3, alone.index, alone.term + 1));
    assert_false(consensus_learn_committed(consensus, 3, alone.index, alone.term - 1));
    assert_false(consensus_learn_committed(consensus, 3, alone.index, 0));
    const uint64_t last = consensus_last_index(consensus);
    assert_false(consensus_learn_committed(consensus, 3, last + 1, alone.term));
    assert_false(consensus_learn_committed(consensus, 3, last + 1, 0));
    assert_int_equal(alone.node->applied_count, 0);
    trio_close(alone.trio);
}

/* It has a majority, and then knows better, or it has none, and will be deposed. */
static void leader_is_not_told(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    trio_pay(trio, 1, PAYMENTS, 64);
    for (uint32_t id = 1; id <= 3; id++) {
        if (id != leader->id) {
            trio_stop(trio, id);
        }
    }
    const uint64_t entry[8] = {4711};
    check_ok(consensus_propose(leader->consensus, entry, sizeof entry));
    const uint64_t last = consensus_last_index(leader->consensus);
    const uint64_t term = consensus_term_at(leader->consensus, last);
    assert_int_equal(term, leader->term);
    while (consensus_last_stored(leader->consensus) < last) {
        (void)uv_run(&trio->loop, UV_RUN_ONCE);
    }
    assert_int_equal(consensus_role(leader->consensus), ROLE_LEADER);
    assert_false(consensus_learn_committed(leader->consensus, leader->id % 3 + 1, last, term));
    assert_int_equal(leader->applied_count, PAYMENTS);
    trio_close(trio);
}

static void each_entry_has_the_term_of_its_leader(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    struct trio_node *first = trio_elect(trio);
    const uint64_t old_term = first->term;
    trio_pay(trio, 1, PAYMENTS, 64);
    const uint64_t old_index = first->applied_last_index;
    trio_stop(trio, first->id);
    struct trio_node *second = trio_elect(trio);
    trio_pay(trio, PAYMENTS + 1, PAYMENTS, 64);
    const struct consensus *consensus = second->consensus;
    assert_true(second->term > old_term);
    assert_int_equal(consensus_term_at(consensus, old_index), old_term);
    assert_int_equal(consensus_term_at(consensus, second->applied_last_index), second->term);
    assert_int_equal(consensus_term_at(consensus, 0), 0);
    assert_int_equal(consensus_term_at(consensus, consensus_last_index(consensus) + 1), 0);
    trio_close(trio);
}

static bool was_restored(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->restores > 0;
}

/* The end of a snapshot is committed; its term goes with it, and outlives a restart. */
static void manifest_comes_with_the_term_of_its_entry(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio->snapshot_bytes = 16 * 1024;
    trio->snapshot_trailing = 8;
    trio_start_all(trio);
    const uint32_t away = trio_elect(trio)->id;
    struct trio_node *node = trio_node(trio, away);
    trio_stop(trio, away);
    struct trio_node *leader = trio_elect(trio);
    trio_pay(trio, 1, 500, 256);
    trio_start(trio, away);
    trio_run_until(trio, was_restored, node, 20000, "the snapshot is installed");
    assert_true(node->restored_behind);
    assert_int_equal(node->restored.term, leader->term);
    const struct consensus_manifest installed = node->restored;
    assert_int_equal(consensus_term_at(node->consensus, installed.index), installed.term);
    assert_int_equal(consensus_term_at(node->consensus, 1), 0); /* replaced by the snapshot */
    stop_all(trio);
    node->restores = 0;
    node->restored = (struct consensus_manifest){0};
    trio_start(trio, away);
    assert_int_equal(node->restores, 1);
    assert_true(node->restored.index >= installed.index);
    assert_int_equal(node->restored.term, installed.term);
    trio_run_for(trio,
                 300); /* raft prepares its segments; closed at once, it leaves handles open */
    trio_close(trio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_without_a_leader_applies_what_a_peer_knows),
        cmocka_unit_test(only_the_very_entry_is_learned),
        cmocka_unit_test(leader_is_not_told),
        cmocka_unit_test(each_entry_has_the_term_of_its_leader),
        cmocka_unit_test(manifest_comes_with_the_term_of_its_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
