/* Streams over the loopback interface: bytes both ways, and the many ways to end. */
#include "base/limits.h"
#include "tests/support/stream_pair.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_plain_bytes_go_both_ways(void **state)
{
    struct pair *pair = *state;
    pair->server.echo = true;
    pair->client.greeting = "hello";
    pair_connect(pair, NULL);
    check_ok(stream_write(pair->client.stream, "early ", 6));
    pair_run_until(pair, pair->client.received.size == 11);
    assert_memory_equal(pair->client.received.data, "early hello", 11);
    assert_int_equal(pair->client.opened, 1);
    assert_int_equal(pair->server.opened, 1);
    assert_true(pair->client.drained >= 1);
    assert_int_equal(strncmp(pair->server.address, "127.0.0.1:", 10), 0);
    assert_int_equal(pair->server.node, 0);
    pair_close(pair);
    check_ok(pair->client.reason);
    check_status(pair->server.reason, STATUS_CLOSED);
}

static void test_closing_inside_on_data_is_safe(void **state)
{
    struct pair *pair = *state;
    pair->server.close_in_data = true;
    pair->client.greeting = "boo";
    pair_connect(pair, NULL);
    pair_run_until(pair, pair->client.closed == 1 && pair->server.closed == 1);
    check_status(pair->server.reason, STATUS_PROTOCOL);
    assert_int_equal(pair->server.received.size, 3);
}

static void expect_last_words(struct pair *pair)
{
    uint8_t *words = malloc(PAIR_WRITE_MAX);
    assert_non_null(words);
    memset(words, 'w', PAIR_WRITE_MAX);
    pair_run_until(pair, pair->client.opened == 1 && pair->server.opened == 1);
    /* Bytes that the closing side never reads must not turn its close into a reset. */
    stream_pause(pair->server.stream);
    check_ok(stream_write(pair->client.stream, "never read", 10));
    pair_run_for(pair, 20);
    check_ok(stream_write(pair->server.stream, words, PAIR_WRITE_MAX));
    stream_close(pair->server.stream, STATUS_LIMIT, 2000);
    assert_true(stream_closing(pair->server.stream));
    check_status(stream_write(pair->server.stream, "x", 1), STATUS_CLOSED);
    uint64_t before_ms = uv_now(&pair->loop);
    pair_run_until(pair, pair->client.closed == 1 && pair->server.closed == 1);
    /* The other side's end is noticed; the time to linger is not used up. */
    assert_true(uv_now(&pair->loop) - before_ms < 1500);
    assert_int_equal(pair->client.received.size, PAIR_WRITE_MAX);
    check_status(pair->client.reason, STATUS_CLOSED);
    check_status(pair->server.reason, STATUS_LIMIT);
    assert_int_equal(pair->server.received.size, 0);
    free(words);
}

static void test_last_words_arrive(void **state)
{
    pair_connect(*state, NULL);
    expect_last_words(*state);
}

static void test_last_words_arrive_with_tls(void **state)
{
    struct tls_context *tls = pair_connect_tls(*state);
    expect_last_words(*state);
    tls_context_close(tls);
}

static void test_linger_ends_when_nobody_reads(void **state)
{
    struct pair *pair = *state;
    pair_connect(pair, NULL);
    pair_run_until(pair, pair->client.opened == 1 && pair->server.opened == 1);
    stream_pause(pair->server.stream);
    uint64_t before = uv_now(&pair->loop);
    stream_close(pair->client.stream, STATUS_CLOSED, 100);
    pair_run_until(pair, pair->client.closed == 1);
    assert_true(uv_now(&pair->loop) - before >= 90);
    assert_true(uv_now(&pair->loop) - before < 2000);
    stream_close(pair->server.stream, STATUS_CLOSED, 0);
    pair_run_until(pair, pair->server.closed == 1);
}

static void test_a_half_closed_peer_gets_what_is_queued(void **state)
{
    struct pair *pair = *state;
    int raw = pair_connect_raw(pair);
    pair->server.echo = true;
    assert_int_equal(write(raw, "question", 8), 8);
    assert_int_equal(shutdown(raw, SHUT_WR), 0);
    uint64_t before_ms = uv_now(&pair->loop);
    pair_run_until(pair, pair->server.closed == 1);
    assert_true(uv_now(&pair->loop) - before_ms < STREAM_LINGER_MS / 2);
    check_status(pair->server.reason, STATUS_CLOSED);
    char answer[16];
    assert_int_equal(read(raw, answer, sizeof answer), 8);
    assert_memory_equal(answer, "question", 8);
    assert_int_equal(read(raw, answer, sizeof answer), 0);
    (void)close(raw);
}

