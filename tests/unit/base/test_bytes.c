/* Readers and buffers at their bounds. */
#include "base/bytes.h"
#include "base/check.h"
#include "tests/support/check.h"

#include <string.h>

static void test_integers_are_little_endian(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f,
                                     0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08};
    struct buffer buffer;
    buffer_init(&buffer, 100);
    write_u8(&buffer, 0x01);
    write_u16(&buffer, 0x0203);
    write_u32(&buffer, 0x04050607);
    write_u64(&buffer, 0x08090a0b0c0d0e0f);
    assert_int_equal(buffer.size, sizeof wanted);
    assert_memory_equal(buffer.data, wanted, sizeof wanted);
    struct reader reader = reader_of(buffer.data, buffer.size);
    assert_int_equal(read_u8(&reader), 0x01);
    assert_int_equal(read_u16(&reader), 0x0203);
    assert_int_equal(read_u32(&reader), 0x04050607);
    assert_true(read_u64(&reader) == 0x08090a0b0c0d0e0f);
    assert_int_equal(reader_left(&reader), 0);
    assert_false(reader.failed);
    put_u32(buffer.data, 0xdeadbeef);
    assert_int_equal(get_u32(buffer.data), 0xdeadbeef);
    put_u64(buffer.data, UINT64_MAX - 1);
    assert_true(get_u64(buffer.data) == UINT64_MAX - 1);
    buffer_deinit(&buffer);
}

static void test_a_failed_reader_stays_failed_and_ends(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct reader reader = reader_of(bytes, sizeof bytes);
    assert_int_equal(read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(reader_left(&reader), 0);
    assert_int_equal(read_u8(&reader), 0);
    assert_int_equal(read_u16(&reader), 0);
    assert_true(read_u64(&reader) == 0);
    assert_true(read_varint(&reader) == 0);
    assert_true(read_varint128(&reader) == 0);
    assert_null(read_bytes(&reader, 0));
    assert_int_equal(read_text(&reader, 10).size, 0);
    assert_true(reader.failed);
}

static void test_an_empty_reader_reads_nothing(void **state)
{
    (void)state;
    struct reader reader = reader_of(NULL, 0);
    assert_int_equal(reader_left(&reader), 0);
    assert_non_null(read_bytes(&reader, 0));
    assert_false(reader.failed);
    assert_null(read_bytes(&reader, 1));
    assert_true(reader.failed);
}

static void expect_varint(const uint8_t *bytes, size_t size, bool good, u128 value, bool wide)
{
    struct reader reader = reader_of(bytes, size);
    u128 read = wide ? read_varint128(&reader) : read_varint(&reader);
    assert_int_equal(reader.failed, !good);
    assert_true(read == (good ? value : 0));
}

static void test_varints_have_one_form(void **state)
{
    (void)state;
    static const uint8_t two_bytes_zero[] = {0x80, 0x00};
    static const uint8_t long_one[] = {0x81, 0x80, 0x00};
    static const uint8_t cut[] = {0x80};
    static const uint8_t max64[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t over64[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0x81, 0x01};
    for (int wide = 0; wide < 2; wide++) {
        expect_varint((const uint8_t[]){0x00}, 1, true, 0, wide);
        expect_varint((const uint8_t[]){0x7f}, 1, true, 127, wide);
        expect_varint((const uint8_t[]){0x80, 0x01}, 2, true, 128, wide);
        expect_varint(two_bytes_zero, sizeof two_bytes_zero, false, 0, wide);
        expect_varint(long_one, sizeof long_one, false, 0, wide);
        expect_varint(cut, sizeof cut, false, 0, wide);
        expect_varint(cut, 0, false, 0, wide);
        expect_varint(max64, sizeof max64, true, UINT64_MAX, wide);
    }
    expect_varint(over64, sizeof over64, false, 0, false);
    expect_varint(over64, sizeof over64, true, (u128)UINT64_MAX >> 1 | (u128)1 << 64, true);
    expect_varint(endless, sizeof endless, false, 0, false);
    uint8_t max128[19];
    memset(max128, 0xff, sizeof max128);
    max128[18] = 0x03;
    expect_varint(max128, sizeof max128, true, ~(u128)0, true);
    max128[18] = 0x04;
    expect_varint(max128, sizeof max128, false, 0, true);
    max128[18] = 0x83;
    expect_varint(max128, sizeof max128, false, 0, true);
}

static void test_varints_come_back_at_random(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct buffer buffer;
    buffer_init(&buffer, 100);
    for (int i = 0; i < 100000; i++) {
        u128 wide =
            ((u128)test_random(&seed) << 64 | test_random(&seed)) >> (test_random(&seed) % 128);
        uint64_t narrow = test_random(&seed) >> (test_random(&seed) % 64);
        buffer_clear(&buffer);
        write_varint128(&buffer, wide);
        write_varint(&buffer, narrow);
        struct reader reader = reader_of(buffer.data, buffer.size);
        assert_true(read_varint128(&reader) == wide);
        assert_true(read_varint(&reader) == narrow);
        assert_false(reader.failed);
        assert_int_equal(reader_left(&reader), 0);
    }
    buffer_deinit(&buffer);
}

static void test_texts_are_bounded(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    write_text(&buffer, TEXT("hello"));
    write_text(&buffer, TEXT(""));
    struct reader reader = reader_of(buffer.data, buffer.size);
    assert_true(text_equal(read_text(&reader, 5), TEXT("hello")));
    assert_true(text_equal(read_text(&reader, 0), TEXT("")));
    assert_false(reader.failed);
    reader = reader_of(buffer.data, buffer.size);
    assert_int_equal(read_text(&reader, 4).size, 0);
    assert_true(reader.failed);
    reader = reader_of(buffer.data, 5);
    assert_int_equal(read_text(&reader, 100).size, 0);
    assert_true(reader.failed);
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    reader = reader_of(huge, sizeof huge);
    assert_int_equal(read_text(&reader, SIZE_MAX).size, 0);
    assert_true(reader.failed);
    buffer_deinit(&buffer);
}

static void test_texts_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(text_equal(text_of("a\xff"), TEXT("a\xff")));
    assert_false(text_equal(TEXT("a"), TEXT("A")));
    assert_false(text_equal(TEXT("a"), TEXT("a\0")));
    assert_true(text_equal((struct text){.data = NULL, .size = 0}, TEXT("")));
    assert_int_equal(TEXT("abc").size, 3);
}

static void test_a_buffer_grows_by_doubling_up_to_its_bound(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    assert_null(buffer.data);
    size_t grown = 0;
    size_t before = 0;
    for (int i = 0; i < 1000; i++) {
        write_u8(&buffer, (uint8_t)i);
        assert_false(buffer.failed);
        assert_true(buffer.capacity <= 1000);
        grown += buffer.capacity != before;
        before = buffer.capacity;
    }
    assert_true(grown <= 5);
    assert_int_equal(buffer.size, 1000);
    write_u8(&buffer, 1);
    assert_true(buffer.failed);
    assert_int_equal(buffer.size, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buffer.data[i], (uint8_t)i);
    }
    buffer_deinit(&buffer);
    buffer_deinit(&buffer);
}

