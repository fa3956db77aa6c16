#include "ledger/arena.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct arena_chunk {
    struct list node;
    uint64_t tag;
    size_t used;
    unsigned char bytes[ARENA_CHUNK_BYTES];
};

static struct arena_chunk *chunk_of(struct list *node)
{
    return CONTAINER_OF(node, struct arena_chunk, node);
}

void arena_init(struct arena *arena, uint32_t chunks_max)
{
    assert(chunks_max > 0);
    list_init(&arena->used);
    list_init(&arena->free);
    arena->chunks_count = 0;
    arena->chunks_max = chunks_max;
}

void arena_deinit(struct arena *arena)
{
    list_move_all(&arena->free, &arena->used);
    for (struct list *node = list_pop(&arena->free); node != NULL; node = list_pop(&arena->free)) {
        free(chunk_of(node));
    }
    arena->chunks_count = 0;
}

static struct arena_chunk *chunk_take(struct arena *arena)
{
    struct list *node = list_pop(&arena->free);
    struct arena_chunk *chunk = NULL;
    if (node != NULL) {
        chunk = chunk_of(node);
    } else if (arena->chunks_count < arena->chunks_max) {
        chunk = malloc(sizeof(*chunk));
    }
    if (chunk == NULL) {
        return NULL;
    }
    if (node == NULL) {
        arena->chunks_count++;
    }
    chunk->used = 0;
    list_push(&arena->used, &chunk->node);
    return chunk;
}

const void *arena_copy(struct arena *arena, const void *data, size_t size, uint64_t tag)
{
    assert(size <= ARENA_CHUNK_BYTES);
    struct arena_chunk *chunk = NULL;
    if (!list_empty(&arena->used)) {
        chunk = chunk_of(arena->used.previous);
        assert(chunk->tag <= tag);
    }
    if (chunk == NULL || sizeof(chunk->bytes) - chunk->used < size) {
        chunk = chunk_take(arena);
    }
    if (chunk == NULL) {
        return NULL;
    }
    unsigned char *copy = chunk->bytes + chunk->used;
    if (size > 0) {
        memcpy(copy, data, size);
    }
    chunk->used += size;
    chunk->tag = tag;
    return copy;
}

void arena_release(struct arena *arena, uint64_t tag)
{
    while (!list_empty(&arena->used) && chunk_of(arena->used.next)->tag <= tag) {
        list_push(&arena->free, list_pop(&arena->used));
    }
}
