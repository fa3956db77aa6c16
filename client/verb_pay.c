/* pay FROM TO "19.99 EUR" */
#include "base/check.h"
#include "base/clock.h"
#include "client/amount.h"
#include "client/identifier.h"
#include "client/table.h"
#include "client/verbs.h"

#include <string.h>

struct pay {
    struct uuid id;
    const char *from;
    const char *to;
    char money[128];
    struct text currency;
    uint8_t scale;
    u128 minor;
};

/* The amount may be one word ("19.99 EUR") or two. */
static enum client_exit pay_amount(struct console *console, struct pay *pay)
{
    const struct args *args = &console->args;
    int size =
        snprintf(pay->money, sizeof(pay->money), "%s%s%s", args->words[2],
                 args->words_count > 3 ? " " : "", args->words_count > 3 ? args->words[3] : "");
    struct text number;
    if (size < 0 || (size_t)size >= sizeof(pay->money) ||
        !money_split(text_of(pay->money), &number, &pay->currency) ||
        !currency_code_valid(pay->currency)) {
        return console_usage(console, "AMOUNT '%.80s': must be like \"19.99 EUR\"", pay->money);
    }
    enum client_exit end = console_scale(console, pay->currency, &pay->scale);
    if (end != CLIENT_DONE) {
        return end;
    }
    enum amount_error error = amount_parse(number, pay->scale, &pay->minor);
    if (error != AMOUNT_OK) {
        return console_usage(console, "AMOUNT '%.80s': %s (%.*s has %u)", pay->money,
                             amount_error_text(error), (int)pay->currency.size, pay->currency.data,
                             (unsigned)pay->scale);
    }
    if (pay->minor == 0) {
        return console_usage(console, "AMOUNT '%.80s': must be more than nothing", pay->money);
    }
    return CLIENT_DONE;
}

static enum client_exit pay_read(struct console *console, struct pay *pay)
{
    const struct args *args = &console->args;
    const char *id = args_value(args, "--id", 0);
    const char *valid_until = args_value(args, "--valid-until", 0);
    int64_t ignored_ns = 0;
    pay->from = args->words[0];
    pay->to = args->words[1];
    if (!account_id_valid(text_of(pay->from))) {
        return console_usage(console, "FROM %.80s: must be 1-64 of [A-Za-z0-9:._-]", pay->from);
    }
    if (!account_id_valid(text_of(pay->to))) {
        return console_usage(console, "TO %.80s: must be 1-64 of [A-Za-z0-9:._-]", pay->to);
    }
    if (id == NULL) {
        pay->id = identifier_fresh(clock_wall_ns(clock_system()));
    } else if (!uuid_parse(text_of(id), &pay->id)) {
        return console_usage(console, "--id %.80s: must be a UUID", id);
    }
    if (valid_until != NULL && !time_parse(text_of(valid_until), &ignored_ns)) {
        return console_usage(
            console, "--valid-until %.80s: must be like 2026-11-23T10:15:30Z, in UTC", valid_until);
    }
    return pay_amount(console, pay);
}

/* The metadata goes out as it is: it must be an object that a node accepts. */
static bool metadata_valid(const char *metadata)
{
    struct json_scan scan;
    json_scan_init(&scan, METADATA_BYTES_MAX, METADATA_BYTES_MAX);
    const char *at = metadata + strspn(metadata, " \t\r\n");
    bool valid = *at == '{' && json_check(&scan, text_of(metadata)) == CODE_OK;
    json_scan_deinit(&scan);
    return valid;
}

static enum client_exit pay_write(struct console *console, const struct pay *pay)
{
    const struct args *args = &console->args;
    const char *reference = args_value(args, "--reference", 0);
    const char *metadata = args_value(args, "--metadata", 0);
    const char *valid_until = args_value(args, "--valid-until", 0);
    char id[UUID_TEXT_BYTES];
    uuid_format(&pay->id, id);
    if (metadata != NULL && !metadata_valid(metadata)) {
        return console_usage(console, "--metadata %.80s: must be a JSON object of at most %d bytes",
                             metadata, METADATA_BYTES_MAX);
    }
    if (reference != NULL && !json_utf8_valid(text_of(reference))) {
        return console_usage(console, "--reference: must be UTF-8");
    }
    buffer_clear(&console->params);
    struct json_writer writer = json_writer_of(&console->params);
    json_object_open(&writer);
    json_field_string(&writer, "id", id);
    json_field_string(&writer, "debit", pay->from);
    json_field_string(&writer, "credit", pay->to);
    json_field_u128(&writer, "amount", pay->minor);
    json_field_text(&writer, "currency", pay->currency);
    if (reference != NULL) {
        json_field_string(&writer, "reference", reference);
    }
    if (metadata != NULL) {
        json_key(&writer, "metadata");
        json_raw(&writer, text_of(metadata));
    }
    if (valid_until != NULL) {
        json_field_string(&writer, "valid_until", valid_until);
    }
    json_object_close(&writer);
    return CLIENT_DONE;
}

static void pay_print(struct console *console, const struct pay *pay, const struct value *result)
{
    const struct text time = member_text(result, "time");
    (void)fprintf(console->out, "posted%s: %s to %s, %s (seq %lld, %.*s)\n",
                  member_boolean(result, "replayed") ? " before" : "", pay->from, pay->to,
                  pay->money, (long long)member_integer(result, "seq"), (int)time.size, time.data);
    struct table table;
    table_init(&table, "account|>posted|>available|currency");
    const struct value *rows = member(result, "balances");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        char text[AMOUNT_TEXT_BYTES];
        const struct value *available = member(row, "available");
        const bool unlimited = available != NULL && value_kind(available) == VALUE_NULL;
        table_cell(&table, member_text(row, "account"));
        table_string(&table, member_amount(row, "posted", pay->scale, text));
        table_string(&table,
                     unlimited ? "unlimited" : member_amount(row, "available", pay->scale, text));
        table_cell(&table, pay->currency);
    }
    table_print(&table, console->out);
    table_deinit(&table);
}

enum client_exit pay_run(struct console *console)
{
    struct pay pay = {.scale = 0};
    enum client_exit end = pay_read(console, &pay);
    if (end == CLIENT_DONE) {
        end = pay_write(console, &pay);
    }
    if (end != CLIENT_DONE) {
        return end;
    }
    if (args_value(&console->args, "--id", 0) == NULL && !console->json) {
        char id[UUID_TEXT_BYTES];
        uuid_format(&pay.id, id);
        (void)fprintf(console->out, "id %s\n", id);
        (void)fflush(console->out);
    }
    struct reply reply;
    end = console_call(console, "payment.create", &reply);
    if (end == CLIENT_DONE && !console_json(console, &reply)) {
        pay_print(console, &pay, reply.result);
    }
    return end;
}
