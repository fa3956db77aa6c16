/* currency create|list, account open|get|list */
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

static bool currency_check(struct console *console, const char *code, enum client_exit *end)
{
    if (currency_code_valid(text_of(code))) {
        return true;
    }
    *end = console_usage(console, "CURRENCY %.40s: must be like EUR: [A-Z][A-Z0-9]{1,11}", code);
    return false;
}

static bool account_check(struct console *console, const char *id, enum client_exit *end)
{
    if (account_id_valid(text_of(id))) {
        return true;
    }
    *end = console_usage(console, "account %.80s: must be 1-64 of [A-Za-z0-9:._-]", id);
    return false;
}

enum client_exit currency_create_run(struct console *console)
{
    const char *code = console->args.words[0];
    uint64_t scale = 0;
    enum client_exit end = CLIENT_DONE;
    if (!currency_check(console, code, &end)) {
        return end;
    }
    if (!number_parse(console->args.words[1], CURRENCY_SCALE_MAX, &scale)) {
        return console_usage(console, "SCALE %.40s: must be a whole number from 0 to %d",
                             console->args.words[1], CURRENCY_SCALE_MAX);
    }
    struct json_writer writer = params_begin(console);
    json_field_string(&writer, "code", code);
    json_field_unsigned(&writer, "scale", scale);
    json_object_close(&writer);
    struct reply reply;
    end = console_call(console, "currency.create", &reply);
    if (end == CLIENT_DONE && !console_json(console, &reply)) {
        (void)fprintf(console->out, "%s %s with %llu decimals\n", code,
                      member_boolean(reply.result, "replayed") ? "exists" : "created",
                      (unsigned long long)scale);
    }
    return end;
}

enum client_exit currency_list_run(struct console *console)
{
    struct json_writer writer = params_begin(console);
    json_field_unsigned(&writer, "limit", LIST_ITEMS_MAX);
    enum client_exit end = console_read_mode(console, &writer);
    json_object_close(&writer);
    struct reply reply;
    if (end == CLIENT_DONE) {
        end = console_call(console, "currency.list", &reply);
    }
    if (end != CLIENT_DONE || console_json(console, &reply)) {
        return end;
    }
    struct table table;
    table_init(&table, "currency|>decimals|>accounts");
    const struct value *rows = member(reply.result, "currencies");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        char number[32];
        table_cell(&table, member_text(row, "code"));
        (void)snprintf(number, sizeof(number), "%lld", (long long)member_integer(row, "scale"));
        table_string(&table, number);
        (void)snprintf(number, sizeof(number), "%lld", (long long)member_integer(row, "accounts"));
        table_string(&table, number);
    }
    table_print(&table, console->out);
    table_deinit(&table);
    return CLIENT_DONE;
}

/* "unlimited" as it is, an amount in the currency's scale as minor units. */
static enum client_exit overdraft_write(struct console *console, struct text currency,
                                        const char *overdraft, char text[U128_TEXT_BYTES])
{
    if (strcmp(overdraft, "unlimited") == 0) {
        (void)snprintf(text, U128_TEXT_BYTES, "unlimited");
        return CLIENT_DONE;
    }
    uint8_t scale = 0;
    u128 minor = 0;
    enum client_exit end = console_scale(console, currency, &scale);
    if (end != CLIENT_DONE) {
        return end;
    }
    enum amount_error error = amount_parse(text_of(overdraft), scale, &minor);
    if (error != AMOUNT_OK) {
        return console_usage(console, "--overdraft %.60s: %s", overdraft, amount_error_text(error));
    }
    (void)u128_format(minor, text);
    return CLIENT_DONE;
}

