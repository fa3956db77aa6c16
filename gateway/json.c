/*
 * The strict check of JSON text: one pass over the bytes, no recursion, no tree.
 *
 * Happy path: a loop over tokens with the containers that are open on a small stack; numbers and
 * objects are noted as spans in document order. The keys of open objects lie on one stack of keys.
 * Few keys are compared one by one as they come; many are sorted once, when their object closes, so
 * that a hostile object costs n log n.
 *
 * Failure modes: the first refusal ends the pass, with its offset; memory runs out (OVERLOADED).
 */
#include "gateway/json.h"

#include "base/check.h"
#include "gateway/json_text.h"

#include <stdlib.h>
#include <string.h>

/* Up to so many keys of one object are compared one by one. */
enum { KEYS_LINEAR_MAX = 16 };

/* What may come next. */
enum want {
    WANT_VALUE,
    WANT_VALUE_OR_END,
    WANT_KEY,
    WANT_KEY_OR_END,
    WANT_COMMA_OR_END,
    WANT_NOTHING
};

void json_scan_init(struct json_scan *scan, size_t bytes_max, uint32_t values_max)
{
    assert(bytes_max > 0 && bytes_max < UINT32_MAX);
    assert(values_max > 0);
    *scan = (struct json_scan){.bytes_max = bytes_max, .values_max = values_max};
    size_t values = (size_t)values_max + JSON_DEPTH_MAX;
    buffer_init(&scan->spans_memory, values * sizeof(struct json_span));
    buffer_init(&scan->keys_memory, values * sizeof(struct text));
    buffer_init(&scan->unescaped, bytes_max);
}

void json_scan_deinit(struct json_scan *scan)
{
    buffer_deinit(&scan->spans_memory);
    buffer_deinit(&scan->keys_memory);
    buffer_deinit(&scan->unescaped);
}

/* ---- tokens --------------------------------------------------------------------------------- */

static enum code scan_fail(struct json_scan *scan, enum code code)
{
    scan->error_offset = (size_t)(scan->at - scan->text);
    return code;
}

static void space_skip(struct json_scan *scan)
{
    const char *at = scan->at;
    while (at < scan->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    scan->at = at;
}

/* A string with its quotes; `inner` is what stands between them. */
static enum code string_scan(struct json_scan *scan, struct text *inner, bool *escaped)
{
    assert(scan->at < scan->end && *scan->at == '"');
    const char *start = ++scan->at;
    const char *at = start;
    bool has_escape = false;
    while (at < scan->end && *at != '"') {
        unsigned char c = (unsigned char)*at;
        size_t size = 1;
        if (c >= 0x80) {
            size = json_utf8_sequence(at, scan->end);
        } else if (c == '\\') {
            uint32_t character = 0;
            size = json_escape_read(at, scan->end, &character);
            has_escape = true;
        } else if (c < 0x20) {
            size = 0;
        }
        if (size == 0) {
            scan->at = at;
            return scan_fail(scan, CODE_MALFORMED_JSON);
        }
        at += size;
    }
    scan->at = at;
    if (at == scan->end) {
        return scan_fail(scan, CODE_MALFORMED_JSON);
    }
    scan->at++;
    *inner = (struct text){.data = start, .size = (size_t)(at - start)};
    *escaped = has_escape;
    return CODE_OK;
}

static enum code span_push(struct json_scan *scan, struct json_span span)
{
    if (!buffer_reserve(&scan->spans_memory, sizeof span)) {
        return scan_fail(scan, CODE_OVERLOADED);
    }
    memcpy(scan->spans_memory.data + scan->spans_memory.size, &span, sizeof span);
    scan->spans_memory.size += sizeof span;
    scan->spans_count++;
    return CODE_OK;
}

/* One or more digits; false where there is none. */
static bool digits_skip(struct json_scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && json_is_digit(*scan->at)) {
        scan->at++;
    }
    return scan->at > start;
}

static bool character_skip(struct json_scan *scan, char a, char b)
{
    if (scan->at < scan->end && (*scan->at == a || *scan->at == b)) {
        scan->at++;
        return true;
    }
    return false;
}

