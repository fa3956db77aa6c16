/*
 * raft's transport and the peer port: the listener with its incoming handshakes, told apart by kind
 * (raft stream, peer link, state copy), and raft's outgoing connections.
 */
#ifndef CONSENSUS_TRANSPORT_H
#define CONSENSUS_TRANSPORT_H

#include "base/list.h"
#include "consensus/endpoint.h"

#include <raft.h>
#include <raft/uv.h>

struct transport {
    struct raft_uv_transport raft; /* given to raft_uv_init */
    struct endpoint *endpoint;
    uv_tcp_t listener;
    bool listening;
    bool closing;
    bool paused;
    raft_uv_accept_cb accept; /* raft's, once it listens */
    raft_uv_transport_close_cb close_done;
    struct list handshakes; /* incoming connections that have not said who they are */
    uint32_t handshakes_count;
    struct list attempts; /* raft's outgoing connections under way */
    struct list pumps;
    struct {
        bool tried;
        bool refused;      /* the last attempt was */
        uint64_t begun_ms; /* of the last attempt */
        uint32_t epoch;    /* counts the connections that were opened */
    } history[NODES_MAX];
    /* Opened streams of the two other kinds; the callee sets their callbacks. */
    void (*on_link)(void *data, uint32_t peer, struct stream *stream);
    void (*on_copy)(void *data, uint32_t peer, struct stream *stream);
    void *data;
};

void transport_init(struct transport *transport, struct endpoint *endpoint);

/* Binds and listens. STATUS_NETWORK with a sentence in error. */
enum status MUST_CHECK transport_listen(struct transport *transport, const char *host,
                                        uint16_t port, char *error, size_t error_size);

/* Stops or resumes reading of raft's accepted streams. */
void transport_pause(struct transport *transport, bool pause);

/* Counts the connections that raft was given to a peer; a new one begins with nothing on its way.
 */
uint32_t transport_epoch(const struct transport *transport, uint32_t peer);
/* Bytes of raft's messages to a peer that wait for the wire. */
size_t transport_backlog(const struct transport *transport, uint32_t peer);

/* raft has sent to a peer; transport_pull hands on what it sent to any. */
void transport_wrote(struct transport *transport, uint32_t peer);
void transport_pull(struct transport *transport);

/* Stops listening, ends handshakes, attempts and pumps. raft does this through its own door too. */
void transport_close(struct transport *transport);

#endif
