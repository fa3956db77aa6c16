/*
 * The core: roles and epochs, proposals, and what the ledger thread reports.
 *
 * An epoch is the time in which this node may verify and propose. It begins when the node leads and
 * its own barrier entry of this term has been given to the ledger thread to apply; it ends with any
 * change of role or term, a transfer, or a refused proposal. An entry is proposed only in the epoch
 * in which it was verified: the overlay that it was judged on holds exactly what is before it.
 *
 *     follower --elected--> barrier proposed --its apply--> epoch runs
 *        ^                        |                            |
 *        +------ role, term ------+---- refused, lost ---------+--> (leader still) new barrier
 */
#include "node/internal.h"

#include "base/log.h"
#include "base/mutant.h"

#include <stdlib.h>

static const char *const PART = "core";

static uint64_t now_of(struct node *node)
{
    return clock_monotonic_ns(node->clock);
}

static void epoch_end(struct node *node)
{
    node->barrier_waits = false;
    if (!node->epoch_runs) {
        return;
    }
    node->epoch_runs = false;
    ledger_thread_epoch_end(node->ledger_thread);
}

/* An epoch is to begin, and can not yet. */
static void barrier_plan(struct node *node)
{
    assert(!node->epoch_runs);
    node->barrier_waits = false;
    node->barrier_retry_at_ns = now_of(node) + (uint64_t)EPOCH_RETRY_MS * 1000000;
}

static bool leads_in_term(const struct node *node)
{
    return node->role == ROLE_LEADER && consensus_role(node->consensus) == ROLE_LEADER &&
           consensus_term(node->consensus) == node->term;
}

static void barrier_propose(struct node *node)
{
    assert(!node->epoch_runs && !node->barrier_waits);
    node->barrier_retry_at_ns = 0;
    struct buffer bytes;
    buffer_init(&bytes, ENTRY_BYTES_MAX);
    random_bytes(node->barrier_id.bytes, sizeof(node->barrier_id.bytes));
    entry_write_barrier(&bytes, node->term, &node->barrier_id);
    if (bytes.failed) {
        fail_stop(EXIT_DISK, PART, "out of memory");
    }
    enum status status = consensus_propose(node->consensus, bytes.data, bytes.size);
    buffer_deinit(&bytes);
    if (status == STATUS_OK) {
        node->barrier_waits = true;
        metric_add(&node->metrics, METRIC_ENTRIES_PROPOSED, 1);
    } else {
        barrier_plan(node);
    }
}

/* Jobs that waited for an epoch are routed by what is true now. */
static void epoch_jobs_route(struct node *node)
{
    struct list jobs;
    list_init(&jobs);
    list_move_all(&jobs, &node->epoch_jobs);
    for (struct list *item = list_pop(&jobs); item != NULL; item = list_pop(&jobs)) {
        node_route(node, CONTAINER_OF(item, struct job, node));
    }
}

static void epoch_begin(struct node *node)
{
    assert(!node->epoch_runs);
    node->barrier_waits = false;
    node->epoch++;
    node->epoch_runs = true;
    ledger_thread_epoch_begin(node->ledger_thread, node->epoch, node->term);
    epoch_jobs_route(node);
}

void core_on_role(void *data, enum consensus_role role, uint64_t term, uint32_t leader)
{
    struct node *node = data;
    bool became_leader = role == ROLE_LEADER && (node->role != ROLE_LEADER || node->term != term);
    if (role != ROLE_LEADER || became_leader) {
        epoch_end(node);
    }
    if (leader != node->leader || role != node->role || term != node->term) {
        log_info(PART, "role=%s term=%llu leader=%u",
                 role == ROLE_LEADER      ? "leader"
                 : role == ROLE_CANDIDATE ? "candidate"
                                          : "follower",
                 (unsigned long long)term, leader);
    }
    node->role = role;
    node->term = term;
    node->leader = leader;
    metric_set(&node->metrics, METRIC_TERM, term);
    metric_set(&node->metrics, METRIC_LEADER, role == ROLE_LEADER ? 1 : 0);
    if (became_leader) {
        metric_add(&node->metrics, METRIC_ELECTIONS, 1);
        if (MUTANT("no-barrier")) {
            epoch_begin(node);
        } else {
            barrier_propose(node);
        }
    } else if (role != ROLE_LEADER) {
        node->barrier_retry_at_ns = 0;
        epoch_jobs_route(node);
    }
    gossip_refresh(node);
}

/*
 * With a clock that is far from the others' no epoch begins: the first entry would already move the
 * log's time for ever. The clock's check makes this node resign; meanwhile barriers go on.
 */
static void barrier_applied(struct node *node)
{
    int64_t distance_ns = 0;
    if (!leads_in_term(node)) {
        node->barrier_waits = false;
    } else if (gossip_clock_is_off(node, now_of(node), &distance_ns)) {
        barrier_plan(node);
    } else {
        epoch_begin(node);
    }
}

