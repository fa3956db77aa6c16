/*
 * Replies: the envelope, errors, and which file writes the rest.
 */
#include "gateway/render.h"

#include "base/check.h"
#include "gateway/method_table.h"
#include "gateway/render_parts.h"

#include <stdio.h>

/* JSON-RPC classes of refusals that rest on the ledger's state without a seq of their own. */
enum { CLASS_CONFLICT = -32011, CLASS_NOT_FOUND = -32012 };

struct json_writer reply_begin(const struct rpc_request *request, struct buffer *out)
{
    struct json_writer writer = json_writer_of(out);
    json_object_open(&writer);
    json_field_string(&writer, "jsonrpc", "2.0");
    json_key(&writer, "id");
    if (request == NULL) {
        json_null(&writer);
    } else {
        json_request_id(&writer, &request->id);
    }
    return writer;
}

void reply_end(struct json_writer *writer)
{
    json_object_close(writer);
}

void position_write(struct json_writer *writer, const struct position_shown *position)
{
    json_field_unsigned(writer, "seq", position->seq);
    json_field_unsigned(writer, "term", position->term);
    json_field_time(writer, "time", position->time_ns);
}

void error_write(struct json_writer *writer, const struct error_shown *error)
{
    const struct code_info *info = code_info(error->code);
    assert(info != NULL);
    json_key(writer, "error");
    json_object_open(writer);
    json_field_signed(writer, "code", info->rpc_number);
    if (error->message.size > 0) {
        json_field_text(writer, "message", error->message);
    } else {
        json_field_string(writer, "message", info->text);
    }
    json_key(writer, "data");
    json_object_open(writer);
    json_field_string(writer, "code", info->name);
    if (error->param.size > 0) {
        json_field_text(writer, "param", error->param);
    }
    json_field_boolean(writer, "retryable", info->retryable == YES);
    json_key(writer, "recorded");
    if (info->recorded == UNSURE) {
        json_null(writer);
    } else {
        json_boolean(writer, info->recorded == YES);
    }
    if (error->account.size > 0) {
        json_field_text(writer, "account", error->account);
        json_field_text(writer, "currency", error->currency);
        json_field_i128(writer, "available", error->available);
        json_field_u128(writer, "needed", error->needed);
    }
    if (error->has_position) {
        position_write(writer, &error->position);
    }
    if (error->has_replayed) {
        json_field_boolean(writer, "replayed", error->replayed);
    }
    if (error->retry_after_ms > 0) {
        json_field_unsigned(writer, "retry_after_ms", error->retry_after_ms);
    }
    json_object_close(writer);
    json_object_close(writer);
}

void error_reply(const struct rpc_request *request, const struct error_shown *error,
                 struct buffer *out)
{
    struct json_writer writer = reply_begin(request, out);
    error_write(&writer, error);
    reply_end(&writer);
}

void outcome_error_write(struct json_writer *writer, const struct outcome *outcome,
                         const char *prefix, const struct position_shown *state)
{
    const struct code_info *info = code_info(outcome->code);
    assert(info != NULL);
    struct buffer message;
    struct buffer param;
    buffer_init(&message, FAILURE_MESSAGE_BYTES_MAX);
    buffer_init(&param, FAILURE_PARAM_BYTES_MAX);
    outcome_message(outcome, &message);
    outcome_path(outcome, prefix, &param);
    struct error_shown error = {
        .code = outcome->code,
        .message = {.data = (const char *)message.data, .size = message.size},
        .param = {.data = (const char *)param.data, .size = param.size},
    };
    if (outcome->code == CODE_INSUFFICIENT_FUNDS) {
        error.account = outcome->subject;
        error.currency = outcome->currency;
        error.available = outcome->available;
        error.needed = outcome->needed;
    }
    if (outcome->seq != 0) {
        error.has_position = true;
        error.position = (struct position_shown){
            .seq = outcome->seq, .term = outcome->term, .time_ns = outcome->time_ns};
        error.has_replayed = true;
        error.replayed = outcome->replayed;
    } else if (info->rpc_number == CLASS_CONFLICT || info->rpc_number == CLASS_NOT_FOUND) {
        error.has_position = state->seq != 0;
        error.position = *state;
    }
    error_write(writer, &error);
    buffer_deinit(&message);
    buffer_deinit(&param);
}

void render_failure(const struct rpc_request *request, const struct failure *failure,
                    struct buffer *out)
{
    struct error_shown error = {.code = failure->code,
                                .message = text_of(failure->message),
                                .param = text_of(failure->param)};
    if (failure->code == CODE_OVERLOADED) {
        error.retry_after_ms = REQUEST_RETRY_AFTER_MS;
    }
    error_reply(request, &error, out);
}

void render_code(const struct rpc_request *request, enum code code, uint32_t retry_after_ms,
                 struct buffer *out)
{
    struct error_shown error = {.code = code, .retry_after_ms = retry_after_ms};
    if (code == CODE_OVERLOADED && retry_after_ms == 0) {
        error.retry_after_ms = REQUEST_RETRY_AFTER_MS;
    }
    if (code == CODE_BATCH_TOO_LARGE) {
        error.param = TEXT("items");
    }
    error_reply(request, &error, out);
}

static void batch_refused_write(struct json_writer *writer, const struct rpc_request *request)
{
    const struct call nothing = {.code = CODE_OK};
    assert(request->refused_count == request->items_count);
    bool whole = batch_write(writer, request, &nothing);
    assert(whole);
    (void)whole;
}

void render_immediate(const struct rpc_request *request, const struct gateway_backend *backend,
                      struct buffer *out)
{
    assert(request->has_method);
    struct json_writer writer = reply_begin(request, out);
    json_key(&writer, "result");
    if (request->method == METHOD_CLUSTER_STATUS) {
        struct cluster_status status = {.leader = 0};
        backend->status(backend->data, &status);
        status_write(&writer, &status);
    } else if (request->method == METHOD_RPC_DISCOVER) {
        discover_write(&writer);
    } else {
        assert(request->method == METHOD_PAYMENT_BATCH);
        batch_refused_write(&writer, request);
    }
    reply_end(&writer);
}

bool render_answer(const struct rpc_request *request, const struct call *call, struct buffer *out)
{
    assert(request->has_method);
    if (call->code != CODE_OK) {
        render_code(request, call->code, call->retry_after_ms, out);
        return false;
    }
    size_t start = out->size;
    bool is_error = false;
    bool executes = call->kind == CALL_EXECUTE;
    if (executes ? execute_write(request, call, out, &is_error)
                 : read_write(request, call, out, &is_error)) {
        return !is_error;
    }
    /* Damaged bytes. What was executed may stand in the ledger: nobody may say that it does not. */
    buffer_truncate(out, start);
    render_code(request, executes ? CODE_UNKNOWN : CODE_INTERNAL, 0, out);
    return false;
}
