#include "tests/simulation/scenarios.h"

#include "base/check.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/process.h"
#include "tests/simulation/wire.h"

#include <string.h>

enum { ROUNDS = 12, WAIT_S = 20, ALL = 0xff };

static void pass(uint64_t duration_ns)
{
    uint64_t end_ns = world.now_ns + duration_ns;
    while (world.now_ns < end_ns && world_step()) {
    }
}

/* Only the links inside the group are open. */
static void only_among(uint32_t group)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        for (uint32_t j = 0; j < processes_count; j++) {
            wire_cut(i, j, (group >> i & 1) == 0 || (group >> j & 1) == 0);
        }
    }
}

static uint32_t bit(const struct process *process)
{
    return 1U << process->place;
}

/* A leader inside the group whose epoch runs. */
static struct process *leader_of(uint32_t group)
{
    uint64_t end_ns = world.now_ns + WAIT_S * SECONDS;
    while (world.now_ns < end_ns && world_step()) {
        for (uint32_t i = 0; i < processes_count; i++) {
            struct process *process = &processes[i];
            if ((group >> i & 1) != 0 && process_serves(process) &&
                raft_state(process->consensus->raft) == RAFT_LEADER) {
                return process;
            }
        }
    }
    world_fail("scenario: nobody leads in group %x", group);
}

static void kill_one(struct process *process)
{
    process_end(process, DEATH_POWER);
}

static void revive(struct process *process)
{
    process->held = false;
    process_start_after(process, 0);
}

static struct process *begin(void)
{
    const struct clients_options options = {.pause_us = 300000, .open_max = 4};
    clients_begin(&options);
    pass(3 * SECONDS);
    return leader_of(ALL);
}

/* The first living process outside of the group. */
static struct process *other_than(uint32_t group)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        if ((group >> i & 1) == 0) {
            return &processes[i];
        }
    }
    world_fail("scenario: no process is left");
}

/*
 * Raft paper, figure 8: an entry of an old term reaches a majority only under a later leader, which
 * then ends; another one, with an entry of a term between, takes over. If the first was applied
 * because replicas were counted, two nodes have applied different entries.
 */
static void figure8(struct dice *dice)
{
    (void)begin();
    uint32_t all = (1U << processes_count) - 1;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct process *first = leader_of(all);
        struct process *companion = other_than(bit(first));
        only_among(bit(first) | bit(companion));
        (void)clients_pay(first);
        pass(dice_between(dice, 5, 60) * MILLISECONDS);
        kill_one(first);

        uint32_t rest = all & ~(bit(first) | bit(companion));
        only_among(rest);
        struct process *second = leader_of(rest);
        only_among(bit(second));
        (void)clients_pay(second);
        pass(dice_between(dice, 5, 60) * MILLISECONDS);
        kill_one(second);

        revive(first);
        struct process *witness = other_than(bit(first) | bit(companion) | bit(second));
        uint32_t group = bit(first) | bit(companion) | bit(witness);
        only_among(group);
        struct process *third = leader_of(group);
        pass(dice_between(dice, 0, 40) * MILLISECONDS);
        kill_one(third);

        revive(second);
        only_among(all & ~bit(third));
        (void)leader_of(all & ~bit(third));
        pass(500 * MILLISECONDS);
        wire_heal();
        revive(third);
        pass(SECONDS);
    }
}

/* A leader without followers gathers a tail; it rejoins while its successor appends. */
static void old_leader_tail(struct dice *dice)
{
    (void)begin();
    uint32_t all = (1U << processes_count) - 1;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct process *old = leader_of(all);
        only_among(all & ~bit(old));
        for (uint32_t i = 0; i < 5; i++) {
            (void)clients_pay(old);
            pass(dice_between(dice, 1, 20) * MILLISECONDS);
        }
        struct process *next = leader_of(all & ~bit(old));
        pass(300 * MILLISECONDS);
        wire_heal();
        for (uint32_t i = 0; i < 6; i++) {
            (void)clients_pay(next);
            pass(dice_between(dice, 0, 3) * MILLISECONDS);
        }
        if (dice_chance(dice, 50)) {
            kill_one(next);
            pass(dice_between(dice, 200, 1500) * MILLISECONDS);
            revive(next);
        }
        pass(SECONDS);
    }
}

