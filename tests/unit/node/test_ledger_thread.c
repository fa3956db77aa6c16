/*
 * The ledger thread driven by hand in the core's place: jobs come as those of another node, so that
 * their answers are events and no gateway is needed.
 */
#include "node/ledger_thread.h"

#include "base/queue.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 5000 };

struct fixture {
    char *dir;
    struct metrics metrics;
    struct admission admission;
    struct queue events;
    struct list pending;
    struct ledger *ledger;
    struct ledger_thread *thread;
    uint64_t index;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->dir = test_dir_make();
    list_init(&fixture->pending);
    check_ok(queue_init(&fixture->events, 1024, NULL, NULL));
    char error[256];
    struct ledger_options options = {
        .path = fixture->dir, .map_bytes = 1 << 26, .metrics = &fixture->metrics};
    check_ok(ledger_open(&fixture->ledger, &options, error, sizeof(error)));
    struct ledger_thread_options thread_options = {.ledger = fixture->ledger,
                                                   .metrics = &fixture->metrics,
                                                   .clock = clock_system(),
                                                   .events = &fixture->events,
                                                   .entries_window = 4};
    check_ok(ledger_thread_open(&fixture->thread, &thread_options));
    *state = fixture;
    return 0;
}

static struct ledger_event *next_event(struct fixture *fixture)
{
    if (list_empty(&fixture->pending) &&
        queue_wait(&fixture->events, &fixture->pending, WAIT_MS) == 0) {
        fail_msg("no event came");
    }
    return CONTAINER_OF(list_pop(&fixture->pending), struct ledger_event, node);
}

