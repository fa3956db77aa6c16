/*
 * Reading the fields of one JSON object strictly. A value that has a code of its own (ids, amounts,
 * times, cursors) is refused with that code whatever is wrong with it, its type included.
 */
#include "gateway/fields.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mutant.h"

#include <stdio.h>
#include <string.h>

void place_path(struct place place, const char *name, char *path, size_t path_size)
{
    assert(path_size > 0);
    char item[32] = "";
    char leg[32] = "";
    if (place.item >= 0) {
        (void)snprintf(item, sizeof item, "items[%d]", (int)place.item);
    }
    if (place.leg >= 0) {
        (void)snprintf(leg, sizeof leg, "%slegs[%d]", item[0] != '\0' ? "." : "", (int)place.leg);
    }
    const char *dot = name[0] != '\0' && (item[0] != '\0' || leg[0] != '\0') ? "." : "";
    /* Keys of the client may be long; the path is cut then (failure_set cuts it at a character). */
    (void)snprintf(path, path_size, "%s%s%s%s", item, leg, dot, name);
}

static void fail_at(struct fields *fields, const char *name, enum code code, const char *message)
{
    assert(code != CODE_OK);
    if (fields->code != CODE_OK) {
        return;
    }
    char path[2 * FAILURE_PARAM_BYTES_MAX];
    place_path(fields->place, name, path, sizeof path);
    fields->code = code;
    failure_set(fields->failure, code, path, message);
}

void fields_fail(struct fields *fields, uint32_t index, enum code code, const char *message)
{
    assert(index < fields->count);
    fail_at(fields, fields->specs[index].name, code, message);
}

struct fields fields_read(const struct value *object, const struct field_spec *specs,
                          uint32_t count, struct place place, struct failure *failure)
{
    assert(count <= FIELDS_MAX);
    struct fields fields = {.specs = specs, .count = count, .place = place, .failure = failure};
    if (object != NULL && value_kind(object) != VALUE_OBJECT) {
        fail_at(&fields, "", CODE_FIELD_INVALID, "must be an object");
        return fields;
    }
    const struct value *member = object == NULL ? NULL : value_first(object);
    for (; member != NULL; member = value_next(member)) {
        const char *name = value_name(member);
        uint32_t index = 0;
        while (index < count && strcmp(specs[index].name, name) != 0) {
            index++;
        }
        if (index == count) {
            fail_at(&fields, name, CODE_UNKNOWN_FIELD, NULL);
            return fields;
        }
        fields.values[index] = member;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (specs[i].required && fields.values[i] == NULL) {
            fields_fail(&fields, i, CODE_MISSING_FIELD, NULL);
        }
    }
    return fields;
}

bool fields_has(const struct fields *fields, uint32_t index)
{
    assert(index < fields->count);
    return fields->values[index] != NULL;
}

/* The value to read; NULL where it is absent or something failed before. */
static const struct value *value_at(const struct fields *fields, uint32_t index)
{
    assert(index < fields->count);
    return fields->code == CODE_OK ? fields->values[index] : NULL;
}

void fields_uuid(struct fields *fields, uint32_t index, struct uuid *uuid)
{
    const struct value *value = value_at(fields, index);
    if (value != NULL && !uuid_parse(value_text(value), uuid)) {
        fields_fail(fields, index, CODE_ID_INVALID, "must be a UUID");
    }
}

void fields_account_id(struct fields *fields, uint32_t index, struct text *id)
{
    const struct value *value = value_at(fields, index);
    if (value == NULL) {
        return;
    }
    struct text text = value_text(value);
    if (!account_id_valid(text)) {
        fields_fail(fields, index, CODE_ID_INVALID,
                    "an account id is 1 to 64 characters of A-Z a-z 0-9 : . _ -");
        return;
    }
    *id = text;
}

void fields_currency_code(struct fields *fields, uint32_t index, struct text *code)
{
    const struct value *value = value_at(fields, index);
    if (value == NULL) {
        return;
    }
    struct text text = value_text(value);
    if (!currency_code_valid(text)) {
        fields_fail(fields, index, CODE_ID_INVALID,
                    "a currency is 2 to 12 characters of A-Z 0-9 and starts with a letter");
        return;
    }
    *code = text;
}

