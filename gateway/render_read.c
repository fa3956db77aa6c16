/*
 * Answers of queries as JSON. Each says the seq, term and time of the state that was read;
 * payment.get gives the payment's own.
 */
#include "base/check.h"
#include "gateway/method_table.h"
#include "gateway/render_parts.h"
#include "ledger/query.h"

static struct position_shown position_of(const struct answer_head *head)
{
    return (struct position_shown){.seq = head->seq, .term = head->term, .time_ns = head->time_ns};
}

static void digest_write(struct json_writer *writer, const struct digest *digest)
{
    char text[DIGEST_HEX_BYTES];
    digest_format(digest, text);
    json_field_string(writer, "digest", text);
}

void account_write(struct json_writer *writer, const struct account_view *view)
{
    bool unlimited = view->overdraft_kind == OVERDRAFT_UNLIMITED;
    json_field_text(writer, "id", view->id);
    json_field_text(writer, "currency", view->currency);
    json_field_unsigned(writer, "scale", view->scale);
    json_field_string(writer, "normal", view->debit_normal ? "debit" : "credit");
    json_key(writer, "overdraft");
    if (unlimited) {
        json_string(writer, "unlimited");
    } else {
        json_u128(writer, view->overdraft_limit);
    }
    json_field_i128(writer, "posted", view->posted);
    json_field_u128(writer, "held", view->held);
    json_key(writer, "available");
    if (unlimited) {
        json_null(writer);
    } else {
        json_i128(writer, view->available);
    }
    json_field_u128(writer, "debits_posted", view->debits_posted);
    json_field_u128(writer, "credits_posted", view->credits_posted);
    json_field_u128(writer, "debits_held", view->debits_held);
    json_field_u128(writer, "credits_held", view->credits_held);
    json_field_unsigned(writer, "entries", view->entries);
    json_field_unsigned(writer, "opened_seq", view->seq);
    json_field_time(writer, "opened_at", view->time_ns);
}

static void currency_write(struct json_writer *writer, const struct currency_view *view)
{
    json_object_open(writer);
    json_field_text(writer, "code", view->code);
    json_field_unsigned(writer, "scale", view->scale);
    json_field_unsigned(writer, "accounts", view->accounts_count);
    json_field_unsigned(writer, "created_seq", view->seq);
    json_field_time(writer, "created_at", view->time_ns);
    json_object_close(writer);
}

static void total_write(struct json_writer *writer, const struct currency_view *view)
{
    json_object_open(writer);
    json_field_text(writer, "currency", view->code);
    json_field_unsigned(writer, "scale", view->scale);
    json_field_u128(writer, "debits_posted", view->debits_posted);
    json_field_u128(writer, "credits_posted", view->credits_posted);
    json_field_u128(writer, "debits_held", view->debits_held);
    json_field_u128(writer, "credits_held", view->credits_held);
    json_field_unsigned(writer, "accounts", view->accounts_count);
    json_object_close(writer);
}

static void legs_write(struct json_writer *writer, const struct payment_view *view)
{
    json_key(writer, "legs");
    json_array_open(writer);
    for (uint32_t i = 0; i < view->legs_count; i++) {
        const struct payment_view_leg *leg = &view->legs[i];
        json_object_open(writer);
        json_field_text(writer, "debit", leg->debit);
        json_field_text(writer, "credit", leg->credit);
        json_field_u128(writer, "amount", leg->amount);
        if (leg->currency.size > 0) {
            json_field_text(writer, "currency", leg->currency);
        }
        if (leg->has_entries) {
            json_field_i128(writer, "debit_balance", leg->debit_balance);
            json_field_i128(writer, "credit_balance", leg->credit_balance);
            json_field_unsigned(writer, "debit_entry", leg->debit_entry);
            json_field_unsigned(writer, "credit_entry", leg->credit_entry);
        }
        json_object_close(writer);
    }
    json_array_close(writer);
}

