/*
 * What consensus/ relies on, or protects against, in the raft library: pinned against the installed
 * one, so that an upgrade that changes it is noticed. docs/design.md lists the defects.
 */
#include "base/log.h"
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/child.h"
#include "tests/support/trio.h"

#include <raft/fixture.h>
#include <string.h>

/* --- one node, raft called directly
 * ------------------------------------------------------------------ */

struct request {
    struct raft_apply apply; /* first: the callback gets its address */
    bool done;
    int status;
};

static void request_done(struct raft_apply *apply, int status, void *result)
{
    struct request *request = (struct request *)apply;
    assert_null(result);
    request->done = true;
    request->status = status;
}

static bool request_is_done(struct trio *trio, void *data)
{
    const struct request *request = data;
    (void)trio;
    return request->done;
}

static struct raft_buffer entry_of(uint64_t number, size_t size)
{
    struct raft_buffer buffer = {.base = raft_calloc(1, size), .len = size};
    assert_non_null(buffer.base);
    put_u64(buffer.base, number);
    return buffer;
}

static struct trio *leader_alone(void)
{
    struct trio *trio = trio_open(1);
    trio_start(trio, 1);
    trio_elect(trio);
    return trio;
}

static void index_in_apply_is_the_one_of_the_request(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    struct trio_node *node = trio_node(trio, 1);
    struct raft *raft = node->consensus->raft;
    for (uint64_t i = 1; i <= 10; i++) {
        struct request request = {.done = false};
        struct raft_buffer buffer = entry_of(i, 64);
        assert_int_equal(raft_apply(raft, &request.apply, &buffer, 1, request_done), 0);
        trio_run_until(trio, request_is_done, &request, 5000, "the entry is applied");
        assert_int_equal(request.status, 0);
        assert_int_equal(node->applied_last_index, request.apply.index);
        assert_int_equal(raft_last_applied(raft), request.apply.index);
    }
    trio_close(trio);
}

static void barrier_entries_take_an_index_but_never_reach_apply(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    struct trio_node *node = trio_node(trio, 1);
    static struct raft_barrier barrier;
    trio_pay(trio, 1, 1, 64);
    uint64_t index = node->applied_last_index;
    assert_int_equal(raft_barrier(node->consensus->raft, &barrier, NULL), 0);
    trio_pay(trio, 2, 1, 64);
    assert_int_equal(node->applied_count, 2);
    assert_int_equal(node->applied_last_index, index + 2);
    trio_close(trio);
}

static void raft_apply_takes_one_buffer_whatever_it_is_given(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    struct trio_node *node = trio_node(trio, 1);
    struct request request = {.done = false};
    struct raft_buffer buffers[2] = {entry_of(1, 64), entry_of(2, 64)};
    uint64_t last = consensus_last_index(node->consensus);
    assert_int_equal(raft_apply(node->consensus->raft, &request.apply, buffers, 2, request_done),
                     0);
    assert_int_equal(consensus_last_index(node->consensus), last + 1);
    trio_run_until(trio, request_is_done, &request, 5000, "the entry is applied");
    assert_int_equal(node->applied_count, 1);
    raft_free(buffers[1].base); /* silently left to the caller */
    trio_close(trio);
}

static void refused_proposal_leaves_the_buffer_to_the_caller(void **state)
{
    (void)state;
    struct trio *trio = trio_open(2);
    trio_start(trio, 1); /* without node 2 there is no leader */
    struct request request = {.done = false};
    struct raft_buffer buffer = entry_of(1, 64);
    struct raft *raft = trio_node(trio, 1)->consensus->raft;
    assert_int_equal(raft_apply(raft, &request.apply, &buffer, 1, request_done), RAFT_NOTLEADER);
    raft_free(buffer.base);
    trio_close(trio);
}

/* With a threshold a leader without preallocated space refuses; ours is 0 and it does not. */
static void capacity_threshold_of_zero_takes_entries_on_a_full_disk(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    struct raft *raft = trio_node(trio, 1)->consensus->raft;
    struct request request = {.done = false};
    struct raft_buffer buffer = entry_of(1, 64);
    assert_int_equal(raft->capacity_threshold, 0);

    raft_set_capacity_threshold(raft, 4096);
    raft->io->capacity = 0;
    assert_int_equal(raft_apply(raft, &request.apply, &buffer, 1, request_done), RAFT_NOSPACE);
    raft_set_capacity_threshold(raft, 0);
    raft->io->capacity = 0;
    assert_int_equal(raft_apply(raft, &request.apply, &buffer, 1, request_done), 0);
    trio_run_until(trio, request_is_done, &request, 5000, "the entry is applied");
    trio_close(trio);
}

