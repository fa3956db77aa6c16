/* Streams over the loopback interface, plain and TLS, on one loop. */
#include "base/certificate.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/stream.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATH_BYTES = 512, RUN_MS = 10000, WRITE_MAX = 1024 * 1024 };

/* One end of a connection and what happened to it. */
struct end {
    struct stream *stream;
    struct buffer received;
    int opened;
    int drained;
    int closed;
    enum status reason;
    char error[128];
    uint32_t node;
    char address[64];
    const char *greeting; /* written in on_open */
    size_t pause_after;   /* pauses in on_data once so much has come; 0: never */
    bool close_in_data;   /* closes inside on_data */
    bool close_in_open;
    bool pause_in_open;
    bool echo;
    size_t send_left; /* pumped through on_drain */
    uint64_t send_state, receive_state;
    size_t received_total;
    bool check_pattern;
};

struct world {
    char *home;
    char *foreign;
    uv_loop_t loop;
    uv_tcp_t listener;
    uint16_t port;
    uv_timer_t alarm;
    bool alarmed;
    struct end client;
    struct end server;
    struct stream_options server_options;
};

static void end_pump(struct end *end)
{
    uint8_t piece[16384];
    while (end->send_left > 0) {
        size_t count = end->send_left < sizeof piece ? end->send_left : sizeof piece;
        uint64_t state = end->send_state;
        for (size_t i = 0; i < count; i++) {
            piece[i] = (uint8_t)test_random(&state);
        }
        enum status status = stream_write(end->stream, piece, count);
        if (status == STATUS_FULL) {
            return;
        }
        check_ok(status);
        end->send_state = state;
        end->send_left -= count;
    }
}

static void end_open(struct stream *stream, void *data)
{
    struct end *end = data;
    assert_ptr_equal(end->stream, stream);
    assert_int_equal(end->closed, 0);
    end->opened++;
    end->node = stream_peer_node(stream);
    (void)snprintf(end->address, sizeof end->address, "%s", stream_peer_address(stream));
    if (end->greeting != NULL) {
        check_ok(stream_write(stream, end->greeting, strlen(end->greeting)));
    }
    end_pump(end);
    if (end->pause_in_open) {
        stream_pause(stream);
    }
    if (end->close_in_open) {
        stream_close(stream, STATUS_CLOSED, 0);
        stream_close(stream, STATUS_IO, 0);
    }
}

static void end_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct end *end = data;
    assert_int_equal(end->opened, 1);
    assert_int_equal(end->closed, 0);
    assert_false(stream_closing(stream));
    assert_true(size > 0);
    end->received_total += size;
    if (end->check_pattern) {
        for (size_t i = 0; i < size; i++) {
            if (bytes[i] != (uint8_t)test_random(&end->receive_state)) {
                fail_msg("byte %zu differs", end->received_total - size + i);
            }
        }
    } else {
        write_bytes(&end->received, bytes, size);
    }
    if (end->echo) {
        check_ok(stream_write(stream, bytes, size));
    }
    if (end->pause_after > 0 && end->received_total >= end->pause_after) {
        stream_pause(stream);
    }
    if (end->close_in_data) {
        stream_close(stream, STATUS_PROTOCOL, 0);
        assert_int_equal(end->closed, 0);
        check_status(stream_write(stream, "x", 1), STATUS_CLOSED);
    }
}

static void end_drain(struct stream *stream, void *data)
{
    struct end *end = data;
    assert_int_equal(stream_write_bytes(stream), 0);
    end->drained++;
    end_pump(end);
}

static void end_close(struct stream *stream, void *data, enum status status)
{
    struct end *end = data;
    assert_ptr_equal(end->stream, stream);
    assert_true(stream_closing(stream));
    end->closed++;
    end->reason = status;
    (void)snprintf(end->error, sizeof end->error, "%s", stream_error(stream));
    end->stream = NULL;
}

static const struct stream_callbacks end_callbacks = {
    .on_open = end_open, .on_data = end_data, .on_drain = end_drain, .on_close = end_close};

