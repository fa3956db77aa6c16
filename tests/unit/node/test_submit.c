/* Where calls go: to the ledger, to the leader, or back to the client. */
#include "tests/support/check.h"
#include "tests/support/node_rig.h"

static void submit(struct node_rig *rig, struct call *call)
{
    check_ok(node_submit(&rig->node, call));
    node_inbox(&rig->node);
    node_rig_step(rig);
}

static void expect_code(struct node_rig *rig, struct call *call, enum code code)
{
    assert_true(node_rig_answered(rig, call));
    assert_int_equal(call->code, code);
    node_rig_call_free(call);
}

/* What the core does with a barrier that the ledger thread has answered. */
static void barrier_event(struct node_rig *rig)
{
    struct list events;
    list_init(&events);
    assert_int_equal(queue_pop_all(&rig->node.events, &events), 1);
    struct ledger_event *event = CONTAINER_OF(list_pop(&events), struct ledger_event, node);
    assert_int_equal(event->kind, LEDGER_EVENT_BARRIER);
    node_barrier_done(&rig->node, event->job, event->job->request.code);
    free(event);
    node_rig_step(rig);
}

static void a_leader_keeps_its_requests(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    node_rig_lead(rig);
    struct call *call = node_rig_execute(rig, "EUR");
    submit(rig, call);
    assert_false(node_rig_answered(rig, call));
    node_rig_apply(rig, 1);
    assert_true(node_rig_answered(rig, call));
    assert_true(call->outcomes_count == 1 && call->seq == 1);
    assert_false(node_rig_sent(rig, 2, &item) || node_rig_sent(rig, 3, &item));
    expect_code(rig, call, CODE_OK);
}

static void a_follower_forwards_to_the_leader(void **state)
{
    struct node_rig *rig = *state;
    struct call *call = node_rig_execute(rig, "EUR");
    const size_t size = call->request.size;
    submit(rig, call);
    struct link_item item;
    assert_true(node_rig_sent(rig, 2, &item));
    assert_int_equal(item.kind, LINK_REQUEST);
    assert_int_equal(item.bytes.size, size);
    assert_false(node_rig_sent(rig, 3, &item));
    assert_false(node_rig_answered(rig, call));
    forward_link_down(&rig->node, 2);
    expect_code(rig, call, CODE_UNKNOWN); /* the leader may have it */
}

static void without_a_leader_a_request_is_refused(void **state)
{
    struct node_rig *rig = *state;
    rig->node.leader = 0;
    struct call *call = node_rig_execute(rig, "EUR");
    submit(rig, call);
    expect_code(rig, call, CODE_NO_LEADER);
    rig->node.leader = 2;
    node_peer(&rig->node, 2)->link_up = false;
    call = node_rig_execute(rig, "EUR");
    submit(rig, call);
    expect_code(rig, call, CODE_NO_LEADER);
}

static void a_new_leader_lets_requests_wait_for_its_epoch(void **state)
{
    struct node_rig *rig = *state;
    rig->node.role = ROLE_LEADER;
    rig->node.leader = 1;
    struct call *call = node_rig_execute(rig, "EUR");
    submit(rig, call);
    assert_false(node_rig_answered(rig, call));
    assert_false(list_empty(&rig->node.epoch_jobs));
    struct job *job = CONTAINER_OF(rig->node.epoch_jobs.next, struct job, node);
    node_rig_lead(rig);
    node_route(&rig->node, job);
    assert_true(list_empty(&rig->node.epoch_jobs));
    node_rig_step(rig);
    node_rig_apply(rig, 1);
    expect_code(rig, call, CODE_OK);
}

static void a_job_is_routed_a_few_times_only(void **state)
{
    struct node_rig *rig = *state;
    rig->node.role = ROLE_LEADER; /* without an epoch: it comes back again and again */
    struct call *call = node_rig_execute(rig, "EUR");
    submit(rig, call);
    for (int i = 1; i < BOUNCES_MAX; i++) {
        node_route(&rig->node, CONTAINER_OF(rig->node.epoch_jobs.next, struct job, node));
        assert_false(node_rig_answered(rig, call));
    }
    node_route(&rig->node, CONTAINER_OF(rig->node.epoch_jobs.next, struct job, node));
    expect_code(rig, call, CODE_NO_LEADER);
}

