/*
 * The inside of a stream, for the four files that make it: stream.c (life and end),
 * stream_connect.c, stream_read.c, stream_write.c. Nobody else includes this.
 */
#ifndef BASE_STREAM_INSIDE_H
#define BASE_STREAM_INSIDE_H

#include "base/stream.h"

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

/* --- stream.c --- */

uv_stream_t *stream_tcp(struct stream *stream);
/* Changes the state; asserts that the drawing in stream.c allows it. */
void stream_move(struct stream *stream, enum stream_state state);
/* A stream with its handles; connects nothing. */
enum status MUST_CHECK stream_make(struct stream **stream, const struct stream_options *options,
                                   enum stream_state state);
/* What the connected or connecting socket needs: no delay, keepalive, user timeout. */
void stream_socket_configure(struct stream *stream);
/* Remembers the other side's address as text. */
void stream_peer_set(struct stream *stream);
/* Starts the one timer; what it means depends on the state when it fires. */
void stream_timer_set(struct stream *stream, uint32_t timeout_ms);
/* Ends now: the handles close, and on_close follows from the loop. */
void stream_finish(struct stream *stream, enum status reason);
/* The same with a sentence for stream_error, and with libuv's error code. */
void stream_fail(struct stream *stream, enum status reason, const char *text);
void stream_fail_uv(struct stream *stream, int result);
/* One of the counted handles is closed; the last one frees the stream. */
void stream_handle_gone(struct stream *stream);
/* For uv_close of the TCP handle: at the end, and between two addresses of a name. */
void stream_on_tcp_closed(uv_handle_t *handle);

/* --- stream_connect.c --- */

void stream_connect_next(struct stream *stream);

/* --- stream_read.c --- */

void stream_read_start(struct stream *stream);
/* HANDSHAKE is over: calls on_open and begins to deliver. */
void stream_opened(struct stream *stream);
/* Decrypts and delivers until the engine has no more, a pause, or the end. */
void stream_pump(struct stream *stream);

/* --- stream_write.c --- */

void stream_flush(struct stream *stream);
/* Flushes right before the loop sleeps. */
void stream_flush_later(struct stream *stream);
/* Frees the queue, all of which is taken or given up. */
void stream_queued_release(struct stream *stream);

#endif