static void payment_write(struct json_writer *writer, const struct payment_view *view)
{
    const struct outcome *outcome = &view->outcome;
    struct position_shown position = {
        .seq = outcome->seq, .term = outcome->term, .time_ns = outcome->time_ns};
    char id[UUID_TEXT_BYTES];
    uuid_format(&outcome->id, id);
    json_object_open(writer);
    json_field_string(writer, "id", id);
    json_field_string(writer, "status", outcome->code == CODE_OK ? "posted" : "refused");
    position_write(writer, &position);
    legs_write(writer, view);
    if (outcome->code == CODE_OK) {
        balances_write(writer, outcome);
    } else {
        outcome_error_write(writer, outcome, "", &position);
    }
    if (view->has_valid_until) {
        json_field_time(writer, "valid_until", view->valid_until_ns);
    }
    if (view->has_effective_at) {
        json_field_time(writer, "effective_at", view->effective_at_ns);
    }
    if (view->has_reference) {
        json_field_text(writer, "reference", view->reference);
    }
    if (view->has_metadata && view->metadata.size > 0) {
        json_key(writer, "metadata");
        json_raw(writer, view->metadata);
    }
    json_object_close(writer);
}

/* ---- one view as a value; false on damage --------------------------------------------------- */

static bool account_view_show(struct json_writer *writer, struct reader *reader)
{
    struct account_view view;
    if (account_view_read(reader, &view) != STATUS_OK) {
        return false;
    }
    json_object_open(writer);
    account_write(writer, &view);
    json_object_close(writer);
    return true;
}

static bool payment_view_show(struct json_writer *writer, struct reader *reader)
{
    struct payment_view view;
    if (payment_view_read(reader, &view) != STATUS_OK) {
        return false;
    }
    if (view.outcome.code != CODE_OK && code_info(view.outcome.code) == NULL) {
        return false;
    }
    payment_write(writer, &view);
    return true;
}

static bool currency_view_show(struct json_writer *writer, struct reader *reader)
{
    struct currency_view view;
    if (currency_view_read(reader, &view) != STATUS_OK) {
        return false;
    }
    currency_write(writer, &view);
    return true;
}

static bool total_view_show(struct json_writer *writer, struct reader *reader)
{
    struct currency_view view;
    if (currency_view_read(reader, &view) != STATUS_OK) {
        return false;
    }
    total_write(writer, &view);
    return true;
}

/* ---- results -------------------------------------------------------------------------------- */

static bool array_write(struct json_writer *writer, const char *key, const struct answer_head *head,
                        struct reader *reader,
                        bool (*show)(struct json_writer *writer, struct reader *reader))
{
    json_key(writer, key);
    json_array_open(writer);
    for (uint32_t i = 0; i < head->count; i++) {
        if (!show(writer, reader)) {
            return false;
        }
    }
    json_array_close(writer);
    return true;
}

static void cursor_write(struct json_writer *writer, const struct answer_head *head)
{
    json_key(writer, "cursor");
    if (head->cursor == 0) {
        json_null(writer);
    } else {
        json_u128(writer, head->cursor);
    }
}

static bool account_get_write(struct json_writer *writer, const struct answer_head *head,
                              struct reader *reader)
{
    struct account_view view;
    struct position_shown position = position_of(head);
    if (head->count != 1 || account_view_read(reader, &view) != STATUS_OK) {
        return false;
    }
    json_object_open(writer);
    account_write(writer, &view);
    position_write(writer, &position);
    json_object_close(writer);
    return true;
}

static void info_write(struct json_writer *writer, const struct answer_head *head, bool counts)
{
    struct position_shown position = position_of(head);
    json_object_open(writer);
    if (counts) {
        json_field_unsigned(writer, "accounts", head->accounts_count);
        json_field_unsigned(writer, "payments", head->payments_count);
        json_field_unsigned(writer, "currencies", head->currencies_count);
    }
    digest_write(writer, &head->digest);
    position_write(writer, &position);
    json_object_close(writer);
}

