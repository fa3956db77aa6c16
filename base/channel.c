#include "base/channel.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct channel {
    int fd;
    struct tls *tls;
    struct buffer first; /* queued before the loop let go of it */
    struct buffer out;   /* ciphertext on its way */
    uint32_t stall_ms;
};

enum status channel_open(struct channel **channel, int fd, struct tls *tls, struct buffer *queued,
                         uint32_t stall_ms)
{
    assert(fd >= 0 && queued != NULL);
    assert(stall_ms > 0 && stall_ms <= INT32_MAX);
    struct channel *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return STATUS_NO_MEMORY;
    }
    opened->fd = fd;
    opened->tls = tls;
    opened->stall_ms = stall_ms;
    opened->first = *queued;
    buffer_init(queued, queued->size_max);
    buffer_init(&opened->out, TLS_BUFFER_BYTES_MAX);
    *channel = opened;
    return STATUS_OK;
}

void channel_close(struct channel *channel)
{
    if (channel == NULL) {
        return;
    }
    (void)close(channel->fd);
    tls_close(channel->tls);
    buffer_deinit(&channel->first);
    buffer_deinit(&channel->out);
    free(channel);
}

void channel_cut(struct channel *channel)
{
    /* The descriptor stays until the close, so that it is nobody else's here. */
    (void)shutdown(channel->fd, SHUT_RDWR);
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum status ready_wait(const struct channel *channel, short events, uint32_t timeout_ms)
{
    struct pollfd wanted = {.fd = channel->fd, .events = events};
    int count = 0;
    do {
        count = poll(&wanted, 1, (int)timeout_ms);
    } while (count < 0 && errno == EINTR);
    if (count == 0) {
        return STATUS_TIMEOUT;
    }
    return count > 0 ? STATUS_OK : STATUS_NETWORK;
}

static enum status send_raw(struct channel *channel, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(channel->fd, bytes, size, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes += sent;
            size -= (size_t)sent;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return STATUS_NETWORK;
        }
        const enum status status = ready_wait(channel, POLLOUT, channel->stall_ms);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* What the engine has for the network. */
static enum status send_drained(struct channel *channel)
{
    buffer_clear(&channel->out);
    const enum status status = tls_drain(channel->tls, &channel->out);
    return status == STATUS_OK ? send_raw(channel, channel->out.data, channel->out.size) : status;
}

static enum status send_pieces(struct channel *channel, const uint8_t *bytes, size_t size)
{
    if (channel->tls == NULL) {
        return send_raw(channel, bytes, size);
    }
    while (size > 0) {
        const size_t piece = size < STREAM_FLUSH_BYTES ? size : STREAM_FLUSH_BYTES;
        enum status status = tls_write(channel->tls, bytes, piece);
        if (status == STATUS_OK) {
            status = send_drained(channel);
        }
        if (status != STATUS_OK) {
            return status;
        }
        bytes += piece;
        size -= piece;
    }
    return STATUS_OK;
}

enum status channel_send(struct channel *channel, const void *data, size_t size)
{
    assert(channel != NULL);
    assert(data != NULL || size == 0);
    enum status status = channel->tls != NULL ? send_drained(channel) : STATUS_OK;
    if (status == STATUS_OK && channel->first.size > 0) {
        status = send_pieces(channel, channel->first.data, channel->first.size);
        buffer_deinit(&channel->first);
    }
    return status == STATUS_OK ? send_pieces(channel, data, size) : status;
}

/* ---- the end ------------------------------------------------------------------------------- */

/* Reads and drops; true at the other side's end. */
static bool ended_after_read(struct channel *channel)
{
    uint8_t dropped[1024];
    const ssize_t count = recv(channel->fd, dropped, sizeof(dropped), 0);
    return count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN);
}

void channel_finish(struct channel *channel, uint32_t linger_ms)
{
    assert(channel != NULL);
    enum status status = channel_send(channel, NULL, 0);
    if (status == STATUS_OK && channel->tls != NULL) {
        tls_shutdown(channel->tls);
        status = send_drained(channel);
    }
    if (status != STATUS_OK || shutdown(channel->fd, SHUT_WR) != 0) {
        return;
    }
    const struct clock *clock = clock_system();
    uint64_t now_ms = clock_monotonic_ms(clock);
    const uint64_t until_ms = now_ms + linger_ms;
    for (; now_ms < until_ms; now_ms = clock_monotonic_ms(clock)) {
        if (ready_wait(channel, POLLIN, (uint32_t)(until_ms - now_ms)) != STATUS_OK ||
            ended_after_read(channel)) {
            return;
        }
    }
}
