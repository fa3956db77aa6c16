#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/trio.h"

#include <string.h>

static bool snapshot_is_waiting(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->consensus->snapshots.state == SNAPSHOT_WAITING;
}

static bool snapshot_is_over(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->snapshots_asked > 0 && node->consensus->snapshots.state == SNAPSHOT_IDLE;
}

static bool node_was_restored(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->restores > 0;
}

static struct trio *open_small(uint32_t count)
{
    struct trio *trio = trio_open(count);
    trio->snapshot_bytes = 64 * 1024;
    trio->snapshot_trailing = 4;
    return trio;
}

static void manifest_survives_the_way(void **state)
{
    (void)state;
    struct consensus_manifest sent = {.index = 123456789012, .seq = 987654321};
    struct consensus_manifest got = {0};
    uint8_t bytes[MANIFEST_BYTES];
    memset(sent.digest.bytes, 0x5a, sizeof sent.digest.bytes);
    manifest_encode(&sent, bytes);
    check_ok(manifest_decode(bytes, sizeof bytes, &got));
    assert_int_equal(got.index, sent.index);
    assert_int_equal(got.seq, sent.seq);
    assert_true(digest_equal(&got.digest, &sent.digest));
}

static void damaged_manifest_is_refused(void **state)
{
    (void)state;
    struct consensus_manifest manifest = {.index = 7, .seq = 8};
    uint8_t bytes[MANIFEST_BYTES];
    manifest_encode(&manifest, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 0x01;
        check_status(manifest_decode(bytes, sizeof bytes, &manifest), STATUS_CORRUPT);
        bytes[i] ^= 0x01;
    }
    check_status(manifest_decode(bytes, sizeof bytes - 8, &manifest), STATUS_CORRUPT);
    check_status(manifest_decode(bytes, 0, &manifest), STATUS_CORRUPT);
    check_ok(manifest_decode(bytes, sizeof bytes, &manifest));
}

static void many_bytes_bring_a_snapshot_and_restart_replays_the_rest(void **state)
{
    (void)state;
    struct trio *trio = open_small(1);
    struct trio_node *node = trio_node(trio, 1);
    trio_start(trio, 1);
    trio_elect(trio);
    trio_pay(trio, 1, 100, 256);
    assert_int_equal(node->snapshots_asked, 0); /* 25 kB: not yet */
    trio_pay(trio, 101, 1900, 256);
    trio_run_until(trio, snapshot_is_over, node, 5000, "the snapshot is stored");
    assert_true(node->snapshots_asked >= 4); /* 475 kB */
    assert_true(node->snapshots_asked <= 8);
    uint64_t last_index = node->applied_last_index;
    uint64_t snapshot_index = node->snapshot_index;
    trio_stop(trio, 1);
    trio_start(trio, 1);
    trio_elect(trio);
    assert_int_equal(node->restores, 1);
    assert_int_equal(node->restored.index, snapshot_index);
    assert_false(node->restored_behind);
    trio_pay(trio, 5000, 1, 64);
    assert_true(node->applied_first_index > snapshot_index);
    assert_true(node->applied_count <= last_index - snapshot_index + 1);
    assert_true(node->applied_last_index > last_index);
    trio_close(trio);
}

static void log_is_kept_until_the_owner_is_ready(void **state)
{
    (void)state;
    struct trio *trio = open_small(1);
    struct trio_node *node = trio_node(trio, 1);
    node->snapshots_late = true;
    trio_start(trio, 1);
    trio_elect(trio);
    trio_pay(trio, 1, 1000, 256);
    trio_run_until(trio, snapshot_is_waiting, node, 5000, "a snapshot waits");
    trio_run_for(trio, 200);
    assert_int_equal(node->snapshots_asked, 1); /* and no other one meanwhile */
    assert_false(node->consensus->guard.put.active);
    struct consensus_manifest manifest = {.index = node->snapshot_index, .seq = 4711};
    consensus_snapshot_ready(node->consensus, &manifest);
    node->snapshots_late = false;
    trio_run_until(trio, snapshot_is_over, node, 5000, "the snapshot is stored");
    trio_stop(trio, 1);
    trio_start(trio, 1);
    assert_int_equal(node->restores, 1);
    assert_true(node->restored.index >= manifest.index);
    trio_close(trio);
}

