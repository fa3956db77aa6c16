/* Requests to the leader and answers from it, as items for the links. */
#include "tests/support/check.h"
#include "tests/support/node_rig.h"

#include <string.h>

/* What the links say, in place of consensus_send, and how much they took. */
static enum status link_status;
static size_t link_taken;

enum status __wrap_consensus_send(struct consensus *consensus, uint32_t peer, const void *bytes,
                                  size_t size);

enum status __wrap_consensus_send(struct consensus *consensus, uint32_t peer, const void *bytes,
                                  size_t size)
{
    (void)consensus;
    assert_true(peer == 2 || peer == 3);
    assert_non_null(bytes);
    link_taken += link_status == STATUS_OK ? size : 0;
    return link_status;
}

static struct call *submit(struct node_rig *rig, struct link_item *item)
{
    struct call *call = node_rig_execute(rig, "EUR");
    check_ok(node_submit(&rig->node, call));
    node_inbox(&rig->node);
    assert_true(node_rig_sent(rig, 2, item));
    assert_int_equal(item->kind, LINK_REQUEST);
    return call;
}

static void expect_code(struct node_rig *rig, struct call *call, enum code code)
{
    assert_true(node_rig_answered(rig, call));
    assert_int_equal(call->code, code);
    node_rig_call_free(call);
}

static void the_answer_of_the_ticket_is_the_clients(void **state)
{
    struct node_rig *rig = *state;
    struct link_item items[2];
    struct call *first = submit(rig, &items[0]);
    struct call *second = submit(rig, &items[1]);
    assert_true(items[0].ticket != items[1].ticket);
    struct link_item answer = {.kind = LINK_ANSWER,
                               .ticket = items[1].ticket,
                               .code = CODE_OK,
                               .seq = 5,
                               .term = 6,
                               .time_ns = 7,
                               .outcomes_count = 1,
                               .bytes = TEXT("outcome")};
    forward_on_answer(&rig->node, 2, &answer);
    assert_false(node_rig_answered(rig, first));
    assert_true(node_rig_answered(rig, second));
    assert_true(second->seq == 5 && second->term == 6 && second->time_ns == 7);
    assert_true(second->outcomes_count == 1 && second->answer.size == 7);
    expect_code(rig, second, CODE_OK);
    answer =
        (struct link_item){.kind = LINK_ANSWER, .ticket = items[0].ticket, .code = CODE_OVERLOADED};
    forward_on_answer(&rig->node, 2, &answer);
    expect_code(rig, first, CODE_OVERLOADED);
}

static void answers_that_belong_to_nobody_are_dropped(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    struct call *call = submit(rig, &item);
    struct link_item answer = {.kind = LINK_ANSWER, .ticket = item.ticket, .code = CODE_OK};
    forward_on_answer(&rig->node, 3, &answer); /* not whom it was asked */
    answer.ticket = item.ticket + 1;           /* a slot that is free */
    forward_on_answer(&rig->node, 2, &answer);
    answer.ticket = item.ticket + ((uint64_t)1 << 32); /* another use of the slot */
    forward_on_answer(&rig->node, 2, &answer);
    answer.ticket = item.ticket ^ (uint64_t)1 << 63;
    forward_on_answer(&rig->node, 2, &answer);
    assert_false(node_rig_answered(rig, call));
    answer.ticket = item.ticket;
    forward_on_answer(&rig->node, 2, &answer);
    expect_code(rig, call, CODE_OK);
}

static void tickets_of_a_life_before_mean_nothing(void **state)
{
    struct node_rig *rig = *state;
    struct link_item before;
    struct call *lost = submit(rig, &before);
    forward_link_down(&rig->node, 2);
    expect_code(rig, lost, CODE_UNKNOWN);
    forward_close(&rig->node); /* the process ends, and starts anew with empty slots */
    check_ok(forward_open(&rig->node));
    struct link_item now;
    struct call *call = submit(rig, &now);
    assert_int_equal((uint16_t)now.ticket, (uint16_t)before.ticket);
    assert_true(now.ticket != before.ticket);
    const struct link_item late = {.kind = LINK_ANSWER, .ticket = before.ticket, .code = CODE_OK};
    forward_on_answer(&rig->node, 2, &late);
    assert_false(node_rig_answered(rig, call));
    forward_link_down(&rig->node, 2);
    expect_code(rig, call, CODE_UNKNOWN);
}

