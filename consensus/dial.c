#include "consensus/dial.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct dial {
    struct endpoint *endpoint;
    const struct consensus_peer *peer;
    enum connection_kind kind;
    dial_done done;
    void *data;
    struct stream *stream; /* NULL before it is begun, and when handed over or gone */
    uv_timer_t timer;      /* first the delay, then the time limit */
    bool begun;
    bool finished; /* done has been called, or never will be */
    bool timer_closed;
    size_t answer_size;
    uint8_t answer[HANDSHAKE_BYTES];
};

static void dial_free_when_closed(struct dial *dial)
{
    if (!dial->finished || !dial->timer_closed || dial->stream != NULL) {
        return;
    }
    struct endpoint *endpoint = dial->endpoint;
    free(dial);
    endpoint_release(endpoint);
}

static void dial_timer_closed(uv_handle_t *handle)
{
    struct dial *dial = handle->data;
    dial->timer_closed = true;
    dial_free_when_closed(dial);
}

static void dial_finish(struct dial *dial, enum status status)
{
    assert(!dial->finished);
    dial->finished = true;
    uv_close((uv_handle_t *)&dial->timer, dial_timer_closed);
    struct stream *stream = dial->stream;
    if (status == STATUS_OK) {
        assert(stream != NULL);
        dial->stream = NULL;
        dial->done(dial->data, stream, STATUS_OK);
        return;
    }
    if (stream != NULL) {
        stream_close(stream, status, 0);
    }
    dial->done(dial->data, NULL, status);
}

static void dial_on_open(struct stream *stream, void *data)
{
    struct dial *dial = data;
    assert(dial->stream == stream);
    if (dial->finished) {
        return;
    }
    struct handshake hello = endpoint_handshake(dial->endpoint, dial->kind, dial->peer->id);
    uint8_t frame[HANDSHAKE_BYTES];
    handshake_encode(&hello, frame);
    enum status status = stream_write(stream, frame, sizeof frame);
    if (status != STATUS_OK) {
        dial_finish(dial, status);
    }
}

/* Judges the full answer: OK, or the reason as a refusal text. */
static const char *dial_judge(struct dial *dial)
{
    struct handshake answer;
    enum refusal refusal = handshake_decode(dial->answer, &answer);
    if (refusal != REFUSAL_NONE) {
        return refusal_text(refusal);
    }
    if (answer.refusal != REFUSAL_NONE) {
        log_debug("peer", "node %u refuses this node", dial->peer->id);
        return refusal_text(answer.refusal);
    }
    if (answer.from != dial->peer->id) {
        return "another node answers at this address";
    }
    refusal = endpoint_check(dial->endpoint, &answer, stream_peer_node(dial->stream));
    return refusal == REFUSAL_NONE ? NULL : refusal_text(refusal);
}

static void dial_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct dial *dial = data;
    if (dial->finished) {
        return;
    }
    if (size > sizeof dial->answer - dial->answer_size) {
        /* The side that connects speaks first on every kind of connection. */
        endpoint_refused(dial->endpoint, "outgoing", stream_peer_address(stream), dial->peer->id,
                         refusal_text(REFUSAL_PROTOCOL));
        dial_finish(dial, STATUS_PROTOCOL);
        return;
    }
    memcpy(dial->answer + dial->answer_size, bytes, size);
    dial->answer_size += size;
    if (dial->answer_size < sizeof dial->answer) {
        return;
    }
    const char *reason = dial_judge(dial);
    if (reason != NULL) {
        endpoint_refused(dial->endpoint, "outgoing", stream_peer_address(stream), dial->peer->id,
                         reason);
        dial_finish(dial, STATUS_FOREIGN);
        return;
    }
    dial_finish(dial, STATUS_OK);
}

static void dial_on_close(struct stream *stream, void *data, enum status status)
{
    struct dial *dial = data;
    assert(dial->stream == stream);
    if (!dial->finished) {
        if (status == STATUS_TLS) {
            endpoint_refused(dial->endpoint, "outgoing", stream_peer_address(stream),
                             dial->peer->id, stream_error(stream));
        } else {
            log_debug("peer", "connecting to node %u failed: %s", dial->peer->id,
                      stream_error(stream));
        }
    }
    dial->stream = NULL;
    if (!dial->finished) {
        dial_finish(dial, status == STATUS_OK ? STATUS_NETWORK : status);
    }
    dial_free_when_closed(dial);
}

static void dial_on_timer(uv_timer_t *timer);

static void dial_begin(struct dial *dial)
{
    dial->begun = true;
    int error = uv_timer_start(&dial->timer, dial_on_timer, PEER_CONNECT_MS, 0);
    assert(error == 0); /* a timer that is not closing */
    struct stream_options options = endpoint_stream_options(dial->endpoint, false);
    options.callbacks = (struct stream_callbacks){
        .on_open = dial_on_open,
        .on_data = dial_on_data,
        .on_close = dial_on_close,
    };
    options.data = dial;
    enum status status =
        stream_connect(&dial->stream, dial->peer->host, dial->peer->port, &options);
    if (status != STATUS_OK) {
        dial->stream = NULL;
        dial_finish(dial, status);
    }
}

static void dial_on_timer(uv_timer_t *timer)
{
    struct dial *dial = timer->data;
    if (dial->finished) {
        return;
    }
    if (!dial->begun) {
        dial_begin(dial);
        return;
    }
    log_debug("peer", "connecting to node %u timed out", dial->peer->id);
    dial_finish(dial, STATUS_TIMEOUT);
}

enum status dial_open(struct dial **dial, struct endpoint *endpoint,
                      const struct consensus_peer *peer, enum connection_kind kind,
                      uint32_t delay_ms, dial_done done, void *data)
{
    assert(peer != NULL);
    assert(done != NULL);
    struct dial *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    made->endpoint = endpoint;
    made->peer = peer;
    made->kind = kind;
    made->done = done;
    made->data = data;
    int error = uv_timer_init(endpoint->loop, &made->timer);
    assert(error == 0); /* a timer that is not closing */
    made->timer.data = made;
    error = uv_timer_start(&made->timer, dial_on_timer, delay_ms, 0);
    assert(error == 0); /* a timer that is not closing */
    endpoint_hold(endpoint);
    *dial = made;
    return STATUS_OK;
}

void dial_cancel(struct dial *dial)
{
    assert(!dial->finished);
    dial->finished = true;
    uv_close((uv_handle_t *)&dial->timer, dial_timer_closed);
    if (dial->stream != NULL) {
        stream_close(dial->stream, STATUS_CLOSED, 0);
    }
}
