/* The view of the store: what was put is found. */
#include "tests/support/forms.h"
#include "tests/support/store_rig.h"

static void check_currency(const struct currency *found, const struct currency *wanted)
{
    assert_int_equal(found->number, wanted->number);
    assert_string_equal(found->code, wanted->code);
    assert_int_equal(found->scale, wanted->scale);
    assert_true(found->seq == wanted->seq && found->term == wanted->term);
    assert_true(found->time_ns == wanted->time_ns);
    assert_true(found->debits_posted == wanted->debits_posted);
    assert_true(found->credits_posted == wanted->credits_posted);
    assert_true(found->debits_held == wanted->debits_held);
    assert_true(found->credits_held == wanted->credits_held);
    assert_true(found->accounts_count == wanted->accounts_count);
}

static void the_view_finds_what_it_was_given(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_view store_view;
    struct view *view = &store_view.view;
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&store_view, txn, &(struct position){0}, NULL);
    const struct view_functions *functions = view->functions;
    uint64_t number = 0;
    uint32_t currency_number = 0;
    struct account account;
    struct currency currency;
    assert_false(functions->account_find(view, TEXT("alice"), &number));
    assert_false(functions->account_get(view, 1, &account));
    assert_false(functions->currency_find(view, TEXT("EUR"), &currency_number));
    assert_false(functions->currency_get(view, 1, &currency));
    assert_false(functions->reference_find(view, TEXT("r 1"), &number));

    const struct currency wanted_currency = store_rig_euro();
    functions->currency_put(view, &wanted_currency);
    struct account alice = store_rig_account(1, "alice");
    const struct account bob = store_rig_account(2, "bob");
    functions->account_put(view, &alice);
    functions->account_put(view, &bob);
    alice.credits_posted = 77;
    alice.entries_count++;
    functions->account_put(view, &alice);
    functions->reference_put(view, TEXT("r 1"), 42);
    assert_int_equal(view->accounts_count, 2);
    assert_int_equal(view->currencies_count, 1);
    assert_true(functions->account_find(view, TEXT("bob"), &number));
    assert_int_equal(number, 2);
    assert_true(functions->account_get(view, 1, &account));
    store_rig_check_account(&account, &alice);
    assert_true(functions->account_get(view, 2, &account));
    store_rig_check_account(&account, &bob);
    assert_true(functions->currency_find(view, TEXT("EUR"), &currency_number));
    assert_int_equal(currency_number, 1);
    assert_true(functions->currency_get(view, 1, &currency));
    check_currency(&currency, &wanted_currency);
    assert_true(functions->reference_find(view, TEXT("r 1"), &number));
    assert_int_equal(number, 42);
    check_ok(view->error);
    store_view_deinit(&store_view);
}

static void payments_are_found_by_id_and_seq(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_view view;
    struct buffer records;
    struct uuid ids[3];
    buffer_init(&records, 4096);
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, &records);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        store_rig_record(&view, seq, &ids[seq - 1]);
    }
    check_ok(view.view.error);
    struct payment_seen seen;
    assert_true(view.view.functions->payment_find(&view.view, &ids[1], &seen));
    assert_int_equal(seen.seq, 2);
    assert_int_equal(seen.code, CODE_ACCOUNT_NOT_FOUND);
    struct record record;
    uint64_t seq;
    check_ok(store_record(txn, 2, &record));
    assert_true(text_equal(record.form, seen.command));
    assert_true(uuid_equal(&record.id, &ids[1]));
    assert_int_equal(record.decision.field, FIELD_DEBIT);
    check_ok(store_payment_seq(txn, &ids[2], &seq));
    assert_int_equal(seq, 3);
    check_status(store_record(txn, 4, &record), STATUS_NOT_FOUND);
    check_status(store_payment_seq(txn, &(struct uuid){.bytes = {7}}, &seq), STATUS_NOT_FOUND);

    /* What the digest covers is what is stored, one record behind the other. */
    size_t at = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        struct text bytes;
        check_ok(store_record_bytes(txn, i, &bytes));
        assert_true(at + bytes.size <= records.size);
        assert_memory_equal(records.data + at, bytes.data, bytes.size);
        at += bytes.size;
    }
    assert_int_equal(at, records.size);
    store_view_deinit(&view);
    buffer_deinit(&records);
}

static void a_second_record_under_a_seq_or_id_is_an_error(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_view view;
    struct uuid id;
    struct account account;
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    const struct account alice = store_rig_account(1, "alice");
    view.view.functions->account_put(&view.view, &alice);
    store_rig_record(&view, 5, &id);
    check_ok(view.view.error);
    store_rig_record(&view, 4, &id);
    check_status(view.view.error, STATUS_CORRUPT);
    /* From then on the view knows nothing and changes nothing. */
    assert_false(view.view.functions->account_get(&view.view, 1, &account));
    const struct account bob = store_rig_account(2, "bob");
    view.view.functions->account_put(&view.view, &bob);
    assert_int_equal(view.view.accounts_count, 1);
    check_status(store_account(txn, 2, &account), STATUS_NOT_FOUND);
    store_view_deinit(&view);
}

int main(void)
{
#define STORE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, store_rig_set_up, store_rig_tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(the_view_finds_what_it_was_given),
        STORE_TEST(payments_are_found_by_id_and_seq),
        STORE_TEST(a_second_record_under_a_seq_or_id_is_an_error),
    };
#undef STORE_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
