/*
 * Reading the named fields of one JSON object against a table of what may be there. The same tables
 * make the OpenRPC document. Private to gateway/method_*.c and gateway/discover.c.
 *
 * A reader remembers its first failure (like base/bytes.h), so that a parser is a straight list of
 * calls, checked once at its end. Order of checks within an object: unknown fields, missing fields,
 * fields that exclude each other, then values in the order in which the parser asks.
 */
#ifndef GATEWAY_FIELDS_H
#define GATEWAY_FIELDS_H

#include "gateway/message.h"
#include "ledger/types.h"

enum field_type {
    TYPE_UUID,
    TYPE_ACCOUNT_ID,
    TYPE_CURRENCY_CODE,
    TYPE_AMOUNT,       /* a positive amount */
    TYPE_BALANCE,      /* any amount, also negative or zero (results) */
    TYPE_BALANCE_NULL, /* or null (available of an unlimited account) */
    TYPE_OVERDRAFT,
    TYPE_NORMAL,
    TYPE_TIME,
    TYPE_REFERENCE,
    TYPE_METADATA,
    TYPE_LEGS,
    TYPE_ITEMS,
    TYPE_MODE,
    TYPE_SCALE,
    TYPE_LIMIT,
    TYPE_CURSOR,
    TYPE_INTEGER,
    TYPE_INTEGER_NULL,
    TYPE_BOOLEAN,
    TYPE_STRING,
    TYPE_DIGEST,
    TYPE_ARRAY,
    TYPE_OBJECT
};

struct field_spec {
    const char *name;
    enum field_type type;
    bool required;
    const char *text; /* one phrase for the documents */
};

/* Where an object stands in the params; -1: not in an array. Makes paths: items[3].legs[2].debit */
struct place {
    int32_t item;
    int32_t leg;
};

#define PLACE_TOP ((struct place){.item = -1, .leg = -1})

enum { FIELDS_MAX = 16 };

struct fields {
    enum code code; /* CODE_OK, or the first failure (then *failure is set) */
    const struct field_spec *specs;
    uint32_t count;
    struct place place;
    struct failure *failure;
    const struct value *values[FIELDS_MAX]; /* by index in specs; NULL: absent */
};

/* object NULL is an empty one. Refuses unknown and missing fields. */
struct fields fields_read(const struct value *object, const struct field_spec *specs,
                          uint32_t count, struct place place, struct failure *failure);

bool fields_has(const struct fields *fields, uint32_t index);
/* The first failure stays; message NULL: the code's own text. */
void fields_fail(struct fields *fields, uint32_t index, enum code code, const char *message);
/* The path of a field at a place; name "" gives the place itself ("items[3]"). */
void place_path(struct place place, const char *name, char *path, size_t path_size);

/*
 * Each reads a field that is present; absent ones leave the target as it was, and so does a
 * failure. Texts are borrowed from the message.
 */
void fields_uuid(struct fields *fields, uint32_t index, struct uuid *uuid);
void fields_account_id(struct fields *fields, uint32_t index, struct text *id);
void fields_currency_code(struct fields *fields, uint32_t index, struct text *code);
void fields_amount(struct fields *fields, uint32_t index, u128 *amount);
void fields_time(struct fields *fields, uint32_t index, int64_t *time_ns);
void fields_integer(struct fields *fields, uint32_t index, int64_t min, int64_t max,
                    int64_t *integer);
void fields_boolean(struct fields *fields, uint32_t index, bool *boolean);
void fields_string(struct fields *fields, uint32_t index, size_t size_max, struct text *text);
void fields_metadata(struct fields *fields, uint32_t index, struct text *source);
void fields_cursor(struct fields *fields, uint32_t index, uint64_t *cursor);
/* Index of the string among the choices. */
void fields_choice(struct fields *fields, uint32_t index, const char *const *choices,
                   uint32_t choices_count, const char *message, uint32_t *choice);

/* An amount as a JSON value; CODE_OK or the amount's own code. Also for overdraft limits. */
enum code amount_read(const struct value *value, u128 *amount);

#endif
