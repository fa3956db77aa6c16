#include "consensus/flow.h"

#include "base/check.h"
#include "consensus/internal.h"

#include <stdlib.h>

/* A request on its way through raft's stream, or one that was dropped. */
struct flow_request {
    struct raft_io_send inner;
    struct raft_io_send *outer;
    raft_io_send_cb done;
    struct flow_peer *peer;
    uint64_t bytes;
    struct list node;
};

bool flow_repeats(const struct flow_peer *peer, raft_term term, uint32_t epoch, raft_index previous,
                  uint64_t backlog, uint64_t now_ms, uint32_t resend_ms)
{
    if (peer->term != term || peer->epoch != epoch) {
        return false;
    }
    /* A range that begins below all that was sent is new: the follower asked for it. */
    if (previous < peer->from || previous >= peer->to) {
        return false;
    }
    /* What left our queues may wait in the kernel's, or in the follower's. */
    return backlog > 0 || now_ms - peer->sent_ms < resend_ms;
}

static void flow_remember(struct flow_peer *peer, raft_term term, uint32_t epoch,
                          raft_index previous, raft_index last, uint64_t now_ms)
{
    bool same = peer->term == term && peer->epoch == epoch;
    if (!same || previous < peer->from || previous > peer->to) {
        peer->from = previous;
        peer->to = last;
    } else if (last > peer->to) {
        peer->to = last;
    }
    peer->term = term;
    peer->epoch = epoch;
    peer->sent_ms = now_ms;
}

static void flow_sent(struct raft_io_send *inner, int status)
{
    struct flow_request *request = inner->data;
    struct raft_io_send *outer = request->outer;
    raft_io_send_cb done = request->done;
    assert(request->peer->queued >= request->bytes);
    request->peer->queued -= request->bytes;
    free(request);
    done(outer, status);
}

static int flow_pass(struct flow *flow, struct raft_io *io, struct raft_io_send *request,
                     const struct raft_message *message, raft_io_send_cb done)
{
    int error = flow->send(io, request, message, done);
    transport_wrote(flow->transport, (uint32_t)message->server_id);
    return error;
}

static int flow_send(struct raft_io *io, struct raft_io_send *outer,
                     const struct raft_message *message, raft_io_send_cb done)
{
    struct flow *flow = &consensus_of(io)->flow;
    const struct endpoint *endpoint = flow->transport->endpoint;
    const struct raft_append_entries *append = &message->append_entries;
    if (message->type != RAFT_APPEND_ENTRIES || append->n_entries == 0 ||
        endpoint_peer(endpoint, message->server_id) == NULL) {
        return flow_pass(flow, io, outer, message, done);
    }
    struct flow_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return flow_pass(flow, io, outer, message, done);
    }
    uint32_t id = (uint32_t)message->server_id;
    struct flow_peer *peer = &flow->peers[endpoint_peer_place(endpoint, id)];
    uint32_t epoch = transport_epoch(flow->transport, id);
    uint64_t now_ms = io->time(io);
    request->inner.data = request;
    request->outer = outer;
    request->done = done;
    request->peer = peer;
    uint64_t backlog = peer->queued + transport_backlog(flow->transport, id);
    if (flow_repeats(peer, append->term, epoch, append->prev_log_index, backlog, now_ms,
                     flow->resend_ms)) {
        flow->dropped_count++;
        list_push(&flow->dropped, &request->node);
        return 0;
    }
    for (unsigned i = 0; i < append->n_entries; i++) {
        request->bytes += append->entries[i].buf.len;
    }
    outer->cb = done;
    int error = flow_pass(flow, io, &request->inner, message, flow_sent);
    if (error != 0) {
        free(request);
        return error;
    }
    peer->queued += request->bytes;
    flow_remember(peer, append->term, epoch, append->prev_log_index,
                  append->prev_log_index + append->n_entries, now_ms);
    return 0;
}

void flow_answer(struct flow *flow)
{
    for (struct list *node; (node = list_pop(&flow->dropped)) != NULL;) {
        struct flow_request *request = CONTAINER_OF(node, struct flow_request, node);
        struct raft_io_send *outer = request->outer;
        raft_io_send_cb done = request->done;
        free(request);
        done(outer, RAFT_NOCONNECTION); /* as for a message that raft's own queue evicts */
    }
}

void flow_install(struct flow *flow, struct raft_io *io, struct transport *transport,
                  uint32_t election_timeout_ms)
{
    assert(io->send != NULL);
    const uint32_t resend_ms = election_timeout_ms / PEER_RESENDS_PER_TIMEOUT;
    *flow = (struct flow){
        .transport = transport,
        .send = io->send,
        .resend_ms = resend_ms < PEER_RESEND_MS ? resend_ms : PEER_RESEND_MS,
    };
    list_init(&flow->dropped);
    io->send = flow_send;
}
