/* The guard between raft and the other nodes: what it drops, and what it sets right. */
#include "base/log.h"
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/child.h"

#include <stdio.h>
#include <string.h>

/* A raft_io that keeps what it is told. */
struct fake {
    struct raft_io io;
    struct raft raft;
    struct consensus consensus;
    raft_io_recv_cb recv;
    uint32_t received;
    struct raft_message sent;
    struct raft_io_snapshot_get *get;
    raft_io_snapshot_get_cb get_done;
};

static struct fake *fake_of(struct raft_io *io)
{
    return io->impl;
}

static int fake_start(struct raft_io *io, unsigned tick_ms, raft_io_tick_cb tick,
                      raft_io_recv_cb recv)
{
    (void)tick_ms;
    (void)tick;
    fake_of(io)->recv = recv;
    return 0;
}

static int fake_send(struct raft_io *io, struct raft_io_send *request,
                     const struct raft_message *message, raft_io_send_cb done)
{
    (void)request;
    (void)done;
    fake_of(io)->sent = *message;
    return 0;
}

static int fake_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                    raft_io_snapshot_get_cb done)
{
    fake_of(io)->get = request;
    fake_of(io)->get_done = done;
    return 0;
}

static void raft_recv(struct raft_io *io, struct raft_message *message)
{
    (void)message;
    fake_of(io)->received++;
}

static struct fake *fake_open(void)
{
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->io = (struct raft_io){.version = 1,
                                .impl = fake,
                                .data = &fake->raft,
                                .start = fake_start,
                                .send = fake_send,
                                .snapshot_get = fake_get};
    fake->raft.io = &fake->io;
    fake->raft.data = &fake->consensus;
    guard_init(&fake->consensus.guard, NULL);
    guard_install(&fake->consensus.guard, &fake->raft);
    return fake;
}

/* --- what it hears --- */

/* The library dereferences NULL in this case (legacy.c of 0.22.1, takeSnapshotCb). */
static void snapshot_of_the_leader_waits_for_an_own_one(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    assert_int_equal(fake->io.start(&fake->io, 25, NULL, raft_recv), 0);
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT, .server_id = 2};
    raft_configuration_init(&message.install_snapshot.conf);
    assert_int_equal(raft_configuration_add(&message.install_snapshot.conf, 1, "1", RAFT_VOTER), 0);
    message.install_snapshot.data.base = raft_malloc(8);
    message.install_snapshot.data.len = 8;
    fake->raft.legacy.snapshot_taking = true;
    fake->recv(&fake->io, &message);
    assert_int_equal(fake->received, 0); /* dropped, and its memory is free: ASan would tell */
    fake->raft.legacy.snapshot_taking = false;
    struct raft_message heartbeat = {.type = RAFT_APPEND_ENTRIES, .server_id = 2};
    fake->recv(&fake->io, &heartbeat);
    fake->recv(&fake->io, &message); /* raft owns it now; here nobody takes it */
    assert_int_equal(fake->received, 2);
    free(fake);
}

/* The library reads a follower's memory as a candidate's (recv_request_vote_result.c of 0.22.1). */
static void votes_come_to_candidates_only(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    assert_int_equal(fake->io.start(&fake->io, 25, NULL, raft_recv), 0);
    struct raft_message message = {.type = RAFT_REQUEST_VOTE_RESULT, .server_id = 2};
    fake->raft.state = RAFT_FOLLOWER;
    fake->recv(&fake->io, &message);
    fake->raft.state = RAFT_LEADER;
    fake->recv(&fake->io, &message);
    assert_int_equal(fake->received, 0);
    fake->raft.state = RAFT_CANDIDATE;
    fake->recv(&fake->io, &message);
    assert_int_equal(fake->received, 1);
    free(fake);
}

/* As raft does where an entry comes back while its copy from before is still in use. */
static void raft_does_not_append(struct raft_io *io, struct raft_message *message)
{
    (void)message;
    (void)snprintf(fake_of(io)->raft.errmsg, sizeof fake_of(io)->raft.errmsg, "append 6 entries: ");
}

static void entries_come_back(void *data)
{
    struct fake *fake = data;
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES, .server_id = 2};
    fake->recv(&fake->io, &message);
}

static void a_log_that_raft_has_lost_stops_the_node(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    assert_int_equal(fake->io.start(&fake->io, 25, NULL, raft_recv), 0);
    (void)snprintf(fake->raft.errmsg, sizeof fake->raft.errmsg, "send message of type 1 to 2: ");
    entries_come_back(fake);
    assert_int_equal(fake->received, 1);
    assert_int_equal(fake->io.start(&fake->io, 25, NULL, raft_does_not_append), 0);
    char output[1024];
    assert_int_equal(child_run(entries_come_back, fake, output, sizeof output), EXIT_DISK);
    assert_non_null(strstr(output, "in use"));
    free(fake);
}

/* --- what it tells others --- */

static void refused_pre_vote_tells_the_higher_term(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    fake->raft.current_term = 8;
    struct raft_io_send request;
    struct raft_message message = {.type = RAFT_REQUEST_VOTE_RESULT, .server_id = 3};
    message.request_vote_result = (struct raft_request_vote_result){.term = 5, .pre_vote = true};
    assert_int_equal(fake->io.send(&fake->io, &request, &message, NULL), 0);
    assert_int_equal(fake->sent.request_vote_result.term, 8);
    assert_int_equal(message.request_vote_result.term, 5); /* raft's own stays as it is */

    message.request_vote_result.vote_granted = true;
    assert_int_equal(fake->io.send(&fake->io, &request, &message, NULL), 0);
    assert_int_equal(fake->sent.request_vote_result.term, 5);

    message.request_vote_result = (struct raft_request_vote_result){.term = 9, .pre_vote = true};
    assert_int_equal(fake->io.send(&fake->io, &request, &message, NULL), 0);
    assert_int_equal(fake->sent.request_vote_result.term, 9);
    free(fake);
}

