/*
 * Reading HTTP. The head's texts are gathered in one buffer and named by offsets, since the buffer
 * moves while it grows; they become texts when the head is complete. http_parser is paused after
 * each message, so that bytes behind it (a pipelined request, WebSocket frames) stay the caller's.
 *
 * Everything that two readers could understand differently is refused: more than one
 * Content-Length, Content-Length beside Transfer-Encoding, an encoding other than chunked, a
 * missing or repeated Host (request smuggling; RFC 9112, 6.3 and 11.2).
 */
#include "gateway/http.h"

#include "base/check.h"
#include "base/limits.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEADER_NAME_BYTES_MAX = 32, /* longer names are none that we read */
    HEADER_NONE = -1
};

enum header {
    HEADER_HOST,
    HEADER_ORIGIN,
    HEADER_UPGRADE,
    HEADER_CONNECTION,
    HEADER_WEBSOCKET_KEY,
    HEADER_WEBSOCKET_VERSION,
    HEADER_WEBSOCKET_PROTOCOL,
    HEADER_WEBSOCKET_EXTENSIONS,
    HEADER_WEBSOCKET_ACCEPT,
    HEADER_CONTENT_TYPE,
    HEADER_CONTENT_LENGTH,
    HEADER_TRANSFER_ENCODING,
    HEADER_EXPECT,
    HEADER_COUNT
};

struct header_rule {
    const char *name;
    bool list; /* several lines mean one comma separated list; else a second line is an error */
    size_t offset;
};

#define RULE(name, list, field)                                                                    \
    {                                                                                              \
        name, list, offsetof(struct http_message, field)                                           \
    }

static const struct header_rule header_rules[HEADER_COUNT] = {
    [HEADER_HOST] = RULE("host", false, host),
    [HEADER_ORIGIN] = RULE("origin", false, origin),
    [HEADER_UPGRADE] = RULE("upgrade", true, upgrade),
    [HEADER_CONNECTION] = RULE("connection", true, connection),
    [HEADER_WEBSOCKET_KEY] = RULE("sec-websocket-key", false, websocket_key),
    [HEADER_WEBSOCKET_VERSION] = RULE("sec-websocket-version", false, websocket_version),
    [HEADER_WEBSOCKET_PROTOCOL] = RULE("sec-websocket-protocol", true, websocket_protocol),
    [HEADER_WEBSOCKET_EXTENSIONS] = RULE("sec-websocket-extensions", true, websocket_extensions),
    [HEADER_WEBSOCKET_ACCEPT] = RULE("sec-websocket-accept", false, websocket_accept),
    [HEADER_CONTENT_TYPE] = RULE("content-type", false, content_type),
    [HEADER_CONTENT_LENGTH] = RULE("content-length", false, content_length),
    [HEADER_TRANSFER_ENCODING] = RULE("transfer-encoding", false, transfer_encoding),
    [HEADER_EXPECT] = RULE("expect", false, expect),
};

struct span {
    size_t start;
    size_t size;
    bool present;
};

struct http {
    http_parser parser;
    enum http_side side;
    bool started; /* a byte of this message was read */
    bool headed;  /* its head is complete */
    bool complete;
    bool continue_due;
    uint16_t error_status; /* 0: none */
    size_t head_bytes;     /* of the wire */
    /* the header line being read */
    char name[HEADER_NAME_BYTES_MAX];
    size_t name_size;
    bool name_long; /* too long to be one of ours */
    bool in_value;
    int header; /* enum header or HEADER_NONE */
    struct span target;
    struct span headers[HEADER_COUNT];
    struct buffer head; /* the texts of the head */
    struct buffer body;
    struct http_message message;
};

static struct http *http_of(http_parser *parser)
{
    assert(parser->data != NULL);
    return parser->data;
}

/* The value returned stops http_parser; 1 and 2 would not (on_headers_complete). */
static int http_refuse(struct http *http, uint16_t status)
{
    if (http->error_status == 0) {
        http->error_status = status;
    }
    return -1;
}

static int head_append(struct http *http, struct span *span, const char *at, size_t size)
{
    assert(span->start + span->size == http->head.size);
    write_bytes(&http->head, at, size);
    if (http->head.failed) {
        return http_refuse(http, 400);
    }
    span->size += size;
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct http *http = http_of(parser);
    return head_append(http, &http->target, at, size);
}

