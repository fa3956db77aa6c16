#include "base/certificate.h"
#include "base/clock.h"
#include "consensus/dial.h"
#include "consensus/handshake.h"
#include "tests/support/check.h"
#include "tests/support/trio.h"

#include <stdio.h>
#include <string.h>

/* --- who is let in
 * --------------------------------------------------------------------------------- */

struct visit {
    bool done;
    enum status status;
    struct stream *stream;
    bool closed;
    struct buffer received;
};

static void visit_on_open(struct stream *stream, void *data)
{
    (void)stream;
    (void)data;
}

static void visit_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct visit *visit = data;
    (void)stream;
    write_bytes(&visit->received, bytes, size);
}

static void visit_on_close(struct stream *stream, void *data, enum status status)
{
    struct visit *visit = data;
    (void)stream;
    (void)status;
    visit->stream = NULL;
    visit->closed = true;
}

static void visit_opened(void *data, struct stream *stream, enum status status)
{
    struct visit *visit = data;
    assert_false(visit->done);
    visit->done = true;
    visit->status = status;
    visit->stream = stream;
    if (stream != NULL) {
        const struct stream_callbacks callbacks = {
            .on_open = visit_on_open,
            .on_data = visit_on_data,
            .on_close = visit_on_close,
        };
        stream_set_callbacks(stream, &callbacks, visit);
    }
}

static bool visit_is_done(struct trio *trio, void *data)
{
    const struct visit *visit = data;
    (void)trio;
    return visit->done;
}

static bool visit_is_closed(struct trio *trio, void *data)
{
    const struct visit *visit = data;
    (void)trio;
    return visit->closed;
}

static bool visit_got_something(struct trio *trio, void *data)
{
    const struct visit *visit = data;
    (void)trio;
    return visit->received.size >= 5;
}

static enum status visit_node(struct trio *trio, const struct consensus_options *options,
                              uint32_t id)
{
    struct visit visit = {0};
    buffer_init(&visit.received, 1024);
    check_ok(consensus_copy_connect(options, id, visit_opened, &visit));
    trio_run_until(trio, visit_is_done, &visit, 5000, "the visit ends");
    if (visit.stream != NULL) {
        stream_close(visit.stream, STATUS_CLOSED, 0);
        trio_run_until(trio, visit_is_closed, &visit, 5000, "the stream closes");
    }
    buffer_deinit(&visit.received);
    return visit.status;
}

/* Only node 1 of two runs; node 2's part is played by the test. */
static struct trio *open_with_one(void)
{
    struct trio *trio = trio_open(2);
    trio_start(trio, 1);
    return trio;
}

static void copy_stream_is_handed_over_both_ways(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct consensus_options options = trio_options(trio, 2);
    struct visit visit = {0};
    buffer_init(&visit.received, 1024);
    check_ok(consensus_copy_connect(&options, 1, visit_opened, &visit));
    trio_run_until(trio, visit_is_done, &visit, 5000, "the copy opens");
    check_ok(visit.status);
    check_ok(stream_write(visit.stream, "fetch", 5));
    trio_run_until(trio, visit_got_something, &visit, 5000, "the echo comes back");
    assert_memory_equal(visit.received.data, "fetch", 5);
    assert_int_equal(trio_node(trio, 1)->copies, 1);
    assert_int_equal(trio_node(trio, 1)->copy_peer, 2);
    stream_close(visit.stream, STATUS_CLOSED, 0);
    trio_run_until(trio, visit_is_closed, &visit, 5000, "the stream closes");
    buffer_deinit(&visit.received);
    trio_close(trio);
}

static void foreign_cluster_is_refused(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct consensus_options options = trio_options(trio, 2);
    options.identity.cluster_id.bytes[0] ^= 1;
    check_status(visit_node(trio, &options, 1), STATUS_FOREIGN);
    assert_true(metric_get(&trio_node(trio, 1)->metrics, METRIC_PEER_REFUSED) >= 1);
    assert_int_equal(trio_node(trio, 1)->copies, 0);
    trio_close(trio);
}

