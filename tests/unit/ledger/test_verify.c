/* The leader's half: requests become entries, and what is verified is what is applied. */
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

static void an_answer_waits_for_its_entry(void **state)
{
    (void)state;
    const struct command command = make_payment(2, "alice", "bob", 10);
    struct call *call = call_make(REQUEST_SINGLE, &command, 1);
    assert_false(ledger_waiting(driver.ledger));
    driver_submit(&driver, call);
    assert_true(ledger_waiting(driver.ledger));
    const struct ledger_entry *entry = driver_verify(&driver);
    assert_non_null(entry);
    assert_false(call->answered || ledger_waiting(driver.ledger));
    assert_null(driver_verify(&driver));
    assert_true(driver_apply_entry(&driver, entry).own);
    assert_true(call->answered);
    struct outcome outcome;
    call_outcome(call, 0, &outcome);
    assert_int_equal(outcome.code, CODE_OK);
    assert_int_equal(outcome.rows_count, 2);
    assert_true(outcome.rows[0].posted == 990 && outcome.rows[0].available == 990);
    assert_true(outcome.rows[0].has_rest && outcome.rows[1].posted == 10);
    assert_true(outcome.seq == driver_seq(&driver) && call->request.seq == driver_seq(&driver));
    assert_false(outcome.replayed);
    call_free(call);
}

static void verification_sees_what_is_in_flight(void **state)
{
    (void)state;
    struct call *calls[ENTRIES_IN_FLIGHT_MAX];
    const struct ledger_entry *entries[ENTRIES_IN_FLIGHT_MAX];
    for (uint64_t i = 0; i < ENTRIES_IN_FLIGHT_MAX; i++) {
        const struct command command = make_payment(10 + i, "alice", "bob", 300);
        calls[i] = call_make(REQUEST_SINGLE, &command, 1);
        driver_submit(&driver, calls[i]);
        entries[i] = driver_verify(&driver);
        assert_non_null(entries[i]);
    }
    for (uint32_t i = 0; i < ENTRIES_IN_FLIGHT_MAX; i++) {
        const struct applied applied = driver_apply_entry(&driver, entries[i]);
        assert_true(applied.own && !applied.different);
        assert_int_equal(call_code(calls[i], 0), i < 3 ? CODE_OK : CODE_INSUFFICIENT_FUNDS);
        call_free(calls[i]);
    }
}

static void entries_in_flight_are_bounded(void **state)
{
    (void)state;
    struct call *calls[ENTRIES_IN_FLIGHT_MAX + 1];
    const struct ledger_entry *first = NULL;
    for (uint64_t i = 0; i <= ENTRIES_IN_FLIGHT_MAX; i++) {
        const struct command command = make_payment(10 + i, "alice", "bob", 1);
        calls[i] = call_make(REQUEST_SINGLE, &command, 1);
        driver_submit(&driver, calls[i]);
        const struct ledger_entry *entry = driver_verify(&driver);
        assert_true((entry != NULL) == (i < ENTRIES_IN_FLIGHT_MAX));
        first = i == 0 ? entry : first;
    }
    assert_false(ledger_waiting(driver.ledger));
    (void)driver_apply_entry(&driver, first);
    assert_true(ledger_waiting(driver.ledger));
    assert_non_null(driver_verify(&driver));
    driver_resign(&driver);
    for (uint32_t i = 0; i <= ENTRIES_IN_FLIGHT_MAX; i++) {
        call_free(calls[i]);
    }
}

