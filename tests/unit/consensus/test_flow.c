#include "consensus/flow.h"
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/trio.h"

#include <string.h>

/* Entries 11..20 were sent in term 3 over connection 1 at 1,000 ms. */
static const struct flow_peer sent = {.term = 3, .epoch = 1, .from = 10, .to = 20, .sent_ms = 1000};

static void entries_on_their_way_are_repetitions(void **state)
{
    (void)state;
    assert_true(
        flow_repeats(&sent, 3, 1, 10, 1, 9000, PEER_RESEND_MS)); /* all of them, still queued */
    assert_true(flow_repeats(&sent, 3, 1, 15, 1, 9000, PEER_RESEND_MS)); /* some of them */
    assert_true(flow_repeats(&sent, 3, 1, 10, 0, 1000 + PEER_RESEND_MS - 1, PEER_RESEND_MS));
}

static void news_are_never_held_back(void **state)
{
    (void)state;
    assert_false(flow_repeats(&sent, 3, 1, 20, 1000, 1000, PEER_RESEND_MS)); /* what follows */
    assert_false(flow_repeats(&sent, 3, 1, 9, 1000, 1000,
                              PEER_RESEND_MS)); /* what the follower lacks before */
    assert_false(
        flow_repeats(&sent, 4, 1, 10, 1000, 1000, PEER_RESEND_MS)); /* another leadership */
    assert_false(
        flow_repeats(&sent, 3, 2, 10, 1000, 1000, PEER_RESEND_MS)); /* another connection */
    assert_false(flow_repeats(&sent, 3, 1, 10, 0, 1000 + PEER_RESEND_MS, PEER_RESEND_MS));
    const struct flow_peer nothing = {.term = 0};
    assert_false(flow_repeats(&nothing, 1, 1, 1, 1000, 1000, PEER_RESEND_MS));
}

/* --- raft_io.send
 * ------------------------------------------------------------------------------------- */

struct fake {
    struct raft_io io;
    struct raft raft;
    struct consensus consensus;
    struct raft_io_send *taken[8];
    raft_io_send_cb taken_done[8];
    uint32_t taken_count;
    uint32_t done_count;
    uv_loop_t loop;
};

static int fake_send(struct raft_io *io, struct raft_io_send *request,
                     const struct raft_message *message, raft_io_send_cb done)
{
    struct fake *fake = io->impl;
    (void)message;
    fake->taken[fake->taken_count] = request;
    fake->taken_done[fake->taken_count++] = done;
    return 0;
}

static void raft_sent(struct raft_io_send *request, int status)
{
    struct fake *fake = request->data;
    (void)status;
    fake->done_count++;
}

static raft_time fake_time(struct raft_io *io)
{
    (void)io;
    return 5000;
}

static void send_entries(struct fake *fake, struct raft_io_send *request, raft_index previous,
                         unsigned count)
{
    static struct raft_entry entries[8];
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES, .server_id = 2};
    for (unsigned i = 0; i < 8; i++) {
        entries[i].buf.len = 1000;
    }
    message.append_entries.term = 1;
    message.append_entries.prev_log_index = previous;
    message.append_entries.entries = entries;
    message.append_entries.n_entries = count;
    request->data = fake;
    assert_int_equal(fake->io.send(&fake->io, request, &message, raft_sent), 0);
}

static void repetition_is_dropped_and_answered_later(void **state)
{
    (void)state;
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    assert_int_equal(uv_loop_init(&fake->loop), 0);
    fake->io = (struct raft_io){
        .version = 1, .impl = fake, .data = &fake->raft, .send = fake_send, .time = fake_time};
    fake->raft.data = &fake->consensus;
    struct endpoint *endpoint = &fake->consensus.endpoint;
    endpoint->loop = &fake->loop;
    endpoint->peers_count = 2;
    endpoint->peers[0].id = 1;
    endpoint->peers[1].id = 2;
    struct transport *transport = &fake->consensus.transport;
    transport->endpoint = endpoint;
    list_init(&transport->pumps);
    flow_install(&fake->consensus.flow, &fake->io, transport, 3000);

    struct raft_io_send requests[4];
    send_entries(fake, &requests[0], 10, 4);
    send_entries(fake, &requests[1], 10, 4); /* raft's probe: the first ones still wait */
    send_entries(fake, &requests[2], 14, 2); /* news */
    send_entries(fake, &requests[3], 14, 0); /* a heartbeat */
    assert_int_equal(fake->taken_count, 3);
    assert_int_equal(fake->consensus.flow.peers[1].queued, 6000);
    assert_int_equal(fake->done_count, 0); /* never inside raft's call */
    flow_answer(&fake->consensus.flow);
    assert_int_equal(fake->done_count, 1);
    for (uint32_t i = 0; i < fake->taken_count; i++) {
        fake->taken_done[i](fake->taken[i], 0);
    }
    assert_int_equal(fake->done_count, 4);
    assert_int_equal(fake->consensus.flow.peers[1].queued, 0);
    assert_int_equal(uv_loop_close(&fake->loop), 0);
    free(fake);
}

/* A dropped message is a heartbeat less: a short election timeout leaves less time for that. */
static void short_timeouts_are_kept_alive(void **state)
{
    (void)state;
    struct raft_io io = {.send = fake_send};
    struct flow flow;
    flow_install(&flow, &io, NULL, 150);
    assert_int_equal(flow.resend_ms, 50);
    assert_false(flow_repeats(&sent, 3, 1, 10, 0, 1000 + 50, flow.resend_ms));
    io.send = fake_send;
    flow_install(&flow, &io, NULL, 10 * PEER_RESEND_MS);
    assert_int_equal(flow.resend_ms, PEER_RESEND_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_on_their_way_are_repetitions),
        cmocka_unit_test(news_are_never_held_back),
        cmocka_unit_test(short_timeouts_are_kept_alive),
        cmocka_unit_test(repetition_is_dropped_and_answered_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
