/*
 * Happy path: pop work -> apply entries, take requests -> verify one entry if the window has room
 * -> answer what became final -> publish the position -> commit if due -> wait for more.
 *
 * Failures: an operating error of the ledger stops the node (fail_stop): a replica may not go on
 * with a state that it could not write. Deadlines: a request past its own is answered `unknown` (or
 * read_timeout); the job itself stays until the ledger lets go of its bytes.
 */
#include "node/ledger_inside.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const PART = "ledger";

enum {
    WAIT_MS_MAX = 100,    /* how long the thread sleeps at most: deadlines are looked at then */
    STORED_POLL_US = 200, /* how often raft's own disk is looked at while a commit waits */
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

void ledger_thread_fail(struct ledger_thread *thread, enum status status, const char *doing)
{
    assert(status != STATUS_OK);
    const struct ledger_thread_options *options = &thread->options;
    if (status == STATUS_CORRUPT && options->damaged != NULL) {
        options->damaged(options->data, ledger_damage(options->ledger));
    }
    fail_stop(status == STATUS_CORRUPT ? EXIT_DATA : EXIT_DISK, PART, "%s: %s%s%s", doing,
              status_text(status), status == STATUS_CORRUPT ? ": " : "",
              status == STATUS_CORRUPT ? ledger_damage(options->ledger) : "");
}

/* ---- work ---------------------------------------------------------------------------------- */

static void work_submit(struct ledger_thread *thread, struct job *job, struct list *answered)
{
    atomic_fetch_sub(&thread->queued_commands, job->commands);
    if (job->kind == JOB_READ || job->kind == JOB_SCAN) {
        ledger_read_take(thread, job);
        return;
    }
    if (!thread->in_epoch) {
        ledger_event_send_job(thread, LEDGER_EVENT_ROUTE, job);
        return;
    }
    job_by_deadline(&thread->deadlines, job);
    job->taken_ns = thread->now_ns;
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
    struct ledger_event *event = ledger_event_make(LEDGER_EVENT_DIVERGED);
    event->seq = header.digest_seq;
    event->theirs = header.digest;
    /* Where this state has not come so far, its digest there is none: zeros, like nobody's. */
    enum status status = ledger_digest_at(thread->options.ledger, event->seq, &event->ours);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        ledger_thread_fail(thread, status, "reading a digest");
    }
    ledger_event_send(thread, event);
}

