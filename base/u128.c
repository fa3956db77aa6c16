/* Decimal text of 128-bit integers, exact in both directions. */
#include "base/u128.h"

#include "base/check.h"
#include "base/limits.h"

#include <string.h>

/* 10^38 - 1 is below 2^127, so that AMOUNT_DIGITS_MAX digits never wrap. */
static_assert(AMOUNT_DIGITS_MAX == 38, "u128_parse relies on 38 digits fitting");

size_t u128_format(u128 value, char text[U128_TEXT_BYTES])
{
    assert(text != NULL);
    char digits[U128_TEXT_BYTES];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    /* 64-bit divisions are several times faster than 128-bit ones, and most amounts are small. */
    while (value > UINT64_MAX) {
        digits[--at] = (char)('0' + (int)(value % 10));
        value /= 10;
    }
    uint64_t low = (uint64_t)value;
    do {
        assert(at > 0);
        digits[--at] = (char)('0' + (int)(low % 10));
        low /= 10;
    } while (low != 0);
    size_t size = sizeof digits - at;
    memcpy(text, digits + at, size);
    return size - 1;
}

size_t i128_format(i128 value, char text[U128_TEXT_BYTES])
{
    assert(text != NULL);
    if (value >= 0) {
        return u128_format((u128)value, text);
    }
    /* Negated as unsigned, since the smallest i128 has no positive counterpart. */
    char digits[U128_TEXT_BYTES];
    size_t size = u128_format(~(u128)value + 1, digits);
    assert(size + 2 <= U128_TEXT_BYTES);
    text[0] = '-';
    memcpy(text + 1, digits, size + 1);
    return size + 1;
}

bool u128_parse(const char *text, size_t size, u128 *value)
{
    assert(text != NULL || size == 0);
    assert(value != NULL);
    if (size == 0 || size > AMOUNT_DIGITS_MAX) {
        return false;
    }
    if (text[0] == '0' && size > 1) {
        return false;
    }
    u128 sum = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        sum = sum * 10 + (unsigned)(text[i] - '0');
    }
    *value = sum;
    return true;
}
