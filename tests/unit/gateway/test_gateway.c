/* gateway/gateway.h: the door as the node uses it, from several workers on one port to the end. */
#include "base/check.h"
#include "base/limits.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_MS = 5000 };

static const char payment[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"payment.create\",\"params\":{\"id\":"
    "\"0198d2c4-a0f0-7c3e-9b1f-5a1122334455\",\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"}}";

struct setup {
    struct fake_node node;
    struct metrics metrics;
    struct gateway_options options;
    struct gateway *gateway;
    uint16_t port;
};

static struct setup *setup_open(uint32_t workers)
{
    char error[256] = "";
    struct setup *setup = calloc(1, sizeof *setup);
    assert_non_null(setup);
    fake_node_open(&setup->node);
    setup->options = (struct gateway_options){
        .host = "127.0.0.1",
        .workers = workers,
        .session_requests_max = 256,
        .request_timeout_ms = 5000,
        .metrics = &setup->metrics,
        .backend = fake_node_backend(&setup->node),
        .clock = clock_system(),
    };
    check_ok(gateway_open(&setup->gateway, &setup->options, error, sizeof error));
    setup->port = gateway_port(setup->gateway);
    return setup;
}

static void setup_close(struct setup *setup)
{
    fake_node_close(&setup->node);
    gateway_close(setup->gateway);
    free(setup);
}

static void check_contains(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL) {
        fail_msg("no '%s' in '%s'", wanted, text);
    }
}

static void test_all_workers_serve_the_same_port(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    struct setup *setup = setup_open(4);
    static struct peer peers[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_open_websocket(&peers[i], setup->port, NULL);
        peer_message(&peers[i], payment);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(peer_reply(&peers[i], REPLY_MS));
        check_contains((const char *)peers[i].text.data, "\"status\":\"posted\"");
    }
    assert_int_equal(metric_get(&setup->metrics, METRIC_SESSIONS), COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_close(&peers[i]);
    }
    wait_for_metric(&setup->metrics, METRIC_SESSIONS, 0);
    assert_int_equal(gateway_calls(setup->gateway), 0);
    setup_close(setup);
}

static void test_a_port_in_use_is_an_error(void **state)
{
    (void)state;
    char error[256] = "";
    struct gateway *second = NULL;
    struct setup *setup = setup_open(2);
    struct gateway_options options = setup->options;
    options.port = setup->port;
    check_status(gateway_open(&second, &options, error, sizeof error), STATUS_NETWORK);
    check_contains(error, "cannot listen on 127.0.0.1:");
    check_contains(error, "in use");
    options.port = 0;
    (void)snprintf(options.host, sizeof options.host, "192.0.2.1");
    check_status(gateway_open(&second, &options, error, sizeof error), STATUS_NETWORK);
    check_contains(error, "cannot listen on 192.0.2.1:0: ");
    (void)snprintf(options.host, sizeof options.host, "256.256.256.256.");
    check_status(gateway_open(&second, &options, error, sizeof error), STATUS_NETWORK);
    (void)snprintf(options.host, sizeof options.host, "127.0.0.1");
    options.tls = true;
    options.tls_cert_path = "/nonexistent/cert.pem";
    options.tls_key_path = "/nonexistent/key.pem";
    check_status(gateway_open(&second, &options, error, sizeof error), STATUS_TLS);
    check_contains(error, "/nonexistent/");
    assert_null(second);
    setup_close(setup);
}

static void test_closes_in_order(void **state)
{
    (void)state;
    struct setup *setup = setup_open(2);
    setup->node.hold = 2;
    struct peer peer;
    peer_open_websocket(&peer, setup->port, NULL);
    peer_message(&peer, payment);
    wait_for_count(&setup->node.submitted, 1);
    assert_int_equal(gateway_calls(setup->gateway), 1);
    gateway_drain(setup->gateway);
    setup->node.hold = 0;
    const uint64_t begin_ms = test_now_ms();
    while (gateway_calls(setup->gateway) > 0) {
        assert_true(test_now_ms() - begin_ms < REPLY_MS);
        test_sleep_ms(1);
    }
    setup_close(setup);
    /* The last answer came before the end was announced. */
    assert_true(peer_reply(&peer, REPLY_MS));
    check_contains((const char *)peer.text.data, "\"status\":\"posted\"");
    assert_int_equal(peer_close_code(&peer, REPLY_MS), WEBSOCKET_GOING_AWAY);
    peer_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_workers_serve_the_same_port),
        cmocka_unit_test(test_a_port_in_use_is_an_error),
        cmocka_unit_test(test_closes_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
