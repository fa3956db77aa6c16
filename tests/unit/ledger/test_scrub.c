/*
 * The scrub on right ledgers, on tables that miss rows, and on thousands of single flipped bits:
 * each must be noticed, or change no answer. PAYLEDGER_FLIPS says how many (a soak).
 */
#include "ledger/scrub.h"

#include "base/crypto.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PAYMENTS = 2000,
    BATCH = 200,
    ACCOUNTS = 100,
    QUESTIONS_MAX = PAYMENTS + 500 + ACCOUNTS * 3 + 8,
    FLIPS = 250,
    HANG_S = 60
};

static struct driver driver;

static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    driver_lead(&driver);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static void account_name(uint64_t number, char name[16])
{
    (void)snprintf(name, 16, "a:%04u", (unsigned)(number * 7919 % 9973));
}

static void make_accounts(void)
{
    const struct command euro = make_currency("EUR", 2);
    const struct command yen = make_currency("JPY", 0);
    assert_int_equal(driver_do(&driver, &euro, NULL), CODE_OK);
    assert_int_equal(driver_do(&driver, &yen, NULL), CODE_OK);
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        char name[16];
        account_name(i, name);
        const struct command open = make_account(name, i % 4 == 3 ? "JPY" : "EUR", false, -1);
        assert_int_equal(driver_do(&driver, &open, NULL), CODE_OK);
    }
}

/* Some are refused (another currency), every tenth owns a reference. */
static void make_payments(uint64_t first, uint64_t *random)
{
    static struct command commands[BATCH];
    static char names[BATCH][2][16];
    static char references[BATCH][24];
    for (uint32_t i = 0; i < BATCH; i++) {
        const uint64_t debit = test_random(random) % ACCOUNTS;
        account_name(debit, names[i][0]);
        account_name((debit + 4 + test_random(random) % 9 / 8) % ACCOUNTS, names[i][1]);
        commands[i] = make_payment(first + i, names[i][0], names[i][1], 1 + i);
        if (i % 10 == 0) {
            (void)snprintf(references[i], sizeof(references[i]), "invoice %llu",
                           (unsigned long long)(first + i));
            commands[i].payment.has_reference = true;
            commands[i].payment.reference = text_of(references[i]);
        }
    }
    struct call *call = call_make(REQUEST_INDEPENDENT, commands, BATCH);
    driver_call(&driver, call);
    assert_true(call->answered && call->request.code == CODE_OK);
    call_free(call);
}

static void fill(uint64_t *random)
{
    make_accounts();
    for (uint64_t first = 1; first <= PAYMENTS; first += BATCH) {
        make_payments(first, random);
        check_ok(ledger_commit(driver.ledger)); /* pages are freed and used again */
    }
    check_ok(ledger_flush(driver.ledger));
}

static void a_whole_ledger_passes(void **state)
{
    (void)state;
    struct position position;
    uint64_t random = test_seed();
    check_ok(scrub_all(driver.ledger, &position)); /* a new one has no position */
    assert_int_equal(position.seq, 0);
    fill(&random);
    check_ok(scrub_all(driver.ledger, &position));
    assert_int_equal(position.seq, PAYMENTS + ACCOUNTS + 2);
    assert_string_equal(ledger_damage(driver.ledger), "");
}

static void it_goes_round_while_payments_go_on(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    uint64_t first = PAYMENTS + 1;
    fill(&random);
    struct scrub *scrub = NULL;
    check_ok(scrub_open(&scrub, driver.ledger, SCRUB_IN_PIECES));
    for (int pass = 0; pass < 2; pass++) {
        bool done = false;
        uint64_t checked = 0;
        for (uint32_t step = 0; !done; step++) {
            check_ok(scrub_step(scrub, 100, &done));
            assert_true(done || scrub_rows_checked(scrub) >= checked + 100);
            checked = scrub_rows_checked(scrub);
            if (step % 8 == 0) {
                make_payments(first, &random);
                check_ok(ledger_commit(driver.ledger));
                first += BATCH;
            }
        }
        assert_true(checked >= scrub_rows_all(scrub));
    }
    scrub_close(scrub);
}

/* Steps are short, and what is committed between them changes nothing: the totals of all accounts
 * are those of the moment when the pass began. */
static void a_pass_at_once_sees_one_moment_in_short_steps(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    uint64_t first = PAYMENTS + 1;
    fill(&random);
    struct scrub *scrub = NULL;
    check_ok(scrub_open(&scrub, driver.ledger, SCRUB_AT_ONCE));
    bool done = false;
    uint64_t checked = 0;
    for (uint32_t step = 0; !done; step++) {
        check_ok(scrub_step(scrub, 30, &done));
        assert_true(scrub_rows_checked(scrub) <= checked + 30);
        checked = scrub_rows_checked(scrub);
        if (step % 32 == 0) {
            make_payments(first, &random);
            check_ok(ledger_commit(driver.ledger));
            first += BATCH;
        }
    }
    assert_int_equal(checked, scrub_rows_all(scrub));
    scrub_close(scrub);
}

/* ---- flipped bits -------------------------------------------------------------------------- */

static struct query questions[QUESTIONS_MAX];
static struct digest answers[QUESTIONS_MAX];
static uint32_t questions_count;
static char file_path[512];

static struct query *question(enum query_kind kind)
{
    assert_true(questions_count < QUESTIONS_MAX);
    struct query *query = &questions[questions_count++];
    *query = (struct query){.kind = kind, .limit = 50};
    return query;
}

