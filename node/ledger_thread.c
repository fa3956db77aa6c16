/*
 * Happy path: pop work -> apply entries, take requests -> verify one entry if the window has room
 * -> answer what became final -> publish the position -> commit if due -> wait for more.
 *
 * Failures: an operating error of the ledger stops the node (fail_stop): a replica may not go on
 * with a state that it could not write. Deadlines: a request past its own is answered `unknown` (or
 * read_timeout); the job itself stays until the ledger lets go of its bytes.
 */
#include "node/ledger_thread.h"

#include "base/log.h"
#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const PART = "ledger";

enum {
    WAIT_MS_MAX = 100,    /* how long the thread sleeps at most: deadlines are looked at then */
    STORED_POLL_US = 200, /* how often raft's own disk is looked at while a commit waits for it */
    STORED_GRACE_MS = 50, /* a commit may be late by so much before applying pauses for the disk */
    STORED_WAIT_MS_MAX =
        RAFT_WATCHDOG_MS /* then raft's disk is stuck, its watchdog stops the node */
};

enum work_kind {
    WORK_SUBMIT,
    WORK_APPLY,
    WORK_EPOCH_BEGIN,
    WORK_EPOCH_END,
    WORK_DURABLE,
    WORK_DIGEST
};

struct work {
    struct list node;
    enum work_kind kind;
    struct job *job;
    uint64_t index, epoch, term, ticket, seq;
    struct digest theirs;
    size_t size;
    uint8_t bytes[];
};

struct ledger_thread {
    pthread_t thread;
    struct queue queue;
    struct ledger_thread_options options;
    _Atomic uint64_t stored;
    _Atomic uint64_t apply_bytes;
    _Atomic bool leading;
    _Atomic bool stopping;
    pthread_mutex_t lock; /* guards published */
    struct position published;
    /* Only the thread itself touches what follows. */
    struct list deadlines; /* jobs by deadline_node, in order of arrival */
    struct list reads;     /* JOB_READ and JOB_SCAN that wait for their seq, by node */
    uint64_t epoch;
    bool in_epoch;
    int64_t wall_offset_ns; /* wall - monotonic, read once per epoch: log time must not jump */
    uint32_t in_flight;     /* entries given to the core and neither applied nor dropped */
    uint64_t committed_at_ms;
    bool scans_wait;
};

/* ---- events and answers -------------------------------------------------------------------- */

static struct ledger_event *event_make(enum ledger_event_kind kind)
{
    struct ledger_event *event = calloc(1, sizeof(*event));
    if (event == NULL) {
        fail_stop(EXIT_DISK, PART, "out of memory");
    }
    event->kind = kind;
    list_init(&event->node);
    return event;
}

static void event_send(struct ledger_thread *thread, struct ledger_event *event)
{
    queue_push_always(thread->options.events, &event->node, 0);
}

static void event_send_job(struct ledger_thread *thread, enum ledger_event_kind kind,
                           struct job *job)
{
    struct ledger_event *event = event_make(kind);
    event->job = job;
    list_remove(&job->deadline_node);
    event_send(thread, event);
}

static struct job *job_of_request(struct list *node)
{
    struct ledger_request *request = CONTAINER_OF(node, struct ledger_request, node);
    return CONTAINER_OF(request, struct job, request);
}

