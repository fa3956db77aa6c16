/*
 * Rows whose checksums are right and that contradict each other: what an old page in place of a new
 * one would bring.
 */
#include "ledger/scrub.h"

#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

#include <string.h>

enum { BANK = 4 }; /* its account number */

static struct driver driver;

static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    driver_lead(&driver);
    driver_make_bank(&driver);
    struct command paid = make_payment(7, "bank", "alice", 5);
    paid.payment.has_reference = true;
    paid.payment.reference = TEXT("one");
    assert_int_equal(driver_do(&driver, &paid, NULL), CODE_OK);
    check_ok(ledger_flush(driver.ledger));
    driver_resign(&driver);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static enum status scrub_in(enum scrub_mode mode)
{
    struct scrub *scrub = NULL;
    bool done = false;
    check_ok(scrub_open(&scrub, driver.ledger, mode));
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !done) {
        status = scrub_step(scrub, 1, &done);
    }
    scrub_close(scrub);
    return status;
}

/* Changes the store with `change`, as if it had always been so, and says what the scrub finds. */
static const char *scrub_after(enum scrub_mode mode,
                               void (*change)(struct store_view *view, struct position *position))
{
    struct store *store = NULL;
    struct store_txn *txn = NULL;
    struct store_view view;
    struct position position;
    char error[256] = "";
    const struct store_options options = {.path = driver.dir, .map_bytes = (uint64_t)4 << 30};
    ledger_close(driver.ledger);
    check_ok(store_open(&store, &options, error, sizeof(error)));
    check_ok(store_write_begin(store, &txn));
    check_ok(store_position(txn, &position));
    store_view_init(&view, txn, &position, NULL);
    change(&view, &position);
    check_ok(view.view.error);
    store_view_deinit(&view);
    check_ok(store_write_commit(store, &position));
    store_close(store);
    const struct ledger_options ledger_options = {
        .path = driver.dir, .map_bytes = options.map_bytes, .metrics = &driver.metrics};
    check_ok(ledger_open(&driver.ledger, &ledger_options, error, sizeof(error)));
    check_status(scrub_in(mode), STATUS_CORRUPT);
    return ledger_damage(driver.ledger);
}

static struct account account_get(struct store_view *view, uint64_t number)
{
    struct account account;
    assert_true(view->view.functions->account_get(&view->view, number, &account));
    return account;
}

static void balance_changes(struct store_view *view, struct position *position)
{
    (void)position;
    struct account account = account_get(view, 1);
    account.credits_posted += 1;
    view->view.functions->account_put(&view->view, &account);
}

static void account_is_old(struct store_view *view, struct position *position)
{
    (void)position;
    struct account account = account_get(view, 1);
    assert_true(account.entries_count == 2);
    account.entries_count = 1; /* as after the first payment */
    account.credits_posted = 1000;
    account.history_seq[0]--;
    view->view.functions->account_put(&view->view, &account);
}

static void account_has_no_entries(struct store_view *view, struct position *position)
{
    (void)position;
    struct account account = account_get(view, 1);
    account.entries_count = 0;
    view->view.functions->account_put(&view->view, &account);
}

static void totals_are_old(struct store_view *view, struct position *position)
{
    (void)position;
    struct currency currency;
    assert_true(view->view.functions->currency_get(&view->view, 1, &currency));
    currency.debits_posted -= 5;
    currency.credits_posted -= 5;
    view->view.functions->currency_put(&view->view, &currency);
}

static void books_do_not_balance(struct store_view *view, struct position *position)
{
    (void)position;
    struct currency currency;
    assert_true(view->view.functions->currency_get(&view->view, 1, &currency));
    currency.debits_posted -= 5;
    view->view.functions->currency_put(&view->view, &currency);
}

/* Everything but the payment itself is from the time before it. */
static void only_the_payment_is_new(struct store_view *view, struct position *position)
{
    account_is_old(view, position);
    totals_are_old(view, position);
    struct account bank = account_get(view, BANK);
    assert_true(bank.entries_count == 2 && bank.debits_posted == 1005);
    bank.entries_count = 1;
    bank.debits_posted = 1000;
    bank.history_seq[0]--;
    view->view.functions->account_put(&view->view, &bank);
}

static void reference_leads_elsewhere(struct store_view *view, struct position *position)
{
    view->view.functions->reference_put(&view->view, TEXT("two"), position->seq);
}

static void id_leads_elsewhere(struct store_view *view, struct position *position)
{
    struct account account = account_get(view, 1);
    account.number = 5;
    account.id[0] = 'b';
    view->view.functions->account_put(&view->view, &account); /* a copy of alice: blice */
    position->accounts_count = 5;
}

/* The newest payment has another one's command: its own id leads to it, the command's id does not.
 */
static void id_is_another_ones(struct store_view *view, struct position *position)
{
    const struct command paid = make_payment(7, "bank", "alice", 5);
    const struct uuid own = make_payment(8, "bank", "alice", 5).payment.id;
    struct payment_seen seen;
    assert_true(view->view.functions->payment_find(&view->view, &paid.payment.id, &seen));
    char bytes[256];
    assert_true(seen.command.size <= sizeof(bytes));
    memcpy(bytes, seen.command.data, seen.command.size);
    const struct decision decision = {.code = CODE_INSUFFICIENT_FUNDS,
                                      .kind = COMMAND_PAYMENT,
                                      .seq = position->seq + 1,
                                      .term = 1};
    view->view.functions->record_put(
        &view->view, &own, (struct text){.data = bytes, .size = seen.command.size}, &decision);
    position->seq++;
    position->payments_count++;
    check_ok(store_digest_put(view->txn, position->seq, &position->digest));
}

static void position_is_behind(struct store_view *view, struct position *position)
{
    (void)view;
    position->seq--;
}

static void digest_is_another(struct store_view *view, struct position *position)
{
    (void)view;
    position->digest.bytes[0] ^= 1;
}

static void contradictions_are_named(void **state)
{
    static const struct {
        void (*change)(struct store_view *view, struct position *position);
        const char *said;
    } cases[] = {
        {balance_changes, "table=accounts key=1: its newest entry has another balance"},
        {account_is_old, "table=currencies key=1: its totals are not the sums"},
        {account_has_no_entries, "table=accounts key=1: its entries are not those"},
        {totals_are_old, "table=currencies key=1: its totals are not the sums"},
        {only_the_payment_is_new, ": the account is behind a payment of its own"},
        {books_do_not_balance, "table=currencies key=1: its books do not balance"},
        {reference_leads_elsewhere, "table=references key=two: the payment has another reference"},
        {id_leads_elsewhere, "table=accounts key=5: its newest entry is in no payment"},
        {id_is_another_ones, "table=payments key=8: its id leads to another payment"},
        {position_is_behind, "table=payments key=-: LMDB counts other rows"},
        {digest_is_another, "table=meta key=position: its digest is not the newest"},
    };
    const enum scrub_mode modes[] = {SCRUB_AT_ONCE, SCRUB_IN_PIECES};
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(set_up(state), 0);
        const char *said = scrub_after(modes[i % 2], cases[i / 2].change);
        if (strstr(said, cases[i / 2].said) == NULL) {
            fail_msg("case %zu, mode %zu: %s, not: %s", i / 2, i % 2, said, cases[i / 2].said);
        }
        assert_int_equal(tear_down(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contradictions_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
