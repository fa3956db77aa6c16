/* The store: transactions, what survives a close, and files that are refused. */
#include "base/crc32c.h"
#include "tests/support/store_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void store_rig_reopen(struct store_rig *rig)
{
    store_close(rig->store);
    rig->store = store_rig_open(rig->dir, STORE_RIG_MAP_BYTES, false);
}

static void a_new_store_stands_at_zero(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct position position = {.seq = 5};
    check_ok(store_read_begin(rig->store, &txn));
    check_ok(store_position(txn, &position));
    assert_true(position.index == 0 && position.seq == 0 && position.time_ns == 0);
    store_read_end(txn);
}

/* The node refuses payments in time: what is in the log already must still find room. */
static void the_room_left_is_known_before_the_map_is_full(void **state)
{
    struct store_rig *rig = *state;
    const uint64_t before = store_room(rig->store);
    assert_true(before > STORE_RIG_MAP_BYTES - 1024 * 1024 && before < STORE_RIG_MAP_BYTES);
    struct store_txn *txn;
    struct store_view view;
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    enum { RECORDS = 20000 };
    for (uint64_t seq = 1; seq <= RECORDS; seq++) {
        struct uuid id;
        store_rig_record(&view, seq, &id);
    }
    check_ok(view.view.error);
    store_view_deinit(&view);
    check_ok(store_write_commit(rig->store, &(struct position){.index = 1, .seq = RECORDS}));
    assert_true(store_room(rig->store) < before - (uint64_t)RECORDS * 64);
    assert_true(store_room(rig->store) > before / 2);
}

static void a_commit_keeps_position_and_effects_together(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_view view;
    struct position position = {.index = 11,
                                .seq = 12,
                                .term = 13,
                                .time_ns = 14,
                                .digest = {.bytes = {15}},
                                .payments_count = 16};
    const struct account alice = store_rig_account(1, "alice");
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    view.view.functions->currency_put(&view.view, &(struct currency){.number = 1, .code = "EUR"});
    view.view.functions->account_put(&view.view, &alice);
    check_ok(view.view.error);
    position.accounts_count = view.view.accounts_count;
    position.currencies_count = view.view.currencies_count;
    store_view_deinit(&view);
    check_ok(store_write_commit(rig->store, &position));
    store_rig_reopen(rig);

    struct position found;
    struct account account;
    check_ok(store_read_begin(rig->store, &txn));
    check_ok(store_position(txn, &found));
    assert_true(found.index == 11 && found.seq == 12 && found.term == 13);
    assert_true(found.time_ns == 14 && found.payments_count == 16);
    assert_true(found.accounts_count == 1 && found.currencies_count == 1);
    assert_true(digest_equal(&found.digest, &position.digest));
    check_ok(store_account(txn, 1, &account));
    store_rig_check_account(&account, &alice);
    store_read_end(txn);
}

static void an_abort_leaves_nothing(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct store_view view;
    struct account account;
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    const struct account alice = store_rig_account(1, "alice");
    view.view.functions->account_put(&view.view, &alice);
    assert_true(view.view.functions->account_get(&view.view, 1, &account));
    store_view_deinit(&view);
    store_write_abort(rig->store);
    store_write_abort(rig->store);
    check_ok(store_write_begin(rig->store, &txn));
    check_status(store_account(txn, 1, &account), STATUS_NOT_FOUND);
}

static void readers_see_commits_only(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *write;
    struct store_txn *before;
    struct store_txn *after;
    struct store_view view;
    struct account account;
    const struct position position = {.seq = 3, .accounts_count = 1};
    const struct account alice = store_rig_account(1, "alice");
    check_ok(store_write_begin(rig->store, &write));
    store_view_init(&view, write, &(struct position){0}, NULL);
    view.view.functions->account_put(&view.view, &alice);
    store_view_deinit(&view);
    check_ok(store_read_begin(rig->store, &before));
    check_status(store_account(before, 1, &account), STATUS_NOT_FOUND);
    check_ok(store_account(write, 1, &account));
    check_ok(store_write_commit(rig->store, &position));
    check_status(store_account(before, 1, &account), STATUS_NOT_FOUND);
    check_ok(store_read_begin(rig->store, &after));
    check_ok(store_account(after, 1, &account));
    store_read_end(before);
    store_read_end(after);
}

static void the_newest_digests_are_kept(void **state)
{
    struct store_rig *rig = *state;
    struct store_txn *txn;
    struct digest digest = {.bytes = {0}};
    const uint64_t count = DIGESTS_KEPT + 10;
    check_ok(store_write_begin(rig->store, &txn));
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
    check_status(store_digest_put(txn, 3 * count, &digest), STATUS_CORRUPT);
}

static void a_full_map_is_reported_and_undone(void **state)
{
    struct store_rig *rig = *state;
    store_close(rig->store);
    rig->store = store_rig_open(rig->dir, 256 * 1024, false);
    struct store_txn *txn;
    struct store_view view;
    struct uuid id;
    check_ok(store_write_begin(rig->store, &txn));
    store_view_init(&view, txn, &(struct position){0}, NULL);
    uint64_t seq = 0;
    while (view.view.error == STATUS_OK && seq < 100000) {
        store_rig_record(&view, ++seq, &id);
    }
    check_status(view.view.error, STATUS_FULL);
    store_view_deinit(&view);
    store_write_abort(rig->store);
    struct position position;
    check_ok(store_write_begin(rig->store, &txn));
    check_ok(store_position(txn, &position));
    assert_true(position.seq == 0);
    check_ok(store_write_commit(rig->store, &(struct position){.seq = 1}));
}

