/* gateway/exchange.h over real sockets: which reply a request gets, and when. */
#include "base/check.h"
#include "base/limits.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_MS = 5000, REQUEST_BYTES = 512 };

static const char *text_of_peer(const struct peer *peer)
{
    return (const char *)peer->text.data;
}

static void check_has(const struct peer *peer, const char *wanted)
{
    if (strstr(text_of_peer(peer), wanted) == NULL) {
        fail_msg("no '%s' in '%s'", wanted, text_of_peer(peer));
    }
}

static void check_reply(struct peer *peer, const char *wanted)
{
    if (!peer_reply(peer, REPLY_MS)) {
        fail_msg("no reply, wanted '%s'", wanted);
    }
    check_has(peer, wanted);
}

static void pay(char text[REQUEST_BYTES], uint32_t id)
{
    (void)snprintf(text, REQUEST_BYTES,
                   "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"payment.create\",\"params\":{"
                   "\"id\":\"0198d2c4-a0f0-7c3e-9b1f-%012x\",\"debit\":\"alice\","
                   "\"credit\":\"shop\",\"amount\":\"1999\"}}",
                   (unsigned)id, (unsigned)id);
}

static void send_payment(struct peer *peer, uint32_t id)
{
    char text[REQUEST_BYTES];
    pay(text, id);
    peer_message(peer, text);
}

static void test_replies_find_their_requests_in_any_order(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct rig *rig = rig_open();
    rig->node.order = FAKE_REVERSED;
    rig->node.hold = COUNT;
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    for (uint32_t i = 0; i < COUNT; i++) {
        send_payment(&peer, i);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        char wanted[64];
        (void)snprintf(wanted, sizeof wanted, "\"id\":%u,\"result\"", (unsigned)(COUNT - 1 - i));
        check_reply(&peer, wanted);
    }
    assert_int_equal(metric_get(&rig->metrics, METRIC_REQUESTS), COUNT);
    assert_int_equal(atomic_load(&rig->worker.calls), 0);
    peer_close(&peer);
    wait_for_metric(&rig->metrics, METRIC_SESSIONS, 0);
    rig_close(rig);
}

static void test_an_array_gets_one_array(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->node.order = FAKE_REVERSED;
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    char one[REQUEST_BYTES];
    char two[REQUEST_BYTES];
    char text[4 * REQUEST_BYTES];
    pay(one, 1);
    pay(two, 2);
    (void)snprintf(text, sizeof text,
                   "[%s,{\"jsonrpc\":\"2.0\",\"method\":\"ledger.totals\"},%s,7,"
                   "{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":\"cluster.status\"}]",
                   one, two);
    rig->node.hold = 2;
    peer_message(&peer, text);
    check_reply(&peer, "\"id\":1,\"result\"");
    check_has(&peer, "\"id\":2,\"result\"");
    check_has(&peer, "\"id\":\"s\",\"result\"");
    check_has(&peer, "\"id\":null,\"error\":{\"code\":-32600");
    assert_int_equal(text_of_peer(&peer)[0], '[');
    assert_int_equal(text_of_peer(&peer)[strlen(text_of_peer(&peer)) - 1], ']');
    assert_int_equal(metric_get(&rig->metrics, METRIC_NOTIFICATIONS), 1);

    /* Nothing but notifications: no answer at all. An empty array: one error. */
    rig->node.hold = 0;
    peer_message(&peer, "[{\"jsonrpc\":\"2.0\",\"method\":\"ledger.totals\"}]");
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"method\":\"ledger.totals\"}");
    peer_message(&peer, "[]");
    check_reply(&peer, "\"id\":null,\"error\":{\"code\":-32600");
    assert_int_equal(metric_get(&rig->metrics, METRIC_NOTIFICATIONS), 3);
    peer_close(&peer);
    rig_close(rig);
}

static void test_a_full_window_refuses_early(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->options.session_requests_max = 4;
    rig->node.hold = 5;
    rig_start(rig);
    struct peer peer;
    struct peer other;
    peer_open_websocket(&peer, rig->port, NULL);
    for (uint32_t i = 0; i < 6; i++) {
        send_payment(&peer, i);
    }
    for (uint32_t i = 4; i < 6; i++) {
        check_reply(&peer, "\"code\":\"overloaded\"");
        check_has(&peer, "\"retry_after_ms\":100");
        check_has(&peer, "\"recorded\":false");
    }
    assert_int_equal(atomic_load(&rig->node.submitted), 4);
    assert_int_equal(metric_get(&rig->metrics, METRIC_OVERLOADED), 2);
    peer_open_websocket(&other, rig->port, NULL); /* the window is each session's own */
    send_payment(&other, 9);
    check_reply(&other, "\"id\":9,\"result\"");
    for (uint32_t i = 0; i < 4; i++) {
        check_reply(&peer, "\"result\"");
    }
    send_payment(&peer, 6);
    rig->node.hold = 0;
    check_reply(&peer, "\"id\":6,\"result\"");
    peer_close(&peer);
    peer_close(&other);
    rig_close(rig);
}