static int header_find(const char *name, size_t size)
{
    for (int i = 0; i < HEADER_COUNT; i++) {
        const char *wanted = header_rules[i].name;
        if (strlen(wanted) == size && strncasecmp(wanted, name, size) == 0) {
            return i;
        }
    }
    return HEADER_NONE;
}

static int on_header_field(http_parser *parser, const char *at, size_t size)
{
    struct http *http = http_of(parser);
    if (http->headed) {
        return 0; /* a trailer: nothing that we read may stand there */
    }
    if (http->in_value) {
        http->in_value = false;
        http->name_long = false;
        http->name_size = 0;
    }
    /* "Content-Length :" is another header to the next one who reads it (RFC 9112, 5.1). */
    if (memchr(at, ' ', size) != NULL || memchr(at, '\t', size) != NULL) {
        return http_refuse(http, 400);
    }
    if (size > sizeof http->name - http->name_size) {
        http->name_long = true;
        return 0;
    }
    memcpy(http->name + http->name_size, at, size);
    http->name_size += size;
    return 0;
}

/* The name is complete: decides where its value goes. */
static int header_begin(struct http *http)
{
    http->in_value = true;
    http->header = HEADER_NONE;
    if (!http->name_long) {
        http->header = header_find(http->name, http->name_size);
    }
    if (http->header == HEADER_NONE) {
        return 0;
    }
    struct span *span = &http->headers[http->header];
    if (!span->present) {
        *span = (struct span){.start = http->head.size, .present = true};
        return 0;
    }
    if (!header_rules[http->header].list) {
        return http_refuse(http, 400);
    }
    /* A further line of a list: move the earlier ones to the end, so that they are one text. */
    const struct span before = *span;
    if (!buffer_reserve(&http->head, before.size + 1)) {
        return http_refuse(http, 400);
    }
    *span = (struct span){.start = http->head.size, .size = before.size + 1, .present = true};
    memcpy(http->head.data + http->head.size, http->head.data + before.start, before.size);
    http->head.size += before.size;
    write_u8(&http->head, ',');
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t size)
{
    struct http *http = http_of(parser);
    if (http->headed) {
        return 0;
    }
    if (!http->in_value && header_begin(http) != 0) {
        return -1;
    }
    if (http->header == HEADER_NONE) {
        return 0;
    }
    return head_append(http, &http->headers[http->header], at, size);
}

