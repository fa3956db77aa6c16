/*
 * Epochs on a real raft instance: a node that leads alone, its ledger thread stepped by hand.
 */
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/node_rig.h"
#include "tests/support/trio.h"

struct stage {
    struct node_rig *rig;
    struct trio *trio;
};

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    void *rig = NULL;
    assert_int_equal(node_rig_set_up(&rig), 0);
    stage->rig = rig;
    stage->trio = trio_open(1);
    trio_start(stage->trio, 1);
    struct consensus *consensus = trio_node(stage->trio, 1)->consensus;
    consensus->callbacks.on_role = core_on_role;
    consensus->callbacks.on_apply = core_on_apply;
    consensus->data = &stage->rig->node;
    stage->rig->node.consensus = consensus;
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    trio_close(stage->trio);
    stage->rig->node.consensus = NULL;
    void *rig = stage->rig;
    assert_int_equal(node_rig_tear_down(&rig), 0);
    free(stage);
    return 0;
}

static bool epoch_runs(struct trio *trio, void *data)
{
    struct node_rig *rig = data;
    (void)trio;
    rig->now_ns += UINT64_C(1000000);
    core_tick(&rig->node, rig->now_ns);
    node_rig_step(rig);
    core_events(&rig->node);
    return rig->node.epoch_runs && ledger_thread_leading(rig->node.ledger_thread);
}

static void await_epoch(struct stage *stage)
{
    trio_run_until(stage->trio, epoch_runs, stage->rig, 20000, "an epoch begins");
}

static void event_send(struct node_rig *rig, enum ledger_event_kind kind)
{
    struct ledger_event *event = calloc(1, sizeof(*event));
    assert_non_null(event);
    event->kind = kind;
    list_init(&event->node);
    queue_push_always(&rig->node.events, &event->node, 0);
    core_events(&rig->node);
}

struct wanted_answer {
    struct node_rig *rig;
    struct call *call;
};

static bool is_answered(struct trio *trio, void *data)
{
    struct wanted_answer *wanted = data;
    (void)epoch_runs(trio, wanted->rig);
    ledger_thread_stored(wanted->rig->node.ledger_thread,
                         consensus_last_stored(wanted->rig->node.consensus));
    return node_rig_answered(wanted->rig, wanted->call);
}

/* A request goes all the way. */
static void check_pays(struct stage *stage, const char *code)
{
    struct wanted_answer wanted = {stage->rig, node_rig_execute(stage->rig, code)};
    check_ok(node_submit(&stage->rig->node, wanted.call));
    node_inbox(&stage->rig->node);
    trio_run_until(stage->trio, is_answered, &wanted, 20000, "the request is answered");
    assert_int_equal(wanted.call->code, CODE_OK);
    node_rig_call_free(wanted.call);
}

static void an_epoch_begins_with_the_barrier_of_the_term(void **state)
{
    struct stage *stage = *state;
    await_epoch(stage);
    assert_int_equal(stage->rig->node.epoch, 1);
    assert_int_equal(stage->rig->node.term, consensus_term(stage->rig->node.consensus));
    check_pays(stage, "EUR");
}

/* Nobody takes the leadership over: the next epoch comes, and requests are answered in it. */
static void a_leader_whose_outcome_differs_goes_on_where_nobody_else_can(void **state)
{
    struct stage *stage = *state;
    struct node *node = &stage->rig->node;
    await_epoch(stage);
    event_send(stage->rig, LEDGER_EVENT_DIFFERENT);
    assert_false(node->epoch_runs);
    assert_int_equal(node->role, ROLE_LEADER);
    await_epoch(stage);
    assert_int_equal(node->epoch, 2);
    check_pays(stage, "EUR");
}

static void an_outcome_that_differed_before_the_epoch_costs_one_barrier(void **state)
{
    struct stage *stage = *state;
    struct node *node = &stage->rig->node;
    await_epoch(stage);
    event_send(stage->rig, LEDGER_EVENT_DIFFERENT);
    while (!node->barrier_waits) {
        stage->rig->now_ns += UINT64_C(1000000);
        core_tick(node, stage->rig->now_ns);
    }
    event_send(stage->rig, LEDGER_EVENT_DIFFERENT); /* the barrier under way counts no more */
    assert_false(node->barrier_waits);
    await_epoch(stage);
    assert_int_equal(node->epoch, 2);
}

static void a_follower_takes_no_notice_of_an_outcome(void **state)
{
    struct stage *stage = *state;
    struct node *node = &stage->rig->node;
    assert_int_equal(node->role, ROLE_FOLLOWER);
    event_send(stage->rig, LEDGER_EVENT_DIFFERENT);
    assert_int_equal(node->barrier_retry_at_ns, 0);
}

/* raft takes no more for now: what was verified is not proposed, and an epoch follows. */
static void a_refused_proposal_ends_the_epoch(void **state)
{
    struct stage *stage = *state;
    struct node *node = &stage->rig->node;
    await_epoch(stage);
    struct list taken;
    list_init(&taken);
    list_move_all(&taken, &node->consensus->proposals_free);
    struct call *call = node_rig_execute(stage->rig, "EUR");
    check_ok(node_submit(node, call));
    node_rig_step(stage->rig);
    core_events(node);
    assert_false(node->epoch_runs);
    list_move_all(&node->consensus->proposals_free, &taken);
    node_rig_step(stage->rig);
    assert_true(node_rig_answered(stage->rig, call));
    assert_true(call->code != CODE_OK && call->code != CODE_UNKNOWN); /* surely not executed */
    node_rig_call_free(call);
    await_epoch(stage);
    check_pays(stage, "USD");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_epoch_begins_with_the_barrier_of_the_term),
        TEST(a_leader_whose_outcome_differs_goes_on_where_nobody_else_can),
        TEST(an_outcome_that_differed_before_the_epoch_costs_one_barrier),
        TEST(a_follower_takes_no_notice_of_an_outcome),
        TEST(a_refused_proposal_ends_the_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
