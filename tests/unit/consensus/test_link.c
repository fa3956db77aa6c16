#include "base/clock.h"
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/trio.h"

#include <stdlib.h>
#include <string.h>

struct expectation {
    uint32_t node;
    uint32_t peer;
    uint32_t count;
};

static bool all_links_are_up(struct trio *trio, void *data)
{
    (void)data;
    for (uint32_t from = 1; from <= trio->count; from++) {
        for (uint32_t to = 1; to <= trio->count; to++) {
            const struct trio_node *node = trio_node(trio, from);
            if (from != to && node->consensus != NULL && trio_node(trio, to)->consensus != NULL &&
                !node->links_up[to]) {
                return false;
            }
        }
    }
    return true;
}

static bool messages_came(struct trio *trio, void *data)
{
    const struct expectation *wanted = data;
    return trio_node(trio, wanted->node)->messages_count >= wanted->count;
}

static bool link_is_down(struct trio *trio, void *data)
{
    const struct expectation *wanted = data;
    return !trio_node(trio, wanted->node)->links_up[wanted->peer];
}

static void messages_arrive_in_order_from_each_peer(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_run_until(trio, all_links_are_up, NULL, 5000, "all links are up");
    for (uint64_t i = 1; i <= 1000; i++) {
        uint8_t bytes[200] = {0};
        put_u64(bytes, i);
        check_ok(consensus_send(trio_node(trio, 1)->consensus, 3, bytes, 8 + i % 190));
        check_ok(consensus_send(trio_node(trio, 2)->consensus, 3, bytes, 8 + i % 150));
    }
    struct expectation wanted = {.node = 3, .count = 2000};
    trio_run_until(trio, messages_came, &wanted, 5000, "all messages arrive");
    const struct trio_node *node = trio_node(trio, 3);
    uint64_t next[4] = {0, 1, 1, 1};
    for (uint32_t i = 0; i < node->messages_count; i++) {
        assert_int_equal(node->messages_number[i], next[node->messages_from[i]]++);
    }
    assert_int_equal(next[1], 1001);
    assert_int_equal(next[2], 1001);
    trio_close(trio);
}

static void largest_frame_passes_and_small_ones_behind_it(void **state)
{
    (void)state;
    struct trio *trio = trio_open(2);
    trio_start_all(trio);
    trio_run_until(trio, all_links_are_up, NULL, 5000, "all links are up");
    uint8_t *bytes = calloc(1, LINK_FRAME_BYTES_MAX);
    assert_non_null(bytes);
    put_u64(bytes, 77);
    struct consensus *sender = trio_node(trio, 1)->consensus;
    check_ok(consensus_send(sender, 2, bytes, LINK_FRAME_BYTES_MAX));
    struct expectation wanted = {.node = 2, .count = 1};
    put_u64(bytes, 78);
    check_ok(consensus_send(sender, 2, bytes, 8));
    /* The second great one does not fit while the first one waits. */
    check_status(consensus_send(sender, 2, bytes, LINK_FRAME_BYTES_MAX), STATUS_FULL);
    trio_run_until(trio, messages_came, &wanted, 20000, "the great message arrives");
    assert_int_equal(trio_node(trio, 2)->messages_bytes[0], LINK_FRAME_BYTES_MAX);
    wanted.count = 2;
    trio_run_until(trio, messages_came, &wanted, 5000, "the small message arrives");
    assert_int_equal(trio_node(trio, 2)->messages_number[0], 77);
    assert_int_equal(trio_node(trio, 2)->messages_number[1], 78);
    assert_int_equal(trio_node(trio, 1)->links_lost, 0);
    free(bytes);
    trio_close(trio);
}

