#include "tests/simulation/process.h"

#include "base/check.h"
#include "base/log.h"
#include "ledger/internal.h"
#include "ledger/scrub.h"
#include "node/ledger_inside.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/copies.h"
#include "tests/simulation/door.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* libraft.a: with a raft_io of one's own nobody else tells raft_apply's callbacks. */
void LegacyFireCompletedRequests(struct raft *raft);

/* What the linker calls instead of the product's own. */
void __wrap_fail_stop(enum exit_status status, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void __wrap_random_bytes(void *data, size_t size);
void __wrap_log_write(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum status __wrap_consensus_format(const char *dir, const struct consensus_identity *identity,
                                    const struct consensus_peer *peers, uint32_t peers_count,
                                    char *error, size_t error_size);

enum {
    MAP_BYTES = 64 * 1024 * 1024,
    WALL_BASE_S = 1800000000, /* when the simulated world begins */
    TICK_SPREAD_MS = 20
};

struct process processes[PROCESSES_MAX];
uint32_t processes_count;
struct process *process_current;

static void loop_plan(struct process *process);

uint64_t process_delay(const struct process *process, uint64_t nanoseconds)
{
    return nanoseconds * process->slow / 100;
}

bool process_serves(const struct process *process)
{
    return process->up && process->consensus != NULL;
}

struct process *process_leader(void)
{
    struct process *leader = NULL;
    for (uint32_t i = 0; i < processes_count; i++) {
        struct process *process = &processes[i];
        if (process_serves(process) && raft_state(process->consensus->raft) == RAFT_LEADER &&
            (leader == NULL ||
             consensus_term(process->consensus) > consensus_term(leader->consensus))) {
            leader = process;
        }
    }
    return leader;
}

/* ---- what the product asks of its surroundings --------------------------------------------- */

static uint64_t clock_monotonic(void *data)
{
    const struct process *process = data;
    return process->monotonic_base_ns + world.now_ns;
}

static int64_t clock_wall(void *data)
{
    const struct process *process = data;
    return (int64_t)WALL_BASE_S * 1000000000 + (int64_t)world.now_ns + process->wall_offset_ns;
}

void __wrap_random_bytes(void *data, size_t size)
{
    assert(process_current != NULL);
    uint8_t *at = data;
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)dice_next(&process_current->dice);
    }
}

/* The virtual disk has its own: disk_format. */
enum status __wrap_consensus_format(const char *dir, const struct consensus_identity *identity,
                                    const struct consensus_peer *peers, uint32_t peers_count,
                                    char *error, size_t error_size)
{
    (void)dir;
    (void)identity;
    (void)peers;
    (void)peers_count;
    (void)error;
    (void)error_size;
    return STATUS_OK;
}

void __wrap_log_write(enum log_level level, const char *part, const char *format, ...)
{
    if (!world.trace || level < LOG_INFO) {
        return;
    }
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    world_say("  node %u %s: %s", process_current == NULL ? 0 : process_current->id, part, text);
}

/* Each stop must have its reason: a fault of this node's disk, or one that the product names. */
static bool is_expected(const struct process *process, enum exit_status status)
{
    static const char restarts[] = "the log must "; /* be cut; take back entries */
    if (status == EXIT_DISK && process->disk_faulty) {
        return true;
    }
    return strncmp(process->reason, restarts, sizeof(restarts) - 1) == 0;
}

void __wrap_fail_stop(enum exit_status status, const char *part, const char *format, ...)
{
    struct process *process = process_current;
    char text[sizeof(process->reason)];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (process == NULL) {
        world_fail("fail-stop outside of a node: %s: %s", part, text);
    }
    memcpy(process->reason, text, sizeof(text));
    process->exit_status = (int)status;
    if (!is_expected(process, status)) {
        world_fail("node %u stopped without a fault: %s: %s", process->id, part, text);
    }
    process_die(DEATH_STOP, text);
}

void node_restart(struct node *node)
{
    (void)node;
    process_current->restart = true;
    process_die(DEATH_STOP, "restart");
}

