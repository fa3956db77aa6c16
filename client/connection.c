#include "client/connection.h"

#include "base/address.h"
#include "base/check.h"
#include "base/limits.h"
#include "gateway/websocket.h"

#include <stdio.h>
#include <stdlib.h>

struct connection {
    struct stream *stream;
    struct http *http; /* until the handshake is done */
    struct websocket *websocket;
    struct buffer out;
    char key[WEBSOCKET_KEY_BYTES];
    char address[ADDRESS_TEXT_BYTES];
    char reason[256]; /* what we know better than the stream */
    bool tls;
    bool heard; /* a byte came */
    bool open;
    struct connection_callbacks callbacks;
    void *data;
};

/* TLS_ALERT: the first byte of a record that refuses (RFC 8446, 5.1). */
enum { CLOSE_LINGER_MS = 200, TLS_ALERT = 21 };

static void connection_free(struct connection *connection)
{
    http_close(connection->http);
    websocket_close(connection->websocket);
    buffer_deinit(&connection->out);
    free(connection);
}

/* Ends the connection for a reason of ours. */
static void connection_fail(struct connection *connection, const char *reason)
{
    if (connection->reason[0] == '\0') {
        (void)snprintf(connection->reason, sizeof(connection->reason), "%s", reason);
    }
    stream_close(connection->stream, STATUS_PROTOCOL, CLOSE_LINGER_MS);
}

/* Hands what is in `out` to the stream. */
static enum status connection_flush(struct connection *connection)
{
    struct buffer *out = &connection->out;
    enum status status = STATUS_NO_MEMORY;
    if (!out->failed) {
        status =
            out->size == 0 ? STATUS_OK : stream_write(connection->stream, out->data, out->size);
    }
    buffer_clear(out);
    return status;
}

static void on_stream_open(struct stream *stream, void *data)
{
    struct connection *connection = data;
    assert(!connection->open);
    (void)stream;
    websocket_request_write(&connection->out, connection->address, "/v1", connection->key);
    if (connection_flush(connection) != STATUS_OK) {
        connection_fail(connection, "the handshake could not be sent");
    }
}

/* Reads the response to the upgrade; *taken bytes were used. False: no more may be read. */
static bool handshake_feed(struct connection *connection, const uint8_t *bytes, size_t size,
                           size_t *taken)
{
    enum status status = http_feed(connection->http, bytes, size, taken);
    if (status == STATUS_AGAIN) {
        return false;
    }
    const struct http_message *response =
        status == STATUS_OK ? http_message(connection->http) : NULL;
    if (response == NULL && bytes[0] == TLS_ALERT) {
        connection_fail(connection, "it speaks TLS: give --ca FILE");
        return false;
    }
    if (response == NULL || websocket_check_response(response, connection->key) != STATUS_OK) {
        char reason[64];
        (void)snprintf(reason, sizeof(reason), "no WebSocket there (HTTP status %u)",
                       response != NULL ? (unsigned)response->status : 0U);
        connection_fail(connection, reason);
        return false;
    }
    http_close(connection->http);
    connection->http = NULL;
    connection->open = true;
    connection->callbacks.on_open(connection, connection->data);
    return !stream_closing(connection->stream);
}

/* Reads messages; *taken bytes were used. False: no more may be read. */
static bool frames_feed(struct connection *connection, const uint8_t *bytes, size_t size,
                        size_t *taken)
{
    enum status status =
        websocket_feed(connection->websocket, bytes, size, taken, &connection->out);
    if (status == STATUS_OK) {
        connection->callbacks.on_message(connection, connection->data,
                                         websocket_message(connection->websocket));
    }
    if (stream_closing(connection->stream)) {
        return false;
    }
    if (connection_flush(connection) != STATUS_OK) {
        connection_fail(connection, "the write queue is full");
        return false;
    }
    if (status == STATUS_OK || status == STATUS_AGAIN) {
        return status == STATUS_OK;
    }
    char reason[64];
    (void)snprintf(reason, sizeof(reason), "the node closed the connection (code %u)",
                   (unsigned)websocket_code(connection->websocket));
    connection_fail(connection, reason);
    return false;
}