static void unaligned_body(void *data)
{
    (void)data;
    struct trio *trio = leader_alone();
    struct request request = {.done = false};
    struct raft_buffer buffer = entry_of(1, 17);
    int error =
        raft_apply(trio_node(trio, 1)->consensus->raft, &request.apply, &buffer, 1, request_done);
    log_error("test", "raft_apply returned %d", error);
}

/* The library's memory and disk are one entry apart after this: the guard must end the process. */
static void entry_of_an_odd_length_stops_the_node(void **state)
{
    (void)state;
    char output[4096];
    assert_int_equal(child_run(unaligned_body, NULL, output, sizeof output), EXIT_DISK);
    assert_non_null(strstr(output, "8-byte"));
}

static void odd_proposal_body(void *data)
{
    (void)data;
    struct trio *trio = leader_alone();
    uint8_t bytes[17] = {0};
    enum status status = consensus_propose(trio_node(trio, 1)->consensus, bytes, sizeof bytes);
    log_error("test", "consensus_propose returned %s", status_name(status));
}

static void proposal_of_an_odd_length_is_a_programmers_error(void **state)
{
    (void)state;
    char output[4096];
    assert_int_equal(child_run(odd_proposal_body, NULL, output, sizeof output), CHILD_SIGNAL + 6);
}

static void settings_are_what_the_contract_wants(void **state)
{
    (void)state;
    struct trio *trio = leader_alone();
    const struct consensus *consensus = trio_node(trio, 1)->consensus;
    assert_true(consensus->raft->pre_vote);
    assert_int_equal(consensus->raft->capacity_threshold, 0);
    assert_int_equal(consensus->raft->heartbeat_timeout, 25);
    assert_int_equal(consensus->raft->election_timeout, 400);
    assert_int_equal(consensus->raft->max_inflight_entries, RAFT_INFLIGHT_ENTRIES_MAX);
    assert_true(consensus->raft->tracer == &consensus->guard.tracer);
    assert_int_equal(consensus->machine.version, 2); /* 3 would call snapshot_async on the loop */
    assert_null(consensus->machine.snapshot_async);
    assert_int_equal(consensus->transport.raft.version, 1);
    trio_close(trio);
}

/* The library reads trailing 0 as "an installed snapshot" and forgets entries behind it. */
static void snapshot_with_nothing_behind_it_loses_no_entry(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    trio->snapshot_bytes = 8; /* due after each entry: nothing came since the last one */
    trio->snapshot_trailing = 1;
    trio_start(trio, 1);
    trio_elect(trio);
    struct trio_node *node = trio_node(trio, 1);
    trio_pay(trio, 1, 100, 64);
    assert_true(node->snapshots_asked > 0);
    uint64_t last = consensus_last_index(node->consensus);
    trio_stop(trio, 1);
    trio_start(trio, 1);
    assert_true(consensus_last_index(node->consensus) >= last);
    trio_elect(trio);
    trio_pay(trio, 101, 1, 64);
    assert_true(node->applied_last_index > last);
    trio_close(trio);
}

static bool is_waiting(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->consensus->snapshots.state == SNAPSHOT_WAITING;
}

/*
 * Why trailing is never 0: what is appended while such a snapshot is stored gets numbers that are
 * taken, and is gone after a restart. Ours passes it on as the library would with a setting of 0.
 */
static void snapshot_with_trailing_zero_forgets_entries(void **state)
{
    (void)state;
    struct trio *trio = trio_open(1);
    trio->snapshot_bytes = 4096;
    trio_start(trio, 1);
    struct trio_node *node = trio_elect(trio);
    node->snapshots_late = true;
    trio_pay(trio, 1, 100, 64);
    trio_run_until(trio, is_waiting, node, 5000, "a snapshot waits");
    consensus_hold_snapshots(node->consensus, true);
    node->consensus->snapshots.held_put.trailing = 0;
    const struct consensus_manifest manifest = {.index = node->snapshot_index};
    consensus_snapshot_ready(node->consensus, &manifest);
    trio_pay(trio, 101, 100, 64);
    uint64_t last = consensus_last_index(node->consensus);
    assert_int_equal(node->applied_count, 200); /* acknowledged */
    trio_stop(trio, 1);
    trio_start(trio, 1);
    assert_true(consensus_last_index(node->consensus) < last);
    trio_close(trio);
}

