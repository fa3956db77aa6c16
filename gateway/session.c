/*
 * A connection's life. Bytes come in by on_data, become requests while there is room for their
 * replies (session_consume), and replies gather in `output` until the callback ends
 * (session_flush). What can't be taken yet waits in `input`, with the stream paused, so that TCP
 * slows the client down.
 *
 * Failure modes: the client breaks HTTP (an error response, then the end) or WebSocket (a close
 * frame with its code, then the end); it reads nothing (1008, then cut); it vanishes (on_close).
 */
#include "gateway/session.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "gateway/exchange.h"
#include "gateway/route.h"

#include <stdlib.h>

/* Which moves there are: row from, bit to. */
static const uint8_t session_moves[SESSION_STATE_COUNT] = {
    [SESSION_OPENING] = 1U << SESSION_HTTP | 1U << SESSION_CLOSED,
    [SESSION_HTTP] = 1U << SESSION_WEBSOCKET | 1U << SESSION_CLOSING | 1U << SESSION_CLOSED,
    [SESSION_WEBSOCKET] = 1U << SESSION_CLOSING | 1U << SESSION_CLOSED,
    [SESSION_CLOSING] = 1U << SESSION_CLOSED,
    [SESSION_CLOSED] = 0,
};

static void session_move(struct session *session, enum session_state state)
{
    assert((session_moves[session->state] & 1U << state) != 0);
    session->state = state;
    session->state_ms = session->worker->now_ms;
}

static struct metrics *session_metrics(struct session *session)
{
    return session->worker->options->metrics;
}

void session_dirty(struct session *session)
{
    list_remove(&session->unflushed);
    list_push(&session->worker->unflushed, &session->unflushed);
}

bool session_write_full(const struct session *session)
{
    return session->output.size + stream_write_bytes(session->stream) > SESSION_WRITE_MARK_BYTES;
}

/* True while no further request may be taken. */
static bool session_blocked(const struct session *session)
{
    switch (session->state) {
    case SESSION_HTTP:
        return session->http_busy || session_write_full(session);
    case SESSION_WEBSOCKET:
        return session_write_full(session);
    case SESSION_OPENING:
    case SESSION_CLOSING:
    case SESSION_CLOSED:
    case SESSION_STATE_COUNT:
        break;
    }
    return false;
}

/* ---- the end ------------------------------------------------------------------------------- */

void session_cut(struct session *session, enum status why)
{
    if (session->state == SESSION_CLOSED) {
        return;
    }
    session_move(session, SESSION_CLOSED);
    stream_close(session->stream, why, 0);
}

void session_finish(struct session *session)
{
    session->close_after_flush = true;
    session_dirty(session);
}

void session_end(struct session *session, uint16_t code, const char *reason)
{
    switch (session->state) {
    case SESSION_WEBSOCKET:
        /* Then the other side's close frame is waited for (RFC 6455, 7.1.1). */
        websocket_write_close(session->websocket, code, reason, &session->output);
        session_move(session, SESSION_CLOSING);
        session_dirty(session);
        break;
    case SESSION_HTTP:
        if (session->http_busy || !http_idle(session->http)) {
            struct http_response response = {
                .status = code == WEBSOCKET_INTERNAL ? 500 : 503,
                .content_type = "text/plain; charset=utf-8",
                .body = text_of(reason),
            };
            session_respond_last(session, &response);
        } else {
            session_finish(session);
        }
        break;
    case SESSION_OPENING:
        session_cut(session, STATUS_CLOSED);
        break;
    case SESSION_CLOSING:
    case SESSION_CLOSED:
    case SESSION_STATE_COUNT:
        break;
    }
}

/* ---- replies ------------------------------------------------------------------------------- */

static void response_write(struct session *session, struct http_response *response)
{
    response->wall_ns = clock_wall_ns(session->worker->options->clock);
    http_response_write(&session->output, response);
    session->http_busy = false;
    session->http_answered = true;
    session->served = true;
    session->message_ms = session->worker->now_ms;
    session_dirty(session);
}