static void on_stream_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct connection *connection = data;
    size_t at = 0;
    bool more = !stream_closing(stream);
    connection->heard = true;
    while (more) {
        size_t taken = 0;
        if (connection->open) {
            more = frames_feed(connection, bytes + at, size - at, &taken);
        } else {
            more = handshake_feed(connection, bytes + at, size - at, &taken);
        }
        assert(taken <= size - at);
        at += taken;
        more = more && at < size;
    }
}

/* The two ways to meet a port that speaks the other protocol; "" for everything else. */
static const char *protocol_hint(const struct connection *connection, enum status status)
{
    if (connection->open || connection->heard) {
        return "";
    }
    if (connection->tls) {
        return status == STATUS_TLS ? " (a node without TLS is asked without --ca)" : "";
    }
    const bool closed = status == STATUS_OK || status == STATUS_CLOSED;
    return closed ? " (a node with TLS is asked with --ca FILE)" : "";
}

static void on_stream_close(struct stream *stream, void *data, enum status status)
{
    struct connection *connection = data;
    const char *reason = connection->reason;
    if (reason[0] == '\0') {
        reason = stream_error(stream);
    }
    if (reason == NULL || reason[0] == '\0') {
        reason = status == STATUS_OK ? "closed" : status_text(status);
    }
    char text[384];
    (void)snprintf(text, sizeof(text), "%.256s%s", reason, protocol_hint(connection, status));
    connection->callbacks.on_close(connection, connection->data, text);
    connection_free(connection);
}

enum status connection_open(struct connection **opened, const struct connection_options *options)
{
    assert(options->callbacks.on_open != NULL);
    assert(options->callbacks.on_message != NULL && options->callbacks.on_close != NULL);
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return STATUS_NO_MEMORY;
    }
    connection->callbacks = options->callbacks;
    connection->data = options->data;
    connection->tls = options->tls != NULL;
    address_format(options->host, options->port, connection->address);
    buffer_init(&connection->out, SESSION_WRITE_BYTES_MAX);
    enum status status = http_open(&connection->http, HTTP_SIDE_CLIENT);
    if (status == STATUS_OK) {
        status =
            websocket_open(&connection->websocket, WEBSOCKET_SIDE_CLIENT, CLIENT_ANSWER_BYTES_MAX);
    }
    if (status == STATUS_OK) {
        const struct stream_options stream = {.loop = options->loop,
                                              .tls = options->tls,
                                              .tls_host = options->host,
                                              .write_bytes_max = SESSION_WRITE_BYTES_MAX,
                                              .open_timeout_ms = options->open_timeout_ms,
                                              .callbacks = {.on_open = on_stream_open,
                                                            .on_data = on_stream_data,
                                                            .on_close = on_stream_close},
                                              .data = connection};
        status = stream_connect(&connection->stream, options->host, options->port, &stream);
    }
    if (status != STATUS_OK) {
        connection_free(connection);
        return status;
    }
    *opened = connection;
    return STATUS_OK;
}

enum status connection_send(struct connection *connection, struct text message)
{
    assert(message.size > 0);
    if (stream_closing(connection->stream)) {
        return STATUS_CLOSED;
    }
    if (!connection->open) {
        return STATUS_AGAIN;
    }
    websocket_write_text(connection->websocket, message, &connection->out);
    return connection_flush(connection);
}

void connection_close(struct connection *connection)
{
    if (stream_closing(connection->stream)) {
        return;
    }
    if (connection->open) {
        websocket_write_close(connection->websocket, WEBSOCKET_NORMAL, "", &connection->out);
        enum status status = connection_flush(connection);
        (void)status; /* the stream closes in any case */
    }
    stream_close(connection->stream, STATUS_OK, CLOSE_LINGER_MS);
}
