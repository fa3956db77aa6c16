/* Much data and the bound of what waits to be sent, plain and with TLS. */
#include "tests/support/stream_pair.h"

#include <string.h>

/* Both ends send 8 MiB at once through queues of 1 MiB and compare each byte. */
static void transfer(struct pair *pair, struct tls_context *client_tls)
{
    enum { SIZE = 8 * 1024 * 1024 };
    uint64_t seed = test_seed();
    struct pair_end *ends[2] = {&pair->client, &pair->server};
    for (int i = 0; i < 2; i++) {
        ends[i]->check_pattern = true;
        ends[i]->send_left = SIZE;
        ends[i]->send_state = seed;
        ends[i]->receive_state = seed;
    }
    pair_connect(pair, client_tls);
    pair_run_until(pair,
                   pair->client.received_total == SIZE && pair->server.received_total == SIZE);
    assert_true(pair->client.drained > 0 && pair->server.drained > 0);
    pair_close(pair);
}

static void test_big_plain_transfers_both_ways(void **state)
{
    transfer(*state, NULL);
}

static void test_big_tls_transfers_both_ways(void **state)
{
    struct pair *pair = *state;
    struct tls_context *tls = pair_context(pair->home, pair->home, 2, false);
    pair->server_options.tls = pair_context(pair->home, pair->home, 1, true);
    transfer(pair, tls);
    tls_context_close(tls);
}

/* The reader pauses: the writer's queue fills to its bound and not beyond. */
static void expect_bound(struct pair *pair, size_t overhead)
{
    uint8_t piece[10000];
    memset(piece, 'p', sizeof piece);
    pair->server.pause_after = 1;
    size_t sent = 0;
    enum status status = STATUS_OK;
    pair_run_until(pair, pair->client.opened == 1);
    for (int i = 0; i < 100000 && status != STATUS_FULL; i++) {
        status = stream_write(pair->client.stream, piece, sizeof piece);
        sent += status == STATUS_OK ? sizeof piece : 0;
        /* Only TLS adds to what was written: 22 bytes to a record of 16 KiB. */
        assert_true(stream_write_bytes(pair->client.stream) <= PAIR_WRITE_MAX + overhead);
        if (status == STATUS_FULL) {
            pair_run_for(pair, 50); /* the kernel takes some more */
            status = stream_write(pair->client.stream, piece, sizeof piece);
            sent += status == STATUS_OK ? sizeof piece : 0;
        } else {
            uv_run(&pair->loop, UV_RUN_NOWAIT);
        }
    }
    check_status(status, STATUS_FULL);
    assert_true(stream_write_bytes(pair->client.stream) > PAIR_WRITE_MAX - 2 * sizeof piece);
    size_t before = pair->server.received_total;
    pair_run_for(pair, 30);
    assert_int_equal(pair->server.received_total, before);
    pair->server.pause_after = 0;
    pair->server.check_pattern = false;
    buffer_deinit(&pair->server.received);
    buffer_init(&pair->server.received, 64 * 1024 * 1024);
    stream_resume(pair->server.stream);
    pair_run_until(pair, pair->server.received_total == sent);
    assert_int_equal(stream_write_bytes(pair->client.stream), 0);
    check_ok(stream_write(pair->client.stream, piece, sizeof piece));
    pair_close(pair);
    assert_int_equal(pair->server.received_total, sent + sizeof piece);
}

static void test_one_write_above_the_bound_is_refused_whole(void **state)
{
    struct pair *pair = *state;
    uint8_t *bytes = calloc(1, PAIR_WRITE_MAX + 1);
    assert_non_null(bytes);
    pair_connect(pair, NULL);
    check_status(stream_write(pair->client.stream, bytes, PAIR_WRITE_MAX + 1), STATUS_FULL);
    assert_int_equal(stream_write_bytes(pair->client.stream), 0);
    check_ok(stream_write(pair->client.stream, bytes, PAIR_WRITE_MAX));
    check_status(stream_write(pair->client.stream, bytes, 1), STATUS_FULL);
    pair->server.check_pattern = false;
    pair_run_until(pair, pair->server.received_total == PAIR_WRITE_MAX);
    free(bytes);
    pair_close(pair);
}

static void test_the_write_queue_is_bounded(void **state)
{
    struct pair *pair = *state;
    pair_connect(pair, NULL);
    expect_bound(pair, 0);
}

static void test_the_write_queue_is_bounded_with_tls(void **state)
{
    struct pair *pair = *state;
    struct tls_context *tls = pair_connect_tls(pair);
    expect_bound(pair, PAIR_WRITE_MAX / 256);
    tls_context_close(tls);
}

int main(void)
{
#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_big_plain_transfers_both_ways),
        STREAM_TEST(test_big_tls_transfers_both_ways),
        STREAM_TEST(test_one_write_above_the_bound_is_refused_whole),
        STREAM_TEST(test_the_write_queue_is_bounded),
        STREAM_TEST(test_the_write_queue_is_bounded_with_tls),
    };
    return cmocka_run_group_tests(tests, pair_group_setup, pair_group_teardown);
}
