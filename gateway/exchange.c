/*
 * A message becomes one exchange with an ask for each of its requests. An ask that needs the node
 * travels inside its call and comes back with it; the session may be gone by then, so an exchange
 * outlives its session until its last call is back.
 *
 * Admission stands before all cost: with a full window a request is only read as far as its id.
 */
#include "gateway/exchange.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "gateway/glance.h"
#include "gateway/render.h"

#include <stdlib.h>

struct exchange {
    struct list node;        /* in the session's exchanges */
    struct session *session; /* NULL: gone */
    bool is_array;
    bool reading;           /* its requests are still being read */
    bool full;              /* a reply did not fit its array: further lists are not read */
    bool replied;           /* not an array, and its reply is out */
    uint32_t open;          /* asks whose calls are out */
    struct buffer replies;  /* of an array, as far as they are known */
    uint64_t waiting_bytes; /* of them, counted in the session */
};

struct ask {
    struct call call;
    struct rpc_request request;
    struct exchange *exchange;
    uint64_t bytes; /* its part of the window */
};

/* An array answer leaves room for the refusal of each of its requests. */
enum { REFUSAL_BYTES_MAX = 1024, REPLIES_BYTES_MAX = SESSION_WRITE_BYTES_MAX / 2 };

static_assert(REPLIES_BYTES_MAX + ENVELOPES_MAX * REFUSAL_BYTES_MAX < SESSION_WRITE_BYTES_MAX,
              "the answer to an array fits the write queue");

static struct ask *ask_of(struct call *call)
{
    return CONTAINER_OF(call, struct ask, call);
}

static struct ask *ask_open(struct exchange *exchange)
{
    struct ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL) {
        return NULL;
    }
    ask->exchange = exchange;
    rpc_request_init(&ask->request);
    list_init(&ask->call.node);
    list_init(&ask->call.owned);
    buffer_init(&ask->call.request, REQUEST_BYTES_MAX);
    buffer_init(&ask->call.answer, ANSWER_BYTES_MAX);
    return ask;
}

static void ask_close(struct ask *ask)
{
    rpc_request_deinit(&ask->request);
    buffer_deinit(&ask->call.request);
    buffer_deinit(&ask->call.answer);
    free(ask);
}

/* ---- replies ------------------------------------------------------------------------------- */

static struct buffer *reply_begin(struct session *session)
{
    buffer_clear(&session->worker->reply);
    return &session->worker->reply;
}

static void refused_count(struct session *session, enum code code)
{
    struct metrics *metrics = session->worker->options->metrics;
    metric_add(metrics, METRIC_REQUESTS_REFUSED, 1);
    if (code == CODE_OVERLOADED) {
        metric_add(metrics, METRIC_OVERLOADED, 1);
    }
}

/* The reply that stands in the worker's buffer goes out, or joins those of its array. */
static void reply_end(struct exchange *exchange)
{
    const struct buffer *reply = &exchange->session->worker->reply;
    assert(!reply->failed && reply->size > 0);
    if (!exchange->is_array) {
        exchange->replied = true;
        session_reply(exchange->session,
                      (struct text){.data = (const char *)reply->data, .size = reply->size});
        return;
    }
    write_u8(&exchange->replies, exchange->replies.size == 0 ? '[' : ',');
    write_bytes(&exchange->replies, reply->data, reply->size);
    exchange->session->waiting_bytes += reply->size;
    exchange->waiting_bytes += reply->size;
}

static void reply_code(struct exchange *exchange, const struct rpc_request *request, enum code code)
{
    const bool later = code == CODE_OVERLOADED || code == CODE_SHUTTING_DOWN;
    render_code(request, code, later ? REQUEST_RETRY_AFTER_MS : 0, reply_begin(exchange->session));
    refused_count(exchange->session, code);
    reply_end(exchange);
}

