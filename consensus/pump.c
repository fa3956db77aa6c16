#include "consensus/pump.h"

#include "base/check.h"
#include "base/log.h"

#include <fcntl.h>
#include <raft.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct pump {
    struct list node;
    struct endpoint *endpoint;
    struct stream *stream; /* NULL once it is gone */
    enum pump_direction direction;
    uint32_t peer;
    uv_pipe_t inner;  /* our end of the socket pair */
    uv_timer_t watch; /* notices a stall */
    uint32_t handles; /* of these two, still open */
    bool closing;
    bool paused;         /* by the owner */
    bool stream_paused;  /* what the stream was told last */
    bool inner_reading;  /* what the inner end was told last */
    bool wrote;          /* raft did, since the last pump_pull */
    size_t inner_queued; /* bytes for raft that the socket pair has not taken */
    uint64_t taken;      /* bytes taken by the inner end, ever */
    uint64_t offered;    /* bytes given to the stream, ever */
    uint64_t moved_last; /* progress at the last look */
    uint32_t stalled_ms;
    char bytes[STREAM_READ_BYTES];
};

struct pump_write {
    uv_write_t request;
    struct pump *pump;
    size_t size;
    uint8_t bytes[];
};

/* The stream is full while another read might not fit behind what waits. */
static bool pump_stream_full(const struct pump *pump)
{
    return stream_write_bytes(pump->stream) + STREAM_READ_BYTES > PEER_PUMP_BYTES_MAX;
}

static void pump_free_when_closed(struct pump *pump)
{
    if (!pump->closing || pump->handles > 0 || pump->stream != NULL) {
        return;
    }
    struct endpoint *endpoint = pump->endpoint;
    list_remove(&pump->node);
    free(pump);
    endpoint_release(endpoint);
}

static void pump_handle_closed(uv_handle_t *handle)
{
    struct pump *pump = handle->data;
    assert(pump->handles > 0);
    pump->handles--;
    pump_free_when_closed(pump);
}

void pump_close(struct pump *pump, enum status reason)
{
    assert(pump != NULL);
    if (pump->closing) {
        return;
    }
    pump->closing = true;
    uv_close((uv_handle_t *)&pump->inner, pump_handle_closed);
    uv_close((uv_handle_t *)&pump->watch, pump_handle_closed);
    if (pump->stream != NULL) {
        stream_close(pump->stream, reason, 0);
    }
}

static void pump_inner_alloc(uv_handle_t *handle, size_t suggested_size, uv_buf_t *buffer)
{
    struct pump *pump = handle->data;
    (void)suggested_size;
    *buffer = uv_buf_init(pump->bytes, sizeof pump->bytes);
}

static void pump_inner_read(uv_stream_t *inner, ssize_t size, const uv_buf_t *buffer)
{
    struct pump *pump = inner->data;
    assert(buffer->base == pump->bytes || size <= 0);
    if (size == 0 || pump->closing) {
        return;
    }
    if (size < 0 || pump->direction == PUMP_INCOMING) {
        pump_close(pump, STATUS_CLOSED); /* raft closed its end (or writes what it never should) */
        return;
    }
    enum status status = stream_write(pump->stream, buffer->base, (size_t)size);
    if (status != STATUS_OK) {
        pump_close(pump, status);
        return;
    }
    pump->offered += (uint64_t)size;
    if (pump_stream_full(pump)) {
        uv_read_stop(inner);
        pump->inner_reading = false;
    }
}

void pump_wrote(struct pump *pump)
{
    pump->wrote = true;
}

void pump_pull(struct pump *pump)
{
    if (!pump->wrote || pump->closing || !pump->inner_reading) {
        return;
    }
    pump->wrote = false;
    uv_os_fd_t file = -1;
    int error = uv_fileno((const uv_handle_t *)&pump->inner, &file);
    assert(error == 0);
    ssize_t size = read(file, pump->bytes, sizeof pump->bytes);
    if (size > 0) { /* an error or the end is libuv's to tell */
        const uv_buf_t buffer = uv_buf_init(pump->bytes, sizeof pump->bytes);
        pump_inner_read((uv_stream_t *)&pump->inner, size, &buffer);
    }
}

