/*
 * Every node's half: what a committed entry does, and what it must not do.
 */
#include "base/check.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

#include <stdio.h>
#include <string.h>

enum { ENTRIES_MAX = 16 };

struct copy {
    uint8_t *data;
    size_t size;
};

static struct driver leader;
static struct driver follower;
static struct copy entries[ENTRIES_MAX]; /* the log, but for the test's own changes */
static uint32_t entries_count;

static struct copy copy_of(const struct ledger_entry *entry)
{
    struct copy copy = {.data = malloc(entry->bytes.size), .size = entry->bytes.size};
    assert_non_null(copy.data);
    memcpy(copy.data, entry->bytes.data, entry->bytes.size);
    return copy;
}

/* One command in one entry, applied on the leader and kept. */
static enum code lead(const struct command *command)
{
    struct call *call = call_make(REQUEST_SINGLE, command, 1);
    driver_submit(&leader, call);
    const struct ledger_entry *entry = driver_verify(&leader);
    assert_non_null(entry);
    assert_true(entries_count < ENTRIES_MAX);
    entries[entries_count] = copy_of(entry);
    entries_count++;
    (void)driver_apply(&leader, entries[entries_count - 1].data, entries[entries_count - 1].size);
    struct outcome outcome;
    call_outcome(call, 0, &outcome);
    call_free(call);
    return outcome.code;
}

static int set_up(void **state)
{
    (void)state;
    driver_open(&leader);
    driver_open(&follower);
    driver_lead(&leader);
    entries_count = 0;
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_account("alice", "EUR", false, 0),
        make_account("bank", "EUR", false, -1),
        make_payment(1, "bank", "alice", 100),
        make_payment(2, "alice", "bank", 500),
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(commands); i++) {
        assert_int_equal(lead(&commands[i]), i < 4 ? CODE_OK : CODE_INSUFFICIENT_FUNDS);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&leader);
    driver_close(&follower);
    for (uint32_t i = 0; i < entries_count; i++) {
        free(entries[i].data);
    }
    return 0;
}

static struct applied follow(uint32_t entry)
{
    return driver_apply(&follower, entries[entry].data, entries[entry].size);
}

static struct digest digest_of_state(const struct driver *driver)
{
    return ledger_position(driver->ledger).digest;
}

static bool same_digest(void)
{
    const struct digest ours = digest_of_state(&leader);
    const struct digest theirs = digest_of_state(&follower);
    return digest_equal(&ours, &theirs);
}

static void a_follower_comes_to_the_same_state(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < entries_count; i++) {
        const struct applied applied = follow(i);
        assert_false(applied.own || applied.was_void || applied.different || applied.diverged);
        assert_int_equal(applied.count, 1);
        assert_true(applied.first_seq == i + 1);
        assert_true(same_digest() == (i + 1 == entries_count));
    }
    const struct position ours = ledger_position(leader.ledger);
    const struct position theirs = ledger_position(follower.ledger);
    assert_true(ours.seq == 5 && theirs.seq == 5 && ours.time_ns == theirs.time_ns);
    assert_true(theirs.accounts_count == 2 && theirs.currencies_count == 1);
    assert_true(theirs.payments_count == 2 && theirs.term == 1);
    assert_true(metric_get(&follower.metrics, METRIC_PAYMENTS_POSTED) == 1);
    assert_true(metric_get(&follower.metrics, METRIC_PAYMENTS_REFUSED) == 1);
    assert_true(metric_get(&follower.metrics, METRIC_ENTRIES_APPLIED) == 5);
    assert_true(metric_get(&follower.metrics, METRIC_SEQ) == 5);
}

static void an_entry_at_or_below_the_stored_index_is_skipped(void **state)
{
    (void)state;
    (void)follow(0);
    const struct digest before = digest_of_state(&follower);
    struct list answered;
    list_init(&answered);
    struct applied applied;
    check_ok(
        ledger_apply(follower.ledger, 1, entries[0].data, entries[0].size, &applied, &answered));
    assert_true(applied.skipped);
    const struct digest after = digest_of_state(&follower);
    assert_true(digest_equal(&before, &after));
    assert_true(metric_get(&follower.metrics, METRIC_ENTRIES_SKIPPED) == 1);
}

