/*
 * Money: unsigned 128-bit minor units, never through a floating point number.
 * Amounts, counters and totals stay below AMOUNT_LIMIT = 2^126, so that each balance fits a signed
 * 128-bit number and the sum of two never wraps.
 */
#ifndef BASE_U128_H
#define BASE_U128_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

#define AMOUNT_LIMIT ((u128)1 << 126)

/* The longest decimal form of an i128 with sign and terminator: 1 + 39 + 1. */
enum { U128_TEXT_BYTES = 41 };

/* Writes decimal digits and a terminator; returns the length without it. */
size_t u128_format(u128 value, char text[U128_TEXT_BYTES]);
size_t i128_format(i128 value, char text[U128_TEXT_BYTES]);

/*
 * Parses exactly `size` bytes of [0-9]{1,38} without a leading zero ("0" itself is accepted).
 * Returns false on anything else; *value is then untouched. 38 digits always fit.
 */
bool u128_parse(const char *text, size_t size, u128 *value);

#endif
