#include "node/copy_send.h"

#include "base/check.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/log.h"
#include "node/copy_form.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const PART = "copy";

struct copy_send {
    struct copy_send_options options;
    pthread_t thread;
    _Atomic bool done;
    struct hasher *hasher;
    uint64_t bytes;
    int read_fd, write_fd;
    enum status copied; /* of the thread that copies, once it has ended */
    uint8_t chunk[4 + COPY_CHUNK_BYTES_MAX];
};

/* On Linux the priority is a thread's own, and the threads that it makes inherit it. */
static void priority_lower(void)
{
    if (setpriority(PRIO_PROCESS, 0, COPY_NICE) != 0) {
        log_debug(PART, "the priority stays: %s", strerror(errno));
    }
}

/* ---- from LMDB into the pipe --------------------------------------------------------------- */

static void *ledger_run(void *argument)
{
    struct copy_send *send = argument;
    const struct copy_send_options *options = &send->options;
    send->copied = ledger_copy(options->ledger, send->write_fd);
    if (send->copied == STATUS_CORRUPT) {
        options->damaged(options->data, ledger_damage(options->ledger));
    }
    (void)close(send->write_fd); /* the end of the file for the reader */
    return NULL;
}

/* ---- from the pipe to the peer ------------------------------------------------------------- */

/* The next bytes of the pipe, 0 at its end, into the chunk. */
static enum status pipe_read(struct copy_send *send, size_t *size)
{
    struct pollfd wanted = {.fd = send->read_fd, .events = POLLIN};
    ssize_t count = -1;
    do {
        const int ready = poll(&wanted, 1, COPY_STALL_MS);
        if (ready == 0) {
            return STATUS_TIMEOUT;
        }
        if (ready > 0) {
            count = read(send->read_fd, send->chunk + 4, COPY_CHUNK_BYTES_MAX);
        }
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return STATUS_IO;
    }
    *size = (size_t)count;
    return STATUS_OK;
}

static enum status chunks_send(struct copy_send *send)
{
    for (;;) {
        size_t size = 0;
        enum status status = pipe_read(send, &size);
        if (status != STATUS_OK || size == 0) {
            return status;
        }
        hasher_add(send->hasher, send->chunk + 4, size);
        send->bytes += size;
        put_u32(send->chunk, (uint32_t)size);
        status = channel_send(send->options.channel, send->chunk, 4 + size);
        if (status != STATUS_OK) {
            return status;
        }
    }
}

static enum status trailer_send(struct copy_send *send)
{
    const struct digest digest = hasher_end(send->hasher);
    uint8_t trailer[4 + COPY_TRAILER_BYTES] = {0}; /* a chunk of size 0 before it */
    put_u64(trailer + 4, send->bytes);
    memcpy(trailer + 12, digest.bytes, DIGEST_BYTES);
    return channel_send(send->options.channel, trailer, sizeof(trailer));
}

static enum status all_send(struct copy_send *send)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return STATUS_LIMIT;
    }
    send->read_fd = fds[0];
    send->write_fd = fds[1];
    /* Fewer changes between the threads; a smaller one serves too. */
    (void)fcntl(send->read_fd, F_SETPIPE_SZ, COPY_PIPE_BYTES);
    pthread_t thread;
    if (pthread_create(&thread, NULL, ledger_run, send) != 0) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return STATUS_NO_MEMORY;
    }
    hasher_begin(send->hasher);
    const uint8_t verdict = COPY_FOLLOWS;
    enum status status = channel_send(send->options.channel, &verdict, 1);
    if (status == STATUS_OK) {
        status = chunks_send(send);
    }
    /* Without a reader the other thread's next write fails. */
    (void)close(send->read_fd);
    (void)pthread_join(thread, NULL);
    if (status == STATUS_OK) {
        status = send->copied;
    }
    return status == STATUS_OK ? trailer_send(send) : status;
}

static void *copy_send_run(void *argument)
{
    struct copy_send *send = argument;
    priority_lower();
    const enum status status = all_send(send);
    if (status == STATUS_OK) {
        log_info(PART, "copy for node %u sent: bytes=%llu", send->options.peer,
                 (unsigned long long)send->bytes);
        metric_add(send->options.metrics, METRIC_COPIES_SERVED, 1);
        channel_finish(send->options.channel, COPY_CHECK_MS_MAX);
        log_info(PART, "node %u has no more need of this copy", send->options.peer);
    } else {
        log_warn(PART, "copy for node %u broke off: %s", send->options.peer, status_text(status));
        channel_cut(send->options.channel);
    }
    atomic_store(&send->done, true);
    return NULL;
}

/* ---- the door ------------------------------------------------------------------------------ */

enum status copy_send_open(struct copy_send **send, const struct copy_send_options *options)
{
    assert(options->ledger != NULL && options->channel != NULL);
    assert(options->metrics != NULL && options->damaged != NULL);
    struct copy_send *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return STATUS_NO_MEMORY;
    }
    opened->options = *options;
    enum status status = hasher_open(&opened->hasher);
    if (status == STATUS_OK && pthread_create(&opened->thread, NULL, copy_send_run, opened) != 0) {
        status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        hasher_close(opened->hasher);
        free(opened);
        return status;
    }
    *send = opened;
    return STATUS_OK;
}

void copy_send_cut(struct copy_send *send)
{
    channel_cut(send->options.channel);
}

bool copy_send_done(const struct copy_send *send)
{
    return atomic_load(&send->done);
}

void copy_send_close(struct copy_send *send)
{
    if (send == NULL) {
        return;
    }
    (void)pthread_join(send->thread, NULL);
    channel_close(send->options.channel);
    hasher_close(send->hasher);
    free(send);
}
