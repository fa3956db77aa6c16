/*
 * Bytes of many sizes that leave in the order in which they came: chunks filled one after the
 * other, each tagged with its newest user, reused as a whole once that one is released.
 */
#ifndef LEDGER_ARENA_H
#define LEDGER_ARENA_H

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

enum { ARENA_CHUNK_BYTES = 256 * 1024 };

struct arena {
    struct list used; /* chunks, oldest first */
    struct list free;
    uint32_t chunks_count;
    uint32_t chunks_max;
};

void arena_init(struct arena *arena, uint32_t chunks_max);
void arena_deinit(struct arena *arena);

/* Copies size (at most ARENA_CHUNK_BYTES) bytes; tags never fall. NULL: no memory, or the bound. */
const void *arena_copy(struct arena *arena, const void *data, size_t size, uint64_t tag);

/* Gives back every chunk whose newest tag is at most this one. */
void arena_release(struct arena *arena, uint64_t tag);

#endif