/* The follower has entries on disk that it does not know to be committed; the leader's snapshot
 * covers them. */
static bool leader_is_ahead(struct process *leader, struct process *follower)
{
    uint32_t tries = 0;
    while (tries++ < 200) {
        (void)clients_pay(leader);
        for (uint32_t i = 0; i < 400; i++) {
            (void)world_step();
            if (consensus_last_applied(leader->consensus) >
                consensus_last_applied(follower->consensus)) {
                break;
            }
        }
        wire_cut(leader->place, follower->place, true);
        pass(60 * MILLISECONDS);
        if (!process_serves(leader) || !process_serves(follower)) {
            return false;
        }
        if (leader->disk.snapshot.index > consensus_last_applied(follower->consensus)) {
            return true;
        }
        wire_heal();
        pass(100 * MILLISECONDS);
    }
    return false;
}

/*
 * Of three nodes one is gone, one is fetching the state, and the third can only advance with the
 * vote of the one that fetches: it has the entries, but nobody left who says that they are
 * committed.
 */
static void gone_and_fetching(struct dice *dice)
{
    (void)dice;
    for (uint32_t i = 0; i < processes_count; i++) {
        processes[i].config.snapshot_bytes = 600;
        processes[i].config.snapshot_trailing = 1;
    }
    struct process *gone = begin();
    struct process *fetcher = other_than(bit(gone));
    struct process *third = other_than(bit(gone) | bit(fetcher));
    kill_one(fetcher);
    fetcher->held = true;
    for (uint32_t i = 0; i < 30; i++) {
        (void)clients_pay(gone);
        pass(40 * MILLISECONDS);
    }
    gone = leader_of(bit(gone) | bit(third));
    third = other_than(bit(gone) | bit(fetcher));
    if (!leader_is_ahead(gone, third)) {
        world_fail("scenario: the leader's snapshot never came before its follower");
    }
    revive(fetcher);
    uint64_t end_ns = world.now_ns + WAIT_S * SECONDS;
    while (fetcher->fetching == NULL && world.now_ns < end_ns && world_step()) {
    }
    if (fetcher->fetching == NULL) {
        world_fail("scenario: nobody fetches");
    }
    kill_one(gone);
    gone->held = true;
    wire_heal();
    world_note("corner", third->id, consensus_last_applied(third->consensus));
    uint64_t before = oracle_seq();
    end_ns = world.now_ns + 2 * WAIT_S * SECONDS;
    while (oracle_seq() <= before && world.now_ns < end_ns) {
        (void)clients_pay(third);
        pass(SECONDS);
    }
    if (oracle_seq() <= before) {
        world_fail("scenario: node %u and fetching node %u never go on without node %u", third->id,
                   fetcher->id, gone->id);
    }
    revive(gone);
    pass(SECONDS);
}

static const struct scenario {
    const char *name;
    uint32_t nodes; /* at least */
    void (*run)(struct dice *dice);
} scenarios[] = {{"figure8", 5, figure8},
                 {"old-leader-tail", 3, old_leader_tail},
                 {"gone-and-fetching", 3, gone_and_fetching}};

static const struct scenario *scenario_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(scenarios); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

uint32_t scenario_nodes(const char *name)
{
    const struct scenario *scenario = scenario_of(name);
    return scenario == NULL ? 0 : scenario->nodes;
}

void scenario_run(const char *name, struct dice *dice)
{
    const struct scenario *scenario = scenario_of(name);
    assert(scenario != NULL);
    world.phase = scenario->name;
    scenario->run(dice);
}
