/*
 * The life of a ledger: what is durable when, what a restart finds, and reads through the door.
 */
#include "base/check.h"
#include "ledger/scrub.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct driver driver;

static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    driver_lead(&driver);
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_account("alice", "EUR", false, 50),
        make_account("bank", "EUR", false, -1),
        make_payment(1, "bank", "alice", 100),
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

static void what_was_not_committed_is_gone_after_a_crash(void **state)
{
    (void)state;
    assert_true(ledger_committed(driver.ledger).index == 0);
    assert_true(ledger_uncommitted_bytes(driver.ledger) > 0);
    check_ok(ledger_commit(driver.ledger));
    const struct position committed = ledger_committed(driver.ledger);
    assert_true(committed.seq == 4 && ledger_uncommitted_bytes(driver.ledger) == 0);
    assert_true(metric_get(&driver.metrics, METRIC_FLUSHES) == 1);
    const struct command command = make_payment(2, "alice", "bank", 100);
    assert_int_equal(driver_do(&driver, &command, NULL), CODE_OK);
    driver_restart(&driver);
    const struct position found = ledger_position(driver.ledger);
    assert_true(found.index == committed.index && found.seq == 4);
    assert_true(digest_equal(&found.digest, &committed.digest));
    assert_true(found.accounts_count == 2 && found.payments_count == 1);
    /* And it goes on from there. */
    driver_lead(&driver);
    struct outcome outcome;
    assert_int_equal(driver_do(&driver, &command, &outcome), CODE_OK);
    assert_true(outcome.seq == 5 && !outcome.replayed);
    const struct command open = make_account("carol", "EUR", false, 0);
    assert_int_equal(driver_do(&driver, &open, NULL), CODE_OK);
    assert_true(ledger_position(driver.ledger).accounts_count == 3);
}

static void a_commit_of_nothing_is_fine(void **state)
{
    (void)state;
    check_ok(ledger_flush(driver.ledger));
    check_ok(ledger_commit(driver.ledger));
    check_ok(ledger_flush(driver.ledger));
    assert_true(metric_get(&driver.metrics, METRIC_FLUSHES) == 1);
}

static void a_commit_does_not_disturb_what_is_in_flight(void **state)
{
    (void)state;
    struct call *calls[3];
    const struct ledger_entry *entries[3];
    static uint8_t bytes[4096];
    for (uint64_t i = 0; i < 3; i++) {
        const struct command command = make_payment(10 + i, "alice", "bank", 60);
        calls[i] = call_make(REQUEST_SINGLE, &command, 1);
        driver_submit(&driver, calls[i]);
        entries[i] = driver_verify(&driver);
        check_ok(ledger_commit(driver.ledger));
    }
    for (uint32_t i = 0; i < 3; i++) {
        const size_t size = entries[i]->bytes.size;
        memcpy(bytes, entries[i]->bytes.data, size);
        assert_false(driver_apply(&driver, bytes, size).different);
        check_ok(ledger_commit(driver.ledger));
        struct outcome outcome;
        call_outcome(calls[i], 0, &outcome);
        assert_int_equal(outcome.code, i < 2 ? CODE_OK : CODE_INSUFFICIENT_FUNDS);
        call_free(calls[i]);
    }
}

static struct answer_head ask(const struct query *query, bool scan)
{
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    check_ok(scan ? ledger_scan(driver.ledger, query, &answer)
                  : ledger_query(driver.ledger, query, &answer));
    struct reader reader = reader_of(answer.data, answer.size);
    struct answer_head head;
    check_ok(answer_head_read(&reader, &head));
    buffer_deinit(&answer);
    return head;
}

static void queries_see_what_is_applied_scans_what_is_committed(void **state)
{
    (void)state;
    const struct query info = {.kind = QUERY_INFO};
    assert_true(ask(&info, false).seq == 4 && ask(&info, true).seq == 0);
    check_ok(ledger_commit(driver.ledger));
    assert_true(ask(&info, true).seq == 4 && ask(&info, true).accounts_count == 2);
    const struct query list = {.kind = QUERY_ACCOUNT_LIST, .limit = 10};
    assert_int_equal(ask(&list, true).count, 2);
}

static void digests_are_found_by_their_seq(void **state)
{
    (void)state;
    struct digest digest;
    const struct position position = ledger_position(driver.ledger);
    check_ok(ledger_digest_at(driver.ledger, 4, &digest));
    assert_true(digest_equal(&digest, &position.digest));
    check_ok(ledger_digest_at(driver.ledger, 1, &digest));
    assert_false(digest_equal(&digest, &position.digest));
    check_status(ledger_digest_at(driver.ledger, 5, &digest), STATUS_NOT_FOUND);
}

static void a_copy_is_a_ledger_of_its_own(void **state)
{
    (void)state;
    check_ok(ledger_flush(driver.ledger));
    char *dir = test_dir_make();
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    check_ok(ledger_copy(driver.ledger, fd));
    assert_int_equal(close(fd), 0);
    static struct metrics metrics;
    char error[256] = "";
    struct ledger *copy = NULL;
    const struct ledger_options options = {
        .path = dir, .map_bytes = (uint64_t)1 << 30, .metrics = &metrics};
    check_ok(ledger_open(&copy, &options, error, sizeof(error)));
    const struct position ours = ledger_position(driver.ledger);
    const struct position theirs = ledger_position(copy);
    assert_true(theirs.seq == 4 && digest_equal(&ours.digest, &theirs.digest));
    struct position checked;
    check_ok(scrub_all(copy, &checked));
    assert_true(checked.accounts_count == 2 && checked.seq == 4);
    ledger_close(copy);
    test_dir_remove(dir);
}

static void a_directory_that_is_not_there_is_refused(void **state)
{
    (void)state;
    static struct metrics metrics;
    char error[256] = "";
    struct ledger *ledger = NULL;
    const struct ledger_options options = {
        .path = "/nowhere/at/all", .map_bytes = (uint64_t)1 << 20, .metrics = &metrics};
    assert_int_not_equal(ledger_open(&ledger, &options, error, sizeof(error)), STATUS_OK);
    assert_null(ledger);
    assert_true(strlen(error) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_not_committed_is_gone_after_a_crash),
        TEST(a_commit_of_nothing_is_fine),
        TEST(a_commit_does_not_disturb_what_is_in_flight),
        TEST(queries_see_what_is_applied_scans_what_is_committed),
        TEST(digests_are_found_by_their_seq),
        TEST(a_copy_is_a_ledger_of_its_own),
        TEST(a_directory_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
