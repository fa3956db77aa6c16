#include "ledger/codec.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <string.h>

enum { ROOM = 4096 };

static struct buffer out;

static int set_up(void **state)
{
    (void)state;
    buffer_init(&out, ROOM);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_deinit(&out);
    return 0;
}

static struct reader written(void)
{
    assert_false(out.failed);
    return reader_of(out.data, out.size);
}

static void zigzag_keeps_every_sign_and_size(void **state)
{
    (void)state;
    const i128 largest = (i128)(~(u128)0 >> 1);
    const i128 values[] = {0, 1, -1, 63, -64, 64, -65, INT64_MAX, INT64_MIN, largest, -largest - 1};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        write_zigzag128(&out, values[i]);
    }
    struct reader reader = written();
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        assert_true(read_zigzag128(&reader) == values[i]);
    }
    assert_true(!reader.failed && reader_left(&reader) == 0);
}

static void small_balances_take_one_byte(void **state)
{
    (void)state;
    write_zigzag128(&out, -64);
    write_zigzag128(&out, 63);
    assert_int_equal(out.size, 2);
    write_zigzag128(&out, 64);
    assert_int_equal(out.size, 4);
    const uint8_t bytes[] = {127, 126, 0x80, 0x01};
    assert_memory_equal(out.data, bytes, sizeof(bytes));
}

static void uuids_but_nil_and_max(void **state)
{
    (void)state;
    const struct uuid wanted = {.bytes = {1, 2, 3, [15] = 16}};
    write_uuid(&out, &wanted);
    struct reader reader = written();
    struct uuid found;
    assert_true(read_uuid(&reader, &found));
    assert_true(uuid_equal(&found, &wanted));
    uint8_t bytes[16];
    memset(bytes, 0, sizeof(bytes));
    reader = reader_of(bytes, sizeof(bytes));
    assert_false(read_uuid(&reader, &found));
    memset(bytes, 0xff, sizeof(bytes));
    reader = reader_of(bytes, sizeof(bytes));
    assert_false(read_uuid(&reader, &found));
    reader = reader_of(wanted.bytes, 15);
    assert_false(read_uuid(&reader, &found));
    assert_true(reader.failed);
}

static void times_before_and_after_1970(void **state)
{
    (void)state;
    const int64_t values[] = {0, -1, INT64_MIN, INT64_MAX, INT64_C(1700000000000000000)};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        write_time(&out, values[i]);
    }
    assert_int_equal(out.size, 8 * ARRAY_COUNT(values));
    struct reader reader = written();
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        assert_true(read_time(&reader) == values[i]);
    }
}

static void counters_end_below_the_limit_and_amounts_begin_at_one(void **state)
{
    (void)state;
    const struct {
        u128 value;
        bool counter, amount;
    } cases[] = {
        {0, true, false},
        {1, true, true},
        {AMOUNT_LIMIT - 1, true, true},
        {AMOUNT_LIMIT, false, false},
        {~(u128)0, false, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        buffer_clear(&out);
        write_varint128(&out, cases[i].value);
        u128 value = 0;
        struct reader reader = written();
        assert_int_equal(read_counter(&reader, &value), cases[i].counter);
        assert_true(!cases[i].counter || value == cases[i].value);
        reader = written();
        assert_int_equal(read_amount(&reader, &value), cases[i].amount);
    }
    struct reader nothing = reader_of(out.data, 0);
    u128 value = 0;
    assert_false(read_counter(&nothing, &value));
    assert_false(read_amount(&nothing, &value));
}

static void numbers_have_a_largest(void **state)
{
    (void)state;
    uint64_t value = 0;
    write_varint(&out, 300);
    struct reader reader = written();
    assert_true(read_number(&reader, 300, &value));
    assert_int_equal(value, 300);
    reader = written();
    assert_false(read_number(&reader, 299, &value));
    reader = reader_of(out.data, 1); /* cut in two */
    assert_false(read_number(&reader, 300, &value));
}

static void texts_must_be_names(void **state)
{
    (void)state;
    struct text text;
    write_text(&out, TEXT("alice:1"));
    struct reader reader = written();
    assert_true(read_account_id(&reader, &text));
    assert_true(text_equal(text, TEXT("alice:1")));
    reader = written();
    assert_false(read_currency_code(&reader, &text));
    buffer_clear(&out);
    write_text(&out, TEXT("EUR"));
    reader = written();
    assert_true(read_currency_code(&reader, &text));
    assert_true(text_equal(text, TEXT("EUR")));
    buffer_clear(&out);
    write_text(&out, TEXT("a b"));
    reader = written();
    assert_false(read_account_id(&reader, &text));
    buffer_clear(&out);
    write_text(&out, TEXT(""));
    reader = written();
    assert_false(read_account_id(&reader, &text));
    reader = written();
    assert_false(read_currency_code(&reader, &text));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(zigzag_keeps_every_sign_and_size),
        TEST(small_balances_take_one_byte),
        TEST(uuids_but_nil_and_max),
        TEST(times_before_and_after_1970),
        TEST(counters_end_below_the_limit_and_amounts_begin_at_one),
        TEST(numbers_have_a_largest),
        TEST(texts_must_be_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