/* Whether the reply just rendered can be sent: memory sufficed, and an array has room for it. */
static bool reply_fits(const struct exchange *exchange)
{
    const struct buffer *reply = &exchange->session->worker->reply;
    if (reply->failed) {
        return false;
    }
    return !exchange->is_array ||
           (!exchange->replies.failed && exchange->replies.size + reply->size <= REPLIES_BYTES_MAX);
}

/* Ends the exchange when all its requests are answered. */
static void exchange_settle(struct exchange *exchange)
{
    if (exchange->reading || exchange->open > 0) {
        return;
    }
    struct session *session = exchange->session;
    if (session != NULL) {
        session->waiting_bytes -= exchange->waiting_bytes;
    }
    if (session != NULL && !exchange->replied) {
        if (exchange->replies.size > 0) {
            write_u8(&exchange->replies, ']');
        }
        if (exchange->replies.failed) {
            session_end(session, WEBSOCKET_INTERNAL, "out of memory");
        } else {
            session_reply(session, (struct text){.data = (const char *)exchange->replies.data,
                                                 .size = exchange->replies.size});
        }
    }
    list_remove(&exchange->node);
    buffer_deinit(&exchange->replies);
    free(exchange);
}

/* ---- answers ------------------------------------------------------------------------------- */

/* Histories and lists are read here, on the worker's thread, from the committed state. */
static void ask_scan(struct ask *ask)
{
    struct call *call = &ask->call;
    if (call->kind != CALL_SCAN || call->code != CODE_OK) {
        return;
    }
    struct gateway_worker *worker = ask->exchange->session->worker;
    struct ledger *ledger = worker->options->ledger;
    const uint64_t begin_ns = clock_monotonic_ns(worker->options->clock);
    const enum status status = ledger_scan(ledger, &call->query, &call->answer);
    worker->scanned_ns += clock_monotonic_ns(worker->options->clock) - begin_ns;
    if (status != STATUS_OK || call->answer.failed) {
        const struct gateway_backend *backend = &worker->options->backend;
        if (status == STATUS_CORRUPT && backend->damaged != NULL) {
            backend->damaged(backend->data, ledger_damage(ledger));
        }
        log_error("gateway", "a scan failed status=%s", status_name(status));
        call->code = CODE_INTERNAL;
    }
}

/* Renders the answer of an ask and frees it. */
static void ask_answer(struct ask *ask)
{
    struct exchange *exchange = ask->exchange;
    struct session *session = exchange->session;
    assert(session != NULL && exchange->open > 0);
    exchange->open--;
    if (session_ending(session)) {
        /* Nobody will read it; scans for many who are closed at once would hold up the others. */
        ask_close(ask);
        exchange_settle(exchange);
        return;
    }
    if (exchange->full && ask->call.kind == CALL_SCAN) {
        reply_code(exchange, &ask->request, CODE_OVERLOADED);
        ask_close(ask);
        exchange_settle(exchange);
        return;
    }
    ask_scan(ask);
    if (!render_answer(&ask->request, &ask->call, reply_begin(session))) {
        refused_count(session, ask->call.code);
    }
    if (reply_fits(exchange)) {
        reply_end(exchange);
    } else {
        exchange->full = true;
        /* It was executed or read, but can't be told: what may have happened stays open. */
        reply_code(exchange, &ask->request,
                   ask->call.kind == CALL_EXECUTE ? CODE_UNKNOWN : CODE_OVERLOADED);
    }
    ask_close(ask);
    exchange_settle(exchange);
}

void exchange_answer(struct call *call)
{
    struct ask *ask = ask_of(call);
    struct exchange *exchange = ask->exchange;
    struct session *session = exchange->session;
    assert(exchange->open > 0);
    if (session == NULL) {
        exchange->open--;
        ask_close(ask);
        exchange_settle(exchange);
        return;
    }
    assert(session->requests_count > 0 && session->requests_bytes >= ask->bytes);
    list_push(&session->answered, &call->node);
    session->waiting_bytes += call->answer.size;
    exchange_pump(session);
}

