/* A fetched copy: what is accepted, and how it takes the ledger's place. */
#include "ledger/store.h"
#include "tests/support/check.h"
#include "tests/support/node_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 1024 };

static char copy[FILE_BYTES]; /* beside the ledger */
static struct position copied;

static void path_of(const char *dir, const char *name, char path[FILE_BYTES])
{
    assert_true(snprintf(path, FILE_BYTES, "%s/%s", dir, name) < FILE_BYTES);
}

static void create(struct node_rig *rig, const char *code, uint64_t index)
{
    struct call *call = node_rig_execute(rig, code);
    check_ok(node_submit(&rig->node, call));
    node_rig_step(rig);
    node_rig_apply(rig, index);
    assert_true(node_rig_answered(rig, call) && call->code == CODE_OK);
    node_rig_call_free(call);
}

/* The copy was made at raft index 4; the ledger has gone on since. */
static int set_up(void **state)
{
    assert_int_equal(node_rig_set_up(state), 0);
    struct node_rig *rig = *state;
    path_of(datadir_path(rig->node.dir), "copy", copy);
    assert_int_equal(mkdir(copy, 0700), 0);
    node_rig_lead(rig);
    create(rig, "EUR", 4);
    check_ok(ledger_commit(rig->node.ledger));
    copied = ledger_position(rig->node.ledger);
    char path[FILE_BYTES];
    path_of(copy, "data.mdb", path);
    const int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_true(fd >= 0);
    check_ok(ledger_copy(rig->node.ledger, fd));
    assert_int_equal(close(fd), 0);
    create(rig, "USD", 5);
    return 0;
}

static void a_whole_copy_tells_its_index(void **state)
{
    struct node_rig *rig = *state;
    uint64_t index = 0;
    assert_true(copy_check(&rig->node, copy, 4, &index));
    assert_true(index == 4);
}

static void a_copy_from_before_is_refused(void **state)
{
    struct node_rig *rig = *state;
    uint64_t index = 99;
    assert_false(copy_check(&rig->node, copy, 5, &index));
    assert_int_equal(index, 99);
}

static void a_file_that_is_no_ledger_is_refused(void **state)
{
    struct node_rig *rig = *state;
    char path[FILE_BYTES];
    path_of(copy, "data.mdb", path);
    assert_int_equal(truncate(path, 100), 0);
    uint64_t index = 99;
    assert_false(copy_check(&rig->node, copy, 1, &index));
    assert_int_equal(index, 99);
}

static void a_copy_without_its_records_is_refused(void **state)
{
    struct node_rig *rig = *state;
    /* A store whose position says more than its tables hold. */
    char path[FILE_BYTES];
    path_of(copy, "data.mdb", path);
    assert_int_equal(unlink(path), 0);
    const struct store_options options = {.path = copy, .map_bytes = rig->config.map_bytes};
    struct store *store = NULL;
    struct store_txn *txn = NULL;
    char error[256] = "";
    check_ok(store_open(&store, &options, error, sizeof(error)));
    check_ok(store_write_begin(store, &txn));
    const struct position position = {.index = 50, .seq = 3, .payments_count = 3};
    check_ok(store_write_commit(store, &position));
    store_close(store);
    uint64_t index = 99;
    assert_false(copy_check(&rig->node, copy, 1, &index));
    assert_int_equal(index, 99);
}

static void the_copy_takes_the_ledgers_place_and_the_note_goes(void **state)
{
    struct node_rig *rig = *state;
    struct node *node = &rig->node;
    const struct consensus_manifest manifest = {.index = 1, .seq = 1};
    uint64_t index = 0;
    check_ok(datadir_needs_state_write(node->dir, &manifest));
    assert_true(copy_check(node, copy, 1, &index));
    ledger_thread_close(node->ledger_thread);
    node->ledger_thread = NULL;
    ledger_close(node->ledger);
    copy_exchange(node, copy, index);
    assert_int_equal(access(copy, F_OK), -1);
    struct consensus_manifest none;
    check_status(datadir_needs_state_read(node->dir, &none), STATUS_NOT_FOUND);
    uint64_t noted = 0;
    check_ok(datadir_copy_index_read(node->dir, &noted));
    assert_true(noted == index);
    assert_true(metric_get(&node->metrics, METRIC_SNAPSHOTS_INSTALLED) == 1);

    const struct ledger_options options = {.path = datadir_ledger_path(node->dir),
                                           .map_bytes = rig->config.map_bytes,
                                           .metrics = &node->metrics};
    char error[256] = "";
    check_ok(ledger_open(&node->ledger, &options, error, sizeof(error)));
    const struct position ours = ledger_position(node->ledger);
    assert_true(ours.seq == 1 && ours.index == 4);
    assert_true(digest_equal(&ours.digest, &copied.digest));
}

/* The process ended between the exchange and the removal. */
static void an_old_ledger_that_was_left_goes_at_the_next_start(void **state)
{
    struct node_rig *rig = *state;
    char left[FILE_BYTES];
    path_of(datadir_path(rig->node.dir), COPY_DIR, left);
    copy_left_remove(&rig->node); /* nothing is there */
    assert_int_equal(rename(copy, left), 0);
    copy_left_remove(&rig->node);
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(access(datadir_ledger_path(rig->node.dir), F_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, node_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_copy_tells_its_index),
        TEST(a_copy_from_before_is_refused),
        TEST(a_file_that_is_no_ledger_is_refused),
        TEST(a_copy_without_its_records_is_refused),
        TEST(an_old_ledger_that_was_left_goes_at_the_next_start),
        TEST(the_copy_takes_the_ledgers_place_and_the_note_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
