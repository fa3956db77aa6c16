#include "client/load.h"

#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>

struct count {
    uint64_t wanted, written, done, refused, lost;
    uint64_t numbers; /* sum of those given, less those that came back */
};

static bool write_one(void *data, struct buffer *params, const char **method, uint64_t *number)
{
    struct count *count = data;
    if (count->written == count->wanted) {
        return false;
    }
    count->written += 1;
    *number = count->written;
    count->numbers += count->written;
    *method = "payment.create";
    write_format(params,
                 "{\"id\":\"0198d2c4-a0f0-7c3e-9b1f-%012llx\",\"debit\":\"a\",\"credit\":\"b\","
                 "\"amount\":\"5\"}",
                 (unsigned long long)count->written);
    return true;
}

static void reply_one(void *data, uint64_t number, const struct reply *reply, uint64_t latency_us)
{
    struct count *count = data;
    (void)latency_us;
    count->numbers -= number;
    count->done += reply->result != NULL ? 1 : 0;
    count->refused += reply->result == NULL ? 1 : 0;
}

static void lose_one(void *data)
{
    struct count *count = data;
    count->lost += 1;
}

static enum status run(uint16_t port, struct count *count, uint64_t duration_ms, char error[256])
{
    struct client_options client = {.nodes_count = 1, .timeout_ms = 1000};
    (void)snprintf(client.nodes[0].host, sizeof(client.nodes[0].host), "127.0.0.1");
    client.nodes[0].port = port;
    const struct load_options options = {.client = &client,
                                         .connections = 3,
                                         .in_flight = 8,
                                         .duration_ms = duration_ms,
                                         .write = write_one,
                                         .reply = reply_one,
                                         .lost = lose_one,
                                         .data = count};
    return load_run(&options, error, 256);
}

static void test_every_request_is_answered_once(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct count count = {.wanted = 1000};
    char error[256];
    check_ok(run(rig->port, &count, 0, error));
    assert_int_equal(count.written, 1000);
    assert_int_equal(count.done, 1000);
    assert_int_equal(count.refused + count.lost, 0);
    assert_int_equal(count.numbers, 0);
    assert_int_equal(atomic_load(&rig->node.submitted), 1000);
    rig_close(rig);
}

static void test_time_ends_it(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct count count = {.wanted = UINT64_MAX};
    char error[256];
    check_ok(run(rig->port, &count, 200, error));
    assert_true(count.done > 0);
    assert_int_equal(count.written, count.done + count.refused + count.lost);
    rig_close(rig);
}

static void test_refusals_slow_it_down(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    atomic_store(&rig->node.code, CODE_NO_LEADER);
    struct count count = {.wanted = UINT64_MAX};
    char error[256];
    check_ok(run(rig->port, &count, 500, error));
    assert_true(count.refused > 0);
    /* 24 in flight, a rest of 100 ms: about six rounds. */
    assert_true(count.refused <= 24 * 10);
    rig_close(rig);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct count count = {.wanted = 10};
    char error[256] = "";
    check_status(run(1, &count, 300, error), STATUS_NETWORK);
    assert_int_equal(count.written, 0);
    assert_true(error[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_request_is_answered_once),
        cmocka_unit_test(test_time_ends_it),
        cmocka_unit_test(test_refusals_slow_it_down),
        cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