static void test_a_reset_ends_as_network(void **state)
{
    struct pair *pair = *state;
    int raw = pair_connect_raw(pair);
    pair_run_until(pair, pair->server.opened == 1);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(raw, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    (void)close(raw);
    pair_run_until(pair, pair->server.closed == 1);
    check_status(pair->server.reason, STATUS_NETWORK);
    assert_string_equal(pair->server.error, "connection reset by peer");
}

static void test_writing_to_a_gone_peer_raises_no_signal(void **state)
{
    struct pair *pair = *state;
    int raw = pair_connect_raw(pair);
    pair_run_until(pair, pair->server.opened == 1);
    stream_pause(pair->server.stream); /* so that only writing can notice */
    (void)close(raw);
    for (int i = 0; i < 100 && pair->server.stream != NULL &&
                    stream_write(pair->server.stream, "x", 1) == STATUS_OK;
         i++) {
        pair_run_for(pair, 2);
    }
    pair_run_until(pair, pair->server.closed == 1);
    check_status(pair->server.reason, STATUS_NETWORK);
    struct sigaction now;
    assert_int_equal(sigaction(SIGPIPE, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_IGN);
}

static void test_options_of_the_socket_are_set(void **state)
{
    struct pair *pair = *state;
    pair_connect(pair, NULL);
    pair_run_until(pair, pair->client.opened == 1 && pair->server.opened == 1);
    int found = 0;
    for (int file = 3; file < 256; file++) {
        int nodelay = 0, keepalive = 0, timeout_ms = 0;
        socklen_t size = sizeof nodelay;
        if (getsockopt(file, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size) != 0 || nodelay == 0) {
            continue;
        }
        assert_int_equal(getsockopt(file, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &size), 0);
        assert_int_equal(getsockopt(file, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, &size), 0);
        assert_int_equal(keepalive, 1);
        assert_int_equal(timeout_ms, 2000);
        found++;
    }
    assert_int_equal(found, 2);
    pair_close(pair);
}

static void second_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    (void)stream;
    write_bytes(data, bytes, size);
}

static void second_open(struct stream *stream, void *data)
{
    (void)stream;
    (void)data;
    fail_msg("opened twice");
}

static void second_close(struct stream *stream, void *data, enum status status)
{
    (void)stream;
    (void)status;
    write_bytes(data, "!", 1);
}

static void test_callbacks_can_be_exchanged(void **state)
{
    struct pair *pair = *state;
    pair_connect(pair, NULL);
    pair_run_until(pair, pair->client.opened == 1 && pair->server.opened == 1);
    static const struct stream_callbacks second = {
        .on_open = second_open, .on_data = second_data, .on_close = second_close};
    struct buffer seen;
    buffer_init(&seen, 100);
    stream_set_callbacks(pair->server.stream, &second, &seen);
    assert_ptr_equal(stream_data(pair->server.stream), &seen);
    check_ok(stream_write(pair->client.stream, "new", 3));
    pair_run_until(pair, seen.size == 3);
    stream_close(pair->client.stream, STATUS_OK, 100);
    pair_run_until(pair, seen.size == 4 && pair->client.closed == 1);
    assert_memory_equal(seen.data, "new!", 4);
    buffer_deinit(&seen);
}

int main(void)
{
#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_plain_bytes_go_both_ways),
        STREAM_TEST(test_closing_inside_on_data_is_safe),
        STREAM_TEST(test_last_words_arrive),
        STREAM_TEST(test_last_words_arrive_with_tls),
        STREAM_TEST(test_linger_ends_when_nobody_reads),
        STREAM_TEST(test_a_half_closed_peer_gets_what_is_queued),
        STREAM_TEST(test_a_reset_ends_as_network),
        STREAM_TEST(test_writing_to_a_gone_peer_raises_no_signal),
        STREAM_TEST(test_options_of_the_socket_are_set),
        STREAM_TEST(test_callbacks_can_be_exchanged),
    };
    return cmocka_run_group_tests(tests, pair_group_setup, pair_group_teardown);
}
