/* Walks: every row once and in order, also across transactions and while rows are added. */
#include "tests/support/store_rig.h"

#include <string.h>

static void add(struct store_rig *rig, uint64_t first, uint64_t last)
{
    struct store_txn *txn;
    struct store_view view;
    struct uuid id;
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    for (uint64_t seq = first; seq <= last; seq++) {
        store_rig_record(&view, seq, &id);
    }
    check_ok(view.view.error);
    store_view_deinit(&view);
    check_ok(store_write_commit(rig->store, &(struct position){.index = last, .seq = last}));
}

static void a_walk_goes_on_in_another_transaction(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_row row;
    struct store_walk walk = {.table = TABLE_PAYMENTS};
    uint64_t seq = 0;
    uint64_t count = 0;
    add(rig, 1, 400);
    for (int piece = 0; piece < 7; piece++) {
        check_ok(store_read_begin(rig->store, &txn));
        for (int i = 0; i < 100; i++) {
            check_ok(store_walk_next(txn, &walk, &row));
            seq++;
            assert_int_equal(get_u64((const uint8_t *)row.key.data), seq);
            struct text bytes;
            check_ok(store_record_bytes(txn, seq / 2 + 1, &bytes)); /* does not move the walk */
        }
        store_read_end(txn);
        add(rig, 401 + (uint64_t)piece * 50, 450 + (uint64_t)piece * 50);
    }
    check_ok(store_read_begin(rig->store, &txn));
    for (int i = 0; i < 50; i++) {
        check_ok(store_walk_next(txn, &walk, &row));
    }
    check_status(store_walk_next(txn, &walk, &row), STATUS_NOT_FOUND);
    check_ok(store_count(txn, TABLE_PAYMENTS, &count));
    assert_int_equal(count, 750);
    store_read_end(txn);
}

static void a_row_that_has_vanished_is_damage(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_row row;
    struct store_walk walk = {.table = TABLE_PAYMENT_IDS};
    add(rig, 1, 3);
    check_ok(store_read_begin(rig->store, &txn));
    check_ok(store_walk_next(txn, &walk, &row));
    store_read_end(txn);
    walk.key[0] ^= 1;
    check_ok(store_read_begin(rig->store, &txn));
    check_status(store_walk_next(txn, &walk, &row), STATUS_CORRUPT);
    assert_non_null(strstr(store_damage(rig->store), "vanished"));
    store_read_end(txn);
}

static void digests_may_be_dropped_behind_a_walk(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_row row;
    struct store_walk walk = {.table = TABLE_DIGESTS};
    const struct digest digest = {.bytes = {1}};
    for (uint64_t piece = 0; piece < 2; piece++) {
        check_ok(store_write_begin(rig->store, &txn));
        for (uint64_t seq = 1; seq <= DIGESTS_KEPT; seq++) {
            check_ok(store_digest_put(txn, piece * DIGESTS_KEPT + seq, &digest));
        }
        check_ok(store_write_commit(rig->store, &(struct position){.index = 1 + piece}));
        check_ok(store_read_begin(rig->store, &txn));
        check_ok(store_walk_next(txn, &walk, &row));
        assert_int_equal(get_u64((const uint8_t *)row.key.data), piece * DIGESTS_KEPT + 1);
        store_read_end(txn);
    }
}

static void what_a_reader_found_is_remembered(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    check_ok(store_read_begin(rig->store, &txn));
    check_status(store_found_damage(txn, TABLE_REFERENCES, TEXT("a b"), "it is odd"),
                 STATUS_CORRUPT);
    store_read_end(txn);
    assert_string_equal(store_damage(rig->store), "table=references key=a?b: it is odd");
}

int main(void)
{
#define STORE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, store_rig_set_up, store_rig_tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_walk_goes_on_in_another_transaction),
        STORE_TEST(a_row_that_has_vanished_is_damage),
        STORE_TEST(digests_may_be_dropped_behind_a_walk),
        STORE_TEST(what_a_reader_found_is_remembered),
    };
#undef STORE_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
