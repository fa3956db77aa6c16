/*
 * One TCP connection, plain or TLS.
 *
 *     RESOLVING -> CONNECTING -> HANDSHAKE -> OPEN -> LINGER -> CLOSING
 *        accepted streams begin in HANDSHAKE; every state may go to CLOSING, and HANDSHAKE to
 *        LINGER when TLS refuses the other side and an alert is to be sent.
 *
 * Reading: all streams of a thread share one buffer for ciphertext and one for plaintext, so that
 * an idle connection holds none. What a pause leaves undecrypted stays in the TLS engine and is
 * taken up by the timer after stream_resume.
 *
 * Writing: stream_write only appends to `queued`. Once per turn of the loop, right before it
 * sleeps, the prepare handle flushes: what many callbacks wrote becomes few TLS records and one
 * system call. `writing` is what libuv holds until the kernel takes it.
 *
 * Closing: LINGER sends what is queued, then TLS's closing alert and TCP's FIN, and reads and drops
 * until the other side closes too or the time is over: closing earlier, with bytes unread, would
 * make the kernel send a reset that destroys our last words. CLOSING waits for libuv to let go of
 * all handles; the last one calls on_close and frees the stream. Both happen from the loop, never
 * inside the call that caused them.
 *
 * The process ignores SIGPIPE from the first stream on: libuv writes without MSG_NOSIGNAL.
 */
#include "base/stream.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/stream_inside.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

uv_stream_t *stream_tcp(struct stream *stream)
{
    return (uv_stream_t *)&stream->tcp;
}

void stream_move(struct stream *stream, enum stream_state state)
{
    static const unsigned moves[] = {
        [RESOLVING] = 1U << CONNECTING | 1U << CLOSING,
        [CONNECTING] = 1U << HANDSHAKE | 1U << CLOSING,
        [HANDSHAKE] = 1U << OPEN | 1U << LINGER | 1U << CLOSING,
        [OPEN] = 1U << LINGER | 1U << CLOSING,
        [LINGER] = 1U << CLOSING,
        [CLOSING] = 0,
    };
    assert((moves[stream->state] & 1U << state) != 0);
    stream->state = state;
}

/* --- the end --------------------------------------------------------------------------------- */

void stream_handle_gone(struct stream *stream)
{
    assert(stream->state == CLOSING);
    assert(stream->handles > 0);
    stream->handles--;
    if (stream->handles > 0) {
        return;
    }
    if (!stream->quiet) {
        stream->options.callbacks.on_close(stream, stream->options.data, stream->reason);
    }
    uv_freeaddrinfo(stream->addresses);
    tls_close(stream->tls);
    buffer_deinit(&stream->queued);
    buffer_deinit(&stream->writing);
    free(stream);
}

static void on_handle_closed(uv_handle_t *handle)
{
    stream_handle_gone(handle->data);
}

/* A TCP handle is closed at the end, and between two addresses of a name. */
void stream_on_tcp_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    if (stream->state == CLOSING) {
        stream_handle_gone(stream);
        return;
    }
    assert(stream->state == CONNECTING);
    int result = uv_tcp_init(stream->options.loop, &stream->tcp);
    assert(result == 0); /* without a socket it can not fail */
    stream_connect_next(stream);
}

/* Ends now: the handles close, and on_close follows from the loop. */
void stream_finish(struct stream *stream, enum status reason)
{
    assert(stream->state != CLOSING);
    if (stream->state != LINGER) {
        stream->reason = reason;
    }
    if (stream->state == RESOLVING) {
        /* Where the look-up runs already, its end is waited for. */
        (void)uv_cancel((uv_req_t *)&stream->request.resolve);
    }
    stream_move(stream, CLOSING);
    if (!uv_is_closing((uv_handle_t *)&stream->tcp)) {
        uv_close((uv_handle_t *)&stream->tcp, stream_on_tcp_closed);
    }
    uv_close((uv_handle_t *)&stream->timer, on_handle_closed);
    uv_close((uv_handle_t *)&stream->flusher, on_handle_closed);
}

void stream_fail(struct stream *stream, enum status reason, const char *text)
{
    assert(text != NULL);
    if (stream->state == CLOSING) {
        return;
    }
    if (stream->error[0] == '\0') {
        (void)snprintf(stream->error, sizeof stream->error, "%s", text);
    }
    stream_finish(stream, reason);
}

