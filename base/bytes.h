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

#include "base/status.h"
#include "base/u128.h"

#include <stddef.h>

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
size_t reader_left(const struct reader *reader);
uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
uint64_t read_varint(struct reader *reader);
u128 read_varint128(struct reader *reader);
/* size bytes, borrowed from the reader's source; NULL on failure. */
const uint8_t *read_bytes(struct reader *reader, size_t size);
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
bool buffer_reserve(struct buffer *buffer, size_t size);
/* Exchanges two buffers, their bounds included. */
void buffer_swap(struct buffer *a, struct buffer *b);

void write_u8(struct buffer *buffer, uint8_t value);
void write_u16(struct buffer *buffer, uint16_t value);
void write_u32(struct buffer *buffer, uint32_t value);
void write_u64(struct buffer *buffer, uint64_t value);
void write_varint(struct buffer *buffer, uint64_t value);
void write_varint128(struct buffer *buffer, u128 value);
void write_bytes(struct buffer *buffer, const void *data, size_t size);
/* A varint length, then the bytes. */
void write_text(struct buffer *buffer, struct text text);
/* printf into the buffer, without a terminator. */
void write_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Overwrites bytes that were written before. */
void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);
uint32_t get_u32(const uint8_t *at);
uint64_t get_u64(const uint8_t *at);

#endif
