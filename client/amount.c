#include "client/amount.h"

#include "base/check.h"

#include <string.h>

enum amount_error amount_parse(struct text text, uint8_t scale, u128 *minor)
{
    assert(scale <= CURRENCY_SCALE_MAX);
    u128 value = 0;
    size_t whole = 0;    /* digits before the point */
    size_t decimals = 0; /* and after it */
    bool point = false;
    bool large = false;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '.' && !point && whole > 0) {
            point = true;
            continue;
        }
        if (byte < '0' || byte > '9') {
            return AMOUNT_SYNTAX;
        }
        if (point) {
            decimals += 1;
        } else {
            whole += 1;
        }
        /* Up to 2^126 / 10, ten times the value and a digit still fit 128 bits. */
        const u128 digit = (uint8_t)(byte - '0');
        large = large || value > AMOUNT_LIMIT / 10;
        value = large ? value : (u128)(value * 10 + digit);
    }
    if (whole == 0 || (point && decimals == 0) || (whole > 1 && text.data[0] == '0')) {
        return AMOUNT_SYNTAX;
    }
    if (decimals > scale) {
        return AMOUNT_TOO_PRECISE;
    }
    for (size_t i = decimals; i < scale && !large && value > 0; i++) {
        large = value > AMOUNT_LIMIT / 10;
        value = large ? value : (u128)(value * 10);
    }
    if (large || value >= AMOUNT_LIMIT) {
        return AMOUNT_TOO_LARGE;
    }
    *minor = value;
    return AMOUNT_OK;
}

const char *amount_error_text(enum amount_error error)
{
    switch (error) {
    case AMOUNT_OK:
        return "fine";
    case AMOUNT_SYNTAX:
        return "an amount is digits with at most one point, like 19.99";
    case AMOUNT_TOO_PRECISE:
        return "more decimals than the currency has";
    case AMOUNT_TOO_LARGE:
        return "too large: an amount stays below 2^126 minor units";
    }
    assert(false);
    return "";
}

void amount_format(i128 minor, uint8_t scale, char text[AMOUNT_TEXT_BYTES])
{
    assert(scale <= CURRENCY_SCALE_MAX);
    const bool negative = minor < 0;
    /* Negating in unsigned arithmetic is defined for every value. */
    u128 value = negative ? (u128)0 - (u128)minor : (u128)minor;
    char reversed[AMOUNT_TEXT_BYTES];
    size_t size = 0;
    /* At least one digit stands before the point. */
    for (size_t digits = 0; value > 0 || digits <= scale; digits++) {
        if (digits == scale && scale > 0) {
            reversed[size] = '.';
            size += 1;
        }
        reversed[size] = (char)('0' + (int)(value % 10));
        size += 1;
        value /= 10;
    }
    size_t at = 0;
    if (negative) {
        text[at] = '-';
        at += 1;
    }
    assert(at + size < AMOUNT_TEXT_BYTES);
    while (size > 0) {
        size -= 1;
        text[at] = reversed[size];
        at += 1;
    }
    text[at] = '\0';
}

static size_t blanks(struct text text, size_t at)
{
    size_t count = 0;
    while (at + count < text.size && text.data[at + count] == ' ') {
        count += 1;
    }
    return count;
}

static size_t word(struct text text, size_t at)
{
    size_t count = 0;
    while (at + count < text.size && text.data[at + count] != ' ') {
        count += 1;
    }
    return count;
}

bool money_split(struct text text, struct text *number, struct text *currency)
{
    size_t at = blanks(text, 0);
    const struct text first = {text.data + at, word(text, at)};
    at += first.size;
    at += blanks(text, at);
    const struct text second = {text.data + at, word(text, at)};
    at += second.size;
    at += blanks(text, at);
    if (first.size == 0 || second.size == 0 || at != text.size) {
        return false;
    }
    *number = first;
    *currency = second;
    return true;
}

bool i128_parse(struct text text, i128 *value)
{
    const bool negative = text.size > 0 && text.data[0] == '-';
    const size_t skip = negative ? 1 : 0;
    u128 size = 0;
    if (!u128_parse(text.data + skip, text.size - skip, &size)) {
        return false;
    }
    /* 38 digits stay below 2^127. */
    *value = negative ? -(i128)size : (i128)size;
    return true;
}
