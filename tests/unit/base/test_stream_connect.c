/* Names, addresses and connections that do not come about. */
#include "base/check.h"
#include "tests/support/stream_pair.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_ipv6_and_addresses_in_brackets(void **state)
{
    struct pair *pair = *state;
    uv_close((uv_handle_t *)&pair->listener, NULL);
    uv_run(&pair->loop, UV_RUN_NOWAIT);
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 =
        probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (probe >= 0) {
        (void)close(probe);
    }
    pair_listen(pair, has_ipv6 ? "::1" : "127.0.0.1");
    if (!has_ipv6) {
        return; /* a machine without IPv6 */
    }
    struct stream_options options = pair_options(pair, &pair->client);
    pair->client.greeting = "six";
    check_ok(stream_connect(&pair->client.stream, "::1", pair->port, &options));
    pair_run_until(pair, pair->server.received.size == 3);
    assert_int_equal(strncmp(pair->server.address, "[::1]:", 6), 0);
    pair_close(pair);
}

static void test_a_name_is_resolved(void **state)
{
    struct pair *pair = *state;
    struct stream_options options = pair_options(pair, &pair->client);
    pair->client.greeting = "name";
    check_ok(stream_connect(&pair->client.stream, "localhost", pair->port, &options));
    pair_run_until(pair, pair->server.received.size == 4);
    pair_close(pair);
}

/* Takes the place of libc's for the one name; the list is freed by libc's freeaddrinfo. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
    static const char *const addresses[] = {"::1", "127.0.0.3", "127.0.0.2", "127.0.0.1"};
    if (strcmp(name, "four.test") != 0) {
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        memcpy(&real, &symbol, sizeof real);
        return real(name, service, hints, result);
    }
    struct addrinfo *list = NULL;
    for (size_t i = ARRAY_COUNT(addresses); i-- > 0;) {
        struct entry {
            struct addrinfo info;
            struct sockaddr_storage address;
        } *entry = calloc(1, sizeof *entry);
        assert_non_null(entry);
        int port = (int)strtol(service, NULL, 10);
        if (uv_ip4_addr(addresses[i], port, (struct sockaddr_in *)&entry->address) != 0) {
            assert_int_equal(
                uv_ip6_addr(addresses[i], port, (struct sockaddr_in6 *)&entry->address), 0);
        }
        entry->info.ai_family = entry->address.ss_family;
        entry->info.ai_addr = (struct sockaddr *)&entry->address;
        entry->info.ai_next = list;
        list = &entry->info;
    }
    *result = list;
    return 0;
}

static void test_all_addresses_of_a_name_are_tried(void **state)
{
    struct pair *pair = *state;
    struct stream_options options = pair_options(pair, &pair->client);
    pair->client.greeting = "name";
    check_ok(stream_connect(&pair->client.stream, "four.test", pair->port, &options));
    pair_run_until(pair, pair->server.received.size == 4 || pair->client.closed == 1);
    assert_int_equal(pair->server.received.size, 4);
    assert_int_equal(strncmp(pair->client.address, "127.0.0.1:", 10), 0);
    pair_close(pair);
}

static void test_closing_between_two_addresses(void **state)
{
    struct pair *pair = *state;
    struct stream_options options = pair_options(pair, &pair->client);
    for (int turns = 0; turns < 8; turns++) {
        pair->client.closed = 0;
        check_ok(stream_connect(&pair->client.stream, "four.test", 1, &options));
        for (int i = 0; i < turns && pair->client.closed == 0; i++) {
            uv_run(&pair->loop, UV_RUN_ONCE);
        }
        if (pair->client.closed == 0) {
            stream_close(pair->client.stream, STATUS_TIMEOUT, 0);
        }
        pair_run_until(pair, pair->client.closed == 1);
        assert_int_equal(pair->client.opened, 0);
    }
}

static void test_hosts_that_can_not_be_are_refused_at_once(void **state)
{
    struct pair *pair = *state;
    struct stream_options options = pair_options(pair, &pair->client);
    char long_host[300];
    memset(long_host, 'a', sizeof long_host);
    long_host[sizeof long_host - 1] = '\0';
    check_status(stream_connect(&pair->client.stream, "", 1, &options), STATUS_INVALID);
    check_status(stream_connect(&pair->client.stream, long_host, 1, &options), STATUS_INVALID);
    check_status(stream_connect(&pair->client.stream, "127.0.0.1", 0, &options), STATUS_INVALID);
    pair_run_for(pair, 20);
    assert_int_equal(pair->client.closed, 0);
}

static void test_an_unknown_name_ends_as_network(void **state)
{
    struct pair *pair = *state;
    struct stream_options options = pair_options(pair, &pair->client);
    /* A label of more than 63 bytes fits no question to a name server, so that none is asked. */
    static const char name[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid";
    check_ok(stream_connect(&pair->client.stream, name, 1, &options));
    pair_run_until(pair, pair->client.closed == 1);
    check_status(pair->client.reason, STATUS_NETWORK);
    assert_int_equal(pair->client.opened, 0);
}

static void test_closing_while_the_name_is_looked_up(void **state)
{
    struct pair *pair = *state;
    struct stream_options options = pair_options(pair, &pair->client);
    check_ok(stream_connect(&pair->client.stream, "localhost", pair->port, &options));
    stream_close(pair->client.stream, STATUS_TIMEOUT, 1000);
    assert_int_equal(pair->client.closed, 0);
    pair_run_until(pair, pair->client.closed == 1);
    check_status(pair->client.reason, STATUS_TIMEOUT);
}

static void test_a_refused_connection_ends_as_network(void **state)
{
    struct pair *pair = *state;
    struct stream_options options = pair_options(pair, &pair->client);
    int unused = socket(AF_INET, SOCK_STREAM, 0); /* bound, never listening */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(unused, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(unused, (struct sockaddr *)&address, &size), 0);
    check_ok(stream_connect(&pair->client.stream, "127.0.0.1", ntohs(address.sin_port), &options));
    pair_run_until(pair, pair->client.closed == 1);
    check_status(pair->client.reason, STATUS_NETWORK);
    assert_string_equal(pair->client.error, "connection refused");
    (void)close(unused);
}

int main(void)
{
#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_ipv6_and_addresses_in_brackets),
        STREAM_TEST(test_a_name_is_resolved),
        STREAM_TEST(test_all_addresses_of_a_name_are_tried),
        STREAM_TEST(test_closing_between_two_addresses),
        STREAM_TEST(test_hosts_that_can_not_be_are_refused_at_once),
        STREAM_TEST(test_an_unknown_name_ends_as_network),
        STREAM_TEST(test_closing_while_the_name_is_looked_up),
        STREAM_TEST(test_a_refused_connection_ends_as_network),
    };
    return cmocka_run_group_tests(tests, pair_group_setup, pair_group_teardown);
}