static struct ledger_event *expect_event(struct fixture *fixture, enum ledger_event_kind kind)
{
    struct ledger_event *event = next_event(fixture);
    assert_int_equal(event->kind, kind);
    return event;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ledger_thread_close(fixture->thread);
    (void)queue_pop_all(&fixture->events, &fixture->pending);
    for (struct list *item = list_pop(&fixture->pending); item != NULL;
         item = list_pop(&fixture->pending)) {
        struct ledger_event *event = CONTAINER_OF(item, struct ledger_event, node);
        job_free(event->job);
        free(event);
    }
    assert_int_equal(atomic_load(&fixture->admission.jobs), 0);
    ledger_close(fixture->ledger);
    queue_deinit(&fixture->events);
    test_dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

static struct job *currency_job(struct fixture *fixture, const char *code)
{
    struct job *job = job_make(JOB_EXECUTE, &fixture->admission,
                               clock_monotonic_ns(clock_system()) + 60000000000);
    assert_non_null(job);
    job->peer = 2;
    struct command command = {.kind = COMMAND_CURRENCY_CREATE,
                              .currency_create = {.code = text_of(code), .scale = 2}};
    request_write_head(&job->bytes, REQUEST_SINGLE, 1);
    command_write(&job->bytes, &command);
    atomic_fetch_add(&fixture->admission.bytes, job->bytes.size);
    return job;
}

static void apply_entry(struct fixture *fixture, struct ledger_event *event)
{
    event->entry->proposed = true;
    fixture->index++;
    ledger_thread_stored(fixture->thread, fixture->index);
    ledger_thread_apply(fixture->thread, fixture->index, event->entry->bytes.data,
                        event->entry->bytes.size);
    free(event);
}

static void expect_answer(struct fixture *fixture, struct job *job, enum code code)
{
    struct ledger_event *event = expect_event(fixture, LEDGER_EVENT_ANSWER);
    assert_ptr_equal(event->job, job);
    assert_int_equal(job->request.code, code);
    job_free(job);
    free(event);
}

static void test_outside_an_epoch_a_job_is_sent_back_to_be_routed(void **state)
{
    struct fixture *fixture = *state;
    struct job *job = currency_job(fixture, "EUR");
    ledger_thread_submit(fixture->thread, job);
    struct ledger_event *event = expect_event(fixture, LEDGER_EVENT_ROUTE);
    assert_ptr_equal(event->job, job);
    assert_false(ledger_thread_leading(fixture->thread));
    job_free(job);
    free(event);
}

static void test_a_job_is_verified_applied_and_answered(void **state)
{
    struct fixture *fixture = *state;
    ledger_thread_epoch_begin(fixture->thread, 1, 1);
    struct job *job = currency_job(fixture, "EUR");
    ledger_thread_submit(fixture->thread, job);
    struct ledger_event *event = expect_event(fixture, LEDGER_EVENT_ENTRY);
    assert_int_equal(event->epoch, 1);
    apply_entry(fixture, event);
    expect_answer(fixture, job, CODE_OK);
    assert_int_equal(ledger_thread_position(fixture->thread).index, 1);
}

static void test_requests_gather_while_the_window_is_full(void **state)
{
    struct fixture *fixture = *state;
    static const char *const codes[] = {"AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG"};
    struct job *jobs[7];
    struct ledger_event *events[4];
    ledger_thread_epoch_begin(fixture->thread, 1, 1);
    for (uint32_t i = 0; i < 4; i++) {
        jobs[i] = currency_job(fixture, codes[i]);
        ledger_thread_submit(fixture->thread, jobs[i]);
        events[i] = expect_event(fixture, LEDGER_EVENT_ENTRY);
    }
    for (uint32_t i = 4; i < 7; i++) {
        jobs[i] = currency_job(fixture, codes[i]);
        ledger_thread_submit(fixture->thread, jobs[i]);
    }
    apply_entry(fixture, events[0]);
    struct ledger_event *gathered = NULL;
    for (uint32_t i = 0; i < 2; i++) {
        struct ledger_event *event = next_event(fixture);
        if (event->kind == LEDGER_EVENT_ENTRY) {
            gathered = event;
        } else {
            assert_int_equal(event->kind, LEDGER_EVENT_ANSWER);
            assert_ptr_equal(event->job, jobs[0]);
            job_free(event->job);
            free(event);
        }
    }
    assert_non_null(gathered);
    for (uint32_t i = 1; i < 4; i++) {
        apply_entry(fixture, events[i]);
        expect_answer(fixture, jobs[i], CODE_OK);
    }
    apply_entry(fixture, gathered);
    for (uint32_t i = 4; i < 7; i++) {
        expect_answer(fixture, jobs[i], CODE_OK);
    }
    assert_int_equal(ledger_thread_position(fixture->thread).seq, 7);
}

static void test_the_end_of_an_epoch_tells_lost_from_unknown(void **state)
{
    struct fixture *fixture = *state;
    ledger_thread_epoch_begin(fixture->thread, 1, 1);
    struct job *proposed = currency_job(fixture, "EUR");
    ledger_thread_submit(fixture->thread, proposed);
    struct ledger_event *event = expect_event(fixture, LEDGER_EVENT_ENTRY);
    event->entry->proposed = true;
    free(event);
    struct job *kept = currency_job(fixture, "USD");
    ledger_thread_submit(fixture->thread, kept);
    free(expect_event(fixture, LEDGER_EVENT_ENTRY));
    ledger_thread_epoch_end(fixture->thread);
    expect_answer(fixture, proposed, CODE_UNKNOWN);
    expect_answer(fixture, kept, CODE_LEADERSHIP_LOST);
}

static void test_nothing_is_committed_before_raft_has_it_on_disk(void **state)
{
    struct fixture *fixture = *state;
    ledger_thread_epoch_begin(fixture->thread, 1, 1);
    struct job *job = currency_job(fixture, "EUR");
    ledger_thread_submit(fixture->thread, job);
    struct ledger_event *event = expect_event(fixture, LEDGER_EVENT_ENTRY);
    event->entry->proposed = true;
    ledger_thread_apply(fixture->thread, 5, event->entry->bytes.data, event->entry->bytes.size);
    free(event);
    expect_answer(fixture, job, CODE_OK);
    ledger_thread_make_durable(fixture->thread, 5, 77);
    struct list none;
    list_init(&none);
    assert_int_equal(queue_wait(&fixture->events, &none, 300), 0);
    ledger_thread_stored(fixture->thread, 5);
    struct ledger_event *durable = expect_event(fixture, LEDGER_EVENT_DURABLE);
    assert_int_equal(durable->ticket, 77);
    assert_int_equal(durable->position.index, 5);
    assert_int_equal(durable->position.seq, 1);
    free(durable);
}

/* As after a start on a fetched copy: the peer that asks for one must not wait for this node's log,
 * which may reach that index only with the peer's vote. */
static void test_what_is_durable_already_does_not_wait_for_the_log(void **state)
{
    struct fixture *fixture = *state;
    ledger_thread_epoch_begin(fixture->thread, 1, 1);
    struct job *job = currency_job(fixture, "EUR");
    ledger_thread_submit(fixture->thread, job);
    fixture->index = 7;
    apply_entry(fixture, expect_event(fixture, LEDGER_EVENT_ENTRY));
    expect_answer(fixture, job, CODE_OK);
    ledger_thread_make_durable(fixture->thread, 8, 1);
    free(expect_event(fixture, LEDGER_EVENT_DURABLE));
    ledger_thread_stored(fixture->thread, 4);
    ledger_thread_make_durable(fixture->thread, 4, 2);
    struct list events;
    list_init(&events);
    assert_int_equal(queue_wait(&fixture->events, &events, 1000), 1);
    struct ledger_event *durable = CONTAINER_OF(list_pop(&events), struct ledger_event, node);
    assert_int_equal(durable->kind, LEDGER_EVENT_DURABLE);
    assert_int_equal(durable->ticket, 2);
    assert_int_equal(durable->position.index, 8);
    free(durable);
}

static void test_a_scan_of_a_later_state_brings_no_commit_forward(void **state)
{
    struct fixture *fixture = *state;
    struct job *scan =
        job_make(JOB_SCAN, &fixture->admission, clock_monotonic_ns(clock_system()) + 60000000000);
    assert_non_null(scan);
    scan->min_seq = 1000;
    ledger_thread_submit(fixture->thread, scan);
    ledger_thread_epoch_begin(fixture->thread, 1, 1);
    struct job *job = currency_job(fixture, "EUR");
    ledger_thread_submit(fixture->thread, job);
    apply_entry(fixture, expect_event(fixture, LEDGER_EVENT_ENTRY));
    expect_answer(fixture, job, CODE_OK);
    struct timespec pause = {.tv_nsec = 20 * COMMIT_SCAN_MS * 1000000};
    nanosleep(&pause, NULL);
    assert_int_equal(metric_get(&fixture->metrics, METRIC_FLUSHES), 0);
}

static void test_a_digest_is_told(void **state)
{
    struct fixture *fixture = *state;
    ledger_thread_epoch_begin(fixture->thread, 1, 1);
    struct job *job = currency_job(fixture, "EUR");
    ledger_thread_submit(fixture->thread, job);
    apply_entry(fixture, expect_event(fixture, LEDGER_EVENT_ENTRY));
    expect_answer(fixture, job, CODE_OK);
    struct digest theirs = {{1}};
    ledger_thread_ask_digest(fixture->thread, 1, 3, &theirs);
    struct ledger_event *event = expect_event(fixture, LEDGER_EVENT_DIGEST);
    struct position position = ledger_thread_position(fixture->thread);
    assert_true(event->known);
    assert_true(digest_equal(&event->ours, &position.digest));
    assert_true(digest_equal(&event->theirs, &theirs));
    free(event);
    ledger_thread_ask_digest(fixture->thread, 999, 3, &theirs);
    event = expect_event(fixture, LEDGER_EVENT_DIGEST);
    assert_false(event->known);
    free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_outside_an_epoch_a_job_is_sent_back_to_be_routed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_job_is_verified_applied_and_answered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_requests_gather_while_the_window_is_full, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_end_of_an_epoch_tells_lost_from_unknown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_committed_before_raft_has_it_on_disk, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_durable_already_does_not_wait_for_the_log,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_scan_of_a_later_state_brings_no_commit_forward,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_digest_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
