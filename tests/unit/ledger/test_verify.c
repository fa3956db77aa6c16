/*
 * The leader's half: what becomes of requests, entry by entry, and at the end of an epoch.
 */
#include "base/check.h"
#include "ledger/internal.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

#include <stdio.h>
#include <string.h>

static struct driver driver;

/* alice has 1000 from bank; bob and shop have nothing. */
static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    driver_lead(&driver);
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_account("alice", "EUR", false, 0),
        make_account("bob", "EUR", false, 0),
        make_account("shop", "EUR", false, 0),
        make_account("bank", "EUR", false, -1),
        make_payment(1, "bank", "alice", 1000),
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(commands); i++) {
        assert_int_equal(driver_do(&driver, &commands[i], NULL), CODE_OK);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static uint64_t seq(void)
{
    return ledger_position(driver.ledger).seq;
}

/* Applies a copy of the entry, as raft hands one over. */
static struct applied apply(const struct ledger_entry *entry)
{
    static uint8_t bytes[ENTRY_BYTES_MAX];
    const size_t size = entry->bytes.size;
    memcpy(bytes, entry->bytes.data, size);
    return driver_apply(&driver, bytes, size);
}

static enum code item_code(const struct call *call, uint32_t index)
{
    static struct outcome outcome;
    call_outcome(call, index, &outcome);
    return outcome.code;
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
    assert_true(apply(entry).own);
    assert_true(call->answered);
    struct outcome outcome;
    call_outcome(call, 0, &outcome);
    assert_int_equal(outcome.code, CODE_OK);
    assert_int_equal(outcome.rows_count, 2);
    assert_true(outcome.rows[0].posted == 990 && outcome.rows[0].available == 990);
    assert_true(outcome.rows[0].has_rest && outcome.rows[1].posted == 10);
    assert_true(outcome.seq == seq() && call->request.seq == seq());
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
        const struct applied applied = apply(entries[i]);
        assert_true(applied.own && !applied.different);
        assert_int_equal(item_code(calls[i], 0), i < 3 ? CODE_OK : CODE_INSUFFICIENT_FUNDS);
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
    (void)apply(first);
    assert_true(ledger_waiting(driver.ledger));
    assert_non_null(driver_verify(&driver));
    driver_resign(&driver);
    for (uint32_t i = 0; i <= ENTRIES_IN_FLIGHT_MAX; i++) {
        call_free(calls[i]);
    }
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
    const uint64_t before = seq();
    assert_int_equal(driver_do(&driver, &command, &again), CODE_OK);
    assert_true(again.replayed && again.seq == first_seq && again.time_ns == first_time_ns);
    assert_int_equal(again.rows_count, 2);
    assert_true(again.rows[0].posted == 990 && !again.rows[0].has_rest); /* as it was then */
    assert_true(seq() == before);
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
    const uint64_t before = seq();
    struct outcome outcome;
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_IDEMPOTENCY_MISMATCH);
    assert_int_equal(outcome.field, FIELD_AMOUNT);
    assert_true(outcome.seq == 0 && seq() == before && outcome.short_form);
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
    (void)apply(one);
    assert_true(first->answered && !again->answered);
    const struct applied applied = apply(two);
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
    const uint64_t before = seq();
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
    assert_true(outcome.seq == 0 && seq() == before);
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
    (void)apply(one);
    assert_false(apply(two).different);
    assert_int_equal(item_code(calls[0], 0), CODE_OK);
    assert_int_equal(item_code(calls[1], 0), CODE_OK);
    call_free(calls[0]);
    call_free(calls[1]);
}