/* --- figure 8 of the Raft paper
 * ------------------------------------------------------------------------ */

enum { SERVERS = 5 };

struct fixture {
    struct raft_fixture raft;
    struct raft_fsm machines[SERVERS];
    struct {
        uint32_t count;
        uint64_t values[64];
    } applied[SERVERS];
    struct raft_apply requests[8];
    int statuses[8]; /* of the requests; -1: not completed */
    uint32_t requests_count;
};

static int fixture_apply(struct raft_fsm *machine, const struct raft_buffer *buffer, void **result)
{
    struct fixture *fixture = machine->data;
    size_t server = (size_t)(machine - fixture->machines);
    assert_true(fixture->applied[server].count < 64);
    fixture->applied[server].values[fixture->applied[server].count++] = get_u64(buffer->base);
    *result = NULL;
    return 0;
}

static int fixture_snapshot(struct raft_fsm *machine, struct raft_buffer *buffers[],
                            unsigned *count)
{
    (void)machine;
    (void)buffers;
    (void)count;
    return RAFT_BUSY; /* far below the threshold: never reached */
}

static int fixture_restore(struct raft_fsm *machine, struct raft_buffer *buffer)
{
    (void)machine;
    raft_free(buffer->base);
    return 0;
}

static void fixture_requested(struct raft_apply *request, int status, void *result)
{
    int *reported = request->data;
    (void)result;
    assert_int_equal(*reported, -1);
    *reported = status;
}

static void fixture_silent(struct raft_tracer *tracer, int type, const void *info)
{
    (void)tracer;
    (void)type;
    (void)info;
}

static struct raft_tracer silent_tracer = {.version = 2, .emit = fixture_silent};

static void fixture_submit(struct fixture *fixture, unsigned server, uint64_t value)
{
    struct raft_buffer buffer = entry_of(value, 8);
    assert_true(fixture->requests_count < 8);
    struct raft_apply *request = &fixture->requests[fixture->requests_count];
    request->data = &fixture->statuses[fixture->requests_count];
    fixture->statuses[fixture->requests_count++] = -1;
    assert_int_equal(raft_apply(raft_fixture_get(&fixture->raft, server), request, &buffer, 1,
                                fixture_requested),
                     0);
}

static void fixture_cut_all(struct fixture *fixture)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        for (unsigned j = 0; j < SERVERS; j++) {
            if (i != j) {
                raft_fixture_saturate(&fixture->raft, i, j);
            }
        }
    }
}

static void fixture_heal(struct fixture *fixture, unsigned i, unsigned j)
{
    raft_fixture_desaturate(&fixture->raft, i, j);
    raft_fixture_desaturate(&fixture->raft, j, i);
}

static void fixture_prefer(struct fixture *fixture, unsigned server)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        raft_fixture_set_randomized_election_timeout(&fixture->raft, i, i == server ? 1000 : 1999);
    }
    raft_set_election_timeout(raft_fixture_get(&fixture->raft, server), 1000);
}

/* False where it does not win: the library may refuse its vote, which is safe. */
static bool fixture_lead(struct fixture *fixture, unsigned server, raft_term above)
{
    const struct raft *raft = raft_fixture_get(&fixture->raft, server);
    for (uint32_t i = 0; i < 60000; i++) {
        if (raft->state == RAFT_LEADER && raft->current_term > above) {
            return true;
        }
        (void)raft_fixture_step(&fixture->raft);
    }
    return false;
}

static void fixture_open(struct fixture *fixture)
{
    struct raft_configuration configuration;
    memset(fixture, 0, sizeof *fixture);
    assert_int_equal(raft_fixture_initialize(&fixture->raft), 0);
    for (unsigned i = 0; i < SERVERS; i++) {
        fixture->machines[i] = (struct raft_fsm){
            .version = 1,
            .data = fixture,
            .apply = fixture_apply,
            .snapshot = fixture_snapshot,
            .restore = fixture_restore,
        };
        assert_int_equal(raft_fixture_grow(&fixture->raft, &fixture->machines[i]), 0);
        raft_fixture_get(&fixture->raft, i)->tracer = &silent_tracer;
    }
    assert_int_equal(raft_fixture_configuration(&fixture->raft, SERVERS, &configuration), 0);
    assert_int_equal(raft_fixture_bootstrap(&fixture->raft, &configuration), 0);
    raft_configuration_close(&configuration);
    fixture_prefer(fixture, 0);
    assert_int_equal(raft_fixture_start(&fixture->raft), 0);
}

