/*
 * A hash map from short byte keys to values of one size, made for the overlay: every key carries
 * the tag of whoever wrote it last, and keys leave in the order of their tags.
 *
 * Open addressing over an array of nodes, so there is no allocation per key; memory grows by
 * doubling up to count_max keys and is kept for the next use. The hash is seeded at random, since
 * clients choose the keys; nothing ever depends on its order.
 */
#ifndef LEDGER_MAP_H
#define LEDGER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;

struct map {
    uint32_t key_bytes_max;
    uint32_t value_offset; /* of the value in a node */
    uint32_t node_bytes;
    uint32_t count_max;
    uint32_t count;
    uint64_t seed;
    struct map_slot *slots;
    uint32_t slots_count; /* power of two, or 0 before the first key */
    unsigned char *nodes; /* node 0 is never used: 0 means none */
    uint32_t nodes_used;
    uint32_t nodes_capacity;
    uint32_t free;   /* list of nodes that were given back */
    uint32_t oldest; /* list of all keys in the order of their tags */
    uint32_t newest;
};

/* Takes no memory before the first key. A zeroed map may be deinited. */
void map_init(struct map *map, uint32_t key_bytes_max, uint32_t value_bytes, uint32_t count_max);
void map_deinit(struct map *map);

/* The key's value, aligned for any type; NULL where it is absent. Valid until the next map_put. */
void *map_find(const struct map *map, const void *key, size_t key_size);

/*
 * The value of a key that is written under `tag`, which is never smaller than that of any key in
 * the map; the value of a new key is zeroed. NULL: no memory, or count_max keys.
 */
void *map_put(struct map *map, const void *key, size_t key_size, uint64_t tag);

/* Takes out every key whose last tag is at most this one. */
void map_release(struct map *map, uint64_t tag);

#endif
