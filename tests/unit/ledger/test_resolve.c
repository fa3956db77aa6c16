#include "ledger/resolve.h"

#include "base/check.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"
#include "tests/support/view_rig.h"

static struct view_rig rig;
static struct entry_payment resolved;

/* EUR is 1, USD 2; alice 1 and bob 2 have EUR, dora 3 has USD. */
static int set_up(void **state)
{
    (void)state;
    view_rig_open(&rig);
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_currency("USD", 2),
        make_account("alice", "EUR", false, 0),
        make_account("bob", "EUR", false, 0),
        make_account("dora", "USD", false, 0),
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(commands); i++) {
        assert_int_equal(view_rig_do(&rig, &commands[i]), CODE_OK);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    view_rig_close(&rig);
    return 0;
}

static void resolve(struct command *command, const char *currency)
{
    for (uint32_t i = 0; i < command->payment.legs_count; i++) {
        command->payment.legs[i].currency = text_of(currency);
    }
    resolve_payment(rig.view, &command->payment, &resolved);
}

static void names_become_numbers_beside_the_text(void **state)
{
    (void)state;
    struct command command = make_payment(5, "alice", "ghost", 7);
    add_leg(&command, "dora", "bob", 8);
    resolve(&command, "XYZ");
    assert_int_equal(resolved.legs_count, 2);
    assert_int_equal(resolved.legs[0].debit.number, 1);
    assert_true(text_equal(resolved.legs[0].debit.text, TEXT("alice")));
    assert_int_equal(resolved.legs[0].credit.number, 0);
    assert_true(text_equal(resolved.legs[0].credit.text, TEXT("ghost")));
    assert_int_equal(resolved.legs[0].currency.number, 0);
    assert_true(text_equal(resolved.legs[0].currency.text, TEXT("XYZ")));
    assert_int_equal(resolved.legs[1].debit.number, 3);
    assert_int_equal(resolved.legs[1].credit.number, 2);
    assert_true(resolved.legs[0].amount == 7 && resolved.legs[1].amount == 8);
}

static void all_else_is_taken_over(void **state)
{
    (void)state;
    struct command command = make_payment(5, "alice", "bob", 7);
    struct payment *payment = &command.payment;
    payment->has_valid_until = payment->has_effective_at = true;
    payment->has_reference = payment->has_metadata = true;
    payment->valid_until_ns = 11;
    payment->effective_at_ns = -12;
    payment->reference = TEXT("r");
    payment->metadata = TEXT("{}");
    resolve(&command, "");
    assert_true(uuid_equal(&resolved.id, &payment->id) && resolved.short_form);
    assert_true(resolved.has_valid_until && resolved.valid_until_ns == 11);
    assert_true(resolved.has_effective_at && resolved.effective_at_ns == -12);
    assert_true(resolved.has_reference && text_equal(resolved.reference, TEXT("r")));
    assert_true(resolved.has_metadata && text_equal(resolved.metadata, TEXT("{}")));
    assert_true(resolved.legs[0].currency.number == 0 && resolved.legs[0].currency.text.size == 0);
}

static void the_own_currency_is_the_one_of_both(void **state)
{
    (void)state;
    static const struct {
        const char *debit, *credit;
        uint32_t own;
    } cases[] = {{"alice", "bob", 1},
                 {"dora", "dora", 2},
                 {"alice", "dora", 0},
                 {"ghost", "alice", 0},
                 {"alice", "ghost", 0}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct command command = make_payment(5, cases[i].debit, cases[i].credit, 7);
        resolve(&command, "");
        assert_int_equal(resolve_own_currency(rig.view, &resolved.legs[0]), cases[i].own);
    }
}

static void only_the_own_currency_is_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *debit, *credit, *currency;
        bool kept;
    } cases[] = {{"alice", "bob", "EUR", false},
                 {"alice", "bob", "USD", true}, /* to be refused at apply, as it was given */
                 {"alice", "dora", "EUR", true},
                 {"alice", "ghost", "EUR", true}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct command command = make_payment(5, cases[i].debit, cases[i].credit, 7);
        resolve(&command, cases[i].currency);
        resolve_drop_own_currencies(rig.view, &resolved);
        assert_int_equal(resolved.legs[0].currency.number != 0, cases[i].kept);
        assert_int_equal(resolved.legs[0].currency.text.size, cases[i].kept ? 3 : 0);
    }
    struct command unknown = make_payment(5, "alice", "bob", 7);
    resolve(&unknown, "XYZ");
    resolve_drop_own_currencies(rig.view, &resolved);
    assert_true(text_equal(resolved.legs[0].currency.text, TEXT("XYZ")));
}

static void an_account_is_opened_in_a_numbered_currency(void **state)
{
    (void)state;
    struct entry_account_open open;
    struct command command = make_account("carol", "USD", true, 30);
    resolve_account_open(rig.view, &command.account_open, &open);
    assert_true(text_equal(open.id, TEXT("carol")) && open.currency.number == 2);
    assert_true(open.debit_normal && open.overdraft_kind == OVERDRAFT_LIMIT);
    assert_true(open.overdraft_limit == 30);
    command = make_account("carol", "XYZ", false, -1);
    resolve_account_open(rig.view, &command.account_open, &open);
    assert_int_equal(open.currency.number, 0);
    assert_int_equal(open.overdraft_kind, OVERDRAFT_UNLIMITED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_become_numbers_beside_the_text),        TEST(all_else_is_taken_over),
        TEST(the_own_currency_is_the_one_of_both),         TEST(only_the_own_currency_is_left_out),
        TEST(an_account_is_opened_in_a_numbered_currency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