static void questions_make(void)
{
    questions_count = 0;
    (void)question(QUERY_TOTALS);
    (void)question(QUERY_ACCOUNT_LIST);
    (void)question(QUERY_CURRENCY_LIST);
    for (uint64_t id = 1; id <= PAYMENTS + 500; id++) { /* the last ones are absent */
        question(QUERY_PAYMENT_GET)->id = uuid_of(id);
    }
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        struct query *get = question(QUERY_ACCOUNT_GET);
        account_name(i, get->account);
        get->account_size = (uint8_t)strlen(get->account);
        struct query *list = question(QUERY_PAYMENT_LIST);
        *list = *get;
        list->kind = QUERY_PAYMENT_LIST;
        list->limit = 20;
        struct query *absent = question(QUERY_ACCOUNT_GET);
        absent->account_size =
            (uint8_t)snprintf(absent->account, sizeof(absent->account), "b:%u", (unsigned)i);
    }
}

static enum status ask(struct ledger *ledger, const struct query *query, struct digest *answer)
{
    struct buffer bytes;
    buffer_init(&bytes, LIST_BYTES_MAX + RECORD_BYTES_MAX);
    const enum status status = ledger_scan(ledger, query, &bytes);
    if (status == STATUS_OK) {
        *answer = digest_of(bytes.data, bytes.size);
    }
    buffer_deinit(&bytes);
    return status;
}

enum trial { TRIAL_SAME, TRIAL_NOTICED, TRIAL_NOTICED_BY_A_READ, TRIAL_WRONG, TRIAL_CRASHED };

/* In a process of its own. Without a scrub reads alone must notice what they can. */
static enum trial try_ledger(bool scrub)
{
    static struct metrics metrics;
    struct ledger *ledger = NULL;
    char error[512];
    struct position position;
    const struct ledger_options options = {
        .path = driver.dir, .map_bytes = (uint64_t)4 << 30, .metrics = &metrics};
    if (ledger_open(&ledger, &options, error, sizeof(error)) != STATUS_OK ||
        (scrub && scrub_all(ledger, &position) != STATUS_OK)) {
        return TRIAL_NOTICED;
    }
    for (uint32_t i = 0; i < questions_count; i++) {
        struct digest answer;
        const enum status status = ask(ledger, &questions[i], &answer);
        if (status != STATUS_OK) {
            return TRIAL_NOTICED_BY_A_READ;
        }
        if (!digest_equal(&answer, &answers[i])) {
            return TRIAL_WRONG;
        }
    }
    return TRIAL_SAME;
}

static enum trial run_trial(bool scrub)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
        for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
            (void)signal(crashes[i], SIG_DFL); /* cmocka would go on with the test here */
        }
        (void)alarm(HANG_S);
        (void)close(STDERR_FILENO); /* the last words of LMDB's assertions */
        _exit((int)try_ledger(scrub));
    }
    int result = 0;
    assert_true(waitpid(child, &result, 0) == child);
    if (WIFSIGNALED(result)) {
        assert_int_not_equal(WTERMSIG(result), SIGALRM);
        return TRIAL_CRASHED;
    }
    assert_true(WEXITSTATUS(result) <= TRIAL_WRONG);
    return (enum trial)WEXITSTATUS(result);
}

static void flip(int fd, uint64_t bit)
{
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
}

static void answers_note(void)
{
    questions_make();
    for (uint32_t i = 0; i < questions_count; i++) {
        check_ok(ask(driver.ledger, &questions[i], &answers[i]));
    }
}

static uint32_t flips_wanted(void)
{
    const char *wanted = getenv("PAYLEDGER_FLIPS");
    return wanted == NULL ? FLIPS : (uint32_t)strtoul(wanted, NULL, 10);
}

static void a_flipped_bit_is_noticed_or_changes_nothing(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    fill(&random);
    answers_note();
    (void)snprintf(file_path, sizeof(file_path), "%s/data.mdb", driver.dir);
    driver_resign(&driver);
    ledger_close(driver.ledger);
    const int fd = open(file_path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat entry;
    assert_int_equal(fstat(fd, &entry), 0);
    assert_int_equal(run_trial(true), TRIAL_SAME);
    uint32_t counts[2][TRIAL_CRASHED + 1] = {{0}};
    for (uint32_t i = 0; i < flips_wanted(); i++) {
        const uint64_t bit = test_random(&random) % ((uint64_t)entry.st_size * 8);
        const bool scrub = i % 8 != 0;
        flip(fd, bit);
        const enum trial trial = run_trial(scrub);
        flip(fd, bit);
        counts[scrub][trial]++;
        if (scrub && trial == TRIAL_WRONG) {
            fail_msg("bit %llu of %s gives a wrong answer", (unsigned long long)bit, file_path);
        }
    }
    for (int scrub = 1; scrub >= 0; scrub--) {
        print_message("%s: same=%u noticed=%u by_a_read=%u wrong=%u crashed=%u\n",
                      scrub != 0 ? "with the scrub" : "reads alone", counts[scrub][TRIAL_SAME],
                      counts[scrub][TRIAL_NOTICED], counts[scrub][TRIAL_NOTICED_BY_A_READ],
                      counts[scrub][TRIAL_WRONG], counts[scrub][TRIAL_CRASHED]);
    }
    assert_int_equal(run_trial(true), TRIAL_SAME);
    assert_int_equal(close(fd), 0);
    static struct metrics metrics;
    char error[512];
    const struct ledger_options options = {
        .path = driver.dir, .map_bytes = (uint64_t)4 << 30, .metrics = &metrics};
    check_ok(ledger_open(&driver.ledger, &options, error, sizeof(error)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_ledger_passes),
        TEST(it_goes_round_while_payments_go_on),
        TEST(a_pass_at_once_sees_one_moment_in_short_steps),
        TEST(a_flipped_bit_is_noticed_or_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