void session_respond(struct session *session, struct http_response *response)
{
    assert(session->state == SESSION_HTTP);
    const struct http_message *request = http_message(session->http);
    response->keep_alive =
        request->keep_alive && !atomic_load(&session->worker->draining) && !session->refused;
    response->head_only = text_equal(request->method, TEXT("HEAD"));
    response_write(session, response);
    if (!response->keep_alive) {
        session_finish(session);
    }
}

void session_respond_last(struct session *session, struct http_response *response)
{
    assert(session->state == SESSION_HTTP);
    response->keep_alive = false;
    response_write(session, response);
    session_finish(session);
}

bool session_ending(const struct session *session)
{
    /* Its last words are written, or its close frame is. */
    return session->close_after_flush || session->state >= SESSION_CLOSING;
}

void session_reply(struct session *session, struct text json)
{
    if (session_ending(session)) {
        return;
    }
    if (session->state == SESSION_WEBSOCKET) {
        if (json.size > 0) {
            websocket_write_text(session->websocket, json, &session->output);
            session_dirty(session);
        }
        return;
    }
    assert(session->state == SESSION_HTTP && session->http_busy);
    struct http_response response = {
        .status = json.size > 0 ? 200 : 204,
        .content_type = json.size > 0 ? "application/json" : NULL,
        .body = json,
    };
    session_respond(session, &response);
}

/* ---- requests ------------------------------------------------------------------------------ */

void session_refuse(struct session *session, uint16_t status, const char *text)
{
    metric_add(session_metrics(session), METRIC_PROTOCOL_ERRORS, 1);
    struct http_response response = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = text_of(text),
    };
    session_respond_last(session, &response);
}

static void session_upgrade(struct session *session, const struct http_message *request)
{
    struct websocket *websocket = NULL;
    if (websocket_open(&websocket, WEBSOCKET_SIDE_SERVER, MESSAGE_BYTES_MAX) != STATUS_OK) {
        session_cut(session, STATUS_NO_MEMORY);
        return;
    }
    websocket_accept_write(request, &session->output);
    session_dirty(session);
    http_close(session->http);
    session->http = NULL;
    session->http_answered = false;
    session->websocket = websocket;
    session->pinged_ms = session->worker->now_ms;
    metric_add(session_metrics(session), METRIC_SESSIONS, 1);
    metric_add(session_metrics(session), METRIC_SESSIONS_OPENED, 1);
    session_move(session, SESSION_WEBSOCKET);
}

static void session_request(struct session *session, const struct http_message *request)
{
    metric_add(session_metrics(session), METRIC_HTTP_REQUESTS, 1);
    if (session->refused) {
        struct http_response response = {.status = 503, .retry_after_s = 1};
        session_respond(session, &response);
        return;
    }
    switch (route(session, request)) {
    case ROUTE_ANSWERED:
        break;
    case ROUTE_UPGRADE:
        session_upgrade(session, request);
        break;
    case ROUTE_MESSAGE:
        session->http_busy = true;
        exchange_begin(session, request->body);
        break;
    }
}

/* The memory of an answered request goes, and the next one may begin. */
static void http_forget(struct session *session)
{
    if (session->http_answered && session->http != NULL) {
        http_next(session->http);
    }
    session->http_answered = false;
}

static size_t http_read(struct session *session, const uint8_t *data, size_t size)
{
    http_forget(session);
    if (http_idle(session->http)) {
        session->message_ms = session->worker->now_ms;
    }
    size_t taken = 0;
    const enum status status = http_feed(session->http, data, size, &taken);
    if (status == STATUS_OK) {
        session_request(session, http_message(session->http));
    } else if (status != STATUS_AGAIN) {
        session_refuse(session, http_error_status(session->http), "the request can't be read\n");
    } else if (http_wants_continue(session->http)) {
        write_format(&session->output, "HTTP/1.1 100 Continue\r\n\r\n");
        session_dirty(session);
    }
    return taken;
}