static void foreign_incarnation_is_refused(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct consensus_options options = trio_options(trio, 2);
    check_ok(visit_node(trio, &options, 1)); /* recorded at first contact */
    options.identity.incarnation[0] ^= 1;
    check_status(visit_node(trio, &options, 1), STATUS_FOREIGN);
    assert_int_equal(trio_node(trio, 1)->copies, 1);
    trio_close(trio);
}

static void foreign_incarnation_of_the_acceptor_is_refused(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct consensus_options options = trio_options(trio, 2);
    memset(trio_node(trio, 2)->known[1], 0x11, 16); /* not what node 1 has */
    check_status(visit_node(trio, &options, 1), STATUS_FOREIGN);
    trio_close(trio);
}

static void certificate_of_another_node_is_refused(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start(trio, 1);
    struct consensus_options options = trio_options(trio, 3); /* node 3's certificate */
    options.identity.node_id = 2;                             /* claims to be node 2 */
    options.data = trio_node(trio, 2);
    check_status(visit_node(trio, &options, 1), STATUS_FOREIGN);
    assert_int_equal(trio_node(trio, 1)->copies, 0);
    trio_close(trio);
}

static void certificate_of_another_authority_is_refused(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct consensus_options options = trio_options(trio, 2);
    char *dir = test_dir_make();
    char error[256];
    char cert[300];
    char key[300];
    check_ok(certificate_make_ca(dir, error, sizeof error));
    check_ok(certificate_make_node(dir, 2, NULL, 0, error, sizeof error));
    (void)snprintf(cert, sizeof cert, "%s/node2.pem", dir);
    (void)snprintf(key, sizeof key, "%s/node2.key", dir);
    options.tls_cert_path = cert;
    options.tls_key_path = key;
    assert_int_not_equal(visit_node(trio, &options, 1), STATUS_OK);
    assert_true(metric_get(&trio_node(trio, 1)->metrics, METRIC_PEER_REFUSED) >= 1);
    assert_int_equal(trio_node(trio, 1)->copies, 0);
    test_dir_remove(dir);
    trio_close(trio);
}

static void node_outside_the_configuration_is_refused(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    char error[256];
    char cert[300];
    char key[300];
    check_ok(certificate_make_node(trio->dir, 5, NULL, 0, error, sizeof error));
    struct consensus_options options = trio_options(trio, 2);
    (void)snprintf(cert, sizeof cert, "%s/node5.pem", trio->dir);
    (void)snprintf(key, sizeof key, "%s/node5.key", trio->dir);
    options.tls_cert_path = cert;
    options.tls_key_path = key;
    options.identity.node_id = 5;
    check_status(visit_node(trio, &options, 1), STATUS_FOREIGN);
    trio_close(trio);
}

static void connection_meant_for_another_node_is_refused(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start(trio, 1);
    struct consensus_options options = trio_options(trio, 2);
    struct consensus_peer peers[3];
    memcpy(peers, trio->peers, sizeof peers);
    peers[2].port = peers[0].port; /* node 3 is looked for where node 1 listens */
    options.peers = peers;
    check_status(visit_node(trio, &options, 3), STATUS_FOREIGN);
    assert_int_equal(trio_node(trio, 1)->copies, 0); /* refused on both sides */
    trio_close(trio);
}

static void connection_that_says_nothing_is_ended(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct visit visit = {0};
    const struct stream_options plain = {
        .loop = &trio->loop,
        .write_bytes_max = 4096,
        .callbacks = {.on_open = visit_on_open,
                      .on_data = visit_on_data,
                      .on_close = visit_on_close},
        .data = &visit,
    };
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    check_ok(stream_connect(&visit.stream, "127.0.0.1", trio->peers[0].port, &plain));
    trio_run_until(trio, visit_is_closed, &visit, 2 * PEER_CONNECT_MS, "the listener hangs up");
    assert_true(clock_monotonic_ms(clock_system()) - begun_ms + 100 >= PEER_CONNECT_MS);
    trio_close(trio);
}

static bool transport_is_full(struct trio *trio, void *data)
{
    (void)data;
    return metric_get(&trio_node(trio, 1)->metrics, METRIC_PEER_REFUSED) > 0;
}

