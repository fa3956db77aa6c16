/*
 * One pass over the outermost object. Everything unusual ends it: an array, a key or value with an
 * escape, a second id, characters beyond ASCII, bytes behind the end.
 */
#include "gateway/glance.h"

#include "base/check.h"
#include "gateway/json_text.h"

#include <string.h>

struct look {
    const char *at;
    const char *end;
    bool has_version, has_id, has_method;
    struct request_id id;
    struct text method;
};

static void space_skip(struct look *look)
{
    while (look->at < look->end &&
           (*look->at == ' ' || *look->at == '\n' || *look->at == '\r' || *look->at == '\t')) {
        look->at++;
    }
}

/* Steps over this character, and space before and behind it. */
static bool mark_take(struct look *look, char mark)
{
    space_skip(look);
    if (look->at == look->end || *look->at != mark) {
        return false;
    }
    look->at++;
    space_skip(look);
    return true;
}

/* A string of printable ASCII without escapes. */
static bool string_take(struct look *look, struct text *string)
{
    if (look->at == look->end || *look->at != '"') {
        return false;
    }
    const char *begin = look->at + 1;
    const char *at = begin;
    while (at < look->end && *at != '"') {
        if (*at < 0x20 || *at > 0x7e || *at == '\\') {
            return false;
        }
        at++;
    }
    if (at == look->end) {
        return false;
    }
    *string = (struct text){.data = begin, .size = (size_t)(at - begin)};
    look->at = at + 1;
    return true;
}

/* Steps over a string of any kind; `at` stands behind its first quote. */
static bool string_skip(struct look *look)
{
    while (look->at < look->end && *look->at != '"') {
        look->at += *look->at == '\\' && look->at + 1 < look->end ? 2 : 1;
    }
    if (look->at == look->end) {
        return false;
    }
    look->at++;
    return true;
}

/* Steps over a value up to the comma or bracket that ends it. */
static bool value_skip(struct look *look)
{
    uint32_t depth = 0;
    while (look->at < look->end) {
        const char c = *look->at;
        if (depth == 0 && (c == ',' || c == '}')) {
            return true;
        }
        look->at++;
        if (c == '"') {
            if (!string_skip(look)) {
                return false;
            }
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return false;
            }
            depth--;
        }
    }
    return false;
}

static bool id_take(struct look *look)
{
    struct text text;
    struct request_id *id = &look->id;
    if (look->at < look->end && *look->at == '"') {
        id->kind = REQUEST_ID_STRING;
        if (!string_take(look, &text)) {
            return false;
        }
    } else {
        const char *begin = look->at;
        while (look->at < look->end && (json_is_digit(*look->at) || *look->at == '-')) {
            look->at++;
        }
        int64_t integer = 0;
        text = (struct text){.data = begin, .size = (size_t)(look->at - begin)};
        id->kind = REQUEST_ID_INTEGER;
        if (text.size == 0 || text.size > JSON_NUMBER_BYTES_MAX ||
            !json_integer_parse(text, &integer)) {
            return false;
        }
    }
    if (text.size > REQUEST_ID_BYTES_MAX) {
        return false;
    }
    memcpy(id->text, text.data, text.size);
    id->size = (uint8_t)text.size;
    return true;
}

/* The value of a key; false where it is none that the glance understands. */
static bool member_take(struct look *look, struct text key)
{
    if (text_equal(key, TEXT("id"))) {
        const bool first = !look->has_id;
        look->has_id = true;
        return first && id_take(look);
    }
    if (text_equal(key, TEXT("method"))) {
        const bool first = !look->has_method;
        look->has_method = true;
        return first && string_take(look, &look->method);
    }
    if (text_equal(key, TEXT("jsonrpc"))) {
        struct text version;
        const bool first = !look->has_version;
        look->has_version = true;
        return first && string_take(look, &version) && text_equal(version, TEXT("2.0"));
    }
    return value_skip(look);
}

bool glance(struct text text, struct request_id *id, struct text *method)
{
    assert(text.data != NULL || text.size == 0);
    struct look look = {.at = text.data, .end = text.data + text.size};
    if (!mark_take(&look, '{')) {
        return false;
    }
    do {
        struct text key;
        if (!string_take(&look, &key) || !mark_take(&look, ':') || !member_take(&look, key)) {
            return false;
        }
    } while (mark_take(&look, ','));
    if (!mark_take(&look, '}') || look.at != look.end) {
        return false;
    }
    if (!look.has_version || !look.has_id || !look.has_method) {
        return false;
    }
    *id = look.id;
    *method = look.method;
    return true;
}
