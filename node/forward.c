/*
 * Requests to the leader and answers from it, over the peer link.
 *
 * A forwarded job sits in a slot; its ticket names slot and generation, so that a late answer of an
 * older use finds nothing. Generations begin at a random number: the leader may still hold requests
 * of this node's life before a restart, and their answers must not find those of the new life.
 *
 * When the link breaks or the deadline passes, the outcome is unknown: the leader may have proposed
 * it. What the link surely never took is refused: no_leader, or overloaded where the link is full.
 */
#include "node/internal.h"

#include "base/log.h"

#include <stdlib.h>

static const char *const PART = "forward";

enum { SLOT_NONE = FORWARDS_MAX, SLOT_BITS = 16, PEER_OUT_BYTES = 256 * 1024 };

static_assert(FORWARDS_MAX <= 1 << SLOT_BITS, "a ticket has room for the slot");

static const uint64_t generation_mask = UINT64_MAX >> SLOT_BITS;

static uint32_t slot_of_ticket(uint64_t ticket)
{
    return (uint32_t)ticket & ((1U << SLOT_BITS) - 1);
}

enum status forward_open(struct node *node)
{
    struct forwards *forwards = &node->forwards;
    forwards->slots = calloc(FORWARDS_MAX, sizeof(*forwards->slots));
    if (forwards->slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    random_bytes(&forwards->generation, sizeof(forwards->generation));
    forwards->generation &= generation_mask;
    forwards->used = 0;
    forwards->free_first = SLOT_NONE;
    list_init(&forwards->deadlines);
    return STATUS_OK;
}

void forward_close(struct node *node)
{
    free(node->forwards.slots);
    node->forwards.slots = NULL;
}

struct peer_state *node_peer(struct node *node, uint32_t id)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        if (node->peers[i].id == id) {
            return &node->peers[i];
        }
    }
    return NULL;
}

/* Freed ones first, then those that never were used: pages of the table that are not needed stay
 * untouched. SLOT_NONE where all are taken. */
static uint32_t slot_take(struct forwards *forwards)
{
    uint32_t number = forwards->free_first;
    if (number != SLOT_NONE) {
        forwards->free_first = forwards->slots[number].next_free;
        return number;
    }
    static_assert((int)SLOT_NONE == (int)FORWARDS_MAX, "behind the last slot there is none");
    if (forwards->used == FORWARDS_MAX) {
        return SLOT_NONE;
    }
    number = forwards->used++;
    forwards->slots[number].generation = forwards->generation;
    return number;
}

static void slot_free(struct node *node, uint32_t number)
{
    struct forward_slot *slot = &node->forwards.slots[number];
    assert(slot->job != NULL);
    slot->job = NULL;
    slot->generation = (slot->generation + 1) & generation_mask;
    slot->next_free = node->forwards.free_first;
    node->forwards.free_first = number;
}

/* The job that waits for the answer of a peer to a ticket; NULL: none does any more. */
static struct job *slot_job(const struct node *node, uint32_t peer, uint64_t ticket)
{
    uint32_t number = slot_of_ticket(ticket);
    if (number >= FORWARDS_MAX) {
        return NULL;
    }
    const struct forward_slot *slot = &node->forwards.slots[number];
    bool waits = slot->generation == ticket >> SLOT_BITS && slot->peer == peer;
    return waits ? slot->job : NULL;
}

/* Ends a forwarded job of this node. */
static void forward_end(struct node *node, struct job *job, enum code code)
{
    list_remove(&job->deadline_node);
    if (job->kind == JOB_BARRIER) {
        node_barrier_done(node, job, code);
        return;
    }
    if (code == CODE_OK) {
        job_answer(job);
    } else {
        if (code == CODE_UNKNOWN) {
            metric_add(&node->metrics, METRIC_UNKNOWN, 1);
        }
        job_refuse(job, code);
    }
    job_free(job);
}

/* ---- sending ------------------------------------------------------------------------------- */

/* Ends the requests among the items that no link has taken: surely not executed. */
static void peer_drop(struct node *node, struct peer_state *peer, enum code code)
{
    struct reader reader = reader_of(peer->out.data, peer->out.size);
    struct link_item item;
    while (reader_left(&reader) > 0 && link_item_read(&reader, &item) == STATUS_OK) {
        struct job *job = item.kind == LINK_REQUEST ? slot_job(node, peer->id, item.ticket) : NULL;
        if (job != NULL) {
            slot_free(node, slot_of_ticket(item.ticket));
            forward_end(node, job, code);
        }
    }
    buffer_clear(&peer->out);
}

