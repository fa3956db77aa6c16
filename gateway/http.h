/*
 * The door to http_parser: HTTP/1.1 heads and bodies out of bytes, and responses into bytes. No
 * sockets. One object reads one message after the other; a server reads requests, a client reads
 * responses (of the WebSocket handshake). RFC 9110 and 9112.
 */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include "base/bytes.h"

struct http;

enum http_side { HTTP_SIDE_SERVER, HTTP_SIDE_CLIENT };

/*
 * What was read. Texts are borrowed from the object until http_next or http_close; a header that is
 * absent has data == NULL, one that is present and empty does not.
 */
struct http_message {
    struct text method; /* requests: "GET" */
    struct text path;   /* requests: the target's path, without query */
    uint16_t status;    /* responses */
    bool version_1_1;   /* HTTP/1.1 (else 1.0) */
    bool keep_alive;    /* the other side may send another message */
    struct text host;
    struct text origin;
    struct text upgrade;
    struct text connection;
    struct text websocket_key;
    struct text websocket_version;
    struct text websocket_protocol;
    struct text websocket_extensions;
    struct text websocket_accept;
    struct text content_type;
    struct text content_length;
    struct text transfer_encoding;
    struct text expect;
    struct text body;
};

enum status MUST_CHECK http_open(struct http **http, enum http_side side);
/* Accepts NULL. */
void http_close(struct http *http);

/*
 * Reads on. *taken says how many bytes were used, whatever is returned.
 * STATUS_OK: a message is complete (http_message), the rest belongs to what follows it.
 * STATUS_AGAIN: all bytes were used, more are needed.
 * STATUS_PROTOCOL: http_error_status says how to answer; the connection must end then.
 * A head is at most HTTP_HEAD_BYTES_MAX (400), a body at most MESSAGE_BYTES_MAX (413).
 */
enum status MUST_CHECK http_feed(struct http *http, const uint8_t *data, size_t size,
                                 size_t *taken);

/* The message that http_feed completed. */
const struct http_message *http_message(const struct http *http);
/* 400 or 413, after STATUS_PROTOCOL. */
uint16_t http_error_status(const struct http *http);
/* True once per request whose body the client holds back until it sees "100 Continue". */
bool http_wants_continue(struct http *http);
/* True while no byte of a message has been read. */
bool http_idle(const struct http *http);
/* True while the head is complete and the body is not. */
bool http_in_body(const struct http *http);
/* Memory held for the message being read. */
size_t http_bytes(const struct http *http);
/* Forgets the message and its memory; the next one may follow. */
void http_next(struct http *http);

/* Whether a comma separated list has this token, without regard to case (RFC 9110, 5.6.1). */
bool http_list_has(struct text list, const char *token);
/* Equal without regard to the case of ASCII letters. */
bool http_text_equal(struct text text, const char *other);
/* Whether a media type is this one, whatever its parameters say. */
bool http_media_type_is(struct text content_type, const char *type);
/*
 * Whether an Origin header names the host of this request's Host header (scheme http or https).
 * "null" and anything that is not an origin is no match.
 */
bool http_origin_matches_host(struct text origin, struct text host);

struct http_response {
    uint16_t status;
    const char *content_type;            /* NULL: no body */
    const char *allow;                   /* for 405; NULL otherwise */
    const char *content_security_policy; /* for pages; NULL: nothing may be loaded at all */
    struct text body;
    int64_t wall_ns;        /* for Date */
    uint32_t retry_after_s; /* 0: none */
    bool keep_alive;
    bool head_only; /* HEAD: the length is told, the body is not sent */
};

/* Appends the whole response. */
void http_response_write(struct buffer *out, const struct http_response *response);

#endif
