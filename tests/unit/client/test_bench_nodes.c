#include "client/bench_nodes.h"

#include "base/process.h"
#include "tests/support/bench_rig.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_a_node_is_read(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    metric_set(&rig->metrics, METRIC_LEADER, 1);
    metric_add(&rig->metrics, METRIC_ENTRIES_APPLIED, 11);
    metric_add(&rig->metrics, METRIC_PAYMENTS_POSTED, 12);
    metric_add(&rig->metrics, METRIC_FLUSHES, 13);
    metric_add(&rig->metrics, METRIC_LOG_APPENDS, 14);
    metric_add(&rig->metrics, METRIC_LOG_BYTES, 15);
    struct bench_rig *bench = bench_rig_open(1); /* nobody listens */
    bench_rig_add(bench, rig->port);
    struct bench_reading readings[CLIENT_NODES_MAX];
    bench_nodes_read(&bench->client, readings);
    assert_false(readings[0].known);
    assert_true(readings[1].known);
    assert_int_equal(readings[1].leader, 1);
    assert_int_equal(readings[1].entries, 11);
    assert_int_equal(readings[1].payments, 12);
    assert_int_equal(readings[1].commits, 13);
    assert_int_equal(readings[1].log_appends, 14);
    assert_int_equal(readings[1].log_bytes, 15);
    assert_true(readings[1].memory_bytes > 0 && readings[1].at_us > 0);
    bench_rig_close(bench);
    rig_close(rig);
}

/* A port that takes connections and says nothing. */
static int silent_open(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* One after the other would take a second for each of sixteen. */
static void test_silent_nodes_cost_one_wait_together(void **state)
{
    (void)state;
    uint16_t port = 0;
    const int fd = silent_open(&port);
    struct bench_rig *bench = bench_rig_open(port);
    for (uint32_t i = 1; i < CLIENT_NODES_MAX; i++) {
        bench_rig_add(bench, port);
    }
    struct bench_reading readings[CLIENT_NODES_MAX];
    const uint64_t begin_ms = test_now_ms();
    bench_nodes_read(&bench->client, readings);
    assert_true(test_now_ms() - begin_ms < 12000);
    for (uint32_t i = 0; i < CLIENT_NODES_MAX; i++) {
        assert_false(readings[i].known);
    }
    bench_rig_close(bench);
    assert_int_equal(close(fd), 0);
}

static struct bench_reading reading_of(uint64_t times)
{
    return (struct bench_reading){.known = true,
                                  .at_us = 1000 * times,
                                  .cpu_us = 100 * times,
                                  .memory_bytes = 5000 * times,
                                  .entries = 10 * times,
                                  .payments = 20 * times,
                                  .commits = 30 * times,
                                  .log_appends = 40 * times,
                                  .log_bytes = 50 * times};
}

static void test_differences_are_taken(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(2346);
    const struct bench_reading before = reading_of(2);
    struct bench_reading after = reading_of(5);
    struct bench_node nodes[CLIENT_NODES_MAX];
    after.leader = 1;
    bench_nodes_compare(&bench->client, &before, &after, nodes);
    assert_string_equal(nodes[0].address, "127.0.0.1:2346");
    assert_true(nodes[0].known && nodes[0].leader);
    assert_int_equal(nodes[0].elapsed_us, 3000);
    assert_int_equal(nodes[0].cpu_us, 300);
    assert_int_equal(nodes[0].memory_bytes, 25000);
    assert_int_equal(nodes[0].entries, 30);
    assert_int_equal(nodes[0].payments, 60);
    assert_int_equal(nodes[0].commits, 90);
    assert_int_equal(nodes[0].log_appends, 120);
    assert_int_equal(nodes[0].log_bytes, 150);
    bench_rig_close(bench);
}

static void test_a_node_that_restarted_is_not_known(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(2346);
    struct bench_node nodes[CLIENT_NODES_MAX];
    for (int i = 0; i < 7; i++) {
        const struct bench_reading before = reading_of(5);
        struct bench_reading after = reading_of(6);
        after.known = i != 0;
        after.cpu_us = i == 1 ? 0 : after.cpu_us;
        after.entries = i == 2 ? 0 : after.entries;
        after.payments = i == 3 ? 0 : after.payments;
        after.commits = i == 4 ? 0 : after.commits;
        after.log_appends = i == 5 ? 0 : after.log_appends;
        after.log_bytes = i == 6 ? 0 : after.log_bytes;
        bench_nodes_compare(&bench->client, &before, &after, nodes);
        assert_false(nodes[0].known);
        assert_int_equal(nodes[0].payments + nodes[0].commits + nodes[0].log_bytes, 0);
    }
    bench_rig_close(bench);
}

static void test_targets(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(1);
    struct bench_reading readings[CLIENT_NODES_MAX] = {
        {.known = true}, {.known = true, .leader = 1}, {.known = false}};
    uint32_t targets[CLIENT_NODES_MAX] = {0};
    bench_rig_add(bench, 2);
    bench_rig_add(bench, 3);
    bench->options.target = BENCH_TO_ALL;
    assert_int_equal(bench_nodes_targets(&bench->options, &bench->client, readings, targets), 3);
    assert_true(targets[0] == 0 && targets[1] == 1 && targets[2] == 2);
    bench->options.target = BENCH_TO_LEADER;
    assert_int_equal(bench_nodes_targets(&bench->options, &bench->client, readings, targets), 1);
    assert_int_equal(targets[0], 1);
    bench->options.target = BENCH_TO_FOLLOWERS;
    assert_int_equal(bench_nodes_targets(&bench->options, &bench->client, readings, targets), 2);
    assert_true(targets[0] == 0 && targets[1] == 2);
    bench->options.target = BENCH_TO_ONE;
    bench->options.target_node = 2;
    assert_int_equal(bench_nodes_targets(&bench->options, &bench->client, readings, targets), 1);
    assert_int_equal(targets[0], 2);
    /* Nobody is known to lead: all. */
    readings[1].leader = 0;
    bench->options.target = BENCH_TO_LEADER;
    assert_int_equal(bench_nodes_targets(&bench->options, &bench->client, readings, targets), 3);
    assert_int_equal(targets[2], 2);
    bench_rig_close(bench);
}

static void test_the_witness_is_a_node_apart(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(1);
    struct bench_reading readings[CLIENT_NODES_MAX] = {
        {.known = true, .leader = 1}, {.known = true}, {.known = false}};
    const uint32_t targets[] = {0, 1, 2};
    bench_rig_add(bench, 2);
    bench_rig_add(bench, 3);
    /* All are targets: a follower that answers. */
    assert_int_equal(bench_nodes_witness(&bench->client, readings, targets, 3), 1);
    /* Only the follower is one: the leader. */
    assert_int_equal(bench_nodes_witness(&bench->client, readings, targets + 1, 1), 0);
    /* Only the leader is one. */
    assert_int_equal(bench_nodes_witness(&bench->client, readings, targets, 1), 1);
    /* Better a target that answers than a node that does not. */
    readings[0].known = false;
    assert_int_equal(bench_nodes_witness(&bench->client, readings, targets, 2), 1);
    bench_rig_close(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_is_read),
        cmocka_unit_test(test_silent_nodes_cost_one_wait_together),
        cmocka_unit_test(test_differences_are_taken),
        cmocka_unit_test(test_a_node_that_restarted_is_not_known),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_the_witness_is_a_node_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
