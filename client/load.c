#include "client/load.h"

#include "base/check.h"
#include "base/clock.h"
#include "client/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request in flight; its number on the wire is its slot's. */
struct slot {
    uint64_t started_ns;
    uint64_t number; /* of the caller */
    bool busy;
};

/* One connection and its successors. */
struct line {
    struct load *load;
    struct connection *connection;
    uv_timer_t retry;
    uint32_t node;
    uint32_t busy;
    struct slot *slots;
    bool open;
};

struct load {
    const struct load_options *options;
    uv_loop_t loop;
    uv_timer_t duration;
    uv_timer_t drain;
    struct tls_context *tls;
    struct message_reader *reader;
    struct buffer params;
    struct buffer request;
    struct line *lines;
    uint64_t busy;
    uint64_t connected; /* connections that ever opened */
    uint64_t failures;  /* and that did not, since the last that did */
    bool ending;        /* no new requests */
    bool closing;       /* no new connections */
    bool timed_out;
    char reason[256];
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

static void line_connect(struct line *line);

/* ---- the end ------------------------------------------------------------------------------ */

static void load_close(struct load *load)
{
    if (load->closing) {
        return;
    }
    load->closing = true;
    load->ending = true;
    uv_close((uv_handle_t *)&load->duration, NULL);
    uv_close((uv_handle_t *)&load->drain, NULL);
    for (uint32_t i = 0; i < load->options->connections; i++) {
        struct line *line = &load->lines[i];
        uv_close((uv_handle_t *)&line->retry, NULL);
        if (line->connection != NULL) {
            connection_close(line->connection);
        }
    }
}

static void on_drain(uv_timer_t *timer)
{
    struct load *load = timer->data;
    load->timed_out = true;
    load_close(load);
}

/* No new requests; what is in flight has its time. */
static void load_end(struct load *load)
{
    if (load->ending) {
        return;
    }
    load->ending = true;
    int result = uv_timer_start(&load->drain, on_drain, CLIENT_ATTEMPT_MS, 0);
    assert(result == 0);
}

static void load_check_end(struct load *load)
{
    if (load->ending && load->busy == 0) {
        load_close(load);
    }
}

static void on_duration(uv_timer_t *timer)
{
    struct load *load = timer->data;
    load_end(load);
    load_check_end(load);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Sends one request in a free slot; false where there is nothing to send or no way. */
static bool slot_send(struct line *line, uint32_t index)
{
    struct load *load = line->load;
    const char *method = NULL;
    uint64_t number = 0;
    assert(!line->slots[index].busy);
    buffer_clear(&load->params);
    buffer_clear(&load->request);
    if (!load->options->write(load->options->data, &load->params, &method, &number)) {
        load_end(load);
        return false;
    }
    const struct text params = {(const char *)load->params.data, load->params.size};
    message_write_request(&load->request, index, text_of(method), params);
    assert(!load->params.failed && !load->request.failed);
    line->slots[index] = (struct slot){.started_ns = now_ns(), .number = number, .busy = true};
    line->busy += 1;
    load->busy += 1;
    const struct text request = {(const char *)load->request.data, load->request.size};
    if (connection_send(line->connection, request) != STATUS_OK) {
        connection_close(line->connection); /* on_close counts the request as lost */
        return false;
    }
    return true;
}

static void line_fill(struct line *line)
{
    struct load *load = line->load;
    for (uint32_t i = 0; i < load->options->in_flight; i++) {
        if (load->ending || !line->open) {
            return;
        }
        if (!line->slots[i].busy && !slot_send(line, i)) {
            return;
        }
    }
}

static void on_open(struct connection *connection, void *data)
{
    struct line *line = data;
    assert(line->connection == connection);
    line->open = true;
    line->load->connected += 1;
    line->load->failures = 0;
    line_fill(line);
    load_check_end(line->load);
}

static void on_retry(uv_timer_t *timer)
{
    struct line *line = timer->data;
    if (line->load->ending) {
        return;
    }
    if (line->connection == NULL) {
        line_connect(line);
    } else {
        line_fill(line);
    }
}

/* A node that refuses for now is left in peace for a moment. */
static void line_rest(struct line *line, uint32_t retry_after_ms)
{
    if (line->load->ending || uv_is_active((uv_handle_t *)&line->retry) != 0) {
        return;
    }
    const uint64_t rest_ms = retry_after_ms > 0 ? retry_after_ms : CLIENT_RETRY_MS;
    int result = uv_timer_start(&line->retry, on_retry, rest_ms, 0);
    assert(result == 0);
}

static void on_message(struct connection *connection, void *data, struct text message)
{
    struct line *line = data;
    struct load *load = line->load;
    const struct value *root = NULL;
    struct failure failure;
    struct reply reply;
    uint64_t index = 0;
    if (message_parse(load->reader, message, &root, &failure) != CODE_OK ||
        !reply_read(root, &reply) || !request_id_number(&reply.id, &index) ||
        index >= load->options->in_flight || !line->slots[index].busy) {
        (void)snprintf(load->reason, sizeof(load->reason), "an answer was not understood: %.*s",
                       message.size < 150 ? (int)message.size : 150, message.data);
        connection_close(connection);
        return;
    }
    const uint64_t latency_us = (now_ns() - line->slots[index].started_ns) / 1000;
    line->slots[index].busy = false;
    line->busy -= 1;
    load->busy -= 1;
    load->options->reply(load->options->data, line->slots[index].number, &reply, latency_us);
    if (reply.result == NULL && reply.retryable) {
        line_rest(line, reply.retry_after_ms);
    } else if (!load->ending) {
        (void)slot_send(line, (uint32_t)index);
    }
    load_check_end(load);
}

static void line_retry(struct line *line)
{
    struct load *load = line->load;
    line->node = (line->node + 1) % load->options->client->nodes_count;
    if (load->closing) {
        return;
    }
    load->failures += 1;
    const uint64_t failures_max = (uint64_t)load->options->connections * 100;
    if (load->failures > failures_max && load->busy == 0) {
        load_close(load); /* ten seconds without any connection */
        return;
    }
    int result = uv_timer_start(&line->retry, on_retry, CLIENT_RETRY_MS, 0);
    assert(result == 0);
}

static void on_close(struct connection *connection, void *data, const char *reason)
{
    struct line *line = data;
    struct load *load = line->load;
    assert(line->connection == connection);
    line->connection = NULL;
    line->open = false;
    if (load->reason[0] == '\0' && !load->closing) {
        (void)snprintf(load->reason, sizeof(load->reason), "%s", reason);
    }
    for (uint32_t i = 0; i < load->options->in_flight; i++) {
        if (line->slots[i].busy) {
            line->slots[i].busy = false;
            line->busy -= 1;
            load->busy -= 1;
            load->options->lost(load->options->data);
        }
    }
    line_retry(line);
    load_check_end(load);
}

static void line_connect(struct line *line)
{
    struct load *load = line->load;
    const struct client_node *node = &load->options->client->nodes[line->node];
    const struct connection_options options = {
        .loop = &load->loop,
        .host = node->host,
        .port = node->port,
        .tls = load->tls,
        .open_timeout_ms = CLIENT_CONNECT_MS,
        .callbacks = {.on_open = on_open, .on_message = on_message, .on_close = on_close},
        .data = line};
    assert(line->connection == NULL);
    if (connection_open(&line->connection, &options) != STATUS_OK) {
        line->connection = NULL;
        line_retry(line);
    }
}

/* ---- life --------------------------------------------------------------------------------- */

static enum status load_open(struct load *load, char *error, size_t error_size)
{
    const struct client_options *client = load->options->client;
    const uint32_t count = load->options->connections;
    if (client->tls) {
        const struct tls_options tls = {.ca_path = client->ca_path,
                                        .verify_peer = client->ca_path != NULL,
                                        .verify_host = client->ca_path != NULL};
        enum status status = tls_context_open(&load->tls, &tls, error, error_size);
        if (status != STATUS_OK) {
            return status;
        }
    }
    enum status status = message_reader_open(&load->reader, CLIENT_ANSWER_BYTES_MAX);
    load->lines = calloc(count, sizeof(*load->lines));
    if (status != STATUS_OK || load->lines == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        load->lines[i].slots = calloc(load->options->in_flight, sizeof(struct slot));
        if (load->lines[i].slots == NULL) {
            (void)snprintf(error, error_size, "out of memory");
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

static void load_start(struct load *load)
{
    const struct load_options *options = load->options;
    load->duration.data = load;
    load->drain.data = load;
    int result = uv_timer_init(&load->loop, &load->duration);
    result = result == 0 ? uv_timer_init(&load->loop, &load->drain) : result;
    assert(result == 0);
    if (options->duration_ms > 0) {
        result = uv_timer_start(&load->duration, on_duration, options->duration_ms, 0);
        assert(result == 0);
    }
    for (uint32_t i = 0; i < options->connections; i++) {
        struct line *line = &load->lines[i];
        line->load = load;
        line->node = i % options->client->nodes_count;
        line->retry.data = line;
        result = uv_timer_init(&load->loop, &line->retry);
        assert(result == 0);
    }
    for (uint32_t i = 0; i < options->connections; i++) {
        line_connect(&load->lines[i]);
    }
}

static void load_free(struct load *load)
{
    for (uint32_t i = 0; load->lines != NULL && i < load->options->connections; i++) {
        free(load->lines[i].slots);
    }
    free(load->lines);
    tls_context_close(load->tls);
    message_reader_close(load->reader);
    buffer_deinit(&load->params);
    buffer_deinit(&load->request);
}

enum status load_run(const struct load_options *options, char *error, size_t error_size)
{
    assert(options->connections > 0 && options->connections <= BENCH_CONNECTIONS_MAX);
    assert(options->in_flight > 0 && options->in_flight <= SESSION_REQUESTS_MAX);
    struct load load = {.options = options};
    buffer_init(&load.params, MESSAGE_BYTES_MAX);
    buffer_init(&load.request, SESSION_WRITE_BYTES_MAX);
    if (uv_loop_init(&load.loop) != 0) {
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    enum status status = load_open(&load, error, error_size);
    if (status == STATUS_OK) {
        load_start(&load);
        (void)uv_run(&load.loop, UV_RUN_DEFAULT);
        if (load.connected == 0) {
            status = STATUS_NETWORK;
        } else if (load.timed_out) {
            status = STATUS_TIMEOUT;
        }
        (void)snprintf(error, error_size, "%s",
                       load.reason[0] != '\0' ? load.reason : "no answer in time");
    }
    int result = uv_loop_close(&load.loop);
    assert(result == 0);
    load_free(&load);
    return status;
}
