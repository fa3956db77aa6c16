/*
 * Characters, escapes and integers of JSON text.
 */
#include "gateway/json_text.h"

#include "base/check.h"

#include <string.h>

bool json_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t json_utf8_sequence(const char *at, const char *end)
{
    assert(at < end);
    unsigned char lead = (unsigned char)at[0];
    size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || (size_t)(end - at) < size) {
        return 0;
    }
    /* The second byte carries the rules against overlong forms, surrogates and > U+10FFFF. */
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    unsigned char second = (unsigned char)at[1];
    if (second < low || second > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (((unsigned char)at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool json_utf8_valid(struct text text)
{
    const char *at = text.data;
    const char *end = text.data + text.size;
    while (at < end) {
        size_t size = (unsigned char)*at < 0x80 ? 1 : json_utf8_sequence(at, end);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

/* The four hexadecimal digits at `at`; false where they are not there. */
static bool hex4_read(const char *at, const char *end, uint32_t *value)
{
    if (end - at < 4) {
        return false;
    }
    uint32_t result = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit;
        if (json_is_digit(c)) {
            digit = (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (uint32_t)(c - 'a') + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = (uint32_t)(c - 'A') + 10;
        } else {
            return false;
        }
        result = result * 16 + digit;
    }
    *value = result;
    return true;
}

size_t json_escape_read(const char *at, const char *end, uint32_t *character)
{
    assert(at < end && *at == '\\');
    if (end - at < 2) {
        return 0;
    }
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter = at[1] == 0 ? NULL : strchr(letters, at[1]);
    if (letter != NULL) {
        *character = (unsigned char)meanings[letter - letters];
        return 2;
    }
    uint32_t high = 0;
    if (at[1] != 'u' || !hex4_read(at + 2, end, &high) || high == 0) {
        return 0;
    }
    if (high < 0xD800 || high > 0xDFFF) {
        *character = high;
        return 6;
    }
    uint32_t low = 0;
    if (high > 0xDBFF || end - at < 12 || at[6] != '\\' || at[7] != 'u' ||
        !hex4_read(at + 8, end, &low) || low < 0xDC00 || low > 0xDFFF) {
        return 0;
    }
    *character = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    return 12;
}

void json_utf8_write(struct buffer *out, uint32_t character)
{
    assert(character > 0 && character <= 0x10FFFF);
    if (character < 0x80) {
        write_u8(out, (uint8_t)character);
    } else if (character < 0x800) {
        write_u8(out, (uint8_t)(0xC0 | character >> 6));
        write_u8(out, (uint8_t)(0x80 | (character & 0x3F)));
    } else if (character < 0x10000) {
        write_u8(out, (uint8_t)(0xE0 | character >> 12));
        write_u8(out, (uint8_t)(0x80 | (character >> 6 & 0x3F)));
        write_u8(out, (uint8_t)(0x80 | (character & 0x3F)));
    } else {
        write_u8(out, (uint8_t)(0xF0 | character >> 18));
        write_u8(out, (uint8_t)(0x80 | (character >> 12 & 0x3F)));
        write_u8(out, (uint8_t)(0x80 | (character >> 6 & 0x3F)));
        write_u8(out, (uint8_t)(0x80 | (character & 0x3F)));
    }
}

bool json_integer_parse(struct text number, int64_t *value)
{
    size_t sign = number.size > 0 && number.data[0] == '-' ? 1 : 0;
    size_t digits = number.size - sign;
    /* 2^53 has 16 digits. */
    if (digits == 0 || digits > 16 || (number.data[sign] == '0' && digits > 1)) {
        return false;
    }
    int64_t result = 0;
    for (size_t i = sign; i < number.size; i++) {
        if (!json_is_digit(number.data[i])) {
            return false;
        }
        result = result * 10 + (number.data[i] - '0');
    }
    if (result > JSON_INTEGER_MAX) {
        return false;
    }
    *value = sign == 1 ? -result : result;
    return true;
}