static size_t websocket_read(struct session *session, const uint8_t *data, size_t size)
{
    if (session->websocket_ended) {
        return size;
    }
    size_t taken = 0;
    const enum status status =
        websocket_feed(session->websocket, data, size, &taken, &session->output);
    if (session->output.size > 0) {
        session_dirty(session);
    }
    if (status == STATUS_AGAIN) {
        return taken;
    }
    if (status == STATUS_OK) {
        exchange_begin(session, websocket_message(session->websocket));
        websocket_release(session->websocket);
        return taken;
    }
    session->websocket_ended = true;
    if (status == STATUS_CLOSED) {
        session_finish(session);
    } else if (status != STATUS_PROTOCOL) {
        session_cut(session, status);
    } else {
        metric_add(session_metrics(session), METRIC_PROTOCOL_ERRORS, 1);
        session_finish(session);
    }
    return taken;
}

/* Takes as many bytes as may be taken now; returns how many. */
static size_t session_consume(struct session *session, const uint8_t *data, size_t size)
{
    size_t taken = 0;
    while (taken < size && !session_blocked(session)) {
        if (session->close_after_flush) {
            return size;
        }
        switch (session->state) {
        case SESSION_HTTP:
            taken += http_read(session, data + taken, size - taken);
            break;
        case SESSION_WEBSOCKET:
        case SESSION_CLOSING:
            taken += websocket_read(session, data + taken, size - taken);
            break;
        case SESSION_OPENING:
        case SESSION_CLOSED:
        case SESSION_STATE_COUNT:
            return size;
        }
    }
    return taken;
}

static void session_pause(struct session *session)
{
    const bool pause = session->input.size > 0 && session_blocked(session);
    if (pause == session->paused || session->state == SESSION_CLOSED) {
        return;
    }
    session->paused = pause;
    if (pause) {
        stream_pause(session->stream);
        return;
    }
    session->received_ms = session->worker->now_ms; /* silence was ours, not theirs */
    stream_resume(session->stream);
}

static void session_take(struct session *session, const uint8_t *data, size_t size)
{
    size_t taken = 0;
    if (session->input.size == 0) {
        taken = session_consume(session, data, size);
    }
    if (taken < size) {
        write_bytes(&session->input, data + taken, size - taken);
        if (session->input.failed) {
            session_cut(session, STATUS_NO_MEMORY);
            return;
        }
    }
    session_pause(session);
    session_hold(session);
}

void session_pump(struct session *session)
{
    exchange_pump(session);
    if (session->input.size > 0) {
        const size_t taken = session_consume(session, session->input.data, session->input.size);
        buffer_consume(&session->input, taken);
        if (session->input.size == 0) {
            buffer_deinit(&session->input);
            buffer_init(&session->input, SESSION_INPUT_BYTES_MAX);
        }
        session_hold(session);
    }
    session_pause(session);
}

void session_flush(struct session *session)
{
    list_remove(&session->unflushed);
    http_forget(session);
    if (session->state == SESSION_CLOSED) {
        return;
    }
    if (session->output.failed) {
        session_cut(session, STATUS_NO_MEMORY);
        return;
    }
    if (session->output.size > 0) {
        const size_t size = session->output.size;
        const enum status status = stream_write(session->stream, session->output.data, size);
        if (status == STATUS_CLOSED) {
            session_move(session, SESSION_CLOSED); /* the other side ended: on_close follows */
            return;
        }
        if (status != STATUS_OK) {
            /* More waits than may wait: a close frame could not go out either. */
            session_cut(session, status);
            return;
        }
        session->written_bytes += size;
        buffer_deinit(&session->output);
        buffer_init(&session->output, SESSION_WRITE_BYTES_MAX);
    }
    if (session->close_after_flush) {
        session_move(session, SESSION_CLOSED);
        stream_close(session->stream, STATUS_CLOSED, session->worker->times->close_ms);
        return;
    }
    if (!list_empty(&session->answered) || session->input.size > 0) {
        session_pump(session);
    }
}

