#include "tests/simulation/faults.h"

#include "base/check.h"
#include "ledger/ledger.h"
#include "tests/simulation/copies.h"
#include "tests/simulation/wire.h"

#include <stdio.h>
#include <string.h>

enum fault_kind {
    FAULT_ISOLATE,
    FAULT_ONE_WAY,
    FAULT_SPLIT,
    FAULT_FLAP,
    FAULT_KILL,
    FAULT_POWER,
    FAULT_POWER_ALL,
    FAULT_LAG,
    FAULT_PAUSE,
    FAULT_SLOW_NODE,
    FAULT_SLOW_DISK,
    FAULT_LOG_ERROR,
    FAULT_PAGE_ERROR,
    FAULT_DISK_FULL,
    FAULT_DISK_HANGS,
    FAULT_CLOCK,
    FAULT_WEATHER,
    FAULT_TRANSFER,
    FAULT_STRIKE,
    FAULT_VOTE,
    FAULT_ROT,
    FAULT_KINDS
};

static const char *const names[FAULT_KINDS] = {
    "isolate",    "one-way",    "split",     "flap",      "kill",      "power",      "power-all",
    "lag",        "pause",      "slow-node", "slow-disk", "log-error", "page-error", "disk-full",
    "disk-hangs", "clock-jump", "weather",   "transfer",  "strike",    "vote-crash", "rot"};

/* How often each kind is drawn, of those that take part. */
static const uint32_t weights[FAULT_KINDS] = {6, 4, 3, 8, 5, 5, 2, 3, 4, 2, 3,
                                              2, 2, 1, 1, 3, 2, 3, 9, 3, 1};

struct fault {
    uint64_t at_ns;
    enum fault_kind kind;
    uint64_t seed;
    bool out;
    struct dice dice;
    uint32_t rounds; /* flap */
};

struct armed {
    bool set;
    uint32_t action;
    uint64_t skip; /* so many moments pass first */
    struct dice dice;
};

static struct fault faults[FAULTS_MAX];
static uint32_t count;
static struct armed armed[MOMENT_COUNT];
static bool ended;

/* ---- whom --------------------------------------------------------------------------------- */

static struct process *any(struct dice *dice)
{
    return &processes[dice_below(dice, processes_count)];
}

/* Mostly the leader: that is where it hurts. */
static struct process *victim(struct dice *dice)
{
    struct process *leader = process_leader();
    return leader != NULL && dice_chance(dice, 60) ? leader : any(dice);
}

/* ---- cuts ---------------------------------------------------------------------------------- */

static void heal_run(void *data)
{
    (void)data;
    wire_heal();
}

static void heal_after(struct dice *dice, uint64_t low_ms, uint64_t high_ms)
{
    world_after(dice_between(dice, low_ms, high_ms) * MILLISECONDS, NULL, heal_run, NULL);
}

static void isolate(struct process *process, bool out, bool in)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        if (out) {
            wire_cut(process->place, i, true);
        }
        if (in) {
            wire_cut(i, process->place, true);
        }
    }
}

/* Opens the links inside the group, cuts all others. */
static void only_among(uint32_t group)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        for (uint32_t j = 0; j < processes_count; j++) {
            bool inside = (group >> i & 1) != 0 && (group >> j & 1) != 0;
            wire_cut(i, j, !inside);
        }
    }
}

static uint32_t group_of(struct dice *dice, uint32_t size, struct process *member)
{
    uint32_t group = 0;
    uint32_t in = 0;
    if (member != NULL) {
        group = 1U << member->place;
        in = 1;
    }
    while (in < size) {
        uint32_t bit = 1U << dice_below(dice, processes_count);
        in += (group & bit) == 0;
        group |= bit;
    }
    return group;
}

/*
 * For a moment the leader reaches less than a majority (a tail that is not committed), then a
 * majority that just suffices, then another one; rarely all.
 */
