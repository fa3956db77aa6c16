/*
 * Rows by number, in front of a table of the write transaction: direct-mapped, since numbers are
 * dense. A row that changed stays here as dirty until it is written, before another one takes its
 * place or at the commit. Beside it, a hint from names to numbers.
 *
 * It knows no table: who uses it loads and writes the rows. Memory comes in chunks as rows come,
 * and is bounded by the number of slots.
 */
#ifndef LEDGER_CACHE_H
#define LEDGER_CACHE_H

#include "base/bytes.h"

struct cache_chunk;

struct cache {
    uint32_t slots_count; /* power of two */
    uint32_t value_bytes;
    struct cache_chunk **chunks;
    uint64_t *dirty;        /* one bit for each slot */
    uint64_t *named_number; /* by the hash of the name; 0: none */
    uint32_t dirty_count;
};

/* Takes no memory before the first row. A zeroed cache may be deinited. */
void cache_init(struct cache *cache, uint32_t slots_count, uint32_t value_bytes);
/* Forgets everything, dirty rows too, and may be used again as after init. */
void cache_clear(struct cache *cache);

/* The row of this number; NULL where it is not held. Valid until the next cache_place. */
void *cache_find(const struct cache *cache, uint64_t number);

/* The dirty row of another number where this one's would go, to be written first; 0: none. */
uint64_t cache_in_the_way(const struct cache *cache, uint64_t number, void **value);

/* The place for this number's row; a clean row there is forgotten. NULL: no memory. */
void *cache_place(struct cache *cache, uint64_t number);

/* The row, which is held, differs from its table; or no longer. */
void cache_set_dirty(struct cache *cache, uint64_t number, bool dirty);

/*
 * The next dirty row at or after slot *at, which moves behind it; 0 at the end. Rows come in the
 * order of their numbers, as long as there are no more rows than slots.
 */
uint64_t cache_next_dirty(const struct cache *cache, uint32_t *at, void **value);

/* The value of the next slot that has memory, also one without a row (zeroed then), and moves *at
 * behind it; NULL at the end. For values that own something. */
void *cache_next(const struct cache *cache, uint32_t *at);

/* The number that was noted last for a name with this hash, which may be another's; 0: none. */
uint64_t cache_named(const struct cache *cache, struct text name);
void cache_note_name(struct cache *cache, struct text name, uint64_t number);

#endif
