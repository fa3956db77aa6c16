/*
 * JSON text: a strict check that goes before every other reader, and a writer. No tree, no cJSON.
 *
 * The check (RFC 8259) refuses what lax parsers let through: bad UTF-8, trailing text, U+0000, lone
 * surrogates, numbers like 01 or 1., duplicate keys, too much depth. It also notes where numbers
 * and objects stand in the source, in document order, so that later readers can use the client's
 * own bytes instead of a double.
 */
#ifndef GATEWAY_JSON_H
#define GATEWAY_JSON_H

#include "base/bytes.h"
#include "base/limits.h"

/* Integers are exact in every client's arithmetic up to 2^53. */
#define JSON_INTEGER_MAX ((int64_t)1 << 53)

/* Where a number or an object stands in the source. */
struct json_span {
    uint32_t offset;
    uint32_t size;
};

struct json_frame {
    bool is_object;
    uint32_t keys_begin; /* its keys on the stack of keys */
    uint32_t span;       /* an object's own span */
};

/* Reusable; one thread at a time. Private but for spans, spans_count and error_offset. */
struct json_scan {
    size_t bytes_max;
    uint32_t values_max;
    struct buffer spans_memory;
    struct buffer keys_memory; /* keys of the open objects: struct text */
    struct buffer unescaped;   /* keys that were written with escapes */
    struct json_frame frames[JSON_DEPTH_MAX];
    uint32_t depth;
    const char *text;
    const char *at;
    const char *end;
    /* results of the last check */
    const struct json_span *spans; /* numbers and objects in document order, borrowed */
    uint32_t spans_count;
    uint32_t values_count;
    size_t error_offset;
};

/* bytes_max: longer texts are refused; values_max: texts with more values are refused. */
void json_scan_init(struct json_scan *scan, size_t bytes_max, uint32_t values_max);
void json_scan_deinit(struct json_scan *scan);

/*
 * Checks one whole JSON text. CODE_OK, MALFORMED_JSON, DUPLICATE_KEY, NESTING_TOO_DEEP,
 * INVALID_REQUEST (longer than bytes_max, or more than values_max values) or OVERLOADED (no
 * memory); on refusal scan->error_offset says at which byte.
 */
enum code MUST_CHECK json_check(struct json_scan *scan, struct text text);

/*
 * The exact integer that a JSON number's source text says: -?(0|[1-9][0-9]*), within 2^53 either
 * way
 * ("7.0" and "1e3" are not integers here). False on anything else.
 */
bool json_integer_parse(struct text number, int64_t *value);

/* True where the bytes are well-formed UTF-8 (RFC 3629). */
bool json_utf8_valid(struct text text);

/* ---- writer --------------------------------------------------------------------------------- */

/*
 * Appends JSON to a buffer and puts the commas. Failures stay in the buffer (buffer->failed);
 * nesting is the caller's business.
 */
struct json_writer {
    struct buffer *out;
    bool comma; /* a value precedes in the same container */
};

struct json_writer json_writer_of(struct buffer *out);

void json_object_open(struct json_writer *writer);
void json_object_close(struct json_writer *writer);
void json_array_open(struct json_writer *writer);
void json_array_close(struct json_writer *writer);
/* A key of our own: printable ASCII without quotes, written as it is. */
void json_key(struct json_writer *writer, const char *key);

void json_text(struct json_writer *writer, struct text text);
void json_string(struct json_writer *writer, const char *string);
void json_unsigned(struct json_writer *writer, uint64_t value);
void json_signed(struct json_writer *writer, int64_t value);
void json_boolean(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);
/* Money goes out as strings. */
void json_u128(struct json_writer *writer, u128 value);
void json_i128(struct json_writer *writer, i128 value);
/* RFC 3339 with nine decimals. */
void json_time(struct json_writer *writer, int64_t time_ns);
/* A complete JSON value, as it is. */
void json_raw(struct json_writer *writer, struct text json);

/* Key and value in one. */
void json_field_text(struct json_writer *writer, const char *key, struct text text);
void json_field_string(struct json_writer *writer, const char *key, const char *string);
void json_field_unsigned(struct json_writer *writer, const char *key, uint64_t value);
void json_field_signed(struct json_writer *writer, const char *key, int64_t value);
void json_field_boolean(struct json_writer *writer, const char *key, bool value);
void json_field_u128(struct json_writer *writer, const char *key, u128 value);
void json_field_i128(struct json_writer *writer, const char *key, i128 value);
void json_field_time(struct json_writer *writer, const char *key, int64_t time_ns);

#endif