void stream_fail_uv(struct stream *stream, int result)
{
    char text[ERROR_TEXT_BYTES];
    assert(result < 0);
    stream_fail(stream, result == UV_ENOMEM ? STATUS_NO_MEMORY : STATUS_NETWORK,
                uv_strerror_r(result, text, sizeof text));
}

/* --- the beginning --------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct stream *stream = timer->data;
    switch (stream->state) {
    case RESOLVING:
    case CONNECTING:
        stream_fail(stream, STATUS_TIMEOUT, "connecting took too long");
        break;
    case HANDSHAKE:
        if (stream->tls == NULL) {
            stream_opened(stream); /* accepted just before */
        } else {
            stream_fail(stream, STATUS_TIMEOUT, "the TLS handshake took too long");
        }
        break;
    case OPEN:
        stream_pump(stream);
        if (stream->state == OPEN && !stream->paused) {
            stream_read_start(stream);
        }
        break;
    case LINGER:
        stream_finish(stream, stream->reason);
        break;
    case CLOSING:
        assert(false); /* a closed timer never fires */
        break;
    }
}

void stream_timer_set(struct stream *stream, uint32_t timeout_ms)
{
    assert(stream->state != CLOSING);
    int result = uv_timer_start(&stream->timer, on_timer, timeout_ms, 0);
    assert(result == 0);
}

static void sigpipe_ignore(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        int result = sigaction(SIGPIPE, &ignore, NULL);
        assert(result == 0);
    }
}

enum status stream_make(struct stream **stream, const struct stream_options *options,
                        enum stream_state state)
{
    static pthread_once_t sigpipe_once = PTHREAD_ONCE_INIT;
    assert(options->loop != NULL);
    assert(options->write_bytes_max > 0 && options->write_bytes_max <= TLS_BUFFER_BYTES_MAX);
    assert(options->callbacks.on_open != NULL && options->callbacks.on_data != NULL);
    assert(options->callbacks.on_close != NULL);
    int once = pthread_once(&sigpipe_once, sigpipe_ignore);
    assert(once == 0);
    struct stream *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    made->options = *options;
    made->state = state;
    /* Twice, since up to half of `queued` may be gone already; and room for a piece as records. */
    size_t size_max = 2 * options->write_bytes_max + 4 * (size_t)STREAM_FLUSH_BYTES;
    buffer_init(&made->queued, size_max);
    buffer_init(&made->writing, size_max);
    if (options->tls != NULL) {
        enum status status = tls_open(&made->tls, options->tls, options->tls_host);
        if (status != STATUS_OK) {
            free(made);
            return status;
        }
    }
    int result = uv_tcp_init(options->loop, &made->tcp);
    assert(result == 0); /* none of the three opens a socket */
    result = uv_timer_init(options->loop, &made->timer);
    assert(result == 0);
    result = uv_prepare_init(options->loop, &made->flusher);
    assert(result == 0);
    made->tcp.data = made;
    made->timer.data = made;
    made->flusher.data = made;
    made->handles = 3;
    *stream = made;
    return STATUS_OK;
}

void stream_socket_configure(struct stream *stream)
{
    /* None of these is vital: a connection without them is slower to notice a cut, no more. */
    (void)uv_tcp_nodelay(&stream->tcp, 1);
    (void)uv_tcp_keepalive(&stream->tcp, 1, STREAM_KEEPALIVE_S);
    uv_os_fd_t file = -1;
    if (stream->options.user_timeout_ms > 0 &&
        uv_fileno((const uv_handle_t *)&stream->tcp, &file) == 0) {
        unsigned timeout_ms = stream->options.user_timeout_ms;
        (void)setsockopt(file, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    }
}

void stream_peer_set(struct stream *stream)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    int size = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";
    if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&address, &size) != 0) {
        return;
    }
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const struct sockaddr_in *)&address;
        (void)uv_ip4_name(ip4, text, sizeof text);
        (void)snprintf(stream->peer, sizeof stream->peer, "%s:%u", text, ntohs(ip4->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)&address;
        (void)uv_ip6_name(ip6, text, sizeof text);
        (void)snprintf(stream->peer, sizeof stream->peer, "[%s]:%u", text, ntohs(ip6->sin6_port));
    }
}