/*
 * Hands over what waits. A link whose own queue is full keeps it waiting here: answers cost an
 * entry, and their clients would be told `unknown`.
 */
static void peer_flush(struct node *node, struct peer_state *peer)
{
    if (peer->out.size == 0) {
        return;
    }
    enum status status = consensus_send(node->consensus, peer->id, peer->out.data, peer->out.size);
    if (status == STATUS_FULL) {
        return;
    }
    if (status != STATUS_OK) {
        log_debug(PART, "send to node %u: %s", peer->id, status_name(status));
        peer_drop(node, peer, CODE_NO_LEADER);
    }
    if (peer->out.capacity > 4 * (size_t)PEER_OUT_BYTES) {
        buffer_deinit(&peer->out);
        buffer_init(&peer->out, LINK_FRAME_BYTES_MAX);
    } else {
        buffer_clear(&peer->out);
    }
}

void forward_flush(struct node *node)
{
    for (uint32_t i = 0; i < node->peers_count; i++) {
        peer_flush(node, &node->peers[i]);
    }
}

/* False: no room, and the item is dropped. */
static bool peer_append(struct node *node, struct peer_state *peer, const struct link_item *item,
                        size_t waiting_max)
{
    if (peer->out.size > PEER_OUT_BYTES ||
        peer->out.size + item->bytes.size + PEER_OUT_BYTES > LINK_FRAME_BYTES_MAX) {
        peer_flush(node, peer);
    }
    size_t size = peer->out.size;
    if (size > waiting_max || !peer->link_up) {
        return false; /* full, or broken by the flush */
    }
    link_item_write(&peer->out, item);
    if (!peer->out.failed) {
        return true;
    }
    peer->out.failed = false;
    buffer_truncate(&peer->out, size);
    return false;
}

void peer_item(struct node *node, uint32_t id, const struct link_item *item)
{
    struct peer_state *peer = node_peer(node, id);
    if (peer != NULL && peer->link_up && !peer_append(node, peer, item, LINK_FRAME_BYTES_MAX)) {
        log_debug(PART, "no room for an item for node %u", id);
    }
}

/* Requests wait for a full link only up to PEER_OUT_BYTES: beyond, their clients do better to
 * hear of it early. */
void forward_send(struct node *node, struct job *job, uint32_t id)
{
    struct forwards *forwards = &node->forwards;
    struct peer_state *peer = node_peer(node, id);
    assert(peer != NULL && peer->link_up);
    uint32_t number = slot_take(forwards);
    if (number == SLOT_NONE) {
        forward_end(node, job, CODE_OVERLOADED);
        return;
    }
    struct forward_slot *slot = &forwards->slots[number];
    job->ticket_out = slot->generation << SLOT_BITS | number;
    struct link_item item = {.kind = LINK_REQUEST,
                             .ticket = job->ticket_out,
                             .bytes = {(const char *)job->bytes.data, job->bytes.size}};
    /* Written before the job is in the slot: a link that breaks on the way ends only older jobs. */
    if (!peer_append(node, peer, &item, PEER_OUT_BYTES)) {
        slot->next_free = forwards->free_first;
        forwards->free_first = number;
        forward_end(node, job, peer->link_up ? CODE_OVERLOADED : CODE_NO_LEADER);
        return;
    }
    metric_add(&node->metrics, METRIC_FORWARDS, 1);
    slot->job = job;
    slot->peer = id;
    job_by_deadline(&forwards->deadlines, job);
}

/* ---- answers from the leader --------------------------------------------------------------- */

void forward_on_answer(struct node *node, uint32_t peer, const struct link_item *item)
{
    struct job *job = slot_job(node, peer, item->ticket);
    if (job == NULL) {
        return; /* its deadline passed before */
    }
    slot_free(node, slot_of_ticket(item->ticket));
    if (item->code == CODE_OVERLOADED) {
        admission_window_cut(&node->admission, clock_monotonic_ns(node->clock));
    }
    struct ledger_request *request = &job->request;
    request->code = item->code;
    request->seq = item->seq;
    request->term = item->term;
    request->time_ns = item->time_ns;
    request->outcomes_count = item->outcomes_count;
    buffer_init(&request->outcomes, ANSWER_BYTES_MAX);
    write_bytes(&request->outcomes, item->bytes.data, item->bytes.size);
    enum code code = request->outcomes.failed ? CODE_UNKNOWN : item->code;
    forward_end(node, job, code);
}