static void what_is_too_much_is_not_taken(void **state)
{
    struct node_rig *rig = *state;
    struct call *call = node_rig_execute(rig, "EUR");
    const size_t size = call->request.size;
    atomic_store(&rig->node.admission.full, true);
    check_status(node_submit(&rig->node, call), STATUS_FULL);
    assert_int_equal(call->request.size, size); /* the caller still has it */
    atomic_store(&rig->node.admission.full, false);
    atomic_store(&rig->node.admission.closed, true);
    check_status(node_submit(&rig->node, call), STATUS_CLOSED);
    assert_false(node_rig_answered(rig, call));
    node_rig_call_free(call);
}

/* Fills the entries in flight and leaves so many commands waiting; the calls in order. */
static void backlog_make(struct node_rig *rig, struct call *calls[ENTRIES_WINDOW + 1],
                         uint32_t waiting)
{
    node_rig_lead(rig);
    for (uint32_t i = 0; i <= ENTRIES_WINDOW; i++) {
        calls[i] = node_rig_batch(rig, i < ENTRIES_WINDOW ? 1 : waiting);
        submit(rig, calls[i]);
        node_rig_step(rig);
    }
}

static void backlog_free(struct node_rig *rig, struct call *calls[ENTRIES_WINDOW + 1])
{
    ledger_thread_stop(rig->node.ledger_thread);
    for (uint32_t i = 0; i <= ENTRIES_WINDOW; i++) {
        assert_true(node_rig_answered(rig, calls[i]));
        node_rig_call_free(calls[i]);
    }
}

static void behind_a_long_wait_nothing_more_is_taken(void **state)
{
    struct node_rig *rig = *state;
    struct call *calls[ENTRIES_WINDOW + 1];
    backlog_make(rig, calls, ENTRY_COMMANDS_ENOUGH);
    rig->now_ns += (BACKLOG_MS_MAX - 1) * UINT64_C(1000000);
    assert_false(node_busy(&rig->node));
    rig->now_ns += UINT64_C(1000000);
    assert_true(node_busy(&rig->node));
    struct call *call = node_rig_execute(rig, "EUR");
    check_status(node_submit(&rig->node, call), STATUS_FULL);
    struct call *read = node_rig_read(rig);
    read->read_mode = READ_STALE; /* reads cost no entry */
    submit(rig, read);
    expect_code(rig, read, CODE_OK);
    ledger_thread_epoch_end(rig->node.ledger_thread); /* nothing waits any more */
    node_rig_step(rig);
    assert_false(node_busy(&rig->node));
    node_rig_call_free(call);
    backlog_free(rig, calls);
}

/* However fast they came: nobody has waited yet. */
static void too_many_commands_are_not_taken_at_all(void **state)
{
    enum { MORE_COUNT = (BACKLOG_COMMANDS_MAX - ENTRY_COMMANDS_ENOUGH) / BATCH_ITEMS_MAX + 1 };
    struct node_rig *rig = *state;
    struct call *calls[ENTRIES_WINDOW + 1];
    backlog_make(rig, calls, ENTRY_COMMANDS_ENOUGH);
    struct call *more[MORE_COUNT];
    uint32_t room = BACKLOG_COMMANDS_MAX - ENTRY_COMMANDS_ENOUGH - 1;
    for (size_t i = 0; i < MORE_COUNT; i++) {
        const uint32_t count = room < BATCH_ITEMS_MAX ? room : BATCH_ITEMS_MAX;
        more[i] = node_rig_batch(rig, count);
        submit(rig, more[i]); /* still in the queue */
        room -= count;
    }
    assert_int_equal(room, 0);
    assert_false(node_busy(&rig->node));
    struct call *last = node_rig_execute(rig, "EUR");
    submit(rig, last);
    assert_true(node_busy(&rig->node));
    node_rig_step(rig); /* taken, and waiting */
    assert_true(node_busy(&rig->node));
    struct call *call = node_rig_execute(rig, "EUR");
    check_status(node_submit(&rig->node, call), STATUS_FULL);
    node_rig_call_free(call);
    backlog_free(rig, calls);
    for (size_t i = 0; i < MORE_COUNT; i++) {
        assert_true(node_rig_answered(rig, more[i]));
        node_rig_call_free(more[i]);
    }
    assert_true(node_rig_answered(rig, last));
    node_rig_call_free(last);
}

static void what_the_next_entry_takes_may_wait_for_long(void **state)
{
    struct node_rig *rig = *state;
    struct call *calls[ENTRIES_WINDOW + 1];
    backlog_make(rig, calls, ENTRY_COMMANDS_ENOUGH - 1);
    rig->now_ns += 4 * BACKLOG_MS_MAX * UINT64_C(1000000);
    assert_false(node_busy(&rig->node));
    backlog_free(rig, calls);
}

