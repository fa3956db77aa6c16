/*
 * One TCP connection on a libuv loop, plain or TLS, for one loop thread.
 *
 * Life: stream_accept or stream_connect -> on_open (TLS handshake done) -> on_data ... ->
 * stream_close
 * -> on_close, exactly once, after which the stream is freed. An error of the network or of TLS
 * closes the stream by itself; on_close then carries its status: STATUS_CLOSED (the other side
 * ended in good order), STATUS_NETWORK, STATUS_TLS, STATUS_TIMEOUT, STATUS_NO_MEMORY. on_open is
 * left out where it never opened. No callback runs inside a call of this door: all of them come
 * from the loop, and may call everything here.
 *
 * With verify_peer a server's on_open comes after the client's certificate was verified. A client's
 * on_open may come before the server has judged: a refusal then follows as on_close(STATUS_TLS).
 *
 * A side that has ended (FIN or TLS's closing alert) gets what is queued for it, then the stream
 * closes; later writes give STATUS_CLOSED. A paused stream does not notice the other side's end.
 *
 * The write queue is bounded: stream_write refuses (STATUS_FULL) what would pass write_bytes_max.
 * While stream_pause holds, nothing is read, so that TCP slows the other side down.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "base/bytes.h"
#include "base/channel.h"
#include "base/tls.h"

#include <uv.h>

struct stream;

struct stream_callbacks {
    void (*on_open)(struct stream *stream, void *data);
    /* Plaintext, borrowed for the call. Closing the stream inside is allowed. */
    void (*on_data)(struct stream *stream, void *data, const uint8_t *bytes, size_t size);
    /* All that was written has been handed to the kernel. May be NULL. */
    void (*on_drain)(struct stream *stream, void *data);
    void (*on_close)(struct stream *stream, void *data, enum status status);
};

struct stream_options {
    uv_loop_t *loop;
    struct tls_context *tls;  /* NULL: plain TCP */
    const char *tls_host;     /* client side, may be NULL */
    size_t write_bytes_max;   /* at most TLS_BUFFER_BYTES_MAX */
    uint32_t open_timeout_ms; /* connect and handshake together; 0: none */
    uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT; 0: the kernel's default */
    struct stream_callbacks callbacks;
    void *data;
};

/*
 * Accepts from a listening TCP handle of the same loop; TCP_NODELAY and keepalive are set.
 * STATUS_NETWORK where nothing waits or it is gone already, STATUS_NO_MEMORY, STATUS_TLS.
 */
enum status MUST_CHECK stream_accept(struct stream **stream, uv_stream_t *listener,
                                     const struct stream_options *options);

/*
 * Starts to connect to a numeric or named host (resolved on the loop's pool; its addresses are
 * tried in order). STATUS_INVALID (host or port), STATUS_NO_MEMORY, STATUS_TLS; all else comes by
 * on_close.
 */
enum status MUST_CHECK stream_connect(struct stream **stream, const char *host, uint16_t port,
                                      const struct stream_options *options);

/*
 * Queues bytes (copied), also before on_open; they leave together right before the loop sleeps.
 * STATUS_FULL past the bound, STATUS_CLOSED while closing, STATUS_NO_MEMORY: nothing is queued
 * then.
 */
enum status MUST_CHECK stream_write(struct stream *stream, const void *data, size_t size);

/* Bytes queued and not yet taken by the kernel. */
size_t stream_write_bytes(const struct stream *stream);

void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/*
 * Closes: for up to linger_ms flushes what is queued and waits for the other side's end, then ends.
 * Nothing is delivered any more; on_close follows with `reason`. A second call changes nothing, but
 * linger_ms 0 ends at once.
 */
void stream_close(struct stream *stream, enum status reason, uint32_t linger_ms);

/*
 * Takes an open stream off its loop, for a thread that may wait: *channel goes on with it, and with
 * what is queued. The stream itself ends without on_close. stall_ms (also TCP_USER_TIMEOUT from now
 * on): see channel_open. STATUS_AGAIN: the kernel is just being given bytes, on_drain follows;
 * STATUS_CLOSED: it is not open; STATUS_LIMIT: too many descriptors; STATUS_NO_MEMORY. The stream
 * is as before then.
 */
enum status MUST_CHECK stream_detach(struct stream *stream, uint32_t stall_ms,
                                     struct channel **channel);

bool stream_closing(const struct stream *stream);
/* Handshake facts: tls_peer_node of the engine; 0 for plain streams. */
uint32_t stream_peer_node(const struct stream *stream);
/* "127.0.0.1:4711", valid as long as the stream. */
const char *stream_peer_address(const struct stream *stream);
/* Why the stream broke; a sentence. */
const char *stream_error(const struct stream *stream);
void *stream_data(const struct stream *stream);
void stream_set_data(struct stream *stream, void *data);
/* Exchanges callbacks and data: a connection whose first bytes said what it is. */
void stream_set_callbacks(struct stream *stream, const struct stream_callbacks *callbacks,
                          void *data);

#endif