static enum code number_scan(struct json_scan *scan)
{
    const char *start = scan->at;
    character_skip(scan, '-', '-');
    bool valid = character_skip(scan, '0', '0') || digits_skip(scan);
    if (valid && character_skip(scan, '.', '.')) {
        valid = digits_skip(scan);
    }
    if (valid && character_skip(scan, 'e', 'E')) {
        character_skip(scan, '+', '-');
        valid = digits_skip(scan);
    }
    size_t size = (size_t)(scan->at - start);
    if (!valid || size > JSON_NUMBER_BYTES_MAX) {
        return scan_fail(scan, CODE_MALFORMED_JSON);
    }
    return span_push(
        scan, (struct json_span){.offset = (uint32_t)(start - scan->text), .size = (uint32_t)size});
}

static enum code word_scan(struct json_scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t left = (size_t)(scan->end - scan->at);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        size_t size = strlen(words[i]);
        if (left >= size && memcmp(scan->at, words[i], size) == 0) {
            scan->at += size;
            return CODE_OK;
        }
    }
    return scan_fail(scan, CODE_MALFORMED_JSON);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static struct text *keys_of(struct json_scan *scan, uint32_t begin)
{
    return (struct text *)(void *)scan->keys_memory.data + begin;
}

static uint32_t keys_count(const struct json_scan *scan)
{
    return (uint32_t)(scan->keys_memory.size / sizeof(struct text));
}

/* The key's characters, where it was written with escapes. */
static enum code key_unescape(struct json_scan *scan, struct text *key)
{
    struct buffer *out = &scan->unescaped;
    /* Room for all that can come, at once: earlier keys are pointed to and may not move. */
    if (out->size == 0 && !buffer_reserve(out, (size_t)(scan->end - scan->text))) {
        return scan_fail(scan, CODE_OVERLOADED);
    }
    size_t start = out->size;
    const char *end = key->data + key->size;
    for (const char *at = key->data; at < end;) {
        uint32_t character = 0;
        if (*at == '\\') {
            at += json_escape_read(at, end, &character);
            json_utf8_write(out, character);
        } else {
            write_u8(out, (uint8_t)*at++);
        }
    }
    assert(!out->failed);
    *key = (struct text){.data = (const char *)out->data + start, .size = out->size - start};
    return CODE_OK;
}

static enum code key_scan(struct json_scan *scan)
{
    struct json_frame *frame = &scan->frames[scan->depth - 1];
    const char *start = scan->at;
    struct text key;
    bool escaped = false;
    enum code code = string_scan(scan, &key, &escaped);
    if (code == CODE_OK && escaped) {
        code = key_unescape(scan, &key);
    }
    if (code != CODE_OK) {
        return code;
    }
    uint32_t count = keys_count(scan) - frame->keys_begin;
    if (count > 0 && count < KEYS_LINEAR_MAX) {
        const struct text *keys = keys_of(scan, frame->keys_begin);
        for (uint32_t i = 0; i < count; i++) {
            if (keys[i].size == key.size && memcmp(keys[i].data, key.data, key.size) == 0) {
                scan->at = start;
                return scan_fail(scan, CODE_DUPLICATE_KEY);
            }
        }
    }
    if (!buffer_reserve(&scan->keys_memory, sizeof key)) {
        return scan_fail(scan, CODE_OVERLOADED);
    }
    memcpy(scan->keys_memory.data + scan->keys_memory.size, &key, sizeof key);
    scan->keys_memory.size += sizeof key;
    space_skip(scan);
    if (!character_skip(scan, ':', ':')) {
        return scan_fail(scan, CODE_MALFORMED_JSON);
    }
    return CODE_OK;
}

static int key_compare(const void *a, const void *b)
{
    const struct text *left = a;
    const struct text *right = b;
    if (left->size != right->size) {
        return left->size < right->size ? -1 : 1;
    }
    return memcmp(left->data, right->data, left->size);
}

/* ---- containers ----------------------------------------------------------------------------- */

static enum code container_open(struct json_scan *scan, bool is_object)
{
    if (scan->depth == JSON_DEPTH_MAX) {
        return scan_fail(scan, CODE_NESTING_TOO_DEEP);
    }
    scan->frames[scan->depth++] = (struct json_frame){
        .is_object = is_object, .keys_begin = keys_count(scan), .span = scan->spans_count};
    if (is_object) {
        /* Its size is filled in when it closes; document order is the order of opening. */
        struct json_span span = {.offset = (uint32_t)(scan->at - scan->text)};
        enum code code = span_push(scan, span);
        if (code != CODE_OK) {
            return code;
        }
    }
    scan->at++;
    return CODE_OK;
}