static void a_leader_short_of_disk_takes_no_payments(void **state)
{
    struct node_rig *rig = *state;
    node_rig_lead(rig);
    atomic_store(&rig->node.admission.disk_short, true);
    struct call *call = node_rig_execute(rig, "EUR");
    submit(rig, call);
    expect_code(rig, call, CODE_STORAGE_FULL);
    struct call *read = node_rig_read(rig);
    read->read_mode = READ_STALE;
    submit(rig, read);
    expect_code(rig, read, CODE_OK);
}

static void stale_reads_are_answered_here(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    struct call *call = node_rig_read(rig);
    call->read_mode = READ_STALE;
    submit(rig, call);
    assert_false(node_rig_sent(rig, 2, &item));
    expect_code(rig, call, CODE_OK);
}

static void a_read_of_a_seq_waits_for_it(void **state)
{
    struct node_rig *rig = *state;
    node_rig_lead(rig);
    struct call *read = node_rig_read(rig);
    read->read_mode = READ_MIN_SEQ;
    read->min_seq = 1;
    submit(rig, read);
    assert_false(node_rig_answered(rig, read));
    struct call *call = node_rig_execute(rig, "EUR");
    submit(rig, call);
    node_rig_apply(rig, 1);
    expect_code(rig, call, CODE_OK);
    expect_code(rig, read, CODE_OK);
}

static void reads_share_a_barrier_and_later_ones_the_next(void **state)
{
    struct node_rig *rig = *state;
    node_rig_lead(rig);
    struct call *reads[3];
    for (int i = 0; i < 2; i++) {
        reads[i] = node_rig_read(rig);
        check_ok(node_submit(&rig->node, reads[i]));
    }
    node_inbox(&rig->node);
    node_rig_step(rig);
    assert_true(rig->node.barrier_out);
    reads[2] = node_rig_read(rig);
    submit(rig, reads[2]); /* came after the barrier was issued: it must not use it */
    node_rig_apply(rig, 1);
    barrier_event(rig);
    assert_true(node_rig_answered(rig, reads[0]) && node_rig_answered(rig, reads[1]));
    assert_false(node_rig_answered(rig, reads[2]));
    assert_false(rig->node.barrier_out);
    node_barrier_issue(&rig->node);
    node_rig_step(rig);
    node_rig_apply(rig, 2);
    barrier_event(rig);
    for (int i = 0; i < 3; i++) {
        expect_code(rig, reads[i], CODE_OK);
    }
}

static void a_read_waits_for_the_seq_of_its_barrier(void **state)
{
    struct node_rig *rig = *state;
    struct call *read = node_rig_read(rig);
    submit(rig, read);
    struct link_item item;
    assert_true(node_rig_sent(rig, 2, &item)); /* the barrier goes to the leader */
    const struct link_item answer = {
        .kind = LINK_ANSWER, .ticket = item.ticket, .code = CODE_OK, .seq = 9};
    forward_on_answer(&rig->node, 2, &answer);
    node_rig_step(rig);
    assert_false(node_rig_answered(rig, read)); /* this node has not reached seq 9 */
    rig->now_ns = read->deadline_ns;
    node_rig_step(rig);
    expect_code(rig, read, CODE_READ_TIMEOUT);
}

static void reads_of_a_failed_barrier_were_surely_not_executed(void **state)
{
    struct node_rig *rig = *state;
    struct call *read = node_rig_read(rig);
    struct link_item item;
    submit(rig, read);
    assert_true(node_rig_sent(rig, 2, &item));
    forward_link_down(&rig->node, 2); /* unknown, for a request */
    expect_code(rig, read, CODE_LEADERSHIP_LOST);
    rig->node.leader = 0;
    read = node_rig_read(rig);
    submit(rig, read);
    expect_code(rig, read, CODE_NO_LEADER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_rig_set_up, node_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_keeps_its_requests),
        TEST(a_follower_forwards_to_the_leader),
        TEST(without_a_leader_a_request_is_refused),
        TEST(a_new_leader_lets_requests_wait_for_its_epoch),
        TEST(a_job_is_routed_a_few_times_only),
        TEST(what_is_too_much_is_not_taken),
        TEST(behind_a_long_wait_nothing_more_is_taken),
        TEST(too_many_commands_are_not_taken_at_all),
        TEST(what_the_next_entry_takes_may_wait_for_long),
        TEST(a_leader_short_of_disk_takes_no_payments),
        TEST(stale_reads_are_answered_here),
        TEST(a_read_of_a_seq_waits_for_it),
        TEST(reads_share_a_barrier_and_later_ones_the_next),
        TEST(a_read_waits_for_the_seq_of_its_barrier),
        TEST(reads_of_a_failed_barrier_were_surely_not_executed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