static void a_barrier_is_answered_by_an_empty_entry(void **state)
{
    (void)state;
    struct call *call = call_make(REQUEST_BARRIER, NULL, 0);
    const uint64_t before = seq();
    const struct digest digest = ledger_position(driver.ledger).digest;
    driver_submit(&driver, call);
    const struct ledger_entry *entry = driver_verify(&driver);
    assert_non_null(entry);
    const struct applied applied = apply(entry);
    assert_true(applied.own && applied.count == 0);
    assert_int_equal(call->request.code, CODE_OK);
    assert_true(call->request.seq == before && seq() == before);
    const struct position after = ledger_position(driver.ledger);
    assert_true(digest_equal(&digest, &after.digest));
    call_free(call);
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

/* ---- the end of an epoch ------------------------------------------------------------------- */

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

/* Commands with much metadata: many entries for one batch. */
static struct call *make_long_batch(enum request_mode mode, uint64_t first_id, uint32_t count)
{
    static char metadata[METADATA_BYTES_MAX];
    memset(metadata, ' ', sizeof(metadata));
    metadata[0] = '{';
    metadata[sizeof(metadata) - 1] = '}';
    struct command *commands = calloc(count, sizeof(*commands));
    assert_non_null(commands);
    for (uint32_t i = 0; i < count; i++) {
        commands[i] = make_payment(first_id + i, "bank", "bob", 1);
        commands[i].payment.has_metadata = true;
        commands[i].payment.metadata = (struct text){.data = metadata, .size = sizeof(metadata)};
    }
    struct call *call = call_make(mode, commands, count);
    free(commands);
    return call;
}

static void a_batch_goes_on_in_the_next_entry(void **state)
{
    (void)state;
    struct call *call = make_long_batch(REQUEST_INDEPENDENT, 1000, 600);
    driver_submit(&driver, call);
    uint32_t entries = 0;
    for (const struct ledger_entry *entry = driver_verify(&driver); entry != NULL;
         entry = driver_verify(&driver)) {
        assert_false(call->answered);
        assert_true(entry->bytes.size <= ENTRY_BYTES_MAX);
        (void)apply(entry);
        entries++;
    }
    assert_int_equal(entries, 3);
    for (uint32_t i = 0; i < 600; i += 97) {
        assert_int_equal(item_code(call, i), CODE_OK);
    }
    call_free(call);
}

static void a_cut_batch_is_answered_item_by_item(void **state)
{
    (void)state;
    struct call *call = make_long_batch(REQUEST_INDEPENDENT, 1000, 900);
    driver_submit(&driver, call);
    const struct ledger_entry *one = driver_verify(&driver);
    const uint32_t in_one = call->request.next;
    (void)apply(one);
    assert_non_null(driver_verify(&driver));
    const uint32_t in_two = call->request.next;
    struct ledger_entry *three = driver_verify(&driver);
    three->proposed = false;
    assert_true(call->request.next < 900);
    driver_resign(&driver);
    assert_int_equal(call->request.code, CODE_OK);
    assert_int_equal(call->request.outcomes_count, 900);
    assert_int_equal(item_code(call, 0), CODE_OK);
    assert_int_equal(item_code(call, in_one - 1), CODE_OK);
    assert_int_equal(item_code(call, in_one), CODE_UNKNOWN);
    assert_int_equal(item_code(call, in_two - 1), CODE_UNKNOWN);
    assert_int_equal(item_code(call, in_two), CODE_LEADERSHIP_LOST);
    assert_int_equal(item_code(call, 899), CODE_LEADERSHIP_LOST);
    call_free(call);
}

/* ---- atomic batches ------------------------------------------------------------------------ */

static void expect_items(const struct command *commands, uint32_t count, const enum code *codes)
{
    struct call *call = call_make(REQUEST_ATOMIC, commands, count);
    driver_call(&driver, call);
    for (uint32_t i = 0; i < count; i++) {
        if (item_code(call, i) != codes[i]) {
            fail_msg("item %u: %d, wanted %d", i, (int)item_code(call, i), (int)codes[i]);
        }
    }
    call_free(call);
}

static i128 posted(const char *id)
{
    struct query query = {.kind = QUERY_ACCOUNT_GET};
    memcpy(query.account, id, strlen(id));
    query.account_size = (uint8_t)strlen(id);
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    check_ok(ledger_query(driver.ledger, &query, &answer));
    struct reader reader = reader_of(answer.data, answer.size);
    struct answer_head head;
    struct account_view view;
    check_ok(answer_head_read(&reader, &head));
    check_ok(account_view_read(&reader, &view));
    const i128 posted = view.posted;
    buffer_deinit(&answer);
    return posted;
}

static void each_item_sees_the_earlier_ones(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(2, "alice", "bob", 1000),
                                       make_payment(3, "bob", "shop", 1000),
                                       make_payment(4, "shop", "alice", 1000)};
    const uint64_t before = seq();
    expect_items(commands, 3, (enum code[]){CODE_OK, CODE_OK, CODE_OK});
    assert_true(seq() == before + 3 && posted("alice") == 1000);
}

