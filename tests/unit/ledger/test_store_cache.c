/* Accounts and currencies in memory: what the write transaction sees, and what is committed. */
#include "ledger/store_internal.h"

#include "tests/support/store_rig.h"

#include <stdio.h>
#include <string.h>

static struct store_txn *write_begin(struct store_rig *rig)
{
    struct store_txn *txn = NULL;
    check_ok(store_write_begin(rig->store, &txn));
    return txn;
}

static u128 committed_credits(struct store_rig *rig, uint64_t number)
{
    struct store_txn *txn = NULL;
    struct account account;
    check_ok(store_read_begin(rig->store, &txn));
    check_ok(store_account(txn, number, &account));
    store_read_end(txn);
    return account.credits_posted;
}

static u128 written_credits(struct store_txn *txn, uint64_t number)
{
    struct account account;
    check_ok(store_account(txn, number, &account));
    return account.credits_posted;
}

static void commit(struct store_rig *rig)
{
    const struct position position = {.index = 1, .seq = 1};
    check_ok(store_write_commit(rig->store, &position));
}

/* An account that is committed with so many credits. */
static struct account make(struct store_rig *rig, uint64_t number, const char *id, u128 credits)
{
    struct account account = store_rig_account(number, id);
    account.credits_posted = credits;
    check_ok(store_account_put(write_begin(rig), &account, true));
    commit(rig);
    return account;
}

static void a_change_is_seen_at_once_and_committed_later(void **state)
{
    struct store_rig *rig = *state;
    struct account alice = make(rig, 1, "alice", 5);
    struct store_txn *txn = write_begin(rig);
    alice.credits_posted = 6;
    check_ok(store_account_put(txn, &alice, false));
    assert_true(written_credits(txn, 1) == 6);
    assert_true(committed_credits(rig, 1) == 5);
    commit(rig);
    assert_true(committed_credits(rig, 1) == 6);
    assert_true(written_credits(write_begin(rig), 1) == 6);
}

static void an_abort_forgets_what_was_changed(void **state)
{
    struct store_rig *rig = *state;
    struct account alice = make(rig, 1, "alice", 5);
    struct store_txn *txn = write_begin(rig);
    struct account bob = store_rig_account(2, "bob");
    alice.credits_posted = 6;
    check_ok(store_account_put(txn, &alice, false));
    check_ok(store_account_put(txn, &bob, true));
    store_write_abort(rig->store);
    txn = write_begin(rig);
    assert_true(written_credits(txn, 1) == 5);
    check_status(store_account(txn, 2, &bob), STATUS_NOT_FOUND);
    uint64_t number;
    check_status(store_account_number(txn, TEXT("bob"), &number), STATUS_NOT_FOUND);
    commit(rig);
    assert_true(committed_credits(rig, 1) == 5);
}

static void two_accounts_in_one_place_both_keep_their_changes(void **state)
{
    struct store_rig *rig = *state;
    const uint64_t far = 1 + (uint64_t)ACCOUNTS_CACHED_MAX;
    struct account alice = make(rig, 1, "alice", 5);
    struct account zoe = make(rig, far, "zoe", 7);
    struct store_txn *txn = write_begin(rig);
    for (u128 round = 1; round <= 3; round++) {
        alice.credits_posted = 10 * round;
        zoe.credits_posted = 10 * round + 1;
        check_ok(store_account_put(txn, &alice, false));
        check_ok(store_account_put(txn, &zoe, false));
        assert_true(written_credits(txn, 1) == 10 * round);
        assert_true(written_credits(txn, far) == 10 * round + 1);
    }
    assert_true(committed_credits(rig, 1) == 5);
    commit(rig);
    assert_true(committed_credits(rig, 1) == 30);
    assert_true(committed_credits(rig, far) == 31);
    uint64_t number;
    txn = write_begin(rig);
    check_ok(store_account_number(txn, TEXT("alice"), &number));
    assert_int_equal(number, 1);
    check_ok(store_account_number(txn, TEXT("zoe"), &number));
    assert_int_equal(number, far);
}