/* Whether answering takes a scan for which this turn of the worker has no time left. */
static bool ask_must_wait(const struct ask *ask)
{
    const struct session *session = ask->exchange->session;
    return ask->call.kind == CALL_SCAN && ask->call.code == CODE_OK && !session_ending(session) &&
           session->worker->scanned_ns >= WORKER_SCAN_TURN_US * UINT64_C(1000);
}

void exchange_pump(struct session *session)
{
    while (!session_write_full(session) && session->state != SESSION_CLOSED &&
           !list_empty(&session->answered)) {
        struct list *node = session->answered.next;
        struct ask *ask = ask_of(CONTAINER_OF(node, struct call, node));
        if (ask_must_wait(ask)) {
            worker_scan_later(session->worker, session);
            return;
        }
        list_remove(node);
        session->requests_count--;
        session->requests_bytes -= ask->bytes;
        session->waiting_bytes -= ask->call.answer.size;
        ask_answer(ask);
    }
}

void exchange_abandon(struct session *session)
{
    for (struct list *node; (node = list_pop(&session->answered)) != NULL;) {
        struct ask *ask = ask_of(CONTAINER_OF(node, struct call, node));
        assert(ask->exchange->open > 0);
        ask->exchange->open--;
        ask_close(ask);
    }
    for (struct list *node; (node = list_pop(&session->exchanges)) != NULL;) {
        struct exchange *exchange = CONTAINER_OF(node, struct exchange, node);
        assert(!exchange->reading);
        exchange->session = NULL;
        exchange_settle(exchange);
    }
    session->requests_count = 0;
    session->requests_bytes = 0;
    session->waiting_bytes = 0;
}

/* ---- requests ------------------------------------------------------------------------------ */

static bool window_full(const struct session *session, uint64_t bytes)
{
    const uint32_t count_max = session->worker->options->session_requests_max;
    assert(count_max > 0 && count_max <= SESSION_REQUESTS_MAX);
    return session->requests_count >= count_max ||
           session->requests_bytes + bytes > SESSION_REQUEST_BYTES_MAX;
}

/* Answers a request without having read more of it than its id. */
static void request_refuse(struct exchange *exchange, struct ask *ask, const struct value *value,
                           enum code code)
{
    struct envelope envelope = {0};
    struct failure failure = {0};
    const enum code read = envelope_read(value, &envelope, &failure);
    ask->request.id = envelope.id;
    if (read != CODE_OK) {
        render_failure(&ask->request, &failure, reply_begin(exchange->session));
        refused_count(exchange->session, read);
        reply_end(exchange);
    } else if (envelope.is_notification) {
        metric_add(exchange->session->worker->options->metrics, METRIC_NOTIFICATIONS, 1);
    } else {
        reply_code(exchange, &ask->request, code);
    }
    ask_close(ask);
}

static void request_submit(struct exchange *exchange, struct ask *ask)
{
    struct session *session = exchange->session;
    struct gateway_worker *worker = session->worker;
    const struct gateway_options *options = worker->options;
    struct call *call = &ask->call;
    call->worker = worker;
    call->owner = ask;
    call->deadline_ns =
        clock_monotonic_ns(options->clock) + (uint64_t)options->request_timeout_ms * 1000000;
    exchange->open++;
    session->requests_count++;
    session->requests_bytes += ask->bytes;
    atomic_fetch_add(&worker->calls, 1);
    const enum status status = options->backend.submit(options->backend.data, call);
    if (status == STATUS_OK) {
        return; /* the call is the node's; it may be answered already */
    }
    atomic_fetch_sub(&worker->calls, 1);
    session->requests_bytes -= ask->bytes;
    session->requests_count--;
    exchange->open--;
    session->worker->overloaded = session->worker->overloaded || status == STATUS_FULL;
    reply_code(exchange, &ask->request,
               status == STATUS_CLOSED ? CODE_SHUTTING_DOWN : CODE_OVERLOADED);
    ask_close(ask);
}

