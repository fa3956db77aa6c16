#include "tests/simulation/run.h"

#include "base/check.h"
#include "ledger/ledger.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/scenarios.h"
#include "tests/simulation/wire.h"

#include <stdio.h>
#include <string.h>

enum {
    ANSWER_S = 60, /* virtual: a healed majority has answered everything by then */
    EQUAL_S = 60
};

static_assert((int)RUN_FAULTS_MAX == (int)FAULTS_MAX, "a mask has a place for each fault");

/* Small limits, so that rare ways are common: a snapshot every few entries. */
static void tune(struct dice *dice)
{
    uint64_t snapshot_bytes = UINT64_C(1) << dice_between(dice, 10, 15);
    uint32_t trailing = (uint32_t)dice_between(dice, 1, 16);
    for (uint32_t i = 0; i < processes_count; i++) {
        processes[i].config.snapshot_bytes = snapshot_bytes;
        processes[i].config.snapshot_trailing = trailing;
    }
}

static bool settled(uint32_t group)
{
    if (!clients_done()) {
        return false;
    }
    for (uint32_t i = 0; i < processes_count; i++) {
        const struct process *process = &processes[i];
        if ((group >> i & 1) == 0 || process->dead) {
            continue;
        }
        if (!process_serves(process) ||
            ledger_position(process->node->ledger).seq != oracle_seq()) {
            return false;
        }
    }
    return true;
}

static void explain(uint32_t group)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        const struct process *process = &processes[i];
        const char *what = process->dead ? "dead" : !process->up ? "down" : "up";
        (void)printf("  node %u%s: %s%s", process->id, (group >> i & 1) != 0 ? " (healed)" : "",
                     what, process->up && process->consensus == NULL ? ", fetching the state" : "");
        if (process_serves(process)) {
            (void)printf(", role %d term %llu last %llu applied %llu seq %llu of %llu",
                         (int)consensus_role(process->consensus),
                         (unsigned long long)consensus_term(process->consensus),
                         (unsigned long long)consensus_last_index(process->consensus),
                         (unsigned long long)consensus_last_applied(process->consensus),
                         (unsigned long long)ledger_position(process->node->ledger).seq,
                         (unsigned long long)oracle_seq());
        }
        (void)printf("\n");
    }
    clients_explain();
}

static void run_until_settled(const char *phase, uint32_t group, uint64_t limit_s)
{
    world.phase = phase;
    uint64_t end_ns = world.now_ns + limit_s * SECONDS;
    uint64_t looked_ns = 0;
    while (world.now_ns < end_ns && world_step()) {
        if (world.now_ns < looked_ns + 10 * MILLISECONDS) {
            continue;
        }
        looked_ns = world.now_ns;
        if (settled(group)) {
            return;
        }
    }
    explain(group);
    world_fail("not settled after %llu s", (unsigned long long)limit_s);
}

static uint32_t choose_majority(struct dice *dice)
{
    uint32_t group = 0;
    uint32_t count = 0;
    while (count < processes_count / 2 + 1) {
        uint32_t place = (uint32_t)dice_below(dice, processes_count);
        if ((group >> place & 1) == 0 && !processes[place].dead && !processes[place].rotten) {
            group |= 1U << place;
            count++;
        }
    }
    return group;
}

void run_heal(struct dice *dice)
{
    faults_end();
    clients_finish();
    uint32_t group = choose_majority(dice);
    for (uint32_t i = 0; i < processes_count; i++) {
        if ((group >> i & 1) == 0) {
            process_end(&processes[i], DEATH_KILL);
            processes[i].held = true;
        } else if (!processes[i].up) {
            process_start_after(&processes[i], 0);
        }
    }
    run_until_settled("a majority is healed", group, ANSWER_S);
    uint32_t all = (1U << processes_count) - 1;
    for (uint32_t i = 0; i < processes_count; i++) {
        processes[i].held = false;
        process_start_after(&processes[i], 0);
    }
    run_until_settled("all are healed", all, EQUAL_S);
    for (uint32_t i = 0; i < processes_count; i++) {
        if (process_serves(&processes[i])) {
            oracle_compare(&processes[i]);
        }
    }
}

static void run_faults(const struct run_options *options, struct dice *dice)
{
    uint64_t duration_ns = dice_between(dice, 6, 20) * SECONDS;
    faults_plan(duration_ns, options->without);
    if (options->explain) {
        faults_print();
    }
    const struct clients_options clients = {.pause_us = dice_between(dice, 8000, 60000),
                                            .open_max = (uint32_t)dice_between(dice, 2, 24),
                                            .batches = (uint32_t)dice_below(dice, 25),
                                            .reads = (uint32_t)dice_below(dice, 40),
                                            .doubles = (uint32_t)dice_below(dice, 30)};
    clients_begin(&clients);
    world.phase = "faults";
    while (world.now_ns < duration_ns && (options->steps == 0 || world.steps < options->steps)) {
        if (!world_step()) {
            break;
        }
    }
}

void run_seed(const struct run_options *options, const char *root)
{
    world.trace = options->trace;
    if (world.trace) {
        (void)setvbuf(stdout, NULL, _IOLBF, 0); /* the product may abort */
    }
    world_begin(options->seed);
    struct dice dice;
    dice_seed(&dice, options->seed * 13 + 7);
    uint32_t nodes = dice_chance(&dice, 70) ? 3 : 5;
    nodes = options->nodes != 0 ? options->nodes : nodes;
    nodes = options->scenario != NULL && options->nodes == 0 ? scenario_nodes(options->scenario)
                                                             : nodes;
    processes_make(root, nodes);
    oracle_open();
    tune(&dice);
    for (uint32_t i = 0; i < nodes; i++) {
        process_start_after(&processes[i], dice_below(&dice, 200) * MILLISECONDS);
    }
    if (options->scenario != NULL) {
        scenario_run(options->scenario, &dice);
    } else {
        run_faults(options, &dice);
    }
    run_heal(&dice);
    for (uint32_t i = 0; i < nodes; i++) {
        if (processes[i].pages.writes == 0) {
            world_fail("node %u: LMDB writes past the virtual disk", processes[i].id);
        }
    }
    if (options->quiet) {
        return;
    }
    struct oracle_figures figures = oracle_figures();
    struct clients_figures clients = clients_figures();
    uint64_t deaths = 0;
    uint64_t copied = 0;
    for (uint32_t i = 0; i < nodes; i++) {
        deaths += processes[i].deaths;
        copied += processes[i].copies;
    }
    (void)printf("seed %llu ok trace %016llx nodes %u time %.1f steps %llu entries %llu payments "
                 "%llu seq %llu requests %llu attempts %llu unknown %llu elections %llu ends %llu "
                 "copies %llu\n",
                 (unsigned long long)options->seed, (unsigned long long)world.trace_hash, nodes,
                 (double)world.now_ns / 1e9, (unsigned long long)world.steps,
                 (unsigned long long)figures.entries, (unsigned long long)figures.payments,
                 (unsigned long long)oracle_seq(), (unsigned long long)clients.requests,
                 (unsigned long long)clients.attempts, (unsigned long long)clients.unknown,
                 (unsigned long long)figures.elections, (unsigned long long)deaths,
                 (unsigned long long)copied);
}
