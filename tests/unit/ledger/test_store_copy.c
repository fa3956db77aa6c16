/* A copy of a store that is in use, and what is in both. */
#include "tests/support/store_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void fill(struct store *store, struct position *position)
{
    struct store_txn *txn;
    struct store_view view;
    struct uuid id;
    const struct currency currency = store_rig_euro();
    check_ok(store_write_begin(store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    view.view.functions->currency_put(&view.view, &currency);
    for (uint64_t number = 1; number <= 300; number++) {
        char name[16];
        assert_true(snprintf(name, sizeof(name), "a%d", (int)number) > 0);
        struct account account = store_rig_account(number, name);
        account.debits_posted = number;
        account.credits_posted = 2 * number;
        view.view.functions->account_put(&view.view, &account);
    }
    for (uint64_t seq = 1; seq <= 500; seq++) {
        store_rig_record(&view, seq, &id);
    }
    view.view.functions->reference_put(&view.view, TEXT("only one"), 5);
    check_ok(view.view.error);
    *position = (struct position){.index = 9,
                                  .seq = 500,
                                  .accounts_count = view.view.accounts_count,
                                  .currencies_count = view.view.currencies_count,
                                  .payments_count = 500};
    store_view_deinit(&view);
    check_ok(store_write_commit(store, position));
    check_ok(store_sync(store));
}

static void check_counts(struct store *store)
{
    static const struct {
        enum table table;
        uint64_t wanted;
    } tables[] = {{TABLE_ACCOUNTS, 300}, {TABLE_ACCOUNT_IDS, 300}, {TABLE_CURRENCIES, 1},
                  {TABLE_PAYMENTS, 500}, {TABLE_PAYMENT_IDS, 500}, {TABLE_REFERENCES, 1}};
    struct store_txn *txn = NULL;
    struct position position;
    check_ok(store_read_begin(store, &txn));
    check_ok(store_position(txn, &position));
    assert_true(position.index == 9 && position.seq == 500);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        uint64_t count = 0;
        check_ok(store_count(txn, tables[i].table, &count));
        assert_int_equal(count, tables[i].wanted);
    }
    store_read_end(txn);
}

static void a_copy_has_the_same_rows(void **state)
{
    struct store_rig *rig = *state;
    struct position position;
    struct store_txn *txn;
    fill(rig->store, &position);
    check_counts(rig->store);

    /* What is not committed is not copied. */
    struct store_view view;
    struct uuid id;
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &position, NULL);
    store_rig_record(&view, 501, &id);
    store_view_deinit(&view);

    char *dir = test_dir_make();
    char path[4096];
    assert_true(snprintf(path, sizeof(path), "%s/data.mdb", dir) > 0);
    const int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_true(fd >= 0);
    check_ok(store_copy(rig->store, fd));
    assert_int_equal(close(fd), 0);
    struct store *copy = store_rig_open(dir, STORE_RIG_MAP_BYTES, true);
    check_counts(copy);
    struct record record;
    check_ok(store_read_begin(copy, &txn));
    check_ok(store_record(txn, 500, &record));
    check_status(store_record(txn, 501, &record), STATUS_NOT_FOUND);
    store_read_end(txn);
    store_close(copy);
    copy = store_rig_open(dir, STORE_RIG_MAP_BYTES, false);
    check_counts(copy);
    store_close(copy);
    test_dir_remove(dir);
}

static void a_copy_that_cannot_be_written_is_an_error(void **state)
{
    struct store_rig *rig = *state;
    struct position position;
    fill(rig->store, &position);
    const int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    check_status(store_copy(rig->store, fd), STATUS_FULL);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
#define STORE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, store_rig_set_up, store_rig_tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_copy_has_the_same_rows),
        STORE_TEST(a_copy_that_cannot_be_written_is_an_error),
    };
#undef STORE_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