static void request_begin(struct exchange *exchange, const struct value *value)
{
    struct session *session = exchange->session;
    const struct gateway_options *options = session->worker->options;
    metric_add(options->metrics, METRIC_REQUESTS, 1);
    struct ask *ask = ask_open(exchange);
    if (ask == NULL) {
        session_end(session, WEBSOCKET_INTERNAL, "out of memory");
        return;
    }
    ask->bytes = value_source(value).size;
    if (window_full(session, ask->bytes)) {
        request_refuse(exchange, ask, value, CODE_OVERLOADED);
        return;
    }
    struct failure failure = {0};
    switch (method_prepare(value, &ask->request, &ask->call, &failure)) {
    case PREPARED_CALL:
        if (!atomic_load(&session->worker->draining)) {
            request_submit(exchange, ask);
            return; /* the ask is on its way, or answered and gone */
        }
        reply_code(exchange, &ask->request, CODE_SHUTTING_DOWN);
        break;
    case PREPARED_FAILURE:
        render_failure(&ask->request, &failure, reply_begin(session));
        refused_count(session, failure.code);
        reply_end(exchange);
        break;
    case PREPARED_IMMEDIATE:
        render_immediate(&ask->request, &options->backend, reply_begin(session));
        if (reply_fits(exchange)) {
            reply_end(exchange);
        } else {
            reply_code(exchange, &ask->request, CODE_OVERLOADED);
        }
        break;
    case PREPARED_NOTIFICATION:
        metric_add(options->metrics, METRIC_NOTIFICATIONS, 1);
        break;
    }
    ask_close(ask);
}

/*
 * While the node takes nothing more to execute, such a request costs it a glance: without a tree,
 * without memory. What is refused so is not checked any further.
 */
static bool refused_at_a_glance(struct session *session, struct text text)
{
    const struct gateway_backend *backend = &session->worker->options->backend;
    if (backend->busy == NULL || !backend->busy(backend->data)) {
        return false;
    }
    struct rpc_request request = {.id = {.kind = REQUEST_ID_NULL}};
    struct text name;
    if (!glance(text, &request.id, &name) || !method_find(name, &request.method) ||
        !method_executes(request.method)) {
        return false;
    }
    metric_add(session->worker->options->metrics, METRIC_REQUESTS, 1);
    refused_count(session, CODE_OVERLOADED);
    session->worker->overloaded = true;
    struct buffer *reply = reply_begin(session);
    render_code(&request, CODE_OVERLOADED, REQUEST_RETRY_AFTER_MS, reply);
    if (reply->failed) {
        session_end(session, WEBSOCKET_INTERNAL, "out of memory");
    } else {
        session_reply(session,
                      (struct text){.data = (const char *)reply->data, .size = reply->size});
    }
    return true;
}

void exchange_begin(struct session *session, struct text text)
{
    if (refused_at_a_glance(session, text)) {
        return;
    }
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        session_end(session, WEBSOCKET_INTERNAL, "out of memory");
        return;
    }
    exchange->session = session;
    buffer_init(&exchange->replies, SESSION_WRITE_BYTES_MAX);
    list_push(&session->exchanges, &exchange->node);

    struct message message = {0};
    struct failure failure = {0};
    const enum code code = message_read(session->worker->reader, text, &message, &failure);
    if (code != CODE_OK) {
        render_failure(NULL, &failure, reply_begin(session));
        refused_count(session, code);
        reply_end(exchange);
        exchange_settle(exchange);
        return;
    }
    exchange->is_array = message.is_array;
    exchange->reading = true;
    for (const struct value *value = message.first; value != NULL;
         value = message_next(&message, value)) {
        request_begin(exchange, value);
    }
    exchange->reading = false;
    exchange_settle(exchange);
}
