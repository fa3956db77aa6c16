/* gateway/worker.h: many sessions, sessions that vanish, too many of them, scans, and the end. */
#include "base/check.h"
#include "base/limits.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { REPLY_MS = 5000 };

static const char payment[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"payment.create\",\"params\":{\"id\":"
    "\"0198d2c4-a0f0-7c3e-9b1f-5a1122334455\",\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"}}";

static void check_reply(struct peer *peer, const char *wanted)
{
    if (!peer_reply(peer, REPLY_MS)) {
        fail_msg("no reply, wanted '%s'", wanted);
    }
    if (strstr((const char *)peer->text.data, wanted) == NULL) {
        fail_msg("no '%s' in '%s'", wanted, (const char *)peer->text.data);
    }
}

/* Ends a connection the rude way: the other side gets a reset. */
static void peer_reset(struct peer *peer)
{
    const struct linger linger = {.l_onoff = 1};
    assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    peer_close(peer);
}

static void test_answers_for_vanished_sessions_are_dropped(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct rig *rig = rig_open();
    rig->node.hold = COUNT + 1;
    rig_start(rig);
    struct peer peers[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        char array[2 * sizeof payment + 8];
        (void)snprintf(array, sizeof array, "[%s]", payment);
        peer_open_websocket(&peers[i], rig->port, NULL);
        peer_message(&peers[i], i % 2 == 0 ? payment : array);
    }
    wait_for_count(&rig->node.submitted, COUNT);
    assert_int_equal(atomic_load(&rig->worker.calls), COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % 3 == 0) {
            peer_reset(&peers[i]);
        } else {
            peer_close(&peers[i]);
        }
    }
    wait_for_metric(&rig->metrics, METRIC_SESSIONS, 0);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    peer_message(&peer, payment);
    check_reply(&peer, "\"id\":1,\"result\"");
    wait_for_count(&rig->worker.calls, 0);
    peer_close(&peer);
    rig_close(rig);
}

static void test_the_end_is_announced(void **state)
{
    (void)state;
    enum { COUNT = 10 };
    struct rig *rig = rig_open();
    rig_start(rig);
    struct peer peers[COUNT];
    struct peer half;
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_open_websocket(&peers[i], rig->port, NULL);
    }
    peer_open(&half, rig->port, NULL); /* one that never says a word, and one in mid-sentence */
    peer_send_text(&half, "GET ");
    worker_stop(&rig->worker);
    for (uint32_t i = 0; i + 1 < COUNT; i++) {
        assert_int_equal(peer_close_code(&peers[i], REPLY_MS), WEBSOCKET_GOING_AWAY);
        assert_true(peer_sees_end(&peers[i], REPLY_MS));
    }
    /* The last one reads nothing: the worker does not wait for it without end. */
    const uint64_t begin_ms = test_now_ms();
    rig_close(rig);
    assert_true(test_now_ms() - begin_ms < 3000);
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_close(&peers[i]);
    }
    peer_close(&half);
}

static void test_drained_workers_let_answers_out_and_nobody_in(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->node.hold = 2;
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    peer_message(&peer, payment);
    wait_for_count(&rig->node.submitted, 1);
    worker_drain(&rig->worker);
    peer_message(&peer, payment);
    check_reply(&peer, "shutting_down");
    assert_int_equal(atomic_load(&rig->worker.calls), 1);
    rig->node.hold = 0;
    check_reply(&peer, "\"id\":1,\"result\"");
    wait_for_count(&rig->worker.calls, 0);
    assert_int_equal(peer_close_code(&peer, 50), WEBSOCKET_BROKEN); /* it stays until the end */
    peer_close(&peer);
    rig_close(rig);
}

static void test_too_many_connections_are_told_so(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig->sessions_max = 3;
    rig_start(rig);
    struct peer peers[4];
    for (uint32_t i = 0; i < 3; i++) {
        peer_open_websocket(&peers[i], rig->port, NULL);
    }
    peer_open(&peers[3], rig->port, NULL);
    assert_int_equal(peer_request(&peers[3], "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 503);
    assert_non_null(strstr((const char *)peers[3].text.data, "Retry-After: 1\r\n"));
    assert_true(peer_sees_end(&peers[3], REPLY_MS));
    peer_close(&peers[0]);
    wait_for_metric(&rig->metrics, METRIC_SESSIONS, 2);
    peer_open_websocket(&peers[0], rig->port, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        peer_close(&peers[i]);
    }
    rig_close(rig);
}

/* Many large messages that never end would fill the memory; small ones are not to blame. */
static void test_unfinished_messages_are_bounded_together(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    static uint8_t zeros[1024 * 1024];
    struct rig *rig = rig_open();
    rig->input_bytes_max = 6 * 1024 * 1024;
    rig_start(rig);
    struct peer small;
    struct peer peers[COUNT];
    peer_open_websocket(&small, rig->port, NULL);
    peer_send(&small, "\x81\xff\0\0\0\0\0\x20\0\0zzzzbegun", 19);
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_open_websocket(&peers[i], rig->port, NULL);
        peer_send(&peers[i], "\x81\xff\0\0\0\0\0\x20\0\0zzzz", 14);
        peer_send(&peers[i], zeros, sizeof zeros);
    }
    uint32_t refused_count = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        refused_count += peer_close_code(&peers[i], 200) == WEBSOCKET_TRY_LATER;
        peer_close(&peers[i]);
    }
    assert_true(refused_count > 0 && refused_count < COUNT);
    assert_int_equal(peer_close_code(&small, 50), WEBSOCKET_BROKEN);
    peer_close(&small);
    rig_close(rig);
}

