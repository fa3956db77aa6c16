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

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum stream_state { RESOLVING, CONNECTING, HANDSHAKE, OPEN, LINGER, CLOSING };

enum { ADDRESS_TEXT_BYTES = 64, ERROR_TEXT_BYTES = 128 };

struct stream {
    struct stream_options options; /* tls_host is used at start only */
    enum stream_state state;
    uint32_t handles; /* libuv's that are not yet closed, and the resolver's request */
    bool quiet;       /* the caller never got this stream: no callbacks */
    bool paused;
    bool leftover;  /* the engine holds ciphertext that a pause left there */
    bool drain_due; /* written since the last on_drain */
    bool write_busy;
    bool shutdown_sent;
    bool peer_ended; /* the other side will write no more */
    enum status reason;
    uv_tcp_t tcp;
    uv_timer_t timer;     /* opening: deadline; OPEN: leftover; LINGER: deadline */
    uv_prepare_t flusher; /* active while something waits to be flushed */
    uv_write_t write;
    union {
        uv_getaddrinfo_t resolve;
        uv_connect_t connect;
        uv_shutdown_t shutdown;
    } request;                  /* one after the other */
    struct addrinfo *addresses; /* of the name; NULL for numeric hosts */
    struct addrinfo *address_next;
    uint32_t addresses_tried;
    uint16_t port;
    struct tls *tls;      /* NULL for plain TCP */
    struct buffer queued; /* plaintext */
    size_t queued_at;
    struct buffer writing; /* ciphertext, or plaintext of a plain stream */
    char peer[ADDRESS_TEXT_BYTES];
    char error[ERROR_TEXT_BYTES];
};

/* Shared by all streams of a thread: used within one callback of the loop only. */
static _Thread_local uint8_t shared_read[STREAM_READ_BYTES];
static _Thread_local uint8_t shared_plain[STREAM_READ_BYTES];

static void stream_flush(struct stream *stream);
static void stream_pump(struct stream *stream);
static void connect_next(struct stream *stream);

static uv_stream_t *tcp_of(struct stream *stream)
{
    return (uv_stream_t *)&stream->tcp;
}

static void stream_move(struct stream *stream, enum stream_state state)
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

static void handle_gone(struct stream *stream)
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
    handle_gone(handle->data);
}

/* A TCP handle is closed at the end, and between two addresses of a name. */
static void on_tcp_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    if (stream->state == CLOSING) {
        handle_gone(stream);
        return;
    }
    assert(stream->state == CONNECTING);
    int result = uv_tcp_init(stream->options.loop, &stream->tcp);
    assert(result == 0); /* without a socket it can not fail */
    connect_next(stream);
}

/* Ends now: the handles close, and on_close follows from the loop. */
static void stream_finish(struct stream *stream, enum status reason)
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
        uv_close((uv_handle_t *)&stream->tcp, on_tcp_closed);
    }
    uv_close((uv_handle_t *)&stream->timer, on_handle_closed);
    uv_close((uv_handle_t *)&stream->flusher, on_handle_closed);
}

static void stream_fail(struct stream *stream, enum status reason, const char *text)
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

static void stream_fail_uv(struct stream *stream, int result)
{
    char text[ERROR_TEXT_BYTES];
    assert(result < 0);
    stream_fail(stream, result == UV_ENOMEM ? STATUS_NO_MEMORY : STATUS_NETWORK,
                uv_strerror_r(result, text, sizeof text));
}

static void on_timer(uv_timer_t *timer);
static void on_flusher(uv_prepare_t *flusher);

static void flush_later(struct stream *stream)
{
    assert(stream->state != CLOSING);
    int result = uv_prepare_start(&stream->flusher, on_flusher);
    assert(result == 0);
}

static void timer_set(struct stream *stream, uint32_t timeout_ms)
{
    assert(stream->state != CLOSING);
    int result = uv_timer_start(&stream->timer, on_timer, timeout_ms, 0);
    assert(result == 0);
}

/* --- writing --------------------------------------------------------------------------------- */

static void queued_release(struct stream *stream)
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
            queued_release(stream);
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
        int result = uv_try_write(tcp_of(stream), &all, 1);
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
    int result = uv_write(&stream->write, tcp_of(stream), &rest, 1, on_written);
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
        int result = uv_shutdown(&stream->request.shutdown, tcp_of(stream), on_shutdown);
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
static void stream_flush(struct stream *stream)
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
        flush_later(stream);
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

/* --- reading --------------------------------------------------------------------------------- */

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
    (void)uv_read_stop(tcp_of(stream));
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

static void read_start(struct stream *stream)
{
    int result = uv_read_start(tcp_of(stream), on_buffer, on_read);
    if (result != 0 && result != UV_EALREADY) {
        stream_fail_uv(stream, result);
    }
}

static void stream_opened(struct stream *stream)
{
    stream_move(stream, OPEN);
    (void)uv_timer_stop(&stream->timer);
    flush_later(stream); /* what was written early, and the end of the handshake */
    if (stream->paused) {
        (void)uv_read_stop(tcp_of(stream));
    } else if (stream->tls == NULL) {
        read_start(stream);
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
    queued_release(stream);
    stream_move(stream, LINGER);
    timer_set(stream, STREAM_LINGER_MS);
    flush_later(stream);
    read_start(stream); /* the other side's end is waited for */
}

/* Decrypts and delivers until the engine has no more, a pause, or the end. */
static void stream_pump(struct stream *stream)
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
        flush_later(stream); /* the handshake's next message, or nothing */
    }
}

