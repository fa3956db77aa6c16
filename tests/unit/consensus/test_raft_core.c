/* Who is chosen when leadership is handed over: raft's own choice may be a node that is gone. */
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/trio.h"

static uint32_t another(const struct trio *trio, uint32_t id)
{
    return id % trio->count + 1;
}

struct wanted_link {
    const struct consensus *consensus;
    uint32_t peer;
    bool up;
};

static bool link_is(struct trio *trio, void *data)
{
    const struct wanted_link *wanted = data;
    (void)trio;
    return consensus_link_up(wanted->consensus, wanted->peer) == wanted->up;
}

/* The leader, linked to all running peers and to none of the others. */
static struct trio_node *linked_leader(struct trio *trio)
{
    struct trio_node *leader = trio_elect(trio);
    for (uint32_t id = 1; id <= trio->count; id++) {
        struct wanted_link wanted = {leader->consensus, id, trio_node(trio, id)->consensus != NULL};
        if (id != leader->id) {
            trio_run_until(trio, link_is, &wanted, 20000, "links are up or down as their nodes");
        }
    }
    assert_true(trio_leader(trio) == leader);
    return leader;
}

static bool caught_up(struct trio *trio, void *data)
{
    (void)data;
    const struct trio_node *leader = trio_leader(trio);
    for (uint32_t id = 1; id <= trio->count && leader != NULL; id++) {
        raft_index match = 0;
        if (trio_node(trio, id)->consensus != NULL && id != leader->id &&
            (raft_match_index(leader->consensus->raft, id, &match) != 0 ||
             match != consensus_last_index(leader->consensus))) {
            return false;
        }
    }
    return leader != NULL;
}

/* One of two is gone, but was as up to date as the other: both ways, so that one is raft's choice.
 */
static void check_heir_without(uint32_t step)
{
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_pay(trio, 1, 10, 64);
    trio_run_until(trio, caught_up, NULL, 20000, "all have the log");
    uint32_t gone = (trio_elect(trio)->id + step - 1) % 3 + 1;
    trio_stop(trio, gone);
    struct trio_node *leader = linked_leader(trio);
    check_ok(consensus_transfer(leader->consensus, 0));
    assert_int_equal(raft_transferee(leader->consensus->raft), 6 - leader->id - gone);
    trio_close(trio);
}

static void a_node_that_is_gone_inherits_nothing(void **state)
{
    (void)state;
    check_heir_without(1);
    check_heir_without(2);
}

struct wanted_match {
    const struct consensus *leader;
    uint32_t peer;
};

static bool has_the_log(struct trio *trio, void *data)
{
    const struct wanted_match *wanted = data;
    raft_index match = 0;
    (void)trio;
    return raft_match_index(wanted->leader->raft, wanted->peer, &match) == 0 &&
           match == consensus_last_index(wanted->leader);
}

/* One of two reads nothing for a while, whichever would be the next in turn. */
static void the_longest_log_inherits(void **state)
{
    (void)state;
    for (uint32_t step = 1; step <= 2; step++) {
        struct trio *trio = trio_open(3);
        trio_start_all(trio);
        trio_pay(trio, 1, 10, 64);
        struct trio_node *leader = linked_leader(trio);
        trio_run_until(trio, caught_up, NULL, 20000, "all have the log");
        uint32_t behind = (leader->id + step - 1) % 3 + 1;
        uint32_t other = 6 - leader->id - behind;
        consensus_pause(trio_node(trio, behind)->consensus, true);
        uint8_t bytes[16] = {0};
        check_ok(consensus_propose(leader->consensus, bytes, sizeof bytes));
        struct wanted_match wanted = {leader->consensus, other};
        trio_run_until(trio, has_the_log, &wanted, 20000, "the other one has the entry");
        leader->consensus->heir_place = (behind + 1) % 3; /* the next in turn is behind - 1 */
        check_ok(consensus_transfer(leader->consensus, 0));
        assert_int_equal(raft_transferee(leader->consensus->raft), other);
        trio_close(trio);
    }
}

static bool leads_no_more(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->role != ROLE_LEADER;
}

/* The first one is connected and up to date, and takes nothing: the next try is another's. */
static void a_resigning_leader_tries_one_after_the_other(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_pay(trio, 1, 10, 64);
    struct trio_node *leader = linked_leader(trio);
    trio_run_until(trio, caught_up, NULL, 20000, "all have the log");
    uint64_t term = leader->term;
    consensus_resign(leader->consensus, "the test wants it");
    struct trio_node *deaf = trio_node(trio, (uint32_t)raft_transferee(leader->consensus->raft));
    consensus_pause(deaf->consensus, true);
    trio_run_until(trio, leads_no_more, leader, 20000, "it leads no more");
    consensus_pause(deaf->consensus, false);
    assert_true(trio_elect(trio)->term > term);
    trio_pay(trio, 11, 10, 64);
    trio_close(trio);
}

/* Alone, it goes on: a resignation that nobody takes must not stop proposals for ever. */
static void a_leader_without_an_heir_takes_proposals(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    trio_start_all(trio);
    struct trio_node *leader = trio_elect(trio);
    check_status(consensus_transfer(leader->consensus, 0), STATUS_NOT_FOUND);
    consensus_resign(leader->consensus, "the test wants it");
    trio_pay(trio, 1, 10, 64);
    assert_int_equal(leader->role, ROLE_LEADER);
    trio_close(trio);
}

static void a_second_transfer_waits_for_the_first(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_pay(trio, 1, 10, 64);
    struct trio_node *leader = linked_leader(trio);
    uint8_t bytes[16] = {0};
    check_ok(consensus_transfer(leader->consensus, another(trio, leader->id)));
    check_status(consensus_transfer(leader->consensus, 0), STATUS_AGAIN);
    check_status(consensus_propose(leader->consensus, bytes, sizeof bytes), STATUS_NOT_LEADER);
    trio_close(trio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_is_gone_inherits_nothing),
        cmocka_unit_test(the_longest_log_inherits),
        cmocka_unit_test(a_resigning_leader_tries_one_after_the_other),
        cmocka_unit_test(a_leader_without_an_heir_takes_proposals),
        cmocka_unit_test(a_second_transfer_waits_for_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
