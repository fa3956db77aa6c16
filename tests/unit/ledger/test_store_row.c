/* Rows whose bits were flipped, on their own or beside the place of a row that is looked for. */
#include "tests/support/store_rig.h"

#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1024 * 1024 };

/* Accounts alice and carol, three payments. */
static void fill(struct store_rig *rig, struct uuid ids[3])
{
    struct store_txn *txn;
    struct store_view view;
    const struct currency currency = store_rig_euro();
    const struct account alice = store_rig_account(1, "alice");
    const struct account carol = store_rig_account(2, "carol");
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    view.view.functions->currency_put(&view.view, &currency);
    view.view.functions->account_put(&view.view, &alice);
    view.view.functions->account_put(&view.view, &carol);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        store_rig_record(&view, seq, &ids[seq - 1]);
    }
    check_ok(view.view.error);
    store_view_deinit(&view);
    check_ok(store_write_commit(rig->store, &(struct position){.index = 1, .seq = 3}));
}

/* Closes, flips one bit of byte `at` behind each place of `wanted` in the file, and opens. */
static void flip_behind(struct store_rig *rig, const void *wanted, size_t size, size_t at)
{
    static uint8_t bytes[FILE_BYTES_MAX];
    char path[4096];
    store_close(rig->store);
    assert_true(snprintf(path, sizeof(path), "%s/data.mdb", rig->dir) > 0);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t file_size = fread(bytes, 1, sizeof(bytes), file);
    assert_true(file_size < sizeof(bytes));
    int found = 0;
    for (size_t i = 0; i + size + at < file_size; i++) {
        if (memcmp(bytes + i, wanted, size) == 0) {
            bytes[i + size + at] ^= 0x10;
            found++;
        }
    }
    assert_true(found > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, file_size, file), file_size);
    assert_int_equal(fclose(file), 0);
    rig->store = store_rig_open(rig->dir, STORE_RIG_MAP_BYTES, false);
}

static void a_flipped_value_is_named(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct uuid ids[3];
    uint64_t number;
    fill(rig, ids);
    assert_string_equal(store_damage(rig->store), "");
    flip_behind(rig, "alice", 5, 0); /* the number in account_ids, and the CRC in accounts */
    check_ok(store_read_begin(rig->store, &txn));
    check_ok(store_account_number(txn, TEXT("carol"), &number));
    assert_string_equal(store_damage(rig->store), "");
    check_status(store_account_number(txn, TEXT("alice"), &number), STATUS_CORRUPT);
    assert_non_null(strstr(store_damage(rig->store), "table=account_ids key=alice: "));
    struct account account;
    check_status(store_account(txn, 1, &account), STATUS_CORRUPT);
    check_ok(store_account(txn, 2, &account));
    /* The first damage is the one that is told. */
    assert_non_null(strstr(store_damage(rig->store), "key=alice"));
    store_read_end(txn);
}

static void absence_beside_a_damaged_row_is_no_absence(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct uuid ids[3];
    uint64_t seq;
    fill(rig, ids);
    flip_behind(rig, ids[1].bytes, sizeof(ids[1]), 1);
    check_ok(store_read_begin(rig->store, &txn));
    struct uuid absent = ids[0];
    absent.bytes[7] = 1;
    check_status(store_payment_seq(txn, &absent, &seq), STATUS_CORRUPT);
    absent = ids[2];
    absent.bytes[7] = 1;
    check_status(store_payment_seq(txn, &absent, &seq), STATUS_NOT_FOUND);
    store_read_end(txn);
}

static void a_flipped_key_does_not_hide_its_row(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct uuid ids[3];
    uint64_t seq;
    fill(rig, ids);
    flip_behind(rig, ids[1].bytes, sizeof(ids[1]) - 1, 0);
    check_ok(store_read_begin(rig->store, &txn));
    check_status(store_payment_seq(txn, &ids[1], &seq), STATUS_CORRUPT);
    assert_non_null(strstr(store_damage(rig->store), "table=payment_ids "));
    store_read_end(txn);
}

static void look_ups_and_inserts_share_their_way(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_view view;
    uint64_t random = test_seed();
    enum { COUNT = 3000 };
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    static uint64_t owners[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        char name[32];
        uint64_t found;
        owners[i] = i % 3 == 0 ? (uint64_t)i * 1000000 : test_random(&random) % 1000000000;
        const int size = snprintf(name, sizeof(name), "%012llu", (unsigned long long)owners[i]);
        const struct text reference = {.data = name, .size = (size_t)size};
        if (store_reference_seq(txn, reference, &found) == STATUS_NOT_FOUND) {
            view.view.functions->reference_put(&view.view, reference, i + 1);
            check_ok(view.view.error);
        } else {
            owners[i] = UINT64_MAX;
        }
        check_ok(view.view.error);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        char name[32];
        uint64_t found;
        const int size = snprintf(name, sizeof(name), "%012llu", (unsigned long long)owners[i]);
        if (owners[i] != UINT64_MAX) {
            check_ok(store_reference_seq(txn, (struct text){name, (size_t)size}, &found));
            assert_int_equal(found, i + 1);
        }
    }
    store_view_deinit(&view);
}

int main(void)
{
#define STORE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, store_rig_set_up, store_rig_tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_flipped_value_is_named),
        STORE_TEST(absence_beside_a_damaged_row_is_no_absence),
        STORE_TEST(a_flipped_key_does_not_hide_its_row),
        STORE_TEST(look_ups_and_inserts_share_their_way),
    };
#undef STORE_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