static void rejection_tells_the_last_entry(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    struct raft_io_send request;
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = 3};
    message.append_entries_result.rejected = 7;
    message.append_entries_result.last_log_index = 0xdeadbeef; /* raft leaves what was there */
    assert_int_equal(fake->io.send(&fake->io, &request, &message, NULL), 0);
    assert_int_equal(fake->sent.append_entries_result.last_log_index, 0); /* the log is empty */
    message.append_entries_result.rejected = 0;
    message.append_entries_result.last_log_index = 5;
    assert_int_equal(fake->io.send(&fake->io, &request, &message, NULL), 0);
    assert_int_equal(fake->sent.append_entries_result.last_log_index, 5);
    free(fake);
}

/* Refuses as the library does what is of an old term: "stored up to", and an index of the stack's.
 */
static void raft_refuses(struct raft_io *io, struct raft_message *message)
{
    struct raft_io_send request;
    struct raft_message answer = {.type = RAFT_APPEND_ENTRIES_RESULT,
                                  .server_id = message->server_id};
    answer.append_entries_result.last_log_index = 0xdeadbeef;
    assert_int_equal(io->send(io, &request, &answer, NULL), 0);
}

static void refusals_of_an_old_term_are_no_success(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    assert_int_equal(fake->io.start(&fake->io, 25, NULL, raft_refuses), 0);
    fake->raft.current_term = 8;
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT, .server_id = 2};
    message.install_snapshot.term = 7;
    fake->recv(&fake->io, &message);
    assert_int_equal(fake->sent.append_entries_result.last_log_index, 0);
    message = (struct raft_message){.type = RAFT_APPEND_ENTRIES, .server_id = 2};
    message.append_entries.term = 7;
    fake->recv(&fake->io, &message);
    assert_int_equal(fake->sent.append_entries_result.last_log_index, 0);
    /* In the term of today success stays success. */
    message.append_entries.term = 8;
    fake->recv(&fake->io, &message);
    assert_int_equal(fake->sent.append_entries_result.last_log_index, 0xdeadbeef);
    raft_refuses(&fake->io, &message);
    assert_int_equal(fake->sent.append_entries_result.last_log_index, 0xdeadbeef);
    free(fake);
}

static void raft_refuses_139(struct raft_io *io, struct raft_message *message)
{
    struct raft_io_send request;
    struct raft_message answer = {.type = RAFT_APPEND_ENTRIES_RESULT,
                                  .server_id = message->server_id};
    answer.append_entries_result.rejected = 139;
    assert_int_equal(io->send(io, &request, &answer, NULL), 0);
}

static void what_the_snapshot_covers_is_not_refused(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    assert_int_equal(fake->io.start(&fake->io, 25, NULL, raft_refuses_139), 0);
    const struct raft_append_entries_result *told = &fake->sent.append_entries_result;
    fake->raft.current_term = 5;
    fake->raft.last_stored = 145;
    fake->raft.trail.snapshot.index = 144;
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES, .server_id = 2};
    message.append_entries.term = 5;
    fake->recv(&fake->io, &message);
    assert_true(told->rejected == 0 && told->last_log_index == 144);
    fake->raft.last_stored = 143; /* applied before the own disk had it */
    fake->recv(&fake->io, &message);
    assert_true(told->rejected == 0 && told->last_log_index == 143);
    fake->raft.trail.snapshot.index = 139;
    fake->recv(&fake->io, &message);
    assert_true(told->rejected == 139);
    fake->raft.trail.snapshot.index = 144;
    message.append_entries.term = 4; /* the leader of an old term may lack what is covered */
    fake->recv(&fake->io, &message);
    assert_true(told->rejected == 139);
    free(fake);
}

/* As raft does: from within the callback, with the newer snapshot's index and the older one's term.
 */
static void raft_got_snapshot(struct raft_io_snapshot_get *request, struct raft_snapshot *snapshot,
                              int status)
{
    struct fake *fake = request->data;
    assert_int_equal(status, 0);
    static struct raft_io_send send;
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT, .server_id = 2};
    message.install_snapshot.last_index = snapshot->index;
    message.install_snapshot.last_term = 3;
    assert_int_equal(fake->io.send(&fake->io, &send, &message, NULL), 0);
}

static void snapshot_goes_out_with_the_term_of_its_index(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    struct raft_io_snapshot_get request = {.data = fake};
    assert_int_equal(fake->io.snapshot_get(&fake->io, &request, raft_got_snapshot), 0);
    struct raft_snapshot newer = {.index = 142, .term = 4};
    fake->get_done(fake->get, &newer, 0);
    assert_int_equal(fake->sent.install_snapshot.last_index, 142);
    assert_int_equal(fake->sent.install_snapshot.last_term, 4);
    free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot_of_the_leader_waits_for_an_own_one),
        cmocka_unit_test(votes_come_to_candidates_only),
        cmocka_unit_test(a_log_that_raft_has_lost_stops_the_node),
        cmocka_unit_test(refused_pre_vote_tells_the_higher_term),
        cmocka_unit_test(rejection_tells_the_last_entry),
        cmocka_unit_test(refusals_of_an_old_term_are_no_success),
        cmocka_unit_test(what_the_snapshot_covers_is_not_refused),
        cmocka_unit_test(snapshot_goes_out_with_the_term_of_its_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
