/*
 * The JSON writer: appends to a buffer, puts the commas, escapes. It cannot fail by itself; a
 * buffer that is full or out of memory remembers that.
 */
#include "base/check.h"
#include "base/clock.h"
#include "gateway/json.h"

#include <string.h>

struct json_writer json_writer_of(struct buffer *out)
{
    assert(out != NULL);
    return (struct json_writer){.out = out};
}

/* Before every value and key: the comma, where one is due. */
static void value_begin(struct json_writer *writer)
{
    if (writer->comma) {
        write_u8(writer->out, ',');
    }
    writer->comma = true;
}

void json_object_open(struct json_writer *writer)
{
    value_begin(writer);
    write_u8(writer->out, '{');
    writer->comma = false;
}

void json_object_close(struct json_writer *writer)
{
    write_u8(writer->out, '}');
    writer->comma = true;
}

void json_array_open(struct json_writer *writer)
{
    value_begin(writer);
    write_u8(writer->out, '[');
    writer->comma = false;
}

void json_array_close(struct json_writer *writer)
{
    write_u8(writer->out, ']');
    writer->comma = true;
}

void json_key(struct json_writer *writer, const char *key)
{
    size_t size = strlen(key);
    value_begin(writer);
    /* One reservation for the whole key: keys are most of what is written. */
    if (buffer_reserve(writer->out, size + 3)) {
        uint8_t *at = writer->out->data + writer->out->size;
        at[0] = '"';
        memcpy(at + 1, key, size);
        at[size + 1] = '"';
        at[size + 2] = ':';
        writer->out->size += size + 3;
    }
    writer->comma = false;
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static void escape_write(struct buffer *out, unsigned char c)
{
    assert(needs_escape(c));
    switch (c) {
    case '"':
        write_bytes(out, "\\\"", 2);
        break;
    case '\\':
        write_bytes(out, "\\\\", 2);
        break;
    case '\n':
        write_bytes(out, "\\n", 2);
        break;
    case '\r':
        write_bytes(out, "\\r", 2);
        break;
    case '\t':
        write_bytes(out, "\\t", 2);
        break;
    default:
        write_format(out, "\\u%04x", (unsigned)c);
        break;
    }
}

void json_text(struct json_writer *writer, struct text text)
{
    struct buffer *out = writer->out;
    value_begin(writer);
    write_u8(out, '"');
    size_t start = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (needs_escape(c)) {
            write_bytes(out, text.data + start, i - start);
            escape_write(out, c);
            start = i + 1;
        }
    }
    if (text.size > start) {
        write_bytes(out, text.data + start, text.size - start);
    }
    write_u8(out, '"');
}

void json_string(struct json_writer *writer, const char *string)
{
    json_text(writer, text_of(string));
}

void json_unsigned(struct json_writer *writer, uint64_t value)
{
    char digits[U128_TEXT_BYTES];
    size_t size = u128_format(value, digits);
    value_begin(writer);
    write_bytes(writer->out, digits, size);
}

void json_signed(struct json_writer *writer, int64_t value)
{
    char digits[U128_TEXT_BYTES];
    size_t size = i128_format(value, digits);
    value_begin(writer);
    write_bytes(writer->out, digits, size);
}

void json_boolean(struct json_writer *writer, bool value)
{
    json_raw(writer, value ? TEXT("true") : TEXT("false"));
}

void json_null(struct json_writer *writer)
{
    json_raw(writer, TEXT("null"));
}

void json_u128(struct json_writer *writer, u128 value)
{
    char digits[U128_TEXT_BYTES];
    size_t size = u128_format(value, digits);
    json_text(writer, (struct text){.data = digits, .size = size});
}

void json_i128(struct json_writer *writer, i128 value)
{
    char digits[U128_TEXT_BYTES];
    size_t size = i128_format(value, digits);
    json_text(writer, (struct text){.data = digits, .size = size});
}

void json_time(struct json_writer *writer, int64_t time_ns)
{
    char text[TIME_TEXT_BYTES];
    time_format(time_ns, text);
    json_string(writer, text);
}

void json_raw(struct json_writer *writer, struct text json)
{
    assert(json.size > 0);
    value_begin(writer);
    write_bytes(writer->out, json.data, json.size);
}

void json_field_text(struct json_writer *writer, const char *key, struct text text)
{
    json_key(writer, key);
    json_text(writer, text);
}

void json_field_string(struct json_writer *writer, const char *key, const char *string)
{
    json_key(writer, key);
    json_string(writer, string);
}

void json_field_unsigned(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_unsigned(writer, value);
}

void json_field_signed(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_signed(writer, value);
}

void json_field_boolean(struct json_writer *writer, const char *key, bool value)
{
    json_key(writer, key);
    json_boolean(writer, value);
}

void json_field_u128(struct json_writer *writer, const char *key, u128 value)
{
    json_key(writer, key);
    json_u128(writer, value);
}

void json_field_i128(struct json_writer *writer, const char *key, i128 value)
{
    json_key(writer, key);
    json_i128(writer, value);
}

void json_field_time(struct json_writer *writer, const char *key, int64_t time_ns)
{
    json_key(writer, key);
    json_time(writer, time_ns);
}
