/*
 * Outcomes as JSON: currency.create, account.open, payment.create, payment.batch.
 */
#include "base/check.h"
#include "gateway/method_table.h"
#include "gateway/render_parts.h"

#include <stdio.h>

/* "items[8191]." */
enum { PREFIX_BYTES = 24 };

static struct position_shown position_of(const struct outcome *outcome)
{
    return (struct position_shown){
        .seq = outcome->seq, .term = outcome->term, .time_ns = outcome->time_ns};
}

static struct position_shown state_of(const struct call *call)
{
    return (struct position_shown){.seq = call->seq, .term = call->term, .time_ns = call->time_ns};
}

void balances_write(struct json_writer *writer, const struct outcome *outcome)
{
    json_key(writer, "balances");
    json_array_open(writer);
    for (uint32_t i = 0; i < outcome->rows_count; i++) {
        const struct outcome_row *row = &outcome->rows[i];
        json_object_open(writer);
        json_field_text(writer, "account", row->account);
        json_field_i128(writer, "posted", row->posted);
        if (row->has_rest) {
            json_field_u128(writer, "held", row->held);
            json_key(writer, "available");
            if (row->unlimited) {
                json_null(writer);
            } else {
                json_i128(writer, row->available);
            }
        }
        json_object_close(writer);
    }
    json_array_close(writer);
}

static void payment_result_write(struct json_writer *writer, const struct outcome *outcome)
{
    char id[UUID_TEXT_BYTES];
    uuid_format(&outcome->id, id);
    struct position_shown position = position_of(outcome);
    json_object_open(writer);
    json_field_string(writer, "id", id);
    json_field_string(writer, "status", "posted");
    position_write(writer, &position);
    json_field_boolean(writer, "replayed", outcome->replayed);
    balances_write(writer, outcome);
    json_object_close(writer);
}

static bool account_result_write(struct json_writer *writer, const struct outcome *outcome,
                                 struct reader *reader)
{
    struct account_view view;
    if (account_view_read(reader, &view) != STATUS_OK) {
        return false;
    }
    struct position_shown position = position_of(outcome);
    json_object_open(writer);
    account_write(writer, &view);
    position_write(writer, &position);
    json_field_boolean(writer, "replayed", outcome->replayed);
    json_object_close(writer);
    return true;
}

static bool currency_result_write(struct json_writer *writer, const struct outcome *outcome,
                                  struct reader *reader)
{
    struct currency_view view;
    if (currency_view_read(reader, &view) != STATUS_OK) {
        return false;
    }
    struct position_shown position = position_of(outcome);
    json_object_open(writer);
    json_field_text(writer, "code", view.code);
    json_field_unsigned(writer, "scale", view.scale);
    position_write(writer, &position);
    json_field_boolean(writer, "replayed", outcome->replayed);
    json_object_close(writer);
    return true;
}

/* "result":... or "error":... of the next outcome in the bytes. */
static bool outcome_field_write(struct json_writer *writer, struct reader *reader,
                                const char *prefix, const struct position_shown *state,
                                bool *is_error)
{
    struct outcome outcome;
    if (outcome_read(reader, &outcome) != STATUS_OK) {
        return false;
    }
    *is_error = outcome.code != CODE_OK;
    if (*is_error) {
        if (code_info(outcome.code) == NULL) {
            return false;
        }
        outcome_error_write(writer, &outcome, prefix, state);
        return true;
    }
    json_key(writer, "result");
    switch (outcome.kind) {
    case COMMAND_PAYMENT:
        payment_result_write(writer, &outcome);
        return true;
    case COMMAND_ACCOUNT_OPEN:
        return account_result_write(writer, &outcome, reader);
    case COMMAND_CURRENCY_CREATE:
        return currency_result_write(writer, &outcome, reader);
    }
    return false;
}

static void refused_write(struct json_writer *writer, const struct refused_item *item)
{
    struct error_shown error = {.code = item->code, .message = item->message, .param = item->param};
    error_write(writer, &error);
}

bool batch_write(struct json_writer *writer, const struct rpc_request *request,
                 const struct call *call)
{
    struct reader outcomes = reader_of(call->answer.data, call->answer.size);
    struct reader refused = reader_of(request->refused.data, request->refused.size);
    struct position_shown state = state_of(call);
    struct refused_item next;
    bool has_next = refused_item_read(&refused, &next);
    json_object_open(writer);
    json_key(writer, "results");
    json_array_open(writer);
    for (uint32_t i = 0; i < request->items_count; i++) {
        json_object_open(writer);
        if (has_next && next.index == i) {
            refused_write(writer, &next);
            has_next = refused_item_read(&refused, &next);
        } else {
            char prefix[PREFIX_BYTES];
            bool is_error = false;
            (void)snprintf(prefix, sizeof prefix, "items[%u].", (unsigned)i);
            if (!outcome_field_write(writer, &outcomes, prefix, &state, &is_error)) {
                return false;
            }
        }
        json_object_close(writer);
    }
    json_array_close(writer);
    if (state.seq != 0) {
        position_write(writer, &state);
    }
    json_object_close(writer);
    return reader_left(&outcomes) == 0;
}

bool execute_write(const struct rpc_request *request, const struct call *call, struct buffer *out,
                   bool *is_error)
{
    struct json_writer writer = reply_begin(request, out);
    if (request->method == METHOD_PAYMENT_BATCH) {
        json_key(&writer, "result");
        if (!batch_write(&writer, request, call)) {
            return false;
        }
        *is_error = false;
    } else {
        struct reader reader = reader_of(call->answer.data, call->answer.size);
        struct position_shown state = state_of(call);
        if (!outcome_field_write(&writer, &reader, "", &state, is_error) ||
            reader_left(&reader) != 0) {
            return false;
        }
    }
    reply_end(&writer);
    return true;
}
