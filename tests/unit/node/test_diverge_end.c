/* Digests that differ: who goes on, and who stops. */
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/child.h"
#include "tests/support/node_rig.h"

#include <string.h>

enum { SEQ = 40, LONG_NS = 10 };

static const struct digest ours = {{1}};
static const struct digest other = {{2}};

static void tell(struct node_rig *rig, uint32_t peer, bool known, const struct digest *digest)
{
    const struct link_item item = {
        .kind = LINK_DIGEST_TELL, .seq = SEQ, .known = known, .digest = *digest};
    diverge_on_tell(&rig->node, peer, &item);
}

static uint64_t past_the_deadline(const struct node_rig *rig)
{
    return rig->node.divergence.deadline_ns + 1;
}

static void all_peers_are_asked_and_nothing_new_is_taken(void **state)
{
    struct node_rig *rig = *state;
    diverge_begin(&rig->node, SEQ, &ours);
    for (uint32_t peer = 2; peer <= 3; peer++) {
        struct link_item item;
        assert_true(node_rig_sent(rig, peer, &item));
        assert_int_equal(item.kind, LINK_DIGEST_ASK);
        assert_true(item.seq == SEQ && digest_equal(&item.digest, &ours));
    }
    assert_true(rig->node.divergence.asking);
    assert_false(admission_has_room(&rig->node.admission, 1));
    struct link_item item;
    diverge_begin(&rig->node, SEQ + 1, &ours); /* one question at a time */
    assert_false(node_rig_sent(rig, 2, &item));
    assert_true(rig->node.divergence.seq == SEQ);
}

static void with_the_majority_the_node_goes_on(void **state)
{
    struct node_rig *rig = *state;
    diverge_begin(&rig->node, SEQ, &ours);
    tell(rig, 2, true, &other);
    assert_true(rig->node.divergence.asking);
    tell(rig, 3, true, &ours);
    assert_false(rig->node.divergence.asking);
    assert_true(admission_has_room(&rig->node.admission, 1));
    diverge_tick(&rig->node, past_the_deadline(rig)); /* over */
}

static void answers_to_another_question_do_not_count(void **state)
{
    struct node_rig *rig = *state;
    diverge_begin(&rig->node, SEQ, &ours);
    tell(rig, 2, false, &ours);
    const struct link_item item = {
        .kind = LINK_DIGEST_TELL, .seq = SEQ + 1, .known = true, .digest = ours};
    diverge_on_tell(&rig->node, 2, &item);
    assert_true(rig->node.divergence.asking);
    assert_int_equal(rig->node.divergence.same, 1);
    assert_int_equal(rig->node.divergence.other, 0);
    diverge_tick(&rig->node, rig->node.divergence.deadline_ns - LONG_NS);
    assert_true(rig->node.divergence.asking);
}

static void an_own_digest_is_told_and_a_difference_looked_into(void **state)
{
    struct node_rig *rig = *state;
    struct link_item item;
    diverge_on_digest(&rig->node, 3, SEQ, true, &ours, &ours);
    assert_true(node_rig_sent(rig, 3, &item));
    assert_true(item.kind == LINK_DIGEST_TELL && item.known && item.seq == SEQ);
    assert_true(digest_equal(&item.digest, &ours));
    diverge_on_digest(&rig->node, 3, SEQ, false, &ours, &other);
    assert_true(node_rig_sent(rig, 3, &item));
    assert_false(item.known);
    assert_false(rig->node.divergence.asking);
    diverge_on_digest(&rig->node, 3, SEQ, true, &ours, &other);
    assert_true(node_rig_sent(rig, 3, &item));
    assert_true(item.kind == LINK_DIGEST_TELL && item.known);
    assert_true(rig->node.divergence.asking);
}

/* ---- what ends the process ----------------------------------------------------------------- */

