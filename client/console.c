#include "client/console.h"

#include "base/check.h"
#include "client/amount.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages ----------------------------------------------------------------------------- */

static __attribute__((format(printf, 2, 0))) void say(struct console *console, const char *format,
                                                      va_list arguments)
{
    (void)fprintf(console->errors, "payledger%s%s: ", console->verb != NULL ? " " : "",
                  console->verb != NULL ? console->verb->name : "");
    (void)vfprintf(console->errors, format, arguments);
    (void)fputc('\n', console->errors);
}

enum client_exit console_usage(struct console *console, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(console, format, arguments);
    va_end(arguments);
    if (console->verb != NULL) {
        (void)fprintf(console->errors, "usage: payledger %s%s%s   (payledger help %s)\n",
                      console->verb->name, console->verb->words[0] != '\0' ? " " : "",
                      console->verb->words, console->verb->name);
    }
    return CLIENT_USAGE;
}

enum client_exit console_fail(struct console *console, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(console, format, arguments);
    va_end(arguments);
    return CLIENT_USAGE;
}

static void error_print_json(struct console *console, int64_t number, struct text message,
                             struct text code, const struct value *data)
{
    struct buffer out;
    buffer_init(&out, CLIENT_ANSWER_BYTES_MAX);
    struct json_writer writer = json_writer_of(&out);
    json_object_open(&writer);
    json_key(&writer, "error");
    json_object_open(&writer);
    json_field_signed(&writer, "code", number);
    json_field_text(&writer, "message", message);
    json_key(&writer, "data");
    if (data != NULL) {
        json_raw(&writer, value_source(data));
    } else {
        json_object_open(&writer);
        json_field_text(&writer, "code", code);
        json_object_close(&writer);
    }
    json_object_close(&writer);
    json_object_close(&writer);
    if (!out.failed) {
        (void)fwrite(out.data, 1, out.size, console->out);
        (void)fputc('\n', console->out);
    }
    buffer_deinit(&out);
}

/* The scale of a currency that was asked for before; false where it was not. */
static bool scale_known(const struct console *console, struct text code, uint8_t *scale)
{
    for (size_t at = 0; at < console->currencies.size; at += sizeof(struct currency_scale)) {
        struct currency_scale known;
        memcpy(&known, console->currencies.data + at, sizeof(known));
        if (text_equal(text_of(known.code), code)) {
            *scale = known.scale;
            return true;
        }
    }
    return false;
}

void console_refusal(const struct console *console, struct text message, const struct value *data,
                     char text[REFUSAL_TEXT_BYTES])
{
    char available[AMOUNT_TEXT_BYTES];
    char needed[AMOUNT_TEXT_BYTES];
    const struct text account = member_text(data, "account");
    const struct text currency = member_text(data, "currency");
    uint8_t scale = 0;
    const bool amounts = text_equal(member_text(data, "code"), TEXT("insufficient_funds")) &&
                         scale_known(console, currency, &scale) &&
                         member_amount(data, "available", scale, available)[0] != '\0' &&
                         member_amount(data, "needed", scale, needed)[0] != '\0';
    if (!amounts) {
        (void)snprintf(text, REFUSAL_TEXT_BYTES, "%.*s", (int)message.size, message.data);
        return;
    }
    (void)snprintf(text, REFUSAL_TEXT_BYTES, "%.*s has %s %.*s available, %s %.*s needed",
                   (int)account.size, account.data, available, (int)currency.size, currency.data,
                   needed, (int)currency.size, currency.data);
}

static enum client_exit refused_print(struct console *console, const struct reply *reply)
{
    if (console->json) {
        error_print_json(console, reply->rpc_number, reply->message, reply->code, reply->data);
        return CLIENT_REFUSED;
    }
    char text[REFUSAL_TEXT_BYTES];
    console_refusal(console, reply->message, reply->data, text);
    (void)fprintf(console->errors, "refused: %s (%.*s%s%.*s)%s\n", text, (int)reply->code.size,
                  reply->code.data, reply->param.size > 0 ? ", " : "", (int)reply->param.size,
                  reply->param.data, reply->recorded == YES ? "; recorded under its id" : "");
    return CLIENT_REFUSED;
}

