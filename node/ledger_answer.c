/*
 * What the ledger thread gives back, and how far it is behind. A request past its deadline is
 * answered `unknown` (a read `read_timeout`); its job stays until the ledger lets go of its bytes.
 */
#include "node/ledger_inside.h"

#include "base/log.h"
#include "base/mutant.h"

#include <stdlib.h>

static const char *const PART = "ledger";

struct ledger_event *ledger_event_make(enum ledger_event_kind kind)
{
    struct ledger_event *event = calloc(1, sizeof(*event));
    if (event == NULL) {
        fail_stop(EXIT_DISK, PART, "out of memory");
    }
    event->kind = kind;
    list_init(&event->node);
    return event;
}

void ledger_event_send(struct ledger_thread *thread, struct ledger_event *event)
{
    list_push(&thread->events, &event->node);
}

void ledger_events_flush(struct ledger_thread *thread)
{
    queue_push_list(thread->options.events, &thread->events);
}

void ledger_event_send_job(struct ledger_thread *thread, enum ledger_event_kind kind,
                           struct job *job)
{
    struct ledger_event *event = ledger_event_make(kind);
    event->job = job;
    list_remove(&job->deadline_node);
    ledger_event_send(thread, event);
}

static struct job *job_of_request(struct list *node)
{
    struct ledger_request *request = CONTAINER_OF(node, struct ledger_request, node);
    return CONTAINER_OF(request, struct job, request);
}

void ledger_answer_all(struct ledger_thread *thread, struct list *answered)
{
    for (struct list *node = list_pop(answered); node != NULL; node = list_pop(answered)) {
        struct job *job = job_of_request(node);
        if (job->kind == JOB_BARRIER && job->peer == 0) {
            ledger_event_send_job(thread, LEDGER_EVENT_BARRIER, job);
        } else if (job->peer != 0) {
            ledger_event_send_job(thread, LEDGER_EVENT_ANSWER, job);
        } else {
            if (job->request.code == CODE_UNKNOWN) {
                metric_add(thread->options.metrics, METRIC_UNKNOWN, 1);
            }
            job_answer(job);
            job_free(job);
        }
    }
}

/* ---- reads --------------------------------------------------------------------------------- */

static void read_answer(struct ledger_thread *thread, struct job *job)
{
    struct call *call = job->call;
    assert(call != NULL);
    job->call = NULL;
    list_remove(&job->node);
    if (job->kind == JOB_READ) {
        enum status status = ledger_query(thread->options.ledger, &call->query, &call->answer);
        if (status != STATUS_OK) {
            ledger_thread_fail(thread, status, "query failed");
        }
    }
    call->code = CODE_OK;
    gateway_answer(call);
    job_free(job);
}

static bool read_is_ready(struct ledger_thread *thread, const struct job *job)
{
    const struct ledger *ledger = thread->options.ledger;
    uint64_t seq =
        job->kind == JOB_READ ? ledger_position(ledger).seq : ledger_committed(ledger).seq;
    return seq >= job->min_seq || MUTANT("min-seq-ignored");
}

void ledger_reads_look(struct ledger_thread *thread)
{
    thread->scans_wait = false;
    struct list *node = thread->reads.next;
    while (node != &thread->reads) {
        struct list *next = node->next;
        struct job *job = CONTAINER_OF(node, struct job, node);
        if (read_is_ready(thread, job)) {
            read_answer(thread, job);
        } else if (job->kind == JOB_SCAN) {
            /* One for a later state is not served by a commit: it would cost one each few ms. */
            thread->scans_wait =
                thread->scans_wait || ledger_position(thread->options.ledger).seq >= job->min_seq;
        }
        node = next;
    }
}

/* ---- deadlines ----------------------------------------------------------------------------- */

static void barrier_refuse_reads(struct job *barrier, enum code code)
{
    for (struct list *node = list_pop(&barrier->reads); node != NULL;
         node = list_pop(&barrier->reads)) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        job_refuse(job, code);
        job_free(job);
    }
}

static void deadline_pass(struct ledger_thread *thread, struct job *job)
{
    list_remove(&job->deadline_node);
    switch (job->kind) {
    case JOB_READ:
    case JOB_SCAN:
        job_refuse(job, CODE_READ_TIMEOUT);
        job_free(job);
        break;
    case JOB_BARRIER:
        barrier_refuse_reads(job, CODE_READ_TIMEOUT);
        break;
    case JOB_EXECUTE:
        /* The ledger still has its bytes; only the client gets its answer now. */
        if (job->call != NULL) {
            metric_add(thread->options.metrics, METRIC_UNKNOWN, 1);
        }
        job_refuse(job, CODE_UNKNOWN);
        break;
    }
}

void ledger_deadlines_look(struct ledger_thread *thread, uint64_t now_ns)
{
    while (!list_empty(&thread->deadlines)) {
        struct job *job = CONTAINER_OF(thread->deadlines.next, struct job, deadline_node);
        if (job->deadline_ns > now_ns) {
            return;
        }
        deadline_pass(thread, job);
    }
}

void ledger_read_take(struct ledger_thread *thread, struct job *job)
{
    list_push(&thread->reads, &job->node);
    list_push(&thread->deadlines, &job->deadline_node);
    if (read_is_ready(thread, job)) {
        read_answer(thread, job);
    }
}

void ledger_reads_end(struct ledger_thread *thread)
{
    for (struct list *node = list_pop(&thread->reads); node != NULL;
         node = list_pop(&thread->reads)) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        job_refuse(job, CODE_SHUTTING_DOWN);
        job_free(job);
    }
}

/* ---- the backlog --------------------------------------------------------------------------- */

void ledger_backlog_publish(struct ledger_thread *thread)
{
    const struct ledger_backlog backlog = ledger_backlog(thread->options.ledger);
    uint64_t since_ns = 0;
    if (backlog.commands >= ENTRY_COMMANDS_ENOUGH) {
        since_ns = CONTAINER_OF(backlog.oldest, struct job, request)->taken_ns;
    }
    atomic_store(&thread->backlog_since_ns, since_ns);
    atomic_store(&thread->backlog_commands, backlog.commands);
}

bool ledger_thread_behind(const struct ledger_thread *thread, uint64_t now_ns)
{
    if (atomic_load(&thread->backlog_commands) + atomic_load(&thread->queued_commands) >=
        BACKLOG_COMMANDS_MAX) {
        return true;
    }
    uint64_t since_ns = atomic_load(&thread->backlog_since_ns);
    return since_ns != 0 && now_ns >= since_ns &&
           now_ns - since_ns >= BACKLOG_MS_MAX * UINT64_C(1000000);
}
