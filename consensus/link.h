/*
 * The peer links: for each peer one outgoing connection to send on, and the newest accepted one to
 * receive from. Frames: u32 length, then that many bytes. Outgoing links reconnect for ever.
 */
#ifndef CONSENSUS_LINK_H
#define CONSENSUS_LINK_H

#include "consensus/dial.h"

struct link;

struct link_receiver {
    struct link *link; /* NULL once a newer one took its place */
    struct endpoint *endpoint;
    struct stream *stream;
    struct buffer buffer; /* the beginning of a frame that is not complete */
};

struct link {
    struct links *links;
    const struct consensus_peer *peer;
    struct dial *dial;     /* an attempt under way */
    struct stream *stream; /* to send on; NULL while down */
    struct link_receiver *receiver;
    uint64_t offered;    /* bytes given to the stream, ever */
    uint64_t moved_last; /* progress at the last look */
    uint32_t stalled_ms;
};

struct links {
    struct endpoint *endpoint;
    struct link links[NODES_MAX]; /* in the places of endpoint->peers; this node's own is unused */
    uv_timer_t watch;
    bool closing;
    void (*on_message)(void *data, uint32_t peer, const uint8_t *bytes, size_t size);
    void (*on_link)(void *data, uint32_t peer, bool up);
    void *data;
};

/* Starts to connect to every peer. */
void links_open(struct links *links, struct endpoint *endpoint,
                void (*on_message)(void *data, uint32_t peer, const uint8_t *bytes, size_t size),
                void (*on_link)(void *data, uint32_t peer, bool up), void *data);
void links_close(struct links *links);

/* An accepted and checked link of a peer; takes the stream over. */
void links_accept(struct links *links, uint32_t peer, struct stream *stream);

/* As consensus_send. */
enum status MUST_CHECK links_send(struct links *links, uint32_t peer, const void *bytes,
                                  size_t size);
bool links_up(const struct links *links, uint32_t peer);

#endif
