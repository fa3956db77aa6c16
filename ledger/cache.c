#include "ledger/cache.h"

#include "base/check.h"

#include <stdlib.h>

enum {
    CHUNK_SLOTS = 1024, /* rows that get their memory together */
    WORD_BITS = 64,
    VALUE_ALIGN = 16 /* values hold 128-bit numbers */
};

/* Numbers, then values: a look-up that misses touches one line only. */
struct cache_chunk {
    uint64_t numbers[CHUNK_SLOTS]; /* 0: empty */
    _Alignas(VALUE_ALIGN) unsigned char values[];
};

static uint32_t slot_of(const struct cache *cache, uint64_t number)
{
    assert(number > 0);
    return (uint32_t)((number - 1) & (cache->slots_count - 1));
}

static void *value_at(const struct cache *cache, struct cache_chunk *chunk, uint32_t slot)
{
    return chunk->values + (size_t)(slot % CHUNK_SLOTS) * cache->value_bytes;
}

static bool is_dirty(const struct cache *cache, uint32_t slot)
{
    return (cache->dirty[slot / WORD_BITS] >> (slot % WORD_BITS) & 1) != 0;
}

void cache_init(struct cache *cache, uint32_t slots_count, uint32_t value_bytes)
{
    assert(slots_count >= CHUNK_SLOTS && (slots_count & (slots_count - 1)) == 0);
    assert(value_bytes > 0 && value_bytes % VALUE_ALIGN == 0);
    *cache = (struct cache){.slots_count = slots_count, .value_bytes = value_bytes};
}

void cache_clear(struct cache *cache)
{
    for (uint32_t i = 0; cache->chunks != NULL && i < cache->slots_count / CHUNK_SLOTS; i++) {
        free(cache->chunks[i]);
    }
    free(cache->chunks);
    free(cache->dirty);
    free(cache->named_number);
    *cache = (struct cache){.slots_count = cache->slots_count, .value_bytes = cache->value_bytes};
}

void *cache_find(const struct cache *cache, uint64_t number)
{
    if (cache->chunks == NULL || number == 0) {
        return NULL;
    }
    const uint32_t slot = slot_of(cache, number);
    struct cache_chunk *chunk = cache->chunks[slot / CHUNK_SLOTS];
    if (chunk == NULL || chunk->numbers[slot % CHUNK_SLOTS] != number) {
        return NULL;
    }
    return value_at(cache, chunk, slot);
}

uint64_t cache_in_the_way(const struct cache *cache, uint64_t number, void **value)
{
    const uint32_t slot = slot_of(cache, number);
    if (cache->chunks == NULL || !is_dirty(cache, slot)) {
        return 0;
    }
    struct cache_chunk *chunk = cache->chunks[slot / CHUNK_SLOTS];
    assert(chunk != NULL && chunk->numbers[slot % CHUNK_SLOTS] != 0);
    *value = value_at(cache, chunk, slot);
    const uint64_t held = chunk->numbers[slot % CHUNK_SLOTS];
    return held == number ? 0 : held;
}

static bool tables_take(struct cache *cache)
{
    if (cache->chunks != NULL) {
        return true;
    }
    cache->chunks = calloc(cache->slots_count / CHUNK_SLOTS, sizeof(struct cache_chunk *));
    cache->dirty = calloc(cache->slots_count / WORD_BITS, sizeof(*cache->dirty));
    cache->named_number = calloc(cache->slots_count, sizeof(*cache->named_number));
    if (cache->chunks == NULL || cache->dirty == NULL || cache->named_number == NULL) {
        cache_clear(cache);
        return false;
    }
    return true;
}

void *cache_place(struct cache *cache, uint64_t number)
{
    if (!tables_take(cache)) {
        return NULL;
    }
    const uint32_t slot = slot_of(cache, number);
    struct cache_chunk **chunk = &cache->chunks[slot / CHUNK_SLOTS];
    if (*chunk == NULL) {
        *chunk = calloc(1, sizeof(**chunk) + (size_t)CHUNK_SLOTS * cache->value_bytes);
        if (*chunk == NULL) {
            return NULL;
        }
    }
    uint64_t *held = &(*chunk)->numbers[slot % CHUNK_SLOTS];
    assert(*held == number || !is_dirty(cache, slot));
    *held = number;
    return value_at(cache, *chunk, slot);
}

void cache_set_dirty(struct cache *cache, uint64_t number, bool dirty)
{
    assert(cache_find(cache, number) != NULL);
    const uint32_t slot = slot_of(cache, number);
    if (is_dirty(cache, slot) == dirty) {
        return;
    }
    cache->dirty[slot / WORD_BITS] ^= (uint64_t)1 << (slot % WORD_BITS);
    assert(dirty || cache->dirty_count > 0);
    cache->dirty_count += dirty ? 1 : UINT32_MAX;
}

uint64_t cache_next_dirty(const struct cache *cache, uint32_t *at, void **value)
{
    if (cache->chunks == NULL || cache->dirty_count == 0) {
        return 0;
    }
    while (*at < cache->slots_count) {
        const uint32_t slot = *at;
        const uint64_t word = cache->dirty[slot / WORD_BITS] >> (slot % WORD_BITS);
        if (word == 0) {
            *at = (slot / WORD_BITS + 1) * WORD_BITS;
        } else if ((word & 1) == 0) {
            *at += (uint32_t)__builtin_ctzll(word);
        } else {
            *at = slot + 1;
            struct cache_chunk *chunk = cache->chunks[slot / CHUNK_SLOTS];
            *value = value_at(cache, chunk, slot);
            return chunk->numbers[slot % CHUNK_SLOTS];
        }
    }
    return 0;
}

void *cache_next(const struct cache *cache, uint32_t *at)
{
    while (cache->chunks != NULL && *at < cache->slots_count) {
        const uint32_t slot = *at;
        struct cache_chunk *chunk = cache->chunks[slot / CHUNK_SLOTS];
        if (chunk != NULL) {
            *at = slot + 1;
            return value_at(cache, chunk, slot);
        }
        *at = (slot / CHUNK_SLOTS + 1) * CHUNK_SLOTS;
    }
    return NULL;
}

/* Whoever chooses names that meet here only loses the hint. */
static uint32_t name_slot(const struct cache *cache, struct text name)
{
    uint64_t hash = name.size;
    const char *at = name.data;
    size_t left = name.size;
    for (; left > 0;) {
        uint64_t word = 0;
        const size_t size = left < sizeof(word) ? left : sizeof(word);
        memcpy(&word, at, size);
        const u128 product = (u128)(hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
        at += size;
        left -= size;
    }
    return (uint32_t)(hash & (cache->slots_count - 1));
}

uint64_t cache_named(const struct cache *cache, struct text name)
{
    return cache->named_number == NULL ? 0 : cache->named_number[name_slot(cache, name)];
}

void cache_note_name(struct cache *cache, struct text name, uint64_t number)
{
    assert(number > 0);
    if (cache->named_number != NULL) {
        cache->named_number[name_slot(cache, name)] = number;
    }
}
