#include "tests/support/scripted_node.h"

#include "gateway/websocket.h"
#include "tests/support/check.h"

#include <string.h>

static void write_result(const char *id, bool replayed, uint32_t seq, struct buffer *out)
{
    write_format(out,
                 "{\"id\":\"%.36s\",\"status\":\"posted\",\"seq\":%u,\"term\":1,"
                 "\"time\":\"2026-11-23T13:00:00Z\",\"replayed\":%s,\"balances\":[]}",
                 id, seq, replayed ? "true" : "false");
}

static void write_error(const char *code, bool retryable, bool recorded, struct buffer *out)
{
    const char *known = strcmp(code, "unknown") == 0 ? "null" : recorded ? "true" : "false";
    write_format(out,
                 "{\"code\":-32000,\"message\":\"so it is\",\"data\":{\"code\":\"%s\","
                 "\"retryable\":%s,\"recorded\":%s,\"retry_after_ms\":%d}}",
                 code, retryable ? "true" : "false", known, SCRIPT_RETRY_AFTER_MS);
}

/* The results of all payments of a request; seqs count from 1. */
static void write_results(const char *request, char step, struct buffer *out)
{
    const bool batch = strstr(request, "payment.batch") != NULL;
    uint32_t seq = 0;
    write_format(out, batch ? "\"result\":{\"results\":[" : "\"result\":");
    for (const char *at = strstr(request, "{\"id\":\""); at != NULL;) {
        const char *next = strstr(at + 1, "{\"id\":\"");
        seq += 1;
        write_format(out, "%s%s", seq > 1 ? "," : "", batch ? "{" : "");
        if ((step == 'm' || step == 'v') && next == NULL) {
            write_format(out, "\"error\":");
            write_error(step == 'm' ? "insufficient_funds" : "internal", false, step == 'm', out);
        } else {
            write_format(out, batch ? "\"result\":" : "");
            write_result(step == 'i' ? "0198d2c4-a0f0-7c3e-9b1f-5a1122334455" : at + 7, step == 'r',
                         seq, out);
        }
        write_format(out, batch ? "}" : "");
        at = next;
    }
    write_format(out, batch ? "]}" : "");
}

static void write_answer(const char *request, char step, struct buffer *out)
{
    const char *slot = strstr(request, "\"id\":");
    assert_non_null(slot);
    const int number = (int)strtol(slot + 5, NULL, 10) + (step == 's' ? 1 : 0);
    write_format(out, "{\"jsonrpc\":\"2.0\",\"id\":%d,", number);
    switch (step) {
    case 'a':
        write_format(out, "\"result\":{\"id\":\"bench-0000000\"}");
        break;
    case 'e':
    case 'f':
        write_format(out, "\"error\":");
        write_error(step == 'e' ? "not_found" : "account_closed", false, step == 'f', out);
        break;
    case 'x':
        write_format(out, "\"error\":");
        write_error("internal", false, false, out);
        break;
    case 'o':
    case 'u':
        write_format(out, "\"error\":");
        write_error(step == 'o' ? "overloaded" : "unknown", true, false, out);
        break;
    default:
        write_results(request, step, out);
    }
    write_format(out, "}");
    if (step == 'g') {
        buffer_truncate(out, out->size - 10);
    }
}

/* False: the connection ends. */
static bool step_take(struct script *script, struct text message, struct websocket *websocket,
                      int fd)
{
    struct buffer answer;
    struct buffer frames;
    const uint32_t at = atomic_load(&script->count);
    const char step = at < strlen(script->steps) ? script->steps[at] : 'p';
    assert_true(at < SCRIPT_REQUESTS_MAX && message.size < SCRIPT_REQUEST_BYTES);
    memcpy(script->requests[at], message.data, message.size);
    script->requests[at][message.size] = '\0';
    atomic_store(&script->count, at + 1);
    buffer_init(&answer, 65536);
    buffer_init(&frames, 65536);
    if (step != 'n' && step != 'c') {
        write_answer(script->requests[at], step, &answer);
        const struct text text = {(const char *)answer.data, answer.size};
        websocket_write_text(websocket, text, &frames);
        if (step == 't') {
            websocket_write_text(websocket, text, &frames);
        }
        listener_write(fd, frames.data, frames.size);
    }
    buffer_deinit(&answer);
    buffer_deinit(&frames);
    return step != 'c';
}

static void serve_messages(struct listener *listener, struct websocket *websocket, int fd)
{
    struct buffer out;
    bool open = true;
    buffer_init(&out, 65536);
    while (open && listener_read(listener, fd)) {
        size_t at = 0;
        while (open && at < listener->input.size) {
            size_t taken = 0;
            const enum status status = websocket_feed(websocket, listener->input.data + at,
                                                      listener->input.size - at, &taken, &out);
            at += taken;
            open = status == STATUS_AGAIN ||
                   (status == STATUS_OK &&
                    step_take(listener->data, websocket_message(websocket), websocket, fd));
        }
        buffer_clear(&listener->input);
        listener_write(fd, out.data, out.size);
        buffer_clear(&out);
    }
    buffer_deinit(&out);
}

void script_serve(struct listener *listener, int fd)
{
    struct http *http = NULL;
    struct websocket *websocket = NULL;
    struct buffer out;
    size_t taken = 0;
    buffer_init(&out, 4096);
    if (listener_read_head(listener, fd)) {
        check_ok(http_open(&http, HTTP_SIDE_SERVER));
        check_ok(http_feed(http, listener->input.data, listener->input.size, &taken));
        websocket_accept_write(http_message(http), &out);
        listener_write(fd, out.data, out.size);
        buffer_clear(&listener->input);
        check_ok(websocket_open(&websocket, WEBSOCKET_SIDE_SERVER, 65536));
        serve_messages(listener, websocket, fd);
    }
    websocket_close(websocket);
    http_close(http);
    buffer_deinit(&out);
}

const char *script_request(const struct script *script, uint32_t number)
{
    assert_true(number < atomic_load(&script->count));
    return script->requests[number];
}
