/* How requests fill entries, and what the entries keep. */
#include "ledger/internal.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

#include <stdio.h>

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

static void a_barrier_is_answered_by_an_empty_entry(void **state)
{
    (void)state;
    struct call *call = call_make(REQUEST_BARRIER, NULL, 0);
    const uint64_t before = driver_seq(&driver);
    const struct digest digest = ledger_position(driver.ledger).digest;
    driver_submit(&driver, call);
    const struct ledger_entry *entry = driver_verify(&driver);
    assert_non_null(entry);
    const struct applied applied = driver_apply_entry(&driver, entry);
    assert_true(applied.own && applied.count == 0);
    assert_int_equal(call->request.code, CODE_OK);
    assert_true(call->request.seq == before && driver_seq(&driver) == before);
    const struct position after = ledger_position(driver.ledger);
    assert_true(digest_equal(&digest, &after.digest));
    call_free(call);
}

static void a_batch_goes_on_in_the_next_entry(void **state)
{
    (void)state;
    struct call *call = call_make_long(REQUEST_INDEPENDENT, 1000, 600);
    driver_submit(&driver, call);
    uint32_t entries = 0;
    for (const struct ledger_entry *entry = driver_verify(&driver); entry != NULL;
         entry = driver_verify(&driver)) {
        assert_false(call->answered);
        assert_true(entry->bytes.size <= ENTRY_BYTES_MAX);
        (void)driver_apply_entry(&driver, entry);
        entries++;
    }
    assert_int_equal(entries, 3);
    for (uint32_t i = 0; i < 600; i += 97) {
        assert_int_equal(call_code(call, i), CODE_OK);
    }
    call_free(call);
}

static void a_currency_too_many_is_refused_unrecorded(void **state)
{
    (void)state;
    static char codes[CURRENCIES_MAX][CURRENCY_CODE_BYTES_MAX + 1];
    struct command *commands = calloc(CURRENCIES_MAX, sizeof(*commands));
    assert_non_null(commands);
    for (uint32_t i = 0; i < CURRENCIES_MAX; i++) {
        (void)snprintf(codes[i], sizeof(codes[i]), "C%u", i);
        commands[i] = make_currency(codes[i], 0);
    }
    const uint64_t before = driver_seq(&driver);
    struct call *call = call_make(REQUEST_INDEPENDENT, commands, CURRENCIES_MAX);
    driver_call(&driver, call);
    assert_int_equal(call_code(call, CURRENCIES_MAX - 2), CODE_OK); /* EUR is there, too */
    assert_int_equal(call_code(call, CURRENCIES_MAX - 1), CODE_TOO_MANY_CURRENCIES);
    assert_true(driver_seq(&driver) == before + CURRENCIES_MAX - 1);
    call_free(call);
    free(commands);
}

static void the_overlay_is_empty_when_nothing_is_in_flight(void **state)
{
    (void)state;
    assert_true(overlay_empty(&driver.ledger->overlay));
    const struct command command = make_payment(2, "alice", "bob", 1);
    struct call *call = call_make(REQUEST_SINGLE, &command, 1);
    driver_submit(&driver, call);
    const struct ledger_entry *entry = driver_verify(&driver);
    assert_false(overlay_empty(&driver.ledger->overlay));
    (void)driver_apply_entry(&driver, entry);
    assert_true(overlay_empty(&driver.ledger->overlay));
    assert_true(overlay_empty(&driver.ledger->trial));
    call_free(call);
}

static void a_full_overlay_waits_for_an_apply(void **state)
{
    (void)state;
    struct call *calls[2];
    const struct ledger_entry *first = NULL;
    for (uint64_t i = 0; i < 2; i++) {
        const struct command command = make_payment(2 + i, "alice", "bob", 1);
        calls[i] = call_make(REQUEST_SINGLE, &command, 1);
        driver_submit(&driver, calls[i]);
        if (i == 0) {
            first = driver_verify(&driver);
            driver.ledger->overlay_full = true; /* as if a million accounts were touched */
        }
    }
    assert_false(ledger_waiting(driver.ledger));
    assert_null(driver_verify(&driver));
    (void)driver_apply_entry(&driver, first);
    assert_true(ledger_waiting(driver.ledger));
    driver_settle(&driver);
    assert_int_equal(call_code(calls[1], 0), CODE_OK);
    call_free(calls[0]);
    call_free(calls[1]);
}

static void the_log_leaves_out_the_accounts_own_currency(void **state)
{
    (void)state;
    size_t sizes[2];
    for (uint64_t i = 0; i < 2; i++) {
        struct command command = make_payment(2 + i, "alice", "bob", 1);
        if (i == 1) {
            command.payment.legs[0].currency = TEXT("EUR");
        }
        struct call *call = call_make(REQUEST_SINGLE, &command, 1);
        driver_submit(&driver, call);
        const struct ledger_entry *entry = driver_verify(&driver);
        struct entry_header header;
        struct reader items;
        struct entry_item item;
        struct entry_command read;
        struct text form;
        check_ok(entry_read(entry->bytes.data, entry->bytes.size, &header, &items));
        check_ok(entry_item_read(&items, &item));
        check_ok(entry_command_read(&items, &read, &form));
        assert_true(read.payment.legs[0].currency.number == 0);
        sizes[i] = form.size;
        (void)driver_apply_entry(&driver, entry);
        call_free(call);
    }
    assert_true(sizes[0] == sizes[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_barrier_is_answered_by_an_empty_entry),
        TEST(a_batch_goes_on_in_the_next_entry),
        TEST(a_currency_too_many_is_refused_unrecorded),
        TEST(the_overlay_is_empty_when_nothing_is_in_flight),
        TEST(a_full_overlay_waits_for_an_apply),
        TEST(the_log_leaves_out_the_accounts_own_currency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
