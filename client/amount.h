/*
 * Amounts as people write them: "19.99 EUR" is 1999 minor units of a currency with scale 2. Exact
 * in both directions; no rounding, no floating point.
 */
#ifndef CLIENT_AMOUNT_H
#define CLIENT_AMOUNT_H

#include "base/bytes.h"
#include "base/limits.h"

enum amount_error {
    AMOUNT_OK,
    AMOUNT_SYNTAX,      /* not digits with at most one point */
    AMOUNT_TOO_PRECISE, /* more decimals than the currency has */
    AMOUNT_TOO_LARGE    /* 2^126 minor units or more */
};

/* (0|[1-9][0-9]*)(\.[0-9]+)? ; "0" is fine here. */
enum amount_error MUST_CHECK amount_parse(struct text text, uint8_t scale, u128 *minor);
/* A sentence for people, without the amount. */
const char *amount_error_text(enum amount_error error);

/* Sign, 39 digits, point, leading zero, terminator. */
enum { AMOUNT_TEXT_BYTES = 48 };
void amount_format(i128 minor, uint8_t scale, char text[AMOUNT_TEXT_BYTES]);

/* Splits "19.99 EUR" at its blanks; false where it is not two words. */
bool money_split(struct text text, struct text *number, struct text *currency);

/* The decimal integer of a JSON string: -?[0-9]{1,38} without leading zeros. */
bool i128_parse(struct text text, i128 *value);

#endif