static void one_refused_item_aborts_all(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(2, "alice", "bob", 1000),
                                       make_payment(3, "bob", "shop", 1001),
                                       make_payment(4, "bob", "ghost", 1)};
    const uint64_t before = seq();
    const enum code codes[] = {CODE_BATCH_ABORTED, CODE_INSUFFICIENT_FUNDS, CODE_BATCH_ABORTED};
    expect_items(commands, 3, codes);
    assert_true(seq() == before + 3); /* all are recorded */
    assert_true(posted("alice") == 1000 && posted("bob") == 0);
    /* The refusal tells what the item saw: bob had alice's 1000. */
    struct outcome outcome;
    assert_int_equal(driver_do(&driver, &commands[1], &outcome), CODE_INSUFFICIENT_FUNDS);
    assert_true(outcome.replayed && outcome.available == 1000 && outcome.needed == 1001);
    assert_int_equal(driver_do(&driver, &commands[0], NULL), CODE_BATCH_ABORTED);
}

static void a_posted_replay_is_fine_in_a_batch(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(1, "bank", "alice", 1000),
                                       make_payment(2, "alice", "bob", 10)};
    expect_items(commands, 2, (enum code[]){CODE_OK, CODE_OK});
    assert_true(posted("alice") == 990 && posted("bob") == 10);
}

static void a_refused_replay_aborts_the_batch(void **state)
{
    (void)state;
    const struct command refused = make_payment(2, "bob", "alice", 10);
    assert_int_equal(driver_do(&driver, &refused, NULL), CODE_INSUFFICIENT_FUNDS);
    const struct command commands[] = {make_payment(3, "alice", "bob", 10), refused};
    expect_items(commands, 2, (enum code[]){CODE_BATCH_ABORTED, CODE_INSUFFICIENT_FUNDS});
    assert_true(posted("bob") == 0);
}

static void a_mismatch_aborts_the_batch(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(1, "bank", "alice", 999),
                                       make_payment(3, "alice", "bob", 10)};
    expect_items(commands, 2, (enum code[]){CODE_IDEMPOTENCY_MISMATCH, CODE_BATCH_ABORTED});
    assert_true(posted("bob") == 0);
}

static void the_same_id_twice_is_a_replay_of_the_first(void **state)
{
    (void)state;
    const struct command pay = make_payment(2, "alice", "bob", 10);
    const struct command twice[] = {pay, pay};
    const uint64_t before = seq();
    expect_items(twice, 2, (enum code[]){CODE_OK, CODE_OK});
    assert_true(seq() == before + 1 && posted("bob") == 10);
    const struct command poor = make_payment(3, "shop", "bob", 10);
    const struct command refused[] = {poor, poor};
    expect_items(refused, 2, (enum code[]){CODE_INSUFFICIENT_FUNDS, CODE_INSUFFICIENT_FUNDS});
    const struct command other[] = {make_payment(4, "alice", "bob", 1),
                                    make_payment(4, "alice", "bob", 2)};
    expect_items(other, 2, (enum code[]){CODE_BATCH_ABORTED, CODE_IDEMPOTENCY_MISMATCH});
    assert_true(posted("bob") == 10);
}

static void a_reference_is_taken_within_the_batch(void **state)
{
    (void)state;
    struct command commands[] = {make_payment(2, "alice", "bob", 1),
                                 make_payment(3, "alice", "bob", 1)};
    for (uint32_t i = 0; i < 2; i++) {
        commands[i].payment.has_reference = true;
        commands[i].payment.reference = TEXT("once");
    }
    expect_items(commands, 2, (enum code[]){CODE_BATCH_ABORTED, CODE_REFERENCE_CONFLICT});
    commands[0].payment.id = uuid_of(5);
    assert_int_equal(driver_do(&driver, &commands[0], NULL), CODE_OK); /* the abort freed it */
}

static void an_entry_is_closed_before_a_batch_that_does_not_fit(void **state)
{
    (void)state;
    struct call *filler = make_long_batch(REQUEST_INDEPENDENT, 1000, 200);
    struct call *atomic = make_long_batch(REQUEST_ATOMIC, 2000, 100);
    driver_submit(&driver, filler);
    driver_submit(&driver, atomic);
    const struct ledger_entry *one = driver_verify(&driver);
    assert_int_equal(filler->request.next, 200);
    assert_int_equal(atomic->request.next, 0);
    const struct ledger_entry *two = driver_verify(&driver);
    assert_int_equal(atomic->request.next, 100);
    (void)apply(one);
    assert_true(filler->answered && !atomic->answered);
    assert_int_equal(apply(two).count, 100);
    assert_int_equal(item_code(atomic, 99), CODE_OK);
    call_free(filler);
    call_free(atomic);
}

