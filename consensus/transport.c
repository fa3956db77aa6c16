#include "consensus/transport.h"

#include "base/check.h"
#include "base/log.h"
#include "consensus/dial.h"
#include "consensus/pump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTEN_BACKLOG = 64, REFUSAL_LINGER_MS = 500 };

/* --- incoming --------------------------------------------------------------------------------- */

struct incoming {
    struct list node;
    struct transport *transport;
    struct stream *stream; /* NULL when handed over or gone */
    uv_timer_t timer;
    bool finished;
    bool timer_closed;
    size_t hello_size;
    uint8_t hello[HANDSHAKE_BYTES];
};

static void incoming_free_when_closed(struct incoming *incoming)
{
    if (!incoming->finished || !incoming->timer_closed || incoming->stream != NULL) {
        return;
    }
    struct transport *transport = incoming->transport;
    assert(transport->handshakes_count > 0);
    transport->handshakes_count--;
    list_remove(&incoming->node);
    free(incoming);
    endpoint_release(transport->endpoint);
}

static void incoming_timer_closed(uv_handle_t *handle)
{
    struct incoming *incoming = handle->data;
    incoming->timer_closed = true;
    incoming_free_when_closed(incoming);
}

/* Ends the handshake; a stream that is still ours is closed. */
static void incoming_finish(struct incoming *incoming, enum status reason, uint32_t linger_ms)
{
    if (incoming->finished) {
        return;
    }
    incoming->finished = true;
    uv_close((uv_handle_t *)&incoming->timer, incoming_timer_closed);
    if (incoming->stream != NULL) {
        stream_close(incoming->stream, reason, linger_ms);
    }
}

static enum status incoming_answer(struct incoming *incoming, const struct handshake *hello,
                                   enum refusal refusal)
{
    const struct endpoint *endpoint = incoming->transport->endpoint;
    struct handshake answer = endpoint_handshake(endpoint, hello->kind, hello->from);
    answer.refusal = refusal;
    uint8_t frame[HANDSHAKE_BYTES];
    handshake_encode(&answer, frame);
    return stream_write(incoming->stream, frame, sizeof frame);
}

static void incoming_accept_raft(struct transport *transport, uint32_t peer, struct stream *stream)
{
    /* A new stream of a peer means that it gave up the old one, which may hang half-open. */
    LIST_FOREACH(node, &transport->pumps)
    {
        struct pump *old = pump_of(node);
        if (pump_peer(old) == peer && pump_direction(old) == PUMP_INCOMING) {
            pump_close(old, STATUS_CLOSED);
        }
    }
    uv_stream_t *raft_end = NULL;
    enum status status =
        pump_open(&transport->pumps, transport->endpoint, stream, PUMP_INCOMING, peer, &raft_end);
    if (status != STATUS_OK) {
        log_warn("peer", "no stream for raft of node %u: %s", peer, status_text(status));
        return;
    }
    struct pump *pump = pump_of(transport->pumps.previous);
    pump_pause(pump, transport->paused);
    char address[16];
    (void)snprintf(address, sizeof address, "%u", peer);
    transport->accept(&transport->raft, peer, address, raft_end);
}

static void incoming_hand_over(struct incoming *incoming, const struct handshake *hello)
{
    struct transport *transport = incoming->transport;
    struct stream *stream = incoming->stream;
    incoming->stream = NULL;
    incoming_finish(incoming, STATUS_OK, 0);
    if (transport->endpoint->metrics != NULL) {
        metric_add(transport->endpoint->metrics, METRIC_PEER_CONNECTS, 1);
    }
    switch (hello->kind) {
    case CONNECTION_RAFT:
        incoming_accept_raft(transport, hello->from, stream);
        break;
    case CONNECTION_LINK:
        transport->on_link(transport->data, hello->from, stream);
        break;
    case CONNECTION_COPY:
        transport->on_copy(transport->data, hello->from, stream);
        break;
    default:
        assert(false); /* handshake_decode refuses other kinds */
    }
}

