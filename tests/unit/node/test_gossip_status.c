/* What nodes tell of themselves, and what cluster.status makes of it. */
#include "tests/support/check.h"
#include "tests/support/node_rig.h"

static struct cluster_status status;

/* Node 2 leads in term 4 and tells so; its clock is 3 ms ahead. */
static void hear(struct node_rig *rig)
{
    struct link_status told = {.role = ROLE_LEADER,
                               .leader = 2,
                               .term = 4,
                               .seq = 50,
                               .index = 60,
                               .wall_ns = clock_wall_ns(&rig->clock) + 3000000,
                               .digest = {{7}},
                               .client_address = TEXT("localhost:2"),
                               .counters_count = METRIC_COUNT};
    told.counters[METRIC_FORWARDS] = 8;
    gossip_on_status(&rig->node, 2, &told);
}

static const struct cluster_node *look(struct node_rig *rig, uint32_t id)
{
    gossip_refresh(&rig->node);
    node_status(&rig->node, &status);
    assert_int_equal(status.nodes_count, 3);
    assert_int_equal(status.nodes[id - 1].id, id);
    return &status.nodes[id - 1];
}

static void a_peer_is_shown_as_it_told(void **state)
{
    struct node_rig *rig = *state;
    hear(rig);
    const struct cluster_node *peer = look(rig, 2);
    assert_true(peer->reachable && peer->term == 4 && peer->seq == 50 && peer->index == 60);
    assert_string_equal(peer->role, "leader");
    assert_string_equal(peer->client_address, "localhost:2");
    assert_true(peer->clock_offset_ns == 3000000 && peer->digest.bytes[0] == 7);
    assert_int_equal(peer->counters[METRIC_FORWARDS], 8);
}

static void silent_peers_are_not_reachable(void **state)
{
    struct node_rig *rig = *state;
    hear(rig);
    assert_false(look(rig, 3)->reachable); /* never heard of */
    assert_string_equal(look(rig, 3)->role, "unknown");
    assert_string_equal(look(rig, 3)->client_address, "localhost:3"); /* as cluster.conf says */
    rig->now_ns += (uint64_t)PEER_SILENT_MS * 1000000 - 1;
    assert_true(look(rig, 2)->reachable);
    rig->now_ns += 1;
    assert_false(look(rig, 2)->reachable);
    assert_string_equal(look(rig, 2)->role, "unknown");
    assert_int_equal(look(rig, 2)->seq, 50); /* the last that was known */
    hear(rig);
    assert_true(look(rig, 2)->reachable);
    node_peer(&rig->node, 2)->link_up = false;
    assert_false(look(rig, 2)->reachable);
}

static void the_node_itself_is_always_reachable(void **state)
{
    struct node_rig *rig = *state;
    metric_add(&rig->node.metrics, METRIC_FORWARDS, 3);
    const struct cluster_node *self = look(rig, 1);
    assert_true(self->reachable && self->clock_offset_ns == 0);
    assert_string_equal(self->role, "follower");
    assert_string_equal(self->client_address, "localhost:1");
    assert_int_equal(self->counters[METRIC_FORWARDS], 3);
    assert_true(status.node == 1 && status.leader == 2 && status.term == 1);
    assert_string_equal(status.cluster, "rig");
    const struct digest id = datadir_cluster_id(&rig->config);
    assert_true(digest_equal(&status.cluster_id, &id));
}

static void expect_ready(struct node_rig *rig, const char *reason)
{
    (void)look(rig, 1);
    assert_int_equal(status.ready, reason[0] == '\0');
    assert_string_equal(status.ready_reason, reason);
}

static void a_node_is_ready_when_it_can_serve(void **state)
{
    struct node_rig *rig = *state;
    struct node *node = &rig->node;
    expect_ready(rig, "");
    node_peer(node, 2)->link_up = false;
    expect_ready(rig, "the leader is not connected");
    node->leader = 0;
    expect_ready(rig, "no leader is known");
    node->leader = 1;
    node->role = ROLE_LEADER;
    expect_ready(rig, "the leader has just been elected");
    node_rig_lead(rig);
    expect_ready(rig, "");
    node->divergence.asking = true;
    expect_ready(rig, "the node compares its state with its peers");
    node->stop = STOP_DRAIN;
    expect_ready(rig, "the node is stopping");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_rig_set_up, node_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_peer_is_shown_as_it_told),
        TEST(silent_peers_are_not_reachable),
        TEST(the_node_itself_is_always_reachable),
        TEST(a_node_is_ready_when_it_can_serve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