/* Strangers that say nothing do not keep a peer out, however many there are. */
static void silent_strangers_leave_room_for_a_peer(void **state)
{
    (void)state;
    enum { STRANGERS = PEER_HANDSHAKES_MAX + 4 };
    struct trio *trio = open_with_one();
    struct visit strangers[STRANGERS] = {0};
    const struct stream_options plain = {
        .loop = &trio->loop,
        .write_bytes_max = 4096,
        .callbacks = {.on_open = visit_on_open,
                      .on_data = visit_on_data,
                      .on_close = visit_on_close},
    };
    for (uint32_t i = 0; i < STRANGERS; i++) {
        struct stream_options options = plain;
        options.data = &strangers[i];
        check_ok(stream_connect(&strangers[i].stream, "127.0.0.1", trio->peers[0].port, &options));
    }
    trio_run_until(trio, transport_is_full, NULL, PEER_CONNECT_MS, "too many have connected");
    assert_false(strangers[STRANGERS - 1].closed);
    struct consensus_options options = trio_options(trio, 2);
    check_ok(visit_node(trio, &options, 1));
    for (uint32_t i = 0; i < STRANGERS; i++) {
        trio_run_until(trio, visit_is_closed, &strangers[i], 2 * PEER_CONNECT_MS, "they are gone");
    }
    trio_close(trio);
}

static void mute_on_connection(uv_stream_t *listener, int error)
{
    (void)listener;
    (void)error; /* never accepted: the kernel took the connection, nobody answers on it */
}

static void dial_to_a_listener_that_never_answers_times_out(void **state)
{
    (void)state;
    struct trio *trio = trio_open(2);
    uv_tcp_t listener;
    struct sockaddr_in address;
    uv_tcp_init(&trio->loop, &listener);
    uv_ip4_addr("127.0.0.1", trio->peers[0].port, &address);
    assert_int_equal(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&listener, 8, mute_on_connection), 0);
    struct consensus_options options = trio_options(trio, 2);
    check_status(visit_node(trio, &options, 1), STATUS_TIMEOUT);
    uv_close((uv_handle_t *)&listener, NULL);
    trio_close(trio);
}

static void garbage_in_place_of_a_handshake_is_survived(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct visit visit = {0};
    const struct stream_options plain = {
        .loop = &trio->loop,
        .write_bytes_max = 65536,
        .callbacks = {.on_open = visit_on_open,
                      .on_data = visit_on_data,
                      .on_close = visit_on_close},
        .data = &visit,
    };
    char garbage[5000];
    memset(garbage, 'x', sizeof garbage);
    buffer_init(&visit.received, 4096);
    check_ok(stream_connect(&visit.stream, "127.0.0.1", trio->peers[0].port, &plain));
    check_ok(stream_write(visit.stream, garbage, sizeof garbage));
    trio_run_until(trio, visit_is_closed, &visit, 2 * PEER_CONNECT_MS, "the listener hangs up");
    buffer_deinit(&visit.received);
    struct consensus_options options = trio_options(trio, 2);
    check_ok(visit_node(trio, &options, 1));
    trio_close(trio);
}

static void listening_where_another_listens_is_an_error(void **state)
{
    (void)state;
    struct trio *trio = open_with_one();
    struct consensus_options options = trio_options(trio, 2);
    struct consensus *second = NULL;
    char error[256] = "";
    options.listen_port = trio->peers[0].port;
    check_status(consensus_open(&second, &options, error, sizeof error), STATUS_NETWORK);
    assert_non_null(strstr(error, "can not listen"));
    trio_close(trio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_stream_is_handed_over_both_ways),
        cmocka_unit_test(foreign_cluster_is_refused),
        cmocka_unit_test(foreign_incarnation_is_refused),
        cmocka_unit_test(foreign_incarnation_of_the_acceptor_is_refused),
        cmocka_unit_test(certificate_of_another_node_is_refused),
        cmocka_unit_test(certificate_of_another_authority_is_refused),
        cmocka_unit_test(node_outside_the_configuration_is_refused),
        cmocka_unit_test(connection_meant_for_another_node_is_refused),
        cmocka_unit_test(connection_that_says_nothing_is_ended),
        cmocka_unit_test(silent_strangers_leave_room_for_a_peer),
        cmocka_unit_test(dial_to_a_listener_that_never_answers_times_out),
        cmocka_unit_test(garbage_in_place_of_a_handshake_is_survived),
        cmocka_unit_test(listening_where_another_listens_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