static void test_failure_is_sticky_until_cleared(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 4);
    write_bytes(&buffer, "abc", 3);
    write_bytes(&buffer, "de", 2);
    assert_true(buffer.failed);
    write_bytes(&buffer, "f", 1);
    write_format(&buffer, "%d", 1);
    assert_int_equal(buffer.size, 3);
    assert_false(buffer_reserve(&buffer, 0));
    buffer_truncate(&buffer, 1);
    assert_true(buffer.failed);
    buffer_clear(&buffer);
    assert_true(buffer_reserve(&buffer, 4));
    assert_false(buffer_reserve(&buffer, SIZE_MAX));
    buffer_clear(&buffer);
    write_bytes(&buffer, "wxyz", 4);
    assert_false(buffer.failed);
    buffer_deinit(&buffer);
}

static void test_consume_truncate_and_swap(void **state)
{
    (void)state;
    struct buffer a, b;
    buffer_init(&a, 100);
    buffer_init(&b, 50);
    write_bytes(&a, "hello world", 11);
    buffer_consume(&a, 6);
    assert_int_equal(a.size, 5);
    assert_memory_equal(a.data, "world", 5);
    buffer_consume(&a, 0);
    buffer_truncate(&a, 2);
    buffer_swap(&a, &b);
    assert_int_equal(a.size, 0);
    assert_int_equal(b.size, 2);
    assert_memory_equal(b.data, "wo", 2);
    buffer_consume(&b, 2);
    assert_int_equal(b.size, 0);
    buffer_deinit(&a);
    buffer_deinit(&b);
    struct buffer zeroed = {.data = NULL};
    buffer_deinit(&zeroed);
}

static void test_format_fills_to_the_last_byte(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 5);
    write_format(&buffer, "%s-%d", "ab", 12);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 5);
    assert_memory_equal(buffer.data, "ab-12", 5);
    buffer_deinit(&buffer);
    char text[2001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buffer_init(&buffer, 2000);
    write_format(&buffer, "%s", text);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 2000);
    assert_memory_equal(buffer.data, text, 2000);
    write_format(&buffer, "%s", text);
    assert_true(buffer.failed);
    assert_int_equal(buffer.size, 2000);
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_little_endian),
        cmocka_unit_test(test_a_failed_reader_stays_failed_and_ends),
        cmocka_unit_test(test_an_empty_reader_reads_nothing),
        cmocka_unit_test(test_varints_have_one_form),
        cmocka_unit_test(test_varints_come_back_at_random),
        cmocka_unit_test(test_texts_are_bounded),
        cmocka_unit_test(test_texts_compare_by_bytes),
        cmocka_unit_test(test_a_buffer_grows_by_doubling_up_to_its_bound),
        cmocka_unit_test(test_failure_is_sticky_until_cleared),
        cmocka_unit_test(test_consume_truncate_and_swap),
        cmocka_unit_test(test_format_fills_to_the_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