enum status stream_accept(struct stream **stream, uv_stream_t *listener,
                          const struct stream_options *options)
{
    assert(stream != NULL && listener != NULL && options != NULL);
    struct stream *made = NULL;
    enum status status = stream_make(&made, options, HANDSHAKE);
    if (status != STATUS_OK) {
        return status;
    }
    (void)snprintf(made->peer, sizeof made->peer, "unknown");
    if (uv_accept(listener, stream_tcp(made)) != 0) {
        made->quiet = true;
        stream_finish(made, STATUS_NETWORK);
        return STATUS_NETWORK;
    }
    stream_socket_configure(made);
    stream_peer_set(made);
    if (made->tls == NULL) {
        stream_timer_set(made, 0);
    } else {
        stream_read_start(made);
        if (made->state != CLOSING && options->open_timeout_ms > 0) {
            stream_timer_set(made, options->open_timeout_ms);
        }
    }
    *stream = made;
    return STATUS_OK;
}

/* --- closing and looking --------------------------------------------------------------------- */

void stream_close(struct stream *stream, enum status reason, uint32_t linger_ms)
{
    assert(stream != NULL);
    if (stream->state == CLOSING) {
        return;
    }
    if (linger_ms == 0 || stream->state == RESOLVING || stream->state == CONNECTING ||
        stream->state == HANDSHAKE) {
        stream_finish(stream, reason);
        return;
    }
    if (stream->state == LINGER) {
        return;
    }
    stream->reason = reason;
    stream_move(stream, LINGER);
    stream_timer_set(stream, linger_ms);
    stream_flush_later(stream);
    if (stream->paused) {
        stream_read_start(stream); /* the other side's end is waited for */
    }
}

enum status stream_detach(struct stream *stream, uint32_t stall_ms, struct channel **channel)
{
    assert(stream != NULL && channel != NULL);
    uv_os_fd_t own = -1;
    if (stream->state != OPEN || uv_fileno((const uv_handle_t *)&stream->tcp, &own) != 0) {
        return STATUS_CLOSED;
    }
    if (stream->write_busy) {
        return STATUS_AGAIN;
    }
    assert(stream->writing.size == 0);
    /* A number of its own: libuv closes the one that it has. */
    const int fd = fcntl(own, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return STATUS_LIMIT;
    }
    buffer_consume(&stream->queued, stream->queued_at);
    stream->queued_at = 0;
    struct channel *made = NULL;
    const enum status status = channel_open(&made, fd, stream->tls, &stream->queued, stall_ms);
    if (status != STATUS_OK) {
        (void)close(fd);
        return status;
    }
    const unsigned timeout_ms = stall_ms;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    stream->tls = NULL;
    stream->quiet = true;
    stream_finish(stream, STATUS_OK);
    *channel = made;
    return STATUS_OK;
}

bool stream_closing(const struct stream *stream)
{
    assert(stream != NULL);
    return stream->state == LINGER || stream->state == CLOSING;
}

uint32_t stream_peer_node(const struct stream *stream)
{
    assert(stream != NULL);
    return stream->tls != NULL ? tls_peer_node(stream->tls) : 0;
}

const char *stream_peer_address(const struct stream *stream)
{
    assert(stream != NULL);
    return stream->peer;
}

const char *stream_error(const struct stream *stream)
{
    assert(stream != NULL);
    return stream->error[0] != '\0' ? stream->error : "no error";
}

void *stream_data(const struct stream *stream)
{
    assert(stream != NULL);
    return stream->options.data;
}

void stream_set_data(struct stream *stream, void *data)
{
    assert(stream != NULL);
    stream->options.data = data;
}

void stream_set_callbacks(struct stream *stream, const struct stream_callbacks *callbacks,
                          void *data)
{
    assert(stream != NULL && callbacks != NULL);
    assert(callbacks->on_data != NULL && callbacks->on_close != NULL);
    /* An open stream has no use for on_open any more. */
    assert(callbacks->on_open != NULL || stream->state >= OPEN);
    stream->options.callbacks = *callbacks;
    stream->options.data = data;
}