static bool list_write(struct json_writer *writer, enum query_kind kind,
                       const struct answer_head *head, struct reader *reader)
{
    struct position_shown position = position_of(head);
    bool whole = false;
    json_object_open(writer);
    if (kind == QUERY_ACCOUNT_LIST) {
        whole = array_write(writer, "accounts", head, reader, account_view_show);
    } else if (kind == QUERY_CURRENCY_LIST) {
        whole = array_write(writer, "currencies", head, reader, currency_view_show);
    } else if (kind == QUERY_PAYMENT_LIST) {
        whole = array_write(writer, "payments", head, reader, payment_view_show);
    } else {
        whole = array_write(writer, "totals", head, reader, total_view_show);
    }
    if (kind != QUERY_TOTALS) {
        cursor_write(writer, head);
    }
    position_write(writer, &position);
    json_object_close(writer);
    return whole;
}

static bool result_write(struct json_writer *writer, enum query_kind kind,
                         const struct answer_head *head, struct reader *reader)
{
    switch (kind) {
    case QUERY_ACCOUNT_GET:
        return account_get_write(writer, head, reader);
    case QUERY_PAYMENT_GET:
        return head->count == 1 && payment_view_show(writer, reader);
    case QUERY_INFO:
    case QUERY_DIGEST:
        info_write(writer, head, kind == QUERY_INFO);
        return true;
    case QUERY_TOTALS:
    case QUERY_ACCOUNT_LIST:
    case QUERY_CURRENCY_LIST:
    case QUERY_PAYMENT_LIST:
        return list_write(writer, kind, head, reader);
    }
    return false;
}

/* The field that a refused query was about. */
static struct text refused_param(enum code code, enum query_kind kind)
{
    if (code == CODE_CURSOR_INVALID) {
        return TEXT("cursor");
    }
    return kind == QUERY_PAYMENT_LIST ? TEXT("account") : TEXT("id");
}

/* The object that is not there, by its id: "there is no such account: bob". */
static void absent_message(const struct query *query, struct buffer *out)
{
    if (query->kind == QUERY_PAYMENT_GET) {
        char id[UUID_TEXT_BYTES];
        uuid_format(&query->id, id);
        write_format(out, "there is no such payment: %s", id);
    } else if (query->account_size > 0) {
        write_format(out, "there is no such account: %.*s", (int)query->account_size,
                     query->account);
    }
}

bool read_write(const struct rpc_request *request, const struct call *call, struct buffer *out,
                bool *is_error)
{
    assert(call->kind != CALL_EXECUTE);
    struct reader reader = reader_of(call->answer.data, call->answer.size);
    struct answer_head head;
    if (answer_head_read(&reader, &head) != STATUS_OK) {
        return false;
    }
    *is_error = head.code != CODE_OK;
    if (*is_error) {
        if (code_info(head.code) == NULL) {
            return false;
        }
        struct error_shown error = {.code = head.code,
                                    .param = refused_param(head.code, call->query.kind),
                                    .has_position = head.code == CODE_NOT_FOUND,
                                    .position = position_of(&head)};
        struct buffer message;
        buffer_init(&message, FAILURE_MESSAGE_BYTES_MAX);
        if (head.code == CODE_NOT_FOUND) {
            absent_message(&call->query, &message);
        }
        if (!message.failed) {
            error.message = (struct text){(const char *)message.data, message.size};
        }
        error_reply(request, &error, out);
        buffer_deinit(&message);
        return true;
    }
    struct json_writer writer = reply_begin(request, out);
    json_key(&writer, "result");
    if (!result_write(&writer, call->query.kind, &head, &reader) || reader_left(&reader) != 0) {
        return false;
    }
    reply_end(&writer);
    return true;
}
