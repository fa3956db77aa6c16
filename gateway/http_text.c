/*
 * The text side of HTTP: comparing header values, and writing responses. Every response tells the
 * browser to guess nothing, keep nothing and load nothing that the page does not name.
 */
#include "gateway/http.h"

#include "base/check.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define NANOSECONDS_PER_SECOND 1000000000

bool http_text_equal(struct text text, const char *other)
{
    assert(other != NULL);
    return text.data != NULL && text.size == strlen(other) &&
           strncasecmp(text.data, other, text.size) == 0;
}

static struct text text_trim(struct text text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* The part of *rest before the separator, trimmed; *rest goes on behind it. */
static struct text text_cut(struct text *rest, char separator)
{
    assert(rest->data != NULL);
    const char *end = memchr(rest->data, separator, rest->size);
    struct text part = {.data = rest->data,
                        .size = end == NULL ? rest->size : (size_t)(end - rest->data)};
    const size_t used = end == NULL ? rest->size : part.size + 1;
    rest->data += used;
    rest->size -= used;
    return text_trim(part);
}

bool http_list_has(struct text list, const char *token)
{
    assert(token != NULL);
    if (list.data == NULL) {
        return false;
    }
    while (list.size > 0) {
        if (http_text_equal(text_cut(&list, ','), token)) {
            return true;
        }
    }
    return false;
}

bool http_media_type_is(struct text content_type, const char *type)
{
    assert(type != NULL);
    return content_type.data != NULL && http_text_equal(text_cut(&content_type, ';'), type);
}

bool http_origin_matches_host(struct text origin, struct text host)
{
    static const char *const schemes[] = {"http://", "https://"};
    if (origin.data == NULL || host.data == NULL || host.size == 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        const size_t size = strlen(schemes[i]);
        if (origin.size == size + host.size && strncasecmp(origin.data, schemes[i], size) == 0 &&
            strncasecmp(origin.data + size, host.data, host.size) == 0) {
            return true;
        }
    }
    return false;
}

static const char *reason_phrase(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {204, "No Content"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {426, "Upgrade Required"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(phrases); i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Unknown";
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), free of the process's locale. */
static void date_write(struct buffer *out, int64_t wall_ns)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t seconds = (time_t)(wall_ns / NANOSECONDS_PER_SECOND);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL) {
        return;
    }
    assert(tm.tm_wday >= 0 && tm.tm_wday < 7);
    assert(tm.tm_mon >= 0 && tm.tm_mon < 12);
    write_format(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday,
                 months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void http_response_write(struct buffer *out, const struct http_response *response)
{
    assert(response->status >= 200 && response->status <= 599);
    assert(IMPLIES(response->content_type == NULL, response->body.size == 0));
    write_format(out, "HTTP/1.1 %u %s\r\n", (unsigned)response->status,
                 reason_phrase(response->status));
    date_write(out, response->wall_ns);
    if (response->content_type != NULL) {
        write_format(out, "Content-Type: %s\r\n", response->content_type);
    }
    if (response->status != 204) { /* RFC 9110, 8.6 */
        write_format(out, "Content-Length: %zu\r\n", response->body.size);
    }
    if (response->allow != NULL) {
        write_format(out, "Allow: %s\r\n", response->allow);
    }
    if (response->status == 426) {
        /* RFC 6455, 4.4: which version would do. The other two are demanded by RFC 9110, 15.5.22.
         */
        write_format(out, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
    }
    if (response->retry_after_s > 0) {
        write_format(out, "Retry-After: %u\r\n", (unsigned)response->retry_after_s);
    }
    const char *policy = response->content_security_policy;
    write_format(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    write_format(out, "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n");
    write_format(out, "Content-Security-Policy: %s\r\n",
                 policy != NULL ? policy : "default-src 'none'; frame-ancestors 'none'");
    const char *connection = response->keep_alive ? "keep-alive" : "close";
    write_format(out, "Connection: %s%s\r\n\r\n", connection,
                 response->status == 426 ? ", Upgrade" : "");
    if (!response->head_only) {
        write_bytes(out, response->body.data, response->body.size);
    }
}
