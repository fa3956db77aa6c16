/* What goes out: queue, encrypt, hand to the kernel; the last bytes before the end. */
#include "base/check.h"
#include "base/limits.h"
#include "base/stream_inside.h"

void stream_queued_release(struct stream *stream)
{
    assert(stream->queued_at == stream->queued.size);
    buffer_deinit(&stream->queued);
    stream->queued_at = 0;
}

/*
 * Moves the next piece into the empty `writing`: of a plain stream all that is queued, of a TLS
 * stream what the engine has to say and then some of the queue. False where there is nothing, or
 * where the stream failed.
 */
static bool writing_fill(struct stream *stream)
{
    assert(stream->writing.size == 0);
    bool may_send = stream->state == OPEN || stream->state == LINGER;
    if (stream->tls == NULL) {
        if (!may_send || stream->queued.size == 0) {
            return false;
        }
        buffer_swap(&stream->queued, &stream->writing);
        return true;
    }
    size_t left = stream->queued.size - stream->queued_at;
    if (may_send && left > 0) {
        size_t count = left < STREAM_FLUSH_BYTES ? left : STREAM_FLUSH_BYTES;
        enum status status = tls_write(stream->tls, stream->queued.data + stream->queued_at, count);
        if (status != STATUS_OK) {
            stream_fail(stream, status, tls_error(stream->tls));
            return false;
        }
        stream->queued_at += count;
        if (stream->queued_at == stream->queued.size) {
            stream_queued_release(stream);
        }
    }
    if (stream->state == LINGER && stream->queued.size == 0) {
        tls_shutdown(stream->tls);
    }
    enum status status = tls_drain(stream->tls, &stream->writing);
    if (status != STATUS_OK) {
        stream_fail(stream, status, "the write queue can not grow");
        return false;
    }
    return stream->writing.size > 0;
}

static void on_written(uv_write_t *write, int result)
{
    struct stream *stream = write->handle->data;
    stream->write_busy = false;
    buffer_deinit(&stream->writing);
    if (stream->state == CLOSING) {
        return;
    }
    if (result != 0) {
        stream_fail_uv(stream, result);
        return;
    }
    stream_flush(stream);
}

/* Hands `writing` to libuv; true when the kernel took all of it at once. */
static bool writing_send(struct stream *stream, bool try_first)
{
    assert(!stream->write_busy);
    size_t taken = 0;
    if (try_first) {
        uv_buf_t all = uv_buf_init((char *)stream->writing.data, (unsigned)stream->writing.size);
        int result = uv_try_write(stream_tcp(stream), &all, 1);
        if (result < 0 && result != UV_EAGAIN) {
            stream_fail_uv(stream, result);
            return false;
        }
        taken = result > 0 ? (size_t)result : 0;
        if (taken == stream->writing.size) {
            buffer_deinit(&stream->writing);
            return true;
        }
    }
    uv_buf_t rest =
        uv_buf_init((char *)stream->writing.data + taken, (unsigned)(stream->writing.size - taken));
    int result = uv_write(&stream->write, stream_tcp(stream), &rest, 1, on_written);
    if (result != 0) {
        stream_fail_uv(stream, result);
        return false;
    }
    stream->write_busy = true;
    return false;
}

static void on_shutdown(uv_shutdown_t *request, int result)
{
    struct stream *stream = request->handle->data;
    (void)result; /* a broken connection is reported to the reader */
    if (stream->state == LINGER && stream->peer_ended) {
        stream_finish(stream, stream->reason);
    }
}

static void write_ended(struct stream *stream)
{
    if (stream->state == LINGER && !stream->shutdown_sent) {
        stream->shutdown_sent = true;
        int result = uv_shutdown(&stream->request.shutdown, stream_tcp(stream), on_shutdown);
        if (result != 0) {
            stream_fail_uv(stream, result);
        }
        return;
    }
    if (stream->state == OPEN && stream->drain_due) {
        stream->drain_due = false;
        if (stream->options.callbacks.on_drain != NULL) {
            stream->options.callbacks.on_drain(stream, stream->options.data);
        }
    }
}

/*
 * One piece is tried at once; further ones go through the loop, so that a fast reader of a large
 * answer does not keep the other streams waiting.
 */
void stream_flush(struct stream *stream)
{
    assert(stream->state != CLOSING);
    if (stream->write_busy) {
        return;
    }
    for (bool try_first = true; writing_fill(stream); try_first = false) {
        if (!writing_send(stream, try_first)) {
            return;
        }
    }
    if (stream->state != CLOSING) {
        write_ended(stream);
    }
}

static void on_flusher(uv_prepare_t *flusher)
{
    struct stream *stream = flusher->data;
    int result = uv_prepare_stop(flusher);
    assert(result == 0);
    stream_flush(stream);
}

void stream_flush_later(struct stream *stream)
{
    assert(stream->state != CLOSING);
    int result = uv_prepare_start(&stream->flusher, on_flusher);
    assert(result == 0);
}

enum status stream_write(struct stream *stream, const void *data, size_t size)
{
    assert(stream != NULL);
    assert(data != NULL || size == 0);
    if (stream_closing(stream)) {
        return STATUS_CLOSED;
    }
    size_t waiting = stream_write_bytes(stream);
    if (waiting > stream->options.write_bytes_max ||
        size > stream->options.write_bytes_max - waiting) {
        return STATUS_FULL;
    }
    if (size == 0) {
        return STATUS_OK;
    }
    /* Moved to the front only where at least half is gone, so that each byte is moved once. */
    if (stream->queued_at > stream->queued.size / 2) {
        buffer_consume(&stream->queued, stream->queued_at);
        stream->queued_at = 0;
    }
    if (!buffer_reserve(&stream->queued, size)) {
        stream->queued.failed = false; /* nothing was appended: the caller may try again */
        return STATUS_NO_MEMORY;
    }
    write_bytes(&stream->queued, data, size);
    stream->drain_due = true;
    if (stream->state == OPEN) {
        stream_flush_later(stream);
    }
    return STATUS_OK;
}

size_t stream_write_bytes(const struct stream *stream)
{
    assert(stream != NULL);
    assert(stream->queued_at <= stream->queued.size);
    return stream->queued.size - stream->queued_at +
           uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp);
}
