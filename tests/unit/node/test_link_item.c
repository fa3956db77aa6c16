#include "node/link_item.h"

#include "tests/support/check.h"

#include <string.h>

static void round_trip(const struct link_item *item, struct link_item *read)
{
    static struct buffer out;
    buffer_deinit(&out);
    buffer_init(&out, LINK_FRAME_BYTES_MAX);
    link_item_write(&out, item);
    assert_false(out.failed);
    struct reader reader = reader_of(out.data, out.size);
    check_ok(link_item_read(&reader, read));
    assert_int_equal(reader_left(&reader), 0);
    /* Every prefix is refused, and nothing is read beyond it. */
    for (size_t size = 0; size < out.size; size++) {
        struct reader part = reader_of(out.data, size);
        struct link_item ignored;
        check_status(link_item_read(&part, &ignored), STATUS_PROTOCOL);
    }
}

static void test_request_keeps_ticket_and_bytes(void **state)
{
    (void)state;
    struct link_item item = {.kind = LINK_REQUEST, .ticket = 7ULL << 32 | 9, .bytes = TEXT("abc")};
    struct link_item read;
    round_trip(&item, &read);
    assert_int_equal(read.kind, LINK_REQUEST);
    assert_int_equal(read.ticket, item.ticket);
    assert_true(text_equal(read.bytes, item.bytes));
}

static void test_answer_keeps_code_and_position(void **state)
{
    (void)state;
    struct link_item item = {.kind = LINK_ANSWER,
                             .ticket = 3,
                             .code = CODE_UNKNOWN,
                             .seq = 11,
                             .term = 4,
                             .time_ns = -5,
                             .outcomes_count = 2,
                             .bytes = TEXT("outcomes")};
    struct link_item read;
    round_trip(&item, &read);
    assert_int_equal(read.code, CODE_UNKNOWN);
    assert_int_equal(read.seq, 11);
    assert_int_equal(read.term, 4);
    assert_int_equal(read.time_ns, -5);
    assert_int_equal(read.outcomes_count, 2);
    assert_true(text_equal(read.bytes, item.bytes));
}

static void test_answer_with_a_code_that_is_none_is_refused(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1024);
    struct link_item item = {.kind = LINK_ANSWER, .code = CODE_OK};
    link_item_write(&out, &item);
    out.data[9] = 30; /* the low byte of the code: a value that the table leaves out */
    struct reader reader = reader_of(out.data, out.size);
    struct link_item read;
    check_status(link_item_read(&reader, &read), STATUS_PROTOCOL);
    buffer_deinit(&out);
}

static void test_status_keeps_all_fields(void **state)
{
    (void)state;
    struct link_item item = {.kind = LINK_STATUS};
    item.status = (struct link_status){.role = 2,
                                       .copy_active = true,
                                       .leader = 3,
                                       .term = 9,
                                       .seq = 100,
                                       .index = 120,
                                       .wall_ns = 1234567890123456789,
                                       .client_address = TEXT("127.0.0.1:2346"),
                                       .counters_count = METRIC_COUNT};
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        item.status.counters[i] = (uint64_t)i * i;
    }
    memset(item.status.digest.bytes, 0xab, DIGEST_BYTES);
    struct link_item read;
    round_trip(&item, &read);
    assert_true(read.status.copy_active);
    assert_int_equal(read.status.leader, 3);
    assert_int_equal(read.status.wall_ns, item.status.wall_ns);
    assert_int_equal(read.status.counters[METRIC_COUNT - 1],
                     (uint64_t)(METRIC_COUNT - 1) * (METRIC_COUNT - 1));
    assert_true(digest_equal(&read.status.digest, &item.status.digest));
    assert_true(text_equal(read.status.client_address, item.status.client_address));
}

static void test_counters_of_a_later_version_are_passed_over(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 65536);
    struct link_item item = {.kind = LINK_STATUS};
    item.status.counters_count = METRIC_COUNT;
    link_item_write(&out, &item);
    /* One byte a counter, all zero: count and bytes are the tail of the item. */
    assert_int_equal(out.data[out.size - METRIC_COUNT - 1], METRIC_COUNT);
    out.data[out.size - METRIC_COUNT - 1] = METRIC_COUNT + 1;
    write_u8(&out, 9);
    struct link_item next = {.kind = LINK_REQUEST, .ticket = 5, .bytes = TEXT("x")};
    link_item_write(&out, &next);
    struct reader reader = reader_of(out.data, out.size);
    struct link_item read;
    check_ok(link_item_read(&reader, &read));
    assert_int_equal(read.status.counters_count, METRIC_COUNT);
    check_ok(link_item_read(&reader, &read));
    assert_int_equal(read.ticket, 5);
    buffer_deinit(&out);
}

static void test_digest_items(void **state)
{
    (void)state;
    struct link_item ask = {.kind = LINK_DIGEST_ASK, .seq = 5};
    memset(ask.digest.bytes, 1, DIGEST_BYTES);
    struct link_item read;
    round_trip(&ask, &read);
    assert_int_equal(read.seq, 5);
    assert_true(digest_equal(&read.digest, &ask.digest));
    struct link_item tell = {.kind = LINK_DIGEST_TELL, .seq = 6, .known = true};
    round_trip(&tell, &read);
    assert_true(read.known);
}

static void test_several_items_follow_each_other(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    for (uint64_t i = 0; i < 10; i++) {
        struct link_item item = {.kind = LINK_REQUEST, .ticket = i, .bytes = TEXT("x")};
        link_item_write(&out, &item);
    }
    struct reader reader = reader_of(out.data, out.size);
    for (uint64_t i = 0; i < 10; i++) {
        struct link_item read;
        check_ok(link_item_read(&reader, &read));
        assert_int_equal(read.ticket, i);
    }
    assert_int_equal(reader_left(&reader), 0);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_keeps_ticket_and_bytes),
        cmocka_unit_test(test_answer_keeps_code_and_position),
        cmocka_unit_test(test_answer_with_a_code_that_is_none_is_refused),
        cmocka_unit_test(test_status_keeps_all_fields),
        cmocka_unit_test(test_counters_of_a_later_version_are_passed_over),
        cmocka_unit_test(test_digest_items),
        cmocka_unit_test(test_several_items_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