static void flap_run(void *data)
{
    struct fault *fault = data;
    struct dice *dice = &fault->dice;
    if (ended) {
        return;
    }
    if (fault->rounds-- == 0) {
        wire_heal();
        return;
    }
    uint64_t mode = dice_below(dice, 10);
    uint64_t length_ms = dice_between(dice, 100, 1500);
    if (mode < 3) {
        only_among(group_of(dice, processes_count / 2, process_leader()));
        length_ms = dice_between(dice, 20, 420);
    } else if (mode < 9) {
        only_among(group_of(dice, processes_count / 2 + 1, NULL));
    } else {
        wire_heal();
    }
    world_after(length_ms * MILLISECONDS, NULL, flap_run, fault);
}

static void split(struct dice *dice)
{
    uint32_t side = (uint32_t)dice_below(dice, 1U << processes_count);
    for (uint32_t i = 0; i < processes_count; i++) {
        for (uint32_t j = 0; j < processes_count; j++) {
            wire_cut(i, j, (side >> i & 1) != (side >> j & 1));
        }
    }
    heal_after(dice, 200, 5000);
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void end(struct process *process, struct dice *dice, enum death death, uint64_t down_ms)
{
    process_end(process, death);
    process_start_after(process, (down_ms + dice_below(dice, 1000)) * MILLISECONDS);
}

static void power_all(struct dice *dice)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        end(&processes[i], dice, DEATH_POWER, 10);
    }
}

/* Damage that must be found at the next start. Never on more than a minority. */
static void rot(struct dice *dice)
{
    struct process *process = any(dice);
    uint32_t rotten = 0;
    for (uint32_t i = 0; i < processes_count; i++) {
        rotten += processes[i].rotten;
    }
    if (rotten >= (processes_count - 1) / 2 || !process_serves(process) || process->copied) {
        return;
    }
    struct disk *disk = &process->disk;
    uint64_t index = ledger_committed(process->node->ledger).index;
    process_end(process, DEATH_KILL);
    if (dice_chance(dice, 50)) {
        disk->damaged = true;
        process->rotten = true;
    } else if (index > disk->snapshot.index + 1 && index > disk->first) {
        disk_cut(disk, index - 1);
        process->rotten = true;
    }
    world_note("rot", process->id, index);
    process_start_after(process, dice_between(dice, 100, 2000) * MILLISECONDS);
}

/* ---- disks and clocks ---------------------------------------------------------------------- */

static void disk_well(void *data)
{
    struct process *process = data;
    process->disk.slow_ns = 0;
    process->disk.full = false;
    process->disk.hangs = false;
    process->pages.full = false;
    process->slow = 100;
    disk_resume(process);
}

static void disk_well_after(struct process *process, struct dice *dice, uint64_t most_ms)
{
    world_after(dice_between(dice, 100, most_ms) * MILLISECONDS, NULL, disk_well, process);
}

static void page_error(struct process *process, struct dice *dice)
{
    process->disk_faulty = true;
    if (dice_chance(dice, 50)) {
        process->pages.fail_flush = true;
    } else {
        process->pages.fail_at_write = dice_between(dice, 1, 8);
    }
}

static void clock_jump(struct process *process, struct dice *dice)
{
    static const int64_t jumps_ms[] = {-3600000, -4000, -600, -100, 0, 0, 100, 600, 4000, 3600000};
    int64_t jump_ms = jumps_ms[dice_below(dice, sizeof(jumps_ms) / sizeof(jumps_ms[0]))];
    process->wall_offset_ns = jump_ms * (int64_t)MILLISECONDS;
    world_note("clock", process->id, (uint64_t)jump_ms);
}

static void weather_well(void *data)
{
    (void)data;
    wire_weather = (struct wire_weather){.delay_us = 100, .jitter_us = 300};
    copies_broken = 0;
}

static void weather(struct dice *dice)
{
    wire_weather = (struct wire_weather){.delay_us = dice_between(dice, 50, 20000),
                                         .jitter_us = dice_between(dice, 50, 60000),
                                         .stalls = (uint32_t)dice_below(dice, 8),
                                         .breaks = (uint32_t)dice_below(dice, 200)};
    copies_broken = 50;
    world_after(dice_between(dice, 500, 6000) * MILLISECONDS, NULL, weather_well, NULL);
}

static void transfer_run(void *data)
{
    struct process *process = data;
    enum status status = consensus_transfer(process->consensus, 0);
    (void)status; /* it leads, or not */
}

