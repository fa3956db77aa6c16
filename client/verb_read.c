/* history, totals, status, call: what only reads, or is passed through. */
#include "base/check.h"
#include "client/amount.h"
#include "client/table.h"
#include "client/verbs.h"
#include "ledger/types.h"

#include <string.h>

static struct json_writer params_begin(struct console *console)
{
    buffer_clear(&console->params);
    struct json_writer writer = json_writer_of(&console->params);
    json_object_open(&writer);
    return writer;
}

/* ---- history ------------------------------------------------------------------------------ */

struct history {
    const char *account;
    uint8_t scale;
    bool debit_normal;
    struct table table;
    uint64_t left;
    char cursor[64];
};

static enum client_exit history_account(struct console *console, struct history *history)
{
    struct json_writer writer = params_begin(console);
    json_field_string(&writer, "id", history->account);
    enum client_exit end = console_read_mode(console, &writer);
    json_object_close(&writer);
    struct reply reply;
    if (end == CLIENT_DONE) {
        end = console_call(console, "account.get", &reply);
    }
    if (end == CLIENT_DONE) {
        history->scale = (uint8_t)member_integer(reply.result, "scale");
        history->debit_normal = text_equal(member_text(reply.result, "normal"), TEXT("debit"));
    }
    return end;
}

/* One side of a leg, as the account sees it: what it gained or lost, and what it had then. */
static void history_side(struct history *history, const struct value *payment,
                         const struct value *leg, bool is_debit)
{
    char text[AMOUNT_TEXT_BYTES];
    char change[AMOUNT_TEXT_BYTES + 1];
    const char *sign = is_debit == history->debit_normal ? "+" : "-";
    (void)snprintf(change, sizeof(change), "%s%s", sign,
                   member_amount(leg, "amount", history->scale, text));
    struct text time = member_text(payment, "time");
    time.size = time.size < 19 ? time.size : 19; /* to the second */
    table_cell(&history->table, time);
    table_string(&history->table, change);
    table_string(&history->table, member_amount(leg, is_debit ? "debit_balance" : "credit_balance",
                                                history->scale, text));
    table_cell(&history->table, member_text(leg, is_debit ? "credit" : "debit"));
    (void)snprintf(text, sizeof(text), "%lld",
                   (long long)member_integer(leg, is_debit ? "debit_entry" : "credit_entry"));
    table_string(&history->table, text);
    (void)snprintf(text, sizeof(text), "%lld", (long long)member_integer(payment, "seq"));
    table_string(&history->table, text);
    table_cell(&history->table, member_text(payment, "id"));
    table_cell(&history->table, member_text(payment, "reference"));
}

/* Newest first: of a payment's legs the last comes first, and of a leg its credit. */
static void history_payment(struct history *history, const struct value *payment)
{
    const struct value *legs[LEGS_MAX];
    uint32_t count = 0;
    const struct value *all = member(payment, "legs");
    for (const struct value *leg = all == NULL ? NULL : value_first(all);
         leg != NULL && count < LEGS_MAX; leg = value_next(leg)) {
        legs[count] = leg;
        count += 1;
    }
    const struct text account = text_of(history->account);
    for (uint32_t i = count; i > 0; i--) {
        const struct value *leg = legs[i - 1];
        if (text_equal(member_text(leg, "credit"), account)) {
            history_side(history, payment, leg, false);
        }
        if (text_equal(member_text(leg, "debit"), account)) {
            history_side(history, payment, leg, true);
        }
    }
}

static enum client_exit history_page(struct console *console, struct history *history)
{
    struct json_writer writer = params_begin(console);
    json_field_string(&writer, "account", history->account);
    json_field_unsigned(&writer, "limit",
                        history->left < LIST_ITEMS_MAX ? history->left : LIST_ITEMS_MAX);
    if (history->cursor[0] != '\0') {
        json_field_string(&writer, "cursor", history->cursor);
    }
    enum client_exit end = console_read_mode(console, &writer);
    json_object_close(&writer);
    struct reply reply;
    if (end == CLIENT_DONE) {
        end = console_call(console, "payment.list", &reply);
    }
    if (end != CLIENT_DONE) {
        return end;
    }
    const struct value *rows = member(reply.result, "payments");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        history_payment(history, row);
        history->left -= history->left > 0 ? 1 : 0;
    }
    const struct text next = member_text(reply.result, "cursor");
    (void)snprintf(history->cursor, sizeof(history->cursor), "%.*s", (int)next.size, next.data);
    (void)console_json(console, &reply);
    return CLIENT_DONE;
}

enum client_exit history_run(struct console *console)
{
    char error[ARGS_ERROR_BYTES];
    struct history history = {.account = console->args.words[0]};
    if (!account_id_valid(text_of(history.account))) {
        return console_usage(console, "ACCOUNT %.80s: must be 1-64 of [A-Za-z0-9:._-]",
                             history.account);
    }
    if (args_number(&console->args, "--limit", LIST_ITEMS_DEFAULT, 1, UINT32_MAX, &history.left,
                    error) != STATUS_OK) {
        return console_usage(console, "%s", error);
    }
    enum client_exit end = history_account(console, &history);
    if (end != CLIENT_DONE) {
        return end;
    }
    table_init(&history.table, "time (UTC)|>change|>balance|with|>entry|>seq|id|reference");
    do {
        end = history_page(console, &history);
    } while (end == CLIENT_DONE && history.cursor[0] != '\0' && history.left > 0);
    if (end == CLIENT_DONE && !console->json) {
        table_print(&history.table, console->out);
    }
    table_deinit(&history.table);
    return end;
}

