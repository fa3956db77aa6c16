/*
 * The paths of the client port. Anything that could pay checks where it was started from: a web
 * page of another host may neither open the WebSocket nor post (DESIGN.md, section 7).
 */
#include "gateway/route.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/process.h"
#include "gateway/render.h"
#include "ledger/outcome.h"

#include <stdio.h>
#include <string.h>

enum { METRICS_BYTES_MAX = 4 * 1024 * 1024 };

#define TEXT_PLAIN "text/plain; charset=utf-8"

static void respond_text(struct session *session, uint16_t status, struct text text)
{
    struct http_response response = {.status = status, .content_type = TEXT_PLAIN, .body = text};
    session_respond(session, &response);
}

static enum route_action answer(struct session *session, uint16_t status, const char *text)
{
    respond_text(session, status, text_of(text));
    return ROUTE_ANSWERED;
}

/* Whether the page that started this request, if one did, may. */
static bool origin_allowed(const struct session *session, const struct http_message *request)
{
    const struct gateway_options *options = session->worker->options;
    if (request->origin.data == NULL) {
        return true; /* not a browser */
    }
    if (http_origin_matches_host(request->origin, request->host)) {
        return true;
    }
    for (uint32_t i = 0; i < options->origins_count; i++) {
        if (http_text_equal(request->origin, options->origins[i])) {
            return true;
        }
    }
    return false;
}

static enum route_action route_upgrade(struct session *session, const struct http_message *request)
{
    if (!origin_allowed(session, request)) {
        return answer(session, 403, "this origin is not allowed\n");
    }
    const uint16_t status = websocket_check_request(request);
    if (status != 101) {
        return answer(session, status,
                      "this is a WebSocket, version 13, for payledger.v1; or POST a request\n");
    }
    if (atomic_load(&session->worker->draining)) {
        return answer(session, 503, "the node is stopping\n");
    }
    return ROUTE_UPGRADE;
}

static enum route_action route_post(struct session *session, const struct http_message *request)
{
    if (!origin_allowed(session, request)) {
        return answer(session, 403, "this origin is not allowed\n");
    }
    if (!http_media_type_is(request->content_type, "application/json")) {
        return answer(session, 415, "the content type must be application/json\n");
    }
    return ROUTE_MESSAGE;
}

/*
 * What is known of each currency. The amounts themselves stay away: Prometheus reads every value as
 * a double, and no amount passes through one. Whether debits equal credits is exact.
 */
static void render_currencies(struct ledger *ledger, struct buffer *out)
{
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    const struct query query = {.kind = QUERY_TOTALS};
    struct answer_head head = {0};
    const enum status status = ledger_scan(ledger, &query, &answer);
    struct reader reader = reader_of(answer.data, answer.size);
    if (status != STATUS_OK || answer_head_read(&reader, &head) != STATUS_OK) {
        log_warn("gateway", "metrics without currencies status=%s", status_name(status));
        buffer_deinit(&answer);
        return;
    }
    const struct reader rows = reader;
    struct currency_view view = {0};
    write_format(out, "# HELP payledger_currency_balanced 1 while the sum of debits equals the sum "
                      "of credits, posted and held\n# TYPE payledger_currency_balanced gauge\n");
    for (uint32_t i = 0; i < head.count && currency_view_read(&reader, &view) == STATUS_OK; i++) {
        const bool balanced =
            view.debits_posted == view.credits_posted && view.debits_held == view.credits_held;
        write_format(out, "payledger_currency_balanced{currency=\"%.*s\"} %d\n",
                     (int)view.code.size, view.code.data, balanced ? 1 : 0);
    }
    reader = rows;
    write_format(out, "# HELP payledger_currency_accounts Accounts in this currency\n"
                      "# TYPE payledger_currency_accounts gauge\n");
    for (uint32_t i = 0; i < head.count && currency_view_read(&reader, &view) == STATUS_OK; i++) {
        write_format(out, "payledger_currency_accounts{currency=\"%.*s\"} %llu\n",
                     (int)view.code.size, view.code.data, (unsigned long long)view.accounts_count);
    }
    buffer_deinit(&answer);
}

static enum route_action route_metrics(struct session *session)
{
    const struct gateway_options *options = session->worker->options;
    struct buffer text;
    buffer_init(&text, METRICS_BYTES_MAX);
    metrics_render(options->metrics, &text);
    process_render(&text);
    if (options->ledger != NULL) {
        render_currencies(options->ledger, &text);
    }
    if (text.failed) {
        buffer_deinit(&text);
        return answer(session, 503, "out of memory\n");
    }
    struct http_response response = {
        .status = 200,
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
        .body = {.data = (const char *)text.data, .size = text.size},
    };
    session_respond(session, &response);
    buffer_deinit(&text);
    return ROUTE_ANSWERED;
}

static enum route_action route_ready(struct session *session)
{
    const struct gateway_backend *backend = &session->worker->options->backend;
    struct cluster_status status = {0};
    backend->status(backend->data, &status);
    if (atomic_load(&session->worker->draining)) {
        return answer(session, 503, "not ready: the node is stopping\n");
    }
    if (status.ready) {
        return answer(session, 200, "ready\n");
    }
    char text[sizeof status.ready_reason + 16];
    const int size = snprintf(text, sizeof text, "not ready: %.*s\n",
                              (int)sizeof status.ready_reason - 1, status.ready_reason);
    assert(size > 0 && (size_t)size < sizeof text);
    return answer(session, 503, text);
}

static enum route_action route_page(struct session *session)
{
    struct http_response response = {
        .status = 200,
        .content_type = "text/html; charset=utf-8",
        .content_security_policy = session->worker->page_policy,
        .body = page_text(),
    };
    session_respond(session, &response);
    return ROUTE_ANSWERED;
}

static enum route_action not_allowed(struct session *session, const char *allow)
{
    struct http_response response = {
        .status = 405,
        .content_type = TEXT_PLAIN,
        .allow = allow,
        .body = TEXT("this path does not know the method\n"),
    };
    session_respond(session, &response);
    return ROUTE_ANSWERED;
}

enum route_action route(struct session *session, const struct http_message *request)
{
    assert(request->method.data != NULL && request->path.data != NULL);
    const bool get = text_equal(request->method, TEXT("GET"));
    const bool look = get || text_equal(request->method, TEXT("HEAD"));
    const struct text path = request->path;
    if (text_equal(path, TEXT("/v1"))) {
        if (get) {
            return route_upgrade(session, request);
        }
        if (text_equal(request->method, TEXT("POST"))) {
            return route_post(session, request);
        }
        return not_allowed(session, "GET, POST");
    }
    /* Someone who means to pay must not take the page for an answer. */
    if (http_list_has(request->upgrade, "websocket") &&
        http_list_has(request->connection, "upgrade")) {
        return answer(session, 404, "there is no WebSocket here: it is at /v1\n");
    }
    if (text_equal(path, TEXT("/metrics"))) {
        return look ? route_metrics(session) : not_allowed(session, "GET, HEAD");
    }
    if (text_equal(path, TEXT("/livez"))) {
        return look ? answer(session, 200, "ok\n") : not_allowed(session, "GET, HEAD");
    }
    if (text_equal(path, TEXT("/readyz"))) {
        return look ? route_ready(session) : not_allowed(session, "GET, HEAD");
    }
    if (text_equal(path, TEXT("/"))) {
        return look ? route_page(session) : not_allowed(session, "GET, HEAD");
    }
    return answer(session, 404, "there is no such path\n");
}
