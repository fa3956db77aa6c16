#include "consensus/link.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>

enum { FRAME_HEAD_BYTES = 4, RECEIVER_KEEP_BYTES = 1024 * 1024 };

/* --- sending ------------------------------------------------------------------------------------
 */

static void link_dial(struct link *link, uint32_t delay_ms);

static void link_stream_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct link *link = data;
    (void)bytes;
    (void)size;
    log_warn("peer", "node %u sends on a link it may only read", link->peer->id);
    stream_close(stream, STATUS_PROTOCOL, 0);
}

static void link_stream_closed(struct stream *stream, void *data, enum status status)
{
    struct link *link = data;
    struct links *links = link->links;
    assert(link->stream == stream);
    /* What this side closed for a reason of its own has a status, and no error of the stream. */
    const bool broke = status == STATUS_NETWORK || status == STATUS_TLS || status == STATUS_CLOSED;
    log_info("peer", "link to node %u is down: %s%s%s", link->peer->id,
             links->closing ? "closing" : status_text(status), !links->closing && broke ? ": " : "",
             !links->closing && broke ? stream_error(stream) : "");
    link->stream = NULL;
    if (!links->closing) {
        link_dial(link, PEER_RETRY_MS);
        links->on_link(links->data, link->peer->id, false);
    }
    endpoint_release(links->endpoint);
}

static void link_dialed(void *data, struct stream *stream, enum status status)
{
    struct link *link = data;
    struct links *links = link->links;
    assert(!links->closing);
    assert(link->stream == NULL);
    link->dial = NULL;
    if (status != STATUS_OK) {
        bool refused =
            status == STATUS_FOREIGN || status == STATUS_TLS || status == STATUS_PROTOCOL;
        link_dial(link, refused ? PEER_CONNECT_MS : PEER_RETRY_MS);
        return;
    }
    if (links->endpoint->metrics != NULL) {
        metric_add(links->endpoint->metrics, METRIC_PEER_CONNECTS, 1);
    }
    const struct stream_callbacks callbacks = {
        .on_open = endpoint_ignore_open,
        .on_data = link_stream_data,
        .on_close = link_stream_closed,
    };
    stream_set_callbacks(stream, &callbacks, link);
    endpoint_hold(links->endpoint);
    link->stream = stream;
    link->offered = 0;
    link->moved_last = 0;
    link->stalled_ms = 0;
    log_info("peer", "link to node %u is up", link->peer->id);
    links->on_link(links->data, link->peer->id, true);
}

static void link_dial(struct link *link, uint32_t delay_ms)
{
    assert(link->dial == NULL);
    if (dial_open(&link->dial, link->links->endpoint, link->peer, CONNECTION_LINK, delay_ms,
                  link_dialed, link) != STATUS_OK) {
        link->dial = NULL; /* the watch tries again */
    }
}

static void link_watch(struct link *link)
{
    if (link->stream == NULL) {
        if (link->dial == NULL) {
            link_dial(link, 0);
        }
        return;
    }
    size_t queued = stream_write_bytes(link->stream);
    uint64_t moved = link->offered - queued;
    if (queued == 0 || moved != link->moved_last) {
        link->moved_last = moved;
        link->stalled_ms = 0;
        return;
    }
    link->stalled_ms += PEER_WATCH_MS;
    if (link->stalled_ms >= PEER_STALL_MS) {
        log_warn("peer", "link to node %u stalled bytes=%zu: cut", link->peer->id, queued);
        stream_close(link->stream, STATUS_TIMEOUT, 0);
    }
}

static void links_on_watch(uv_timer_t *watch)
{
    struct links *links = watch->data;
    for (uint32_t i = 0; i < links->endpoint->peers_count && !links->closing; i++) {
        if (links->links[i].links != NULL) {
            link_watch(&links->links[i]);
        }
    }
}

static struct link *links_find(const struct links *links, uint32_t peer)
{
    const struct consensus_peer *found = endpoint_peer(links->endpoint, peer);
    if (found == NULL || peer == links->endpoint->identity.node_id) {
        return NULL;
    }
    uint32_t place = endpoint_peer_place(links->endpoint, peer);
    /* The link is the owner's, whatever the way to it. */
    return ((struct link *)(uintptr_t)links->links) + place;
}

enum status links_send(struct links *links, uint32_t peer, const void *bytes, size_t size)
{
    assert(bytes != NULL && size >= 1);
    assert(size <= LINK_FRAME_BYTES_MAX);
    struct link *link = links_find(links, peer);
    if (link == NULL || link->stream == NULL || stream_closing(link->stream)) {
        return STATUS_NETWORK;
    }
    if (stream_write_bytes(link->stream) + FRAME_HEAD_BYTES + size > PEER_WRITE_BYTES_MAX) {
        return STATUS_FULL;
    }
    uint8_t head[FRAME_HEAD_BYTES];
    put_u32(head, (uint32_t)size);
    enum status status = stream_write(link->stream, head, sizeof head);
    if (status == STATUS_OK) {
        status = stream_write(link->stream, bytes, size);
    }
    if (status != STATUS_OK) {
        /* Half a frame may be queued: what follows it could not be understood. */
        stream_close(link->stream, status, 0);
        return STATUS_NETWORK;
    }
    link->offered += sizeof head + size;
    return STATUS_OK;
}

bool links_up(const struct links *links, uint32_t peer)
{
    const struct link *link = links_find(links, peer);
    return link != NULL && link->stream != NULL && !stream_closing(link->stream);
}

/* --- receiving ----------------------------------------------------------------------------------
 */

static void receiver_close(struct link_receiver *receiver, enum status reason)
{
    stream_close(receiver->stream, reason, 0);
}

