/*
 * One WebSocket connection to a node, on a libuv loop: TCP or TLS, the handshake, then whole text
 * messages both ways.
 *
 * Life: connection_open -> on_open -> on_message ... -> on_close, exactly once (also where it never
 * opened), after which the connection is freed.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "base/stream.h"

struct connection;

struct connection_callbacks {
    void (*on_open)(struct connection *connection, void *data);
    /* A text message, borrowed for the call. Closing the connection inside is allowed. */
    void (*on_message)(struct connection *connection, void *data, struct text message);
    /* reason: a sentence, borrowed for the call. */
    void (*on_close)(struct connection *connection, void *data, const char *reason);
};

struct connection_options {
    uv_loop_t *loop;
    const char *host;
    uint16_t port;
    struct tls_context *tls; /* NULL: plain */
    uint32_t open_timeout_ms;
    struct connection_callbacks callbacks;
    void *data;
};

/* STATUS_OK: on_close follows some time. Any other status: it does not. */
enum status MUST_CHECK connection_open(struct connection **connection,
                                       const struct connection_options *options);

/* Queues one text message. STATUS_FULL, STATUS_CLOSED, STATUS_AGAIN: not open yet. */
enum status MUST_CHECK connection_send(struct connection *connection, struct text message);

/* Ends it; on_close follows later, never inside this call. Harmless the second time. */
void connection_close(struct connection *connection);

#endif
