#include "tests/support/check.h"

#include "base/check.h"
#include "ledger/store.h"
#include "tests/support/forms.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAP_BYTES = 64 * 1024 * 1024 };

struct fixture {
    char *dir;
    struct store *store;
};

static struct store *open_at(const char *dir, uint64_t map_bytes, bool read_only)
{
    const struct store_options options = {
        .path = dir, .map_bytes = map_bytes, .read_only = read_only};
    struct store *store = NULL;
    char error[256] = "";
    const enum status status = store_open(&store, &options, error, sizeof(error));
    if (status != STATUS_OK) {
        fail_msg("%s: %s", status_name(status), error);
    }
    return store;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->dir = test_dir_make();
    fixture->store = open_at(fixture->dir, MAP_BYTES, false);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    test_dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

static void reopen(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = open_at(fixture->dir, MAP_BYTES, false);
}

static struct currency euro(void)
{
    return (struct currency){.number = 1,
                             .code = "EUR",
                             .scale = 2,
                             .seq = 1,
                             .term = 2,
                             .time_ns = 3,
                             .debits_posted = 4,
                             .credits_posted = AMOUNT_LIMIT - 1,
                             .debits_held = 6,
                             .credits_held = 7,
                             .accounts_count = 8};
}

static struct account account_named(uint64_t number, const char *id)
{
    struct account account = {.number = number,
                              .id_size = (uint8_t)strlen(id),
                              .debit_normal = number % 2 == 0,
                              .overdraft_kind = OVERDRAFT_LIMIT,
                              .currency = 1,
                              .overdraft_limit = 9,
                              .seq = 10 + number,
                              .term = 2,
                              .time_ns = -4,
                              .debits_posted = AMOUNT_LIMIT - 1,
                              .credits_posted = (u128)1 << 100,
                              .debits_held = 12,
                              .credits_held = 13,
                              .entries_count = 14,
                              .history_seq = {9, 8, 7, 6, 5, 4}};
    memcpy(account.id, id, account.id_size);
    return account;
}

static void check_account(const struct account *found, const struct account *wanted)
{
    assert_true(found->number == wanted->number && found->id_size == wanted->id_size);
    assert_string_equal(found->id, wanted->id);
    assert_int_equal(found->debit_normal, wanted->debit_normal);
    assert_int_equal(found->overdraft_kind, wanted->overdraft_kind);
    assert_int_equal(found->currency, wanted->currency);
    assert_true(found->overdraft_limit == wanted->overdraft_limit);
    assert_true(found->seq == wanted->seq && found->term == wanted->term);
    assert_true(found->time_ns == wanted->time_ns);
    assert_true(found->debits_posted == wanted->debits_posted);
    assert_true(found->credits_posted == wanted->credits_posted);
    assert_true(found->debits_held == wanted->debits_held);
    assert_true(found->credits_held == wanted->credits_held);
    assert_true(found->entries_count == wanted->entries_count);
    assert_memory_equal(found->history_seq, wanted->history_seq, sizeof(wanted->history_seq));
}

static void check_currency(const struct currency *found, const struct currency *wanted)
{
    assert_int_equal(found->number, wanted->number);
    assert_string_equal(found->code, wanted->code);
    assert_int_equal(found->scale, wanted->scale);
    assert_true(found->seq == wanted->seq && found->term == wanted->term);
    assert_true(found->time_ns == wanted->time_ns);
    assert_true(found->debits_posted == wanted->debits_posted);
    assert_true(found->credits_posted == wanted->credits_posted);
    assert_true(found->debits_held == wanted->debits_held);
    assert_true(found->credits_held == wanted->credits_held);
    assert_true(found->accounts_count == wanted->accounts_count);
}

static void a_new_store_stands_at_zero(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *txn;
    struct position position = {.seq = 5};
    check_ok(store_read_begin(fixture->store, &txn));
    check_ok(store_position(txn, &position));
    assert_true(position.index == 0 && position.seq == 0 && position.time_ns == 0);
    store_read_end(txn);
}

static void a_commit_keeps_position_and_effects_together(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *txn;
    struct store_view view;
    struct position position = {.index = 11,
                                .seq = 12,
                                .term = 13,
                                .time_ns = 14,
                                .digest = {.bytes = {15}},
                                .payments_count = 16};
    const struct account alice = account_named(1, "alice");
    check_ok(store_write_begin(fixture->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    view.view.functions->currency_put(&view.view, &(struct currency){.number = 1, .code = "EUR"});
    view.view.functions->account_put(&view.view, &alice);
    check_ok(view.view.error);
    position.accounts_count = view.view.accounts_count;
    position.currencies_count = view.view.currencies_count;
    store_view_deinit(&view);
    check_ok(store_write_commit(fixture->store, &position));
    reopen(fixture);

    struct position found;
    struct account account;
    check_ok(store_read_begin(fixture->store, &txn));
    check_ok(store_position(txn, &found));
    assert_true(found.index == 11 && found.seq == 12 && found.term == 13);
    assert_true(found.time_ns == 14 && found.payments_count == 16);
    assert_true(found.accounts_count == 1 && found.currencies_count == 1);
    assert_true(digest_equal(&found.digest, &position.digest));
    check_ok(store_account(txn, 1, &account));
    check_account(&account, &alice);
    store_read_end(txn);
}

static void an_abort_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *txn;
    struct store_view view;
    struct account account;
    check_ok(store_write_begin(fixture->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    const struct account alice = account_named(1, "alice");
    view.view.functions->account_put(&view.view, &alice);
    assert_true(view.view.functions->account_get(&view.view, 1, &account));
    store_view_deinit(&view);
    store_write_abort(fixture->store);
    store_write_abort(fixture->store);
    check_ok(store_write_begin(fixture->store, &txn));
    check_status(store_account(txn, 1, &account), STATUS_NOT_FOUND);
}

static void readers_see_commits_only(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *write;
    struct store_txn *before;
    struct store_txn *after;
    struct store_view view;
    struct account account;
    const struct position position = {.seq = 3, .accounts_count = 1};
    const struct account alice = account_named(1, "alice");
    check_ok(store_write_begin(fixture->store, &write));
    store_view_init(&view, write, &(struct position){0}, NULL);
    view.view.functions->account_put(&view.view, &alice);
    store_view_deinit(&view);
    check_ok(store_read_begin(fixture->store, &before));
    check_status(store_account(before, 1, &account), STATUS_NOT_FOUND);
    check_ok(store_account(write, 1, &account));
    check_ok(store_write_commit(fixture->store, &position));
    check_status(store_account(before, 1, &account), STATUS_NOT_FOUND);
    check_ok(store_read_begin(fixture->store, &after));
    check_ok(store_account(after, 1, &account));
    store_read_end(before);
    store_read_end(after);
}

static void the_view_finds_what_it_was_given(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *txn;
    struct store_view store_view;
    struct view *view = &store_view.view;
    check_ok(store_write_begin(fixture->store, &txn));
    store_view_init(&store_view, txn, &(struct position){0}, NULL);
    const struct view_functions *functions = view->functions;
    uint64_t number = 0;
    uint32_t currency_number = 0;
    struct account account;
    struct currency currency;
    assert_false(functions->account_find(view, TEXT("alice"), &number));
    assert_false(functions->account_get(view, 1, &account));
    assert_false(functions->currency_find(view, TEXT("EUR"), &currency_number));
    assert_false(functions->currency_get(view, 1, &currency));
    assert_false(functions->reference_find(view, TEXT("r 1"), &number));

    const struct currency wanted_currency = euro();
    functions->currency_put(view, &wanted_currency);
    struct account alice = account_named(1, "alice");
    const struct account bob = account_named(2, "bob");
    functions->account_put(view, &alice);
    functions->account_put(view, &bob);
    alice.credits_posted = 77;
    alice.entries_count++;
    functions->account_put(view, &alice);
    functions->reference_put(view, TEXT("r 1"), 42);
    assert_int_equal(view->accounts_count, 2);
    assert_int_equal(view->currencies_count, 1);
    assert_true(functions->account_find(view, TEXT("bob"), &number));
    assert_int_equal(number, 2);
    assert_true(functions->account_get(view, 1, &account));
    check_account(&account, &alice);
    assert_true(functions->account_get(view, 2, &account));
    check_account(&account, &bob);
    assert_true(functions->currency_find(view, TEXT("EUR"), &currency_number));
    assert_int_equal(currency_number, 1);
    assert_true(functions->currency_get(view, 1, &currency));
    check_currency(&currency, &wanted_currency);
    assert_true(functions->reference_find(view, TEXT("r 1"), &number));
    assert_int_equal(number, 42);
    check_ok(view->error);
    store_view_deinit(&store_view);
}

/* Records a refused payment without legs of note under seq and an id made from it. */
static void record_payment(struct store_view *view, uint64_t seq, struct uuid *id)
{
    struct entry_command command = {.kind = COMMAND_PAYMENT};
    struct buffer form;
    buffer_init(&form, 1024);
    memcpy(id->bytes, &seq, sizeof(seq));
    id->bytes[15] = 1;
    command.payment.id = *id;
    command.payment.legs_count = 1;
    command.payment.legs[0] = (struct entry_leg){
        .debit = {.text = TEXT("alice")}, .credit = {.text = TEXT("bob")}, .amount = seq};
    entry_command_write(&form, &command);
    const struct decision decision = {.code = CODE_ACCOUNT_NOT_FOUND,
                                      .seq = seq,
                                      .term = 2,
                                      .time_ns = 3,
                                      .kind = COMMAND_PAYMENT,
                                      .field = FIELD_DEBIT};
    const struct text text = {.data = (const char *)form.data, .size = form.size};
    view->view.functions->record_put(&view->view, id, text, &decision);
    buffer_deinit(&form);
}

static void payments_are_found_by_id_and_seq(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *txn;
    struct store_view view;
    struct buffer records;
    struct uuid ids[3];
    buffer_init(&records, 4096);
    check_ok(store_write_begin(fixture->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, &records);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        record_payment(&view, seq, &ids[seq - 1]);
    }
    check_ok(view.view.error);
    struct payment_seen seen;
    assert_true(view.view.functions->payment_find(&view.view, &ids[1], &seen));
    assert_int_equal(seen.seq, 2);
    assert_int_equal(seen.code, CODE_ACCOUNT_NOT_FOUND);
    struct record record;
    uint64_t seq;
    check_ok(store_record(txn, 2, &record));
    assert_true(text_equal(record.form, seen.command));
    assert_true(uuid_equal(&record.id, &ids[1]));
    assert_int_equal(record.decision.field, FIELD_DEBIT);
    check_ok(store_payment_seq(txn, &ids[2], &seq));
    assert_int_equal(seq, 3);
    check_status(store_record(txn, 4, &record), STATUS_NOT_FOUND);
    check_status(store_payment_seq(txn, &(struct uuid){.bytes = {7}}, &seq), STATUS_NOT_FOUND);

    /* What the digest covers is what is stored, one record behind the other. */
    size_t at = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        struct text bytes;
        check_ok(store_record_bytes(txn, i, &bytes));
        assert_true(at + bytes.size <= records.size);
        assert_memory_equal(records.data + at, bytes.data, bytes.size);
        at += bytes.size;
    }
    assert_int_equal(at, records.size);
    store_view_deinit(&view);
    buffer_deinit(&records);
}

static void a_second_record_under_a_seq_or_id_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *txn;
    struct store_view view;
    struct uuid id;
    struct account account;
    check_ok(store_write_begin(fixture->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    const struct account alice = account_named(1, "alice");
    view.view.functions->account_put(&view.view, &alice);
    record_payment(&view, 5, &id);
    check_ok(view.view.error);
    record_payment(&view, 4, &id);
    check_status(view.view.error, STATUS_EXISTS);
    /* From then on the view knows nothing and changes nothing. */
    assert_false(view.view.functions->account_get(&view.view, 1, &account));
    const struct account bob = account_named(2, "bob");
    view.view.functions->account_put(&view.view, &bob);
    assert_int_equal(view.view.accounts_count, 1);
    check_status(store_account(txn, 2, &account), STATUS_NOT_FOUND);
    store_view_deinit(&view);
}

static void the_newest_digests_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct store_txn *txn;
    struct digest digest = {.bytes = {0}};
    const uint64_t count = DIGESTS_KEPT + 10;
    check_ok(store_write_begin(fixture->store, &txn));
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(digest.bytes, &i, sizeof(i));
        check_ok(store_digest_put(txn, 3 * i, &digest));
    }
    check_status(store_digest(txn, 3 * 10, &digest), STATUS_NOT_FOUND);
    check_ok(store_digest(txn, 3 * 11, &digest));
    check_ok(store_digest(txn, 3 * count, &digest));
    uint64_t found;
    memcpy(&found, digest.bytes, sizeof(found));
    assert_int_equal(found, count);
    check_status(store_digest(txn, 3 * count - 1, &digest), STATUS_NOT_FOUND);
    check_status(store_digest_put(txn, 3 * count, &digest), STATUS_EXISTS);
}

static void a_full_map_is_reported_and_undone(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    fixture->store = open_at(fixture->dir, 256 * 1024, false);
    struct store_txn *txn;
    struct store_view view;
    struct uuid id;
    check_ok(store_write_begin(fixture->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    uint64_t seq = 0;
    while (view.view.error == STATUS_OK && seq < 100000) {
        record_payment(&view, ++seq, &id);
    }
    check_status(view.view.error, STATUS_FULL);
    store_view_deinit(&view);
    store_write_abort(fixture->store);
    struct position position;
    check_ok(store_write_begin(fixture->store, &txn));
    check_ok(store_position(txn, &position));
    assert_true(position.seq == 0);
    check_ok(store_write_commit(fixture->store, &(struct position){.seq = 1}));
}

static void damaged_files_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[4096];
    char error[256] = "";
    struct store *store = NULL;
    const struct store_options options = {.path = fixture->dir, .map_bytes = MAP_BYTES};
    assert_true(snprintf(path, sizeof(path), "%s/data.mdb", fixture->dir) > 0);
    store_close(fixture->store);
    fixture->store = NULL;
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (int i = 0; i < 8192; i++) {
        assert_true(fputc('x', file) == 'x');
    }
    assert_int_equal(fclose(file), 0);
    check_status(store_open(&store, &options, error, sizeof(error)), STATUS_CORRUPT);
    assert_null(store);
    assert_non_null(strstr(error, fixture->dir));
}

/* Raises the version that is stored behind the key "format". */
static void version_raise(const char *path)
{
    static uint8_t bytes[256 * 1024];
    static const uint8_t wanted[] = {'f', 'o', 'r', 'm', 'a', 't', 1, 0, 0, 0};
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof(bytes), file);
    int found = 0;
    for (size_t i = 0; i + sizeof(wanted) <= size; i++) {
        if (memcmp(bytes + i, wanted, sizeof(wanted)) == 0) {
            bytes[i + 6]++;
            found++;
        }
    }
    assert_true(found > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void another_format_version_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[4096];
    char error[256] = "";
    struct store *store = NULL;
    const struct store_options options = {.path = fixture->dir, .map_bytes = MAP_BYTES};
    assert_true(snprintf(path, sizeof(path), "%s/data.mdb", fixture->dir) > 0);
    store_close(fixture->store);
    fixture->store = NULL;
    version_raise(path);
    check_status(store_open(&store, &options, error, sizeof(error)), STATUS_CORRUPT);
    assert_non_null(strstr(error, "version"));
}

static void a_read_only_store_is_not_created(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char error[256] = "";
    struct store *store = NULL;
    const struct store_options options = {.path = dir, .map_bytes = MAP_BYTES, .read_only = true};
    assert_int_not_equal(store_open(&store, &options, error, sizeof(error)), STATUS_OK);
    assert_null(store);
    test_dir_remove(dir);
}

static void a_missing_directory_is_an_error(void **state)
{
    (void)state;
    struct store *store = NULL;
    char error[64] = "";
    const struct store_options options = {.path = "/nonexistent/ledger", .map_bytes = MAP_BYTES};
    check_status(store_open(&store, &options, error, sizeof(error)), STATUS_IO);
    assert_true(error[0] != '\0');
}

static void fill(struct store *store, struct position *position)
{
    struct store_txn *txn;
    struct store_view view;
    struct uuid id;
    const struct currency currency = euro();
    check_ok(store_write_begin(store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    view.view.functions->currency_put(&view.view, &currency);
    for (uint64_t number = 1; number <= 300; number++) {
        char name[16];
        assert_true(snprintf(name, sizeof(name), "a%d", (int)number) > 0);
        struct account account = account_named(number, name);
        account.debits_posted = number;
        account.credits_posted = 2 * number;
        view.view.functions->account_put(&view.view, &account);
    }
    for (uint64_t seq = 1; seq <= 500; seq++) {
        record_payment(&view, seq, &id);
    }
    view.view.functions->reference_put(&view.view, TEXT("only one"), 5);
    check_ok(view.view.error);
    *position = (struct position){.index = 9,
                                  .seq = 500,
                                  .accounts_count = view.view.accounts_count,
                                  .currencies_count = view.view.currencies_count,
                                  .payments_count = 500};
    store_view_deinit(&view);
    check_ok(store_write_commit(store, position));
    check_ok(store_sync(store));
}

static void check_summary(struct store *store)
{
    struct store_summary summary;
    check_ok(store_summarize(store, &summary));
    assert_true(summary.position.index == 9 && summary.position.seq == 500);
    assert_true(summary.accounts == 300 && summary.account_ids == 300);
    assert_true(summary.currencies == 1 && summary.references == 1);
    assert_true(summary.payments == 500 && summary.payment_ids == 500);
    assert_true(summary.debits_posted == 300 * 301 / 2);
    assert_true(summary.credits_posted == 300 * 301);
    assert_true(summary.debits_held == 300 * 12 && summary.credits_held == 300 * 13);
}

static void a_copy_has_the_same_summary(void **state)
{
    struct fixture *fixture = *state;
    struct position position;
    struct store_txn *txn;
    fill(fixture->store, &position);
    check_summary(fixture->store);

    /* What is not committed is not copied. */
    struct store_view view;
    struct uuid id;
    check_ok(store_write_begin(fixture->store, &txn));
    store_view_init(&view, txn, &position, NULL);
    record_payment(&view, 501, &id);
    store_view_deinit(&view);

    char *dir = test_dir_make();
    char path[4096];
    assert_true(snprintf(path, sizeof(path), "%s/data.mdb", dir) > 0);
    const int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_true(fd >= 0);
    check_ok(store_copy(fixture->store, fd));
    assert_int_equal(close(fd), 0);
    struct store *copy = open_at(dir, MAP_BYTES, true);
    check_summary(copy);
    struct record record;
    check_ok(store_read_begin(copy, &txn));
    check_ok(store_record(txn, 500, &record));
    check_status(store_record(txn, 501, &record), STATUS_NOT_FOUND);
    store_read_end(txn);
    store_close(copy);
    copy = open_at(dir, MAP_BYTES, false);
    check_summary(copy);
    store_close(copy);
    test_dir_remove(dir);
}

static void a_copy_that_cannot_be_written_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct position position;
    fill(fixture->store, &position);
    const int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    check_status(store_copy(fixture->store, fd), STATUS_FULL);
    assert_int_equal(close(fd), 0);
}

enum { READER_THREADS = 4, READER_ROUNDS = 200 };

/* Position and counts must always belong together, however commits and reads interleave. */
static void *read_many(void *data)
{
    struct store *store = data;
    for (int i = 0; i < READER_ROUNDS; i++) {
        struct store_txn *txn;
        struct position position;
        struct record record;
        if (store_read_begin(store, &txn) != STATUS_OK ||
            store_position(txn, &position) != STATUS_OK ||
            (position.seq > 0 && store_record(txn, position.seq, &record) != STATUS_OK) ||
            store_record(txn, position.seq + 1, &record) != STATUS_NOT_FOUND) {
            return data;
        }
        store_read_end(txn);
    }
    return NULL;
}

static void threads_read_while_one_writes(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[READER_THREADS];
    for (size_t i = 0; i < READER_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, fixture->store), 0);
    }
    struct position position = {0};
    for (uint64_t seq = 1; seq <= 100; seq++) {
        struct store_txn *txn;
        struct store_view view;
        struct uuid id;
        check_ok(store_write_begin(fixture->store, &txn));
        store_view_init(&view, txn, &position, NULL);
        record_payment(&view, seq, &id);
        check_ok(view.view.error);
        store_view_deinit(&view);
        position.seq = seq;
        check_ok(store_write_commit(fixture->store, &position));
    }
    for (size_t i = 0; i < READER_THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

int main(void)
{
#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_new_store_stands_at_zero),
        STORE_TEST(a_commit_keeps_position_and_effects_together),
        STORE_TEST(an_abort_leaves_nothing),
        STORE_TEST(readers_see_commits_only),
        STORE_TEST(the_view_finds_what_it_was_given),
        STORE_TEST(payments_are_found_by_id_and_seq),
        STORE_TEST(a_second_record_under_a_seq_or_id_is_an_error),
        STORE_TEST(the_newest_digests_are_kept),
        STORE_TEST(a_full_map_is_reported_and_undone),
        STORE_TEST(damaged_files_are_refused),
        STORE_TEST(another_format_version_is_refused),
        cmocka_unit_test(a_read_only_store_is_not_created),
        cmocka_unit_test(a_missing_directory_is_an_error),
        STORE_TEST(a_copy_has_the_same_summary),
        STORE_TEST(a_copy_that_cannot_be_written_is_an_error),
        STORE_TEST(threads_read_while_one_writes),
    };
#undef STORE_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