/* Hands out the complete frames in front; returns the bytes used, and closes on a bad length. */
static size_t receiver_parse(struct link_receiver *receiver, const uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (receiver->link != NULL && size - used >= FRAME_HEAD_BYTES) {
        uint32_t frame_size = get_u32(bytes + used);
        struct link *link = receiver->link;
        if (frame_size == 0 || frame_size > LINK_FRAME_BYTES_MAX) {
            log_warn("peer", "node %u sent a frame of %u bytes", link->peer->id, frame_size);
            receiver_close(receiver, STATUS_PROTOCOL);
            return size;
        }
        if (size - used - FRAME_HEAD_BYTES < frame_size) {
            break;
        }
        struct links *links = link->links;
        links->on_message(links->data, link->peer->id, bytes + used + FRAME_HEAD_BYTES, frame_size);
        used += FRAME_HEAD_BYTES + frame_size;
    }
    return used;
}

static void receiver_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct link_receiver *receiver = data;
    assert(receiver->stream == stream);
    if (receiver->link == NULL) {
        return;
    }
    struct buffer *buffer = &receiver->buffer;
    size_t used = 0;
    if (buffer->size == 0) {
        used = receiver_parse(receiver, bytes, size);
    }
    write_bytes(buffer, bytes + used, size - used);
    if (buffer->failed) {
        receiver_close(receiver, STATUS_NO_MEMORY);
        return;
    }
    if (used > 0 || buffer->size < FRAME_HEAD_BYTES ||
        buffer->size - FRAME_HEAD_BYTES < get_u32(buffer->data)) {
        return;
    }
    used = receiver_parse(receiver, buffer->data, buffer->size);
    if (used == buffer->size && buffer->capacity > RECEIVER_KEEP_BYTES) {
        buffer_deinit(buffer); /* one great frame shall not hold memory for ever */
        buffer_init(buffer, LINK_FRAME_BYTES_MAX + FRAME_HEAD_BYTES + 2 * STREAM_READ_BYTES);
        return;
    }
    buffer_consume(buffer, used);
}

static void receiver_closed(struct stream *stream, void *data, enum status status)
{
    struct link_receiver *receiver = data;
    assert(receiver->stream == stream);
    (void)status;
    if (receiver->link != NULL) {
        receiver->link->receiver = NULL;
    }
    struct endpoint *endpoint = receiver->endpoint;
    buffer_deinit(&receiver->buffer);
    free(receiver);
    endpoint_release(endpoint);
}

/* Ends a receiver whose messages are no longer wanted. */
static void receiver_drop(struct link_receiver *receiver)
{
    assert(receiver->link != NULL);
    receiver->link->receiver = NULL;
    receiver->link = NULL;
    receiver_close(receiver, STATUS_CLOSED);
}

void links_accept(struct links *links, uint32_t peer, struct stream *stream)
{
    struct link *link = links_find(links, peer);
    assert(link != NULL);
    struct link_receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL) {
        endpoint_abandon(links->endpoint, stream);
        return;
    }
    receiver->endpoint = links->endpoint;
    receiver->stream = stream;
    buffer_init(&receiver->buffer, LINK_FRAME_BYTES_MAX + FRAME_HEAD_BYTES + 2 * STREAM_READ_BYTES);
    const struct stream_callbacks callbacks = {
        .on_open = endpoint_ignore_open,
        .on_data = receiver_data,
        .on_close = receiver_closed,
    };
    stream_set_callbacks(stream, &callbacks, receiver);
    endpoint_hold(links->endpoint);
    if (links->closing) {
        receiver_close(receiver, STATUS_CLOSED);
        return;
    }
    if (link->receiver != NULL) {
        receiver_drop(link->receiver); /* the peer connected anew: the old one hangs */
    }
    receiver->link = link;
    link->receiver = receiver;
}

/* --- life ---------------------------------------------------------------------------------------
 */

void links_open(struct links *links, struct endpoint *endpoint,
                void (*on_message)(void *data, uint32_t peer, const uint8_t *bytes, size_t size),
                void (*on_link)(void *data, uint32_t peer, bool up), void *data)
{
    assert(on_message != NULL);
    assert(on_link != NULL);
    *links = (struct links){
        .endpoint = endpoint,
        .on_message = on_message,
        .on_link = on_link,
        .data = data,
    };
    int error = uv_timer_init(endpoint->loop, &links->watch);
    assert(error == 0);
    links->watch.data = links;
    endpoint_hold(endpoint);
    error = uv_timer_start(&links->watch, links_on_watch, PEER_WATCH_MS, PEER_WATCH_MS);
    assert(error == 0);
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        struct link *link = &links->links[i];
        if (endpoint->peers[i].id == endpoint->identity.node_id) {
            continue;
        }
        link->links = links;
        link->peer = &endpoint->peers[i];
        link_dial(link, 0);
    }
}

static void links_watch_closed(uv_handle_t *handle)
{
    struct links *links = handle->data;
    endpoint_release(links->endpoint);
}

void links_close(struct links *links)
{
    assert(!links->closing);
    links->closing = true;
    uv_close((uv_handle_t *)&links->watch, links_watch_closed);
    for (uint32_t i = 0; i < links->endpoint->peers_count; i++) {
        struct link *link = &links->links[i];
        if (link->links == NULL) {
            continue;
        }
        if (link->dial != NULL) {
            dial_cancel(link->dial);
            link->dial = NULL;
        }
        if (link->stream != NULL) {
            stream_close(link->stream, STATUS_CLOSED, 0);
        }
        if (link->receiver != NULL) {
            receiver_drop(link->receiver);
        }
    }
}
