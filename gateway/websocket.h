/*
 * The door to wslay: WebSocket (RFC 6455) as bytes in, bytes out, without sockets. Text messages
 * only, no extensions. One object is one side of one connection after its handshake.
 *
 * wslay's frame interface is used rather than its event interface: the latter hides whether a frame
 * was masked, answers broken frames with a close frame without a code, copies each message twice
 * and holds twice the memory for an idle connection.
 */
#ifndef GATEWAY_WEBSOCKET_H
#define GATEWAY_WEBSOCKET_H

#include "gateway/http.h"

struct websocket;

enum websocket_side { WEBSOCKET_SIDE_SERVER, WEBSOCKET_SIDE_CLIENT };

/* RFC 6455, 7.4.1 */
enum websocket_code {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNSUPPORTED = 1003,
    WEBSOCKET_NO_CODE = 1005, /* never sent: the other side closed without a code */
    WEBSOCKET_BROKEN = 1006,  /* never sent: no close frame was seen */
    WEBSOCKET_INVALID_TEXT = 1007,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_INTERNAL = 1011,
    WEBSOCKET_TRY_LATER = 1013 /* IANA registry */
};

#define WEBSOCKET_SUBPROTOCOL "payledger.v1"

/* A message longer than message_bytes_max is refused with 1009 as soon as it is announced. */
enum status MUST_CHECK websocket_open(struct websocket **websocket, enum websocket_side side,
                                      size_t message_bytes_max);
/* Accepts NULL. */
void websocket_close(struct websocket *websocket);

/*
 * Reads on. *taken says how many bytes were used, whatever is returned; pongs and close frames that
 * are due are appended to `out`.
 * STATUS_OK: a text message is complete (websocket_message); call again with the rest.
 * STATUS_AGAIN: all bytes were used, more are needed.
 * STATUS_CLOSED: the other side's close frame was read (and answered if we had not sent one).
 * STATUS_PROTOCOL: it broke the protocol; a close frame with websocket_code is in `out` unless one
 *   was sent before. Nothing more can be read.
 * STATUS_NO_MEMORY.
 */
enum status MUST_CHECK websocket_feed(struct websocket *websocket, const uint8_t *data, size_t size,
                                      size_t *taken, struct buffer *out);

/* The message that websocket_feed completed: valid UTF-8, borrowed until the next feed. */
struct text websocket_message(const struct websocket *websocket);
/* Gives the memory of the last message back; an idle connection keeps none. */
void websocket_release(struct websocket *websocket);
/* Gives back what was read of an unfinished message; a close frame was sent. */
void websocket_forget(struct websocket *websocket);
/* Memory held for a message that is not complete. */
size_t websocket_bytes(const struct websocket *websocket);
/* Why it ended: of the close frame that came first, ours or theirs. WEBSOCKET_BROKEN before. */
uint16_t websocket_code(const struct websocket *websocket);
/* A close frame was sent: nothing more may be. */
bool websocket_close_sent(const struct websocket *websocket);

/* Appends one text message. The caller checks out->failed. Nothing is sent after a close frame. */
void websocket_write_text(struct websocket *websocket, struct text text, struct buffer *out);
void websocket_write_ping(struct websocket *websocket, struct buffer *out);
/* Appends a close frame; the reason is at most 123 bytes of UTF-8. Harmless the second time. */
void websocket_write_close(struct websocket *websocket, uint16_t code, const char *reason,
                           struct buffer *out);

/* ---- handshake, server side ---------------------------------------------------------------- */

/*
 * Checks an upgrade request (RFC 6455, 4.2.1). Returns the HTTP status: 101, 400, or 426 (another
 * version, or no upgrade at all). Whether GET and path are right is the caller's matter.
 */
uint16_t websocket_check_request(const struct http_message *request);
/* Appends the 101 to a request that was found good. */
void websocket_accept_write(const struct http_message *request, struct buffer *out);
/* Appends the 400 or 426; the connection ends after it. */
void websocket_refuse_write(uint16_t status, int64_t wall_ns, struct buffer *out);

/* ---- handshake, client side ---------------------------------------------------------------- */

enum { WEBSOCKET_KEY_BYTES = 25 }; /* base64 of 16 bytes, and a terminator */

/* Appends a request for host ("127.0.0.1:2346") and path, with a fresh key. */
void websocket_request_write(struct buffer *out, const char *host, const char *path,
                             char key[WEBSOCKET_KEY_BYTES]);
/* Checks the response to it (RFC 6455, 4.1). STATUS_PROTOCOL where it is not a good 101. */
enum status MUST_CHECK websocket_check_response(const struct http_message *response,
                                                const char *key);

#endif
