#include "ledger/map.h"

#include "base/check.h"
#include "ledger/arena.h"
#include "tests/support/check.h"

#include <string.h>

enum { KEYS = 5000 };

static void put(struct map *map, uint64_t key, uint64_t tag, uint64_t value)
{
    uint64_t *at = map_put(map, &key, sizeof(key), tag);
    assert_non_null(at);
    *at = value;
}

static bool has(const struct map *map, uint64_t key, uint64_t value)
{
    const uint64_t *at = map_find(map, &key, sizeof(key));
    return at != NULL && *at == value;
}

static void finds_what_was_put(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, sizeof(uint64_t), sizeof(uint64_t), KEYS);
    assert_null(map_find(&map, "nothing", 7));
    for (uint64_t i = 0; i < KEYS; i++) {
        put(&map, i * 1000003, 1, i);
    }
    assert_int_equal(map.count, KEYS);
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_true(has(&map, i * 1000003, i));
        assert_false(has(&map, i * 1000003 + 1, i));
    }
    map_deinit(&map);
}

static void keys_of_different_length_differ(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, 8, sizeof(uint32_t), 10);
    *(uint32_t *)map_put(&map, "ab", 2, 1) = 2;
    *(uint32_t *)map_put(&map, "ab\0", 3, 1) = 3;
    *(uint32_t *)map_put(&map, "ab\0\0\0\0\0\0", 8, 1) = 8;
    assert_int_equal(map.count, 3);
    assert_int_equal(*(uint32_t *)map_find(&map, "ab", 2), 2);
    assert_int_equal(*(uint32_t *)map_find(&map, "ab\0", 3), 3);
    assert_null(map_find(&map, "longer than any key", 19));
    map_deinit(&map);
}

static void a_new_value_is_zero_and_aligned(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, 3, 48, 10);
    unsigned char *first = map_put(&map, "abc", 3, 1);
    memset(first, 0xff, 48);
    map_release(&map, 1);
    const unsigned char *second = map_put(&map, "abd", 3, 2);
    assert_int_equal((uintptr_t)second % 16, 0);
    for (uint32_t i = 0; i < 48; i++) {
        assert_int_equal(second[i], 0);
    }
    map_deinit(&map);
}

static void refuses_more_keys_than_its_bound(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, sizeof(uint64_t), sizeof(uint64_t), 3);
    for (uint64_t i = 0; i < 3; i++) {
        put(&map, i, 1, i);
    }
    const uint64_t fourth = 3;
    assert_null(map_put(&map, &fourth, sizeof(fourth), 1));
    put(&map, 2, 2, 20); /* a known key needs no room */
    map_release(&map, 1);
    assert_non_null(map_put(&map, &fourth, sizeof(fourth), 2));
    map_deinit(&map);
}

static void a_key_leaves_with_its_newest_tag(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, sizeof(uint64_t), sizeof(uint64_t), KEYS);
    put(&map, 1, 1, 10);
    put(&map, 2, 1, 20);
    put(&map, 1, 2, 11);
    put(&map, 3, 3, 30);
    map_release(&map, 1);
    assert_true(has(&map, 1, 11));
    assert_false(has(&map, 2, 20));
    map_release(&map, 2);
    assert_false(has(&map, 1, 11));
    assert_true(has(&map, 3, 30));
    map_release(&map, 3);
    assert_int_equal(map.count, 0);
    map_deinit(&map);
}

/* Random puts and releases against a plain array of tags. */
static void agrees_with_an_array(void **state)
{
    (void)state;
    static uint64_t values[KEYS];
    static uint64_t tags[KEYS];
    uint64_t random = test_seed();
    struct map map;
    map_init(&map, sizeof(uint64_t), sizeof(uint64_t), KEYS);
    uint64_t tag = 1;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 400; i++) {
            const uint64_t key = test_random(&random) % KEYS;
            values[key] = test_random(&random);
            tags[key] = tag;
            put(&map, key, tag, values[key]);
        }
        if (test_random(&random) % 2 == 0) {
            const uint64_t released = tag > 5 ? tag - test_random(&random) % 6 : 0;
            map_release(&map, released);
            for (uint64_t key = 0; key < KEYS; key++) {
                tags[key] = tags[key] <= released ? 0 : tags[key];
            }
        }
        uint32_t count = 0;
        for (uint64_t key = 0; key < KEYS; key++) {
            assert_true(has(&map, key, values[key]) == (tags[key] != 0));
            count += tags[key] != 0;
        }
        assert_int_equal(map.count, count);
        tag++;
    }
    map_deinit(&map);
}

static void arena_keeps_bytes_until_their_chunk_is_released(void **state)
{
    (void)state;
    static char bytes[ARENA_CHUNK_BYTES];
    struct arena arena;
    arena_init(&arena, 2);
    const char *first = arena_copy(&arena, "first", 5, 1);
    const char *second = arena_copy(&arena, bytes, sizeof(bytes), 2);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(arena_copy(&arena, bytes, 1, 3)); /* two chunks are all it may have */
    assert_memory_equal(first, "first", 5);
    arena_release(&arena, 1);
    const char *third = arena_copy(&arena, "third", 5, 3);
    assert_non_null(third);
    assert_memory_equal(third, "third", 5);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_put),
        cmocka_unit_test(keys_of_different_length_differ),
        cmocka_unit_test(a_new_value_is_zero_and_aligned),
        cmocka_unit_test(refuses_more_keys_than_its_bound),
        cmocka_unit_test(a_key_leaves_with_its_newest_tag),
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(arena_keeps_bytes_until_their_chunk_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