static void incoming_judge(struct incoming *incoming)
{
    struct transport *transport = incoming->transport;
    struct handshake hello = {.kind = CONNECTION_LINK};
    enum refusal refusal = handshake_decode(incoming->hello, &hello);
    if (refusal == REFUSAL_NONE && hello.refusal != REFUSAL_NONE) {
        refusal = REFUSAL_PROTOCOL;
    }
    if (refusal == REFUSAL_NONE) {
        refusal = endpoint_check(transport->endpoint, &hello, stream_peer_node(incoming->stream));
    }
    if (refusal == REFUSAL_NONE && hello.kind == CONNECTION_RAFT && transport->accept == NULL) {
        refusal = REFUSAL_BUSY;
    }
    enum status status = incoming_answer(incoming, &hello, refusal);
    if (refusal != REFUSAL_NONE) {
        endpoint_refused(transport->endpoint, "incoming", stream_peer_address(incoming->stream),
                         hello.from, refusal_text(refusal));
        incoming_finish(incoming, STATUS_FOREIGN, REFUSAL_LINGER_MS);
        return;
    }
    if (status != STATUS_OK) {
        incoming_finish(incoming, status, 0);
        return;
    }
    incoming_hand_over(incoming, &hello);
}

static void incoming_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct incoming *incoming = data;
    if (incoming->finished) {
        return;
    }
    if (size > sizeof incoming->hello - incoming->hello_size) {
        endpoint_refused(incoming->transport->endpoint, "incoming", stream_peer_address(stream),
                         stream_peer_node(stream), refusal_text(REFUSAL_PROTOCOL));
        incoming_finish(incoming, STATUS_PROTOCOL, 0);
        return;
    }
    memcpy(incoming->hello + incoming->hello_size, bytes, size);
    incoming->hello_size += size;
    if (incoming->hello_size == sizeof incoming->hello) {
        incoming_judge(incoming);
    }
}

static void incoming_on_close(struct stream *stream, void *data, enum status status)
{
    struct incoming *incoming = data;
    assert(incoming->stream == stream);
    if (!incoming->finished && status == STATUS_TLS) {
        endpoint_refused(incoming->transport->endpoint, "incoming", stream_peer_address(stream), 0,
                         stream_error(stream));
    }
    incoming->stream = NULL;
    incoming_finish(incoming, status, 0);
    incoming_free_when_closed(incoming);
}

static void incoming_on_timer(uv_timer_t *timer)
{
    struct incoming *incoming = timer->data;
    incoming_finish(incoming, STATUS_TIMEOUT, 0);
}

/*
 * Room for a new connection: the one that has been silent for longest goes. Were the new one
 * refused, a stranger that opens connections and says nothing could keep all peers out; a peer has
 * said who it is before others have opened so many more.
 */
static void transport_drop_oldest(struct transport *transport)
{
    LIST_FOREACH(node, &transport->handshakes)
    {
        struct incoming *incoming = CONTAINER_OF(node, struct incoming, node);
        if (!incoming->finished) {
            const char *address =
                incoming->stream != NULL ? stream_peer_address(incoming->stream) : "unknown";
            endpoint_refused(transport->endpoint, "incoming", address, 0,
                             refusal_text(REFUSAL_BUSY));
            incoming_finish(incoming, STATUS_LIMIT, 0);
            return;
        }
    }
}

static void transport_on_connection(uv_stream_t *listener, int error)
{
    struct transport *transport = listener->data;
    if (error != 0 || transport->closing) {
        return;
    }
    struct incoming *incoming = calloc(1, sizeof *incoming);
    if (incoming == NULL) {
        return; /* it stays in the backlog until the next one comes */
    }
    incoming->transport = transport;
    struct stream_options options = endpoint_stream_options(transport->endpoint, true);
    options.callbacks = (struct stream_callbacks){
        .on_open = endpoint_ignore_open,
        .on_data = incoming_on_data,
        .on_close = incoming_on_close,
    };
    options.data = incoming;
    enum status status = stream_accept(&incoming->stream, listener, &options);
    if (status != STATUS_OK) {
        log_warn("peer", "a connection was not accepted: %s", status_text(status));
        free(incoming);
        return;
    }
    error = uv_timer_init(transport->endpoint->loop, &incoming->timer);
    assert(error == 0);
    incoming->timer.data = incoming;
    endpoint_hold(transport->endpoint);
    list_push(&transport->handshakes, &incoming->node);
    transport->handshakes_count++;
    error = uv_timer_start(&incoming->timer, incoming_on_timer, PEER_CONNECT_MS, 0);
    assert(error == 0);
    if (transport->handshakes_count > PEER_HANDSHAKES_MAX) {
        transport_drop_oldest(transport);
    }
}