static void an_entry_whose_seq_does_not_fit_is_void(void **state)
{
    (void)state;
    (void)follow(0);
    const struct position before = ledger_position(follower.ledger);
    struct applied applied = follow(2); /* one is missing in between */
    assert_true(applied.was_void && !applied.own);
    applied = follow(0); /* came again under another index */
    assert_true(applied.was_void);
    const struct position after = ledger_position(follower.ledger);
    assert_true(after.index == before.index + 2 && after.seq == before.seq);
    assert_true(digest_equal(&before.digest, &after.digest));
    assert_true(after.accounts_count == before.accounts_count);
    assert_true(metric_get(&follower.metrics, METRIC_ENTRIES_VOID) == 2);
    assert_false(follow(1).was_void);
}

static void an_empty_entry_moves_index_term_and_time_alone(void **state)
{
    (void)state;
    (void)follow(0);
    const struct position before = ledger_position(follower.ledger);
    struct buffer bytes;
    buffer_init(&bytes, ENTRY_BYTES_MAX);
    const struct uuid id = uuid_of(99);
    entry_write_barrier(&bytes, 9, &id);
    struct applied applied = driver_apply(&follower, bytes.data, bytes.size);
    assert_true(!applied.was_void && applied.count == 0);
    struct position after = ledger_position(follower.ledger);
    assert_true(after.index == before.index + 1 && after.term == 9);
    assert_true(after.seq == before.seq && after.time_ns == before.time_ns);
    buffer_clear(&bytes);
    const struct entry_header header = {
        .term = 9, .time_ns = before.time_ns + 50, .id = id, .first_seq = 12345};
    entry_begin(&bytes);
    entry_finish(&bytes, &header);
    applied = driver_apply(&follower, bytes.data, bytes.size);
    after = ledger_position(follower.ledger);
    assert_true(!applied.was_void && after.time_ns == before.time_ns + 50);
    assert_true(digest_equal(&before.digest, &after.digest));
    buffer_deinit(&bytes);
}

static void another_digest_is_noticed(void **state)
{
    (void)state;
    (void)follow(0);
    (void)follow(1);
    struct entry_header header;
    struct reader items;
    check_ok(entry_read(entries[2].data, entries[2].size, &header, &items));
    assert_true(header.digest_seq == 2);
    struct copy copy = entries[2];
    const size_t digest_at = 56; /* docs/format.md */
    copy.data[digest_at] ^= 1;
    const struct applied applied = driver_apply(&follower, copy.data, copy.size);
    assert_true(applied.diverged && !applied.was_void);
    copy.data[digest_at] ^= 1;
    assert_true(follow(3).diverged); /* its own digest is another one from here on */
}

static bool diverges_at(uint64_t digest_seq)
{
    struct buffer bytes;
    buffer_init(&bytes, ENTRY_BYTES_MAX);
    const struct entry_header header = {
        .term = 1, .time_ns = 5, .id = uuid_of(3), .first_seq = 1001, .digest_seq = digest_seq};
    entry_begin(&bytes);
    entry_finish(&bytes, &header);
    const bool diverged = driver_apply(&follower, bytes.data, bytes.size).diverged;
    buffer_deinit(&bytes);
    return diverged;
}

static void a_digest_beyond_the_own_state_is_a_divergence(void **state)
{
    (void)state;
    assert_true(diverges_at(1000)); /* this replica lost entries on its way */
}

static void an_entry_without_a_digest_is_not_compared(void **state)
{
    (void)state;
    assert_false(diverges_at(0));
}

static void bytes_that_are_no_entry_stop_the_node(void **state)
{
    (void)state;
    struct list answered;
    list_init(&answered);
    struct applied applied;
    uint8_t *data = entries[0].data;
    check_status(ledger_apply(follower.ledger, 1, data, entries[0].size - 8, &applied, &answered),
                 STATUS_INVALID);
    check_status(ledger_apply(follower.ledger, 1, data, 5, &applied, &answered), STATUS_INVALID);
    data[4]++; /* the count of commands */
    check_status(ledger_apply(follower.ledger, 1, data, entries[0].size, &applied, &answered),
                 STATUS_INVALID);
    data[4]--;
    assert_true(ledger_position(follower.ledger).index == 0);
}

