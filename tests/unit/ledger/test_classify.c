/* Seen before, or new: on a state in memory. */
#include "base/check.h"
#include "ledger/internal.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"
#include "tests/support/view_rig.h"

#include <stdio.h>

static struct view_rig rig;
static struct entry_command entry;
static struct payment_seen seen;

/* EUR is 1; alice is 1, bob 2; payment 1 was posted as seq 4, payment 2 refused as seq 5. */
static int set_up(void **state)
{
    (void)state;
    view_rig_open(&rig);
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_account("alice", "EUR", false, -1),
        make_account("bob", "EUR", false, 0),
        make_payment(1, "alice", "bob", 10),
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(commands); i++) {
        assert_int_equal(view_rig_do(&rig, &commands[i]), CODE_OK);
    }
    const struct command poor = make_payment(2, "bob", "alice", 11);
    assert_int_equal(view_rig_do(&rig, &poor), CODE_INSUFFICIENT_FUNDS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    view_rig_close(&rig);
    return 0;
}

static struct item look(const struct command *command)
{
    struct item item = {0};
    classify(rig.view, command, &item, &entry, &seen);
    check_ok(rig.view->error);
    assert_int_equal(item.kind, command->kind);
    return item;
}

static void expect_fixed(const struct command *command, enum code code, enum field field)
{
    const struct item item = look(command);
    assert_int_equal(item.disposition, ITEM_FIXED);
    assert_int_equal(item.code, code);
    assert_int_equal(item.field, field);
}

static void what_is_new_goes_into_the_entry(void **state)
{
    (void)state;
    struct command command = make_currency("USD", 0);
    assert_int_equal(look(&command).disposition, ITEM_IN_ENTRY);
    assert_true(text_equal(entry.currency_create.code, TEXT("USD")));
    command = make_account("carol", "EUR", false, 0);
    assert_int_equal(look(&command).disposition, ITEM_IN_ENTRY);
    assert_int_equal(entry.account_open.currency.number, 1);
    command = make_payment(3, "alice", "bob", 1);
    command.payment.legs[0].currency = TEXT("EUR");
    const struct item item = look(&command);
    assert_int_equal(item.disposition, ITEM_IN_ENTRY);
    assert_true(item.short_form && uuid_equal(&item.id, &command.payment.id));
    assert_true(entry.payment.legs[0].debit.number == 1 &&
                entry.payment.legs[0].credit.number == 2);
    assert_true(entry.payment.legs[0].currency.number == 0); /* the accounts' own is left out */
}

static void payments_that_will_be_refused_are_recorded_too(void **state)
{
    (void)state;
    const struct command command = make_payment(3, "ghost", "bob", 1);
    assert_int_equal(look(&command).disposition, ITEM_IN_ENTRY);
}

static void the_same_again_is_a_replay(void **state)
{
    (void)state;
    struct command command = make_currency("EUR", 2);
    struct item item = look(&command);
    assert_true(item.disposition == ITEM_REPLAY && item.replay == 1);
    command = make_account("bob", "EUR", false, 0);
    item = look(&command);
    assert_true(item.disposition == ITEM_REPLAY && item.replay == 2);
    command = make_payment(1, "alice", "bob", 10);
    item = look(&command);
    assert_true(item.disposition == ITEM_REPLAY && item.replay == 4);
    assert_true(seen.seq == 4 && seen.code == CODE_OK);
    command = make_payment(2, "bob", "alice", 11);
    item = look(&command);
    assert_true(item.disposition == ITEM_REPLAY && item.replay == 5);
    assert_true(seen.seq == 5 && seen.code == CODE_INSUFFICIENT_FUNDS);
}

static void something_else_under_a_known_name_is_refused(void **state)
{
    (void)state;
    struct command command = make_currency("EUR", 3);
    expect_fixed(&command, CODE_ALREADY_EXISTS, FIELD_SCALE);
    command = make_account("bob", "EUR", true, 0);
    expect_fixed(&command, CODE_ALREADY_EXISTS, FIELD_NORMAL);
    command = make_account("bob", "XYZ", false, 0);
    expect_fixed(&command, CODE_ALREADY_EXISTS, FIELD_CURRENCY);
    command = make_payment(1, "alice", "bob", 11);
    expect_fixed(&command, CODE_IDEMPOTENCY_MISMATCH, FIELD_AMOUNT);
}

static void an_account_needs_a_currency(void **state)
{
    (void)state;
    const struct command command = make_account("carol", "XYZ", false, 0);
    expect_fixed(&command, CODE_CURRENCY_NOT_FOUND, FIELD_CURRENCY);
    assert_true(text_equal(look(&command).subject, TEXT("XYZ")));
}

static void there_is_a_last_currency(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < CURRENCIES_MAX; i++) {
        char code[16];
        (void)snprintf(code, sizeof(code), "C%u", i);
        const struct command command = make_currency(code, 0);
        assert_int_equal(look(&command).disposition, ITEM_IN_ENTRY);
        assert_int_equal(view_rig_do(&rig, &command), CODE_OK);
    }
    const struct command command = make_currency("LAST", 0);
    expect_fixed(&command, CODE_TOO_MANY_CURRENCIES, FIELD_CODE);
    const struct command known = make_currency("EUR", 2);
    assert_int_equal(look(&known).disposition, ITEM_REPLAY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_new_goes_into_the_entry), TEST(payments_that_will_be_refused_are_recorded_too),
        TEST(the_same_again_is_a_replay),      TEST(something_else_under_a_known_name_is_refused),
        TEST(an_account_needs_a_currency),     TEST(there_is_a_last_currency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
