#include "ledger/arena.h"

#include "tests/support/check.h"

#include <string.h>

enum { CHUNKS = 3 };

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, CHUNKS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

/* A copy that fills a chunk of its own. */
static const unsigned char *copy_chunk(unsigned char value, uint64_t tag)
{
    static unsigned char bytes[ARENA_CHUNK_BYTES];
    memset(bytes, value, sizeof(bytes));
    return arena_copy(&arena, bytes, sizeof(bytes), tag);
}

static void copies_stay_as_they_were(void **state)
{
    (void)state;
    char text[] = "first";
    const char *first = arena_copy(&arena, text, sizeof(text), 1);
    memcpy(text, "other", sizeof(text));
    const char *other = arena_copy(&arena, text, sizeof(text), 1);
    const unsigned char *large = copy_chunk(7, 2);
    assert_non_null(large);
    assert_string_equal(first, "first");
    assert_string_equal(other, "other");
    assert_true(large[0] == 7 && large[ARENA_CHUNK_BYTES - 1] == 7);
    assert_int_equal(arena.chunks_count, 2);
}

static void nothing_at_all_has_a_place_too(void **state)
{
    (void)state;
    assert_non_null(arena_copy(&arena, NULL, 0, 1));
}

static void small_copies_share_a_chunk(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        assert_non_null(arena_copy(&arena, &i, sizeof(i), i));
    }
    assert_int_equal(arena.chunks_count, 1);
}

static void the_bound_is_reported_and_release_makes_room(void **state)
{
    (void)state;
    for (unsigned char i = 0; i < CHUNKS; i++) {
        assert_non_null(copy_chunk(i, i + UINT64_C(1)));
    }
    assert_null(copy_chunk(9, 9));
    assert_null(arena_copy(&arena, "x", 1, 9));
    arena_release(&arena, 1);
    const unsigned char *fourth = copy_chunk(9, 9);
    assert_non_null(fourth);
    assert_null(copy_chunk(10, 10));
    assert_int_equal(arena.chunks_count, CHUNKS); /* memory was used again */
}

static void a_chunk_leaves_with_its_newest_tag(void **state)
{
    (void)state;
    const char *old = arena_copy(&arena, "old", 4, 1);
    const char *new = arena_copy(&arena, "new", 4, 5); /* beside it */
    assert_non_null(copy_chunk(1, 6));
    arena_release(&arena, 4);
    assert_string_equal(old, "old");
    assert_string_equal(new, "new");
    assert_false(list_empty(&arena.used));
    assert_true(list_empty(&arena.free));
    arena_release(&arena, 5);
    assert_false(list_empty(&arena.free));
    assert_false(list_empty(&arena.used)); /* the one of tag 6 */
    arena_release(&arena, 6);
    assert_true(list_empty(&arena.used));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_stay_as_they_were),
        TEST(nothing_at_all_has_a_place_too),
        TEST(small_copies_share_a_chunk),
        TEST(the_bound_is_reported_and_release_makes_room),
        TEST(a_chunk_leaves_with_its_newest_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
