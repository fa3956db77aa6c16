#include "tests/support/check.h"

#include "ledger/query.h"

#include <string.h>

static void lists_are_scans_and_points_are_not(void **state)
{
    (void)state;
    static const bool scans[] = {
        [QUERY_ACCOUNT_GET] = false,  [QUERY_PAYMENT_GET] = false, [QUERY_TOTALS] = false,
        [QUERY_INFO] = false,         [QUERY_DIGEST] = false,      [QUERY_ACCOUNT_LIST] = true,
        [QUERY_CURRENCY_LIST] = true, [QUERY_PAYMENT_LIST] = true,
    };
    for (size_t kind = 0; kind < sizeof(scans); kind++) {
        const struct query query = {.kind = (enum query_kind)kind};
        assert_int_equal(query_is_scan(&query), scans[kind]);
    }
}

static const struct answer_head full_head = {.code = CODE_CURSOR_INVALID,
                                             .seq = SEQ_MAX,
                                             .term = UINT64_MAX,
                                             .time_ns = -1,
                                             .cursor = 77,
                                             .accounts_count = 1,
                                             .payments_count = 2,
                                             .currencies_count = 3,
                                             .digest = {.bytes = {1, 2, 3}},
                                             .count = 1000};

static void a_head_comes_back_the_same(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1024);
    answer_head_write(&out, &full_head);
    assert_int_equal(out.size, ANSWER_HEAD_BYTES);
    struct reader reader = reader_of(out.data, out.size);
    struct answer_head back;
    check_ok(answer_head_read(&reader, &back));
    assert_int_equal(back.code, CODE_CURSOR_INVALID);
    assert_true(back.seq == SEQ_MAX && back.term == UINT64_MAX && back.time_ns == -1);
    assert_true(back.cursor == 77 && back.count == 1000);
    assert_true(back.accounts_count == 1 && back.payments_count == 2);
    assert_true(back.currencies_count == 3);
    assert_true(digest_equal(&back.digest, &full_head.digest));
    buffer_deinit(&out);
}

static void a_damaged_head_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } damages[] = {{0, 59}, {1, 1}, {2, 1}, {3, 1}, {15, 1}};
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        uint8_t bytes[ANSWER_HEAD_BYTES];
        answer_head_put(bytes, &full_head);
        bytes[damages[i].at] = damages[i].value;
        struct reader reader = reader_of(bytes, sizeof(bytes));
        struct answer_head back = {.count = 5};
        check_status(answer_head_read(&reader, &back), STATUS_INVALID);
        assert_int_equal(back.count, 5);
    }
    uint8_t bytes[ANSWER_HEAD_BYTES];
    struct answer_head back;
    answer_head_put(bytes, &full_head);
    for (size_t size = 0; size < sizeof(bytes); size++) {
        struct reader reader = reader_of(bytes, size);
        check_status(answer_head_read(&reader, &back), STATUS_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_scans_and_points_are_not),
        cmocka_unit_test(a_head_comes_back_the_same),
        cmocka_unit_test(a_damaged_head_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