static void on_connection(uv_stream_t *listener, int result)
{
    struct world *world = listener->data;
    assert_int_equal(result, 0);
    check_ok(stream_accept(&world->server.stream, listener, &world->server_options));
    assert_int_equal(world->server.opened, 0);
}

static void on_alarm(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void listen_on(struct world *world, const char *host)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    assert_int_equal(uv_tcp_init(&world->loop, &world->listener), 0);
    if (strchr(host, ':') != NULL) {
        assert_int_equal(uv_ip6_addr(host, 0, (struct sockaddr_in6 *)&address), 0);
    } else {
        assert_int_equal(uv_ip4_addr(host, 0, (struct sockaddr_in *)&address), 0);
    }
    assert_int_equal(uv_tcp_bind(&world->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&world->listener, 16, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&world->listener, (struct sockaddr *)&address, &size), 0);
    world->port = address.ss_family == AF_INET6
                      ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                      : ntohs(((struct sockaddr_in *)&address)->sin_port);
    world->listener.data = world;
}

static int group_setup(void **state)
{
    static struct world world;
    char error[256];
    world.home = test_dir_make();
    world.foreign = test_dir_make();
    check_ok(certificate_make_ca(world.home, error, sizeof error));
    check_ok(certificate_make_ca(world.foreign, error, sizeof error));
    check_ok(certificate_make_node(world.home, 1, NULL, 0, error, sizeof error));
    check_ok(certificate_make_node(world.home, 2, NULL, 0, error, sizeof error));
    check_ok(certificate_make_node(world.foreign, 2, NULL, 0, error, sizeof error));
    *state = &world;
    return 0;
}

static int group_teardown(void **state)
{
    struct world *world = *state;
    test_dir_remove(world->home);
    test_dir_remove(world->foreign);
    return 0;
}

static struct stream_options options_of(struct world *world, struct end *end)
{
    return (struct stream_options){.loop = &world->loop,
                                   .write_bytes_max = WRITE_MAX,
                                   .open_timeout_ms = 3000,
                                   .user_timeout_ms = 2000,
                                   .callbacks = end_callbacks,
                                   .data = end};
}

static int setup(void **state)
{
    struct world *world = *state;
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->client = (struct end){.closed = 0};
    world->server = (struct end){.closed = 0};
    buffer_init(&world->client.received, 1024 * 1024);
    buffer_init(&world->server.received, 1024 * 1024);
    world->alarmed = false;
    assert_int_equal(uv_timer_init(&world->loop, &world->alarm), 0);
    world->alarm.data = &world->alarmed;
    listen_on(world, "127.0.0.1");
    world->server_options = options_of(world, &world->server);
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    uv_close((uv_handle_t *)&world->listener, NULL);
    uv_close((uv_handle_t *)&world->alarm, NULL);
    for (int i = 0; i < 10000 && uv_run(&world->loop, UV_RUN_ONCE) != 0; i++) {
    }
    assert_int_equal(uv_loop_close(&world->loop), 0);
    buffer_deinit(&world->client.received);
    buffer_deinit(&world->server.received);
    tls_context_close(world->server_options.tls);
    return 0;
}

