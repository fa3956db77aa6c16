/*
 * Bytes in, bytes out. A reader is a bounded cursor over borrowed bytes; a buffer owns bytes that
 * grow up to a maximum given at init. Both remember the first failure, so that a codec is written
 * as a straight list of calls and checked once at its end.
 *
 * All integers are little-endian; varint is LEB128 (7 bits a byte, least significant first), and
 * only its shortest form is accepted, so that equal values have equal bytes.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/check.h"
#include "base/status.h"
#include "base/u128.h"

#include <stddef.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

/* Borrowed text or bytes; not terminated. */
struct text {
    const char *data;
    size_t size;
};

#define TEXT(literal) ((struct text){.data = (literal), .size = sizeof(literal) - 1})

bool text_equal(struct text a, struct text b);
struct text text_of(const char *terminated);

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* something was missing or not in its shortest form; reads then give zeros */
};

struct reader reader_of(const void *data, size_t size);
static inline size_t reader_left(const struct reader *reader);
static inline uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
static inline uint64_t read_u64(struct reader *reader);
static inline uint64_t read_varint(struct reader *reader);
static inline u128 read_varint128(struct reader *reader);
/* size bytes, borrowed from the reader's source; NULL on failure. */
static inline const uint8_t *read_bytes(struct reader *reader, size_t size);
/* A varint length of at most size_max, then that many bytes. Empty on failure. */
struct text read_text(struct reader *reader, size_t size_max);

struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max;
    bool failed; /* no memory, or more than size_max: what was appended since is dropped */
};

/* Takes no memory before the first byte. A zeroed buffer may be deinited. */
void buffer_init(struct buffer *buffer, size_t size_max);
void buffer_deinit(struct buffer *buffer);
/* Forgets contents and failure, keeps the memory. */
void buffer_clear(struct buffer *buffer);
/* Cuts back to an earlier size (at most the present one). */
void buffer_truncate(struct buffer *buffer, size_t size);
/* Drops the first `size` bytes, moves the rest to the front. */
void buffer_consume(struct buffer *buffer, size_t size);
/* Room for size more bytes at data + size; false on failure. The caller then adds to ->size. */
static inline bool buffer_reserve(struct buffer *buffer, size_t size);
/* Exchanges two buffers, their bounds included. */
void buffer_swap(struct buffer *a, struct buffer *b);

static inline void write_u8(struct buffer *buffer, uint8_t value);
void write_u16(struct buffer *buffer, uint16_t value);
void write_u32(struct buffer *buffer, uint32_t value);
static inline void write_u64(struct buffer *buffer, uint64_t value);
static inline void write_varint(struct buffer *buffer, uint64_t value);
static inline void write_varint128(struct buffer *buffer, u128 value);
static inline void write_bytes(struct buffer *buffer, const void *data, size_t size);
/* A varint length, then the bytes. */
static inline void write_text(struct buffer *buffer, struct text text);
/* printf into the buffer, without a terminator. */
void write_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Overwrites bytes that were written before. */
static inline void put_u32(uint8_t *at, uint32_t value);
static inline void put_u64(uint8_t *at, uint64_t value);
static inline uint32_t get_u32(const uint8_t *at);
static inline uint64_t get_u64(const uint8_t *at);

/*
 * What follows is inline since every byte of every payment passes through it several times: the
 * frequent case stands here, the rare one in bytes.c.
 */
enum { VARINT128_BYTES_MAX = 19 }; /* 128 bits, 7 to a byte */

void reader_fail(struct reader *reader);
u128 reader_varint_long(struct reader *reader, unsigned bits);
bool buffer_reserve_more(struct buffer *buffer, size_t size);
void buffer_varint_long(struct buffer *buffer, u128 value);

static inline void put_u32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static inline void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline size_t reader_left(const struct reader *reader)
{
    assert(reader->at <= reader->end);
    return (size_t)(reader->end - reader->at);
}

/* A reader that has failed stands at its end: nothing is left. */
static inline const uint8_t *read_bytes(struct reader *reader, size_t size)
{
    if (size > reader_left(reader) || reader->failed) {
        reader_fail(reader);
        return NULL;
    }
    const uint8_t *bytes = reader->at;
    reader->at += size;
    return bytes;
}

static inline uint8_t read_u8(struct reader *reader)
{
    const uint8_t *at = read_bytes(reader, 1);
    return at != NULL ? at[0] : 0;
}

static inline uint64_t read_u64(struct reader *reader)
{
    const uint8_t *at = read_bytes(reader, sizeof(uint64_t));
    return at != NULL ? get_u64(at) : 0;
}

static inline u128 read_varint128(struct reader *reader)
{
    if (reader->at < reader->end && *reader->at < 0x80) {
        return *reader->at++;
    }
    return reader_varint_long(reader, 128);
}

static inline uint64_t read_varint(struct reader *reader)
{
    if (reader->at < reader->end && *reader->at < 0x80) {
        return *reader->at++;
    }
    return (uint64_t)reader_varint_long(reader, 64);
}

static inline bool buffer_reserve(struct buffer *buffer, size_t size)
{
    assert(buffer->size <= buffer->capacity);
    if (!buffer->failed && size <= buffer->capacity - buffer->size) {
        return true;
    }
    return buffer_reserve_more(buffer, size);
}

static inline void write_bytes(struct buffer *buffer, const void *data, size_t size)
{
    assert(data != NULL || size == 0);
    if (size == 0 || !buffer_reserve(buffer, size)) {
        return;
    }
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static inline void write_u8(struct buffer *buffer, uint8_t value)
{
    if (buffer_reserve(buffer, 1)) {
        buffer->data[buffer->size++] = value;
    }
}

static inline void write_u64(struct buffer *buffer, uint64_t value)
{
    write_bytes(buffer, &value, sizeof(value));
}

static inline void write_varint128(struct buffer *buffer, u128 value)
{
    if (value < 0x80) {
        write_u8(buffer, (uint8_t)value);
    } else {
        buffer_varint_long(buffer, value);
    }
}

static inline void write_varint(struct buffer *buffer, uint64_t value)
{
    write_varint128(buffer, value);
}

static inline void write_text(struct buffer *buffer, struct text text)
{
    write_varint(buffer, text.size);
    write_bytes(buffer, text.data, text.size);
}

#endif