static void fixture_check_same(const struct fixture *fixture)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        for (unsigned j = 0; j < i; j++) {
            uint32_t count = fixture->applied[i].count < fixture->applied[j].count
                                 ? fixture->applied[i].count
                                 : fixture->applied[j].count;
            assert_memory_equal(fixture->applied[i].values, fixture->applied[j].values,
                                count * sizeof(uint64_t));
        }
    }
}

static void entries_of_earlier_terms_are_not_committed_by_counting(void **state)
{
    (void)state;
    static struct fixture fixture;
    struct raft_fixture *raft = &fixture.raft;
    fixture_open(&fixture);
    assert_true(fixture_lead(&fixture, 0, 0));
    fixture_submit(&fixture, 0, 'A');
    raft_fixture_step_until_elapsed(raft, 400);
    for (unsigned i = 0; i < SERVERS; i++) {
        assert_int_equal(fixture.applied[i].count, 1);
    }
    /* (a) S0 writes B, which reaches S1 only. */
    fixture_cut_all(&fixture);
    fixture_heal(&fixture, 0, 1);
    fixture_submit(&fixture, 0, 'B');
    raft_fixture_step_until_elapsed(raft, 60);
    /* (b) S4 leads the next term with S2 and S3, and writes C on its own disk only. */
    fixture_cut_all(&fixture);
    fixture_prefer(&fixture, 4);
    fixture_heal(&fixture, 4, 2);
    fixture_heal(&fixture, 4, 3);
    assert_true(fixture_lead(&fixture, 4, 1));
    fixture_cut_all(&fixture);
    fixture_submit(&fixture, 4, 'C');
    raft_fixture_step_until_elapsed(raft, 60);
    raft_term term = raft_fixture_get(raft, 4)->current_term;
    raft_fixture_kill(raft, 4);
    /* (c) S0 leads again and brings the old B to S2: a majority has it, but from an old term. */
    fixture_prefer(&fixture, 0);
    fixture_heal(&fixture, 0, 1);
    fixture_heal(&fixture, 0, 2);
    fixture_heal(&fixture, 0, 3);
    assert_true(fixture_lead(&fixture, 0, term));
    raft_fixture_saturate(raft, 0, 3);
    raft_fixture_saturate(raft, 3, 0);
    raft_fixture_step_until_elapsed(raft, 400);
    /* (d) S0 is cut; S4 returns, and if it may lead it overwrites B: nobody may have applied B. */
    fixture_cut_all(&fixture);
    raft_fixture_kill(raft, 0);
    raft_fixture_revive(raft, 4);
    fixture_prefer(&fixture, 4);
    fixture_heal(&fixture, 4, 1);
    fixture_heal(&fixture, 4, 2);
    fixture_heal(&fixture, 4, 3);
    if (fixture_lead(&fixture, 4, term + 1)) {
        fixture_submit(&fixture, 4, 'D');
        raft_fixture_step_until_elapsed(raft, 800);
    }
    fixture_check_same(&fixture);
    raft_fixture_close(raft);
}

/* --- what a node may believe of its own entries
 * -------------------------------------------------- */

static void fixture_heal_all(struct fixture *fixture)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        for (unsigned j = 0; j < i; j++) {
            fixture_heal(fixture, i, j);
        }
    }
}

static void fixture_capacity(struct fixture *fixture, unsigned kilobytes)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        raft_fixture_get(&fixture->raft, i)->io->capacity = (unsigned short)kilobytes;
    }
}

static bool fixture_applied(const struct fixture *fixture, unsigned server, uint64_t value)
{
    for (uint32_t i = 0; i < fixture->applied[server].count; i++) {
        if (fixture->applied[server].values[i] == value) {
            return true;
        }
    }
    return false;
}

/*
 * A node without disk space wins an election over an entry that is not committed. Above a threshold
 * it then leads half-way: when it takes 'X' later, and another leader puts its own entries there,
 * the library says what became of 'X'.
 */
