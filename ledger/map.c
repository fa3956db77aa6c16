#include "ledger/map.h"

#include "base/check.h"
#include "base/crypto.h"
#include "base/u128.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAP_ALIGN = 16,        /* of values: they hold 128-bit numbers */
    MAP_NODES_MIN = 64,    /* first allocation */
    MAP_SLOTS_PER_NODE = 2 /* at most half of the slots are taken: probes stay short */
};

struct map_slot {
    uint32_t hash;
    uint32_t node; /* 0: empty */
};

struct map_node {
    uint32_t older;
    uint32_t newer; /* also links the free list */
    uint64_t tag;
    uint32_t hash;
    uint32_t key_size;
    unsigned char key[];
};

static struct map_node *node_at(const struct map *map, uint32_t index)
{
    assert(index != 0 && index < map->nodes_used);
    return (struct map_node *)(void *)(map->nodes + (size_t)index * map->node_bytes);
}

static void *node_value(const struct map *map, struct map_node *node)
{
    return (unsigned char *)node + map->value_offset;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    const u128 product = (u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_of(const struct map *map, const unsigned char *key, size_t size)
{
    uint64_t state = map->seed ^ size;
    uint64_t word;
    for (; size >= sizeof(word); size -= sizeof(word), key += sizeof(word)) {
        memcpy(&word, key, sizeof(word));
        state = mix(state ^ word, 0x9e3779b97f4a7c15U);
    }
    word = 0;
    memcpy(&word, key, size);
    return (uint32_t)mix(state ^ word, map->seed | 1);
}

static uint32_t round_up(uint32_t size)
{
    return (size + MAP_ALIGN - 1) / MAP_ALIGN * MAP_ALIGN;
}

void map_init(struct map *map, uint32_t key_bytes_max, uint32_t value_bytes, uint32_t count_max)
{
    assert(key_bytes_max > 0 && value_bytes > 0);
    assert(count_max > 0 && count_max < UINT32_MAX / 4);
    const uint32_t offset = round_up((uint32_t)sizeof(struct map_node) + key_bytes_max);
    *map = (struct map){.key_bytes_max = key_bytes_max,
                        .value_offset = offset,
                        .node_bytes = offset + round_up(value_bytes),
                        .count_max = count_max,
                        .nodes_used = 1};
    random_bytes(&map->seed, sizeof(map->seed));
}

void map_deinit(struct map *map)
{
    free(map->slots);
    free(map->nodes);
    *map = (struct map){0};
}

/* The slot that holds the key, or the empty one where it would go. */
static uint32_t slot_find(const struct map *map, uint32_t hash, const void *key, size_t key_size)
{
    assert(map->slots_count > map->count);
    const uint32_t mask = map->slots_count - 1;
    uint32_t at = hash & mask;
    for (; map->slots[at].node != 0; at = (at + 1) & mask) {
        if (map->slots[at].hash != hash) {
            continue;
        }
        const struct map_node *node = node_at(map, map->slots[at].node);
        if (node->key_size == key_size && memcmp(node->key, key, key_size) == 0) {
            break;
        }
    }
    return at;
}

void *map_find(const struct map *map, const void *key, size_t key_size)
{
    if (map->count == 0 || key_size > map->key_bytes_max) {
        return NULL;
    }
    const uint32_t at = slot_find(map, hash_of(map, key, key_size), key, key_size);
    const uint32_t node = map->slots[at].node;
    return node == 0 ? NULL : node_value(map, node_at(map, node));
}

static bool slots_grow(struct map *map)
{
    const uint32_t count =
        map->slots_count == 0 ? MAP_NODES_MIN * MAP_SLOTS_PER_NODE : map->slots_count * 2;
    struct map_slot *slots = calloc(count, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < map->slots_count; i++) {
        if (map->slots[i].node == 0) {
            continue;
        }
        uint32_t at = map->slots[i].hash & (count - 1);
        while (slots[at].node != 0) {
            at = (at + 1) & (count - 1);
        }
        slots[at] = map->slots[i];
    }
    free(map->slots);
    map->slots = slots;
    map->slots_count = count;
    return true;
}

static bool nodes_grow(struct map *map)
{
    const uint32_t capacity = map->nodes_capacity == 0 ? MAP_NODES_MIN : map->nodes_capacity * 2;
    unsigned char *nodes = realloc(map->nodes, (size_t)capacity * map->node_bytes);
    if (nodes == NULL) {
        return false;
    }
    map->nodes = nodes;
    map->nodes_capacity = capacity;
    return true;
}

/* A node that is in no list; 0 where there is no room. */
static uint32_t node_take(struct map *map)
{
    if (map->free != 0) {
        const uint32_t index = map->free;
        map->free = node_at(map, index)->newer;
        return index;
    }
    if (map->nodes_used >= map->nodes_capacity && !nodes_grow(map)) {
        return 0;
    }
    map->nodes_used++;
    return map->nodes_used - 1;
}

static void order_append(struct map *map, uint32_t index, uint64_t tag)
{
    struct map_node *node = node_at(map, index);
    assert(map->newest == 0 || node_at(map, map->newest)->tag <= tag);
    node->tag = tag;
    node->older = map->newest;
    node->newer = 0;
    if (map->newest != 0) {
        node_at(map, map->newest)->newer = index;
    } else {
        map->oldest = index;
    }
    map->newest = index;
}

static void order_remove(struct map *map, uint32_t index)
{
    const struct map_node *node = node_at(map, index);
    if (node->older != 0) {
        node_at(map, node->older)->newer = node->newer;
    } else {
        map->oldest = node->newer;
    }
    if (node->newer != 0) {
        node_at(map, node->newer)->older = node->older;
    } else {
        map->newest = node->older;
    }
}

void *map_put(struct map *map, const void *key, size_t key_size, uint64_t tag)
{
    assert(key_size <= map->key_bytes_max);
    if ((map->count + 1) * MAP_SLOTS_PER_NODE > map->slots_count && !slots_grow(map)) {
        return NULL;
    }
    const uint32_t hash = hash_of(map, key, key_size);
    const uint32_t at = slot_find(map, hash, key, key_size);
    if (map->slots[at].node != 0) {
        const uint32_t index = map->slots[at].node;
        if (node_at(map, index)->tag != tag) {
            order_remove(map, index);
            order_append(map, index, tag);
        }
        return node_value(map, node_at(map, index));
    }
    if (map->count >= map->count_max) {
        return NULL;
    }
    const uint32_t index = node_take(map);
    if (index == 0) {
        return NULL;
    }
    struct map_node *node = node_at(map, index);
    memset(node, 0, map->node_bytes);
    node->hash = hash;
    node->key_size = (uint32_t)key_size;
    memcpy(node->key, key, key_size);
    order_append(map, index, tag);
    map->slots[at] = (struct map_slot){.hash = hash, .node = index};
    map->count++;
    return node_value(map, node);
}

/* Empties a slot and moves later ones of its run up, so that no probe ends too early. */
static void slot_clear(struct map *map, uint32_t at)
{
    const uint32_t mask = map->slots_count - 1;
    uint32_t hole = at;
    for (uint32_t next = (at + 1) & mask; map->slots[next].node != 0; next = (next + 1) & mask) {
        const uint32_t home = map->slots[next].hash & mask;
        /* It may move into the hole only if that is not before its home. */
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            map->slots[hole] = map->slots[next];
            hole = next;
        }
    }
    map->slots[hole] = (struct map_slot){0};
}

void map_release(struct map *map, uint64_t tag)
{
    while (map->oldest != 0 && node_at(map, map->oldest)->tag <= tag) {
        const uint32_t index = map->oldest;
        struct map_node *node = node_at(map, index);
        uint32_t at = node->hash & (map->slots_count - 1);
        while (map->slots[at].node != index) {
            assert(map->slots[at].node != 0);
            at = (at + 1) & (map->slots_count - 1);
        }
        slot_clear(map, at);
        order_remove(map, index);
        node->newer = map->free;
        map->free = index;
        map->count--;
    }
}
