/*
 * The rules of money, on a state in memory. Each refusal by itself, then each pair of them in one
 * payment: the order of checks is a promise to clients.
 */
#include "ledger/execute.h"

#include "base/check.h"
#include "ledger/payment.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"
#include "tests/support/view_rig.h"

#include <stdio.h>
#include <string.h>

static struct view_rig rig;
static uint64_t next_id;

/* alice and bob (EUR, no overdraft), shop (EUR, limit 100), bank (EUR, unlimited), till (EUR,
 * debit-normal), dora (USD, unlimited), usd (USD, unlimited). bank has paid alice 1000. */
static int set_up(void **state)
{
    (void)state;
    next_id = 1;
    view_rig_open(&rig);
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_currency("USD", 2),
        make_account("alice", "EUR", false, 0),
        make_account("bob", "EUR", false, 0),
        make_account("shop", "EUR", false, 100),
        make_account("bank", "EUR", false, -1),
        make_account("till", "EUR", true, 0),
        make_account("dora", "USD", false, -1),
        make_account("usd", "USD", false, -1),
        make_payment(1000000, "bank", "alice", 1000),
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

static enum code pay(const char *debit, const char *credit, u128 amount)
{
    const struct command command = make_payment(next_id++, debit, credit, amount);
    return view_rig_do(&rig, &command);
}

static enum code pay_legs(struct command *command)
{
    command->payment.id = uuid_of(next_id++);
    return view_rig_do(&rig, command);
}

static void expect(enum code code, enum code wanted, enum field field, uint32_t leg)
{
    if (code != wanted || rig.decision.field != field || rig.decision.leg != leg) {
        fail_msg("code %d field %d leg %u, wanted %d %d %u", (int)code, (int)rig.decision.field,
                 rig.decision.leg, (int)wanted, (int)field, leg);
    }
    assert_int_equal(rig.decision.sides_count, code == CODE_OK ? rig.decision.sides_count : 0);
}

static i128 posted(const char *id)
{
    const struct account account = view_rig_account(&rig, id);
    return account_posted(&account);
}

static void a_payment_moves_money_and_totals(void **state)
{
    (void)state;
    const struct currency before = view_rig_currency(&rig, "EUR");
    expect(pay("alice", "bob", 300), CODE_OK, FIELD_NONE, 0);
    assert_true(posted("alice") == 700 && posted("bob") == 300);
    const struct currency after = view_rig_currency(&rig, "EUR");
    assert_true(after.debits_posted == before.debits_posted + 300);
    assert_true(after.credits_posted == before.credits_posted + 300);
    assert_int_equal(rig.decision.sides_count, 2);
    assert_true(rig.decision.sides[0].balance_after == 700);
    assert_true(rig.decision.sides[1].balance_after == 300);
    assert_int_equal(rig.decision.term, 7);
}

static void a_refusal_moves_nothing_and_is_recorded(void **state)
{
    (void)state;
    const struct account before = view_rig_account(&rig, "alice");
    expect(pay("alice", "bob", 1001), CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, 0);
    assert_true(rig.decision.available == 1000 && rig.decision.needed == 1001);
    const struct account after = view_rig_account(&rig, "alice");
    assert_memory_equal(&before, &after, sizeof(before));
    struct payment_seen seen;
    const struct uuid id = uuid_of(next_id - 1);
    assert_true(rig.view->functions->payment_find(rig.view, &id, &seen));
    assert_int_equal(seen.code, CODE_INSUFFICIENT_FUNDS);
    assert_true(seen.seq == rig.seq);
}

static void the_overdraft_is_available_to_the_last_unit(void **state)
{
    (void)state;
    expect(pay("shop", "bob", 101), CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, 0);
    assert_true(rig.decision.available == 100);
    expect(pay("shop", "bob", 100), CODE_OK, FIELD_NONE, 0);
    expect(pay("shop", "bob", 1), CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, 0);
    assert_true(rig.decision.available == 0 && rig.decision.needed == 1);
}

static void a_debit_normal_account_falls_by_being_credited(void **state)
{
    (void)state;
    expect(pay("alice", "till", 5), CODE_INSUFFICIENT_FUNDS, FIELD_CREDIT, 0);
    assert_true(rig.decision.available == 0 && rig.decision.needed == 5);
    expect(pay("till", "alice", 5), CODE_OK, FIELD_NONE, 0);
    assert_true(posted("till") == 5 && posted("alice") == 1005);
    expect(pay("alice", "till", 5), CODE_OK, FIELD_NONE, 0);
    assert_true(posted("till") == 0);
}

static void limits_are_judged_on_the_whole_payment(void **state)
{
    (void)state;
    /* bob pays first and is paid later: in the end he has 1. */
    struct command command = make_payment(0, "bob", "shop", 50);
    add_leg(&command, "alice", "bob", 51);
    expect(pay_legs(&command), CODE_OK, FIELD_NONE, 0);
    assert_true(posted("bob") == 1);
    assert_true(rig.decision.sides[0].balance_after == -50); /* on the way */
    assert_true(rig.decision.sides[3].balance_after == 1);
    /* Two legs that are fine by themselves, but not together. */
    command = make_payment(0, "alice", "bob", 500);
    add_leg(&command, "alice", "shop", 500);
    expect(pay_legs(&command), CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, 0);
    assert_true(rig.decision.available == 949 && rig.decision.needed == 1000);
}

static void the_first_side_that_is_short_is_named(void **state)
{
    (void)state;
    struct command command = make_payment(0, "bank", "bob", 1);
    add_leg(&command, "alice", "till", 7); /* till falls by 7, and has nothing */
    add_leg(&command, "shop", "bob", 5000);
    expect(pay_legs(&command), CODE_INSUFFICIENT_FUNDS, FIELD_CREDIT, 1);
    assert_true(rig.decision.needed == 7);
}

static void a_limit_binds_only_accounts_that_fall(void **state)
{
    (void)state;
    struct account account = view_rig_account(&rig, "bob");
    account.debits_posted = 500; /* far below its limit, however it came there */
    rig.view->functions->account_put(rig.view, &account);
    expect(pay("alice", "bob", 10), CODE_OK, FIELD_NONE, 0);
    assert_true(posted("bob") == -490);
    /* Neither does it bind one whose balance stays. */
    struct command command = make_payment(0, "bob", "shop", 20);
    add_leg(&command, "alice", "bob", 20);
    expect(pay_legs(&command), CODE_OK, FIELD_NONE, 0);
    expect(pay("bob", "alice", 1), CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, 0);
    assert_true(rig.decision.available == -490);
}

static void unlimited_accounts_have_no_limit(void **state)
{
    (void)state;
    expect(pay("bank", "bob", (u128)1 << 100), CODE_OK, FIELD_NONE, 0);
    assert_true(posted("bank") == -(((i128)1 << 100) + 1000));
}

static void several_currencies_in_one_payment(void **state)
{
    (void)state;
    struct command command = make_payment(0, "alice", "bank", 100);
    add_leg(&command, "dora", "usd", 110);
    expect(pay_legs(&command), CODE_OK, FIELD_NONE, 0);
    assert_true(view_rig_currency(&rig, "USD").debits_posted == 110);
    assert_true(view_rig_currency(&rig, "USD").credits_posted == 110);
    assert_true(view_rig_currency(&rig, "EUR").debits_posted == 1100);
}

static void unknown_accounts(void **state)
{
    (void)state;
    expect(pay("ghost", "bob", 1), CODE_ACCOUNT_NOT_FOUND, FIELD_DEBIT, 0);
    expect(pay("alice", "ghost", 1), CODE_ACCOUNT_NOT_FOUND, FIELD_CREDIT, 0);
    expect(pay("ghost", "phantom", 1), CODE_ACCOUNT_NOT_FOUND, FIELD_DEBIT, 0);
    struct command command = make_payment(0, "alice", "ghost", 1);
    add_leg(&command, "ghost", "bob", 1);
    expect(pay_legs(&command), CODE_ACCOUNT_NOT_FOUND, FIELD_CREDIT, 0);
}

static void currencies_that_do_not_fit(void **state)
{
    (void)state;
    expect(pay("alice", "dora", 1), CODE_CURRENCY_MISMATCH, FIELD_CREDIT, 0);
    struct command command = make_payment(0, "alice", "bob", 1);
    command.payment.legs[0].currency = TEXT("USD");
    expect(pay_legs(&command), CODE_CURRENCY_MISMATCH, FIELD_CURRENCY, 0);
    command.payment.legs[0].currency = TEXT("XYZ"); /* there is none */
    expect(pay_legs(&command), CODE_CURRENCY_MISMATCH, FIELD_CURRENCY, 0);
    command = make_payment(0, "alice", "dora", 1);
    command.payment.legs[0].currency = TEXT("EUR");
    expect(pay_legs(&command), CODE_CURRENCY_MISMATCH, FIELD_CURRENCY, 0);
    command = make_payment(0, "alice", "bob", 1);
    command.payment.legs[0].currency = TEXT("EUR");
    expect(pay_legs(&command), CODE_OK, FIELD_NONE, 0);
}

static void an_account_does_not_pay_itself(void **state)
{
    (void)state;
    expect(pay("alice", "alice", 1), CODE_SAME_ACCOUNT, FIELD_CREDIT, 0);
}

static void only_a_posted_payment_owns_its_reference(void **state)
{
    (void)state;
    struct command command = make_payment(0, "bob", "alice", 1);
    command.payment.has_reference = true;
    command.payment.reference = TEXT("invoice 1");
    expect(pay_legs(&command), CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, 0);
    command.payment.legs[0].debit = TEXT("bank");
    expect(pay_legs(&command), CODE_OK, FIELD_NONE, 0);
    expect(pay_legs(&command), CODE_REFERENCE_CONFLICT, FIELD_REFERENCE, 0);
}

static void valid_until_is_exclusive(void **state)
{
    (void)state;
    struct command command = make_payment(0, "alice", "bob", 1);
    command.payment.has_valid_until = true;
    command.payment.valid_until_ns = rig.time_ns + 1; /* the very time of the entry */
    expect(pay_legs(&command), CODE_PAYMENT_EXPIRED, FIELD_VALID_UNTIL, 0);
    command.payment.valid_until_ns = rig.time_ns + 2;
    expect(pay_legs(&command), CODE_OK, FIELD_NONE, 0);
}

static void counters_and_totals_stay_below_the_limit(void **state)
{
    (void)state;
    const u128 rest = AMOUNT_LIMIT - 1 - 1000; /* bank has paid 1000 */
    expect(pay("bank", "bob", rest + 1), CODE_OVERFLOW, FIELD_AMOUNT, 0);
    expect(pay("bank", "bob", rest), CODE_OK, FIELD_NONE, 0);
    /* The totals of EUR are full: even another account's payment does not fit. */
    expect(pay("alice", "shop", 1), CODE_OVERFLOW, FIELD_AMOUNT, 0);
    expect(pay("dora", "usd", 1), CODE_OK, FIELD_NONE, 0);
}

static void overflow_names_the_leg_and_never_wraps(void **state)
{
    (void)state;
    struct command command = make_payment(0, "dora", "usd", AMOUNT_LIMIT - 1);
    for (uint32_t leg = 1; leg < LEGS_MAX; leg++) {
        add_leg(&command, "dora", "usd", AMOUNT_LIMIT - 1);
    }
    expect(pay_legs(&command), CODE_OVERFLOW, FIELD_AMOUNT, 1);
    assert_true(posted("dora") == 0);
}

static void posted_and_held_together_stay_below_the_limit(void **state)
{
    (void)state;
    struct account account = view_rig_account(&rig, "usd");
    account.credits_held = AMOUNT_LIMIT - 10;
    rig.view->functions->account_put(rig.view, &account);
    expect(pay("dora", "usd", 10), CODE_OVERFLOW, FIELD_AMOUNT, 0);
    expect(pay("dora", "usd", 9), CODE_OK, FIELD_NONE, 0);
}

static void outgoing_holds_are_not_available(void **state)
{
    (void)state;
    struct account account = view_rig_account(&rig, "alice");
    account.debits_held = 400;
    account.credits_held = 900; /* incoming ones never raise it */
    rig.view->functions->account_put(rig.view, &account);
    expect(pay("alice", "bob", 601), CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, 0);
    assert_true(rig.decision.available == 600);
    expect(pay("alice", "bob", 600), CODE_OK, FIELD_NONE, 0);
}

static void operator_commands(void **state)
{
    (void)state;
    struct command command = make_currency("EUR", 2);
    expect(view_rig_do(&rig, &command), CODE_ALREADY_EXISTS, FIELD_CODE, 0);
    command = make_account("alice", "EUR", false, 0);
    expect(view_rig_do(&rig, &command), CODE_ALREADY_EXISTS, FIELD_ID, 0);
    command = make_account("new", "XYZ", false, 0);
    expect(view_rig_do(&rig, &command), CODE_CURRENCY_NOT_FOUND, FIELD_CURRENCY, 0);
    command = make_account("new", "USD", true, 5);
    expect(view_rig_do(&rig, &command), CODE_OK, FIELD_NONE, 0);
    const struct account account = view_rig_account(&rig, "new");
    assert_true(account.number == rig.view->accounts_count && account.debit_normal);
    assert_true(account.overdraft_limit == 5 && account.seq == rig.seq);
    assert_int_equal(view_rig_currency(&rig, "USD").accounts_count, 3);
}

static void there_is_a_last_currency(void **state)
{
    (void)state;
    char code[CURRENCY_CODE_BYTES_MAX + 1];
    struct command command;
    for (uint32_t i = rig.view->currencies_count; i < CURRENCIES_MAX; i++) {
        (void)snprintf(code, sizeof(code), "C%u", i);
        command = make_currency(code, 0);
        assert_int_equal(view_rig_do(&rig, &command), CODE_OK);
    }
    command = make_currency("ONEMORE", 0);
    assert_int_equal(view_rig_do(&rig, &command), CODE_TOO_MANY_CURRENCIES);
}

/* Each fault by itself changes a payment that is fine; their order is the order of checks. */
enum fault {
    FAULT_NOT_FOUND,
    FAULT_CURRENCY,
    FAULT_SAME,
    FAULT_REFERENCE,
    FAULT_EXPIRED,
    FAULT_OVERFLOW,
    FAULT_FUNDS,
    FAULT_COUNT
};

static const enum code fault_codes[FAULT_COUNT] = {
    CODE_ACCOUNT_NOT_FOUND, CODE_CURRENCY_MISMATCH, CODE_SAME_ACCOUNT,      CODE_REFERENCE_CONFLICT,
    CODE_PAYMENT_EXPIRED,   CODE_OVERFLOW,          CODE_INSUFFICIENT_FUNDS};

/* Adds the fault as a leg or a field. */
static void add_fault(struct command *command, enum fault fault)
{
    struct payment *payment = &command->payment;
    switch (fault) {
    case FAULT_NOT_FOUND:
        add_leg(command, "alice", "ghost", 1);
        break;
    case FAULT_CURRENCY:
        add_leg(command, "bank", "dora", 1);
        break;
    case FAULT_SAME:
        add_leg(command, "bank", "bank", 1);
        break;
    case FAULT_REFERENCE:
        payment->has_reference = true;
        payment->reference = TEXT("taken");
        break;
    case FAULT_EXPIRED:
        payment->has_valid_until = true;
        payment->valid_until_ns = 1;
        break;
    case FAULT_OVERFLOW:
        add_leg(command, "dora", "usd", AMOUNT_LIMIT - 1);
        add_leg(command, "dora", "usd", 1);
        break;
    case FAULT_FUNDS:
        add_leg(command, "bob", "shop", 1);
        break;
    case FAULT_COUNT:
        break;
    }
}

static void every_pair_of_faults_gives_the_earlier_check(void **state)
{
    (void)state;
    struct command command = make_payment(0, "bank", "alice", 1);
    command.payment.has_reference = true;
    command.payment.reference = TEXT("taken");
    expect(pay_legs(&command), CODE_OK, FIELD_NONE, 0);
    for (enum fault first = 0; first < FAULT_COUNT; first++) {
        for (enum fault second = 0; second < FAULT_COUNT; second++) {
            /* The legs of the later check come first in the payment, too. */
            command = make_payment(0, "bank", "alice", 1);
            add_fault(&command, first);
            if (second != first) {
                add_fault(&command, second);
            }
            const enum fault wanted = first < second ? first : second;
            assert_int_equal(pay_legs(&command), fault_codes[wanted]);
        }
    }
}

static void refuse_records_without_judging(void **state)
{
    (void)state;
    struct entry_command command = {.kind = COMMAND_PAYMENT};
    command.payment.id = uuid_of(77);
    command.payment.legs_count = 1;
    command.payment.legs[0].amount = 1;
    const struct execution execution = {.term = 3, .time_ns = 99};
    struct decision decision;
    ledger_refuse(rig.view, &execution, rig.seq + 1, &command, TEXT("form"), CODE_BATCH_ABORTED,
                  &decision);
    assert_int_equal(decision.code, CODE_BATCH_ABORTED);
    struct payment_seen seen;
    assert_true(rig.view->functions->payment_find(rig.view, &command.payment.id, &seen));
    assert_int_equal(seen.code, CODE_BATCH_ABORTED);
    assert_true(text_equal(seen.command, TEXT("form")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void books_that_do_not_balance_stop_the_node(void **state)
{
    (void)state;
    struct currency euro = view_rig_currency(&rig, "EUR");
    euro.credits_posted++;
    rig.view->functions->currency_put(rig.view, &euro);
    assert_int_equal(rig.view->error, STATUS_OK);
    const struct entry_payment payment = {
        .id = uuid_of(next_id++),
        .legs_count = 1,
        .legs = {{.debit.number = view_rig_account(&rig, "alice").number,
                  .credit.number = view_rig_account(&rig, "bob").number,
                  .amount = 1}}};
    struct decision decision = {.seq = rig.seq + 1};
    payment_execute(rig.view, &payment, &decision);
    assert_int_equal(rig.view->error, STATUS_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_payment_moves_money_and_totals),
        TEST(a_refusal_moves_nothing_and_is_recorded),
        TEST(the_overdraft_is_available_to_the_last_unit),
        TEST(a_debit_normal_account_falls_by_being_credited),
        TEST(limits_are_judged_on_the_whole_payment),
        TEST(the_first_side_that_is_short_is_named),
        TEST(a_limit_binds_only_accounts_that_fall),
        TEST(unlimited_accounts_have_no_limit),
        TEST(several_currencies_in_one_payment),
        TEST(unknown_accounts),
        TEST(currencies_that_do_not_fit),
        TEST(an_account_does_not_pay_itself),
        TEST(only_a_posted_payment_owns_its_reference),
        TEST(valid_until_is_exclusive),
        TEST(counters_and_totals_stay_below_the_limit),
        TEST(overflow_names_the_leg_and_never_wraps),
        TEST(posted_and_held_together_stay_below_the_limit),
        TEST(outgoing_holds_are_not_available),
        TEST(operator_commands),
        TEST(there_is_a_last_currency),
        TEST(every_pair_of_faults_gives_the_earlier_check),
        TEST(refuse_records_without_judging),
        TEST(books_that_do_not_balance_stop_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