static void report_applied(struct ledger_thread *thread, const struct work *work,
                           const struct applied *applied)
{
    if (applied->different) {
        ledger_event_send(thread, ledger_event_make(LEDGER_EVENT_DIFFERENT));
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
    if (status == STATUS_INVALID) {
        fail_stop(EXIT_DATA, PART, "the entry at raft index %llu is damaged",
                  (unsigned long long)work->index);
    }
    if (status != STATUS_OK) {
        ledger_thread_fail(thread, status, "applying an entry");
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

static void commit_do(struct ledger_thread *thread)
{
    struct ledger *ledger = thread->options.ledger;
    const uint64_t begun_ms = clock_monotonic_ms(thread->options.clock);
    enum status status =
        thread->commit == COMMIT_FLUSH ? ledger_flush(ledger) : ledger_commit(ledger);
    if (status != STATUS_OK) {
        metric_add(thread->options.metrics, METRIC_IO_ERRORS, 1);
        ledger_thread_fail(thread, status, "commit failed");
    }
    thread->commit = COMMIT_NONE;
    thread->committed_at_ms = clock_monotonic_ms(thread->options.clock);
    thread->commit_took_ms = thread->committed_at_ms - begun_ms;
    for (struct list *node = list_pop(&thread->durable); node != NULL;
         node = list_pop(&thread->durable)) {
        struct work *work = CONTAINER_OF(node, struct work, node);
        struct ledger_event *event = ledger_event_make(LEDGER_EVENT_DURABLE);
        event->ticket = work->ticket;
        event->position = ledger_committed(ledger);
        ledger_event_send(thread, event);
        free(work);
    }
}

/*
 * Does the commit that is wanted, if raft has on this node's disk what would be committed. False:
 * not yet; nothing more may be applied until then, or raft's disk would never catch up.
 */
static bool commit_try(struct ledger_thread *thread)
{
    if (thread->commit == COMMIT_NONE) {
        return true;
    }
    struct ledger *ledger = thread->options.ledger;
    uint64_t applied = ledger_position(ledger).index;
    /* A fetched copy is ahead of raft's log by right, and durable already. */
    if (applied == ledger_committed(ledger).index || atomic_load(&thread->stored) >= applied) {
        commit_do(thread);
        return true;
    }
    /* A process that was stopped has not waited: only what passed between two looks counts, and of
     * a long gap no more than one sleep of this thread. */
    uint64_t now_ms = clock_monotonic_ms(thread->options.clock);
    uint64_t gap_ms = now_ms - thread->commit_looked_ms;
    thread->commit_looked_ms = now_ms;
    thread->commit_waited_ms += gap_ms < WAIT_MS_MAX ? gap_ms : WAIT_MS_MAX;
    if (thread->commit_waited_ms > STORED_WAIT_MS_MAX) {
        fail_stop(EXIT_DISK, PART, "raft's log is not on disk after %u ms",
                  (unsigned)STORED_WAIT_MS_MAX);
    }
    return false;
}

static void commit_want(struct ledger_thread *thread, enum commit_kind kind)
{
    if (thread->commit == COMMIT_NONE) {
        thread->commit_looked_ms = clock_monotonic_ms(thread->options.clock);
        thread->commit_waited_ms = 0;
    }
    thread->commit = kind > thread->commit ? kind : thread->commit;
}

static void work_durable(struct ledger_thread *thread, struct work *work)
{
    ledger_advance_index(thread->options.ledger, work->index);
    list_push(&thread->durable, &work->node);
    commit_want(thread, COMMIT_FLUSH);
}

static void work_digest(struct ledger_thread *thread, const struct work *work)
{
    struct ledger_event *event = ledger_event_make(LEDGER_EVENT_DIGEST);
    event->seq = work->seq;
    event->ticket = work->ticket;
    event->theirs = work->theirs;
    enum status status = ledger_digest_at(thread->options.ledger, work->seq, &event->ours);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        ledger_thread_fail(thread, status, "reading a digest");
    }
    event->known = status == STATUS_OK;
    ledger_event_send(thread, event);
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
        atomic_store(&thread->wall_offset_ns,
                     clock_wall_ns(thread->options.clock) -
                         (int64_t)clock_monotonic_ns(thread->options.clock));
        atomic_store(&thread->leading, true);
        break;
    case WORK_EPOCH_END:
        work_epoch_end(thread, answered);
        break;
    case WORK_DURABLE:
        work_durable(thread, work);
        return; /* kept until the flush */
    case WORK_DIGEST:
        work_digest(thread, work);
        break;
    }
    free(work);
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Outside of an epoch requests are sent back, and there always is. */
static bool window_has_room(const struct ledger_thread *thread)
{
    return !thread->in_epoch || thread->in_flight < thread->options.entries_window;
}

/* Makes one entry if requests wait and the window has room; true where it made one. */
static bool verify_once(struct ledger_thread *thread, struct list *answered)
{
    struct ledger *ledger = thread->options.ledger;
    if (!thread->in_epoch || !window_has_room(thread) || !ledger_waiting(ledger)) {
        return false;
    }
    struct ledger_entry *entry = NULL;
    int64_t now_ns =
        (int64_t)clock_monotonic_ns(thread->options.clock) + atomic_load(&thread->wall_offset_ns);
    enum status status = ledger_verify(ledger, now_ns, &entry, answered);
    if (status != STATUS_OK) {
        ledger_thread_fail(thread, status, "verify failed");
    }
    if (entry == NULL) {
        return false;
    }
    thread->in_flight++;
    struct ledger_event *event = ledger_event_make(LEDGER_EVENT_ENTRY);
    event->epoch = thread->epoch;
    event->entry = entry;
    ledger_event_send(thread, event);
    return true;
}

/* How long after the last commit the next one is due: long ones are made less often. */
static uint64_t commit_period_ms(const struct ledger_thread *thread)
{
    uint64_t rest_ms = thread->commit_took_ms * COMMIT_REST_TIMES;
    rest_ms = rest_ms < COMMIT_PERIOD_MS_MAX ? rest_ms : COMMIT_PERIOD_MS_MAX;
    return rest_ms > COMMIT_PERIOD_MS ? rest_ms : COMMIT_PERIOD_MS;
}

static bool commit_is_due(struct ledger_thread *thread, uint64_t now_ms)
{
    struct ledger *ledger = thread->options.ledger;
    uint64_t bytes = ledger_uncommitted_bytes(ledger);
    if (bytes == 0) {
        return false;
    }
    uint64_t age_ms = now_ms - thread->committed_at_ms;
    const uint64_t period_ms = commit_period_ms(thread);
    bool due = age_ms >= period_ms || bytes >= COMMIT_ENTRY_BYTES_MAX ||
               ledger_uncommitted_pages(ledger) >= COMMIT_PAGES_MAX ||
               (thread->scans_wait && age_ms >= COMMIT_SCAN_MS);
    if (!due) {
        return false;
    }
    bool stored = atomic_load(&thread->stored) >= ledger_position(ledger).index;
    return stored || age_ms >= period_ms + STORED_GRACE_MS;
}

static void publish(struct ledger_thread *thread)
{
    ledger_backlog_publish(thread);
    struct position position = ledger_position(thread->options.ledger);
    pthread_mutex_lock(&thread->lock);
    thread->published = position;
    pthread_mutex_unlock(&thread->lock);
    metric_set(thread->options.metrics, METRIC_APPLY_QUEUE_BYTES,
               atomic_load(&thread->apply_bytes));
}

/* Does the work that was popped, until a commit must wait for raft's disk. */
static void work_all(struct ledger_thread *thread, struct list *answered)
{
    while (!list_empty(&thread->todo) && commit_try(thread)) {
        struct list *node = list_pop(&thread->todo);
        work_do(thread, CONTAINER_OF(node, struct work, node), answered);
    }
}

enum ledger_step ledger_thread_step(struct ledger_thread *thread)
{
    struct list answered;
    list_init(&answered);
    thread->now_ns = clock_monotonic_ns(thread->options.clock);
    (void)queue_pop_all(&thread->queue, &thread->todo);
    work_all(thread, &answered);
    bool free_to_go = commit_try(thread);
    bool more = free_to_go && verify_once(thread, &answered);
    ledger_events_flush(thread); /* an entry first: raft needs longer than the answers */
    publish(thread);             /* first: whoever was answered finds it in cluster.status */
    ledger_answer_all(thread, &answered);
    ledger_reads_look(thread);
    uint64_t now_ns = clock_monotonic_ns(thread->options.clock);
    ledger_deadlines_look(thread, now_ns);
    if (free_to_go && commit_is_due(thread, now_ns / 1000000)) {
        commit_want(thread, COMMIT_DATA);
        free_to_go = commit_try(thread);
        ledger_reads_look(thread);
    }
    ledger_events_flush(thread);
    if (!free_to_go) {
        return LEDGER_STEP_BLOCKED;
    }
    return more ? LEDGER_STEP_MORE : LEDGER_STEP_IDLE;
}

/* The last round: what is inside gets its answer; what raft has not stored it will replay. */
static void finish(struct ledger_thread *thread)
{
    struct list answered;
    list_init(&answered);
    (void)queue_pop_all(&thread->queue, &thread->todo);
    for (struct list *node = list_pop(&thread->todo); node != NULL;
         node = list_pop(&thread->todo)) {
        work_do(thread, CONTAINER_OF(node, struct work, node), &answered);
    }
    work_epoch_end(thread, &answered);
    ledger_answer_all(thread, &answered);
    ledger_reads_end(thread);
    commit_want(thread, COMMIT_FLUSH);
    if (atomic_load(&thread->stored) >= ledger_position(thread->options.ledger).index) {
        commit_do(thread);
    }
    ledger_abandon(thread->options.ledger);
    for (struct list *node = list_pop(&thread->durable); node != NULL;
         node = list_pop(&thread->durable)) {
        free(CONTAINER_OF(node, struct work, node));
    }
    ledger_events_flush(thread);
    publish(thread);
}

static int64_t wait_ms(const struct ledger_thread *thread, enum ledger_step step)
{
    if (step == LEDGER_STEP_MORE) {
        return 0;
    }
    return thread->scans_wait ? COMMIT_SCAN_MS : WAIT_MS_MAX;
}

/* While the window is full, requests gather for the next entry: each would wake this thread for
 * nothing. */
static void ledger_thread_wait(struct ledger_thread *thread, int64_t timeout_ms)
{
    if (window_has_room(thread)) {
        (void)queue_wait(&thread->queue, &thread->todo, timeout_ms);
    } else {
        (void)queue_wait_loud(&thread->queue, &thread->todo, timeout_ms);
    }
}

static void *ledger_thread_run(void *argument)
{
    struct ledger_thread *thread = argument;
    enum ledger_step step = LEDGER_STEP_MORE;
    while (!atomic_load(&thread->stopping)) {
        if (step == LEDGER_STEP_BLOCKED) {
            struct timespec pause = {.tv_nsec = STORED_POLL_US * 1000};
            nanosleep(&pause, NULL);
        } else {
            ledger_thread_wait(thread, wait_ms(thread, step));
        }
        step = ledger_thread_step(thread);
    }
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
    list_init(&thread->events);
    list_init(&thread->todo);
    list_init(&thread->durable);
    thread->committed_at_ms = clock_monotonic_ms(options->clock);
    thread->published = ledger_position(options->ledger);
    enum status status = queue_init(&thread->queue, NODE_REQUESTS_MAX, NULL, NULL);
    if (status != STATUS_OK) {
        free(thread);
        return status;
    }
    pthread_mutex_init(&thread->lock, NULL);
    if (!options->manual && pthread_create(&thread->thread, NULL, ledger_thread_run, thread) != 0) {
        pthread_mutex_destroy(&thread->lock);
        queue_deinit(&thread->queue);
        free(thread);
        return STATUS_NO_MEMORY;
    }
    *out = thread;
    return STATUS_OK;
}

void ledger_thread_stop(struct ledger_thread *thread)
{
    if (atomic_exchange(&thread->stopping, true)) {
        return;
    }
    queue_close(&thread->queue);
    if (thread->options.manual) {
        finish(thread);
    } else {
        pthread_join(thread->thread, NULL);
    }
}

void ledger_thread_close(struct ledger_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    ledger_thread_stop(thread);
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
    atomic_fetch_add(&thread->queued_commands, job->commands);
    if (job->kind == JOB_EXECUTE || job->kind == JOB_BARRIER) {
        queue_push_quietly(&thread->queue, &work->node, 0);
    } else {
        work_send(thread, work);
    }
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

int64_t ledger_thread_wall_offset_ns(const struct ledger_thread *thread)
{
    return atomic_load(&thread->wall_offset_ns);
}

struct position ledger_thread_position(struct ledger_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    struct position position = thread->published;
    pthread_mutex_unlock(&thread->lock);
    return position;
}

uint64_t ledger_thread_logged(struct ledger_thread *thread)
{
    const uint64_t applied = ledger_thread_position(thread).index;
    const uint64_t stored = atomic_load(&thread->stored);
    return applied < stored ? applied : stored;
}

uint64_t ledger_thread_apply_bytes(const struct ledger_thread *thread)
{
    return atomic_load(&thread->apply_bytes);
}