static void past_its_deadline_the_outcome_is_unknown(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    struct call *call = submit(rig, &item);
    forward_tick(&rig->node, call->deadline_ns - 1);
    assert_false(node_rig_answered(rig, call));
    forward_tick(&rig->node, call->deadline_ns);
    expect_code(rig, call, CODE_UNKNOWN);
    assert_true(metric_get(&rig->node.metrics, METRIC_UNKNOWN) == 1);
    /* Its slot has another job now, which the late answer must not end. */
    struct link_item next;
    struct call *other = submit(rig, &next);
    assert_int_equal((uint16_t)next.ticket, (uint16_t)item.ticket);
    const struct link_item late = {.kind = LINK_ANSWER, .ticket = item.ticket, .code = CODE_OK};
    forward_on_answer(&rig->node, 2, &late);
    assert_false(node_rig_answered(rig, other));
    forward_link_down(&rig->node, 2);
    expect_code(rig, other, CODE_UNKNOWN);
}

static void a_broken_link_ends_what_was_sent_over_it_alone(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    struct call *call = submit(rig, &item);
    forward_link_down(&rig->node, 3);
    assert_false(node_rig_answered(rig, call));
    forward_link_down(&rig->node, 2);
    expect_code(rig, call, CODE_UNKNOWN);
    forward_link_down(&rig->node, 2);
}

/* The queue is full, so that the next request is preceded by a flush; the flush finds no stream. */
static void a_link_that_breaks_under_a_request_ends_the_older_ones(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    struct call *older[3];
    for (int i = 0; i < 3; i++) {
        older[i] = submit(rig, &item);
    }
    struct peer_state *peer = node_peer(&rig->node, 2);
    for (uint32_t i = 0; i < 300; i++) {
        static const uint8_t much[1024];
        write_bytes(&peer->out, much, sizeof(much));
    }
    link_status = STATUS_NETWORK;
    struct call *call = node_rig_execute(rig, "EUR");
    check_ok(node_submit(&rig->node, call));
    node_inbox(&rig->node);
    assert_false(node_rig_answered(rig, call));
    forward_link_down(&rig->node, 2); /* the link's end is told */
    for (int i = 0; i < 3; i++) {
        expect_code(rig, older[i], CODE_UNKNOWN);
    }
    expect_code(rig, call, CODE_NO_LEADER); /* never sent */
    link_status = STATUS_OK;
    /* All four slots are there for others. */
    for (int i = 0; i < 3; i++) {
        older[i] = submit(rig, &item);
    }
    call = submit(rig, &item);
    assert_int_equal(rig->node.forwards.used, 4);
    forward_link_down(&rig->node, 2);
    for (int i = 0; i < 3; i++) {
        expect_code(rig, older[i], CODE_UNKNOWN);
    }
    expect_code(rig, call, CODE_UNKNOWN);
}

static void nothing_is_queued_for_a_link_that_is_down(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item = {.kind = LINK_DIGEST_TELL, .seq = 1};
    node_peer(&rig->node, 3)->link_up = false;
    peer_item(&rig->node, 3, &item);
    peer_item(&rig->node, 7, &item); /* nobody */
    assert_false(node_rig_sent(rig, 3, &item));
    assert_null(node_peer(&rig->node, 7));
    assert_null(node_peer(&rig->node, 1)); /* this node is no peer of its own */
}

/* ---- links that take nothing ---------------------------------------------------------------- */

static struct call *submit_unsent(struct node_rig *rig)
{
    struct call *call = node_rig_execute(rig, "EUR");
    check_ok(node_submit(&rig->node, call));
    node_inbox(&rig->node);
    return call;
}