static void outvoted_body(void *data)
{
    struct node_rig *rig = data;
    diverge_begin(&rig->node, SEQ, &ours);
    tell(rig, 2, true, &other);
    tell(rig, 3, true, &other);
}

static void alone_body(void *data)
{
    struct node_rig *rig = data;
    diverge_begin(&rig->node, SEQ, &ours);
    tell(rig, 2, true, &other);
    diverge_tick(&rig->node, past_the_deadline(rig));
}

static void unanswered_body(void *data)
{
    struct node_rig *rig = data;
    diverge_begin(&rig->node, SEQ, &ours);
    diverge_tick(&rig->node, past_the_deadline(rig));
}

static void against_a_majority_the_node_stops_and_notes_why(void **state)
{
    struct node_rig *rig = *state;
    char output[4096];
    struct consensus_manifest manifest;
    assert_int_equal(child_run(outvoted_body, rig, output, sizeof(output)), EXIT_DIVERGED);
    assert_non_null(strstr(output, "differs from the majority's"));
    check_ok(datadir_needs_state_read(rig->node.dir, &manifest));
}

/* The old state is the only one to tell what the log must have. */
static void the_note_keeps_what_the_log_must_have(void **state)
{
    struct node_rig *rig = *state;
    char output[4096];
    rig->node.opened_index = 6;
    assert_int_equal(child_run(outvoted_body, rig, output, sizeof(output)), EXIT_DIVERGED);
    uint64_t log_index = 0;
    check_ok(datadir_log_index_read(rig->node.dir, &log_index));
    assert_int_equal(log_index, 6);
}

/* A copied state may be where the own log has an entry that was never committed. */
static void a_term_is_only_told_of_what_raft_applied(void **state)
{
    struct node_rig *rig = *state;
    char output[4096];
    struct consensus_manifest manifest;
    node_rig_lead(rig);
    struct call *call = node_rig_execute(rig, "XTS");
    check_ok(node_submit(&rig->node, call));
    node_rig_step(rig);
    node_rig_apply(rig, 4);
    node_rig_call_free(call);
    struct raft *raft = rig->node.consensus->raft;
    raft->trail.snapshot.index = 4;
    raft->trail.snapshot.term = 7;
    assert_int_equal(consensus_term_at(rig->node.consensus, 4), 7);
    for (uint64_t applied = 3; applied <= 4; applied++) {
        raft->last_applied = applied;
        assert_int_equal(child_run(outvoted_body, rig, output, sizeof(output)), EXIT_DIVERGED);
        check_ok(datadir_needs_state_read(rig->node.dir, &manifest));
        assert_int_equal(manifest.index, 4);
        assert_int_equal(manifest.term, applied == 4 ? 7 : 0);
    }
    raft->trail = (struct raft_trail){0};
    raft->last_applied = 0;
}

/* Its own state may be the good one: it must not be exchanged for a damaged one. */
static void where_no_majority_agrees_the_node_stops_and_keeps_its_state(void **state)
{
    struct node_rig *rig = *state;
    void (*const bodies[])(void *data) = {alone_body, unanswered_body};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        char output[4096];
        struct consensus_manifest manifest;
        assert_int_equal(child_run(bodies[i], rig, output, sizeof(output)), EXIT_DIVERGED);
        assert_non_null(strstr(output, "no majority agrees"));
        check_status(datadir_needs_state_read(rig->node.dir, &manifest), STATUS_NOT_FOUND);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_rig_set_up, node_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_peers_are_asked_and_nothing_new_is_taken),
        TEST(with_the_majority_the_node_goes_on),
        TEST(answers_to_another_question_do_not_count),
        TEST(an_own_digest_is_told_and_a_difference_looked_into),
        TEST(against_a_majority_the_node_stops_and_notes_why),
        TEST(the_note_keeps_what_the_log_must_have),
        TEST(a_term_is_only_told_of_what_raft_applied),
        TEST(where_no_majority_agrees_the_node_stops_and_keeps_its_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