/* ---- strikes: at the worst moment ----------------------------------------------------------- */

struct strike {
    struct process *process;
    uint32_t action;
    uint32_t life;
    struct dice dice;
};

enum action { ACTION_ISOLATE, ACTION_MUTE, ACTION_DEAF, ACTION_KILL, ACTION_POWER, ACTION_COUNT };

static void strike_run(void *data)
{
    struct strike *strike = data;
    struct process *process = strike->process;
    struct dice *dice = &strike->dice;
    if (ended || !process->up || process->life != strike->life) {
        return;
    }
    switch ((enum action)strike->action) {
    case ACTION_ISOLATE:
        isolate(process, true, true);
        heal_after(dice, 100, 4000);
        break;
    case ACTION_MUTE:
        isolate(process, true, false);
        heal_after(dice, 100, 4000);
        break;
    case ACTION_DEAF:
        isolate(process, false, true);
        heal_after(dice, 100, 4000);
        break;
    case ACTION_KILL:
        end(process, dice, DEATH_KILL, 50);
        break;
    case ACTION_POWER:
    case ACTION_COUNT:
        end(process, dice, DEATH_POWER, 50);
        break;
    }
}

static struct strike strikes[FAULTS_MAX];
static uint32_t strikes_count;

void faults_moment(enum moment moment, struct process *process)
{
    struct armed *arm = &armed[moment];
    if (!arm->set || ended || (moment == MOMENT_SEND && process != process_leader())) {
        return;
    }
    if (arm->skip > 0) {
        arm->skip--;
        return;
    }
    arm->set = false;
    assert(strikes_count < FAULTS_MAX);
    struct strike *strike = &strikes[strikes_count++];
    *strike = (struct strike){
        .process = process, .action = arm->action, .life = process->life, .dice = arm->dice};
    world_note("strike", process->id, moment * 10 + arm->action);
    uint64_t delay = dice_chance(&strike->dice, 70) ? 0 : dice_below(&strike->dice, 3000);
    world_after(delay * MICROSECONDS, NULL, strike_run, strike);
}

static void arm_strike(struct dice *dice)
{
    struct armed *arm = &armed[dice_below(dice, MOMENT_COUNT)];
    arm->set = true;
    arm->action = (uint32_t)dice_below(dice, ACTION_COUNT);
    arm->skip = dice_below(dice, 4);
    dice_seed(&arm->dice, dice_next(dice));
}

/* ---- the plan ------------------------------------------------------------------------------ */

static void fault_disk(struct fault *fault, struct process *process, struct dice *dice)
{
    switch ((int)fault->kind) {
    case FAULT_SLOW_DISK:
        process->disk_faulty = true;
        process->disk.slow_ns = dice_between(dice, 5, 300) * MILLISECONDS;
        disk_well_after(process, dice, 6000);
        break;
    case FAULT_LOG_ERROR:
        process->disk_faulty = true;
        process->disk.fail_next = true;
        break;
    case FAULT_PAGE_ERROR:
        page_error(process, dice);
        break;
    case FAULT_DISK_FULL:
        process->disk_faulty = true;
        process->disk.full = true;
        process->pages.full = true;
        disk_well_after(process, dice, 4000);
        break;
    default:
        process->disk_faulty = true;
        process->disk.hangs = true;
        disk_well_after(process, dice, 15000);
        break;
    }
}

static void fault_process(const struct fault *fault, struct process *process, struct dice *dice)
{
    switch ((int)fault->kind) {
    case FAULT_KILL:
        end(process, dice, DEATH_KILL, 20);
        break;
    case FAULT_POWER:
        end(process, dice, DEATH_POWER, 20);
        break;
    case FAULT_POWER_ALL:
        power_all(dice);
        break;
    case FAULT_LAG:
        end(any(dice), dice, DEATH_KILL, dice_between(dice, 2000, 8000));
        break;
    default: {
        uint64_t most_ms = dice_chance(dice, 10) ? 14000 : 3000;
        process_pause(process, dice_between(dice, 50, most_ms) * MILLISECONDS);
        break;
    }
    }
}

