/* What comes in: read, decrypt, deliver; pauses; the other side's end. */
#include "base/check.h"
#include "base/limits.h"
#include "base/stream_inside.h"

#include <stdio.h>

/* Shared by all streams of a thread: used within one callback of the loop only. */
static _Thread_local uint8_t shared_read[STREAM_READ_BYTES];
static _Thread_local uint8_t shared_plain[STREAM_READ_BYTES];

static void on_buffer(uv_handle_t *handle, size_t size_suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)size_suggested;
    *buffer = uv_buf_init((char *)shared_read, sizeof shared_read);
}

/*
 * The other side will write no more. What is queued still reaches it, if it has only shut down its
 * writing half.
 */
static void stream_ended(struct stream *stream, enum status reason, const char *text)
{
    stream->peer_ended = true;
    if (stream->state == LINGER && stream->shutdown_sent) {
        stream_finish(stream, reason);
        return;
    }
    if (stream->error[0] == '\0') {
        (void)snprintf(stream->error, sizeof stream->error, "%s", text);
    }
    (void)uv_read_stop(stream_tcp(stream));
    if (stream->state == OPEN) {
        stream_close(stream, reason, STREAM_LINGER_MS);
    } else if (stream->state != LINGER) {
        stream_finish(stream, reason);
    }
}

static void on_read(uv_stream_t *tcp, ssize_t count, const uv_buf_t *buffer)
{
    struct stream *stream = tcp->data;
    assert(stream->state != CLOSING);
    if (count == 0) {
        return;
    }
    if (count == UV_EOF) {
        bool cut = stream->tls != NULL;
        stream_ended(stream, cut ? STATUS_NETWORK : STATUS_CLOSED,
                     cut ? "the connection ended without TLS's closing alert"
                         : "the other side closed");
        return;
    }
    if (count < 0) {
        stream_fail_uv(stream, (int)count);
        return;
    }
    if (stream->state == LINGER) {
        return; /* dropped */
    }
    if (stream->tls == NULL) {
        assert(stream->state == OPEN);
        stream->options.callbacks.on_data(stream, stream->options.data,
                                          (const uint8_t *)buffer->base, (size_t)count);
        return;
    }
    enum status status = tls_feed(stream->tls, buffer->base, (size_t)count);
    if (status != STATUS_OK) {
        stream_fail(stream, status, tls_error(stream->tls));
        return;
    }
    stream_pump(stream);
}

void stream_read_start(struct stream *stream)
{
    int result = uv_read_start(stream_tcp(stream), on_buffer, on_read);
    if (result != 0 && result != UV_EALREADY) {
        stream_fail_uv(stream, result);
    }
}

void stream_opened(struct stream *stream)
{
    stream_move(stream, OPEN);
    (void)uv_timer_stop(&stream->timer);
    stream_flush_later(stream); /* what was written early, and the end of the handshake */
    if (stream->paused) {
        (void)uv_read_stop(stream_tcp(stream));
    } else if (stream->tls == NULL) {
        stream_read_start(stream);
    }
    if (stream->state == OPEN) {
        stream->options.callbacks.on_open(stream, stream->options.data);
    }
}

/* TLS refused or broke: the alert that says why is sent before the end. */
static void stream_refuse(struct stream *stream)
{
    (void)snprintf(stream->error, sizeof stream->error, "%s", tls_error(stream->tls));
    stream->reason = STATUS_TLS;
    stream->queued_at = stream->queued.size;
    stream_queued_release(stream);
    stream_move(stream, LINGER);
    stream_timer_set(stream, STREAM_LINGER_MS);
    stream_flush_later(stream);
    stream_read_start(stream); /* the other side's end is waited for */
}

/* Decrypts and delivers until the engine has no more, a pause, or the end. */
void stream_pump(struct stream *stream)
{
    assert(stream->tls != NULL);
    struct buffer plain = {
        .data = shared_plain, .capacity = sizeof shared_plain, .size_max = sizeof shared_plain};
    enum status status = STATUS_AGAIN;
    stream->leftover = false;
    while (status == STATUS_AGAIN) {
        if (stream->paused && stream->state == OPEN) {
            stream->leftover = true;
            return;
        }
        plain.size = 0;
        status = tls_read(stream->tls, &plain);
        if (stream->state == HANDSHAKE && tls_handshake_done(stream->tls)) {
            assert(plain.size == 0);
            stream_opened(stream);
        } else if (plain.size > 0) {
            stream->options.callbacks.on_data(stream, stream->options.data, plain.data, plain.size);
        }
        if (stream_closing(stream)) {
            return;
        }
    }
    if (status == STATUS_TLS || status == STATUS_NO_MEMORY) {
        stream_refuse(stream);
    } else if (status == STATUS_CLOSED) {
        stream_ended(stream, STATUS_CLOSED, "the other side closed");
    } else {
        stream_flush_later(stream); /* the handshake's next message, or nothing */
    }
}

void stream_pause(struct stream *stream)
{
    assert(stream != NULL);
    stream->paused = true;
    if (stream->state == OPEN) {
        (void)uv_read_stop(stream_tcp(stream));
        (void)uv_timer_stop(&stream->timer);
    }
}

void stream_resume(struct stream *stream)
{
    assert(stream != NULL);
    if (!stream->paused) {
        return;
    }
    stream->paused = false;
    if (stream->state != OPEN) {
        return;
    }
    if (stream->leftover) {
        stream_timer_set(stream, 0);
    } else {
        stream_read_start(stream);
    }
}
