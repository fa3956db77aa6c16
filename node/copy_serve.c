/*
 * The serving side of a state copy: a thread lets LMDB write a compact copy of one committed
 * transaction into a pipe; the core's loop reads the pipe in small pieces and sends them, as fast
 * as the peer takes them and no faster, so that payments go on beside it.
 *
 *     asked -> (ledger made durable) -> thread runs, chunks flow -> trailer -> closed, thread
 * joined
 */
#include "node/internal.h"

#include "base/log.h"
#include "node/copy_form.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const PART = "copy";

struct copy_job {
    struct list node;
    struct node *owner;
    uint32_t peer;
    struct stream *stream; /* NULL once it is closed */
    struct buffer ask;
    uint64_t ticket;
    uint64_t wanted_index;
    bool asked;
    bool pipe_open;
    bool reading;
    bool ended; /* the trailer is sent, or it was given up */
    bool thread_runs;
    _Atomic bool thread_done;
    _Atomic bool thread_ok;
    pthread_t thread;
    int write_fd;
    uv_pipe_t pipe;
    struct hasher *hasher;
    uint64_t bytes;
    uint64_t moved_at_ns; /* the last progress: a copy that stands still is given up */
    uint8_t chunk[4 + COPY_CHUNK_BYTES_MAX];
};

static void copy_pump(struct copy_job *copy);

static void copy_pipe_closed(uv_handle_t *handle)
{
    struct copy_job *copy = handle->data;
    copy->pipe_open = false;
}

static void copy_pipe_close(struct copy_job *copy)
{
    copy->ended = true;
    if (copy->pipe_open && !uv_is_closing((uv_handle_t *)&copy->pipe)) {
        uv_close((uv_handle_t *)&copy->pipe, copy_pipe_closed);
    }
}

static void copy_give_up(struct copy_job *copy, const char *why)
{
    if (copy->ended) {
        return;
    }
    log_warn(PART, "copy for node %u given up: %s", copy->peer, why);
    copy_pipe_close(copy);
    if (copy->stream != NULL) {
        stream_close(copy->stream, STATUS_IO, 0);
    }
}

static void *copy_thread(void *argument)
{
    struct copy_job *copy = argument;
    enum status status = ledger_copy(copy->owner->ledger, copy->write_fd);
    if (status == STATUS_CORRUPT) {
        node_damaged(copy->owner, ledger_damage(copy->owner->ledger));
    }
    atomic_store(&copy->thread_ok, status == STATUS_OK);
    (void)close(copy->write_fd);
    atomic_store(&copy->thread_done, true);
    return NULL;
}

/* ---- the pipe ------------------------------------------------------------------------------ */

static void copy_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct copy_job *copy = handle->data;
    *buffer = uv_buf_init((char *)copy->chunk + 4, COPY_CHUNK_BYTES_MAX);
}

static void copy_finish(struct copy_job *copy)
{
    /* The writer has closed the pipe; whether it got everything out is known once it is done. */
    (void)pthread_join(copy->thread, NULL);
    copy->thread_runs = false;
    if (!atomic_load(&copy->thread_ok)) {
        copy_give_up(copy, "the copy of the database failed");
        return;
    }
    struct digest digest = hasher_end(copy->hasher);
    uint8_t trailer[4 + COPY_TRAILER_BYTES] = {0};
    put_u64(trailer + 4, copy->bytes);
    memcpy(trailer + 12, digest.bytes, DIGEST_BYTES);
    if (stream_write(copy->stream, trailer, sizeof(trailer)) != STATUS_OK) {
        copy_give_up(copy, "the trailer could not be sent");
        return;
    }
    log_info(PART, "copy for node %u sent: bytes=%llu", copy->peer,
             (unsigned long long)copy->bytes);
    metric_add(&copy->owner->metrics, METRIC_COPIES_SERVED, 1);
    copy_pipe_close(copy);
    stream_close(copy->stream, STATUS_OK, COPY_LINGER_MS);
}

static void copy_on_read(uv_stream_t *pipe, ssize_t size, const uv_buf_t *buffer)
{
    struct copy_job *copy = pipe->data;
    if (copy->ended || copy->stream == NULL || size == 0) {
        return;
    }
    if (size < 0) {
        if (size == UV_EOF) {
            copy_finish(copy);
        } else {
            copy_give_up(copy, uv_strerror((int)size));
        }
        return;
    }
    hasher_add(copy->hasher, buffer->base, (size_t)size);
    copy->bytes += (uint64_t)size;
    copy->moved_at_ns = clock_monotonic_ns(copy->owner->clock);
    put_u32(copy->chunk, (uint32_t)size);
    if (stream_write(copy->stream, copy->chunk, 4 + (size_t)size) != STATUS_OK) {
        copy_give_up(copy, "the stream refused a chunk");
        return;
    }
    if (stream_write_bytes(copy->stream) > COPY_WRITE_MARK_BYTES) {
        uv_read_stop(pipe);
        copy->reading = false;
    }
}

static void copy_pump(struct copy_job *copy)
{
    if (copy->ended || !copy->pipe_open || copy->reading) {
        return;
    }
    copy->reading = uv_read_start((uv_stream_t *)&copy->pipe, copy_alloc, copy_on_read) == 0;
}

