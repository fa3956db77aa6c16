/*
 * Who is in the majority when a digest differs: each node has one voice.
 */
#include "node/internal.h"
#include "tests/support/check.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_majority_with_the_same_digest_lets_the_node_go_on, setup),
        cmocka_unit_test_setup(a_peer_that_answers_twice_counts_once, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