void forward_link_down(struct node *node, uint32_t peer)
{
    peer_drop(node, node_peer(node, peer), CODE_NO_LEADER);
    struct list *item = node->forwards.deadlines.next;
    while (item != &node->forwards.deadlines) {
        struct list *next = item->next;
        struct job *job = CONTAINER_OF(item, struct job, deadline_node);
        uint32_t number = slot_of_ticket(job->ticket_out);
        if (node->forwards.slots[number].peer == peer) {
            slot_free(node, number);
            forward_end(node, job, CODE_UNKNOWN);
        }
        item = next;
    }
}

void forward_tick(struct node *node, uint64_t now_ns)
{
    struct list *deadlines = &node->forwards.deadlines;
    while (!list_empty(deadlines)) {
        struct job *job = CONTAINER_OF(deadlines->next, struct job, deadline_node);
        if (job->deadline_ns > now_ns) {
            return;
        }
        slot_free(node, slot_of_ticket(job->ticket_out));
        forward_end(node, job, CODE_UNKNOWN);
    }
}

/* ---- requests of other nodes --------------------------------------------------------------- */

/* Answers a request that became no job. */
static void request_refuse(struct node *node, uint32_t peer, uint64_t ticket, enum code code)
{
    const struct link_item item = {.kind = LINK_ANSWER, .ticket = ticket, .code = code};
    peer_item(node, peer, &item);
}

/* Why a request is refused before it costs anything; CODE_OK: it is not. */
static enum code request_refusal(struct node *node, enum request_mode mode, uint64_t now_ns)
{
    const bool executes = mode != REQUEST_BARRIER;
    if (executes && atomic_load(&node->admission.disk_short)) {
        return CODE_STORAGE_FULL;
    }
    const bool full =
        atomic_load(&node->admission.closed) || !admission_has_room(&node->admission, 0);
    const bool behind = executes && ledger_thread_behind(node->ledger_thread, now_ns);
    return full || behind ? CODE_OVERLOADED : CODE_OK;
}

void forward_on_request(struct node *node, uint32_t peer, const struct link_item *item)
{
    metric_add(&node->metrics, METRIC_FORWARDS_SERVED, 1);
    const uint64_t now_ns = clock_monotonic_ns(node->clock);
    enum request_mode mode = REQUEST_BARRIER;
    uint32_t count = 0;
    struct reader reader = reader_of(item->bytes.data, item->bytes.size);
    if (request_read_head(&reader, &mode, &count) != STATUS_OK) {
        log_warn(PART, "node %u forwarded a damaged request", peer);
        request_refuse(node, peer, item->ticket, CODE_INTERNAL);
        return;
    }
    const enum code refusal = request_refusal(node, mode, now_ns);
    if (refusal != CODE_OK) {
        request_refuse(node, peer, item->ticket, refusal);
        return;
    }
    const uint64_t deadline_ns = now_ns + (uint64_t)node->config->request_timeout_ms * 1000000;
    struct job *job = job_make(mode == REQUEST_BARRIER ? JOB_BARRIER : JOB_EXECUTE,
                               &node->admission, deadline_ns);
    if (job == NULL) {
        fail_stop(EXIT_DISK, PART, "out of memory");
    }
    job->peer = peer;
    job->ticket = item->ticket;
    job->commands = count;
    write_bytes(&job->bytes, item->bytes.data, item->bytes.size);
    atomic_fetch_add(&node->admission.bytes, job->bytes.size);
    if (job->bytes.failed) {
        forward_answer(node, job, CODE_OVERLOADED);
        return;
    }
    node_route(node, job);
}

void forward_answer(struct node *node, struct job *job, enum code code)
{
    assert(job->peer != 0);
    const struct ledger_request *request = &job->request;
    struct link_item item = {.kind = LINK_ANSWER, .ticket = job->ticket, .code = code};
    if (code == CODE_OK) {
        item.seq = request->seq;
        item.term = request->term;
        item.time_ns = request->time_ns;
        item.outcomes_count = request->outcomes_count;
        item.bytes = (struct text){(const char *)request->outcomes.data, request->outcomes.size};
    }
    peer_item(node, job->peer, &item);
    job_free(job);
}