static struct text span_text(const struct http *http, const struct span *span)
{
    if (!span->present) {
        return (struct text){.data = NULL, .size = 0};
    }
    assert(span->start + span->size <= http->head.size);
    /* An empty text of a present header still has an address. */
    const char *data = http->head.data == NULL ? "" : (const char *)http->head.data + span->start;
    struct text text = {.data = data, .size = span->size};
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* The path of the target in any of its forms (RFC 9112, 3.2). */
static bool target_path(struct text target, bool connect, struct text *path)
{
    struct http_parser_url url;
    http_parser_url_init(&url);
    if (http_parser_parse_url(target.data, target.size, connect ? 1 : 0, &url) != 0) {
        return false;
    }
    *path = TEXT("/");
    if ((url.field_set & (1U << UF_PATH)) != 0) {
        path->data = target.data + url.field_data[UF_PATH].off;
        path->size = url.field_data[UF_PATH].len;
    }
    return true;
}

/* Turns offsets into texts, now that the buffer of the head stays where it is. */
static void message_fill(struct http *http)
{
    struct http_message *message = &http->message;
    for (int i = 0; i < HEADER_COUNT; i++) {
        char *field = (char *)message + header_rules[i].offset;
        const struct text text = span_text(http, &http->headers[i]);
        memcpy(field, &text, sizeof text);
    }
    message->version_1_1 = http->parser.http_major == 1 && http->parser.http_minor == 1;
    message->keep_alive = http_should_keep_alive(&http->parser) != 0;
    message->status = (uint16_t)http->parser.status_code;
}

static int request_check(struct http *http)
{
    struct http_message *message = &http->message;
    message->method = text_of(http_method_str((enum http_method)http->parser.method));
    http->target.present = true;
    const struct text target = span_text(http, &http->target);
    if (!target_path(target, http->parser.method == HTTP_CONNECT, &message->path)) {
        return http_refuse(http, 400);
    }
    if (http->parser.http_major != 1 || http->parser.http_minor > 1) {
        return http_refuse(http, 400);
    }
    if (message->version_1_1 && message->host.data == NULL) {
        return http_refuse(http, 400);
    }
    if (message->transfer_encoding.data != NULL && message->content_length.data != NULL) {
        return http_refuse(http, 400);
    }
    if (message->transfer_encoding.data != NULL &&
        (!message->version_1_1 || !http_text_equal(message->transfer_encoding, "chunked"))) {
        return http_refuse(http, 400);
    }
    const bool has_length = message->content_length.data != NULL;
    if (has_length && http->parser.content_length > MESSAGE_BYTES_MAX) {
        return http_refuse(http, 413);
    }
    const bool has_body =
        message->transfer_encoding.data != NULL || (has_length && http->parser.content_length > 0);
    http->continue_due = has_body && message->version_1_1 && message->expect.data != NULL &&
                         http_text_equal(message->expect, "100-continue");
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct http *http = http_of(parser);
    assert(!http->headed);
    http->headed = true;
    message_fill(http);
    if (http->side == HTTP_SIDE_SERVER) {
        return request_check(http);
    }
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t size)
{
    struct http *http = http_of(parser);
    assert(http->headed);
    http->continue_due = false;
    if (size > MESSAGE_BYTES_MAX - http->body.size) {
        return http_refuse(http, 413);
    }
    write_bytes(&http->body, at, size);
    return http->body.failed ? http_refuse(http, 413) : 0;
}

static int on_message_complete(http_parser *parser)
{
    struct http *http = http_of(parser);
    assert(http->headed && !http->complete);
    http->complete = true;
    http->continue_due = false;
    http->message.body =
        (struct text){.data = (const char *)http->body.data, .size = http->body.size};
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void parser_begin(struct http *http)
{
    http_parser_init(&http->parser, http->side == HTTP_SIDE_SERVER ? HTTP_REQUEST : HTTP_RESPONSE);
    http->parser.data = http;
}

enum status http_open(struct http **http, enum http_side side)
{
    assert(http != NULL);
    struct http *new = calloc(1, sizeof *new);
    if (new == NULL) {
        return STATUS_NO_MEMORY;
    }
    new->side = side;
    buffer_init(&new->head, HTTP_HEAD_BYTES_MAX);
    buffer_init(&new->body, MESSAGE_BYTES_MAX);
    parser_begin(new);
    *http = new;
    return STATUS_OK;
}

void http_close(struct http *http)
{
    if (http == NULL) {
        return;
    }
    buffer_deinit(&http->head);
    buffer_deinit(&http->body);
    free(http);
}

enum status http_feed(struct http *http, const uint8_t *data, size_t size, size_t *taken)
{
    assert(http != NULL && taken != NULL);
    assert(!http->complete && http->error_status == 0);
    *taken = 0;
    while (*taken < size) {
        size_t part = size - *taken;
        if (!http->headed && part > HTTP_HEAD_BYTES_MAX - http->head_bytes) {
            part = HTTP_HEAD_BYTES_MAX - http->head_bytes;
        }
        if (part == 0) {
            http->error_status = 400;
            return STATUS_PROTOCOL;
        }
        const bool headed = http->headed;
        const size_t used =
            http_parser_execute(&http->parser, &settings, (const char *)data + *taken, part);
        http->started = true;
        *taken += used;
        if (!headed) {
            http->head_bytes += used;
        }
        if (http->complete) {
            return STATUS_OK;
        }
        if (HTTP_PARSER_ERRNO(&http->parser) != HPE_OK || used != part) {
            http_refuse(http, 400);
            return STATUS_PROTOCOL;
        }
    }
    return STATUS_AGAIN;
}

const struct http_message *http_message(const struct http *http)
{
    assert(http->complete);
    return &http->message;
}

uint16_t http_error_status(const struct http *http)
{
    assert(http->error_status != 0);
    return http->error_status;
}

bool http_wants_continue(struct http *http)
{
    const bool due = http->continue_due;
    http->continue_due = false;
    return due;
}

bool http_idle(const struct http *http)
{
    return !http->started;
}

bool http_in_body(const struct http *http)
{
    return http->headed && !http->complete;
}

size_t http_bytes(const struct http *http)
{
    return http->head.capacity + http->body.capacity;
}

void http_next(struct http *http)
{
    const enum http_side side = http->side;
    buffer_deinit(&http->head);
    buffer_deinit(&http->body);
    *http = (struct http){.side = side};
    buffer_init(&http->head, HTTP_HEAD_BYTES_MAX);
    buffer_init(&http->body, MESSAGE_BYTES_MAX);
    parser_begin(http);
    assert(!http->headed && !http->complete);
}
