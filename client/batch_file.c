#include "client/batch_file.h"

#include "base/check.h"
#include "base/clock.h"
#include "client/amount.h"
#include "client/identifier.h"
#include "gateway/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum column {
    COLUMN_ID,
    COLUMN_DEBIT,
    COLUMN_CREDIT,
    COLUMN_AMOUNT,
    COLUMN_CURRENCY,
    COLUMN_REFERENCE,
    COLUMN_VALID_UNTIL,
    COLUMN_COUNT
};

static const char *const column_names[COLUMN_COUNT] = {
    "id", "debit", "credit", "amount", "currency", "reference", "valid_until"};

enum { CSV_FIELDS_MAX = 16 };

struct parser {
    struct batch_file *file;
    const struct batch_options *options;
    struct message_reader *reader;
    uint64_t line;
    struct text text; /* the line, without its end */
    bool csv;
    uint32_t columns_count;
    enum column columns[CSV_FIELDS_MAX];
    struct buffer unquoted;
    char *error;
};

static __attribute__((format(printf, 2, 3))) enum status fail(struct parser *parser,
                                                              const char *format, ...)
{
    int used =
        snprintf(parser->error, BATCH_ERROR_BYTES, "line %llu: ", (unsigned long long)parser->line);
    assert(used > 0 && used < BATCH_ERROR_BYTES);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(parser->error + used, BATCH_ERROR_BYTES - (size_t)used, format, arguments);
    va_end(arguments);
    return STATUS_INVALID;
}

static int shown(struct text text)
{
    return text.size < 60 ? (int)text.size : 60;
}

/* The item's own id, or the derived one where it has none. */
static enum status item_id(struct parser *parser, bool given, struct text id, struct uuid *uuid)
{
    if (given) {
        if (!uuid_parse(id, uuid)) {
            return fail(parser, "id '%.*s': must be a UUID", shown(id), id.data);
        }
        return STATUS_OK;
    }
    if (parser->options->name == NULL) {
        return fail(parser,
                    "the payment has no id, so that sending the file again would pay again; "
                    "give ids, or --name NAME to derive them");
    }
    *uuid = identifier_derived(text_of(parser->options->name), parser->line, parser->text);
    return STATUS_OK;
}

static enum status item_end(struct parser *parser, size_t offset, const struct uuid *uuid)
{
    struct batch_file *file = parser->file;
    struct batch_item item = {.line = parser->line, .id = *uuid, .offset = offset};
    if (file->json.failed || file->items_count == UINT32_MAX) {
        return STATUS_NO_MEMORY;
    }
    item.size = file->json.size - offset;
    if (item.size > CLIENT_CHUNK_BYTES_MAX) {
        return fail(parser, "the payment is larger than %d bytes", CLIENT_CHUNK_BYTES_MAX);
    }
    write_bytes(&file->items, &item, sizeof(item));
    file->items_count += 1;
    return file->items.failed ? STATUS_NO_MEMORY : STATUS_OK;
}

/* ---- JSON lines --------------------------------------------------------------------------- */

static enum status parse_json(struct parser *parser)
{
    const struct value *root = NULL;
    struct failure failure;
    enum code code = message_parse(parser->reader, parser->text, &root, &failure);
    if (code != CODE_OK) {
        return fail(parser, "%s", failure.message[0] != '\0' ? failure.message : "not valid JSON");
    }
    if (value_kind(root) != VALUE_OBJECT || value_first(root) == NULL) {
        return fail(parser, "must be a JSON object with the params of payment.create");
    }
    const struct value *id = value_member(root, "id");
    struct uuid uuid;
    enum status status = item_id(parser, id != NULL, id == NULL ? TEXT("") : value_text(id), &uuid);
    if (status != STATUS_OK) {
        return status;
    }
    struct buffer *json = &parser->file->json;
    const size_t offset = json->size;
    struct text source = value_source(root);
    assert(source.size >= 2 && source.data[0] == '{');
    if (id == NULL) {
        char text[UUID_TEXT_BYTES];
        uuid_format(&uuid, text);
        write_format(json, "{\"id\":\"%s\",", text);
        source = (struct text){source.data + 1, source.size - 1};
    }
    write_bytes(json, source.data, source.size);
    return item_end(parser, offset, &uuid);
}

/* ---- CSV ---------------------------------------------------------------------------------- */