static void manifest_is_stored_as_the_owner_gave_it(void **state)
{
    (void)state;
    struct trio *trio = open_small(1);
    struct trio_node *node = trio_node(trio, 1);
    node->snapshots_late = true;
    trio_start(trio, 1);
    trio_elect(trio);
    trio_pay(trio, 1, 300, 256);
    trio_run_until(trio, snapshot_is_waiting, node, 5000, "a snapshot waits");
    /* The ledger may be durable beyond what raft asked for. */
    struct consensus_manifest manifest = {.index = node->applied_last_index, .seq = 4711};
    memset(manifest.digest.bytes, 0x77, sizeof manifest.digest.bytes);
    consensus_snapshot_ready(node->consensus, &manifest);
    trio_run_until(trio, snapshot_is_over, node, 5000, "the snapshot is stored");
    trio_stop(trio, 1);
    trio_start(trio, 1);
    assert_int_equal(node->restored.index, manifest.index);
    assert_int_equal(node->restored.seq, 4711);
    assert_true(digest_equal(&node->restored.digest, &manifest.digest));
    trio_close(trio);
}

static void closing_while_a_snapshot_waits_leaves_the_log_whole(void **state)
{
    (void)state;
    struct trio *trio = open_small(1);
    struct trio_node *node = trio_node(trio, 1);
    node->snapshots_late = true;
    trio_start(trio, 1);
    trio_elect(trio);
    trio_pay(trio, 1, 300, 256);
    trio_run_until(trio, snapshot_is_waiting, node, 5000, "a snapshot waits");
    trio_stop(trio, 1);
    trio_start(trio, 1);
    trio_elect(trio);
    assert_int_equal(node->restores, 0);
    trio_pay(trio, 301, 1, 64);
    assert_int_equal(node->applied_count, 301);
    assert_int_equal(node->applied[0], 1);
    trio_close(trio);
}

static void held_snapshots_come_when_released(void **state)
{
    (void)state;
    struct trio *trio = open_small(1);
    struct trio_node *node = trio_node(trio, 1);
    trio_start(trio, 1);
    trio_elect(trio);
    consensus_hold_snapshots(node->consensus, true);
    trio_pay(trio, 1, 1000, 256);
    trio_run_for(trio, 200);
    assert_int_equal(node->snapshots_asked, 0);
    assert_int_equal(consensus_log_bytes(node->consensus), 1000 * 256);
    consensus_hold_snapshots(node->consensus, false);
    trio_run_until(trio, snapshot_is_over, node, 5000, "the snapshot is stored");
    assert_int_equal(node->snapshots_asked, 1);
    assert_int_equal(consensus_log_bytes(node->consensus), 0);
    trio_close(trio);
}

static void follower_beyond_the_trimmed_log_is_told_that_it_is_behind(void **state)
{
    (void)state;
    struct trio *trio = open_small(3);
    trio_start_all(trio);
    trio_elect(trio);
    trio_pay(trio, 1, 50, 256);
    uint32_t away = trio_leader(trio)->id == 3 ? 2 : 3;
    trio_stop(trio, away);
    trio_elect(trio);
    /* The leader's next snapshot is far behind what is paid below: the node's second one would hold
     * some of that. */
    trio_pay(trio, 51, 2100, 256);
    struct trio_node *node = trio_node(trio, away);
    assert_int_equal(node->restores, 0);
    trio_start(trio, away);
    trio_run_until(trio, node_was_restored, node, 20000, "the snapshot is installed");
    assert_true(node->restored_behind);
    trio_pay(trio, 5000, 100, 256);
    assert_int_equal(node->applied[node->applied_count - 1], 5099);
    /* What was installed holds across a restart. */
    uint64_t installed = node->restored.index;
    trio_stop(trio, away);
    trio_start(trio, away);
    assert_true(node->restored.index >= installed);
    assert_false(node->restored_behind);
    trio_pay(trio, 6000, 10, 256);
    trio_close(trio);
}

static void follower_away_for_a_moment_needs_no_snapshot(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_elect(trio);
    trio_pay(trio, 1, 50, 256);
    uint32_t away = trio_leader(trio)->id == 3 ? 2 : 3;
    trio_stop(trio, away);
    trio_elect(trio);
    trio_pay(trio, 51, 500, 256);
    trio_start(trio, away);
    trio_pay(trio, 5000, 10, 256);
    assert_int_equal(trio_node(trio, away)->restores, 0);
    trio_check_same(trio);
    trio_close(trio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_survives_the_way),
        cmocka_unit_test(damaged_manifest_is_refused),
        cmocka_unit_test(many_bytes_bring_a_snapshot_and_restart_replays_the_rest),
        cmocka_unit_test(log_is_kept_until_the_owner_is_ready),
        cmocka_unit_test(manifest_is_stored_as_the_owner_gave_it),
        cmocka_unit_test(closing_while_a_snapshot_waits_leaves_the_log_whole),
        cmocka_unit_test(held_snapshots_come_when_released),
        cmocka_unit_test(follower_beyond_the_trimmed_log_is_told_that_it_is_behind),
        cmocka_unit_test(follower_away_for_a_moment_needs_no_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