/* --- raft's outgoing connections ---------------------------------------------------------------
 */

struct attempt {
    struct list node;
    struct transport *transport;
    struct dial *dial;
    struct raft_uv_connect *request;
    uint32_t peer;
};

static void attempt_done(void *data, struct stream *stream, enum status status)
{
    struct attempt *attempt = data;
    struct transport *transport = attempt->transport;
    struct raft_uv_connect *request = attempt->request;
    uint32_t peer = attempt->peer;
    list_remove(&attempt->node);
    free(attempt);
    transport->history[endpoint_peer_place(transport->endpoint, peer)].refused =
        status == STATUS_FOREIGN || status == STATUS_TLS || status == STATUS_PROTOCOL;
    if (status != STATUS_OK) {
        request->cb(request, NULL, RAFT_NOCONNECTION);
        return;
    }
    if (transport->endpoint->metrics != NULL) {
        metric_add(transport->endpoint->metrics, METRIC_PEER_CONNECTS, 1);
    }
    uv_stream_t *raft_end = NULL;
    status =
        pump_open(&transport->pumps, transport->endpoint, stream, PUMP_OUTGOING, peer, &raft_end);
    if (status != STATUS_OK) {
        request->cb(request, NULL, RAFT_NOCONNECTION);
        return;
    }
    transport->history[endpoint_peer_place(transport->endpoint, peer)].epoch++;
    request->cb(request, raft_end, 0);
}

/* raft connects again at once when a stream breaks: attempts keep a distance. */
static uint32_t attempt_delay_ms(struct transport *transport, uint32_t place)
{
    uint64_t now_ms = uv_now(transport->endpoint->loop);
    uint32_t distance_ms = transport->history[place].refused ? PEER_CONNECT_MS : PEER_RETRY_MS;
    uint64_t earliest_ms = transport->history[place].begun_ms + distance_ms;
    uint32_t delay_ms = 0;
    if (transport->history[place].tried && earliest_ms > now_ms) {
        delay_ms = (uint32_t)(earliest_ms - now_ms);
    }
    transport->history[place].tried = true;
    transport->history[place].begun_ms = now_ms + delay_ms;
    return delay_ms;
}

static int transport_raft_connect(struct raft_uv_transport *raft, struct raft_uv_connect *request,
                                  raft_id id, const char *address, raft_uv_connect_cb done)
{
    struct transport *transport = raft->impl;
    (void)address; /* cluster.conf says where a node is, not raft's log */
    const struct consensus_peer *peer = endpoint_peer(transport->endpoint, id);
    if (peer == NULL || transport->closing) {
        return RAFT_NOCONNECTION;
    }
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (attempt == NULL) {
        return RAFT_NOMEM;
    }
    attempt->transport = transport;
    attempt->request = request;
    attempt->peer = peer->id;
    uint32_t place = endpoint_peer_place(transport->endpoint, peer->id);
    if (dial_open(&attempt->dial, transport->endpoint, peer, CONNECTION_RAFT,
                  attempt_delay_ms(transport, place), attempt_done, attempt) != STATUS_OK) {
        free(attempt);
        return RAFT_NOMEM;
    }
    request->cb = done;
    list_push(&transport->attempts, &attempt->node);
    return 0;
}

uint32_t transport_epoch(const struct transport *transport, uint32_t peer)
{
    return transport->history[endpoint_peer_place(transport->endpoint, peer)].epoch;
}

void transport_wrote(struct transport *transport, uint32_t peer)
{
    LIST_FOREACH(node, &transport->pumps)
    {
        struct pump *pump = pump_of(node);
        if (pump_peer(pump) == peer && pump_direction(pump) == PUMP_OUTGOING) {
            pump_wrote(pump);
        }
    }
}

void transport_pull(struct transport *transport)
{
    LIST_FOREACH(node, &transport->pumps)
    {
        pump_pull(pump_of(node));
    }
}

