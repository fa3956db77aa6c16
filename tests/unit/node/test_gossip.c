/*
 * The clock that log entries get their time from, against the clocks of the other nodes.
 */
#include "node/internal.h"
#include "tests/support/check.h"

#include <string.h>

static const int64_t SECOND_NS = 1000000000;
static const int64_t HOUR_NS = 3600 * INT64_C(1000000000);
static const int64_t TRUE_NS = INT64_C(1800000000) * 1000000000;

struct fixture {
    struct clock clock;
    uint64_t monotonic_ns;
    int64_t wall_error_ns;
    char *dir;
    struct ledger *ledger;
    struct node node;
};

static uint64_t monotonic_now(void *data)
{
    return ((struct fixture *)data)->monotonic_ns;
}

static int64_t wall_now(void *data)
{
    const struct fixture *fixture = data;
    return TRUE_NS + (int64_t)fixture->monotonic_ns + fixture->wall_error_ns;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->clock = (struct clock){fixture, monotonic_now, wall_now};
    fixture->monotonic_ns = 5000000000;
    fixture->dir = test_dir_make();
    struct node *node = &fixture->node;
    node->clock = &fixture->clock;
    check_ok(queue_init(&node->events, 1024, NULL, NULL));
    char error[256];
    struct ledger_options options = {
        .path = fixture->dir, .map_bytes = 1 << 26, .metrics = &node->metrics};
    check_ok(ledger_open(&fixture->ledger, &options, error, sizeof(error)));
    struct ledger_thread_options thread_options = {.ledger = fixture->ledger,
                                                   .metrics = &node->metrics,
                                                   .clock = node->clock,
                                                   .events = &node->events,
                                                   .entries_window = 4,
                                                   .manual = true};
    check_ok(ledger_thread_open(&node->ledger_thread, &thread_options));
    node->id = 1;
    node->peers_count = 2;
    for (uint32_t i = 0; i < node->peers_count; i++) {
        node->peers[i].id = i + 2;
        node->peers[i].link_up = true;
    }
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ledger_thread_close(fixture->node.ledger_thread);
    ledger_close(fixture->ledger);
    queue_deinit(&fixture->node.events);
    test_dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

/* The peer's clock is `error_ns` ahead of the true time. */
static void hear(struct fixture *fixture, uint32_t peer, int64_t error_ns)
{
    struct link_status status = {.wall_ns = TRUE_NS + (int64_t)fixture->monotonic_ns + error_ns,
                                 .client_address = text_of("127.0.0.1:1")};
    gossip_on_status(&fixture->node, peer, &status);
}

static bool is_off(struct fixture *fixture)
{
    int64_t distance_ns = 0;
    return gossip_clock_is_off(&fixture->node, fixture->monotonic_ns, &distance_ns);
}

static void lead(struct fixture *fixture)
{
    ledger_thread_epoch_begin(fixture->node.ledger_thread, 1, 1);
    (void)ledger_thread_step(fixture->node.ledger_thread);
    assert_true(ledger_thread_leading(fixture->node.ledger_thread));
}

static void a_clock_is_judged_by_the_median_of_three(void **state)
{
    struct fixture *fixture = *state;
    fixture->wall_error_ns = HOUR_NS;
    hear(fixture, 2, 0);
    assert_false(is_off(fixture)); /* of two nobody knows who is wrong */
    hear(fixture, 3, SECOND_NS / 10);
    assert_true(is_off(fixture));
    hear(fixture, 3, HOUR_NS);
    assert_false(is_off(fixture)); /* the second one is alone */
    fixture->wall_error_ns = 0;
    assert_false(is_off(fixture));
}

static void in_an_epoch_the_clock_of_the_log_is_judged(void **state)
{
    struct fixture *fixture = *state;
    fixture->wall_error_ns = HOUR_NS;
    lead(fixture); /* before anybody else was heard */
    fixture->wall_error_ns = 0;
    hear(fixture, 2, 0);
    hear(fixture, 3, 0);
    assert_true(is_off(fixture));
}

static void a_wall_clock_that_is_set_in_an_epoch_does_not_matter(void **state)
{
    struct fixture *fixture = *state;
    hear(fixture, 2, 0);
    hear(fixture, 3, 0);
    lead(fixture);
    fixture->wall_error_ns = -HOUR_NS;
    assert_false(is_off(fixture));
    hear(fixture, 2, 0);
    hear(fixture, 3, 0);
    assert_false(is_off(fixture));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_clock_is_judged_by_the_median_of_three, setup, teardown),
        cmocka_unit_test_setup_teardown(in_an_epoch_the_clock_of_the_log_is_judged, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_wall_clock_that_is_set_in_an_epoch_does_not_matter, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
