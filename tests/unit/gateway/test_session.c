/* gateway/session.h and exchange.h over real sockets: what each client is told, and who notices. */
#include "base/check.h"
#include "base/limits.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

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

/* Another client of the same worker is served at once: what happened is not its business. */
static void check_others_unharmed(struct rig *rig)
{
    struct peer peer;
    peer_open_websocket(&peer, rig->port, rig->client_tls);
    send_payment(&peer, 77);
    check_reply(&peer, "\"id\":77,\"result\"");
    peer_close(&peer);
}

static void post(struct peer *peer, const char *body)
{
    char head[256];
    (void)snprintf(head, sizeof head,
                   "POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   strlen(body));
    peer_send_text(peer, head);
    peer_send_text(peer, body);
}

/* ---- requests and replies ------------------------------------------------------------------ */

/* ---- hostile bytes ------------------------------------------------------------------------- */

static void test_broken_frames_close_with_their_codes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        uint16_t code;
    } broken[] = {
        {"\x82\x80zzzz", 6, 1003},
        {"\x81\x81\0\0\0\0\xff", 7, 1007},
        {"\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0x", 14, 1007},
        {"\x81\x02{}", 4, 1002},
        {"\xc1\x80zzzz", 6, 1002},
        {"\x83\x80zzzz", 6, 1002},
        {"\x80\x80zzzz", 6, 1002},
        {"\x89\xfe\x01\x00zzzz", 8, 1002},
        {"\x81\xff\0\0\0\0\x40\0\0\0zzzz", 14, 1009},
        {"GET / HTTP/1.1\r\n\r\n", 18, 1002},
    };
    struct rig *rig = rig_open();
    rig_start(rig);
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        struct peer peer;
        peer_open_websocket(&peer, rig->port, NULL);
        peer_send(&peer, broken[i].bytes, broken[i].size);
        assert_int_equal(peer_close_code(&peer, REPLY_MS), broken[i].code);
        assert_true(peer_sees_end(&peer, REPLY_MS));
        peer_close(&peer);
    }
    assert_int_equal(metric_get(&rig->metrics, METRIC_PROTOCOL_ERRORS), ARRAY_COUNT(broken));
    check_others_unharmed(rig);
    rig_close(rig);
}

static void test_a_close_code_reaches_a_client_that_goes_on_sending(void **state)
{
    (void)state;
    static uint8_t zeros[65536];
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    peer_send(&peer, "\x81\xff\0\0\0\0\x40\0\0\0zzzz", 14);
    for (uint32_t i = 0; i < 256; i++) {
        peer_send(&peer, zeros, sizeof zeros);
    }
    assert_int_equal(peer_close_code(&peer, REPLY_MS), WEBSOCKET_TOO_BIG);
    peer_close(&peer);
    check_others_unharmed(rig);
    rig_close(rig);
}