void process_die(enum death death, const char *reason)
{
    struct process *process = process_current;
    assert(process != NULL && process->inside);
    process->death = death;
    world_say("  node %u ends: %s", process->id, reason);
    longjmp(process->escape, 1);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void work_run(void *data)
{
    struct process *process = data;
    process->work_planned = false;
    node_work(process->node);
}

static void wake(void *data)
{
    struct node *node = data;
    struct process *process = &processes[node->id - 1];
    if (!process->work_planned && process->consensus != NULL) {
        process->work_planned = true;
        uint64_t delay = dice_between(&world.dice, 1, 200) * MICROSECONDS;
        world_after(process_delay(process, delay), process, work_run, process);
    }
}

static void step_run(void *data)
{
    struct process *process = data;
    process->step_planned = false;
    enum ledger_step step = ledger_thread_step(process->node->ledger_thread);
    oracle_look(process);
    if (step != LEDGER_STEP_IDLE) {
        loop_plan(process);
    }
}

static void step_plan(struct process *process)
{
    if (process->step_planned) {
        return;
    }
    process->step_planned = true;
    uint64_t most_us = dice_chance(&world.dice, 90) ? 300 : 5000;
    uint64_t delay = dice_between(&world.dice, 5, most_us) * MICROSECONDS;
    world_after(process_delay(process, delay), process, step_run, process);
}

static void loop_plan(struct process *process)
{
    step_plan(process);
}

/* The end of each round of the loop, as node.c and consensus.c have it. */
static void round_end(struct process *process)
{
    struct node *node = process->node;
    struct consensus *consensus = process->consensus;
    if (consensus == NULL || node->consensus == NULL) {
        return;
    }
    LegacyFireCompletedRequests(consensus->raft);
    flow_answer(&consensus->flow);
    consensus_watch(consensus);
    LegacyFireCompletedRequests(consensus->raft);
    ledger_thread_stored(node->ledger_thread, consensus_last_stored(consensus));
    forward_flush(node);
    if (queue_count(&node->ledger_thread->queue) > 0) {
        step_plan(process);
    }
    oracle_watch(process);
}

static void tick_run(void *data)
{
    struct process *process = data;
    uint64_t period = TICK_MS + dice_below(&world.dice, TICK_SPREAD_MS);
    world_after(process_delay(process, period * MILLISECONDS), process, tick_run, process);
    node_tick(process->node, clock_monotonic_ns(&process->clock));
    step_plan(process);
}

static void watchdog_run(void *data)
{
    struct process *process = data;
    world_after(GUARD_PERIOD_MS * MILLISECONDS, process, watchdog_run, process);
    guard_look(&process->consensus->guard);
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void start_run(void *data);

static void bury(struct process *process)
{
    struct node *node = process->node;
    process->up = false;
    process->life++;
    process->deaths++;
    world_note("end", process->id, process->death);
    if (node != NULL) {
        if (node->ledger != NULL) {
            store_close(node->ledger->store);
        }
        datadir_close(node->dir);
        forward_close(node);
    }
    disk_crash(&process->disk, &world.dice);
    if (process->death == DEATH_POWER) {
        pages_lose(&process->pages, &world.dice);
    }
    copies_process_down(process);
    door_process_down(process);
    process->node = NULL;
    process->consensus = NULL;
    process->fetching = NULL;
    process_resume(process);
    process->peers_paused = false;
    process->work_planned = false;
    process->step_planned = false;
    wire_process_down(process);
    if (process->restart) {
        process->restart = false;
        process_start_after(process, 5 * MILLISECONDS);
    } else if (process->death == DEATH_STOP && !process->dead) {
        process_start_after(process, dice_between(&world.dice, 200, 2000) * MILLISECONDS);
    }
}

void process_end(struct process *process, enum death death)
{
    assert(process_current == NULL);
    if (process->up) {
        process->death = death;
        bury(process);
    }
}

void process_enter(struct process *process, void (*run)(void *data), void *data)
{
    assert(process_current == NULL && process->up);
    process_current = process;
    process->inside = true;
    if (setjmp(process->escape) == 0) {
        run(data);
        round_end(process);
        process->inside = false;
        process_current = NULL;
        return;
    }
    process->inside = false;
    process_current = NULL;
    bury(process);
}

void process_pause(struct process *process, uint64_t duration_ns)
{
    uint64_t until_ns = world.now_ns + duration_ns;
    if (process->up && until_ns > process->paused_until_ns) {
        process_resume(process);
        process->paused_until_ns = until_ns;
        world_note("pause", process->id, duration_ns);
    }
}

void process_resume(struct process *process)
{
    if (process->paused_until_ns > world.now_ns) {
        world_resume(process);
    }
    process->paused_until_ns = 0;
}

/* ---- starts -------------------------------------------------------------------------------- */

/* It refuses to run: right where its log was damaged, a failure elsewhere. */
static void refuse(struct process *process, const char *why)
{
    if (!process->rotten) {
        world_fail("node %u refuses to start: %s", process->id, why);
    }
    process->dead = true;
    process_die(DEATH_STOP, why);
}

static void ledger_begin_life(struct process *process)
{
    struct node *node = process->node;
    char error[512];
    struct ledger_options options = {.path = datadir_ledger_path(node->dir),
                                     .map_bytes = process->config.map_bytes,
                                     .metrics = &node->metrics};
    enum status status = ledger_open(&node->ledger, &options, error, sizeof(error));
    if (status != STATUS_OK) {
        fail_stop(EXIT_DISK, "sim", "%s", error);
    }
    node->opened_index = ledger_committed(node->ledger).index;
    struct position checked;
    if (scrub_all(node->ledger, &checked) != STATUS_OK) {
        world_fail("node %u has a damaged ledger: %s", process->id, ledger_damage(node->ledger));
    }
    struct ledger_thread_options thread = {.ledger = node->ledger,
                                           .metrics = &node->metrics,
                                           .clock = &process->clock,
                                           .events = &node->events,
                                           .entries_window = ENTRIES_WINDOW,
                                           .manual = true};
    status = ledger_thread_open(&node->ledger_thread, &thread);
    assert(status == STATUS_OK);
    oracle_begin_life(process);
}

static bool restore_run(void *data, const struct consensus_manifest *manifest)
{
    bool reached = node_on_restore(data, manifest);
    process_current->disk.stateless = 0; /* or it had not returned */
    return reached;
}

static void consensus_begin_life(struct process *process)
{
    struct node *node = process->node;
    struct consensus *consensus = calloc(1, sizeof(*consensus));
    struct raft *raft = calloc(1, sizeof(*raft));
    assert(consensus != NULL && raft != NULL);
    consensus->raft = raft;
    raft->data = consensus;
    struct endpoint *endpoint = &consensus->endpoint;
    endpoint->identity = *datadir_identity(node->dir);
    for (uint32_t i = 0; i < processes_count; i++) {
        endpoint->peers[i].id = processes[i].id;
    }
    endpoint->peers_count = processes_count;
    consensus->transport.endpoint = endpoint;
    consensus->io = disk_io(process);
    struct consensus_options options = {.dir = "the virtual disk",
                                        .identity = endpoint->identity,
                                        .heartbeat_ms = process->config.heartbeat_ms,
                                        .election_timeout_ms = process->config.election_timeout_ms,
                                        .snapshot_bytes = process->config.snapshot_bytes,
                                        .snapshot_trailing = process->config.snapshot_trailing,
                                        .metrics = &node->metrics,
                                        .callbacks = node_consensus_callbacks(),
                                        .data = node};
    options.callbacks.on_apply = oracle_on_apply;
    options.callbacks.on_restore = restore_run;
    consensus_init_core(consensus, &options);
    char error[512];
    process->consensus = consensus;
    enum status status = consensus_start_core(consensus, &options, error, sizeof(error));
    if (status != STATUS_OK) {
        refuse(process, error);
    }
    node->consensus = consensus;
    if (!node_log_is_whole(node)) {
        refuse(process, "the log lost its tail");
    }
    if (process->rotten && process->disk.damaged) {
        world_fail("node %u runs on a damaged log", process->id);
    }
}

static void begin_life(void *data)
{
    struct process *process = data;
    struct node *node = calloc(1, sizeof(*node));
    assert(node != NULL);
    process->node = node;
    enum status status = node_prepare(node, &process->config, &process->clock, wake);
    assert(status == STATUS_OK);
    char error[DATADIR_ERROR_BYTES];
    status = datadir_open(&node->dir, &process->config, error, sizeof(error));
    if (status != STATUS_OK) {
        refuse(process, error);
    }
    struct consensus_manifest manifest;
    status = datadir_needs_state_read(node->dir, &manifest);
    if (status == STATUS_OK) {
        copies_fetch(process, &manifest);
        return;
    }
    if (status != STATUS_NOT_FOUND) {
        refuse(process, "the note needs-state is damaged");
    }
    ledger_begin_life(process);
    consensus_begin_life(process);
    gossip_refresh(node);
    door_process_up(process);
    world_after(dice_between(&world.dice, 1, 20) * MILLISECONDS, process, tick_run, process);
    world_after(GUARD_PERIOD_MS * MILLISECONDS, process, watchdog_run, process);
    wake(node);
}

static void start_run(void *data)
{
    struct process *process = data;
    if (process->up || process->dead || process->held) {
        return;
    }
    process->up = true;
    process->life++;
    process->monotonic_base_ns = dice_below(&world.dice, 1000) * SECONDS;
    world_note("start", process->id, process->life);
    process_enter(process, begin_life, process);
    if (process_serves(process)) {
        wire_process_up(process);
    }
}

void process_start_after(struct process *process, uint64_t delay_ns)
{
    world_after(delay_ns, NULL, start_run, process);
}

/* ---- a new cluster ------------------------------------------------------------------------- */

static void config_make(struct process *process, const char *root, uint32_t count)
{
    char text[2048];
    int size = snprintf(text, sizeof(text),
                        "cluster = \"sim\"\ndata = \"%s/node{id}\"\n"
                        "tls { ca = \"ca\" cert = \"cert\" key = \"key\" }\n",
                        root);
    for (uint32_t i = 1; i <= count; i++) {
        size += snprintf(text + size, sizeof(text) - (size_t)size,
                         "node %u { peer = \"127.0.0.1:%u\" client = \"127.0.0.1:%u\" }\n", i,
                         7100 + i, 7200 + i);
    }
    char error[CONFIG_ERROR_BYTES];
    enum status status =
        config_parse(&process->config, (struct text){.data = text, .size = (size_t)size},
                     "/simulation.conf", process->id, error, sizeof(error));
    if (status != STATUS_OK) {
        world_fail("configuration: %s", error);
    }
    process->config.map_bytes = MAP_BYTES;
    process->config.heartbeat_ms = 50;
    process->config.election_timeout_ms = 400;
    process->config.request_timeout_ms = 2000;
    process->config.disk_reserve_bytes = 4096;
    process->config.copy_hold_bytes = 256 * 1024;
}

static void process_make(struct process *process, const char *root, uint32_t count)
{
    char error[DATADIR_ERROR_BYTES];
    process->slow = 100;
    dice_seed(&process->dice, world.seed * 1000 + process->id);
    process->clock =
        (struct clock){.data = process, .monotonic_ns = clock_monotonic, .wall_ns = clock_wall};
    (void)snprintf(process->address, sizeof(process->address), "%u", process->id);
    config_make(process, root, count);
    process_current = process; /* the incarnation is drawn */
    enum status status = datadir_format(&process->config, error, sizeof(error));
    process_current = NULL;
    if (status != STATUS_OK) {
        world_fail("format: %s", error);
    }
    int length = snprintf(process->pages.path, sizeof(process->pages.path),
                          "%s/node%u/ledger/data.mdb", root, process->id);
    assert(length > 0 && (size_t)length < sizeof(process->pages.path));
}

void processes_make(const char *root, uint32_t count)
{
    assert(count >= 1 && count <= PROCESSES_MAX);
    processes_count = count;
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (uint32_t i = 0; i < count; i++) {
        processes[i].place = i;
        processes[i].id = i + 1;
        process_make(&processes[i], root, count);
        int failed = raft_configuration_add(&configuration, processes[i].id, processes[i].address,
                                            RAFT_VOTER);
        assert(failed == 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        disk_format(&processes[i].disk, &configuration);
    }
    raft_configuration_close(&configuration);
    wire_begin();
}