/* Rows that get longer move in LMDB's pages, and split them. */
static void accounts_that_need_longer_rows_keep_their_values(void **state)
{
    enum { ACCOUNTS = 600 };
    struct store_rig *rig = *state;
    struct store_txn *txn = write_begin(rig);
    char id[16];
    for (uint64_t number = 1; number <= ACCOUNTS; number++) {
        assert_true(snprintf(id, sizeof(id), "account-%03u", (unsigned)number) > 0);
        struct account account = store_rig_account(number, id);
        account.overdraft_limit = 0;
        account.debits_posted = 0;
        account.credits_posted = number;
        account.debits_held = 0;
        account.credits_held = 0;
        memset(account.history_seq, 0, sizeof(account.history_seq));
        check_ok(store_account_put(txn, &account, true));
    }
    commit(rig);
    for (uint64_t number = 1; number <= ACCOUNTS; number++) {
        struct account account;
        txn = write_begin(rig);
        check_ok(store_account(txn, number, &account));
        account.debits_held = number % 3;
        account.history_seq[4] = number % 2;
        account.credits_posted += (u128)(number % 5) << 64;
        check_ok(store_account_put(txn, &account, false));
        check_ok(store_account(txn, number, &account));
        assert_true(account.debits_held == number % 3);
    }
    commit(rig);
    store_close(rig->store);
    rig->store = store_rig_open(rig->dir, STORE_RIG_MAP_BYTES, false);
    for (uint64_t number = 1; number <= ACCOUNTS; number++) {
        struct account account;
        check_ok(store_account(write_begin(rig), number, &account));
        assert_true(account.credits_posted == number + ((u128)(number % 5) << 64));
        assert_true(account.debits_held == number % 3 && account.debits_posted == 0);
        assert_true(account.history_seq[4] == number % 2 && account.history_seq[5] == 0);
    }
}

/* At most one page for each row that changed, and no more than the tables have. */
static void pages_that_change_are_counted_until_the_commit(void **state)
{
    enum { ACCOUNTS = 500 };
    struct store_rig *rig = *state;
    char id[16];
    assert_int_equal(store_write_pages(rig->store), 0);
    for (uint64_t number = 1; number <= ACCOUNTS; number++) {
        assert_true(snprintf(id, sizeof(id), "account-%03u", (unsigned)number) > 0);
        const struct account account = store_rig_account(number, id);
        check_ok(store_account_put(write_begin(rig), &account, true));
    }
    const uint64_t pages = store_write_pages(rig->store);
    assert_true(pages > 10 && pages < ACCOUNTS / 4);
    commit(rig);
    assert_int_equal(store_write_pages(rig->store), 0);
    struct store_txn *txn = write_begin(rig);
    assert_int_equal(store_write_pages(rig->store), 0);
    struct account account;
    for (uint64_t number = 1; number <= 3; number++) {
        check_ok(store_account(txn, number, &account));
        check_ok(store_account_put(txn, &account, false));
        check_ok(store_account_put(txn, &account, false));
        assert_int_equal(store_write_pages(rig->store), number);
    }
    struct position position = {.accounts_count = ACCOUNTS, .currencies_count = 1};
    struct store_view view;
    struct uuid payment;
    store_view_init(&view, txn, &position, NULL);
    store_rig_record(&view, 1, &payment);
    check_ok(view.view.error);
    store_view_deinit(&view);
    assert_int_equal(store_write_pages(rig->store), 3 + 1);
    store_write_abort(rig->store);
    assert_int_equal(store_write_pages(rig->store), 0);
    (void)write_begin(rig);
    assert_int_equal(store_write_pages(rig->store), 0);
}

static void currencies_are_written_with_the_commit(void **state)
{
    struct store_rig *rig = *state;
    struct currency euro = store_rig_euro();
    check_ok(store_currency_put(write_begin(rig), &euro, true));
    commit(rig);
    euro.debits_posted = 99;
    struct store_txn *txn = write_begin(rig);
    check_ok(store_currency_put(txn, &euro, false));
    uint32_t number = 0;
    struct currency found;
    check_ok(store_currency_number(txn, TEXT("EUR"), &number));
    check_ok(store_currency_number(txn, TEXT("EUR"), &number));
    assert_int_equal(number, 1);
    check_ok(store_currency(txn, 1, &found));
    assert_true(found.debits_posted == 99);
    struct store_txn *reader = NULL;
    check_ok(store_read_begin(rig->store, &reader));
    check_ok(store_currency(reader, 1, &found));
    assert_true(found.debits_posted == store_rig_euro().debits_posted);
    store_read_end(reader);
    commit(rig);
    check_ok(store_read_begin(rig->store, &reader));
    check_ok(store_currency(reader, 1, &found));
    assert_true(found.debits_posted == 99);
    store_read_end(reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_rig_set_up, store_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_seen_at_once_and_committed_later),
        TEST(an_abort_forgets_what_was_changed),
        TEST(two_accounts_in_one_place_both_keep_their_changes),
        TEST(accounts_that_need_longer_rows_keep_their_values),
        TEST(pages_that_change_are_counted_until_the_commit),
        TEST(currencies_are_written_with_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