enum client_exit account_open_run(struct console *console)
{
    const char *id = console->args.words[0];
    const char *currency = console->args.words[1];
    const char *normal = args_value(&console->args, "--normal", 0);
    const char *overdraft = args_value(&console->args, "--overdraft", 0);
    char overdraft_text[U128_TEXT_BYTES];
    enum client_exit end = CLIENT_DONE;
    if (!account_check(console, id, &end) || !currency_check(console, currency, &end)) {
        return end;
    }
    if (normal != NULL && strcmp(normal, "credit") != 0 && strcmp(normal, "debit") != 0) {
        return console_usage(console, "--normal %.40s: must be credit or debit", normal);
    }
    if (overdraft != NULL) {
        end = overdraft_write(console, text_of(currency), overdraft, overdraft_text);
        if (end != CLIENT_DONE) {
            return end;
        }
    }
    struct json_writer writer = params_begin(console);
    json_field_string(&writer, "id", id);
    json_field_string(&writer, "currency", currency);
    if (normal != NULL) {
        json_field_string(&writer, "normal", normal);
    }
    if (overdraft != NULL) {
        json_field_string(&writer, "overdraft", overdraft_text);
    }
    json_object_close(&writer);
    struct reply reply;
    end = console_call(console, "account.open", &reply);
    if (end == CLIENT_DONE && !console_json(console, &reply)) {
        (void)fprintf(console->out, "%s %s in %s\n", id,
                      member_boolean(reply.result, "replayed") ? "exists" : "opened", currency);
    }
    return end;
}

static void account_row(struct table *table, const struct value *account)
{
    char text[AMOUNT_TEXT_BYTES];
    const uint8_t scale = (uint8_t)member_integer(account, "scale");
    const struct value *available = member(account, "available");
    const bool unlimited = available != NULL && value_kind(available) == VALUE_NULL;
    table_cell(table, member_text(account, "id"));
    table_string(table, member_amount(account, "posted", scale, text));
    table_string(table, member_amount(account, "held", scale, text));
    table_string(table, unlimited ? "unlimited" : member_amount(account, "available", scale, text));
    table_cell(table, member_text(account, "currency"));
    table_cell(table, member_text(account, "normal"));
    (void)snprintf(text, sizeof(text), "%lld", (long long)member_integer(account, "entries"));
    table_string(table, text);
}

static const char account_heads[] = "account|>posted|>held|>available|currency|normal|>entries";

enum client_exit account_get_run(struct console *console)
{
    enum client_exit end = CLIENT_DONE;
    if (!account_check(console, console->args.words[0], &end)) {
        return end;
    }
    struct json_writer writer = params_begin(console);
    json_field_string(&writer, "id", console->args.words[0]);
    end = console_read_mode(console, &writer);
    json_object_close(&writer);
    struct reply reply;
    if (end == CLIENT_DONE) {
        end = console_call(console, "account.get", &reply);
    }
    if (end != CLIENT_DONE || console_json(console, &reply)) {
        return end;
    }
    struct table table;
    table_init(&table, account_heads);
    account_row(&table, reply.result);
    table_print(&table, console->out);
    table_deinit(&table);
    return CLIENT_DONE;
}

/* One page into the table; *cursor says where the next one begins, "" at the end. */
static enum client_exit accounts_page(struct console *console, struct table *table, uint64_t limit,
                                      char cursor[64], uint64_t *rows_count)
{
    struct json_writer writer = params_begin(console);
    json_field_unsigned(&writer, "limit", limit);
    if (cursor[0] != '\0') {
        json_field_string(&writer, "cursor", cursor);
    }
    enum client_exit end = console_read_mode(console, &writer);
    json_object_close(&writer);
    struct reply reply;
    if (end == CLIENT_DONE) {
        end = console_call(console, "account.list", &reply);
    }
    if (end != CLIENT_DONE) {
        return end;
    }
    *rows_count = 0;
    const struct value *rows = member(reply.result, "accounts");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        account_row(table, row);
        *rows_count += 1;
    }
    const struct text next = member_text(reply.result, "cursor");
    (void)snprintf(cursor, 64, "%.*s", (int)next.size, next.data);
    (void)console_json(console, &reply);
    return CLIENT_DONE;
}

enum client_exit account_list_run(struct console *console)
{
    char error[ARGS_ERROR_BYTES];
    uint64_t left = 0;
    if (args_number(&console->args, "--limit", UINT32_MAX, 1, UINT32_MAX, &left, error) !=
        STATUS_OK) {
        return console_usage(console, "%s", error);
    }
    struct table table;
    table_init(&table, account_heads);
    char cursor[64] = "";
    enum client_exit end = CLIENT_DONE;
    do {
        uint64_t rows = 0;
        end = accounts_page(console, &table, left < LIST_ITEMS_MAX ? left : LIST_ITEMS_MAX, cursor,
                            &rows);
        left -= rows < left ? rows : left;
    } while (end == CLIENT_DONE && cursor[0] != '\0' && left > 0);
    if (end == CLIENT_DONE && !console->json) {
        table_print(&table, console->out);
    }
    table_deinit(&table);
    return end;
}