static void a_full_link_keeps_requests_waiting(void **state)
{
    struct node_rig *rig = *state;
    struct call *sent = submit_unsent(rig);
    forward_flush(&rig->node);
    link_status = STATUS_FULL;
    struct call *waiting = submit_unsent(rig);
    forward_flush(&rig->node);
    assert_false(node_rig_answered(rig, sent));
    assert_false(node_rig_answered(rig, waiting));
    link_status = STATUS_OK;
    const size_t waits = node_peer(&rig->node, 2)->out.size;
    const size_t before = link_taken;
    assert_true(waits > 0);
    forward_flush(&rig->node);
    assert_int_equal(link_taken - before, waits);
    assert_int_equal(node_peer(&rig->node, 2)->out.size, 0);
    forward_link_down(&rig->node, 2); /* now the leader may have both */
    expect_code(rig, sent, CODE_UNKNOWN);
    expect_code(rig, waiting, CODE_UNKNOWN);
}

static void what_a_link_never_took_was_surely_not_executed(void **state)
{
    struct node_rig *rig = *state;
    struct call *sent = submit_unsent(rig);
    forward_flush(&rig->node);
    struct call *waiting = submit_unsent(rig);
    forward_link_down(&rig->node, 2);
    expect_code(rig, sent, CODE_UNKNOWN);
    expect_code(rig, waiting, CODE_NO_LEADER);
    link_status = STATUS_NETWORK; /* the link's end is not told yet */
    waiting = submit_unsent(rig);
    forward_flush(&rig->node);
    expect_code(rig, waiting, CODE_NO_LEADER);
    assert_int_equal(metric_get(&rig->node.metrics, METRIC_UNKNOWN), 1);
}

static void behind_a_full_link_requests_are_refused_early(void **state)
{
    struct node_rig *rig = *state;
    struct call *calls[64];
    uint32_t count = 0;
    struct call *sent = submit_unsent(rig);
    forward_flush(&rig->node);
    link_status = STATUS_FULL;
    do {
        assert_true(count < ARRAY_COUNT(calls));
        struct call *call = node_rig_execute(rig, "EUR");
        const size_t size = call->request.size;
        check_ok(buffer_reserve(&call->request, 16384) ? STATUS_OK : STATUS_NO_MEMORY);
        memset(call->request.data + size, 0, 16384); /* the leader's matter: nobody reads it here */
        call->request.size += 16384;
        check_ok(node_submit(&rig->node, call));
        node_inbox(&rig->node);
        calls[count++] = call;
    } while (!node_rig_answered(rig, calls[count - 1]));
    assert_true(count > 2);
    expect_code(rig, calls[--count], CODE_OVERLOADED);
    assert_false(node_rig_answered(rig, sent)); /* the others go on waiting */
    /* An answer costs an entry: it waits behind them. */
    const size_t size = node_peer(&rig->node, 2)->out.size;
    const struct link_item answer = {.kind = LINK_ANSWER, .ticket = 1, .code = CODE_OK};
    peer_item(&rig->node, 2, &answer);
    assert_true(node_peer(&rig->node, 2)->out.size > size);
    forward_link_down(&rig->node, 2);
    expect_code(rig, sent, CODE_UNKNOWN);
    while (count > 0) {
        expect_code(rig, calls[--count], CODE_NO_LEADER);
    }
}

/* One that was routed anew stands behind younger ones. */
static void each_request_has_its_own_deadline(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    struct call *young = submit(rig, &item);
    struct call *old = node_rig_execute(rig, "EUR");
    old->deadline_ns = young->deadline_ns - 1000;
    check_ok(node_submit(&rig->node, old));
    node_inbox(&rig->node);
    struct call *youngest = submit(rig, &item);
    forward_flush(&rig->node);
    forward_tick(&rig->node, old->deadline_ns);
    assert_false(node_rig_answered(rig, young) || node_rig_answered(rig, youngest));
    expect_code(rig, old, CODE_UNKNOWN);
    forward_tick(&rig->node, young->deadline_ns);
    expect_code(rig, young, CODE_UNKNOWN);
    expect_code(rig, youngest, CODE_UNKNOWN);
}