enum client_exit console_end(struct console *console, enum call_end end, const struct reply *reply)
{
    const char *reason = caller_reason(console->caller);
    switch (end) {
    case CALL_DONE:
        return CLIENT_DONE;
    case CALL_REFUSED:
        return refused_print(console, reply);
    case CALL_UNKNOWN:
        if (console->json) {
            error_print_json(console, -32015, text_of(reason), TEXT("unknown"), NULL);
        } else {
            (void)fprintf(console->errors,
                          "unknown: it was sent, and no node said what became of it. Send it again "
                          "with the same id to learn it.\n%s\n",
                          reason);
        }
        return CLIENT_UNKNOWN;
    case CALL_UNREACHABLE:
        if (console->json) {
            error_print_json(console, -32014, text_of(reason), TEXT("unreachable"), NULL);
        } else {
            (void)fprintf(console->errors,
                          "unreachable: no node could answer; nothing was executed.\n%s\n", reason);
        }
        return CLIENT_UNREACHABLE;
    }
    assert(false);
    return CLIENT_UNKNOWN;
}

bool console_json(struct console *console, const struct reply *reply)
{
    assert(reply->result != NULL);
    if (!console->json) {
        return false;
    }
    const struct text source = value_source(reply->result);
    (void)fwrite(source.data, 1, source.size, console->out);
    (void)fputc('\n', console->out);
    return true;
}

/* ---- calls -------------------------------------------------------------------------------- */

struct caller *console_caller(struct console *console)
{
    if (console->caller == NULL) {
        char error[512];
        if (caller_open(&console->caller, &console->options, error, sizeof(error)) != STATUS_OK) {
            (void)console_fail(console, "%s", error);
            return NULL;
        }
    }
    return console->caller;
}

enum client_exit console_call(struct console *console, const char *method, struct reply *reply)
{
    if (console->params.failed) {
        return console_fail(console, "the request is larger than %d bytes", MESSAGE_BYTES_MAX);
    }
    struct caller *caller = console_caller(console);
    if (caller == NULL) {
        return CLIENT_USAGE;
    }
    const struct text params = {(const char *)console->params.data, console->params.size};
    return console_end(console, caller_call(caller, method, params, reply), reply);
}

enum client_exit console_read_mode(struct console *console, struct json_writer *writer)
{
    char error[ARGS_ERROR_BYTES];
    uint64_t min_seq = 0;
    if (args_number(&console->args, "--min-seq", 0, 0, (uint64_t)JSON_INTEGER_MAX, &min_seq,
                    error) != STATUS_OK) {
        return console_usage(console, "%s", error);
    }
    if (args_has(&console->args, "--stale") && args_has(&console->args, "--min-seq")) {
        return console_usage(console, "--stale and --min-seq exclude each other");
    }
    if (args_has(&console->args, "--stale")) {
        json_field_boolean(writer, "stale", true);
    }
    if (args_has(&console->args, "--min-seq")) {
        json_field_unsigned(writer, "min_seq", min_seq);
    }
    return CLIENT_DONE;
}

/* Appends one page of currencies; *cursor is where the next begins, empty at the end. */
static enum client_exit currencies_page(struct console *console, char *cursor, size_t cursor_size)
{
    struct buffer params;
    buffer_init(&params, MESSAGE_BYTES_MAX);
    struct json_writer writer = json_writer_of(&params);
    json_object_open(&writer);
    json_field_unsigned(&writer, "limit", LIST_ITEMS_MAX);
    if (cursor[0] != '\0') {
        json_field_string(&writer, "cursor", cursor);
    }
    json_object_close(&writer);
    struct reply reply;
    buffer_swap(&params, &console->params);
    enum client_exit end = console_call(console, "currency.list", &reply);
    buffer_swap(&params, &console->params);
    buffer_deinit(&params);
    if (end != CLIENT_DONE) {
        return end;
    }
    const struct value *rows = member(reply.result, "currencies");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        struct currency_scale scale = {.scale = (uint8_t)member_integer(row, "scale")};
        const struct text code = member_text(row, "code");
        if (code.size > 0 && code.size < sizeof(scale.code) && scale.scale <= CURRENCY_SCALE_MAX) {
            memcpy(scale.code, code.data, code.size);
            write_bytes(&console->currencies, &scale, sizeof(scale));
        }
    }
    const struct text next = member_text(reply.result, "cursor");
    (void)snprintf(cursor, cursor_size, "%.*s", (int)next.size, next.data);
    return CLIENT_DONE;
}

enum client_exit console_scale(struct console *console, struct text code, uint8_t *scale)
{
    char cursor[64] = "";
    for (uint32_t page = 0; !console->currencies_known && page <= CURRENCIES_MAX; page++) {
        enum client_exit end = currencies_page(console, cursor, sizeof(cursor));
        if (end != CLIENT_DONE) {
            return end;
        }
        console->currencies_known = cursor[0] == '\0';
    }
    if (scale_known(console, code, scale)) {
        return CLIENT_DONE;
    }
    (void)fprintf(console->errors, "payledger %s: there is no currency '%.*s'\n",
                  console->verb->name, (int)code.size, code.data);
    return CLIENT_REFUSED;
}

