/*
 * A ledger that is damaged: with peers the node notes that it needs the state and starts anew,
 * alone it stops.
 */
#include "node/fault.h"
#include "tests/support/check.h"
#include "tests/support/child.h"
#include "tests/support/node_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RESTARTED = 7, FILE_BYTES = 1024 };

static char program[] = "test";
static char restarted[] = "restarted";
static char *restart_arguments[] = {program, restarted, NULL};

static void give_up(void *data)
{
    struct node_rig *rig = data;
    rig->node.argv = restart_arguments;
    node_damaged(&rig->node, "table=payments key=4: it is odd");
}

static void with_peers_the_state_is_fetched(void **state)
{
    struct node_rig *rig = *state;
    char output[1024];
    rig->node.opened_index = 12;
    check_ok(datadir_copy_index_write(rig->node.dir, 11));
    assert_int_equal(child_run(give_up, rig, output, sizeof(output)), RESTARTED);
    assert_non_null(strstr(output, "table=payments key=4: it is odd"));
    struct consensus_manifest manifest = {.index = 99};
    check_ok(datadir_needs_state_read(rig->node.dir, &manifest));
    assert_true(manifest.index == 0); /* any state */
    uint64_t log_index = 0;
    check_ok(datadir_log_index_read(rig->node.dir, &log_index));
    assert_int_equal(log_index, 12);
}

static void what_was_copied_need_not_be_in_the_log(void **state)
{
    struct node_rig *rig = *state;
    char output[1024];
    rig->node.opened_index = 12;
    check_ok(datadir_copy_index_write(rig->node.dir, 12));
    assert_int_equal(child_run(give_up, rig, output, sizeof(output)), RESTARTED);
    uint64_t log_index = 99;
    check_ok(datadir_log_index_read(rig->node.dir, &log_index));
    assert_int_equal(log_index, 0);
}

static void make_currency_durable(struct node_rig *rig)
{
    node_rig_lead(rig);
    struct call *call = node_rig_execute(rig, "XTS");
    check_ok(node_submit(&rig->node, call));
    node_rig_step(rig);
    node_rig_apply(rig, 4);
    assert_true(node_rig_answered(rig, call) && call->code == CODE_OK);
    node_rig_call_free(call);
    check_ok(ledger_commit(rig->node.ledger));
}

/* A log that is shorter at the next start lost what this node has acknowledged. */
static void what_came_from_the_log_since_the_start_must_be_there(void **state)
{
    struct node_rig *rig = *state;
    char output[1024];
    make_currency_durable(rig); /* applied, and on raft's disk, at 4 */
    rig->node.opened_index = 1;
    ledger_thread_stored(rig->node.ledger_thread, 3);
    assert_int_equal(child_run(give_up, rig, output, sizeof(output)), RESTARTED);
    uint64_t log_index = 0;
    check_ok(datadir_log_index_read(rig->node.dir, &log_index));
    assert_int_equal(log_index, 3);
    ledger_thread_stored(rig->node.ledger_thread, 5);
    assert_int_equal(child_run(give_up, rig, output, sizeof(output)), RESTARTED);
    check_ok(datadir_log_index_read(rig->node.dir, &log_index));
    assert_int_equal(log_index, 4);
    ledger_thread_stored(rig->node.ledger_thread, 2); /* the note never goes back */
    assert_int_equal(child_run(give_up, rig, output, sizeof(output)), RESTARTED);
    check_ok(datadir_log_index_read(rig->node.dir, &log_index));
    assert_int_equal(log_index, 4);
}

static void alone_it_stops(void **state)
{
    struct node_rig *rig = *state;
    char output[1024];
    const uint32_t peers_count = rig->node.peers_count;
    rig->node.peers_count = 0;
    const int end = child_run(give_up, rig, output, sizeof(output));
    rig->node.peers_count = peers_count;
    assert_int_equal(end, EXIT_DATA);
    assert_non_null(strstr(output, "no peer"));
    struct consensus_manifest manifest;
    check_status(datadir_needs_state_read(rig->node.dir, &manifest), STATUS_NOT_FOUND);
}

/* Flips a bit in each place of the file where a text stands. */
static void flip(const struct node_rig *rig, const char *wanted)
{
    static char bytes[1 << 20];
    char path[FILE_BYTES];
    (void)snprintf(path, sizeof(path), "%s/data.mdb", datadir_ledger_path(rig->node.dir));
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    const ssize_t size = pread(fd, bytes, sizeof(bytes), 0);
    int found = 0;
    for (ssize_t i = 0; i + (ssize_t)strlen(wanted) < size; i++) {
        if (memcmp(bytes + i, wanted, strlen(wanted)) == 0) {
            bytes[i] ^= 1;
            assert_int_equal(pwrite(fd, bytes + i, 1, i), 1);
            found++;
        }
    }
    assert_true(found > 0);
    assert_int_equal(close(fd), 0);
}

