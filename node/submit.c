/*
 * How calls come in and where they go. On a leader a request goes straight to the ledger thread; on
 * a follower the core forwards it over the peer link, one hop only. Linearizable reads share a
 * barrier that was not issued when they came: it yields a seq, and each waits for that seq here.
 */
#include "node/internal.h"

#include "base/mutant.h"

static enum job_kind job_kind_of(const struct call *call)
{
    switch (call->kind) {
    case CALL_EXECUTE:
        return JOB_EXECUTE;
    case CALL_READ:
        return JOB_READ;
    case CALL_SCAN:
        return JOB_SCAN;
    }
    assert(false);
    return JOB_READ;
}

/* Nobody looks further into the request here: what is damaged is found by the ledger. */
static uint32_t commands_of(const struct job *job)
{
    struct reader reader = reader_of(job->bytes.data, job->bytes.size);
    enum request_mode mode;
    uint32_t count = 0;
    return request_read_head(&reader, &mode, &count) == STATUS_OK ? count : 0;
}

bool node_busy(void *data)
{
    const struct node *node = data;
    return !admission_has_room(&node->admission, 0) || !admission_window_open(&node->admission) ||
           ledger_thread_behind(node->ledger_thread, clock_monotonic_ns(node->clock));
}

/* Whether a request to execute may enter; a leader that is behind makes its own clients' window
 * smaller as those of the others. */
static bool window_admits(struct node *node)
{
    const uint64_t now_ns = clock_monotonic_ns(node->clock);
    if (ledger_thread_behind(node->ledger_thread, now_ns)) {
        admission_window_cut(&node->admission, now_ns);
        return false;
    }
    return admission_window_open(&node->admission);
}

/* A worker's thread. */
enum status node_submit(void *data, struct call *call)
{
    struct node *node = data;
    struct admission *admission = &node->admission;
    if (atomic_load(&admission->closed)) {
        return STATUS_CLOSED;
    }
    if (!admission_has_room(admission, call->request.size) ||
        (call->kind == CALL_EXECUTE && !window_admits(node))) {
        return STATUS_FULL; /* the gateway counts it */
    }
    struct job *job = job_make(job_kind_of(call), admission, call->deadline_ns);
    if (job == NULL) {
        return STATUS_FULL;
    }
    job->call = call;
    buffer_swap(&job->bytes, &call->request);
    if (job->kind == JOB_EXECUTE) {
        job->commands = commands_of(job);
        admission_window_enter(job);
    }
    atomic_fetch_add(&admission->bytes, job->bytes.size);
    bool leading = ledger_thread_leading(node->ledger_thread);
    if (job->kind == JOB_EXECUTE && leading && atomic_load(&admission->disk_short)) {
        job_refuse(job, CODE_STORAGE_FULL);
        job_free(job);
        return STATUS_OK;
    }
    bool waits_for_barrier = job->kind != JOB_EXECUTE && call->read_mode == READ_LINEARIZABLE &&
                             !MUTANT("stale-reads") && !(MUTANT("leader-reads-locally") && leading);
    if (job->kind != JOB_EXECUTE && !waits_for_barrier) {
        job->min_seq = call->read_mode == READ_MIN_SEQ ? call->min_seq : 0;
        ledger_thread_submit(node->ledger_thread, job);
        return STATUS_OK;
    }
    if (job->kind == JOB_EXECUTE && leading) {
        ledger_thread_submit(node->ledger_thread, job);
        return STATUS_OK;
    }
    queue_push_always(&node->inbox, &job->node, 0);
    return STATUS_OK;
}

/* Ends a job that can not be served, whatever its kind. */
static void job_end(struct node *node, struct job *job, enum code code)
{
    if (job->peer != 0) {
        forward_answer(node, job, code);
    } else if (job->kind == JOB_BARRIER) {
        node_barrier_done(node, job, code);
    } else {
        job_refuse(job, code);
        job_free(job);
    }
}

void node_route(struct node *node, struct job *job)
{
    assert(job->kind == JOB_EXECUTE || job->kind == JOB_BARRIER);
    list_remove(&job->node);
    list_remove(&job->deadline_node);
    if (job->bounces++ >= BOUNCES_MAX || node->stop >= STOP_TRANSFER) {
        job_end(node, job, CODE_NO_LEADER);
        return;
    }
    if (node->role == ROLE_LEADER) {
        if (node->epoch_runs) {
            ledger_thread_submit(node->ledger_thread, job);
        } else {
            list_push(&node->epoch_jobs, &job->node);
        }
        return;
    }
    struct peer_state *leader = node_peer(node, node->leader);
    if (job->peer != 0 || leader == NULL || !leader->link_up) {
        job_end(node, job, CODE_NO_LEADER);
        return;
    }
    forward_send(node, job, node->leader);
}

void node_inbox(struct node *node)
{
    struct list jobs;
    list_init(&jobs);
    (void)queue_pop_all(&node->inbox, &jobs);
    for (struct list *item = list_pop(&jobs); item != NULL; item = list_pop(&jobs)) {
        struct job *job = CONTAINER_OF(item, struct job, node);
        if (job->kind == JOB_EXECUTE) {
            node_route(node, job);
        } else {
            list_push(&node->barrier_reads, &job->node);
        }
    }
    node_barrier_issue(node);
}

void node_barrier_issue(struct node *node)
{
    if (node->barrier_out || list_empty(&node->barrier_reads)) {
        return;
    }
    struct job *first = CONTAINER_OF(node->barrier_reads.next, struct job, node);
    struct job *barrier = job_make(JOB_BARRIER, &node->admission, first->deadline_ns);
    if (barrier == NULL) {
        return; /* the next tick tries again */
    }
    request_write_head(&barrier->bytes, REQUEST_BARRIER, 0);
    if (barrier->bytes.failed) {
        job_free(barrier);
        return;
    }
    atomic_fetch_add(&node->admission.bytes, barrier->bytes.size);
    list_move_all(&barrier->reads, &node->barrier_reads);
    node->barrier_out = true;
    node_route(node, barrier);
}

/* A barrier that failed says nothing about the state: its reads were surely not executed. */
static enum code read_code(enum code code)
{
    return code == CODE_UNKNOWN ? CODE_LEADERSHIP_LOST : code;
}

void node_barrier_done(struct node *node, struct job *barrier, enum code code)
{
    assert(barrier->kind == JOB_BARRIER && barrier->peer == 0);
    node->barrier_out = false;
    for (struct list *item = list_pop(&barrier->reads); item != NULL;
         item = list_pop(&barrier->reads)) {
        struct job *job = CONTAINER_OF(item, struct job, node);
        if (code == CODE_OK) {
            job->min_seq = barrier->request.seq;
            ledger_thread_submit(node->ledger_thread, job);
        } else {
            job_refuse(job, read_code(code));
            job_free(job);
        }
    }
    job_free(barrier);
}
