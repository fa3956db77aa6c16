/*
 * Who is in the majority when a digest differs: each node has one voice.
 */
#include "base/log.h"
#include "node/internal.h"
#include "tests/support/check.h"
#include "tests/support/child.h"
#include "tests/support/node_rig.h"

#include <string.h>

enum { SEQ = 9 };

static struct node node;
static struct digest ours = {{1}};

static int setup(void **state)
{
    (void)state;
    node = (struct node){.id = 1, .peers_count = 4};
    for (uint32_t i = 0; i < node.peers_count; i++) {
        node.peers[i].id = i + 2;
    }
    node.divergence = (struct divergence){.asking = true, .seq = SEQ, .ours = ours, .same = 1};
    return 0;
}

static void tell(uint32_t peer, bool same)
{
    struct link_item item = {.kind = LINK_DIGEST_TELL, .seq = SEQ, .known = true, .digest = ours};
    item.digest.bytes[0] ^= same ? 0 : 1;
    diverge_on_tell(&node, peer, &item);
}

static void a_majority_with_the_same_digest_lets_the_node_go_on(void **state)
{
    (void)state;
    tell(2, true);
    assert_true(node.divergence.asking);
    tell(3, true);
    assert_false(node.divergence.asking);
}

static void a_peer_that_answers_twice_counts_once(void **state)
{
    (void)state;
    tell(2, true);
    tell(2, true);
    assert_true(node.divergence.asking);
    tell(4, false);
    tell(4, false);
    tell(5, false);
    assert_true(node.divergence.asking);
    tell(3, true);
    assert_false(node.divergence.asking);
}

/* Of three nodes: what the peers say in turn, and that the time to answer is over. */
struct judgement {
    struct node_rig *rig;
    bool both_answer;
};

static void judge(void *data)
{
    const struct judgement *judgement = data;
    struct node *three = &judgement->rig->node;
    three->divergence = (struct divergence){.asking = true, .seq = SEQ, .ours = ours, .same = 1};
    struct link_item item = {.kind = LINK_DIGEST_TELL, .seq = SEQ, .known = true, .digest = {{9}}};
    diverge_on_tell(three, 2, &item);
    if (judgement->both_answer) {
        diverge_on_tell(three, 3, &item);
    }
    diverge_tick(three, UINT64_MAX);
}

static void only_a_majority_makes_a_node_give_up_its_state(void **state)
{
    struct node_rig *rig = *state;
    char output[2048];
    struct consensus_manifest manifest;
    struct judgement judgement = {.rig = rig, .both_answer = false};
    assert_int_equal(child_run(judge, &judgement, output, sizeof(output)), EXIT_DIVERGED);
    assert_non_null(strstr(output, "no majority"));
    assert_int_equal(datadir_needs_state_read(rig->node.dir, &manifest), STATUS_NOT_FOUND);
    judgement.both_answer = true;
    assert_int_equal(child_run(judge, &judgement, output, sizeof(output)), EXIT_DIVERGED);
    check_ok(datadir_needs_state_read(rig->node.dir, &manifest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_majority_with_the_same_digest_lets_the_node_go_on, setup),
        cmocka_unit_test_setup(a_peer_that_answers_twice_counts_once, setup),
        cmocka_unit_test_setup_teardown(only_a_majority_makes_a_node_give_up_its_state,
                                        node_rig_set_up, node_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
