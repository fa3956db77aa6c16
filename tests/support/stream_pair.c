#include "tests/support/stream_pair.h"

#include "base/certificate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PATH_BYTES = 512 };

static void end_pump(struct pair_end *end)
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
    struct pair_end *end = data;
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
    struct pair_end *end = data;
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
    struct pair_end *end = data;
    assert_int_equal(stream_write_bytes(stream), 0);
    end->drained++;
    end_pump(end);
}

static void end_close(struct stream *stream, void *data, enum status status)
{
    struct pair_end *end = data;
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
    struct pair *pair = listener->data;
    assert_int_equal(result, 0);
    check_ok(stream_accept(&pair->server.stream, listener, &pair->server_options));
    assert_int_equal(pair->server.opened, 0);
}

void pair_listen(struct pair *pair, const char *host)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    assert_int_equal(uv_tcp_init(&pair->loop, &pair->listener), 0);
    if (strchr(host, ':') != NULL) {
        assert_int_equal(uv_ip6_addr(host, 0, (struct sockaddr_in6 *)&address), 0);
    } else {
        assert_int_equal(uv_ip4_addr(host, 0, (struct sockaddr_in *)&address), 0);
    }
    assert_int_equal(uv_tcp_bind(&pair->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&pair->listener, 16, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&pair->listener, (struct sockaddr *)&address, &size), 0);
    pair->port = address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                               : ntohs(((struct sockaddr_in *)&address)->sin_port);
    pair->listener.data = pair;
}

int pair_group_setup(void **state)
{
    static struct pair pair;
    char error[256];
    pair.home = test_dir_make();
    pair.foreign = test_dir_make();
    check_ok(certificate_make_ca(pair.home, error, sizeof error));
    check_ok(certificate_make_ca(pair.foreign, error, sizeof error));
    check_ok(certificate_make_node(pair.home, 1, NULL, 0, error, sizeof error));
    check_ok(certificate_make_node(pair.home, 2, NULL, 0, error, sizeof error));
    check_ok(certificate_make_node(pair.foreign, 2, NULL, 0, error, sizeof error));
    *state = &pair;
    return 0;
}

int pair_group_teardown(void **state)
{
    struct pair *pair = *state;
    test_dir_remove(pair->home);
    test_dir_remove(pair->foreign);
    return 0;
}

struct stream_options pair_options(struct pair *pair, struct pair_end *end)
{
    return (struct stream_options){.loop = &pair->loop,
                                   .write_bytes_max = PAIR_WRITE_MAX,
                                   .open_timeout_ms = 3000,
                                   .user_timeout_ms = 2000,
                                   .callbacks = end_callbacks,
                                   .data = end};
}

int pair_setup(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(uv_loop_init(&pair->loop), 0);
    pair->client = (struct pair_end){.closed = 0};
    pair->server = (struct pair_end){.closed = 0};
    buffer_init(&pair->client.received, 1024 * 1024);
    buffer_init(&pair->server.received, 1024 * 1024);
    pair->alarmed = false;
    assert_int_equal(uv_timer_init(&pair->loop, &pair->alarm), 0);
    pair->alarm.data = &pair->alarmed;
    pair_listen(pair, "127.0.0.1");
    pair->server_options = pair_options(pair, &pair->server);
    return 0;
}

int pair_teardown(void **state)
{
    struct pair *pair = *state;
    uv_close((uv_handle_t *)&pair->listener, NULL);
    uv_close((uv_handle_t *)&pair->alarm, NULL);
    for (int i = 0; i < 10000 && uv_run(&pair->loop, UV_RUN_ONCE) != 0; i++) {
    }
    assert_int_equal(uv_loop_close(&pair->loop), 0);
    buffer_deinit(&pair->client.received);
    buffer_deinit(&pair->server.received);
    tls_context_close(pair->server_options.tls);
    return 0;
}

void pair_on_alarm(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void pair_run_for(struct pair *pair, uint64_t time_ms)
{
    pair->alarmed = false;
    uv_timer_start(&pair->alarm, pair_on_alarm, time_ms, 0);
    while (!pair->alarmed) {
        uv_run(&pair->loop, UV_RUN_ONCE);
    }
}

void pair_connect(struct pair *pair, struct tls_context *tls)
{
    struct stream_options options = pair_options(pair, &pair->client);
    options.tls = tls;
    check_ok(stream_connect(&pair->client.stream, "127.0.0.1", pair->port, &options));
    assert_int_equal(pair->client.opened, 0);
}

struct tls_context *pair_context(const char *ca_dir, const char *cert_dir, unsigned node,
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

struct tls_context *pair_connect_tls(struct pair *pair)
{
    struct tls_context *client = pair_context(pair->home, pair->home, 2, false);
    pair->server_options.tls = pair_context(pair->home, pair->home, 1, true);
    pair_connect(pair, client);
    return client;
}

void pair_close(struct pair *pair)
{
    if (pair->client.stream != NULL) {
        stream_close(pair->client.stream, STATUS_OK, 500);
    }
    pair_run_until(pair, pair->client.closed == 1 && pair->server.closed == 1);
}

int pair_connect_raw(struct pair *pair)
{
    int raw = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(pair->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(raw, (const struct sockaddr *)&address, sizeof address), 0);
    return raw;
}