/* ---- totals ------------------------------------------------------------------------------- */

enum client_exit totals_run(struct console *console)
{
    struct json_writer writer = params_begin(console);
    enum client_exit end = console_read_mode(console, &writer);
    json_object_close(&writer);
    struct reply reply;
    if (end == CLIENT_DONE) {
        end = console_call(console, "ledger.totals", &reply);
    }
    if (end != CLIENT_DONE || console_json(console, &reply)) {
        return end;
    }
    struct table table;
    bool balanced = true;
    table_init(&table, "currency|>debits|>credits|>debits held|>credits held|>accounts|balanced");
    const struct value *rows = member(reply.result, "totals");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        static const char *const names[] = {"debits_posted", "credits_posted", "debits_held",
                                            "credits_held"};
        char text[AMOUNT_TEXT_BYTES];
        const uint8_t scale = (uint8_t)member_integer(row, "scale");
        table_cell(&table, member_text(row, "currency"));
        for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
            table_string(&table, member_amount(row, names[i], scale, text));
        }
        (void)snprintf(text, sizeof(text), "%lld", (long long)member_integer(row, "accounts"));
        table_string(&table, text);
        const bool same = text_equal(member_text(row, names[0]), member_text(row, names[1])) &&
                          text_equal(member_text(row, names[2]), member_text(row, names[3]));
        table_string(&table, same ? "yes" : "NO");
        balanced = balanced && same;
    }
    table_print(&table, console->out);
    table_deinit(&table);
    (void)fprintf(console->out, "at seq %lld\n", (long long)member_integer(reply.result, "seq"));
    if (!balanced) {
        (void)fprintf(console->errors, "the totals do not balance\n");
    }
    return balanced ? CLIENT_DONE : CLIENT_REFUSED;
}

/* ---- status ------------------------------------------------------------------------------- */

static void status_node(struct table *table, const struct value *node)
{
    static const char *const numbers[] = {"term", "seq", "index"};
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld", (long long)member_integer(node, "id"));
    table_string(table, text);
    table_cell(table, member_text(node, "role"));
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)member_integer(node, numbers[i]));
        table_string(table, text);
    }
    table_string(table, member_boolean(node, "reachable") ? "yes" : "NO");
    table_cell(table, member_text(node, "client"));
    struct text digest = member_text(node, "digest");
    digest.size = digest.size < 16 ? digest.size : 16;
    table_cell(table, digest);
}

enum client_exit status_run(struct console *console)
{
    struct json_writer writer = params_begin(console);
    json_object_close(&writer);
    struct reply reply;
    enum client_exit end = console_call(console, "cluster.status", &reply);
    if (end != CLIENT_DONE || console_json(console, &reply)) {
        return end;
    }
    const struct text name = member_text(reply.result, "cluster");
    const struct text reason = member_text(reply.result, "reason");
    const int64_t leader = member_integer(reply.result, "leader");
    (void)fprintf(console->out, "cluster %.*s as node %lld sees it: ", (int)name.size, name.data,
                  (long long)member_integer(reply.result, "node"));
    if (leader != 0) {
        (void)fprintf(console->out, "node %lld leads in term %lld", (long long)leader,
                      (long long)member_integer(reply.result, "term"));
    } else {
        (void)fprintf(console->out, "no leader");
    }
    (void)fprintf(console->out, ", %s%.*s\n",
                  member_boolean(reply.result, "ready") ? "ready" : "not ready: ", (int)reason.size,
                  reason.data);
    struct table table;
    table_init(&table, "node|role|>term|>seq|>index|reachable|client|digest");
    const struct value *rows = member(reply.result, "nodes");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        status_node(&table, row);
    }
    table_print(&table, console->out);
    table_deinit(&table);
    return CLIENT_DONE;
}

/* ---- call --------------------------------------------------------------------------------- */

enum client_exit call_run(struct console *console)
{
    const char *method = console->args.words[0];
    const char *params = console->args.words_count > 1 ? console->args.words[1] : "{}";
    if (method[0] == '\0' || strlen(method) > METHOD_BYTES_MAX) {
        return console_usage(console, "METHOD must have 1 to %d bytes", METHOD_BYTES_MAX);
    }
    struct json_scan scan;
    json_scan_init(&scan, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX);
    const char *at = params + strspn(params, " \t\r\n");
    const bool valid = *at == '{' && json_check(&scan, text_of(params)) == CODE_OK;
    json_scan_deinit(&scan);
    if (!valid) {
        return console_usage(console, "JSON %.80s: must be a valid object", params);
    }
    buffer_clear(&console->params);
    write_bytes(&console->params, params, strlen(params));
    console->json = true; /* there is no table for methods in general */
    struct reply reply;
    enum client_exit end = console_call(console, method, &reply);
    if (end == CLIENT_DONE) {
        (void)console_json(console, &reply);
    }
    return end;
}