/* ---- requests of other nodes --------------------------------------------------------------- */

static void ask(struct node_rig *rig, struct text bytes)
{
    const struct link_item item = {.kind = LINK_REQUEST, .ticket = 99, .bytes = bytes};
    forward_on_request(&rig->node, 3, &item);
}

static void ask_currency(struct node_rig *rig)
{
    struct call *call = node_rig_execute(rig, "EUR");
    ask(rig, (struct text){(const char *)call->request.data, call->request.size});
    node_rig_call_free(call);
}

static void expect_sent(struct node_rig *rig, enum code code)
{
    struct link_item item;
    assert_true(node_rig_sent(rig, 3, &item));
    assert_int_equal(item.kind, LINK_ANSWER);
    assert_int_equal(item.ticket, 99);
    assert_int_equal(item.code, code);
    assert_false(node_rig_sent(rig, 3, &item));
    assert_int_equal(atomic_load(&rig->node.admission.jobs), 0);
}

static void requests_are_forwarded_once_only(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    ask_currency(rig); /* this node does not lead */
    expect_sent(rig, CODE_NO_LEADER);
    assert_false(node_rig_sent(rig, 2, &item));
}

static void a_leader_works_for_others(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    node_rig_lead(rig);
    ask_currency(rig);
    assert_false(node_rig_sent(rig, 3, &item));
    assert_int_equal(atomic_load(&rig->node.admission.jobs), 1);
    node_rig_step(rig);
    node_rig_apply(rig, 1);
    struct list events;
    list_init(&events);
    assert_int_equal(queue_pop_all(&rig->node.events, &events), 1);
    struct ledger_event *event = CONTAINER_OF(list_pop(&events), struct ledger_event, node);
    assert_int_equal(event->kind, LEDGER_EVENT_ANSWER);
    forward_answer(&rig->node, event->job, event->job->request.code);
    free(event);
    assert_true(node_rig_sent(rig, 3, &item));
    assert_true(item.kind == LINK_ANSWER && item.ticket == 99 && item.code == CODE_OK);
    assert_true(item.seq == 1 && item.outcomes_count == 1 && item.bytes.size > 0);
}

static void damaged_requests_come_back_as_such(void **state)
{
    struct node_rig *rig = *state;
    node_rig_lead(rig);
    ask(rig, TEXT("\x07nonsense"));
    expect_sent(rig, CODE_INTERNAL);
    ask(rig, TEXT(""));
    expect_sent(rig, CODE_INTERNAL);
}

static void a_leader_refuses_what_it_has_no_room_for(void **state)
{
    struct node_rig *rig = *state;
    node_rig_lead(rig);
    atomic_store(&rig->node.admission.full, true);
    ask_currency(rig);
    expect_sent(rig, CODE_OVERLOADED);
    atomic_store(&rig->node.admission.full, false);
    atomic_store(&rig->node.admission.disk_short, true);
    ask_currency(rig);
    expect_sent(rig, CODE_STORAGE_FULL);
    atomic_store(&rig->node.admission.disk_short, false);
    atomic_store(&rig->node.admission.closed, true);
    ask_currency(rig);
    expect_sent(rig, CODE_OVERLOADED);
}