static bool pump_start_reading(struct pump *pump)
{
    int error = uv_read_start((uv_stream_t *)&pump->inner, pump_inner_alloc, pump_inner_read);
    pump->inner_reading = error == 0;
    return error == 0;
}

/* Reads from the wire only while raft takes what it gets, and the owner wants it. */
static void pump_update_flow(struct pump *pump)
{
    bool pause = pump->paused || pump->inner_queued > 0;
    if (pump->closing || pause == pump->stream_paused) {
        return;
    }
    pump->stream_paused = pause;
    if (pause) {
        stream_pause(pump->stream);
    } else {
        stream_resume(pump->stream);
    }
}

static void pump_inner_written(uv_write_t *request, int error)
{
    struct pump_write *write = CONTAINER_OF(request, struct pump_write, request);
    struct pump *pump = write->pump;
    assert(pump->inner_queued >= write->size);
    pump->inner_queued -= write->size;
    pump->taken += write->size;
    free(write);
    if (pump->closing) {
        return;
    }
    if (error != 0) {
        pump_close(pump, STATUS_CLOSED);
        return;
    }
    pump_update_flow(pump);
}

static enum status pump_inner_queue(struct pump *pump, const uint8_t *bytes, size_t size)
{
    if (pump->inner_queued + size > PEER_PUMP_BYTES_MAX) {
        return STATUS_FULL;
    }
    struct pump_write *write = malloc(sizeof *write + size);
    if (write == NULL) {
        return STATUS_NO_MEMORY;
    }
    write->pump = pump;
    write->size = size;
    memcpy(write->bytes, bytes, size);
    uv_buf_t buffer = uv_buf_init((char *)write->bytes, (unsigned)size);
    int error =
        uv_write(&write->request, (uv_stream_t *)&pump->inner, &buffer, 1, pump_inner_written);
    if (error != 0) {
        free(write);
        return STATUS_CLOSED;
    }
    pump->inner_queued += size;
    return STATUS_OK;
}

static void pump_stream_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct pump *pump = data;
    assert(pump->stream == stream);
    if (pump->closing) {
        return;
    }
    if (pump->direction == PUMP_OUTGOING) {
        log_warn("peer", "node %u sends on a stream it may only read", pump->peer);
        pump_close(pump, STATUS_PROTOCOL);
        return;
    }
    size_t done = 0;
    if (pump->inner_queued == 0) {
        /* uv_buf_t has no const; libuv only reads from it. */
        uv_buf_t buffer = {.base = (char *)(uintptr_t)bytes, .len = size};
        int written = uv_try_write((uv_stream_t *)&pump->inner, &buffer, 1);
        if (written < 0 && written != UV_EAGAIN) {
            pump_close(pump, STATUS_CLOSED);
            return;
        }
        done = written > 0 ? (size_t)written : 0;
        pump->taken += done;
    }
    if (done < size) {
        enum status status = pump_inner_queue(pump, bytes + done, size - done);
        if (status != STATUS_OK) {
            pump_close(pump, status);
            return;
        }
    }
    pump_update_flow(pump);
}

static void pump_resume_inner(struct pump *pump)
{
    if (!pump->closing && !pump->inner_reading && !pump_stream_full(pump) &&
        !pump_start_reading(pump)) {
        pump_close(pump, STATUS_CLOSED);
    }
}

static void pump_stream_drained(struct stream *stream, void *data)
{
    struct pump *pump = data;
    assert(pump->stream == stream);
    pump_resume_inner(pump);
}

static void pump_stream_closed(struct stream *stream, void *data, enum status status)
{
    struct pump *pump = data;
    assert(pump->stream == stream);
    if (!pump->closing) {
        log_debug("peer", "raft stream with node %u broke: %s", pump->peer, stream_error(stream));
    }
    pump->stream = NULL;
    pump_close(pump, status);
    pump_free_when_closed(pump);
}