size_t transport_backlog(const struct transport *transport, uint32_t peer)
{
    size_t bytes = 0;
    LIST_FOREACH(node, &transport->pumps)
    {
        const struct pump *pump = pump_of(node);
        if (pump_peer(pump) == peer && pump_direction(pump) == PUMP_OUTGOING) {
            bytes += pump_backlog(pump);
        }
    }
    return bytes;
}

/* --- life ---------------------------------------------------------------------------------------
 */

static int transport_raft_init(struct raft_uv_transport *raft, raft_id id, const char *address)
{
    struct transport *transport = raft->impl;
    (void)address;
    return id == transport->endpoint->identity.node_id ? 0 : RAFT_BADID;
}

static int transport_raft_listen(struct raft_uv_transport *raft, raft_uv_accept_cb accept)
{
    struct transport *transport = raft->impl;
    assert(transport->listening);
    transport->accept = accept;
    return 0;
}

static void transport_listener_closed(uv_handle_t *handle)
{
    struct transport *transport = handle->data;
    raft_uv_transport_close_cb done = transport->close_done;
    transport->close_done = NULL;
    if (done != NULL) {
        done(&transport->raft);
    }
    endpoint_release(transport->endpoint);
}

static void transport_raft_close(struct raft_uv_transport *raft, raft_uv_transport_close_cb done)
{
    struct transport *transport = raft->impl;
    assert(!transport->closing);
    transport->close_done = done;
    transport_close(transport);
}

void transport_init(struct transport *transport, struct endpoint *endpoint)
{
    assert(endpoint != NULL);
    *transport = (struct transport){.endpoint = endpoint};
    transport->raft = (struct raft_uv_transport){
        .version = 1,
        .impl = transport,
        .init = transport_raft_init,
        .listen = transport_raft_listen,
        .connect = transport_raft_connect,
        .close = transport_raft_close,
    };
    list_init(&transport->handshakes);
    list_init(&transport->attempts);
    list_init(&transport->pumps);
    int error = uv_tcp_init(endpoint->loop, &transport->listener);
    assert(error == 0);
    transport->listener.data = transport;
    endpoint_hold(endpoint);
}

enum status transport_listen(struct transport *transport, const char *host, uint16_t port,
                             char *error, size_t error_size)
{
    assert(!transport->listening);
    /* At start, before anything runs on the loop: resolving may block. */
    uv_getaddrinfo_t request;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    int failure = uv_getaddrinfo(transport->endpoint->loop, &request, NULL, host, service, &hints);
    struct addrinfo *found = failure == 0 ? request.addrinfo : NULL;
    if (failure == 0) {
        failure = uv_tcp_bind(&transport->listener, found->ai_addr, 0);
    }
    if (failure == 0) {
        failure =
            uv_listen((uv_stream_t *)&transport->listener, LISTEN_BACKLOG, transport_on_connection);
    }
    if (found != NULL) {
        uv_freeaddrinfo(found);
    }
    if (failure != 0) {
        (void)snprintf(error, error_size, "can not listen for peers on %s:%u: %s", host, port,
                       uv_strerror(failure));
        return STATUS_NETWORK;
    }
    transport->listening = true;
    return STATUS_OK;
}

void transport_pause(struct transport *transport, bool pause)
{
    transport->paused = pause;
    LIST_FOREACH(node, &transport->pumps)
    {
        pump_pause(pump_of(node), pause);
    }
}

void transport_close(struct transport *transport)
{
    assert(!transport->closing);
    transport->closing = true;
    transport->accept = NULL;
    uv_close((uv_handle_t *)&transport->listener, transport_listener_closed);
    LIST_FOREACH(node, &transport->handshakes)
    {
        incoming_finish(CONTAINER_OF(node, struct incoming, node), STATUS_CLOSED, 0);
    }
    LIST_FOREACH(node, &transport->pumps)
    {
        pump_close(pump_of(node), STATUS_CLOSED);
    }
    for (struct list *node; (node = list_pop(&transport->attempts)) != NULL;) {
        struct attempt *attempt = CONTAINER_OF(node, struct attempt, node);
        struct raft_uv_connect *request = attempt->request;
        dial_cancel(attempt->dial);
        free(attempt);
        request->cb(request, NULL, RAFT_CANCELED);
    }
}