enum code amount_read(const struct value *value, u128 *amount)
{
    if (value_kind(value) != VALUE_STRING) {
        return CODE_AMOUNT_NOT_STRING;
    }
    struct text text = value_text(value);
    u128 parsed = 0;
    if (!u128_parse(text.data, text.size, &parsed)) {
        return CODE_AMOUNT_INVALID;
    }
    if (parsed == 0) {
        return CODE_AMOUNT_ZERO;
    }
    if (parsed >= AMOUNT_LIMIT) {
        return CODE_AMOUNT_OUT_OF_RANGE;
    }
    *amount = MUTANT("amounts-as-doubles") ? (u128)(double)parsed : parsed;
    return CODE_OK;
}

void fields_amount(struct fields *fields, uint32_t index, u128 *amount)
{
    const struct value *value = value_at(fields, index);
    if (value == NULL) {
        return;
    }
    enum code code = amount_read(value, amount);
    if (code != CODE_OK) {
        fields_fail(fields, index, code, NULL);
    }
}

void fields_time(struct fields *fields, uint32_t index, int64_t *time_ns)
{
    const struct value *value = value_at(fields, index);
    if (value != NULL && !time_parse(value_text(value), time_ns)) {
        fields_fail(fields, index, CODE_TIMESTAMP_INVALID, NULL);
    }
}

void fields_integer(struct fields *fields, uint32_t index, int64_t min, int64_t max,
                    int64_t *integer)
{
    assert(min <= max);
    const struct value *value = value_at(fields, index);
    if (value == NULL) {
        return;
    }
    int64_t read = 0;
    if (!value_integer(value, &read) || read < min || read > max) {
        char message[96];
        (void)snprintf(message, sizeof message, "must be an integer from %lld to %lld",
                       (long long)min, (long long)max);
        fields_fail(fields, index, CODE_FIELD_INVALID, message);
        return;
    }
    *integer = read;
}

void fields_boolean(struct fields *fields, uint32_t index, bool *boolean)
{
    const struct value *value = value_at(fields, index);
    if (value != NULL && !value_boolean(value, boolean)) {
        fields_fail(fields, index, CODE_FIELD_INVALID, "must be true or false");
    }
}

void fields_string(struct fields *fields, uint32_t index, size_t size_max, struct text *text)
{
    const struct value *value = value_at(fields, index);
    if (value == NULL) {
        return;
    }
    struct text read = value_text(value);
    if (value_kind(value) != VALUE_STRING || read.size == 0 || read.size > size_max) {
        char message[96];
        (void)snprintf(message, sizeof message, "must be a string of 1 to %zu bytes", size_max);
        fields_fail(fields, index, CODE_FIELD_INVALID, message);
        return;
    }
    *text = read;
}

void fields_metadata(struct fields *fields, uint32_t index, struct text *source)
{
    const struct value *value = value_at(fields, index);
    if (value == NULL) {
        return;
    }
    if (value_kind(value) != VALUE_OBJECT) {
        fields_fail(fields, index, CODE_FIELD_INVALID, "must be an object");
        return;
    }
    struct text read = value_source(value);
    if (read.size > METADATA_BYTES_MAX) {
        fields_fail(fields, index, CODE_METADATA_TOO_LARGE, NULL);
        return;
    }
    *source = read;
}

void fields_cursor(struct fields *fields, uint32_t index, uint64_t *cursor)
{
    const struct value *value = value_at(fields, index);
    if (value == NULL || value_kind(value) == VALUE_NULL) {
        return;
    }
    struct text text = value_text(value);
    u128 read = 0;
    if (!u128_parse(text.data, text.size, &read) || read == 0 || read > UINT64_MAX) {
        fields_fail(fields, index, CODE_CURSOR_INVALID, NULL);
        return;
    }
    *cursor = (uint64_t)read;
}

void fields_choice(struct fields *fields, uint32_t index, const char *const *choices,
                   uint32_t choices_count, const char *message, uint32_t *choice)
{
    const struct value *value = value_at(fields, index);
    if (value == NULL) {
        return;
    }
    for (uint32_t i = 0; i < choices_count; i++) {
        if (value_kind(value) == VALUE_STRING &&
            text_equal(value_text(value), text_of(choices[i]))) {
            *choice = i;
            return;
        }
    }
    fields_fail(fields, index, CODE_FIELD_INVALID, message);
}