/* What others forward is refused as what comes from here; their barriers are not. */
static void a_leader_with_a_backlog_takes_no_more_of_others(void **state)
{
    struct node_rig *rig = *state;
    struct call *calls[ENTRIES_WINDOW + 1];
    struct link_item item;
    node_rig_lead(rig);
    for (uint32_t i = 0; i <= ENTRIES_WINDOW; i++) {
        calls[i] = node_rig_batch(rig, ENTRY_COMMANDS_ENOUGH);
        check_ok(node_submit(&rig->node, calls[i]));
        node_rig_step(rig);
    }
    rig->now_ns += BACKLOG_MS_MAX * UINT64_C(1000000);
    const uint32_t jobs = atomic_load(&rig->node.admission.jobs);
    ask_currency(rig);
    assert_true(node_rig_sent(rig, 3, &item));
    assert_true(item.ticket == 99 && item.code == CODE_OVERLOADED);
    assert_int_equal(atomic_load(&rig->node.admission.jobs), jobs);
    struct buffer barrier;
    buffer_init(&barrier, 64);
    request_write_head(&barrier, REQUEST_BARRIER, 0);
    ask(rig, (struct text){(const char *)barrier.data, barrier.size});
    assert_false(node_rig_sent(rig, 3, &item));
    assert_int_equal(atomic_load(&rig->node.admission.jobs), jobs + 1);
    buffer_deinit(&barrier);
    ledger_thread_stop(rig->node.ledger_thread);
    for (uint32_t i = 0; i <= ENTRIES_WINDOW; i++) {
        assert_true(node_rig_answered(rig, calls[i]));
        node_rig_call_free(calls[i]);
    }
}

/* As many as half of those that were under way may follow, and more as they are answered. */
static void a_leader_that_refuses_is_asked_for_less(void **state)
{
    enum { COUNT = 4 * WINDOW_REQUESTS_MIN };
    struct node_rig *rig = *state;
    static struct call *calls[COUNT];
    static uint64_t tickets[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        calls[i] = submit_unsent(rig);
    }
    struct link_item item;
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(node_rig_sent(rig, 2, &item));
        tickets[i] = item.ticket;
    }
    assert_false(node_busy(&rig->node));
    for (uint32_t i = 0; i < COUNT / 2; i++) { /* several at once say no more than one */
        const struct link_item refusal = {
            .kind = LINK_ANSWER, .ticket = tickets[i], .code = CODE_OVERLOADED};
        forward_on_answer(&rig->node, 2, &refusal);
        expect_code(rig, calls[i], CODE_OVERLOADED);
    }
    assert_true(node_busy(&rig->node));
    struct call *call = node_rig_execute(rig, "EUR");
    check_status(node_submit(&rig->node, call), STATUS_FULL);
    const struct link_item lost = {
        .kind = LINK_ANSWER, .ticket = tickets[COUNT / 2], .code = CODE_LEADERSHIP_LOST};
    forward_on_answer(&rig->node, 2, &lost);
    expect_code(rig, calls[COUNT / 2], CODE_LEADERSHIP_LOST);
    assert_false(node_busy(&rig->node));
    check_ok(node_submit(&rig->node, call));
    assert_true(node_busy(&rig->node));
    forward_link_down(&rig->node, 2);
    for (uint32_t i = COUNT / 2 + 1; i < COUNT; i++) {
        expect_code(rig, calls[i], CODE_UNKNOWN);
    }
    node_inbox(&rig->node);
    assert_false(node_busy(&rig->node));
    forward_link_down(&rig->node, 2);
    expect_code(rig, call, CODE_NO_LEADER); /* no link took it */
}

static int set_up(void **state)
{
    link_status = STATUS_OK;
    link_taken = 0;
    return node_rig_set_up(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, node_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_answer_of_the_ticket_is_the_clients),
        TEST(answers_that_belong_to_nobody_are_dropped),
        TEST(tickets_of_a_life_before_mean_nothing),
        TEST(past_its_deadline_the_outcome_is_unknown),
        TEST(a_broken_link_ends_what_was_sent_over_it_alone),
        TEST(a_link_that_breaks_under_a_request_ends_the_older_ones),
        TEST(nothing_is_queued_for_a_link_that_is_down),
        TEST(a_full_link_keeps_requests_waiting),
        TEST(what_a_link_never_took_was_surely_not_executed),
        TEST(behind_a_full_link_requests_are_refused_early),
        TEST(each_request_has_its_own_deadline),
        TEST(requests_are_forwarded_once_only),
        TEST(a_leader_works_for_others),
        TEST(damaged_requests_come_back_as_such),
        TEST(a_leader_with_a_backlog_takes_no_more_of_others),
        TEST(a_leader_that_refuses_is_asked_for_less),
        TEST(a_leader_refuses_what_it_has_no_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