static void the_actual_outcome_stands(void **state)
{
    (void)state;
    /* A follower opened without the assertion that test builds have. */
    char error[256] = "";
    char *dir = test_dir_make();
    static struct metrics metrics;
    struct ledger *ledger = NULL;
    const struct ledger_options options = {
        .path = dir, .map_bytes = (uint64_t)1 << 30, .metrics = &metrics};
    check_ok(ledger_open(&ledger, &options, error, sizeof(error)));
    struct list answered;
    list_init(&answered);
    struct applied applied;
    const size_t expected_at = ENTRY_HEADER_BYTES;
    for (uint32_t i = 0; i < entries_count; i++) {
        if (i == 4) {
            assert_int_equal(entries[i].data[expected_at], CODE_INSUFFICIENT_FUNDS);
            entries[i].data[expected_at] = CODE_OK;
        }
        check_ok(
            ledger_apply(ledger, i + 1, entries[i].data, entries[i].size, &applied, &answered));
        assert_true(applied.different == (i == 4));
    }
    assert_true(metric_get(&metrics, METRIC_OUTCOME_DIFFERENCES) == 1);
    assert_true(metric_get(&metrics, METRIC_PAYMENTS_REFUSED) == 1);
    ledger_close(ledger);
    test_dir_remove(dir);
}

static void a_void_entry_of_ones_own_was_surely_not_executed(void **state)
{
    (void)state;
    const struct command command = make_payment(3, "bank", "alice", 1);
    struct call *call = call_make(REQUEST_SINGLE, &command, 1);
    driver_submit(&leader, call);
    const struct copy mine = copy_of(driver_verify(&leader));
    struct entry_header header;
    struct reader items;
    check_ok(entry_read(mine.data, mine.size, &header, &items));
    put_u64(mine.data + 16, header.first_seq + 1); /* docs/format.md */
    const struct applied applied = driver_apply(&leader, mine.data, mine.size);
    assert_true(applied.own && applied.was_void);
    assert_int_equal(call->request.code, CODE_LEADERSHIP_LOST);
    call_free(call);
    free(mine.data);
}

static void an_entry_of_an_ended_epoch_is_nobodys(void **state)
{
    (void)state;
    const struct command command = make_payment(3, "bank", "alice", 1);
    struct call *call = call_make(REQUEST_SINGLE, &command, 1);
    driver_submit(&leader, call);
    const struct copy mine = copy_of(driver_verify(&leader));
    driver_resign(&leader);
    assert_int_equal(call->request.code, CODE_UNKNOWN);
    call_free(call);
    const struct applied applied = driver_apply(&leader, mine.data, mine.size);
    assert_true(!applied.own && !applied.was_void && applied.count == 1);
    free(mine.data);
    /* It was executed: the same request again is a replay. */
    driver_lead(&leader);
    struct outcome outcome;
    assert_int_equal(driver_do(&leader, &command, &outcome), CODE_OK);
    assert_true(outcome.replayed && outcome.seq == 6);
}

static void the_index_alone_can_move_on(void **state)
{
    (void)state;
    (void)follow(0);
    ledger_advance_index(follower.ledger, 10);
    assert_true(ledger_position(follower.ledger).index == 10);
    ledger_advance_index(follower.ledger, 4);
    assert_true(ledger_position(follower.ledger).index == 10);
    check_ok(ledger_commit(follower.ledger));
    assert_true(ledger_committed(follower.ledger).index == 10);
    driver_restart(&follower);
    assert_true(follower.index == 10 && ledger_position(follower.ledger).seq == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_follower_comes_to_the_same_state),
        TEST(an_entry_at_or_below_the_stored_index_is_skipped),
        TEST(an_entry_whose_seq_does_not_fit_is_void),
        TEST(an_empty_entry_moves_index_term_and_time_alone),
        TEST(another_digest_is_noticed),
        TEST(a_digest_beyond_the_own_state_is_a_divergence),
        TEST(an_entry_without_a_digest_is_not_compared),
        TEST(bytes_that_are_no_entry_stop_the_node),
        TEST(the_actual_outcome_stands),
        TEST(a_void_entry_of_ones_own_was_surely_not_executed),
        TEST(an_entry_of_an_ended_epoch_is_nobodys),
        TEST(the_index_alone_can_move_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