static enum code container_close(struct json_scan *scan)
{
    assert(scan->depth > 0);
    const struct json_frame *frame = &scan->frames[--scan->depth];
    scan->at++;
    if (!frame->is_object) {
        return CODE_OK;
    }
    uint32_t count = keys_count(scan) - frame->keys_begin;
    if (count > KEYS_LINEAR_MAX) {
        struct text *keys = keys_of(scan, frame->keys_begin);
        qsort(keys, count, sizeof *keys, key_compare);
        for (uint32_t i = 1; i < count; i++) {
            if (key_compare(&keys[i - 1], &keys[i]) == 0) {
                return scan_fail(scan, CODE_DUPLICATE_KEY);
            }
        }
    }
    buffer_truncate(&scan->keys_memory, frame->keys_begin * sizeof(struct text));
    struct json_span *spans = (struct json_span *)(void *)scan->spans_memory.data;
    struct json_span *span = &spans[frame->span];
    span->size = (uint32_t)(scan->at - scan->text) - span->offset;
    return CODE_OK;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static enum code value_scan(struct json_scan *scan, enum want *want)
{
    if (++scan->values_count > scan->values_max) {
        return scan_fail(scan, CODE_INVALID_REQUEST);
    }
    char c = *scan->at;
    if (c == '{' || c == '[') {
        *want = c == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
        return container_open(scan, c == '{');
    }
    *want = WANT_COMMA_OR_END;
    if (c == '"') {
        struct text inner;
        bool escaped = false;
        return string_scan(scan, &inner, &escaped);
    }
    if (c == '-' || json_is_digit(c)) {
        return number_scan(scan);
    }
    return word_scan(scan);
}

static enum code comma_or_end_scan(struct json_scan *scan, enum want *want)
{
    const struct json_frame *frame = &scan->frames[scan->depth - 1];
    char c = *scan->at;
    if (c == ',') {
        scan->at++;
        *want = frame->is_object ? WANT_KEY : WANT_VALUE;
        return CODE_OK;
    }
    if (c != (frame->is_object ? '}' : ']')) {
        return scan_fail(scan, CODE_MALFORMED_JSON);
    }
    return container_close(scan);
}

static enum code token_scan(struct json_scan *scan, enum want *want)
{
    char c = *scan->at;
    switch (*want) {
    case WANT_KEY_OR_END:
    case WANT_VALUE_OR_END:
        if (c == '}' || c == ']') {
            enum want only = c == '}' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
            if (*want != only) {
                return scan_fail(scan, CODE_MALFORMED_JSON);
            }
            *want = WANT_COMMA_OR_END;
            return container_close(scan);
        }
        if (*want == WANT_VALUE_OR_END) {
            return value_scan(scan, want);
        }
        break;
    case WANT_VALUE:
        return value_scan(scan, want);
    case WANT_COMMA_OR_END:
        return comma_or_end_scan(scan, want);
    case WANT_KEY:
    case WANT_NOTHING:
        break;
    }
    assert(*want != WANT_NOTHING);
    if (c != '"') {
        return scan_fail(scan, CODE_MALFORMED_JSON);
    }
    *want = WANT_VALUE;
    return key_scan(scan);
}

enum code json_check(struct json_scan *scan, struct text text)
{
    assert(scan->bytes_max > 0);
    buffer_clear(&scan->spans_memory);
    buffer_clear(&scan->keys_memory);
    buffer_clear(&scan->unescaped);
    scan->depth = 0;
    scan->spans = NULL;
    scan->spans_count = 0;
    scan->values_count = 0;
    scan->error_offset = 0;
    scan->text = scan->at = text.data;
    if (text.size == 0) {
        return CODE_MALFORMED_JSON;
    }
    if (text.size > scan->bytes_max) {
        return CODE_INVALID_REQUEST;
    }
    scan->end = text.data + text.size;
    enum want want = WANT_VALUE;
    while (want != WANT_NOTHING) {
        space_skip(scan);
        if (scan->at == scan->end) {
            return scan_fail(scan, CODE_MALFORMED_JSON);
        }
        enum code code = token_scan(scan, &want);
        if (code != CODE_OK) {
            return code;
        }
        if (scan->depth == 0) {
            want = WANT_NOTHING;
        }
    }
    space_skip(scan);
    if (scan->at != scan->end) {
        return scan_fail(scan, CODE_MALFORMED_JSON);
    }
    scan->spans = (const struct json_span *)(const void *)scan->spans_memory.data;
    return CODE_OK;
}