static void pump_on_watch(uv_timer_t *watch)
{
    struct pump *pump = watch->data;
    if (pump->closing) {
        return;
    }
    size_t queued = stream_write_bytes(pump->stream);
    /* Wraps where the stream counts its ciphertext: only a change matters. */
    uint64_t moved = pump->taken + pump->offered - queued;
    bool waiting = queued > 0 || pump->inner_queued > 0;
    if (!waiting || moved != pump->moved_last) {
        pump->moved_last = moved;
        pump->stalled_ms = 0;
        pump_resume_inner(pump);
        return;
    }
    pump->stalled_ms += PEER_WATCH_MS;
    if (pump->stalled_ms >= PEER_STALL_MS) {
        log_warn("peer", "raft stream with node %u stalled bytes=%zu: cut", pump->peer,
                 queued + pump->inner_queued);
        pump_close(pump, STATUS_TIMEOUT);
    }
}

/* A connected pair: one libuv pipe for us, one from raft's allocator for raft. */
static enum status pump_pair(struct pump *pump, uv_pipe_t *raft_end)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        return STATUS_LIMIT;
    }
    int error = uv_pipe_open(&pump->inner, pair[0]);
    if (error != 0) {
        close(pair[0]);
        close(pair[1]);
        return STATUS_LIMIT;
    }
    error = uv_pipe_open(raft_end, pair[1]);
    if (error != 0) {
        close(pair[1]);
        return STATUS_LIMIT;
    }
    return STATUS_OK;
}

static void pump_raft_end_closed(uv_handle_t *handle)
{
    raft_free(handle);
}

static void pump_init(struct pump *pump, struct list *pumps, struct endpoint *endpoint,
                      struct stream *stream, enum pump_direction direction, uint32_t peer)
{
    pump->endpoint = endpoint;
    pump->stream = stream;
    pump->direction = direction;
    pump->peer = peer;
    list_push(pumps, &pump->node);
    int error = uv_pipe_init(endpoint->loop, &pump->inner, 0);
    assert(error == 0);
    pump->inner.data = pump;
    error = uv_timer_init(endpoint->loop, &pump->watch);
    assert(error == 0);
    pump->watch.data = pump;
    pump->handles = 2;
    endpoint_hold(endpoint);
    const struct stream_callbacks callbacks = {
        .on_open = endpoint_ignore_open,
        .on_data = pump_stream_data,
        .on_drain = pump_stream_drained,
        .on_close = pump_stream_closed,
    };
    stream_set_callbacks(stream, &callbacks, pump);
}

enum status pump_open(struct list *pumps, struct endpoint *endpoint, struct stream *stream,
                      enum pump_direction direction, uint32_t peer, uv_stream_t **raft_end)
{
    assert(stream != NULL);
    assert(peer != 0);
    struct pump *pump = calloc(1, sizeof *pump);
    uv_pipe_t *pipe = raft_malloc(sizeof *pipe);
    if (pump == NULL || pipe == NULL) {
        free(pump);
        raft_free(pipe);
        endpoint_abandon(endpoint, stream);
        return STATUS_NO_MEMORY;
    }
    pump_init(pump, pumps, endpoint, stream, direction, peer);
    int error = uv_pipe_init(endpoint->loop, pipe, 0);
    assert(error == 0);
    enum status status = pump_pair(pump, pipe);
    if (status == STATUS_OK && !pump_start_reading(pump)) {
        status = STATUS_LIMIT;
    }
    if (status != STATUS_OK) {
        uv_close((uv_handle_t *)pipe, pump_raft_end_closed);
        pump_close(pump, status);
        return status;
    }
    error = uv_timer_start(&pump->watch, pump_on_watch, PEER_WATCH_MS, PEER_WATCH_MS);
    assert(error == 0);
    *raft_end = (uv_stream_t *)pipe;
    return STATUS_OK;
}

void pump_pause(struct pump *pump, bool pause)
{
    assert(pump != NULL);
    if (pump->direction == PUMP_INCOMING) {
        pump->paused = pause;
        pump_update_flow(pump);
    }
}

struct pump *pump_of(struct list *node)
{
    return CONTAINER_OF(node, struct pump, node);
}

uint32_t pump_peer(const struct pump *pump)
{
    return pump->peer;
}

enum pump_direction pump_direction(const struct pump *pump)
{
    return pump->direction;
}

size_t pump_backlog(const struct pump *pump)
{
    return pump->closing || pump->stream == NULL ? 0 : stream_write_bytes(pump->stream);
}