static void fault_run(void *data)
{
    struct fault *fault = data;
    if (ended || fault->out) {
        return;
    }
    struct dice *dice = &fault->dice;
    struct process *process = victim(dice);
    world_note(names[fault->kind], process->id, 0);
    switch (fault->kind) {
    case FAULT_ISOLATE:
        isolate(process, true, true);
        heal_after(dice, 100, 5000);
        break;
    case FAULT_ONE_WAY: {
        bool out = dice_chance(dice, 50);
        isolate(process, out, !out);
        heal_after(dice, 100, 5000);
        break;
    }
    case FAULT_SPLIT:
        split(dice);
        break;
    case FAULT_FLAP:
        fault->rounds = (uint32_t)dice_between(dice, 3, 12);
        flap_run(fault);
        break;
    case FAULT_KILL:
    case FAULT_POWER:
    case FAULT_POWER_ALL:
    case FAULT_LAG:
    case FAULT_PAUSE:
        fault_process(fault, process, dice);
        break;
    case FAULT_SLOW_NODE:
        process->disk_faulty = true; /* its disk may take longer than the watchdog waits */
        process->slow = dice_between(dice, 200, 3000);
        disk_well_after(process, dice, 5000);
        break;
    case FAULT_SLOW_DISK:
    case FAULT_LOG_ERROR:
    case FAULT_PAGE_ERROR:
    case FAULT_DISK_FULL:
    case FAULT_DISK_HANGS:
        fault_disk(fault, process, dice);
        break;
    case FAULT_CLOCK:
        clock_jump(process, dice);
        break;
    case FAULT_WEATHER:
        weather(dice);
        break;
    case FAULT_TRANSFER:
        if (process_serves(process)) {
            world_after(0, process, transfer_run, process);
        }
        break;
    case FAULT_STRIKE:
        arm_strike(dice);
        break;
    case FAULT_VOTE:
        process->disk.die_at_vote = (uint32_t)dice_between(dice, 1, 2);
        break;
    case FAULT_ROT:
        rot(dice);
        break;
    case FAULT_KINDS:
        break;
    }
}

static enum fault_kind kind_draw(struct dice *dice, const bool *takes_part)
{
    for (;;) {
        enum fault_kind kind = (enum fault_kind)dice_below(dice, FAULT_KINDS);
        if (takes_part[kind] && dice_below(dice, 10) < weights[kind]) {
            return kind;
        }
    }
}

void faults_plan(uint64_t duration_ns, const char *without)
{
    struct dice dice;
    dice_seed(&dice, world.seed * 11 + 5);
    bool takes_part[FAULT_KINDS];
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        takes_part[kind] = dice_chance(&dice, 50);
    }
    takes_part[dice_chance(&dice, 50) ? FAULT_FLAP : FAULT_STRIKE] = true; /* never none */
    uint64_t pause_ms = dice_between(&dice, 150, 1500);
    uint64_t at_ns = dice_between(&dice, 500, 2500) * MILLISECONDS;
    size_t known = without == NULL ? 0 : strlen(without);
    for (count = 0; count < FAULTS_MAX && at_ns < duration_ns; count++) {
        struct fault *fault = &faults[count];
        *fault = (struct fault){
            .at_ns = at_ns, .kind = kind_draw(&dice, takes_part), .seed = dice_next(&dice)};
        dice_seed(&fault->dice, fault->seed);
        fault->out = known > 0 && without[count < known ? count : known - 1] == '-';
        world_after(at_ns, NULL, fault_run, fault);
        at_ns += dice_below(&dice, 2 * pause_ms) * MILLISECONDS;
    }
}

uint32_t faults_count(void)
{
    return count;
}

void faults_print(void)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!faults[i].out) {
            (void)printf("  fault %u at %.3f s: %s\n", i, (double)faults[i].at_ns / 1e9,
                         names[faults[i].kind]);
        }
    }
}

void faults_end(void)
{
    ended = true;
    wire_heal();
    weather_well(NULL);
    for (uint32_t i = 0; i < processes_count; i++) {
        struct process *process = &processes[i];
        disk_well(process);
        process->disk.fail_next = false;
        process->disk.die_at_vote = 0;
        process->pages.fail_flush = false;
        process->pages.fail_at_write = 0;
        process->wall_offset_ns = 0;
        process_resume(process);
    }
}
