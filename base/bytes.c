/*
 * Readers and buffers. A reader that fails jumps to its end, so that loops over what is left always
 * finish; a buffer that fails keeps what it had and drops the rest, so that its owner can truncate
 * back and report.
 */
#include "base/bytes.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUFFER_FIRST_BYTES = 64, /* the first growth; smaller ones cost more calls than they save */
    FORMAT_STACK_BYTES = 512 /* most formatted pieces fit here and need no memory */
};

bool text_equal(struct text a, struct text b)
{
    assert(a.data != NULL || a.size == 0);
    assert(b.data != NULL || b.size == 0);
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

struct text text_of(const char *terminated)
{
    assert(terminated != NULL);
    return (struct text){.data = terminated, .size = strlen(terminated)};
}

struct reader reader_of(const void *data, size_t size)
{
    static const uint8_t nothing[1];
    assert(data != NULL || size == 0);
    const uint8_t *at = data != NULL ? data : nothing;
    return (struct reader){.at = at, .end = at + size, .failed = false};
}

void reader_fail(struct reader *reader)
{
    reader->failed = true;
    reader->at = reader->end;
}

uint16_t read_u16(struct reader *reader)
{
    const uint8_t *at = read_bytes(reader, 2);
    if (at == NULL) {
        return 0;
    }
    return (uint16_t)((unsigned)at[0] | (unsigned)at[1] << 8);
}

uint32_t read_u32(struct reader *reader)
{
    const uint8_t *at = read_bytes(reader, 4);
    return at != NULL ? get_u32(at) : 0;
}

/*
 * `bits` is the width of the value. A last byte of zero would be a longer form of the same value,
 * and bits shifted beyond the width would be lost: both fail.
 */
u128 reader_varint_long(struct reader *reader, unsigned bits)
{
    assert(bits == 64 || bits == 128);
    const u128 value_max = ~(u128)0 >> (128 - bits);
    u128 value = 0;
    for (unsigned shift = 0; shift < bits && !reader->failed; shift += 7) {
        uint8_t byte = read_u8(reader);
        u128 part = byte & 0x7f;
        if (part > value_max >> shift || (byte == 0 && shift > 0)) {
            break;
        }
        value |= part << shift;
        if ((byte & 0x80) == 0) {
            return reader->failed ? 0 : value;
        }
    }
    reader_fail(reader);
    return 0;
}

struct text read_text(struct reader *reader, size_t size_max)
{
    uint64_t size = read_varint(reader);
    if (reader->failed || size > size_max || size > reader_left(reader)) {
        reader_fail(reader);
        return (struct text){.data = "", .size = 0};
    }
    const uint8_t *bytes = read_bytes(reader, (size_t)size);
    assert(bytes != NULL);
    return (struct text){.data = (const char *)bytes, .size = (size_t)size};
}

void buffer_init(struct buffer *buffer, size_t size_max)
{
    assert(buffer != NULL);
    assert(size_max > 0);
    *buffer = (struct buffer){.size_max = size_max};
}

void buffer_deinit(struct buffer *buffer)
{
    assert(buffer->size <= buffer->capacity);
    free(buffer->data);
    *buffer = (struct buffer){.size_max = buffer->size_max};
}

void buffer_clear(struct buffer *buffer)
{
    assert(buffer->size <= buffer->capacity);
    buffer->size = 0;
    buffer->failed = false;
}

void buffer_truncate(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    buffer->size = size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    size_t rest = buffer->size - size;
    if (size > 0 && rest > 0) {
        memmove(buffer->data, buffer->data + size, rest);
    }
    buffer->size = rest;
}

static bool buffer_grow(struct buffer *buffer, size_t size_wanted)
{
    assert(size_wanted > buffer->capacity);
    assert(size_wanted <= buffer->size_max);
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_FIRST_BYTES;
    while (capacity < size_wanted) {
        capacity = capacity > buffer->size_max / 2 ? buffer->size_max : capacity * 2;
    }
    if (capacity > buffer->size_max) {
        capacity = buffer->size_max;
    }
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool buffer_reserve_more(struct buffer *buffer, size_t size)
{
    assert(buffer->size <= buffer->capacity);
    assert(buffer->capacity <= buffer->size_max);
    if (buffer->failed) {
        return false;
    }
    if (size <= buffer->capacity - buffer->size) {
        return true;
    }
    if (size > buffer->size_max - buffer->size || !buffer_grow(buffer, buffer->size + size)) {
        buffer->failed = true;
        return false;
    }
    return true;
}

void buffer_swap(struct buffer *a, struct buffer *b)
{
    assert(a != NULL && b != NULL);
    struct buffer held = *a;
    *a = *b;
    *b = held;
}

void write_u16(struct buffer *buffer, uint16_t value)
{
    uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    write_bytes(buffer, bytes, sizeof bytes);
}

void write_u32(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];
    put_u32(bytes, value);
    write_bytes(buffer, bytes, sizeof bytes);
}

void buffer_varint_long(struct buffer *buffer, u128 value)
{
    uint8_t bytes[VARINT128_BYTES_MAX];
    size_t size = 0;
    /* Most numbers have 64 bits: shifting 128 costs twice as much. */
    while (value > UINT64_MAX) {
        bytes[size++] = (uint8_t)((uint8_t)value | 0x80);
        value >>= 7;
    }
    uint64_t rest = (uint64_t)value;
    while (rest >= 0x80) {
        bytes[size++] = (uint8_t)((uint8_t)rest | 0x80);
        rest >>= 7;
    }
    bytes[size++] = (uint8_t)rest;
    assert(size <= sizeof bytes);
    write_bytes(buffer, bytes, size);
}

void write_format(struct buffer *buffer, const char *format, ...)
{
    assert(format != NULL);
    char on_stack[FORMAT_STACK_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(on_stack, sizeof on_stack, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    if ((size_t)size < sizeof on_stack) {
        write_bytes(buffer, on_stack, (size_t)size);
        return;
    }
    /* vsnprintf ends with a zero byte for which the bound of the buffer may leave no room. */
    char *whole = malloc((size_t)size + 1);
    if (whole == NULL) {
        buffer->failed = true;
        return;
    }
    va_start(arguments, format);
    int size_again = vsnprintf(whole, (size_t)size + 1, format, arguments);
    va_end(arguments);
    assert(size_again == size);
    write_bytes(buffer, whole, (size_t)size);
    free(whole);
}