static void test_the_node_may_refuse(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    atomic_store(&rig->node.refuse, STATUS_FULL);
    send_payment(&peer, 1);
    check_reply(&peer, "\"code\":\"overloaded\"");
    atomic_store(&rig->node.refuse, STATUS_CLOSED);
    send_payment(&peer, 2);
    check_reply(&peer, "\"code\":\"shutting_down\"");
    atomic_store(&rig->node.refuse, STATUS_OK);
    atomic_store(&rig->node.code, CODE_UNKNOWN);
    send_payment(&peer, 3);
    check_reply(&peer, "\"code\":\"unknown\"");
    check_has(&peer, "\"recorded\":null");
    atomic_store(&rig->node.code, CODE_OK);
    assert_int_equal(atomic_load(&rig->worker.calls), 0);
    worker_drain(&rig->worker);
    test_sleep_ms(50);
    send_payment(&peer, 4);
    check_reply(&peer, "\"code\":\"shutting_down\"");
    peer_close(&peer);
    rig_close(rig);
}

static void test_a_busy_node_refuses_what_executes_at_a_glance(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    atomic_store(&rig->node.busy, true);
    atomic_store(&rig->node.refuse, STATUS_OK); /* the node itself is not even asked */
    send_payment(&peer, 1);
    check_reply(&peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32014");
    check_has(&peer, "\"code\":\"overloaded\",\"retryable\":true,\"recorded\":false");
    check_has(&peer, "\"retry_after_ms\":100");
    assert_int_equal(atomic_load(&rig->node.submitted), 0);
    assert_int_equal(metric_get(&rig->metrics, METRIC_REQUESTS), 1);
    assert_int_equal(metric_get(&rig->metrics, METRIC_OVERLOADED), 1);
    /* Everything else goes its way. */
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ledger.totals\"}");
    check_reply(&peer, "\"id\":2,\"result\"");
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"payment.steal\"}");
    check_reply(&peer, "\"id\":3,\"error\":{\"code\":-32601");
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":");
    check_reply(&peer, "\"id\":null,\"error\":{\"code\":-32700");
    atomic_store(&rig->node.busy, false);
    send_payment(&peer, 5);
    check_reply(&peer, "\"id\":5,\"result\"");
    peer_close(&peer);
    rig_close(rig);
}

static void test_a_busy_node_refuses_over_http_too(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    char text[REQUEST_BYTES];
    char request[2 * REQUEST_BYTES];
    atomic_store(&rig->node.busy, true);
    pay(text, 7);
    (void)snprintf(request, sizeof request,
                   "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   strlen(text), text);
    peer_open(&peer, rig->port, NULL);
    assert_int_equal(peer_request(&peer, request), 200);
    check_has(&peer, "\"id\":7,\"error\":{\"code\":-32014");
    atomic_store(&rig->node.busy, false);
    assert_int_equal(peer_request(&peer, request), 200); /* and the connection goes on */
    check_has(&peer, "\"id\":7,\"result\"");
    peer_close(&peer);
    rig_close(rig);
}

static void test_bad_messages_are_answered_and_the_connection_stays(void **state)
{
    (void)state;
    static char deep[20001];
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    peer_message(&peer, "{\"jsonrpc\":");
    check_reply(&peer, "\"id\":null,\"error\":{\"code\":-32700");
    peer_message(&peer, "");
    check_reply(&peer, "\"id\":null,\"error\":{\"code\":-32700");
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    peer_message(&peer, deep);
    check_reply(&peer, "\"code\":\"nesting_too_deep\"");
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ledger.totals\"}");
    check_reply(&peer, "\"code\":\"duplicate_key\"");
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.steal\"}");
    check_reply(&peer, "\"id\":1,\"error\":{\"code\":-32601");
    send_payment(&peer, 5);
    check_reply(&peer, "\"id\":5,\"result\"");
    peer_close(&peer);
    rig_close(rig);
}