static void link_reports_loss_and_comes_back(void **state)
{
    (void)state;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    trio_run_until(trio, all_links_are_up, NULL, 5000, "all links are up");
    trio_stop(trio, 2);
    struct expectation wanted = {.node = 1, .peer = 2};
    trio_run_until(trio, link_is_down, &wanted, 5000, "the loss is noticed");
    uint8_t bytes[8] = {0};
    check_status(consensus_send(trio_node(trio, 1)->consensus, 2, bytes, 8), STATUS_NETWORK);
    assert_false(consensus_link_up(trio_node(trio, 1)->consensus, 2));
    assert_true(consensus_link_up(trio_node(trio, 1)->consensus, 3));
    trio_start(trio, 2);
    trio_run_until(trio, all_links_are_up, NULL, 5000, "all links are up again");
    check_ok(consensus_send(trio_node(trio, 1)->consensus, 2, bytes, 8));
    wanted = (struct expectation){.node = 2, .count = 1};
    trio_run_until(trio, messages_came, &wanted, 5000, "a message arrives");
    trio_close(trio);
}

static void unknown_peers_and_oneself_have_no_link(void **state)
{
    (void)state;
    struct trio *trio = trio_open(2);
    trio_start_all(trio);
    uint8_t bytes[8] = {0};
    check_status(consensus_send(trio_node(trio, 1)->consensus, 1, bytes, 8), STATUS_NETWORK);
    check_status(consensus_send(trio_node(trio, 1)->consensus, 9, bytes, 8), STATUS_NETWORK);
    assert_false(consensus_link_up(trio_node(trio, 1)->consensus, 1));
    trio_close(trio);
}

/* --- a peer played by the test: node 2, which runs no consensus
 * ------------------------------------- */

struct impostor {
    struct endpoint endpoint;
    struct dial *dial;
    struct stream *stream;
    bool closed;
    bool idle;
};

static void impostor_on_open(struct stream *stream, void *data)
{
    (void)stream;
    (void)data;
}

static void impostor_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    (void)stream;
    (void)data;
    (void)bytes;
    (void)size;
}

static void impostor_on_close(struct stream *stream, void *data, enum status status)
{
    struct impostor *impostor = data;
    (void)stream;
    (void)status;
    impostor->stream = NULL;
    impostor->closed = true;
}

static void impostor_dialed(void *data, struct stream *stream, enum status status)
{
    struct impostor *impostor = data;
    check_ok(status);
    const struct stream_callbacks callbacks = {
        .on_open = impostor_on_open,
        .on_data = impostor_on_data,
        .on_close = impostor_on_close,
    };
    stream_set_callbacks(stream, &callbacks, impostor);
    impostor->stream = stream;
}

static bool impostor_is_in(struct trio *trio, void *data)
{
    const struct impostor *impostor = data;
    (void)trio;
    return impostor->stream != NULL;
}

static bool impostor_is_out(struct trio *trio, void *data)
{
    const struct impostor *impostor = data;
    (void)trio;
    return impostor->closed;
}

static void impostor_on_idle(void *data)
{
    struct impostor *impostor = data;
    impostor->idle = true;
}

static bool impostor_is_idle(struct trio *trio, void *data)
{
    const struct impostor *impostor = data;
    (void)trio;
    return impostor->idle;
}

static void impostor_open(struct trio *trio, struct impostor *impostor, enum connection_kind kind)
{
    char error[256];
    struct consensus_options options = trio_options(trio, 2);
    *impostor = (struct impostor){.stream = NULL};
    check_ok(endpoint_open(&impostor->endpoint, &options, error, sizeof error));
    check_ok(dial_open(&impostor->dial, &impostor->endpoint, &impostor->endpoint.peers[0], kind, 0,
                       impostor_dialed, impostor));
    trio_run_until(trio, impostor_is_in, impostor, 5000, "the connection opens");
}

static void impostor_close(struct trio *trio, struct impostor *impostor)
{
    if (impostor->stream != NULL) {
        stream_close(impostor->stream, STATUS_CLOSED, 0);
        trio_run_until(trio, impostor_is_out, impostor, 5000, "the connection closes");
    }
    endpoint_when_idle(&impostor->endpoint, impostor_on_idle, impostor);
    trio_run_until(trio, impostor_is_idle, impostor, 5000, "nothing is left");
    endpoint_close(&impostor->endpoint);
}

static void send_number(struct impostor *impostor, uint64_t number)
{
    uint8_t frame[12];
    put_u32(frame, 8);
    put_u64(frame + 4, number);
    check_ok(stream_write(impostor->stream, frame, sizeof frame));
}