/* ---- values ------------------------------------------------------------------------------- */

const struct value *member(const struct value *object, const char *name)
{
    return object == NULL ? NULL : value_member(object, name);
}

struct text member_text(const struct value *object, const char *name)
{
    const struct value *value = member(object, name);
    return value == NULL ? TEXT("") : value_text(value);
}

int64_t member_integer(const struct value *object, const char *name)
{
    const struct value *value = member(object, name);
    int64_t integer = 0;
    return value != NULL && value_integer(value, &integer) ? integer : 0;
}

bool member_boolean(const struct value *object, const char *name)
{
    const struct value *value = member(object, name);
    bool boolean = false;
    return value != NULL && value_boolean(value, &boolean) && boolean;
}

const char *member_amount(const struct value *object, const char *name, uint8_t scale, char *text)
{
    i128 minor = 0;
    if (scale > CURRENCY_SCALE_MAX || !i128_parse(member_text(object, name), &minor)) {
        return "";
    }
    amount_format(minor, scale, text);
    return text;
}

/* ---- options ------------------------------------------------------------------------------ */

static bool node_add(struct client_options *options, struct text address)
{
    if (options->nodes_count == CLIENT_NODES_MAX) {
        return false;
    }
    struct client_node *node = &options->nodes[options->nodes_count];
    if (!address_parse(address, node->host, &node->port)) {
        return false;
    }
    options->nodes_count += 1;
    return true;
}

/* "a:1,b:2,c:3" */
static bool nodes_add(struct client_options *options, const char *list)
{
    const char *at = list;
    for (;;) {
        size_t size = strcspn(at, ",");
        if (!node_add(options, (struct text){at, size})) {
            return false;
        }
        if (at[size] == '\0') {
            return true;
        }
        at += size + 1;
    }
}

static enum client_exit nodes_read(struct console *console)
{
    static const char fallback[] = "127.0.0.1:2346,127.0.0.1:2347,127.0.0.1:2348";
    for (uint32_t i = 0; args_value(&console->args, "--node", i) != NULL; i++) {
        const char *list = args_value(&console->args, "--node", i);
        if (!nodes_add(&console->options, list)) {
            return console_usage(console, "--node %.80s: must be HOST:PORT, at most %d of them",
                                 list, CLIENT_NODES_MAX);
        }
    }
    if (console->options.nodes_count > 0) {
        return CLIENT_DONE;
    }
    const char *list = getenv("PAYLEDGER_NODES");
    if (list == NULL || list[0] == '\0') {
        list = fallback;
    }
    if (!nodes_add(&console->options, list)) {
        return console_usage(console,
                             "PAYLEDGER_NODES=%.80s: must be HOST:PORT,HOST:PORT..., at most %d",
                             list, CLIENT_NODES_MAX);
    }
    return CLIENT_DONE;
}

enum client_exit console_open(struct console *console, const struct verb *verb)
{
    assert(console->out != NULL && console->errors != NULL);
    char error[ARGS_ERROR_BYTES];
    console->verb = verb;
    buffer_init(&console->params, MESSAGE_BYTES_MAX);
    buffer_init(&console->currencies, CLIENT_CURRENCIES_MAX * sizeof(struct currency_scale));
    console->json = args_has(&console->args, "--json");
    console->options.ca_path = args_value(&console->args, "--ca", 0);
    console->options.tls = args_has(&console->args, "--tls") || console->options.ca_path != NULL;
    if (console->options.tls && console->options.ca_path == NULL) {
        return console_usage(console, "--tls: needs --ca FILE, the certificate that signed those "
                                      "of the nodes (pki/ca.pem): without it anybody could answer");
    }
    uint64_t timeout_ms = 0;
    if (args_number(&console->args, "--timeout", CLIENT_TIMEOUT_MS, 1, CLIENT_TIMEOUT_MS_MAX,
                    &timeout_ms, error) != STATUS_OK) {
        return console_usage(console, "%s", error);
    }
    console->options.timeout_ms = (uint32_t)timeout_ms;
    /* Whoever says how long means it, also while nothing listens yet. */
    console->options.refused_ms =
        args_has(&console->args, "--timeout") ? (uint32_t)timeout_ms : (uint32_t)CLIENT_REFUSED_MS;
    console->options.notices = console->errors;
    return nodes_read(console);
}

void console_close(struct console *console)
{
    caller_close(console->caller);
    buffer_deinit(&console->params);
    buffer_deinit(&console->currencies);
}
