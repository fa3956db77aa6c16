/* What requests are answered: replays, refusals, and the end of an epoch. */
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

static struct driver driver;

static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    driver_lead(&driver);
    driver_make_bank(&driver);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static void a_repeated_payment_is_replayed(void **state)
{
    (void)state;
    const struct command command = make_payment(2, "alice", "bob", 10);
    struct outcome first;
    struct outcome again;
    assert_int_equal(driver_do(&driver, &command, &first), CODE_OK);
    const uint64_t first_seq = first.seq;
    const int64_t first_time_ns = first.time_ns;
    const struct command other = make_payment(3, "alice", "bob", 5);
    assert_int_equal(driver_do(&driver, &other, NULL), CODE_OK);
    const uint64_t before = driver_seq(&driver);
    assert_int_equal(driver_do(&driver, &command, &again), CODE_OK);
    assert_true(again.replayed && again.seq == first_seq && again.time_ns == first_time_ns);
    assert_int_equal(again.rows_count, 2);
    assert_true(again.rows[0].posted == 990 && !again.rows[0].has_rest); /* as it was then */
    assert_true(driver_seq(&driver) == before);
    assert_true(metric_get(&driver.metrics, METRIC_REPLAYS) == 1);
}

static void a_refusal_is_replayed_too(void **state)
{
    (void)state;
    const struct command command = make_payment(2, "bob", "alice", 10);
    struct outcome outcome;
    assert_int_equal(driver_do(&driver, &command, NULL), CODE_INSUFFICIENT_FUNDS);
    const struct command rich = make_payment(3, "alice", "bob", 500);
    assert_int_equal(driver_do(&driver, &rich, NULL), CODE_OK);
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_INSUFFICIENT_FUNDS);
    assert_true(outcome.replayed && outcome.available == 0 && outcome.needed == 10);
    assert_true(text_equal(outcome.subject, TEXT("bob")));
}

static void a_mismatch_takes_no_seq(void **state)
{
    (void)state;
    const struct command command = make_payment(1, "bank", "alice", 1001);
    const uint64_t before = driver_seq(&driver);
    struct outcome outcome;
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_IDEMPOTENCY_MISMATCH);
    assert_int_equal(outcome.field, FIELD_AMOUNT);
    assert_true(outcome.seq == 0 && driver_seq(&driver) == before && outcome.short_form);
}

static void a_replay_of_what_is_in_flight_waits_for_it(void **state)
{
    (void)state;
    const struct command command = make_payment(2, "alice", "bob", 10);
    struct call *first = call_make(REQUEST_SINGLE, &command, 1);
    struct call *again = call_make(REQUEST_SINGLE, &command, 1);
    driver_submit(&driver, first);
    const struct ledger_entry *one = driver_verify(&driver);
    driver_submit(&driver, again);
    const struct ledger_entry *two = driver_verify(&driver);
    assert_non_null(two);
    (void)driver_apply_entry(&driver, one);
    assert_true(first->answered && !again->answered);
    const struct applied applied = driver_apply_entry(&driver, two);
    assert_true(applied.own && applied.count == 0);
    struct outcome outcome;
    call_outcome(again, 0, &outcome);
    assert_true(outcome.code == CODE_OK && outcome.replayed);
    call_free(first);
    call_free(again);
}

static void operator_commands_are_repeated_or_refused(void **state)
{
    (void)state;
    const uint64_t before = driver_seq(&driver);
    struct outcome outcome;
    struct command command = make_currency("EUR", 2);
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_OK);
    assert_true(outcome.replayed && outcome.seq == 1);
    command = make_currency("EUR", 3);
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_ALREADY_EXISTS);
    assert_int_equal(outcome.field, FIELD_SCALE);
    assert_true(text_equal(outcome.subject, TEXT("EUR")));
    command = make_account("bob", "EUR", false, 0);
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_OK);
    assert_true(outcome.replayed && outcome.seq == 3);
    command = make_account("bob", "EUR", true, 0);
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_ALREADY_EXISTS);
    assert_int_equal(outcome.field, FIELD_NORMAL);
    command = make_account("carol", "XYZ", false, 0);
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_CURRENCY_NOT_FOUND);
    assert_int_equal(outcome.field, FIELD_CURRENCY);
    assert_true(text_equal(outcome.subject, TEXT("XYZ")));
    assert_true(outcome.seq == 0 && driver_seq(&driver) == before);
}

static void proposed_is_unknown_the_rest_is_surely_not_executed(void **state)
{
    (void)state;
    struct call *calls[4];
    for (uint64_t i = 0; i < 3; i++) {
        const struct command command = make_payment(10 + i, "alice", "bob", 1);
        calls[i] = call_make(REQUEST_SINGLE, &command, 1);
    }
    calls[3] = call_make(REQUEST_BARRIER, NULL, 0);
    driver_submit(&driver, calls[0]);
    driver_submit(&driver, calls[3]);
    assert_non_null(driver_verify(&driver));
    driver_submit(&driver, calls[1]);
    struct ledger_entry *entry = driver_verify(&driver);
    entry->proposed = false;
    driver_submit(&driver, calls[2]);
    driver_resign(&driver);
    assert_int_equal(calls[0]->request.code, CODE_UNKNOWN);
    assert_int_equal(calls[1]->request.code, CODE_LEADERSHIP_LOST);
    assert_int_equal(calls[2]->request.code, CODE_LEADERSHIP_LOST);
    assert_int_equal(calls[3]->request.code, CODE_LEADERSHIP_LOST);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(calls[i]->answered);
        assert_int_equal(calls[i]->request.outcomes_count, 0);
        call_free(calls[i]);
    }
    driver_lead(&driver);
    const struct command command = make_payment(2, "alice", "bob", 1000);
    assert_int_equal(driver_do(&driver, &command, NULL), CODE_OK); /* nothing is left over */
}

static void a_cut_batch_is_answered_item_by_item(void **state)
{
    (void)state;
    struct call *call = call_make_long(REQUEST_INDEPENDENT, 1000, 900);
    driver_submit(&driver, call);
    const struct ledger_entry *one = driver_verify(&driver);
    const uint32_t in_one = call->request.next;
    (void)driver_apply_entry(&driver, one);
    assert_non_null(driver_verify(&driver));
    const uint32_t in_two = call->request.next;
    struct ledger_entry *three = driver_verify(&driver);
    three->proposed = false;
    assert_true(call->request.next < 900);
    driver_resign(&driver);
    assert_int_equal(call->request.code, CODE_OK);
    assert_int_equal(call->request.outcomes_count, 900);
    assert_int_equal(call_code(call, 0), CODE_OK);
    assert_int_equal(call_code(call, in_one - 1), CODE_OK);
    assert_int_equal(call_code(call, in_one), CODE_UNKNOWN);
    assert_int_equal(call_code(call, in_two - 1), CODE_UNKNOWN);
    assert_int_equal(call_code(call, in_two), CODE_LEADERSHIP_LOST);
    assert_int_equal(call_code(call, 899), CODE_LEADERSHIP_LOST);
    call_free(call);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repeated_payment_is_replayed),
        TEST(a_refusal_is_replayed_too),
        TEST(a_mismatch_takes_no_seq),
        TEST(a_replay_of_what_is_in_flight_waits_for_it),
        TEST(operator_commands_are_repeated_or_refused),
        TEST(proposed_is_unknown_the_rest_is_surely_not_executed),
        TEST(a_cut_batch_is_answered_item_by_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
