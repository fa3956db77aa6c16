#include "ledger/cache.h"

#include "base/check.h"
#include "tests/support/check.h"

enum { SLOTS = 2048, VALUE_BYTES = 32 };

static struct cache cache;

static int set_up(void **state)
{
    (void)state;
    cache_init(&cache, SLOTS, VALUE_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cache_clear(&cache);
    return 0;
}

static void put(uint64_t number, bool dirty)
{
    uint8_t *value = cache_place(&cache, number);
    assert_non_null(value);
    memset(value, (int)(number & 0xff), VALUE_BYTES);
    cache_set_dirty(&cache, number, dirty);
}

static void check_held(uint64_t number)
{
    const uint8_t *value = cache_find(&cache, number);
    assert_non_null(value);
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        assert_int_equal(value[i], number & 0xff);
    }
}

static void test_empty_cache_holds_nothing(void **state)
{
    (void)state;
    void *value = NULL;
    uint32_t at = 0;
    assert_null(cache_find(&cache, 0));
    assert_null(cache_find(&cache, 1));
    assert_int_equal(cache_in_the_way(&cache, 1, &value), 0);
    assert_int_equal(cache_next_dirty(&cache, &at, &value), 0);
    assert_int_equal(cache_named(&cache, TEXT("alice")), 0);
}

static void test_rows_are_found_by_their_number(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= SLOTS; number++) {
        put(number, false);
    }
    for (uint64_t number = 1; number <= SLOTS; number++) {
        check_held(number);
        assert_null(cache_find(&cache, number + SLOTS));
    }
}

static void test_a_clean_row_gives_way(void **state)
{
    (void)state;
    void *value = NULL;
    put(7, false);
    assert_int_equal(cache_in_the_way(&cache, 7 + SLOTS, &value), 0);
    put(7 + SLOTS, false);
    check_held(7 + SLOTS);
    assert_null(cache_find(&cache, 7));
}

static void test_a_dirty_row_is_in_the_way_of_others_only(void **state)
{
    (void)state;
    void *value = NULL;
    put(7, true);
    assert_int_equal(cache_in_the_way(&cache, 7, &value), 0);
    assert_int_equal(cache_in_the_way(&cache, 8 + SLOTS, &value), 0);
    assert_int_equal(cache_in_the_way(&cache, 7 + SLOTS, &value), 7);
    assert_ptr_equal(value, cache_find(&cache, 7));
    cache_set_dirty(&cache, 7, false);
    assert_int_equal(cache_in_the_way(&cache, 7 + SLOTS, &value), 0);
}

static void test_dirty_rows_come_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    const uint64_t numbers[] = {SLOTS, 1, 64, 65, 63, 128, 1500, 1024};
    const uint64_t sorted[] = {1, 63, 64, 65, 128, 1024, 1500, SLOTS};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        put(numbers[i], true);
        put(numbers[i], true); /* it counts once */
    }
    put(2, false);
    assert_int_equal(cache.dirty_count, ARRAY_COUNT(numbers));
    uint32_t at = 0;
    void *value = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(sorted); i++) {
        assert_int_equal(cache_next_dirty(&cache, &at, &value), sorted[i]);
        assert_ptr_equal(value, cache_find(&cache, sorted[i]));
        cache_set_dirty(&cache, sorted[i], false);
    }
    assert_int_equal(cache_next_dirty(&cache, &at, &value), 0);
    assert_int_equal(cache.dirty_count, 0);
}

static void test_every_place_with_memory_is_walked_through(void **state)
{
    (void)state;
    uint32_t at = 0;
    assert_null(cache_next(&cache, &at));
    put(3, false);
    put(SLOTS, true);
    uint32_t count = 0;
    uint32_t found = 0;
    for (const void *value = cache_next(&cache, &at); value != NULL;
         value = cache_next(&cache, &at)) {
        count++;
        found += value == cache_find(&cache, 3) || value == cache_find(&cache, SLOTS) ? 1 : 0;
    }
    assert_true(count >= 2 && count <= SLOTS);
    assert_int_equal(found, 2);
}

static void test_clear_forgets_dirty_rows_and_names(void **state)
{
    (void)state;
    void *value = NULL;
    uint32_t at = 0;
    put(3, true);
    cache_note_name(&cache, TEXT("alice"), 3);
    assert_int_equal(cache_named(&cache, TEXT("alice")), 3);
    cache_clear(&cache);
    assert_null(cache_find(&cache, 3));
    assert_int_equal(cache_next_dirty(&cache, &at, &value), 0);
    assert_int_equal(cache_named(&cache, TEXT("alice")), 0);
    put(3, false);
    check_held(3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_empty_cache_holds_nothing),
        TEST(test_rows_are_found_by_their_number),
        TEST(test_a_clean_row_gives_way),
        TEST(test_a_dirty_row_is_in_the_way_of_others_only),
        TEST(test_dirty_rows_come_in_the_order_of_their_numbers),
        TEST(test_every_place_with_memory_is_walked_through),
        TEST(test_clear_forgets_dirty_rows_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