/* Clients that begin messages and never end them keep nobody from sending one. */
static void test_the_longest_unfinished_message_goes_first(void **state)
{
    (void)state;
    enum { COUNT = 5 };
    static uint8_t zeros[1024 * 1024];
    static char message[1024 * 1024];
    struct rig *rig = rig_open();
    rig->input_bytes_max = COUNT * 1024 * 1024 + 256 * 1024;
    rig_start(rig);
    struct peer peers[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_open_websocket(&peers[i], rig->port, NULL);
        peer_send(&peers[i], "\x81\xff\0\0\0\0\0\x20\0\0zzzz", 14);
        peer_send(&peers[i], zeros, sizeof zeros);
    }
    int size = snprintf(message, sizeof message, "%s%*s", payment, 900 * 1024, "");
    assert_true(size > 900 * 1024 && (size_t)size < sizeof message);
    struct peer honest;
    peer_open_websocket(&honest, rig->port, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        peer_message(&honest, message);
        check_reply(&honest, "\"id\":1,\"result\"");
    }
    assert_int_equal(peer_close_code(&peers[0], REPLY_MS), WEBSOCKET_TRY_LATER);
    peer_close(&honest);
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_close(&peers[i]);
    }
    rig_close(rig);
}

/* Many clients that ask for much and read nothing are not given their 10 s each. */
static void test_unread_answers_are_bounded_together(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.totals\"}";
    struct rig *rig = rig_open();
    rig->unsent_bytes_max = 4 * 1024 * 1024;
    rig->times.sweep_ms = 200;
    rig->node.currencies = 2000;
    rig_start(rig);
    struct peer honest;
    struct peer peers[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_open_websocket(&peers[i], rig->port, NULL);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        struct buffer asks;
        buffer_init(&asks, 64 * 1024);
        for (uint32_t j = 0; j < 100; j++) {
            websocket_write_text(peers[i].websocket, TEXT(ask), &asks);
        }
        /* May fail: the first ones may have been cut by now. */
        (void)send(peers[i].fd, asks.data, asks.size, MSG_NOSIGNAL);
        buffer_deinit(&asks);
    }
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    while (metric_get(&rig->metrics, METRIC_SESSIONS) > COUNT / 2) {
        assert_true(clock_monotonic_ms(clock_system()) - begun_ms < SESSION_STALL_MS / 2);
        test_sleep_ms(10);
    }
    peer_open_websocket(&honest, rig->port, NULL);
    peer_message(&honest, ask);
    check_reply(&honest, "\"id\":1,\"result\"");
    peer_close(&honest);
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_close(&peers[i]);
    }
    rig_close(rig);
}

static void test_scans_run_on_the_worker(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char error[256] = "";
    struct rig *rig = rig_open();
    const struct ledger_options options = {
        .path = dir, .map_bytes = 64 * 1024 * 1024, .metrics = &rig->metrics};
    check_ok(ledger_open(&rig->options.ledger, &options, error, sizeof error));
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"account.list\",\"params\":{}}");
    check_reply(&peer, "\"accounts\":[]");
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"payment.list\",\"params\":"
                        "{\"account\":\"nobody\"}}");
    check_reply(&peer, "\"code\":\"not_found\"");
    atomic_store(&rig->node.code, CODE_READ_TIMEOUT);
    peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"account.list\",\"params\":{}}");
    check_reply(&peer, "\"code\":\"read_timeout\"");
    peer_close(&peer);
    struct ledger *ledger = rig->options.ledger;
    rig_close(rig);
    ledger_close(ledger);
    test_dir_remove(dir);
}

/* A clock on which each look takes longer than a worker may scan in one turn. */
static uint64_t jumping_ns(void *data)
{
    _Atomic uint64_t *now_ns = data;
    return atomic_fetch_add(now_ns, (WORKER_SCAN_TURN_US + 1) * UINT64_C(1000));
}