static int status_of_an_overwritten_entry(struct fixture *fixture, unsigned threshold)
{
    struct raft_fixture *raft = &fixture->raft;
    fixture_open(fixture);
    for (unsigned i = 0; i < SERVERS; i++) {
        raft_set_capacity_threshold(raft_fixture_get(raft, i), (unsigned short)threshold);
    }
    fixture_capacity(fixture, 60000);
    assert_true(fixture_lead(fixture, 0, 0));
    fixture_submit(fixture, 0, 'A');
    raft_fixture_step_until_elapsed(raft, 400);
    fixture_cut_all(fixture);
    fixture_submit(fixture, 0, 'U');
    raft_term term = raft_fixture_get(raft, 0)->current_term;
    raft_fixture_step_until_elapsed(raft, 3000); /* it steps down */
    fixture_capacity(fixture, 0);
    fixture_heal_all(fixture);
    assert_true(fixture_lead(fixture, 0, term));
    raft_fixture_step_until_elapsed(raft, 400);
    fixture_capacity(fixture, 60000);
    raft_fixture_step_until_elapsed(raft, 400);
    assert_int_equal(raft_fixture_get(raft, 0)->state, RAFT_LEADER);
    fixture_cut_all(fixture);
    fixture_submit(fixture, 0, 'X');
    const int *status = &fixture->statuses[fixture->requests_count - 1];
    term = raft_fixture_get(raft, 0)->current_term;
    fixture_prefer(fixture, 1);
    for (unsigned i = 2; i < SERVERS; i++) {
        fixture_heal(fixture, 1, i);
    }
    assert_true(fixture_lead(fixture, 1, term));
    fixture_submit(fixture, 1, 'Y');
    fixture_submit(fixture, 1, 'Z');
    raft_fixture_step_until_elapsed(raft, 400);
    fixture_heal_all(fixture);
    raft_fixture_step_until_elapsed(raft, 3000);
    assert_true(fixture_applied(fixture, 0, 'Z'));
    assert_false(fixture_applied(fixture, 0, 'X'));
    fixture_check_same(fixture);
    int reported = *status;
    raft_fixture_close(raft);
    return reported;
}

/* Why success is known from our own apply of the entry's id, and why the threshold is 0. */
static void requests_are_completed_by_index_whatever_stands_there(void **state)
{
    (void)state;
    static struct fixture fixture;
    assert_int_equal(status_of_an_overwritten_entry(&fixture, 4096), 0);
    assert_int_equal(status_of_an_overwritten_entry(&fixture, 0), RAFT_LEADERSHIPLOST);
}

/* Why the ledger commits only what raft has stored here: a crash now would lose the entry. */
static void leader_applies_what_its_own_disk_does_not_have(void **state)
{
    (void)state;
    static struct fixture fixture;
    fixture_open(&fixture);
    assert_true(fixture_lead(&fixture, 0, 0));
    fixture_submit(&fixture, 0, 'A');
    raft_fixture_step_until_elapsed(&fixture.raft, 400);
    raft_fixture_set_disk_latency(&fixture.raft, 0, 2000);
    fixture_submit(&fixture, 0, 'B');
    raft_fixture_step_until_elapsed(&fixture.raft, 200);
    struct raft *raft = raft_fixture_get(&fixture.raft, 0);
    assert_true(fixture_applied(&fixture, 0, 'B'));
    assert_int_equal(fixture.statuses[1], 0);
    assert_int_equal(raft->last_stored, raft_last_applied(raft) - 1);
    raft_fixture_close(&fixture.raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_in_apply_is_the_one_of_the_request),
        cmocka_unit_test(barrier_entries_take_an_index_but_never_reach_apply),
        cmocka_unit_test(raft_apply_takes_one_buffer_whatever_it_is_given),
        cmocka_unit_test(refused_proposal_leaves_the_buffer_to_the_caller),
        cmocka_unit_test(capacity_threshold_of_zero_takes_entries_on_a_full_disk),
        cmocka_unit_test(entry_of_an_odd_length_stops_the_node),
        cmocka_unit_test(proposal_of_an_odd_length_is_a_programmers_error),
        cmocka_unit_test(settings_are_what_the_contract_wants),
        cmocka_unit_test(snapshot_with_nothing_behind_it_loses_no_entry),
        cmocka_unit_test(snapshot_with_trailing_zero_forgets_entries),
        cmocka_unit_test(entries_of_earlier_terms_are_not_committed_by_counting),
        cmocka_unit_test(requests_are_completed_by_index_whatever_stands_there),
        cmocka_unit_test(leader_applies_what_its_own_disk_does_not_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