static void check(void *data)
{
    struct node_rig *rig = data;
    rig->node.argv = restart_arguments;
    damage_check(&rig->node);
}

static void the_check_at_a_start_finds_damage(void **state)
{
    struct node_rig *rig = *state;
    char output[1024];
    make_currency_durable(rig);
    assert_int_equal(child_run(check, rig, output, sizeof(output)), CHILD_RETURNED);
    assert_non_null(strstr(output, "the ledger is whole"));
    flip(rig, "XTS");
    assert_int_equal(child_run(check, rig, output, sizeof(output)), RESTARTED);
    assert_non_null(strstr(output, "checksum is wrong"));
}

static void ask(void *data)
{
    struct node_rig *rig = data;
    rig->node.argv = restart_arguments;
    struct ledger_thread_options options = {.ledger = rig->node.ledger,
                                            .metrics = &rig->node.metrics,
                                            .clock = &rig->clock,
                                            .events = &rig->node.events,
                                            .entries_window = 1,
                                            .manual = true,
                                            .damaged = node_damaged,
                                            .data = &rig->node};
    struct ledger_thread *thread = NULL;
    check_ok(ledger_thread_open(&thread, &options));
    const struct digest none = {{0}};
    ledger_thread_ask_digest(thread, 1, 1, &none);
    (void)ledger_thread_step(thread);
}

static void the_ledger_thread_gives_up_at_damage(void **state)
{
    struct node_rig *rig = *state;
    char output[1024];
    make_currency_durable(rig);
    const struct position position = ledger_position(rig->node.ledger);
    char digest[DIGEST_BYTES + 1] = {0};
    memcpy(digest, position.digest.bytes, DIGEST_BYTES);
    flip(rig, digest); /* up to its first zero byte: in the position too */
    assert_int_equal(child_run(ask, rig, output, sizeof(output)), RESTARTED);
    assert_non_null(strstr(output, "table=digests key=1: "));
}

static void a_mark_of_a_crash_becomes_a_note(void **state)
{
    struct node_rig *rig = *state;
    struct node *node = &rig->node;
    assert_int_equal(damage_look(node), EXIT_DONE);
    struct consensus_manifest manifest;
    check_status(datadir_needs_state_read(node->dir, &manifest), STATUS_NOT_FOUND);
    char path[FILE_BYTES];
    (void)snprintf(path, sizeof(path), "%s/%s", datadir_path(node->dir), DATADIR_DAMAGED);
    const int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    const uint32_t peers_count = node->peers_count;
    node->peers_count = 0;
    assert_int_equal(damage_look(node), EXIT_DATA);
    assert_true(datadir_is_marked(node->dir));
    node->peers_count = peers_count;
    assert_int_equal(damage_look(node), EXIT_DONE);
    assert_false(datadir_is_marked(node->dir));
    check_ok(datadir_needs_state_read(node->dir, &manifest));
}

static void crash(void *data)
{
    struct node_rig *rig = data;
    fault_watch();
    fault_mark_in(datadir_fd(rig->node.dir));
    fault_log_index(33);
    fault_log_index(32);
    fault_suspect(true);
    (void)raise(SIGSEGV);
}

static void a_mark_says_what_the_log_must_have(void **state)
{
    struct node_rig *rig = *state;
    char output[1024];
    uint64_t log_index = 0;
    assert_int_equal(child_run(crash, rig, output, sizeof(output)), EXIT_DISK);
    assert_int_equal(damage_look(&rig->node), EXIT_DONE);
    check_ok(datadir_log_index_read(rig->node.dir, &log_index));
    assert_int_equal(log_index, 33);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_rig_set_up, node_rig_tear_down)

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], restarted) == 0) {
        return RESTARTED;
    }
    const struct CMUnitTest tests[] = {
        TEST(with_peers_the_state_is_fetched),
        TEST(what_was_copied_need_not_be_in_the_log),
        TEST(what_came_from_the_log_since_the_start_must_be_there),
        TEST(alone_it_stops),
        TEST(the_check_at_a_start_finds_damage),
        TEST(the_ledger_thread_gives_up_at_damage),
        TEST(a_mark_of_a_crash_becomes_a_note),
        TEST(a_mark_says_what_the_log_must_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