static void test_close_frames_are_answered(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    struct buffer out;
    buffer_init(&out, 256);
    peer_open_websocket(&peer, rig->port, NULL);
    websocket_write_close(peer.websocket, WEBSOCKET_NORMAL, "done", &out);
    peer_send(&peer, out.data, out.size);
    assert_int_equal(peer_close_code(&peer, REPLY_MS), WEBSOCKET_NORMAL);
    assert_true(peer_sees_end(&peer, REPLY_MS));
    buffer_deinit(&out);
    peer_close(&peer);
    assert_int_equal(metric_get(&rig->metrics, METRIC_PROTOCOL_ERRORS), 0);
    rig_close(rig);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void test_silent_clients_are_pinged_and_dead_ones_closed(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->times.ping_ms = 100;
    rig->times.dead_ms = 400;
    rig->times.close_ms = 200;
    rig_start(rig);
    struct peer alive;
    struct peer dead;
    peer_open_websocket(&alive, rig->port, NULL);
    peer_open_websocket(&dead, rig->port, NULL);
    /* The living one answers its pings by reading, well past the time of the dead one. */
    const uint64_t begin_ms = test_now_ms();
    while (test_now_ms() - begin_ms < 900) {
        assert_false(peer_reply(&alive, 50));
        assert_int_equal(websocket_code(alive.websocket), WEBSOCKET_BROKEN);
    }
    assert_int_equal(peer_close_code(&dead, 100), WEBSOCKET_POLICY);
    send_payment(&alive, 1);
    check_reply(&alive, "\"id\":1,\"result\"");
    peer_close(&alive);
    peer_close(&dead);
    rig_close(rig);
}

static void test_a_reader_that_takes_nothing_is_closed_and_delays_no_one(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->times.stall_ms = 600;
    rig->times.close_ms = 100;
    rig->node.currencies = 2000;
    rig_start(rig);
    struct peer slow;
    peer_open_websocket(&slow, rig->port, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        peer_message(&slow, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.totals\"}");
    }
    /* Replies wait as answers, not as text: the write queue stays near its mark. */
    wait_for_count(&rig->node.answered, 100);
    for (uint32_t i = 0; i < 5; i++) {
        check_others_unharmed(rig);
        test_sleep_ms(20);
    }
    assert_int_equal(metric_get(&rig->metrics, METRIC_SESSIONS), 1);
    wait_for_metric(&rig->metrics, METRIC_SESSIONS, 0);
    assert_int_equal(atomic_load(&rig->worker.calls), 0);
    peer_close(&slow);
    check_others_unharmed(rig);
    rig_close(rig);
}

/* Rendering for clients on their way out would keep the others waiting. */
static void test_a_closing_session_costs_nothing_more(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    struct rig *rig = rig_open();
    rig->times.dead_ms = 200;
    rig->times.close_ms = 5000;
    atomic_store(&rig->node.hold, COUNT + 1);
    atomic_store(&rig->node.code, CODE_READ_TIMEOUT);
    rig_start(rig);
    struct peer mute;
    peer_open_websocket(&mute, rig->port, NULL);
    for (uint32_t i = 0; i < COUNT; i++) {
        send_payment(&mute, i);
    }
    test_sleep_ms(600); /* its close frame is out, and unanswered */
    assert_int_equal(metric_get(&rig->metrics, METRIC_SESSIONS), 1);
    struct peer honest;
    peer_open_websocket(&honest, rig->port, NULL);
    send_payment(&honest, COUNT);
    check_reply(&honest, "read_timeout");
    assert_int_equal(metric_get(&rig->metrics, METRIC_REQUESTS_REFUSED), 1);
    peer_close(&mute);
    peer_close(&honest);
    rig_close(rig);
}

static void test_a_slow_reader_gets_everything(void **state)
{
    (void)state;
    /* More requests than a session keeps unread: the rest must wait in the network. */
    enum { COUNT = 30, SMALL_COUNT = 3000 };
    struct rig *rig = rig_open();
    rig->times.stall_ms = 2000;
    rig->node.currencies = 2000;
    rig_start(rig);
    struct peer slow;
    peer_open_websocket(&slow, rig->port, NULL);
    for (uint32_t i = 0; i < COUNT; i++) {
        char text[128];
        (void)snprintf(text, sizeof text,
                       "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"ledger.totals\"}", (unsigned)i);
        peer_message(&slow, text);
    }
    for (uint32_t i = 0; i < SMALL_COUNT; i++) {
        send_payment(&slow, COUNT + i);
    }
    uint32_t totals_count = 0;
    for (uint32_t i = 0; i < COUNT + SMALL_COUNT; i++) {
        check_reply(&slow, "\"id\":");
        if (strstr(text_of_peer(&slow), "\"totals\"") != NULL) {
            totals_count++;
            test_sleep_ms(20);
        }
    }
    assert_int_equal(totals_count, COUNT);
    peer_close(&slow);
    rig_close(rig);
}

static void test_a_flood_of_pings_is_not_read_faster_than_answered(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->times.stall_ms = 500;
    rig->times.close_ms = 100;
    rig_start(rig);
    static uint8_t pings[131 * 1000];
    for (size_t i = 0; i < sizeof pings; i += 131) {
        memcpy(pings + i, "\x89\xfdzzzz", 6);
    }
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    const struct timeval patience = {.tv_sec = 2};
    assert_int_equal(setsockopt(peer.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
    for (uint32_t i = 0; i < 500; i++) {
        peer_send(&peer, pings, sizeof pings); /* 65 MB, no byte of the pongs is read */
    }
    check_others_unharmed(rig);
    wait_for_metric(&rig->metrics, METRIC_SESSIONS, 0);
    peer_close(&peer);
    rig_close(rig);
}

static void test_half_a_request_is_not_waited_for_without_end(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->times.open_ms = 150;
    rig->times.body_ms = 300;
    rig->times.idle_ms = 300;
    rig_start(rig);
    struct peer silent;
    struct peer head;
    struct peer body;
    struct peer idle;
    peer_open(&silent, rig->port, NULL);
    peer_open(&head, rig->port, NULL);
    peer_open(&body, rig->port, NULL);
    peer_open(&idle, rig->port, NULL);
    peer_send_text(&head, "GET /livez HT");
    peer_send_text(&body, "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{}");
    assert_int_equal(peer_request(&idle, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_true(peer_sees_end(&silent, REPLY_MS));
    assert_int_equal(peer_response(&head, false), 408);
    assert_true(peer_sees_end(&head, REPLY_MS));
    assert_int_equal(peer_response(&body, false), 408);
    assert_true(peer_sees_end(&idle, REPLY_MS));
    peer_close(&silent);
    peer_close(&head);
    peer_close(&body);
    peer_close(&idle);
    check_others_unharmed(rig);
    rig_close(rig);
}

/* ---- HTTP ---------------------------------------------------------------------------------- */

static void test_pipelined_posts_are_answered_in_order(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    char text[REQUEST_BYTES];
    peer_open(&peer, rig->port, NULL);
    for (uint32_t i = 0; i < 50; i++) {
        pay(text, i);
        post(&peer, text);
    }
    for (uint32_t i = 0; i < 50; i++) {
        (void)snprintf(text, sizeof text, "\"id\":%u,\"result\"", (unsigned)i);
        assert_int_equal(peer_response(&peer, false), 200);
        check_has(&peer, text);
        check_has(&peer, "Content-Type: application/json\r\n");
        check_has(&peer, "Cache-Control: no-store\r\n");
    }
    post(&peer, "{\"jsonrpc\":\"2.0\",\"method\":\"ledger.totals\"}");
    assert_int_equal(peer_response(&peer, false), 204);
    assert_null(strstr((const char *)peer.text.data, "Content-Length")); /* RFC 9110, 8.6 */
    post(&peer, "not json");
    assert_int_equal(peer_response(&peer, false), 200);
    check_has(&peer, "-32700");
    post(&peer, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.totals\"},1]");
    assert_int_equal(peer_response(&peer, false), 200);
    check_has(&peer, "\r\n\r\n[{");
    peer_close(&peer);
    rig_close(rig);
}

static uint16_t request_once(struct rig *rig, const char *request)
{
    struct peer peer;
    peer_open(&peer, rig->port, rig->client_tls);
    const uint16_t status = peer_request(&peer, request);
    peer_close(&peer);
    return status;
}

static void test_a_body_held_back_is_asked_for(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    peer_open(&peer, rig->port, NULL);
    peer_send_text(&peer, "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                          "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(peer_response(&peer, false), 100);
    assert_int_equal(peer_request(&peer, "[]"), 200);
    peer_close(&peer);
    rig_close(rig);
}

static void test_broken_http_ends_with_its_status(void **state)
{
    (void)state;
    static char long_head[HTTP_HEAD_BYTES_MAX + 100];
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peer;
    memset(long_head, 'x', sizeof long_head - 1);
    memcpy(long_head, "GET / HTTP/1.1\r\nX: ", 19);
    assert_int_equal(request_once(rig, long_head), 400);
    assert_int_equal(request_once(rig, "\x16\x03\x01\x02\x05\x01\x01\xfc\x03\x03 \r\n\r\n"), 400);
    assert_int_equal(request_once(rig, "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                                       "Transfer-Encoding: chunked\r\n\r\n"),
                     400);
    peer_open(&peer, rig->port, NULL);
    assert_int_equal(peer_request(&peer, "POST /v1 HTTP/1.1\r\nHost: a\r\n"
                                         "Content-Length: 9999999\r\n\r\n"),
                     413);
    check_has(&peer, "Connection: close\r\n");
    assert_true(peer_sees_end(&peer, REPLY_MS));
    peer_close(&peer);
    peer_open(&peer, rig->port, NULL);
    assert_int_equal(peer_request(&peer, "GET /livez HTTP/1.0\r\n\r\n"), 200);
    assert_true(peer_sees_end(&peer, REPLY_MS));
    peer_close(&peer);
    check_others_unharmed(rig);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_frames_close_with_their_codes),
        cmocka_unit_test(test_a_close_code_reaches_a_client_that_goes_on_sending),
        cmocka_unit_test(test_close_frames_are_answered),
        cmocka_unit_test(test_silent_clients_are_pinged_and_dead_ones_closed),
        cmocka_unit_test(test_a_reader_that_takes_nothing_is_closed_and_delays_no_one),
        cmocka_unit_test(test_a_closing_session_costs_nothing_more),
        cmocka_unit_test(test_a_slow_reader_gets_everything),
        cmocka_unit_test(test_a_flood_of_pings_is_not_read_faster_than_answered),
        cmocka_unit_test(test_half_a_request_is_not_waited_for_without_end),
        cmocka_unit_test(test_pipelined_posts_are_answered_in_order),
        cmocka_unit_test(test_a_body_held_back_is_asked_for),
        cmocka_unit_test(test_broken_http_ends_with_its_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