void stream_pause(struct stream *stream)
{
    assert(stream != NULL);
    stream->paused = true;
    if (stream->state == OPEN) {
        (void)uv_read_stop(tcp_of(stream));
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
        timer_set(stream, 0);
    } else {
        read_start(stream);
    }
}

/* --- opening --------------------------------------------------------------------------------- */

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
            read_start(stream);
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

static void sigpipe_ignore(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        int result = sigaction(SIGPIPE, &ignore, NULL);
        assert(result == 0);
    }
}

static enum status stream_make(struct stream **stream, const struct stream_options *options,
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

static void socket_configure(struct stream *stream)
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

static void peer_set(struct stream *stream)
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
    if (uv_accept(listener, tcp_of(made)) != 0) {
        made->quiet = true;
        stream_finish(made, STATUS_NETWORK);
        return STATUS_NETWORK;
    }
    socket_configure(made);
    peer_set(made);
    if (made->tls == NULL) {
        timer_set(made, 0);
    } else {
        read_start(made);
        if (made->state != CLOSING && options->open_timeout_ms > 0) {
            timer_set(made, options->open_timeout_ms);
        }
    }
    *stream = made;
    return STATUS_OK;
}

static void on_connected(uv_connect_t *request, int result)
{
    struct stream *stream = request->handle->data;
    if (stream->state != CONNECTING) {
        return;
    }
    if (result != 0 && stream->address_next != NULL) {
        uv_close((uv_handle_t *)&stream->tcp, on_tcp_closed);
        return;
    }
    if (result != 0) {
        stream_fail_uv(stream, result);
        return;
    }
    peer_set(stream);
    stream_move(stream, HANDSHAKE);
    if (stream->tls == NULL) {
        stream_opened(stream);
        return;
    }
    read_start(stream);
    if (stream->state == HANDSHAKE) {
        stream_flush(stream);
    }
}

static void connect_to(struct stream *stream, const struct sockaddr *address)
{
    assert(stream->state == CONNECTING);
    stream->addresses_tried++;
    int result = uv_tcp_connect(&stream->request.connect, &stream->tcp, address, on_connected);
    if (result == 0) {
        socket_configure(stream);
    } else if (stream->address_next != NULL) {
        uv_close((uv_handle_t *)&stream->tcp, on_tcp_closed);
    } else {
        stream_fail_uv(stream, result);
    }
}

static void connect_next(struct stream *stream)
{
    const struct addrinfo *address = stream->address_next;
    assert(address != NULL);
    bool more = stream->addresses_tried + 1 < STREAM_ADDRESSES_MAX;
    stream->address_next = more ? address->ai_next : NULL;
    connect_to(stream, address->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *request, int result, struct addrinfo *addresses)
{
    struct stream *stream = request->data;
    assert(stream->addresses == NULL);
    stream->addresses = addresses;
    if (stream->state == CLOSING) {
        handle_gone(stream);
        return;
    }
    stream->handles--;
    if (result != 0 || addresses == NULL) {
        stream_fail_uv(stream, result != 0 ? result : UV_EAI_NONAME);
        return;
    }
    stream->address_next = addresses;
    stream_move(stream, CONNECTING);
    connect_next(stream);
}

static enum status resolve_start(struct stream *stream, const char *host)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    (void)snprintf(service, sizeof service, "%u", stream->port);
    stream->request.resolve.data = stream;
    int result = uv_getaddrinfo(stream->options.loop, &stream->request.resolve, on_resolved, host,
                                service, &hints);
    if (result != 0) {
        /* Nothing is under way: the state may not ask to cancel it. */
        stream_move(stream, CONNECTING);
        return result == UV_ENOMEM ? STATUS_NO_MEMORY : STATUS_INVALID;
    }
    stream->handles++;
    return STATUS_OK;
}

enum status stream_connect(struct stream **stream, const char *host, uint16_t port,
                           const struct stream_options *options)
{
    assert(stream != NULL && host != NULL && options != NULL);
    if (host[0] == '\0' || strlen(host) > HOST_BYTES_MAX || port == 0) {
        return STATUS_INVALID;
    }
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    } address;
    bool numeric =
        uv_ip4_addr(host, port, &address.ip4) == 0 || uv_ip6_addr(host, port, &address.ip6) == 0;
    struct stream *made = NULL;
    enum status status = stream_make(&made, options, numeric ? CONNECTING : RESOLVING);
    if (status != STATUS_OK) {
        return status;
    }
    made->port = port;
    (void)snprintf(made->peer, sizeof made->peer, "%.50s:%u", host, port);
    if (options->open_timeout_ms > 0) {
        timer_set(made, options->open_timeout_ms);
    }
    if (numeric) {
        connect_to(made, &address.any);
    } else {
        status = resolve_start(made, host);
        if (status != STATUS_OK) {
            made->quiet = true;
            stream_finish(made, status);
            return status;
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
    timer_set(stream, linger_ms);
    flush_later(stream);
    if (stream->paused) {
        read_start(stream); /* the other side's end is waited for */
    }
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
