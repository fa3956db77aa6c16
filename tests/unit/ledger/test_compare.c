#include "ledger/compare.h"

#include "base/check.h"
#include "ledger/resolve.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"
#include "tests/support/view_rig.h"

#include <string.h>

static struct view_rig rig;

static int set_up(void **state)
{
    (void)state;
    view_rig_open(&rig);
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_currency("USD", 2),
        make_account("alice", "EUR", false, -1),
        make_account("bob", "EUR", false, 5),
        make_account("dora", "USD", true, -1),
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

/* Records `first`, then compares `second` with the record. */
static struct difference compare(const struct command *first, const struct command *second)
{
    (void)view_rig_do(&rig, first);
    struct payment_seen seen;
    assert_true(rig.view->functions->payment_find(rig.view, &first->payment.id, &seen));
    static struct entry_command recorded;
    static struct entry_payment request;
    struct text form;
    struct reader reader = reader_of(seen.command.data, seen.command.size);
    check_ok(entry_command_read(&reader, &recorded, &form));
    resolve_payment(rig.view, &second->payment, &request);
    return compare_payment(rig.view, &request, &recorded.payment);
}

static void expect(const struct command *first, const struct command *second, enum field field,
                   uint32_t leg)
{
    static uint64_t next_id = 1;
    struct command a = *first;
    struct command b = *second;
    a.payment.id = uuid_of(next_id);
    b.payment.id = uuid_of(next_id);
    next_id++;
    const struct difference difference = compare(&a, &b);
    assert_int_equal(difference.field, field);
    assert_int_equal(difference.leg, leg);
}

static void the_same_is_the_same(void **state)
{
    (void)state;
    struct command command = make_payment(0, "alice", "bob", 5);
    expect(&command, &command, FIELD_NONE, 0);
    add_leg(&command, "bob", "alice", 6);
    expect(&command, &command, FIELD_NONE, 0);
    command.payment.has_metadata = true;
    command.payment.metadata = TEXT("{\"a\":1}");
    command.payment.has_reference = true;
    command.payment.reference = TEXT("r");
    command.payment.has_valid_until = true;
    command.payment.valid_until_ns = 1000000;
    command.payment.has_effective_at = true;
    expect(&command, &command, FIELD_NONE, 0);
}

static void the_short_form_and_one_leg_are_the_same(void **state)
{
    (void)state;
    struct command command = make_payment(0, "alice", "bob", 5);
    struct command other = command;
    other.payment.short_form = false;
    expect(&command, &other, FIELD_NONE, 0);
    expect(&other, &command, FIELD_NONE, 0);
}

static void leaving_the_currency_out_is_giving_the_accounts_own(void **state)
{
    (void)state;
    struct command without = make_payment(0, "alice", "bob", 5);
    struct command with = without;
    with.payment.legs[0].currency = TEXT("EUR");
    expect(&without, &with, FIELD_NONE, 0);
    expect(&with, &without, FIELD_NONE, 0);
    expect(&with, &with, FIELD_NONE, 0);
    struct command other = without;
    other.payment.legs[0].currency = TEXT("USD");
    expect(&without, &other, FIELD_CURRENCY, 0);
    expect(&other, &without, FIELD_CURRENCY, 0);
    expect(&other, &other, FIELD_NONE, 0);
    struct command unknown = without;
    unknown.payment.legs[0].currency = TEXT("XYZ");
    expect(&without, &unknown, FIELD_CURRENCY, 0);
    expect(&unknown, &without, FIELD_CURRENCY, 0);
    expect(&unknown, &unknown, FIELD_NONE, 0);
    expect(&unknown, &other, FIELD_CURRENCY, 0);
}

static void accounts_without_a_common_currency_have_no_own(void **state)
{
    (void)state;
    struct command without = make_payment(0, "alice", "dora", 5);
    struct command with = without;
    with.payment.legs[0].currency = TEXT("EUR");
    expect(&without, &with, FIELD_CURRENCY, 0);
    struct command ghost = make_payment(0, "alice", "ghost", 5);
    struct command ghost_with = ghost;
    ghost_with.payment.legs[0].currency = TEXT("EUR");
    expect(&ghost, &ghost_with, FIELD_CURRENCY, 0);
    expect(&ghost_with, &ghost, FIELD_CURRENCY, 0);
}

static void an_account_that_was_unknown_is_compared_by_its_id(void **state)
{
    (void)state;
    struct command first = make_payment(500, "alice", "late", 5);
    struct command other = make_payment(500, "alice", "later", 5);
    assert_int_equal(compare(&first, &first).field, FIELD_NONE);
    const struct command open = make_account("late", "EUR", false, -1);
    assert_int_equal(view_rig_do(&rig, &open), CODE_OK);
    struct payment_seen seen;
    assert_true(rig.view->functions->payment_find(rig.view, &first.payment.id, &seen));
    static struct entry_command recorded;
    static struct entry_payment request;
    struct text form;
    struct reader reader = reader_of(seen.command.data, seen.command.size);
    check_ok(entry_command_read(&reader, &recorded, &form));
    resolve_payment(rig.view, &first.payment, &request);
    assert_true(request.legs[0].credit.number != 0);
    assert_int_equal(compare_payment(rig.view, &request, &recorded.payment).field, FIELD_NONE);
    resolve_payment(rig.view, &other.payment, &request);
    assert_int_equal(compare_payment(rig.view, &request, &recorded.payment).field, FIELD_CREDIT);
}

/* From the last field to the first: each further difference is named before those behind it. */
static void the_first_difference_is_named(void **state)
{
    (void)state;
    struct command first = make_payment(0, "alice", "bob", 5);
    add_leg(&first, "alice", "bob", 6);
    struct command second = first;
    second.payment.has_metadata = true;
    second.payment.metadata = TEXT("{}");
    expect(&first, &second, FIELD_METADATA, 0);
    expect(&second, &first, FIELD_METADATA, 0);
    second.payment.has_reference = true;
    second.payment.reference = TEXT("r");
    expect(&first, &second, FIELD_REFERENCE, 0);
    second.payment.has_effective_at = true;
    expect(&first, &second, FIELD_EFFECTIVE_AT, 0);
    second.payment.has_valid_until = true;
    expect(&first, &second, FIELD_VALID_UNTIL, 0);
    second.payment.legs[1].currency = TEXT("USD");
    expect(&first, &second, FIELD_CURRENCY, 1);
    second.payment.legs[1].amount = 7;
    expect(&first, &second, FIELD_AMOUNT, 1);
    second.payment.legs[1].credit = TEXT("dora");
    expect(&first, &second, FIELD_CREDIT, 1);
    second.payment.legs[1].debit = TEXT("dora");
    expect(&first, &second, FIELD_DEBIT, 1);
    second.payment.legs[0].currency = TEXT("USD");
    expect(&first, &second, FIELD_CURRENCY, 0);
    second.payment.legs[0].amount = 7;
    expect(&first, &second, FIELD_AMOUNT, 0);
    second.payment.legs[0].credit = TEXT("ghost");
    expect(&first, &second, FIELD_CREDIT, 0);
    second.payment.legs[0].debit = TEXT("ghost");
    expect(&first, &second, FIELD_DEBIT, 0);
    add_leg(&second, "alice", "bob", 5);
    expect(&first, &second, FIELD_LEGS, 0);
}

static void values_of_a_field_differ(void **state)
{
    (void)state;
    struct command first = make_payment(0, "alice", "bob", 5);
    first.payment.has_metadata = true;
    first.payment.metadata = TEXT("{\"a\":1}");
    struct command second = first;
    second.payment.metadata = TEXT("{\"a\": 1}"); /* the same JSON in other bytes */
    expect(&first, &second, FIELD_METADATA, 0);
    first = make_payment(0, "alice", "bob", 5);
    first.payment.has_valid_until = true;
    first.payment.valid_until_ns = 1;
    second = first;
    second.payment.valid_until_ns = 2;
    expect(&first, &second, FIELD_VALID_UNTIL, 0);
}

static void operator_commands_in_the_order_of_their_fields(void **state)
{
    (void)state;
    const struct account bob = view_rig_account(&rig, "bob");
    struct entry_account_open open;
    struct command command = make_account("bob", "EUR", false, 5);
    resolve_account_open(rig.view, &command.account_open, &open);
    assert_int_equal(compare_account_open(&open, &bob).field, FIELD_NONE);
    open.overdraft_limit = 6;
    assert_int_equal(compare_account_open(&open, &bob).field, FIELD_OVERDRAFT);
    open.overdraft_kind = OVERDRAFT_UNLIMITED;
    assert_int_equal(compare_account_open(&open, &bob).field, FIELD_OVERDRAFT);
    open.debit_normal = true;
    assert_int_equal(compare_account_open(&open, &bob).field, FIELD_NORMAL);
    open.currency.number = 0;
    assert_int_equal(compare_account_open(&open, &bob).field, FIELD_CURRENCY);
    const struct currency euro = view_rig_currency(&rig, "EUR");
    command = make_currency("EUR", 2);
    assert_int_equal(compare_currency_create(&command.currency_create, &euro).field, FIELD_NONE);
    command = make_currency("EUR", 3);
    assert_int_equal(compare_currency_create(&command.currency_create, &euro).field, FIELD_SCALE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_is_the_same),
        TEST(the_short_form_and_one_leg_are_the_same),
        TEST(leaving_the_currency_out_is_giving_the_accounts_own),
        TEST(accounts_without_a_common_currency_have_no_own),
        TEST(an_account_that_was_unknown_is_compared_by_its_id),
        TEST(the_first_difference_is_named),
        TEST(values_of_a_field_differ),
        TEST(operator_commands_in_the_order_of_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
