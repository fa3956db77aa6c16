/*
 * Characters and escapes inside JSON text. Private to gateway/json*.c.
 */
#ifndef GATEWAY_JSON_TEXT_H
#define GATEWAY_JSON_TEXT_H

#include "gateway/json.h"

bool json_is_digit(char c);

/* The length of the well-formed UTF-8 sequence of two to four bytes at `at`; 0 where it is none. */
size_t json_utf8_sequence(const char *at, const char *end);

/*
 * The escape that starts with the backslash at `at`: its length in the source and the character it
 * stands for. 0 where it is none, or where it stands for U+0000 or half a surrogate pair.
 */
size_t json_escape_read(const char *at, const char *end, uint32_t *character);

/* Appends a character other than U+0000 as UTF-8. */
void json_utf8_write(struct buffer *out, uint32_t character);

#endif