static void damaged_files_are_refused(void **state)
{
    struct store_rig *rig = *state;
    char path[4096];
    char error[256] = "";
    struct store *store = NULL;
    const struct store_options options = {.path = rig->dir, .map_bytes = STORE_RIG_MAP_BYTES};
    assert_true(snprintf(path, sizeof(path), "%s/data.mdb", rig->dir) > 0);
    store_close(rig->store);
    rig->store = NULL;
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (int i = 0; i < 8192; i++) {
        assert_true(fputc('x', file) == 'x');
    }
    assert_int_equal(fclose(file), 0);
    check_status(store_open(&store, &options, error, sizeof(error)), STATUS_CORRUPT);
    assert_null(store);
    assert_non_null(strstr(error, rig->dir));
}

/* What is done to the row of the key "format": {node head}, "format", version, CRC. */
enum version_change { VERSION_RAISED, VERSION_LOWERED, VERSION_FLIPPED, VERSION_BARE };

static void version_change(const char *path, enum version_change change)
{
    static uint8_t bytes[256 * 1024];
    static const uint8_t wanted[] = {'f', 'o', 'r', 'm', 'a', 't', 3, 0, 0, 0};
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof(bytes), file);
    int found = 0;
    for (size_t i = 8; i + sizeof(wanted) + 4 <= size; i++) {
        if (memcmp(bytes + i, wanted, sizeof(wanted)) != 0) {
            continue;
        }
        found++;
        if (change == VERSION_BARE) {
            assert_int_equal(bytes[i - 8], 8);
            bytes[i - 8] = 4; /* the size of the value, as format 1 had it */
            continue;
        }
        bytes[i + 6] = change == VERSION_LOWERED ? 2 : bytes[i + 6] + 1;
        if (change != VERSION_FLIPPED) {
            static const uint8_t head[] = {TABLE_META, 6};
            put_u32(bytes + i + 10, crc32c(crc32c(0, head, 2), bytes + i, sizeof(wanted)));
        }
    }
    assert_true(found > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void check_version_change(struct store_rig *rig, enum version_change change,
                                 enum status wanted, const char *said)
{
    char path[4096];
    char error[256] = "";
    struct store *store = NULL;
    const struct store_options options = {.path = rig->dir, .map_bytes = STORE_RIG_MAP_BYTES};
    assert_true(snprintf(path, sizeof(path), "%s/data.mdb", rig->dir) > 0);
    store_close(rig->store);
    rig->store = NULL;
    version_change(path, change);
    check_status(store_open(&store, &options, error, sizeof(error)), wanted);
    assert_non_null(strstr(error, said));
}

static void another_format_version_is_refused(void **state)
{
    check_version_change(*state, VERSION_RAISED, STATUS_FOREIGN, "version");
}

static void the_format_of_long_accounts_is_refused(void **state)
{
    check_version_change(*state, VERSION_LOWERED, STATUS_FOREIGN, "version");
}

static void the_format_without_checksums_is_refused(void **state)
{
    check_version_change(*state, VERSION_BARE, STATUS_FOREIGN, "version");
}

static void a_damaged_version_is_not_another_one(void **state)
{
    check_version_change(*state, VERSION_FLIPPED, STATUS_CORRUPT, "table=meta key=format");
}

static void a_read_only_store_is_not_created(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char error[256] = "";
    struct store *store = NULL;
    const struct store_options options = {
        .path = dir, .map_bytes = STORE_RIG_MAP_BYTES, .read_only = true};
    assert_int_not_equal(store_open(&store, &options, error, sizeof(error)), STATUS_OK);
    assert_null(store);
    test_dir_remove(dir);
}

static void a_missing_directory_is_an_error(void **state)
{
    (void)state;
    struct store *store = NULL;
    char error[64] = "";
    const struct store_options options = {.path = "/nonexistent/ledger",
                                          .map_bytes = STORE_RIG_MAP_BYTES};
    check_status(store_open(&store, &options, error, sizeof(error)), STATUS_IO);
    assert_true(error[0] != '\0');
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
    struct store_rig *rig = *state;
    pthread_t threads[READER_THREADS];
    for (size_t i = 0; i < READER_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, rig->store), 0);
    }
    struct position position = {0};
    for (uint64_t seq = 1; seq <= 100; seq++) {
        struct store_txn *txn;
        struct store_view view;
        struct uuid id;
        check_ok(store_write_begin(rig->store, &txn));
        store_view_init(&view, txn, &position, NULL);
        store_rig_record(&view, seq, &id);
        check_ok(view.view.error);
        store_view_deinit(&view);
        position.seq = seq;
        check_ok(store_write_commit(rig->store, &position));
    }
    for (size_t i = 0; i < READER_THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

int main(void)
{
#define STORE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, store_rig_set_up, store_rig_tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_new_store_stands_at_zero),
        STORE_TEST(the_room_left_is_known_before_the_map_is_full),
        STORE_TEST(a_commit_keeps_position_and_effects_together),
        STORE_TEST(an_abort_leaves_nothing),
        STORE_TEST(readers_see_commits_only),
        STORE_TEST(the_newest_digests_are_kept),
        STORE_TEST(a_full_map_is_reported_and_undone),
        STORE_TEST(damaged_files_are_refused),
        STORE_TEST(another_format_version_is_refused),
        STORE_TEST(the_format_of_long_accounts_is_refused),
        STORE_TEST(the_format_without_checksums_is_refused),
        STORE_TEST(a_damaged_version_is_not_another_one),
        cmocka_unit_test(a_read_only_store_is_not_created),
        cmocka_unit_test(a_missing_directory_is_an_error),
        STORE_TEST(threads_read_while_one_writes),
    };
#undef STORE_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