static void newer_link_of_a_peer_replaces_the_older(void **state)
{
    (void)state;
    struct trio *trio = trio_open(2);
    trio_start(trio, 1);
    struct impostor older;
    struct impostor newer;
    impostor_open(trio, &older, CONNECTION_LINK);
    send_number(&older, 1);
    struct expectation wanted = {.node = 1, .count = 1};
    trio_run_until(trio, messages_came, &wanted, 5000, "the first message arrives");
    impostor_open(trio, &newer, CONNECTION_LINK);
    trio_run_until(trio, impostor_is_out, &older, 5000, "the older link is closed");
    send_number(&newer, 2);
    wanted.count = 2;
    trio_run_until(trio, messages_came, &wanted, 5000, "the second message arrives");
    assert_int_equal(trio_node(trio, 1)->messages_number[1], 2);
    impostor_close(trio, &older);
    impostor_close(trio, &newer);
    trio_close(trio);
}

static void frame_beyond_the_bound_ends_the_link(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, LINK_FRAME_BYTES_MAX + 1, UINT32_MAX};
    struct trio *trio = trio_open(2);
    trio_start(trio, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct impostor impostor;
        uint8_t head[4];
        impostor_open(trio, &impostor, CONNECTION_LINK);
        put_u32(head, sizes[i]);
        check_ok(stream_write(impostor.stream, head, sizeof head));
        trio_run_until(trio, impostor_is_out, &impostor, 5000, "the link is closed");
        impostor_close(trio, &impostor);
    }
    assert_int_equal(trio_node(trio, 1)->messages_count, 0);
    trio_close(trio);
}

/* Frames cut at any place come out whole. */
static void frames_in_pieces_are_put_together(void **state)
{
    (void)state;
    struct trio *trio = trio_open(2);
    trio_start(trio, 1);
    struct impostor impostor;
    impostor_open(trio, &impostor, CONNECTION_LINK);
    uint8_t frames[24];
    for (uint32_t i = 0; i < 2; i++) {
        put_u32(frames + 12 * i, 8);
        put_u64(frames + 12 * i + 4, 40 + i);
    }
    for (size_t i = 0; i < sizeof frames; i++) {
        check_ok(stream_write(impostor.stream, frames + i, 1));
        trio_run_for(trio, 6);
    }
    struct expectation wanted = {.node = 1, .count = 2};
    trio_run_until(trio, messages_came, &wanted, 5000, "both messages arrive");
    assert_int_equal(trio_node(trio, 1)->messages_number[0], 40);
    assert_int_equal(trio_node(trio, 1)->messages_number[1], 41);
    impostor_close(trio, &impostor);
    trio_close(trio);
}

/* Node 2 stops to read: node 1's link to it must be cut, not wait for ever. */
static void stalled_link_is_cut(void **state)
{
    (void)state;
    struct trio *trio = trio_open(2);
    trio_start_all(trio);
    trio_run_until(trio, all_links_are_up, NULL, 5000, "all links are up");
    struct link *behind = &trio_node(trio, 2)->consensus->links.links[0];
    assert_non_null(behind->receiver);
    stream_pause(behind->receiver->stream);
    size_t size = 8 * 1024 * 1024; /* more than the kernel's buffers take */
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    check_ok(consensus_send(trio_node(trio, 1)->consensus, 2, bytes, size));
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    struct expectation wanted = {.node = 1, .peer = 2};
    trio_run_until(trio, link_is_down, &wanted, 3 * PEER_STALL_MS, "the link is cut");
    assert_true(clock_monotonic_ms(clock_system()) - begun_ms >= PEER_STALL_MS / 2);
    free(bytes);
    trio_close(trio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_in_order_from_each_peer),
        cmocka_unit_test(largest_frame_passes_and_small_ones_behind_it),
        cmocka_unit_test(link_reports_loss_and_comes_back),
        cmocka_unit_test(unknown_peers_and_oneself_have_no_link),
        cmocka_unit_test(newer_link_of_a_peer_replaces_the_older),
        cmocka_unit_test(frame_beyond_the_bound_ends_the_link),
        cmocka_unit_test(frames_in_pieces_are_put_together),
        cmocka_unit_test(stalled_link_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