/* Copies one field without its quotes; *at ends at the comma behind it or at the line's end. */
static bool csv_field(struct text line, size_t *at, struct buffer *out)
{
    const bool quoted = *at < line.size && line.data[*at] == '"';
    *at += quoted ? 1 : 0;
    while (*at < line.size) {
        const char byte = line.data[*at];
        if (!quoted && byte == ',') {
            return true;
        }
        if (byte == '"') {
            const bool twice = *at + 1 < line.size && line.data[*at + 1] == '"';
            if (!quoted || !twice) {
                *at += 1;
                return quoted && (*at == line.size || line.data[*at] == ',');
            }
            *at += 1;
        }
        write_u8(out, (uint8_t)byte);
        *at += 1;
    }
    return !quoted;
}

/* Splits one line (RFC 4180, without line breaks inside of fields). */
static enum status csv_split(struct parser *parser, struct text fields[CSV_FIELDS_MAX],
                             uint32_t *count)
{
    const struct text line = parser->text;
    struct buffer *out = &parser->unquoted;
    buffer_clear(out);
    /* With room for the whole line the buffer does not move under the fields. */
    if (!buffer_reserve(out, line.size + 1)) {
        return STATUS_NO_MEMORY;
    }
    *count = 0;
    size_t at = 0;
    for (;;) {
        const size_t begin = out->size;
        if (*count == CSV_FIELDS_MAX) {
            return fail(parser, "more than %d fields", CSV_FIELDS_MAX);
        }
        if (!csv_field(line, &at, out)) {
            return fail(parser, "field %u: quotes do not fit", *count + 1);
        }
        fields[*count] = (struct text){(const char *)out->data + begin, out->size - begin};
        *count += 1;
        if (at == line.size) {
            return STATUS_OK;
        }
        at += 1;
    }
}

static enum status csv_head(struct parser *parser)
{
    struct text fields[CSV_FIELDS_MAX];
    uint32_t count = 0;
    enum status status = csv_split(parser, fields, &count);
    if (status != STATUS_OK) {
        return status;
    }
    bool seen[COLUMN_COUNT] = {false};
    for (uint32_t i = 0; i < count; i++) {
        int column = 0;
        while (column < COLUMN_COUNT && !text_equal(fields[i], text_of(column_names[column]))) {
            column += 1;
        }
        if (column == COLUMN_COUNT || seen[column]) {
            return fail(parser, "column '%.*s' is %s", shown(fields[i]), fields[i].data,
                        column == COLUMN_COUNT ? "unknown" : "there twice");
        }
        seen[column] = true;
        parser->columns[i] = (enum column)column;
    }
    for (int column = COLUMN_DEBIT; column <= COLUMN_CURRENCY; column++) {
        if (!seen[column]) {
            return fail(parser, "column '%s' is missing in the head", column_names[column]);
        }
    }
    parser->columns_count = count;
    return STATUS_OK;
}

static enum status csv_check(struct parser *parser, const struct text values[COLUMN_COUNT],
                             u128 *minor)
{
    for (int column = COLUMN_DEBIT; column <= COLUMN_CREDIT; column++) {
        if (!account_id_valid(values[column])) {
            return fail(parser, "%s '%.*s': must be 1-64 of [A-Za-z0-9:._-]", column_names[column],
                        shown(values[column]), values[column].data);
        }
    }
    int64_t ignored_ns = 0;
    const struct text valid_until = values[COLUMN_VALID_UNTIL];
    if (valid_until.size > 0 && !time_parse(valid_until, &ignored_ns)) {
        return fail(parser, "valid_until '%.*s': must be like 2026-11-23T10:15:30Z",
                    shown(valid_until), valid_until.data);
    }
    const struct text currency = values[COLUMN_CURRENCY];
    if (!currency_code_valid(currency)) {
        return fail(parser, "currency '%.*s': must be like EUR", shown(currency), currency.data);
    }
    uint8_t scale = 0;
    if (!parser->options->scale(parser->options->data, currency, &scale)) {
        return STATUS_AGAIN;
    }
    const struct text amount = values[COLUMN_AMOUNT];
    enum amount_error error = amount_parse(amount, scale, minor);
    if (error != AMOUNT_OK || *minor == 0) {
        return fail(parser, "amount '%.*s': %s", shown(amount), amount.data,
                    error != AMOUNT_OK ? amount_error_text(error) : "must be more than nothing");
    }
    if (!json_utf8_valid(values[COLUMN_REFERENCE])) {
        return fail(parser, "reference: must be UTF-8");
    }
    return STATUS_OK;
}

