/* Connections that left their loop: what arrives, and how waiting ends. */
#include "base/channel.h"
#include "base/limits.h"
#include "tests/support/stream_pair.h"

#include <pthread.h>
#include <string.h>

enum { PATTERN_BYTES = 3 * 1024 * 1024, QUEUED_BYTES = 1000, STALL_MS = 10000, LINGER_MS = 5000 };

/* A thread that sends the pattern, behind what was queued. */
struct sender {
    pthread_t thread;
    struct channel *channel;
    const uint8_t *bytes;
    size_t size;
    enum status status;
};

static void *sender_run(void *argument)
{
    struct sender *sender = argument;
    sender->status = channel_send(sender->channel, sender->bytes, sender->size);
    if (sender->status == STATUS_OK) {
        channel_finish(sender->channel, LINGER_MS);
    }
    return NULL;
}

static uint8_t *pattern_make(void)
{
    uint8_t *bytes = malloc(PATTERN_BYTES);
    assert_non_null(bytes);
    uint64_t state = 7;
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        bytes[i] = (uint8_t)test_random(&state);
    }
    return bytes;
}

static void opened(struct pair *pair)
{
    pair_run_until(pair, pair->client.opened == 1 && pair->server.opened == 1);
}

static void expect_all_in_order(struct pair *pair)
{
    uint8_t *bytes = pattern_make();
    pair->client.check_pattern = true;
    pair->client.receive_state = 7;
    opened(pair);
    check_ok(stream_write(pair->server.stream, bytes, QUEUED_BYTES));
    struct sender sender = {.bytes = bytes + QUEUED_BYTES, .size = PATTERN_BYTES - QUEUED_BYTES};
    check_ok(stream_detach(pair->server.stream, STALL_MS, &sender.channel));
    assert_true(stream_closing(pair->server.stream));
    assert_int_equal(pthread_create(&sender.thread, NULL, sender_run, &sender), 0);
    pair_run_until(pair, pair->client.closed == 1);
    assert_int_equal(pthread_join(sender.thread, NULL), 0);
    check_ok(sender.status);
    assert_int_equal(pair->client.received_total, PATTERN_BYTES);
    check_status(pair->client.reason, STATUS_CLOSED); /* in good order */
    assert_int_equal(pair->server.closed, 0);         /* the loop's side ended without a word */
    channel_close(sender.channel);
    free(bytes);
}

static void what_was_queued_and_sent_arrives_in_order(void **state)
{
    pair_connect(*state, NULL);
    expect_all_in_order(*state);
}

static void the_same_with_tls(void **state)
{
    struct tls_context *tls = pair_connect_tls(*state);
    expect_all_in_order(*state);
    tls_context_close(tls);
}

static struct channel *detached(struct pair *pair, uint32_t stall_ms)
{
    struct channel *channel = NULL;
    pair_connect(pair, NULL);
    opened(pair);
    check_ok(stream_detach(pair->server.stream, stall_ms, &channel));
    return channel;
}

static void who_takes_nothing_is_not_waited_for_for_ever(void **state)
{
    struct pair *pair = *state;
    struct channel *channel = detached(pair, 50);
    static const uint8_t zeros[PAIR_WRITE_MAX];
    enum status status = STATUS_OK;
    for (int i = 0; i < 64 && status == STATUS_OK; i++) {
        status = channel_send(channel, zeros, sizeof(zeros)); /* the client's loop does not run */
    }
    check_status(status, STATUS_TIMEOUT);
    channel_close(channel);
    pair_run_until(pair, pair->client.closed == 1);
}

static void a_cut_ends_the_waiting(void **state)
{
    struct pair *pair = *state;
    static const uint8_t zeros[64 * 1024 * 1024];
    struct sender sender = {.bytes = zeros, .size = sizeof(zeros)};
    sender.channel = detached(pair, 600000);
    assert_int_equal(pthread_create(&sender.thread, NULL, sender_run, &sender), 0);
    channel_cut(sender.channel);
    assert_int_equal(pthread_join(sender.thread, NULL), 0);
    check_status(sender.status, STATUS_NETWORK);
    channel_finish(sender.channel, 600000); /* nothing is left to wait for */
    channel_close(sender.channel);
    pair_run_until(pair, pair->client.closed == 1);
}

static void a_peer_that_has_gone_is_noticed(void **state)
{
    struct pair *pair = *state;
    struct channel *channel = detached(pair, STALL_MS);
    stream_close(pair->client.stream, STATUS_CLOSED, 0);
    pair_run_until(pair, pair->client.closed == 1);
    enum status status = STATUS_OK;
    for (int i = 0; i < 1000 && status == STATUS_OK; i++) {
        status = channel_send(channel, "x", 1);
    }
    check_status(status, STATUS_NETWORK);
    channel_close(channel);
}

static void the_end_is_waited_for_no_longer_than_said(void **state)
{
    struct pair *pair = *state;
    struct channel *channel = detached(pair, STALL_MS);
    check_ok(channel_send(channel, "bye", 3));
    channel_finish(channel, 50); /* the client's loop does not run: it does not end */
    channel_close(channel);
    pair_run_until(pair, pair->client.closed == 1);
    assert_int_equal(pair->client.received.size, 3);
}

static void a_stream_that_is_being_written_stays(void **state)
{
    struct pair *pair = *state;
    pair->client.pause_in_open = true;
    pair->server_options.user_timeout_ms = 0; /* the client's pause is no fault here */
    pair_connect(pair, NULL);
    opened(pair);
    static const uint8_t zeros[PAIR_WRITE_MAX];
    for (int i = 0; i < 64 && pair->server.drained == i; i++) {
        check_ok(stream_write(pair->server.stream, zeros, sizeof(zeros)));
        pair_run_for(pair, 20);
    }
    struct channel *channel = NULL;
    check_status(stream_detach(pair->server.stream, STALL_MS, &channel), STATUS_AGAIN);
    assert_null(channel);
    const int drained = pair->server.drained;
    stream_resume(pair->client.stream);
    pair_run_until(pair, pair->server.drained > drained); /* as promised: on_drain follows */
    check_ok(stream_detach(pair->server.stream, STALL_MS, &channel));
    check_status(stream_detach(pair->server.stream, STALL_MS, &channel), STATUS_CLOSED);
    channel_close(channel);
    pair_run_until(pair, pair->client.closed == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_queued_and_sent_arrives_in_order),
        TEST(the_same_with_tls),
        TEST(who_takes_nothing_is_not_waited_for_for_ever),
        TEST(a_cut_ends_the_waiting),
        TEST(a_peer_that_has_gone_is_noticed),
        TEST(the_end_is_waited_for_no_longer_than_said),
        TEST(a_stream_that_is_being_written_stays),
    };
    return cmocka_run_group_tests(tests, pair_group_setup, pair_group_teardown);
}
