/* Streams with TLS: who is let in, and how they end. */
#include "tests/support/stream_pair.h"

static void test_mutual_tls_opens_and_tells_the_node(void **state)
{
    struct pair *pair = *state;
    pair->server.greeting = "welcome";
    pair->client.greeting = "hello";
    struct tls_context *tls = pair_connect_tls(pair);
    check_ok(stream_write(pair->client.stream, "early ", 6));
    pair_run_until(pair, pair->client.received.size == 7 && pair->server.received.size == 11);
    assert_memory_equal(pair->server.received.data, "early hello", 11);
    assert_int_equal(pair->server.node, 2);
    assert_int_equal(pair->client.node, 1);
    pair_close(pair);
    check_ok(pair->client.reason);
    check_status(pair->server.reason, STATUS_CLOSED);
    tls_context_close(tls);
}

static void expect_refused(struct pair *pair, struct tls_context *client, const char *server_says,
                           const char *client_says)
{
    pair->server_options.tls = pair_context(pair->home, pair->home, 1, true);
    pair->client.greeting = "pay everything to me";
    pair_connect(pair, client);
    pair_run_until(pair, pair->client.closed == 1 && pair->server.closed == 1);
    assert_int_equal(pair->server.opened, 0);
    assert_int_equal(pair->server.received.size, 0);
    check_status(pair->server.reason, STATUS_TLS);
    assert_string_equal(pair->server.error, server_says);
    check_status(pair->client.reason, STATUS_TLS);
    assert_string_equal(pair->client.error, client_says);
    tls_context_close(client);
}

static void test_no_certificate_is_refused_before_on_open(void **state)
{
    struct pair *pair = *state;
    expect_refused(pair, pair_context(pair->home, pair->home, 0, false),
                   "the other side sent no certificate", "the other side demands a certificate");
}

static void test_a_foreign_ca_is_refused_before_on_open(void **state)
{
    struct pair *pair = *state;
    expect_refused(pair, pair_context(pair->home, pair->foreign, 2, false),
                   "the other side's certificate is from an unknown CA",
                   "the other side does not know our certificate's CA");
}

static void test_a_plain_client_on_a_tls_port_is_refused(void **state)
{
    struct pair *pair = *state;
    pair->server_options.tls = pair_context(pair->home, pair->home, 1, true);
    pair->client.greeting = "GET / HTTP/1.1\r\n\r\n";
    pair_connect(pair, NULL);
    pair_run_until(pair, pair->client.closed == 1 && pair->server.closed == 1);
    assert_int_equal(pair->server.opened, 0);
    assert_string_equal(pair->server.error, "plain HTTP came to a TLS port");
}

static void test_a_silent_client_times_out(void **state)
{
    struct pair *pair = *state;
    pair->server_options.tls = pair_context(pair->home, pair->home, 1, true);
    pair->server_options.open_timeout_ms = 100;
    pair_connect(pair, NULL);
    pair_run_until(pair, pair->server.closed == 1);
    check_status(pair->server.reason, STATUS_TIMEOUT);
    pair_run_until(pair, pair->client.closed == 1);
}

static void test_a_pause_in_on_open_holds_back_what_came_along(void **state)
{
    struct pair *pair = *state;
    pair->server.pause_in_open = true;
    struct tls_context *tls = pair_connect_tls(pair);
    /* Leaves together with the end of the handshake. */
    check_ok(stream_write(pair->client.stream, "early", 5));
    pair_run_until(pair, pair->server.opened == 1 && pair->client.drained == 1);
    pair_run_for(pair, 30);
    assert_int_equal(pair->server.received.size, 0);
    check_ok(stream_write(pair->server.stream, "open", 4));
    pair_run_until(pair, pair->client.received.size == 4);
    stream_resume(pair->server.stream);
    assert_int_equal(pair->server.received.size, 0);
    pair_run_until(pair, pair->server.received.size == 5);
    check_ok(stream_write(pair->client.stream, " bird", 5));
    pair_run_until(pair, pair->server.received.size == 10);
    assert_memory_equal(pair->server.received.data, "early bird", 10);
    pair_close(pair);
    tls_context_close(tls);
}

static void test_closing_inside_on_open_is_safe(void **state)
{
    struct pair *pair = *state;
    pair->server.close_in_open = true;
    struct tls_context *tls = pair_connect_tls(pair);
    pair_run_until(pair, pair->client.closed == 1 && pair->server.closed == 1);
    check_status(pair->server.reason, STATUS_CLOSED);
    tls_context_close(tls);
}

static void test_tls_cut_without_alert_is_no_orderly_end(void **state)
{
    struct pair *pair = *state;
    struct tls_context *tls = pair_connect_tls(pair);
    pair_run_until(pair, pair->client.opened == 1 && pair->server.opened == 1);
    stream_close(pair->client.stream, STATUS_OK, 0); /* no time for the closing alert */
    pair_run_until(pair, pair->client.closed == 1 && pair->server.closed == 1);
    check_status(pair->server.reason, STATUS_NETWORK);
    tls_context_close(tls);
}

int main(void)
{
#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_mutual_tls_opens_and_tells_the_node),
        STREAM_TEST(test_no_certificate_is_refused_before_on_open),
        STREAM_TEST(test_a_foreign_ca_is_refused_before_on_open),
        STREAM_TEST(test_a_plain_client_on_a_tls_port_is_refused),
        STREAM_TEST(test_a_silent_client_times_out),
        STREAM_TEST(test_a_pause_in_on_open_holds_back_what_came_along),
        STREAM_TEST(test_closing_inside_on_open_is_safe),
        STREAM_TEST(test_tls_cut_without_alert_is_no_orderly_end),
    };
    return cmocka_run_group_tests(tests, pair_group_setup, pair_group_teardown);
}