/* Requests that the ledger gave back: to the gateway, or to the core for others. */
static void answer_all(struct ledger_thread *thread, struct list *answered)
{
    for (struct list *node = list_pop(answered); node != NULL; node = list_pop(answered)) {
        struct job *job = job_of_request(node);
        if (job->kind == JOB_BARRIER && job->peer == 0) {
            event_send_job(thread, LEDGER_EVENT_BARRIER, job);
        } else if (job->peer != 0) {
            event_send_job(thread, LEDGER_EVENT_ANSWER, job);
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
            fail_stop(EXIT_DISK, PART, "query failed: %s", status_text(status));
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
    return seq >= job->min_seq;
}

static void reads_look(struct ledger_thread *thread)
{
    thread->scans_wait = false;
    struct list *node = thread->reads.next;
    while (node != &thread->reads) {
        struct list *next = node->next;
        struct job *job = CONTAINER_OF(node, struct job, node);
        if (read_is_ready(thread, job)) {
            read_answer(thread, job);
        } else if (job->kind == JOB_SCAN) {
            thread->scans_wait = true;
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

static void deadlines_look(struct ledger_thread *thread, uint64_t now_ns)
{
    while (!list_empty(&thread->deadlines)) {
        struct job *job = CONTAINER_OF(thread->deadlines.next, struct job, deadline_node);
        if (job->deadline_ns > now_ns) {
            return;
        }
        deadline_pass(thread, job);
    }
}

/* ---- work ---------------------------------------------------------------------------------- */

static void work_submit(struct ledger_thread *thread, struct job *job, struct list *answered)
{
    if (job->kind == JOB_READ || job->kind == JOB_SCAN) {
        list_push(&thread->reads, &job->node);
        list_push(&thread->deadlines, &job->deadline_node);
        if (read_is_ready(thread, job)) {
            read_answer(thread, job);
        }
        return;
    }
    if (!thread->in_epoch) {
        event_send_job(thread, LEDGER_EVENT_ROUTE, job);
        return;
    }
    list_push(&thread->deadlines, &job->deadline_node);
    job->request.bytes.data = (const char *)job->bytes.data;
    job->request.bytes.size = job->bytes.size;
    ledger_submit(thread->options.ledger, &job->request, answered);
}

/* The pair of an entry that is not ours: what we have there goes to the core. */
static void report_diverged(struct ledger_thread *thread, const struct work *work)
{
    struct entry_header header;
    struct reader items;
    if (entry_read(work->bytes, work->size, &header, &items) != STATUS_OK) {
        fail_stop(EXIT_DATA, PART, "entry at raft index %llu is damaged",
                  (unsigned long long)work->index);
    }
    struct ledger_event *event = event_make(LEDGER_EVENT_DIVERGED);
    event->seq = header.digest_seq;
    event->theirs = header.digest;
    if (ledger_digest_at(thread->options.ledger, event->seq, &event->ours) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "digest at seq %llu can not be read",
                  (unsigned long long)event->seq);
    }
    event_send(thread, event);
}

static void report_applied(struct ledger_thread *thread, const struct work *work,
                           const struct applied *applied)
{
    if (applied->different) {
        event_send(thread, event_make(LEDGER_EVENT_DIFFERENT));
    }
    if (applied->diverged) {
        report_diverged(thread, work);
    }
}

static void work_apply(struct ledger_thread *thread, const struct work *work, struct list *answered)
{
    struct applied applied = {0};
    enum status status = ledger_apply(thread->options.ledger, work->index, work->bytes, work->size,
                                      &applied, answered);
    if (status == STATUS_CORRUPT || status == STATUS_INVALID) {
        fail_stop(EXIT_DATA, PART, "entry at raft index %llu is damaged",
                  (unsigned long long)work->index);
    }
    if (status != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "apply at raft index %llu: %s", (unsigned long long)work->index,
                  status_text(status));
    }
    atomic_fetch_sub(&thread->apply_bytes, work->size);
    if (applied.own) {
        assert(thread->in_flight > 0);
        thread->in_flight--;
    }
    report_applied(thread, work, &applied);
}

static void work_epoch_end(struct ledger_thread *thread, struct list *answered)
{
    ledger_epoch_end(thread->options.ledger, answered);
    thread->in_epoch = false;
    thread->in_flight = 0;
    atomic_store(&thread->leading, false);
}

/* Commits up to what raft has on its own disk; waits for that disk where it must. */
static void commit_now(struct ledger_thread *thread, bool flush)
{
    struct ledger *ledger = thread->options.ledger;
    uint64_t index = ledger_position(ledger).index;
    uint64_t waited_us = 0;
    while (atomic_load(&thread->stored) < index && !atomic_load(&thread->stopping)) {
        struct timespec pause = {.tv_nsec = STORED_POLL_US * 1000};
        nanosleep(&pause, NULL);
        waited_us += STORED_POLL_US;
        if (waited_us / 1000 > STORED_WAIT_MS_MAX) {
            fail_stop(EXIT_DISK, PART, "raft's log is not on disk after %u ms",
                      (unsigned)STORED_WAIT_MS_MAX);
        }
    }
    if (atomic_load(&thread->stored) < index) {
        return; /* stopping: raft replays the rest */
    }
    enum status status = flush ? ledger_flush(ledger) : ledger_commit(ledger);
    if (status != STATUS_OK) {
        metric_add(thread->options.metrics, METRIC_IO_ERRORS, 1);
        fail_stop(EXIT_DISK, PART, "commit failed: %s", status_text(status));
    }
    thread->committed_at_ms = clock_monotonic_ms(thread->options.clock);
}

static void work_durable(struct ledger_thread *thread, const struct work *work)
{
    ledger_advance_index(thread->options.ledger, work->index);
    commit_now(thread, true);
    struct ledger_event *event = event_make(LEDGER_EVENT_DURABLE);
    event->ticket = work->ticket;
    event->position = ledger_committed(thread->options.ledger);
    event_send(thread, event);
}

static void work_digest(struct ledger_thread *thread, const struct work *work)
{
    struct ledger_event *event = event_make(LEDGER_EVENT_DIGEST);
    event->seq = work->seq;
    event->ticket = work->ticket;
    event->theirs = work->theirs;
    enum status status = ledger_digest_at(thread->options.ledger, work->seq, &event->ours);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        fail_stop(EXIT_DISK, PART, "digest at seq %llu can not be read",
                  (unsigned long long)work->seq);
    }
    event->known = status == STATUS_OK;
    event_send(thread, event);
}

static void work_do(struct ledger_thread *thread, struct work *work, struct list *answered)
{
    switch (work->kind) {
    case WORK_SUBMIT:
        work_submit(thread, work->job, answered);
        break;
    case WORK_APPLY:
        work_apply(thread, work, answered);
        break;
    case WORK_EPOCH_BEGIN:
        assert(!thread->in_epoch);
        ledger_epoch_begin(thread->options.ledger, work->epoch, work->term);
        thread->epoch = work->epoch;
        thread->in_epoch = true;
        thread->wall_offset_ns = clock_wall_ns(thread->options.clock) -
                                 (int64_t)clock_monotonic_ns(thread->options.clock);
        atomic_store(&thread->leading, true);
        break;
    case WORK_EPOCH_END:
        work_epoch_end(thread, answered);
        break;
    case WORK_DURABLE:
        work_durable(thread, work);
        break;
    case WORK_DIGEST:
        work_digest(thread, work);
        break;
    }
    free(work);
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Makes one entry if requests wait and the window has room; true where it made one. */
static bool verify_once(struct ledger_thread *thread, struct list *answered)
{
    struct ledger *ledger = thread->options.ledger;
    if (!thread->in_epoch || thread->in_flight >= thread->options.entries_window ||
        !ledger_waiting(ledger)) {
        return false;
    }
    struct ledger_entry *entry = NULL;
    int64_t now_ns = (int64_t)clock_monotonic_ns(thread->options.clock) + thread->wall_offset_ns;
    enum status status = ledger_verify(ledger, now_ns, &entry, answered);
    if (status != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "verify failed: %s", status_text(status));
    }
    if (entry == NULL) {
        return false;
    }
    thread->in_flight++;
    struct ledger_event *event = event_make(LEDGER_EVENT_ENTRY);
    event->epoch = thread->epoch;
    event->entry = entry;
    event_send(thread, event);
    return true;
}

static bool commit_is_due(struct ledger_thread *thread, uint64_t now_ms)
{
    struct ledger *ledger = thread->options.ledger;
    uint64_t bytes = ledger_uncommitted_bytes(ledger);
    if (bytes == 0) {
        return false;
    }
    uint64_t age_ms = now_ms - thread->committed_at_ms;
    bool due = age_ms >= COMMIT_PERIOD_MS || bytes >= COMMIT_ENTRY_BYTES_MAX ||
               (thread->scans_wait && age_ms >= COMMIT_SCAN_MS);
    if (!due) {
        return false;
    }
    bool stored = atomic_load(&thread->stored) >= ledger_position(ledger).index;
    return stored || age_ms >= COMMIT_PERIOD_MS + STORED_GRACE_MS || thread->scans_wait;
}

static void publish(struct ledger_thread *thread)
{
    struct position position = ledger_position(thread->options.ledger);
    pthread_mutex_lock(&thread->lock);
    thread->published = position;
    pthread_mutex_unlock(&thread->lock);
    metric_set(thread->options.metrics, METRIC_APPLY_QUEUE_BYTES,
               atomic_load(&thread->apply_bytes));
}

static int64_t wait_ms(struct ledger_thread *thread, bool more)
{
    if (more) {
        return 0;
    }
    if (thread->scans_wait) {
        return COMMIT_SCAN_MS;
    }
    return WAIT_MS_MAX;
}

static void step(struct ledger_thread *thread, struct list *todo)
{
    struct list answered;
    list_init(&answered);
    for (struct list *node = list_pop(todo); node != NULL; node = list_pop(todo)) {
        work_do(thread, CONTAINER_OF(node, struct work, node), &answered);
    }
    (void)verify_once(thread, &answered);
    answer_all(thread, &answered);
    publish(thread);
    reads_look(thread);
    uint64_t now_ns = clock_monotonic_ns(thread->options.clock);
    deadlines_look(thread, now_ns);
    if (commit_is_due(thread, now_ns / 1000000)) {
        commit_now(thread, false);
        reads_look(thread);
    }
}

/* The last round: nothing waits any more, what is inside gets its answer. */
static void finish(struct ledger_thread *thread)
{
    struct list answered;
    list_init(&answered);
    work_epoch_end(thread, &answered);
    answer_all(thread, &answered);
    for (struct list *node = list_pop(&thread->reads); node != NULL;
         node = list_pop(&thread->reads)) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        job_refuse(job, CODE_SHUTTING_DOWN);
        job_free(job);
    }
    commit_now(thread, true);
    publish(thread);
}

static void *ledger_thread_run(void *argument)
{
    struct ledger_thread *thread = argument;
    struct list todo;
    list_init(&todo);
    thread->committed_at_ms = clock_monotonic_ms(thread->options.clock);
    while (!atomic_load(&thread->stopping)) {
        bool more = thread->in_epoch && thread->in_flight < thread->options.entries_window &&
                    ledger_waiting(thread->options.ledger);
        (void)queue_wait(&thread->queue, &todo, wait_ms(thread, more));
        step(thread, &todo);
    }
    (void)queue_pop_all(&thread->queue, &todo);
    step(thread, &todo);
    finish(thread);
    return NULL;
}

/* ---- the door ------------------------------------------------------------------------------ */

enum status ledger_thread_open(struct ledger_thread **out,
                               const struct ledger_thread_options *options)
{
    assert(options->entries_window > 0 && options->entries_window <= ENTRIES_IN_FLIGHT_MAX);
    assert(options->events != NULL);
    struct ledger_thread *thread = calloc(1, sizeof(*thread));
    if (thread == NULL) {
        return STATUS_NO_MEMORY;
    }
    thread->options = *options;
    list_init(&thread->deadlines);
    list_init(&thread->reads);
    thread->published = ledger_position(options->ledger);
    enum status status = queue_init(&thread->queue, NODE_REQUESTS_MAX, NULL, NULL);
    if (status != STATUS_OK) {
        free(thread);
        return status;
    }
    pthread_mutex_init(&thread->lock, NULL);
    if (pthread_create(&thread->thread, NULL, ledger_thread_run, thread) != 0) {
        pthread_mutex_destroy(&thread->lock);
        queue_deinit(&thread->queue);
        free(thread);
        return STATUS_NO_MEMORY;
    }
    *out = thread;
    return STATUS_OK;
}

void ledger_thread_close(struct ledger_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    atomic_store(&thread->stopping, true);
    queue_close(&thread->queue);
    pthread_join(thread->thread, NULL);
    pthread_mutex_destroy(&thread->lock);
    queue_deinit(&thread->queue);
    free(thread);
}

static struct work *work_make(enum work_kind kind, size_t size)
{
    struct work *work = calloc(1, sizeof(*work) + size);
    if (work == NULL) {
        fail_stop(EXIT_DISK, PART, "out of memory");
    }
    work->kind = kind;
    work->size = size;
    list_init(&work->node);
    return work;
}

static void work_send(struct ledger_thread *thread, struct work *work)
{
    queue_push_always(&thread->queue, &work->node, work->size);
}

void ledger_thread_submit(struct ledger_thread *thread, struct job *job)
{
    struct work *work = work_make(WORK_SUBMIT, 0);
    work->job = job;
    work_send(thread, work);
}

void ledger_thread_apply(struct ledger_thread *thread, uint64_t index, const uint8_t *bytes,
                         size_t size)
{
    assert(size > 0 && size <= ENTRY_BYTES_MAX);
    struct work *work = work_make(WORK_APPLY, size);
    work->index = index;
    memcpy(work->bytes, bytes, size);
    atomic_fetch_add(&thread->apply_bytes, size);
    work_send(thread, work);
}

void ledger_thread_epoch_begin(struct ledger_thread *thread, uint64_t epoch, uint64_t term)
{
    struct work *work = work_make(WORK_EPOCH_BEGIN, 0);
    work->epoch = epoch;
    work->term = term;
    work_send(thread, work);
}

void ledger_thread_epoch_end(struct ledger_thread *thread)
{
    work_send(thread, work_make(WORK_EPOCH_END, 0));
}

void ledger_thread_make_durable(struct ledger_thread *thread, uint64_t index, uint64_t ticket)
{
    struct work *work = work_make(WORK_DURABLE, 0);
    work->index = index;
    work->ticket = ticket;
    work_send(thread, work);
}

void ledger_thread_ask_digest(struct ledger_thread *thread, uint64_t seq, uint64_t ticket,
                              const struct digest *theirs)
{
    struct work *work = work_make(WORK_DIGEST, 0);
    work->seq = seq;
    work->ticket = ticket;
    work->theirs = *theirs;
    work_send(thread, work);
}

void ledger_thread_stored(struct ledger_thread *thread, uint64_t index)
{
    atomic_store(&thread->stored, index);
}

bool ledger_thread_leading(const struct ledger_thread *thread)
{
    return atomic_load(&thread->leading);
}

struct position ledger_thread_position(struct ledger_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    struct position position = thread->published;
    pthread_mutex_unlock(&thread->lock);
    return position;
}

uint64_t ledger_thread_apply_bytes(const struct ledger_thread *thread)
{
    return atomic_load(&thread->apply_bytes);
}