static enum status parse_csv(struct parser *parser)
{
    struct text fields[CSV_FIELDS_MAX];
    struct text values[COLUMN_COUNT] = {{NULL, 0}};
    uint32_t count = 0;
    enum status status = csv_split(parser, fields, &count);
    if (status != STATUS_OK) {
        return status;
    }
    if (count != parser->columns_count) {
        return fail(parser, "%u fields, the head has %u", count, parser->columns_count);
    }
    for (uint32_t i = 0; i < count; i++) {
        values[parser->columns[i]] = fields[i];
    }
    u128 minor = 0;
    struct uuid uuid;
    status = csv_check(parser, values, &minor);
    if (status == STATUS_OK) {
        status = item_id(parser, values[COLUMN_ID].size > 0, values[COLUMN_ID], &uuid);
    }
    if (status != STATUS_OK) {
        return status;
    }
    const size_t offset = parser->file->json.size;
    struct json_writer writer = json_writer_of(&parser->file->json);
    char id[UUID_TEXT_BYTES];
    uuid_format(&uuid, id);
    json_object_open(&writer);
    json_field_string(&writer, "id", id);
    json_field_text(&writer, "debit", values[COLUMN_DEBIT]);
    json_field_text(&writer, "credit", values[COLUMN_CREDIT]);
    json_field_u128(&writer, "amount", minor);
    json_field_text(&writer, "currency", values[COLUMN_CURRENCY]);
    for (int column = COLUMN_REFERENCE; column <= COLUMN_VALID_UNTIL; column++) {
        if (values[column].size > 0) {
            json_field_text(&writer, column_names[column], values[column]);
        }
    }
    json_object_close(&writer);
    return item_end(parser, offset, &uuid);
}

/* ---- the file ----------------------------------------------------------------------------- */

static bool line_blank(struct text line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t') {
            return false;
        }
    }
    return true;
}

static enum status parse_line(struct parser *parser)
{
    if (line_blank(parser->text)) {
        return STATUS_OK;
    }
    const bool first = !parser->csv && parser->file->items_count == 0;
    if (first && parser->text.data[0] != '{' && parser->text.data[0] != ' ') {
        parser->csv = true;
        return csv_head(parser);
    }
    return parser->csv ? parse_csv(parser) : parse_json(parser);
}

enum status batch_file_parse(struct batch_file *file, struct text bytes,
                             const struct batch_options *options, char error[BATCH_ERROR_BYTES])
{
    assert(options->scale != NULL);
    struct parser parser = {.file = file, .options = options, .error = error};
    *file = (struct batch_file){.items_count = 0};
    buffer_init(&file->json, 2 * (size_t)CLIENT_FILE_BYTES_MAX);
    buffer_init(&file->items, CLIENT_FILE_BYTES_MAX);
    buffer_init(&parser.unquoted, MESSAGE_BYTES_MAX);
    error[0] = '\0';
    enum status status = message_reader_open(&parser.reader, MESSAGE_BYTES_MAX);
    size_t at = 0;
    while (status == STATUS_OK && at < bytes.size) {
        const char *begin = bytes.data + at;
        const char *newline = memchr(begin, '\n', bytes.size - at);
        size_t size = newline != NULL ? (size_t)(newline - begin) : bytes.size - at;
        at += size + 1;
        size -= size > 0 && begin[size - 1] == '\r' ? 1 : 0;
        parser.line += 1;
        parser.text = (struct text){begin, size};
        status = parse_line(&parser);
    }
    message_reader_close(parser.reader);
    buffer_deinit(&parser.unquoted);
    if (status == STATUS_OK && file->items_count == 0) {
        (void)snprintf(error, BATCH_ERROR_BYTES, "there are no payments in it");
        status = STATUS_INVALID;
    }
    if (status == STATUS_NO_MEMORY) {
        (void)snprintf(error, BATCH_ERROR_BYTES, "too large");
    }
    if (status != STATUS_OK) {
        batch_file_deinit(file);
    }
    return status;
}

void batch_file_deinit(struct batch_file *file)
{
    buffer_deinit(&file->json);
    buffer_deinit(&file->items);
}

struct batch_item batch_file_item(const struct batch_file *file, uint32_t index)
{
    assert(index < file->items_count);
    struct batch_item item;
    memcpy(&item, file->items.data + (size_t)index * sizeof(item), sizeof(item));
    return item;
}

struct text batch_file_json(const struct batch_file *file, const struct batch_item *item)
{
    assert(item->offset + item->size <= file->json.size);
    return (struct text){(const char *)file->json.data + item->offset, item->size};
}
