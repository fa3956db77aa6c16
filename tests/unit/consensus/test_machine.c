#include "base/log.h"
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/child.h"
#include "tests/support/trio.h"

#include <string.h>

static struct trio *leader_alone(void)
{
    struct trio *trio = trio_open(1);
    trio_start(trio, 1);
    trio_elect(trio);
    return trio;
}

static void entries_come_one_by_one_with_their_index(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    struct trio_node *node = trio_node(trio, 1);
    trio_pay(trio, 1, 10, 64);
    assert_int_equal(node->applied_count, 10);
    assert_int_equal(node->applied_last_index - node->applied_first_index, 9);
    assert_int_equal(node->applied_last_index, raft_last_applied(node->consensus->raft));
    trio_close(trio);
}

/*
 * A follower's commit index may fall below what it has applied: a snapshot taken then would file
 * our state under an index at which it was another.
 */
static void no_snapshot_is_taken_below_what_was_applied(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    struct trio_node *node = trio_node(trio, 1);
    node->snapshots_late = true;
    trio_pay(trio, 1, 10, 64);
    struct raft_fsm *machine = &node->consensus->machine;
    struct raft *raft = node->consensus->raft;
    struct raft_buffer *buffers = NULL;
    unsigned count = 0;
    raft->commit_index--;
    assert_int_equal(machine->snapshot(machine, &buffers, &count), RAFT_BUSY);
    assert_int_equal(node->snapshots_asked, 0);
    assert_null(buffers);
    raft->commit_index++;
    assert_int_equal(machine->snapshot(machine, &buffers, &count), 0);
    assert_int_equal(node->snapshots_asked, 1);
    assert_int_equal(node->snapshot_index, raft_last_applied(raft));
    assert_int_equal(count, 1);
    assert_int_equal(machine->snapshot_finalize(machine, &buffers, &count), 0);
    assert_null(buffers);
    trio_close(trio);
}

static struct raft_buffer snapshot_of(const void *bytes, size_t size)
{
    struct raft_buffer buffer = {.base = raft_malloc(size), .len = size};
    assert_non_null(buffer.base);
    memcpy(buffer.base, bytes, size);
    return buffer;
}

static void a_restored_manifest_reaches_the_owner(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    struct trio_node *node = trio_node(trio, 1);
    const struct consensus_manifest manifest = {.index = 77, .seq = 4711};
    uint8_t bytes[MANIFEST_BYTES];
    manifest_encode(&manifest, bytes);
    struct raft_buffer buffer = snapshot_of(bytes, sizeof bytes);
    struct raft_fsm *machine = &node->consensus->machine;
    assert_int_equal(machine->restore(machine, &buffer), 0); /* frees the bytes */
    assert_int_equal(node->restores, 1);
    assert_int_equal(node->restored.index, 77);
    assert_int_equal(node->restored.seq, 4711);
    trio_close(trio);
}

static void foreign_snapshot_body(void *data)
{
    (void)data;
    struct trio *trio = leader_alone();
    struct raft_fsm *machine = &trio_node(trio, 1)->consensus->machine;
    struct raft_buffer buffer = snapshot_of("not ours", 8);
    (void)machine->restore(machine, &buffer);
}

static void a_snapshot_that_is_no_manifest_stops_the_node(void **state)
{
    (void)state;
    char output[4096];
    assert_int_equal(child_run(foreign_snapshot_body, NULL, output, sizeof output), EXIT_DATA);
    assert_non_null(strstr(output, "not a manifest"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_one_by_one_with_their_index),
        cmocka_unit_test(no_snapshot_is_taken_below_what_was_applied),
        cmocka_unit_test(a_restored_manifest_reaches_the_owner),
        cmocka_unit_test(a_snapshot_that_is_no_manifest_stops_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