static void a_batch_that_never_fits_is_refused_whole(void **state)
{
    (void)state;
    struct call *call = make_long_batch(REQUEST_ATOMIC, 1000, 300); /* about 1.2 MB */
    const uint64_t before = seq();
    driver_submit(&driver, call);
    assert_null(driver_verify(&driver));
    assert_true(call->answered && seq() == before);
    assert_int_equal(call->request.code, CODE_BATCH_TOO_LARGE);
    assert_int_equal(call->request.outcomes_count, 0);
    call_free(call);
    const struct command command = make_payment(1000, "alice", "bob", 1);
    assert_int_equal(driver_do(&driver, &command, NULL), CODE_OK); /* its ids are not taken */
}

static void a_full_batch_of_small_payments_fits(void **state)
{
    (void)state;
    struct command *commands = calloc(BATCH_ITEMS_MAX, sizeof(*commands));
    assert_non_null(commands);
    for (uint32_t i = 0; i < BATCH_ITEMS_MAX; i++) {
        commands[i] = make_payment(10000 + i, "bank", "bob", 1);
    }
    struct call *call = call_make(REQUEST_ATOMIC, commands, BATCH_ITEMS_MAX);
    driver_call(&driver, call);
    assert_int_equal(item_code(call, BATCH_ITEMS_MAX - 1), CODE_OK);
    assert_true(posted("bob") == BATCH_ITEMS_MAX);
    call_free(call);
    free(commands);
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
    const uint64_t before = seq();
    struct call *call = call_make(REQUEST_INDEPENDENT, commands, CURRENCIES_MAX);
    driver_call(&driver, call);
    assert_int_equal(item_code(call, CURRENCIES_MAX - 2), CODE_OK); /* EUR is there, too */
    assert_int_equal(item_code(call, CURRENCIES_MAX - 1), CODE_TOO_MANY_CURRENCIES);
    assert_true(seq() == before + CURRENCIES_MAX - 1);
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
    (void)apply(entry);
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
    (void)apply(first);
    assert_true(ledger_waiting(driver.ledger));
    driver_settle(&driver);
    assert_int_equal(item_code(calls[1], 0), CODE_OK);
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
        (void)apply(entry);
        call_free(call);
    }
    assert_true(sizes[0] == sizes[1]);
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
        TEST(an_answer_waits_for_its_entry),
        TEST(verification_sees_what_is_in_flight),
        TEST(entries_in_flight_are_bounded),
        TEST(a_repeated_payment_is_replayed),
        TEST(a_refusal_is_replayed_too),
        TEST(a_mismatch_takes_no_seq),
        TEST(a_replay_of_what_is_in_flight_waits_for_it),
        TEST(operator_commands_are_repeated_or_refused),
        TEST(an_account_opened_in_flight_can_be_paid),
        TEST(a_barrier_is_answered_by_an_empty_entry),
        TEST(outside_an_epoch_nothing_is_taken),
        TEST(damaged_requests_are_refused_whole),
        TEST(proposed_is_unknown_the_rest_is_surely_not_executed),
        TEST(a_batch_goes_on_in_the_next_entry),
        TEST(a_cut_batch_is_answered_item_by_item),
        TEST(each_item_sees_the_earlier_ones),
        TEST(one_refused_item_aborts_all),
        TEST(a_posted_replay_is_fine_in_a_batch),
        TEST(a_refused_replay_aborts_the_batch),
        TEST(a_mismatch_aborts_the_batch),
        TEST(the_same_id_twice_is_a_replay_of_the_first),
        TEST(a_reference_is_taken_within_the_batch),
        TEST(an_entry_is_closed_before_a_batch_that_does_not_fit),
        TEST(a_batch_that_never_fits_is_refused_whole),
        TEST(a_full_batch_of_small_payments_fits),
        TEST(a_currency_too_many_is_refused_unrecorded),
        TEST(the_overlay_is_empty_when_nothing_is_in_flight),
        TEST(a_full_overlay_waits_for_an_apply),
        TEST(the_log_leaves_out_the_accounts_own_currency),
        TEST(time_never_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