/* Runs the loop until the condition holds; fails after RUN_MS. */
#define run_until(world, condition)                                                                \
    do {                                                                                           \
        uv_timer_start(&(world)->alarm, on_alarm, RUN_MS, 0);                                      \
        (world)->alarmed = false;                                                                  \
        while (!(condition) && !(world)->alarmed) {                                                \
            uv_run(&(world)->loop, UV_RUN_ONCE);                                                   \
        }                                                                                          \
        uv_timer_stop(&(world)->alarm);                                                            \
        if (!(condition)) {                                                                        \
            fail_msg("never: %s", #condition);                                                     \
        }                                                                                          \
    } while (0)

static void run_for(struct world *world, uint64_t time_ms)
{
    world->alarmed = false;
    uv_timer_start(&world->alarm, on_alarm, time_ms, 0);
    while (!world->alarmed) {
        uv_run(&world->loop, UV_RUN_ONCE);
    }
}

static void connect_client(struct world *world, struct tls_context *tls)
{
    struct stream_options options = options_of(world, &world->client);
    options.tls = tls;
    check_ok(stream_connect(&world->client.stream, "127.0.0.1", world->port, &options));
    assert_int_equal(world->client.opened, 0);
}

static struct tls_context *context_make(const char *ca_dir, const char *cert_dir, unsigned node,
                                        bool server)
{
    char ca[PATH_BYTES], cert[PATH_BYTES], key[PATH_BYTES], error[256] = "";
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", ca_dir);
    (void)snprintf(cert, sizeof cert, "%s/node%u.pem", cert_dir, node);
    (void)snprintf(key, sizeof key, "%s/node%u.key", cert_dir, node);
    struct tls_options options = {.ca_path = ca,
                                  .cert_path = node != 0 ? cert : NULL,
                                  .key_path = node != 0 ? key : NULL,
                                  .server = server,
                                  .verify_peer = true,
                                  .tls13_only = true};
    struct tls_context *context = NULL;
    if (tls_context_open(&context, &options, error, sizeof error) != STATUS_OK) {
        fail_msg("%s", error);
    }
    return context;
}

/* A mutual TLS connection; the caller closes the client's context at the end. */
static struct tls_context *connect_tls(struct world *world)
{
    struct tls_context *client = context_make(world->home, world->home, 2, false);
    world->server_options.tls = context_make(world->home, world->home, 1, true);
    connect_client(world, client);
    return client;
}

static void close_both(struct world *world)
{
    if (world->client.stream != NULL) {
        stream_close(world->client.stream, STATUS_OK, 500);
    }
    run_until(world, world->client.closed == 1 && world->server.closed == 1);
}

static void test_plain_bytes_go_both_ways(void **state)
{
    struct world *world = *state;
    world->server.echo = true;
    world->client.greeting = "hello";
    connect_client(world, NULL);
    check_ok(stream_write(world->client.stream, "early ", 6));
    run_until(world, world->client.received.size == 11);
    assert_memory_equal(world->client.received.data, "early hello", 11);
    assert_int_equal(world->client.opened, 1);
    assert_int_equal(world->server.opened, 1);
    assert_true(world->client.drained >= 1);
    assert_int_equal(strncmp(world->server.address, "127.0.0.1:", 10), 0);
    assert_int_equal(world->server.node, 0);
    close_both(world);
    check_ok(world->client.reason);
    check_status(world->server.reason, STATUS_CLOSED);
}

static void test_ipv6_and_addresses_in_brackets(void **state)
{
    struct world *world = *state;
    uv_close((uv_handle_t *)&world->listener, NULL);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 =
        probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (probe >= 0) {
        (void)close(probe);
    }
    listen_on(world, has_ipv6 ? "::1" : "127.0.0.1");
    if (!has_ipv6) {
        return; /* a machine without IPv6 */
    }
    struct stream_options options = options_of(world, &world->client);
    world->client.greeting = "six";
    check_ok(stream_connect(&world->client.stream, "::1", world->port, &options));
    run_until(world, world->server.received.size == 3);
    assert_int_equal(strncmp(world->server.address, "[::1]:", 6), 0);
    close_both(world);
}

static void test_a_name_is_resolved(void **state)
{
    struct world *world = *state;
    struct stream_options options = options_of(world, &world->client);
    world->client.greeting = "name";
    check_ok(stream_connect(&world->client.stream, "localhost", world->port, &options));
    run_until(world, world->server.received.size == 4);
    close_both(world);
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
    struct world *world = *state;
    struct stream_options options = options_of(world, &world->client);
    world->client.greeting = "name";
    check_ok(stream_connect(&world->client.stream, "four.test", world->port, &options));
    run_until(world, world->server.received.size == 4 || world->client.closed == 1);
    assert_int_equal(world->server.received.size, 4);
    assert_int_equal(strncmp(world->client.address, "127.0.0.1:", 10), 0);
    close_both(world);
}

static void test_closing_between_two_addresses(void **state)
{
    struct world *world = *state;
    struct stream_options options = options_of(world, &world->client);
    for (int turns = 0; turns < 8; turns++) {
        world->client.closed = 0;
        check_ok(stream_connect(&world->client.stream, "four.test", 1, &options));
        for (int i = 0; i < turns && world->client.closed == 0; i++) {
            uv_run(&world->loop, UV_RUN_ONCE);
        }
        if (world->client.closed == 0) {
            stream_close(world->client.stream, STATUS_TIMEOUT, 0);
        }
        run_until(world, world->client.closed == 1);
        assert_int_equal(world->client.opened, 0);
    }
}

static void test_hosts_that_can_not_be_are_refused_at_once(void **state)
{
    struct world *world = *state;
    struct stream_options options = options_of(world, &world->client);
    char long_host[300];
    memset(long_host, 'a', sizeof long_host);
    long_host[sizeof long_host - 1] = '\0';
    check_status(stream_connect(&world->client.stream, "", 1, &options), STATUS_INVALID);
    check_status(stream_connect(&world->client.stream, long_host, 1, &options), STATUS_INVALID);
    check_status(stream_connect(&world->client.stream, "127.0.0.1", 0, &options), STATUS_INVALID);
    run_for(world, 20);
    assert_int_equal(world->client.closed, 0);
}

static void test_an_unknown_name_ends_as_network(void **state)
{
    struct world *world = *state;
    struct stream_options options = options_of(world, &world->client);
    /* A label of more than 63 bytes fits no question to a name server, so that none is asked. */
    static const char name[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid";
    check_ok(stream_connect(&world->client.stream, name, 1, &options));
    run_until(world, world->client.closed == 1);
    check_status(world->client.reason, STATUS_NETWORK);
    assert_int_equal(world->client.opened, 0);
}

static void test_closing_while_the_name_is_looked_up(void **state)
{
    struct world *world = *state;
    struct stream_options options = options_of(world, &world->client);
    check_ok(stream_connect(&world->client.stream, "localhost", world->port, &options));
    stream_close(world->client.stream, STATUS_TIMEOUT, 1000);
    assert_int_equal(world->client.closed, 0);
    run_until(world, world->client.closed == 1);
    check_status(world->client.reason, STATUS_TIMEOUT);
}

static void test_a_refused_connection_ends_as_network(void **state)
{
    struct world *world = *state;
    struct stream_options options = options_of(world, &world->client);
    int unused = socket(AF_INET, SOCK_STREAM, 0); /* bound, never listening */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(unused, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(unused, (struct sockaddr *)&address, &size), 0);
    check_ok(stream_connect(&world->client.stream, "127.0.0.1", ntohs(address.sin_port), &options));
    run_until(world, world->client.closed == 1);
    check_status(world->client.reason, STATUS_NETWORK);
    assert_string_equal(world->client.error, "connection refused");
    (void)close(unused);
}

static void test_mutual_tls_opens_and_tells_the_node(void **state)
{
    struct world *world = *state;
    world->server.greeting = "welcome";
    world->client.greeting = "hello";
    struct tls_context *tls = connect_tls(world);
    check_ok(stream_write(world->client.stream, "early ", 6));
    run_until(world, world->client.received.size == 7 && world->server.received.size == 11);
    assert_memory_equal(world->server.received.data, "early hello", 11);
    assert_int_equal(world->server.node, 2);
    assert_int_equal(world->client.node, 1);
    close_both(world);
    check_ok(world->client.reason);
    check_status(world->server.reason, STATUS_CLOSED);
    tls_context_close(tls);
}

static void expect_refused(struct world *world, struct tls_context *client, const char *server_says,
                           const char *client_says)
{
    world->server_options.tls = context_make(world->home, world->home, 1, true);
    world->client.greeting = "pay everything to me";
    connect_client(world, client);
    run_until(world, world->client.closed == 1 && world->server.closed == 1);
    assert_int_equal(world->server.opened, 0);
    assert_int_equal(world->server.received.size, 0);
    check_status(world->server.reason, STATUS_TLS);
    assert_string_equal(world->server.error, server_says);
    check_status(world->client.reason, STATUS_TLS);
    assert_string_equal(world->client.error, client_says);
    tls_context_close(client);
}

static void test_no_certificate_is_refused_before_on_open(void **state)
{
    struct world *world = *state;
    expect_refused(world, context_make(world->home, world->home, 0, false),
                   "the other side sent no certificate", "the other side demands a certificate");
}

static void test_a_foreign_ca_is_refused_before_on_open(void **state)
{
    struct world *world = *state;
    expect_refused(world, context_make(world->home, world->foreign, 2, false),
                   "the other side's certificate is from an unknown CA",
                   "the other side does not know our certificate's CA");
}

static void test_a_plain_client_on_a_tls_port_is_refused(void **state)
{
    struct world *world = *state;
    world->server_options.tls = context_make(world->home, world->home, 1, true);
    world->client.greeting = "GET / HTTP/1.1\r\n\r\n";
    connect_client(world, NULL);
    run_until(world, world->client.closed == 1 && world->server.closed == 1);
    assert_int_equal(world->server.opened, 0);
    assert_string_equal(world->server.error, "plain HTTP came to a TLS port");
}

static void test_a_silent_client_times_out(void **state)
{
    struct world *world = *state;
    world->server_options.tls = context_make(world->home, world->home, 1, true);
    world->server_options.open_timeout_ms = 100;
    connect_client(world, NULL);
    run_until(world, world->server.closed == 1);
    check_status(world->server.reason, STATUS_TIMEOUT);
    run_until(world, world->client.closed == 1);
}

/* Both ends send 8 MiB at once through queues of 1 MiB and compare each byte. */
static void transfer(struct world *world, struct tls_context *client_tls)
{
    enum { SIZE = 8 * 1024 * 1024 };
    uint64_t seed = test_seed();
    struct end *ends[2] = {&world->client, &world->server};
    for (int i = 0; i < 2; i++) {
        ends[i]->check_pattern = true;
        ends[i]->send_left = SIZE;
        ends[i]->send_state = seed;
        ends[i]->receive_state = seed;
    }
    connect_client(world, client_tls);
    run_until(world, world->client.received_total == SIZE && world->server.received_total == SIZE);
    assert_true(world->client.drained > 0 && world->server.drained > 0);
    close_both(world);
}

static void test_big_plain_transfers_both_ways(void **state)
{
    transfer(*state, NULL);
}

static void test_big_tls_transfers_both_ways(void **state)
{
    struct world *world = *state;
    struct tls_context *tls = context_make(world->home, world->home, 2, false);
    world->server_options.tls = context_make(world->home, world->home, 1, true);
    transfer(world, tls);
    tls_context_close(tls);
}

/* The reader pauses: the writer's queue fills to its bound and not beyond. */
static void expect_bound(struct world *world, size_t overhead)
{
    uint8_t piece[10000];
    memset(piece, 'p', sizeof piece);
    world->server.pause_after = 1;
    size_t sent = 0;
    enum status status = STATUS_OK;
    run_until(world, world->client.opened == 1);
    for (int i = 0; i < 100000 && status != STATUS_FULL; i++) {
        status = stream_write(world->client.stream, piece, sizeof piece);
        sent += status == STATUS_OK ? sizeof piece : 0;
        /* Only TLS adds to what was written: 22 bytes to a record of 16 KiB. */
        assert_true(stream_write_bytes(world->client.stream) <= WRITE_MAX + overhead);
        if (status == STATUS_FULL) {
            run_for(world, 50); /* the kernel takes some more */
            status = stream_write(world->client.stream, piece, sizeof piece);
            sent += status == STATUS_OK ? sizeof piece : 0;
        } else {
            uv_run(&world->loop, UV_RUN_NOWAIT);
        }
    }
    check_status(status, STATUS_FULL);
    assert_true(stream_write_bytes(world->client.stream) > WRITE_MAX - 2 * sizeof piece);
    size_t before = world->server.received_total;
    run_for(world, 30);
    assert_int_equal(world->server.received_total, before);
    world->server.pause_after = 0;
    world->server.check_pattern = false;
    buffer_deinit(&world->server.received);
    buffer_init(&world->server.received, 64 * 1024 * 1024);
    stream_resume(world->server.stream);
    run_until(world, world->server.received_total == sent);
    assert_int_equal(stream_write_bytes(world->client.stream), 0);
    check_ok(stream_write(world->client.stream, piece, sizeof piece));
    close_both(world);
    assert_int_equal(world->server.received_total, sent + sizeof piece);
}

static void test_one_write_above_the_bound_is_refused_whole(void **state)
{
    struct world *world = *state;
    uint8_t *bytes = calloc(1, WRITE_MAX + 1);
    assert_non_null(bytes);
    connect_client(world, NULL);
    check_status(stream_write(world->client.stream, bytes, WRITE_MAX + 1), STATUS_FULL);
    assert_int_equal(stream_write_bytes(world->client.stream), 0);
    check_ok(stream_write(world->client.stream, bytes, WRITE_MAX));
    check_status(stream_write(world->client.stream, bytes, 1), STATUS_FULL);
    world->server.check_pattern = false;
    run_until(world, world->server.received_total == WRITE_MAX);
    free(bytes);
    close_both(world);
}

static void test_the_write_queue_is_bounded(void **state)
{
    struct world *world = *state;
    connect_client(world, NULL);
    expect_bound(world, 0);
}

static void test_the_write_queue_is_bounded_with_tls(void **state)
{
    struct world *world = *state;
    struct tls_context *tls = connect_tls(world);
    expect_bound(world, WRITE_MAX / 256);
    tls_context_close(tls);
}

static void test_a_pause_in_on_open_holds_back_what_came_along(void **state)
{
    struct world *world = *state;
    world->server.pause_in_open = true;
    struct tls_context *tls = connect_tls(world);
    /* Leaves together with the end of the handshake. */
    check_ok(stream_write(world->client.stream, "early", 5));
    run_until(world, world->server.opened == 1 && world->client.drained == 1);
    run_for(world, 30);
    assert_int_equal(world->server.received.size, 0);
    check_ok(stream_write(world->server.stream, "open", 4));
    run_until(world, world->client.received.size == 4);
    stream_resume(world->server.stream);
    assert_int_equal(world->server.received.size, 0);
    run_until(world, world->server.received.size == 5);
    check_ok(stream_write(world->client.stream, " bird", 5));
    run_until(world, world->server.received.size == 10);
    assert_memory_equal(world->server.received.data, "early bird", 10);
    close_both(world);
    tls_context_close(tls);
}

static void test_closing_inside_on_data_is_safe(void **state)
{
    struct world *world = *state;
    world->server.close_in_data = true;
    world->client.greeting = "boo";
    connect_client(world, NULL);
    run_until(world, world->client.closed == 1 && world->server.closed == 1);
    check_status(world->server.reason, STATUS_PROTOCOL);
    assert_int_equal(world->server.received.size, 3);
}

static void test_closing_inside_on_open_is_safe(void **state)
{
    struct world *world = *state;
    world->server.close_in_open = true;
    struct tls_context *tls = connect_tls(world);
    run_until(world, world->client.closed == 1 && world->server.closed == 1);
    check_status(world->server.reason, STATUS_CLOSED);
    tls_context_close(tls);
}

static void expect_last_words(struct world *world)
{
    uint8_t *words = malloc(WRITE_MAX);
    assert_non_null(words);
    memset(words, 'w', WRITE_MAX);
    run_until(world, world->client.opened == 1 && world->server.opened == 1);
    /* Bytes that the closing side never reads must not turn its close into a reset. */
    stream_pause(world->server.stream);
    check_ok(stream_write(world->client.stream, "never read", 10));
    run_for(world, 20);
    check_ok(stream_write(world->server.stream, words, WRITE_MAX));
    stream_close(world->server.stream, STATUS_LIMIT, 2000);
    assert_true(stream_closing(world->server.stream));
    check_status(stream_write(world->server.stream, "x", 1), STATUS_CLOSED);
    uint64_t before_ms = uv_now(&world->loop);
    run_until(world, world->client.closed == 1 && world->server.closed == 1);
    /* The other side's end is noticed; the time to linger is not used up. */
    assert_true(uv_now(&world->loop) - before_ms < 1500);
    assert_int_equal(world->client.received.size, WRITE_MAX);
    check_status(world->client.reason, STATUS_CLOSED);
    check_status(world->server.reason, STATUS_LIMIT);
    assert_int_equal(world->server.received.size, 0);
    free(words);
}

static void test_last_words_arrive(void **state)
{
    connect_client(*state, NULL);
    expect_last_words(*state);
}

static void test_last_words_arrive_with_tls(void **state)
{
    struct tls_context *tls = connect_tls(*state);
    expect_last_words(*state);
    tls_context_close(tls);
}

static void test_linger_ends_when_nobody_reads(void **state)
{
    struct world *world = *state;
    connect_client(world, NULL);
    run_until(world, world->client.opened == 1 && world->server.opened == 1);
    stream_pause(world->server.stream);
    uint64_t before = uv_now(&world->loop);
    stream_close(world->client.stream, STATUS_CLOSED, 100);
    run_until(world, world->client.closed == 1);
    assert_true(uv_now(&world->loop) - before >= 90);
    assert_true(uv_now(&world->loop) - before < 2000);
    stream_close(world->server.stream, STATUS_CLOSED, 0);
    run_until(world, world->server.closed == 1);
}

/* A raw socket connected to the listener. */
static int raw_connect(struct world *world)
{
    int raw = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(world->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(raw, (const struct sockaddr *)&address, sizeof address), 0);
    return raw;
}

static void test_a_half_closed_peer_gets_what_is_queued(void **state)
{
    struct world *world = *state;
    int raw = raw_connect(world);
    world->server.echo = true;
    assert_int_equal(write(raw, "question", 8), 8);
    assert_int_equal(shutdown(raw, SHUT_WR), 0);
    uint64_t before_ms = uv_now(&world->loop);
    run_until(world, world->server.closed == 1);
    assert_true(uv_now(&world->loop) - before_ms < STREAM_LINGER_MS / 2);
    check_status(world->server.reason, STATUS_CLOSED);
    char answer[16];
    assert_int_equal(read(raw, answer, sizeof answer), 8);
    assert_memory_equal(answer, "question", 8);
    assert_int_equal(read(raw, answer, sizeof answer), 0);
    (void)close(raw);
}

static void test_a_reset_ends_as_network(void **state)
{
    struct world *world = *state;
    int raw = raw_connect(world);
    run_until(world, world->server.opened == 1);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(raw, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    (void)close(raw);
    run_until(world, world->server.closed == 1);
    check_status(world->server.reason, STATUS_NETWORK);
    assert_string_equal(world->server.error, "connection reset by peer");
}

static void test_writing_to_a_gone_peer_raises_no_signal(void **state)
{
    struct world *world = *state;
    int raw = raw_connect(world);
    run_until(world, world->server.opened == 1);
    stream_pause(world->server.stream); /* so that only writing can notice */
    (void)close(raw);
    for (int i = 0; i < 100 && world->server.stream != NULL &&
                    stream_write(world->server.stream, "x", 1) == STATUS_OK;
         i++) {
        run_for(world, 2);
    }
    run_until(world, world->server.closed == 1);
    check_status(world->server.reason, STATUS_NETWORK);
    struct sigaction now;
    assert_int_equal(sigaction(SIGPIPE, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_IGN);
}

static void test_tls_cut_without_alert_is_no_orderly_end(void **state)
{
    struct world *world = *state;
    struct tls_context *tls = connect_tls(world);
    run_until(world, world->client.opened == 1 && world->server.opened == 1);
    stream_close(world->client.stream, STATUS_OK, 0); /* no time for the closing alert */
    run_until(world, world->client.closed == 1 && world->server.closed == 1);
    check_status(world->server.reason, STATUS_NETWORK);
    tls_context_close(tls);
}

static void test_options_of_the_socket_are_set(void **state)
{
    struct world *world = *state;
    connect_client(world, NULL);
    run_until(world, world->client.opened == 1 && world->server.opened == 1);
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
    close_both(world);
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
    struct world *world = *state;
    connect_client(world, NULL);
    run_until(world, world->client.opened == 1 && world->server.opened == 1);
    static const struct stream_callbacks second = {
        .on_open = second_open, .on_data = second_data, .on_close = second_close};
    struct buffer seen;
    buffer_init(&seen, 100);
    stream_set_callbacks(world->server.stream, &second, &seen);
    assert_ptr_equal(stream_data(world->server.stream), &seen);
    check_ok(stream_write(world->client.stream, "new", 3));
    run_until(world, seen.size == 3);
    stream_close(world->client.stream, STATUS_OK, 100);
    run_until(world, seen.size == 4 && world->client.closed == 1);
    assert_memory_equal(seen.data, "new!", 4);
    buffer_deinit(&seen);
}

int main(void)
{
#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_plain_bytes_go_both_ways),
        STREAM_TEST(test_ipv6_and_addresses_in_brackets),
        STREAM_TEST(test_a_name_is_resolved),
        STREAM_TEST(test_all_addresses_of_a_name_are_tried),
        STREAM_TEST(test_closing_between_two_addresses),
        STREAM_TEST(test_hosts_that_can_not_be_are_refused_at_once),
        STREAM_TEST(test_an_unknown_name_ends_as_network),
        STREAM_TEST(test_closing_while_the_name_is_looked_up),
        STREAM_TEST(test_a_refused_connection_ends_as_network),
        STREAM_TEST(test_mutual_tls_opens_and_tells_the_node),
        STREAM_TEST(test_no_certificate_is_refused_before_on_open),
        STREAM_TEST(test_a_foreign_ca_is_refused_before_on_open),
        STREAM_TEST(test_a_plain_client_on_a_tls_port_is_refused),
        STREAM_TEST(test_a_silent_client_times_out),
        STREAM_TEST(test_big_plain_transfers_both_ways),
        STREAM_TEST(test_big_tls_transfers_both_ways),
        STREAM_TEST(test_one_write_above_the_bound_is_refused_whole),
        STREAM_TEST(test_the_write_queue_is_bounded),
        STREAM_TEST(test_a_pause_in_on_open_holds_back_what_came_along),
        STREAM_TEST(test_the_write_queue_is_bounded_with_tls),
        STREAM_TEST(test_closing_inside_on_data_is_safe),
        STREAM_TEST(test_closing_inside_on_open_is_safe),
        STREAM_TEST(test_last_words_arrive),
        STREAM_TEST(test_last_words_arrive_with_tls),
        STREAM_TEST(test_linger_ends_when_nobody_reads),
        STREAM_TEST(test_a_half_closed_peer_gets_what_is_queued),
        STREAM_TEST(test_a_reset_ends_as_network),
        STREAM_TEST(test_writing_to_a_gone_peer_raises_no_signal),
        STREAM_TEST(test_tls_cut_without_alert_is_no_orderly_end),
        STREAM_TEST(test_options_of_the_socket_are_set),
        STREAM_TEST(test_callbacks_can_be_exchanged),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