static void test_long_scans_of_one_array_let_others_in(void **state)
{
    (void)state;
    enum { SCANS = 64 };
    char *dir = test_dir_make();
    char error[256] = "";
    _Atomic uint64_t now_ns = 1000000;
    const struct clock clock = {
        .data = &now_ns, .monotonic_ns = jumping_ns, .wall_ns = clock_system()->wall_ns};
    struct rig *rig = rig_open();
    const struct ledger_options options = {
        .path = dir, .map_bytes = 64 * 1024 * 1024, .metrics = &rig->metrics};
    check_ok(ledger_open(&rig->options.ledger, &options, error, sizeof error));
    rig->options.clock = &clock;
    rig_start(rig);
    struct buffer asks;
    buffer_init(&asks, 64 * 1024);
    for (uint32_t i = 0; i < SCANS; i++) {
        write_format(&asks,
                     "%s{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"account.list\",\"params\":{}}",
                     i == 0 ? "[" : ",", (unsigned)i);
    }
    write_bytes(&asks, "]", 2);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, NULL);
    peer_message(&peer, (const char *)asks.data);
    check_reply(&peer, "\"id\":63,\"result\"");
    /* Each turn has room for one: the array took as many turns as it has scans. */
    assert_int_equal(metric_get(&rig->metrics, METRIC_SCANS_PUT_OFF), SCANS - 1);
    /* What waits is dropped with its session. */
    peer_message(&peer, (const char *)asks.data);
    peer_close(&peer);
    struct ledger *ledger = rig->options.ledger;
    rig_close(rig);
    buffer_deinit(&asks);
    ledger_close(ledger);
    test_dir_remove(dir);
}

static void test_works_the_same_over_tls(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    struct rig *rig = rig_open();
    rig_use_tls(rig, dir);
    rig->node.currencies = 2000;
    rig->times.open_ms = 300;
    rig_start(rig);
    struct peer peer;
    peer_open_websocket(&peer, rig->port, rig->client_tls);
    for (uint32_t i = 0; i < 30; i++) {
        peer_message(&peer, payment);
        peer_message(&peer, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ledger.totals\"}");
    }
    for (uint32_t i = 0; i < 30; i++) {
        check_reply(&peer, "\"id\":1,\"result\"");
        check_reply(&peer, "\"id\":2,\"result\"");
    }
    /* Plaintext on a TLS port, and a handshake that never goes on. */
    struct peer plain;
    struct peer silent;
    peer_open(&plain, rig->port, NULL);
    peer_open(&silent, rig->port, NULL);
    peer_send_text(&plain, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(peer_response(&plain, false), 0);
    assert_true(peer_sees_end(&plain, REPLY_MS));
    assert_true(peer_sees_end(&silent, REPLY_MS));
    peer_close(&plain);
    peer_close(&silent);
    peer_send(&peer, "\x82\x80zzzz", 6);
    assert_int_equal(peer_close_code(&peer, REPLY_MS), WEBSOCKET_UNSUPPORTED);
    peer_close(&peer);
    rig_close(rig);
    test_dir_remove(dir);
}

/* Ten thousand idle clients must be cheap: at most 16 KiB each (here with everything around). */
static void test_an_idle_session_holds_little_memory(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct rig *rig = rig_open();
    rig_start(rig);
    static struct peer peers[COUNT];
    rig->node.currencies = 500;         /* a large answer before, which must leave nothing behind */
    const size_t peer_bytes = 6 * 1024; /* the client's side of each, in the same process */
    struct peer warm;
    peer_open_websocket(&warm, rig->port, NULL);
    peer_message(&warm, payment);
    check_reply(&warm, "\"id\":1,\"result\"");
    const size_t before = mallinfo2().uordblks;
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_open_websocket(&peers[i], rig->port, NULL);
        peer_message(&peers[i], "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ledger.totals\"}");
        check_reply(&peers[i], "\"id\":2,\"result\"");
        websocket_release(peers[i].websocket);
        buffer_deinit(&peers[i].text);
        buffer_deinit(&peers[i].input);
    }
    test_sleep_ms(50);
    const size_t each = (mallinfo2().uordblks - before) / COUNT;
    if (each > 16 * 1024 + peer_bytes) {
        fail_msg("%zu bytes for each session", each);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        peer_close(&peers[i]);
    }
    wait_for_metric(&rig->metrics, METRIC_SESSIONS, 1);
    peer_close(&warm);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_for_vanished_sessions_are_dropped),
        cmocka_unit_test(test_the_end_is_announced),
        cmocka_unit_test(test_drained_workers_let_answers_out_and_nobody_in),
        cmocka_unit_test(test_too_many_connections_are_told_so),
        cmocka_unit_test(test_unfinished_messages_are_bounded_together),
        cmocka_unit_test(test_the_longest_unfinished_message_goes_first),
        cmocka_unit_test(test_unread_answers_are_bounded_together),
        cmocka_unit_test(test_scans_run_on_the_worker),
        cmocka_unit_test(test_long_scans_of_one_array_let_others_in),
        cmocka_unit_test(test_works_the_same_over_tls),
        cmocka_unit_test(test_an_idle_session_holds_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
