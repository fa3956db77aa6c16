#include "client/scrape.h"

#include "base/check.h"
#include "base/stream.h"
#include "gateway/http.h"

#include <string.h>

struct scrape {
    uv_loop_t loop;
    uv_timer_t deadline;
    struct stream *stream;
    struct tls_context *tls;
    struct http *http;
    struct buffer *body;
    enum status status;
    char address[ADDRESS_TEXT_BYTES];
};

static void on_open(struct stream *stream, void *data)
{
    const struct scrape *scrape = data;
    char request[ADDRESS_TEXT_BYTES + 64];
    const int size =
        snprintf(request, sizeof(request),
                 "GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", scrape->address);
    assert(size > 0 && (size_t)size < sizeof(request));
    if (stream_write(stream, request, (size_t)size) != STATUS_OK) {
        stream_close(stream, STATUS_NETWORK, 0);
    }
}

static void on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct scrape *scrape = data;
    size_t taken = 0;
    enum status status = http_feed(scrape->http, bytes, size, &taken);
    if (status == STATUS_AGAIN) {
        return;
    }
    if (status == STATUS_OK && http_message(scrape->http)->status == 200) {
        const struct text body = http_message(scrape->http)->body;
        write_bytes(scrape->body, body.data, body.size);
        scrape->status = scrape->body->failed ? STATUS_NO_MEMORY : STATUS_OK;
    } else {
        scrape->status = STATUS_PROTOCOL;
    }
    stream_close(stream, scrape->status, 0);
}

static void on_close(struct stream *stream, void *data, enum status status)
{
    struct scrape *scrape = data;
    (void)stream;
    scrape->stream = NULL;
    if (scrape->status == STATUS_AGAIN) {
        scrape->status = status == STATUS_OK ? STATUS_CLOSED : status;
    }
    uv_close((uv_handle_t *)&scrape->deadline, NULL);
}

static void on_deadline(uv_timer_t *timer)
{
    struct scrape *scrape = timer->data;
    if (scrape->stream != NULL) {
        stream_close(scrape->stream, STATUS_TIMEOUT, 0);
    }
}

static enum status scrape_run(struct scrape *scrape, const struct client_options *client,
                              const struct client_node *node, uint32_t timeout_ms)
{
    char error[256];
    enum status status = http_open(&scrape->http, HTTP_SIDE_CLIENT);
    if (status == STATUS_OK && client->tls) {
        const struct tls_options tls = {.ca_path = client->ca_path,
                                        .verify_peer = client->ca_path != NULL,
                                        .verify_host = client->ca_path != NULL};
        status = tls_context_open(&scrape->tls, &tls, error, sizeof(error));
    }
    if (status != STATUS_OK) {
        return status;
    }
    int result = uv_timer_init(&scrape->loop, &scrape->deadline);
    assert(result == 0);
    scrape->deadline.data = scrape;
    result = uv_timer_start(&scrape->deadline, on_deadline, timeout_ms, 0);
    assert(result == 0);
    const struct stream_options options = {
        .loop = &scrape->loop,
        .tls = scrape->tls,
        .tls_host = node->host,
        .write_bytes_max = HTTP_HEAD_BYTES_MAX,
        .open_timeout_ms = timeout_ms,
        .callbacks = {.on_open = on_open, .on_data = on_data, .on_close = on_close},
        .data = scrape};
    status = stream_connect(&scrape->stream, node->host, node->port, &options);
    if (status != STATUS_OK) {
        uv_close((uv_handle_t *)&scrape->deadline, NULL);
    }
    (void)uv_run(&scrape->loop, UV_RUN_DEFAULT);
    return status == STATUS_OK ? scrape->status : status;
}

enum status scrape_metrics(const struct client_options *client, uint32_t index, uint32_t timeout_ms,
                           struct buffer *body)
{
    assert(index < client->nodes_count && timeout_ms > 0);
    const struct client_node *node = &client->nodes[index];
    struct scrape scrape = {.body = body, .status = STATUS_AGAIN};
    address_format(node->host, node->port, scrape.address);
    if (uv_loop_init(&scrape.loop) != 0) {
        return STATUS_NO_MEMORY;
    }
    enum status status = scrape_run(&scrape, client, node, timeout_ms);
    int result = uv_loop_close(&scrape.loop);
    assert(result == 0);
    http_close(scrape.http);
    tls_context_close(scrape.tls);
    return status;
}

/* The text behind "NAME " at the beginning of a line; NULL where there is no such line. */
static const char *value_find(struct text body, const char *name)
{
    const size_t size = strlen(name);
    const char *end = body.data + body.size;
    const char *line = body.data;
    while (line != NULL && (size_t)(end - line) > size + 1) {
        if (memcmp(line, name, size) == 0 && line[size] == ' ') {
            return line + size + 1;
        }
        line = memchr(line, '\n', (size_t)(end - line));
        line = line == NULL ? NULL : line + 1;
    }
    return NULL;
}

bool scrape_value(struct text body, const char *name, uint32_t factor, uint64_t *value)
{
    assert(factor >= 1 && factor <= 1000000);
    if (body.size == 0) {
        return false; /* its data may be NULL, which nothing can be added to */
    }
    const char *at = value_find(body, name);
    const char *end = body.data + body.size;
    uint64_t whole = 0;
    uint64_t part = 0;
    uint32_t scale = factor; /* of the decimal last read */
    bool point = false;
    bool digits = false;
    for (; at != NULL && at < end && *at != '\n'; at++) {
        const bool digit = *at >= '0' && *at <= '9';
        if (!digit && (*at != '.' || point)) {
            return false;
        }
        point = point || !digit;
        digits = digits || digit;
        if (digit && point) {
            scale /= 10;
            part += (uint64_t)(*at - '0') * scale;
        } else if (digit && whole <= UINT64_MAX / 10 / factor - 10) {
            whole = whole * 10 + (uint64_t)(*at - '0');
        } else if (digit) {
            return false;
        }
    }
    if (digits) {
        *value = whole * factor + part;
    }
    return digits;
}