static void copy_begin(struct copy_job *copy)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        copy_give_up(copy, strerror(errno));
        return;
    }
    copy->write_fd = fds[1];
    bool opened = uv_pipe_init(&copy->owner->loop, &copy->pipe, 0) == 0;
    copy->pipe.data = copy;
    copy->pipe_open = opened;
    if (!opened || uv_pipe_open(&copy->pipe, fds[0]) != 0 ||
        hasher_open(&copy->hasher) != STATUS_OK ||
        pthread_create(&copy->thread, NULL, copy_thread, copy) != 0) {
        (void)close(fds[1]);
        copy_give_up(copy, "no pipe or thread");
        return;
    }
    copy->thread_runs = true;
    copy->moved_at_ns = clock_monotonic_ns(copy->owner->clock);
    hasher_begin(copy->hasher);
    uint8_t verdict = COPY_FOLLOWS;
    if (stream_write(copy->stream, &verdict, 1) != STATUS_OK) {
        copy_give_up(copy, "the stream refused the verdict");
        return;
    }
    copy_pump(copy);
}

/* ---- the stream ---------------------------------------------------------------------------- */

static void copy_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct copy_job *copy = data;
    write_bytes(&copy->ask, bytes, size);
    if (copy->ask.failed || copy->asked) {
        stream_close(stream, STATUS_PROTOCOL, 0);
        return;
    }
    if (copy->ask.size < COPY_ASK_BYTES) {
        return;
    }
    if (get_u32(copy->ask.data) != COPY_MAGIC) {
        stream_close(stream, STATUS_PROTOCOL, 0);
        return;
    }
    copy->asked = true;
    copy->wanted_index = get_u64(copy->ask.data + 4);
    struct node *node = copy->owner;
    log_info(PART, "node %u asks for a copy at raft index %llu or later", copy->peer,
             (unsigned long long)copy->wanted_index);
    node_copy_asked(node, copy->peer, copy->wanted_index, get_u64(copy->ask.data + 12),
                    copy->ticket);
}

static void copy_on_drain(struct stream *stream, void *data)
{
    (void)stream;
    copy_pump(data);
}

static void copy_on_close(struct stream *stream, void *data, enum status status)
{
    (void)stream;
    struct copy_job *copy = data;
    copy->stream = NULL;
    if (!copy->ended) {
        log_warn(PART, "copy for node %u broke off: %s", copy->peer, status_text(status));
    }
    copy_pipe_close(copy);
}

void copy_on_stream(void *data, uint32_t peer, struct stream *stream)
{
    static const struct stream_callbacks callbacks = {
        .on_data = copy_on_data, .on_drain = copy_on_drain, .on_close = copy_on_close};
    struct node *node = data;
    uint32_t count = 0;
    LIST_FOREACH(item, &node->copies)
    {
        count++;
    }
    struct copy_job *copy = count < COPIES_MAX ? calloc(1, sizeof(*copy)) : NULL;
    if (copy == NULL) {
        log_warn(PART, "node %u asks for a copy: too many at once", peer);
        stream_close(stream, STATUS_LIMIT, 0);
        return;
    }
    copy->owner = node;
    copy->peer = peer;
    copy->stream = stream;
    copy->ticket = ++node->copy_tickets;
    copy->moved_at_ns = clock_monotonic_ns(node->clock);
    buffer_init(&copy->ask, COPY_ASK_BYTES);
    list_push(&node->copies, &copy->node);
    stream_set_callbacks(stream, &callbacks, copy);
}

void copy_durable(struct node *node, uint64_t ticket, const struct position *position)
{
    LIST_FOREACH(item, &node->copies)
    {
        struct copy_job *copy = CONTAINER_OF(item, struct copy_job, node);
        if (copy->ticket != ticket || copy->stream == NULL || copy->ended) {
            continue;
        }
        if (position->index < copy->wanted_index) {
            uint8_t verdict = COPY_NOT_REACHED;
            if (stream_write(copy->stream, &verdict, 1) != STATUS_OK) {
                log_debug(PART, "verdict not sent");
            }
            copy->ended = true;
            stream_close(copy->stream, STATUS_OK, COPY_LINGER_MS);
        } else {
            copy_begin(copy);
        }
        return;
    }
}

static bool copy_is_over(struct copy_job *copy)
{
    if (copy->thread_runs && atomic_load(&copy->thread_done) && copy->ended) {
        (void)pthread_join(copy->thread, NULL);
        copy->thread_runs = false;
    }
    return copy->stream == NULL && !copy->pipe_open && !copy->thread_runs;
}

static void copy_free(struct copy_job *copy)
{
    list_remove(&copy->node);
    if (copy->hasher != NULL) {
        hasher_close(copy->hasher);
    }
    buffer_deinit(&copy->ask);
    free(copy);
}

void copy_tick(struct node *node, uint64_t now_ns)
{
    struct list *item = node->copies.next;
    while (item != &node->copies) {
        struct list *next = item->next;
        struct copy_job *copy = CONTAINER_OF(item, struct copy_job, node);
        node->copies_until_ns = now_ns + (uint64_t)COPY_AFTER_MS * 1000000;
        if (now_ns - copy->moved_at_ns > (uint64_t)COPY_STALL_MS * 1000000) {
            copy_give_up(copy, "it stands still");
        }
        if (copy_is_over(copy)) {
            copy_free(copy);
        }
        item = next;
    }
}

bool copy_active(const struct node *node, uint64_t now_ns)
{
    return !list_empty(&node->copies) || now_ns < node->copies_until_ns;
}

void copy_close(struct node *node)
{
    LIST_FOREACH(item, &node->copies)
    {
        struct copy_job *copy = CONTAINER_OF(item, struct copy_job, node);
        copy_give_up(copy, "the node is stopping");
    }
}

void copy_end(struct node *node)
{
    while (!list_empty(&node->copies)) {
        struct copy_job *copy = CONTAINER_OF(node->copies.next, struct copy_job, node);
        if (copy->thread_runs) {
            /* Its pipe has no reader any more, so that its next write fails. */
            (void)pthread_join(copy->thread, NULL);
        }
        copy_free(copy);
    }
}
