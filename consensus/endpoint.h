/*
 * What both sides of every peer connection need: who this node is, who the others are, the TLS
 * contexts, and the count of what is still open, so that the memory goes last.
 */
#ifndef CONSENSUS_ENDPOINT_H
#define CONSENSUS_ENDPOINT_H

#include "consensus/handshake.h"

struct endpoint {
    uv_loop_t *loop;
    struct tls_context *client_tls;
    struct tls_context *server_tls;
    struct consensus_identity identity;
    struct consensus_peer peers[NODES_MAX];
    uint32_t peers_count;
    struct metrics *metrics; /* may be NULL */
    bool (*on_incarnation)(void *data, uint32_t peer, const uint8_t incarnation[16]);
    void *data;
    uint32_t references; /* streams, timers and dials that still point here */
    void (*on_idle)(void *data);
    void *idle_data;
    uint64_t refusal_logged_ms;
    uint32_t refusals_unlogged;
};

/* STATUS_TLS with a sentence in error; nothing is open then. */
enum status MUST_CHECK endpoint_open(struct endpoint *endpoint,
                                     const struct consensus_options *options, char *error,
                                     size_t error_size);
/* Only without references. */
void endpoint_close(struct endpoint *endpoint);

void endpoint_hold(struct endpoint *endpoint);
/* Calls on_idle (once) when nothing is held any more. */
void endpoint_release(struct endpoint *endpoint);
/* Calls on_idle as soon as nothing is held: at once, or in a later endpoint_release. */
void endpoint_when_idle(struct endpoint *endpoint, void (*on_idle)(void *data), void *data);

/* NULL for an id that is not configured. */
const struct consensus_peer *endpoint_peer(const struct endpoint *endpoint, uint64_t id);
/* Its place in peers[]. */
uint32_t endpoint_peer_place(const struct endpoint *endpoint, uint32_t id);

/* This node's side of a handshake. */
struct handshake endpoint_handshake(const struct endpoint *endpoint, enum connection_kind kind,
                                    uint32_t to);
/*
 * Is the other side who it must be? certificate_node comes from its verified certificate. Calls
 * on_incarnation last, so that nothing is recorded for a node that is refused anyway.
 */
enum refusal endpoint_check(const struct endpoint *endpoint, const struct handshake *other,
                            uint32_t certificate_node);

/* Counts and logs a refused connection; lines are limited to one each PEER_REFUSAL_LOG_MS. */
void endpoint_refused(struct endpoint *endpoint, const char *direction, const char *address,
                      uint32_t peer, const char *reason);

/* Options of every peer stream, still without callbacks. */
struct stream_options endpoint_stream_options(const struct endpoint *endpoint, bool server);

/* For streams whose opening nobody waits for. */
void endpoint_ignore_open(struct stream *stream, void *data);

/* Closes an opened stream for which its taker has no memory. */
void endpoint_abandon(struct endpoint *endpoint, struct stream *stream);

#endif