static void an_entry_with_enough_is_closed(void **state)
{
    (void)state;
    enum { EACH = 1000, COUNT = 6, FIRST = 5 };
    static_assert(EACH * FIRST >= ENTRY_COMMANDS_ENOUGH &&
                      EACH * FIRST - EACH < ENTRY_COMMANDS_ENOUGH,
                  "the fifth request is the last that the first entry takes");
    static struct command payments[EACH];
    struct call *calls[COUNT];
    assert_true(ledger_backlog(driver.ledger).oldest == NULL);
    for (uint64_t i = 0; i < COUNT; i++) {
        for (uint64_t j = 0; j < EACH; j++) {
            payments[j] = make_payment(10 + i * EACH + j, "bank", "bob", 1);
        }
        calls[i] = call_make(REQUEST_INDEPENDENT, payments, EACH);
        driver_submit(&driver, calls[i]);
    }
    assert_int_equal(ledger_backlog(driver.ledger).commands, COUNT * EACH);
    assert_ptr_equal(ledger_backlog(driver.ledger).oldest, &calls[0]->request);
    const struct ledger_entry *entry = driver_verify(&driver);
    assert_int_equal(ledger_backlog(driver.ledger).commands, (COUNT - FIRST) * EACH);
    assert_ptr_equal(ledger_backlog(driver.ledger).oldest, &calls[FIRST]->request);
    (void)driver_apply_entry(&driver, entry);
    assert_true(calls[FIRST - 1]->answered && !calls[FIRST]->answered);
    driver_resign(&driver);
    assert_int_equal(ledger_backlog(driver.ledger).commands, 0);
    assert_int_equal(calls[FIRST]->request.code, CODE_LEADERSHIP_LOST);
    for (uint32_t i = 0; i < COUNT; i++) {
        call_free(calls[i]);
    }
}

static void an_account_opened_in_flight_can_be_paid(void **state)
{
    (void)state;
    const struct command open = make_account("carol", "EUR", false, 0);
    const struct command pay = make_payment(2, "alice", "carol", 7);
    struct call *calls[] = {call_make(REQUEST_SINGLE, &open, 1),
                            call_make(REQUEST_SINGLE, &pay, 1)};
    driver_submit(&driver, calls[0]);
    const struct ledger_entry *one = driver_verify(&driver);
    driver_submit(&driver, calls[1]);
    const struct ledger_entry *two = driver_verify(&driver);
    (void)driver_apply_entry(&driver, one);
    assert_false(driver_apply_entry(&driver, two).different);
    assert_int_equal(call_code(calls[0], 0), CODE_OK);
    assert_int_equal(call_code(calls[1], 0), CODE_OK);
    call_free(calls[0]);
    call_free(calls[1]);
}

static void outside_an_epoch_nothing_is_taken(void **state)
{
    (void)state;
    driver_resign(&driver);
    const struct command command = make_payment(2, "alice", "bob", 10);
    struct call *call = call_make(REQUEST_SINGLE, &command, 1);
    driver_submit(&driver, call);
    assert_true(call->answered);
    assert_int_equal(call->request.code, CODE_LEADERSHIP_LOST);
    assert_null(driver_verify(&driver));
    call_free(call);
}

static void damaged_requests_are_refused_whole(void **state)
{
    (void)state;
    const struct command payment = make_payment(2, "alice", "bob", 10);
    struct call *call = call_make(REQUEST_SINGLE, &payment, 1);
    call->request.bytes.size--;
    driver_submit(&driver, call);
    assert_int_equal(call->request.code, CODE_INVALID_REQUEST);
    call_free(call);
    const struct command open = make_account("carol", "EUR", false, 0);
    call = call_make(REQUEST_SINGLE, &open, 1);
    call->bytes.data[1] = REQUEST_ATOMIC; /* an atomic batch holds payments only */
    driver_submit(&driver, call);
    assert_int_equal(call->request.code, CODE_INVALID_REQUEST);
    assert_false(ledger_waiting(driver.ledger));
    call_free(call);
}

static void time_never_stands_still(void **state)
{
    (void)state;
    const int64_t before = ledger_position(driver.ledger).time_ns;
    driver.now_ns = 5; /* a clock far behind */
    struct outcome outcome;
    for (uint64_t i = 0; i < 3; i++) {
        const struct command command = make_payment(2 + i, "alice", "bob", 1);
        assert_int_equal(driver_do(&driver, &command, &outcome), CODE_OK);
        assert_true(outcome.time_ns == before + (int64_t)i + 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_waits_for_its_entry),           TEST(verification_sees_what_is_in_flight),
        TEST(entries_in_flight_are_bounded),           TEST(an_entry_with_enough_is_closed),
        TEST(an_account_opened_in_flight_can_be_paid), TEST(outside_an_epoch_nothing_is_taken),
        TEST(damaged_requests_are_refused_whole),      TEST(time_never_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