/* One payment.batch of about `size` bytes. */
static char *batch_make(uint32_t id, size_t size)
{
    static const char item[] =
        "{\"id\":\"0198d2c4-a0f0-7c3e-9b1f-%012x\",\"debit\":\"a\",\"credit\":\"b\","
        "\"amount\":\"1\",\"metadata\":{\"m\":\"%0800d\"}}";
    struct buffer text;
    buffer_init(&text, MESSAGE_BYTES_MAX);
    write_format(&text,
                 "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"payment.batch\",\"params\":{"
                 "\"mode\":\"independent\",\"items\":[",
                 (unsigned)id);
    for (uint32_t i = 1; text.size < size; i++) {
        write_format(&text, i == 1 ? "" : ",");
        write_format(&text, item, (unsigned)i, 0);
    }
    write_format(&text, "]}}");
    write_u8(&text, 0);
    assert_false(text.failed);
    return (char *)text.data;
}

static void test_the_window_counts_bytes_too(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->node.hold = 3;
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        char *batch = batch_make(i, 3 * 1024 * 1024);
        peer_message(&peer, batch);
        free(batch);
    }
    check_reply(&peer, "\"id\":2,\"error\"");
    check_has(&peer, "\"code\":\"overloaded\"");
    assert_int_equal(atomic_load(&rig->node.submitted), 2);
    rig->node.hold = 0;
    check_reply(&peer, "\"id\":0,\"result\"");
    check_reply(&peer, "\"id\":1,\"result\"");
    peer_close(&peer);
    rig_close(rig);
}

/* The sum of the answers would be larger than what may wait for a client. */
static void test_an_array_of_huge_answers_is_cut_request_by_request(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->node.currencies = 8000;
    rig_start(rig);
    struct peer peer;
    struct buffer text;
    buffer_init(&text, 65536);
    peer_open_websocket(&peer, rig->port, NULL);
    for (uint32_t i = 0; i < ENVELOPES_MAX; i++) {
        write_format(&text, "%c{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"ledger.totals\"}",
                     i == 0 ? '[' : ',', (unsigned)i);
    }
    write_format(&text, "]");
    write_u8(&text, 0);
    peer_message(&peer, (const char *)text.data);
    check_reply(&peer, "[{\"jsonrpc\":\"2.0\",\"id\":0,\"result\"");
    check_has(&peer, "\"id\":63,\"error\"");
    check_has(&peer, "\"code\":\"overloaded\"");
    assert_true(peer.text.size < SESSION_WRITE_BYTES_MAX);
    send_payment(&peer, 7);
    check_reply(&peer, "\"id\":7,\"result\"");
    buffer_deinit(&text);
    peer_close(&peer);
    rig_close(rig);
}

/* Once a reply did not fit its array no list is read for it any more: it could not be told. */
static void test_a_full_array_reads_no_more_lists(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char error[256] = "";
    struct rig *rig = rig_open();
    const struct ledger_options options = {
        .path = dir, .map_bytes = 64 * 1024 * 1024, .metrics = &rig->metrics};
    check_ok(ledger_open(&rig->options.ledger, &options, error, sizeof error));
    struct ledger *ledger = rig->options.ledger;
    rig->node.currencies = 8000;
    rig_start(rig);
    struct peer peer;
    struct buffer text;
    buffer_init(&text, 65536);
    peer_open_websocket(&peer, rig->port, NULL);
    for (uint32_t i = 0; i < ENVELOPES_MAX; i++) {
        write_format(&text, "%c{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\"}",
                     i == 0 ? '[' : ',', (unsigned)i,
                     i + 1 < ENVELOPES_MAX ? "ledger.totals" : "account.list");
    }
    write_format(&text, "]");
    write_u8(&text, 0);
    peer_message(&peer, (const char *)text.data);
    check_reply(&peer, "[{\"jsonrpc\":\"2.0\",\"id\":0,\"result\"");
    check_has(&peer, "\"id\":62,\"error\"");
    check_has(&peer, "\"id\":63,\"error\"");
    buffer_deinit(&text);
    peer_close(&peer);
    rig_close(rig);
    ledger_close(ledger);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_find_their_requests_in_any_order),
        cmocka_unit_test(test_an_array_gets_one_array),
        cmocka_unit_test(test_a_full_window_refuses_early),
        cmocka_unit_test(test_the_node_may_refuse),
        cmocka_unit_test(test_a_busy_node_refuses_what_executes_at_a_glance),
        cmocka_unit_test(test_a_busy_node_refuses_over_http_too),
        cmocka_unit_test(test_bad_messages_are_answered_and_the_connection_stays),
        cmocka_unit_test(test_the_window_counts_bytes_too),
        cmocka_unit_test(test_an_array_of_huge_answers_is_cut_request_by_request),
        cmocka_unit_test(test_a_full_array_reads_no_more_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
