/*
 * What the parts of a node tell each other, and how a node's struct begins: everything here is free
 * of loops, sockets and processes, so that the simulation runs it as it is.
 */
#include "node/internal.h"

#include "base/address.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static const char *const PART = "node";

enum status node_prepare(struct node *node, const struct config *config, const struct clock *clock,
                         queue_wake wake)
{
    node->config = config;
    node->id = config_self(config)->id;
    node->clock = clock;
    admission_init(&node->admission);
    list_init(&node->epoch_jobs);
    list_init(&node->barrier_reads);
    list_init(&node->copies);
    for (uint32_t i = 0; i < config->nodes_count; i++) {
        if (config->nodes[i].id != node->id) {
            struct peer_state *peer = &node->peers[node->peers_count++];
            peer->id = config->nodes[i].id;
            /* Until it tells its own. */
            address_format(config->nodes[i].client_host, config->nodes[i].client_port,
                           peer->client_address);
            buffer_init(&peer->out, LINK_FRAME_BYTES_MAX);
        }
    }
    pthread_mutex_init(&node->status_lock, NULL);
    enum status status = queue_init(&node->inbox, NODE_REQUESTS_MAX, wake, node);
    if (status == STATUS_OK) {
        status = queue_init(&node->events, NODE_REQUESTS_MAX, wake, node);
    }
    return status == STATUS_OK ? forward_open(node) : status;
}

/* Events and calls, while all parts are open. */
void node_work(struct node *node)
{
    if (node->consensus == NULL || node->stop == STOP_CLOSE) {
        return;
    }
    core_events(node);
    node_inbox(node);
}

void node_tick(struct node *node, uint64_t now_ns)
{
    node_work(node);
    core_tick(node, now_ns);
    forward_tick(node, now_ns);
    gossip_tick(node, now_ns);
    diverge_tick(node, now_ns);
    copy_tick(node, now_ns);
}

static void node_on_message(void *data, uint32_t peer, const uint8_t *bytes, size_t size)
{
    struct node *node = data;
    struct reader reader = reader_of(bytes, size);
    while (reader_left(&reader) > 0) {
        struct link_item item;
        if (link_item_read(&reader, &item) != STATUS_OK) {
            log_warn(PART, "node %u sent a damaged message", peer);
            return;
        }
        switch (item.kind) {
        case LINK_REQUEST:
            forward_on_request(node, peer, &item);
            break;
        case LINK_ANSWER:
            forward_on_answer(node, peer, &item);
            break;
        case LINK_STATUS:
            gossip_on_status(node, peer, &item.status);
            break;
        case LINK_DIGEST_ASK:
            diverge_on_ask(node, peer, &item);
            break;
        case LINK_DIGEST_TELL:
            diverge_on_tell(node, peer, &item);
            break;
        }
    }
}

static void node_on_link(void *data, uint32_t id, bool up)
{
    struct node *node = data;
    struct peer_state *peer = node_peer(node, id);
    assert(peer != NULL);
    peer->link_up = up;
    if (!up) {
        forward_link_down(node, id);
    }
}

static void node_on_snapshot(void *data, uint64_t index)
{
    struct node *node = data;
    assert(node->snapshot_index == 0);
    node->snapshot_index = index;
    ledger_thread_make_durable(node->ledger_thread, index, 0);
}

static bool node_on_incarnation(void *data, uint32_t peer, const uint8_t incarnation[16])
{
    struct node *node = data;
    enum datadir_contact contact = CONTACT_FOREIGN;
    enum status status = datadir_peer_incarnation(node->dir, peer, incarnation, &contact);
    if (status != STATUS_OK) {
        log_error(PART, "the incarnation of node %u can not be recorded: %s", peer,
                  status_text(status));
        return false;
    }
    return contact != CONTACT_FOREIGN;
}

void node_copy_asked(struct node *node, uint32_t peer, uint64_t index, uint64_t term,
                     uint64_t ticket)
{
    if (!consensus_learn_committed(node->consensus, peer, index, term)) {
        log_info(PART, "node %u wants the state at raft index %llu; here it is applied up to %llu",
                 peer, (unsigned long long)index,
                 (unsigned long long)consensus_last_applied(node->consensus));
    }
    ledger_thread_make_durable(node->ledger_thread, consensus_last_applied(node->consensus),
                               ticket);
}

bool node_on_restore(void *data, const struct consensus_manifest *manifest)
{
    struct node *node = data;
    struct position position = ledger_thread_position(node->ledger_thread);
    if (position.index >= manifest->index) {
        return true;
    }
    log_info(PART, "raft's snapshot is at index %llu, the ledger at %llu: fetching the state",
             (unsigned long long)manifest->index, (unsigned long long)position.index);
    node_give_up(node);
    if (datadir_needs_state_write(node->dir, manifest) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "the note needs-state can not be written");
    }
    node_restart(node);
}

/*
 * The ledger never commits past what raft has on this node's disk. A ledger ahead of the log means
 * that the log lost its tail: this node may have acknowledged what it no longer has, so it may not
 * vote. A state copy is ahead by right, up to the index at which it was taken.
 */
bool node_log_is_whole(struct node *node)
{
    uint64_t last = consensus_last_index(node->consensus);
    uint64_t committed = node->opened_index;
    uint64_t copied = 0;
    if (datadir_copy_index_read(node->dir, &copied) != STATUS_OK) {
        log_error(PART, "the note copy-index is damaged");
        return false;
    }
    uint64_t had = 0;
    if (datadir_log_index_read(node->dir, &had) != STATUS_OK) {
        log_error(PART, "the note log-index is damaged");
        return false;
    }
    if (last < had) {
        committed = had; /* a ledger that was given up had it */
    } else if (last >= committed || committed <= copied) {
        return true;
    }
    log_error(PART,
              "raft's log ends at index %llu but the ledger has %llu: the log lost its tail. This "
              "node must not vote any more: replace it under a new id",
              (unsigned long long)last, (unsigned long long)committed);
    return false;
}

struct consensus_callbacks node_consensus_callbacks(void)
{
    return (struct consensus_callbacks){.on_apply = core_on_apply,
                                        .on_role = core_on_role,
                                        .on_snapshot = node_on_snapshot,
                                        .on_restore = node_on_restore,
                                        .on_message = node_on_message,
                                        .on_link = node_on_link,
                                        .on_copy = copy_on_stream,
                                        .on_incarnation = node_on_incarnation};
}