/* ---- the stream ---------------------------------------------------------------------------- */

static void on_open(struct stream *stream, void *data)
{
    struct session *session = data;
    session->stream = stream;
    worker_tick(session->worker);
    session_move(session, SESSION_HTTP);
    session->progress_ms = session->worker->now_ms;
}

static void on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct session *session = data;
    (void)stream;
    worker_tick(session->worker);
    session->received_ms = session->worker->now_ms;
    session_take(session, bytes, size);
    worker_flush(session->worker);
}

static void on_drain(struct stream *stream, void *data)
{
    struct session *session = data;
    (void)stream;
    worker_tick(session->worker);
    session_dirty(session);
    worker_flush(session->worker);
}

static void on_close(struct stream *stream, void *data, enum status status)
{
    struct session *session = data;
    (void)stream;
    (void)status;
    session->state = SESSION_CLOSED;
    if (session->websocket != NULL) {
        metric_add(session_metrics(session), METRIC_SESSIONS, -1);
    }
    exchange_abandon(session);
    list_remove(&session->node);
    list_remove(&session->unflushed);
    list_remove(&session->unfinished);
    list_remove(&session->scanning);
    assert(session->worker->sessions_count > 0);
    session->worker->sessions_count--;
    session->worker->refused_count -= session->refused ? 1 : 0;
    session->worker->input_bytes -= session->held_bytes;
    http_close(session->http);
    websocket_close(session->websocket);
    buffer_deinit(&session->input);
    buffer_deinit(&session->output);
    free(session);
}

static enum status session_make(struct gateway_worker *worker, struct session **session)
{
    struct session *new = calloc(1, sizeof *new);
    if (new == NULL) {
        return STATUS_NO_MEMORY;
    }
    const enum status status = http_open(&new->http, HTTP_SIDE_SERVER);
    if (status != STATUS_OK) {
        free(new);
        return status;
    }
    new->worker = worker;
    new->state = SESSION_OPENING;
    new->state_ms = worker->now_ms;
    new->message_ms = worker->now_ms;
    new->received_ms = worker->now_ms;
    new->progress_ms = worker->now_ms;
    new->refused = worker->sessions_count - worker->refused_count >= worker->sessions_max;
    list_init(&new->node);
    list_init(&new->unflushed);
    list_init(&new->unfinished);
    list_init(&new->scanning);
    list_init(&new->exchanges);
    list_init(&new->answered);
    buffer_init(&new->input, SESSION_INPUT_BYTES_MAX);
    buffer_init(&new->output, SESSION_WRITE_BYTES_MAX);
    *session = new;
    return STATUS_OK;
}

enum status session_accept(struct gateway_worker *worker, struct session **session)
{
    struct session *new = NULL;
    enum status status = session_make(worker, &new);
    if (status != STATUS_OK) {
        return status;
    }
    list_push(&worker->sessions, &new->node);
    worker->sessions_count++;
    worker->refused_count += new->refused ? 1 : 0;
    const struct stream_options options = {
        .loop = &worker->loop,
        .tls = worker->tls,
        .write_bytes_max = SESSION_WRITE_BYTES_MAX + 2 * SESSION_WRITE_MARK_BYTES,
        .open_timeout_ms = 0, /* the sweep looks after it: no timer for each session */
        .callbacks = {.on_open = on_open,
                      .on_data = on_data,
                      .on_drain = on_drain,
                      .on_close = on_close},

        .data = new,
    };
    status = stream_accept(&new->stream, (uv_stream_t *)&worker->listener, &options);
    if (status != STATUS_OK) {
        list_remove(&new->node);
        worker->sessions_count--;
        worker->refused_count -= new->refused ? 1 : 0;
        http_close(new->http);
        free(new);
        return status;
    }
    *session = new;
    return STATUS_OK;
}
