/*
 * One TCP connection on a libuv loop, plain or TLS, for one loop thread.
 *
 * Life: stream_accept or stream_connect -> on_open (TLS handshake done) -> on_data ... -> stream_close
 * -> on_close, exactly once, after which the memory may go. An error of the network or of TLS closes
 * the stream by itself; on_close then carries its status.
 *
 * The write queue is bounded: stream_write refuses (STATUS_FULL) what would pass write_bytes_max.
 * While stream_pause holds, nothing is read, so that TCP slows the other side down.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "base/bytes.h"
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
    struct tls_context *tls; /* NULL: plain TCP */
    const char *tls_host;    /* client side, may be NULL */
    size_t write_bytes_max;
    uint32_t open_timeout_ms; /* connect and handshake together; 0: none */
    uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT; 0: the kernel's default */
    struct stream_callbacks callbacks;
    void *data;
};

/* Accepts from a listening handle; TCP_NODELAY and keepalive are set. */
enum status MUST_CHECK stream_accept(struct stream **stream, uv_stream_t *listener,
                                     const struct stream_options *options);

/* Starts to connect to a numeric or named host (resolved on the loop's pool). */
enum status MUST_CHECK stream_connect(struct stream **stream, const char *host, uint16_t port,
                                      const struct stream_options *options);

/* Queues bytes (copied). STATUS_FULL past the bound, STATUS_CLOSED while closing. */
enum status MUST_CHECK stream_write(struct stream *stream, const void *data, size_t size);

/* Bytes queued and not yet taken by the kernel. */
size_t stream_write_bytes(const struct stream *stream);

void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/* Closes: flushes what is queued for up to linger_ms, then ends. on_close follows. */
void stream_close(struct stream *stream, enum status reason, uint32_t linger_ms);

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