void core_on_apply(void *data, uint64_t index, const uint8_t *bytes, size_t size)
{
    struct node *node = data;
    ledger_thread_apply(node->ledger_thread, index, bytes, size);
    struct uuid id;
    if (node->barrier_waits && entry_id(bytes, size, &id) && uuid_equal(&id, &node->barrier_id)) {
        barrier_applied(node);
    }
}

static void propose_entry(struct node *node, const struct ledger_event *event)
{
    if (!node->epoch_runs || event->epoch != node->epoch) {
        return; /* the ledger drops it: the entry may be gone already */
    }
    enum status status = STATUS_NOT_LEADER;
    if (leads_in_term(node)) {
        struct ledger_entry *entry = event->entry;
        status = consensus_propose(node->consensus, entry->bytes.data, entry->bytes.size);
        entry->proposed = status == STATUS_OK;
        if (entry->proposed && MUTANT("reply-before-commit")) {
            ledger_thread_apply(node->ledger_thread, consensus_last_index(node->consensus),
                                entry->bytes.data, entry->bytes.size);
        }
    }
    if (status == STATUS_OK) {
        metric_add(&node->metrics, METRIC_ENTRIES_PROPOSED, 1);
        return;
    }
    log_info(PART, "proposal refused: %s", status_name(status));
    epoch_end(node);
    barrier_plan(node);
}

/* Where nobody takes the leadership, this node goes on: standing still would help nobody. */
static void outcome_differs(struct node *node)
{
    log_error(PART, "an outcome differs from the expected one: this is a bug; resigning");
    if (node->role == ROLE_LEADER) {
        epoch_end(node);
        consensus_resign(node->consensus, "outcome difference");
        barrier_plan(node);
    }
}

static void snapshot_durable(struct node *node, const struct position *position)
{
    if (node->snapshot_index == 0) {
        return;
    }
    struct consensus_manifest manifest = {
        .index = node->snapshot_index, .seq = position->seq, .digest = position->digest};
    node->snapshot_index = 0;
    metric_add(&node->metrics, METRIC_SNAPSHOTS_TAKEN, 1);
    consensus_snapshot_ready(node->consensus, &manifest);
}

static void event_handle(struct node *node, struct ledger_event *event)
{
    switch (event->kind) {
    case LEDGER_EVENT_ENTRY:
        propose_entry(node, event);
        break;
    case LEDGER_EVENT_ANSWER:
        forward_answer(node, event->job, event->job->request.code);
        break;
    case LEDGER_EVENT_ROUTE:
        node_route(node, event->job);
        break;
    case LEDGER_EVENT_BARRIER:
        node_barrier_done(node, event->job, event->job->request.code);
        break;
    case LEDGER_EVENT_DURABLE:
        if (event->ticket == 0) {
            snapshot_durable(node, &event->position);
        } else {
            copy_durable(node, event->ticket, &event->position);
        }
        break;
    case LEDGER_EVENT_DIFFERENT:
        outcome_differs(node);
        break;
    case LEDGER_EVENT_DIVERGED:
        diverge_begin(node, event->seq, &event->ours);
        break;
    case LEDGER_EVENT_DIGEST:
        diverge_on_digest(node, (uint32_t)event->ticket, event->seq, event->known, &event->ours,
                          &event->theirs);
        break;
    }
}

void core_events(struct node *node)
{
    struct list events;
    list_init(&events);
    (void)queue_pop_all(&node->events, &events);
    for (struct list *item = list_pop(&events); item != NULL; item = list_pop(&events)) {
        struct ledger_event *event = CONTAINER_OF(item, struct ledger_event, node);
        event_handle(node, event);
        free(event);
    }
}

/* Requests that wait for an epoch past their deadline: surely not executed. */
static void epoch_jobs_deadlines(struct node *node, uint64_t now_ns)
{
    struct list *item = node->epoch_jobs.next;
    while (item != &node->epoch_jobs) {
        struct list *next = item->next;
        struct job *job = CONTAINER_OF(item, struct job, node);
        if (job->deadline_ns <= now_ns) {
            job->bounces = BOUNCES_MAX;
            node_route(node, job);
        }
        item = next;
    }
}

static void apply_mark(struct node *node)
{
    uint64_t bytes = ledger_thread_apply_bytes(node->ledger_thread);
    bool over = bytes > APPLY_QUEUE_BYTES_MAX;
    bool under = bytes < APPLY_QUEUE_BYTES_MAX / 2;
    if (over && !node->peers_paused) {
        node->peers_paused = true;
        atomic_store(&node->admission.full, true);
        consensus_pause(node->consensus, true);
    } else if (under && node->peers_paused) {
        node->peers_paused = false;
        atomic_store(&node->admission.full, false);
        consensus_pause(node->consensus, false);
    }
}

void core_tick(struct node *node, uint64_t now_ns)
{
    if (node->barrier_retry_at_ns != 0 && now_ns >= node->barrier_retry_at_ns) {
        node->barrier_retry_at_ns = 0;
        if (leads_in_term(node)) {
            barrier_propose(node);
        }
    }
    epoch_jobs_deadlines(node, now_ns);
    apply_mark(node);
    node_barrier_issue(node);
}
