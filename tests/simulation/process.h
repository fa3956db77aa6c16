/*
 * One node as an operating system sees it: started, ended, paused. What runs inside is the product:
 * core, ledger, raft and the text half of the gateway. A fail-stop ends the process, not the run.
 */
#ifndef TESTS_SIMULATION_PROCESS_H
#define TESTS_SIMULATION_PROCESS_H

#include "consensus/internal.h"
#include "node/internal.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/pages.h"
#include "tests/simulation/world.h"

#include <setjmp.h>

enum { PROCESSES_MAX = 5 };

/* How a process ends. */
enum death {
    DEATH_KILL,  /* SIGKILL: what was written stays in the page cache */
    DEATH_POWER, /* what was not flushed is lost, or a part of it */
    DEATH_STOP   /* a fail-stop or restart of its own: as a kill */
};

struct fetching;

struct process {
    uint32_t id;    /* the node's */
    uint32_t place; /* index */
    bool up;
    bool dead;     /* for ever: its data are damaged, as an operator would see it */
    uint32_t life; /* grows with each start and end */
    uint64_t paused_until_ns;
    uint64_t slow; /* percent: 100 is normal */
    int64_t wall_offset_ns;
    uint64_t monotonic_base_ns;
    struct clock clock;
    struct config config;
    struct dice dice; /* of the product's random bytes */
    char address[16];

    struct disk disk;   /* raft's */
    struct pages pages; /* LMDB's */
    bool disk_faulty;   /* a fail-stop because of a disk is expected */
    bool rotten;        /* its log was damaged: it must refuse to run */

    /* of one life */
    struct node *node;
    struct consensus *consensus; /* NULL while the state is being fetched */
    struct fetching *fetching;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    uint32_t tick_ms;
    bool peers_paused;
    bool work_planned;
    bool step_planned;
    struct gateway_worker *worker;
    struct gateway_options gateway;
    struct list raft_waiting; /* delivered while peers were paused */

    jmp_buf escape;
    bool inside;
    enum death death;
    bool restart; /* node_restart: starts again at once */
    int exit_status;
    char reason[256];
    uint64_t deaths;
    bool copied;     /* its ledger came from a peer at least once */
    uint64_t copies; /* how often */
    bool held;       /* stays down until the end of a phase */
};

extern struct process processes[PROCESSES_MAX];
extern uint32_t processes_count;
/* The process whose code runs, or NULL. */
extern struct process *process_current;

/* Formats the nodes' directories below root and fills in their disks. */
void processes_make(const char *root, uint32_t count);

/* Starts it after a delay. */
void process_start_after(struct process *process, uint64_t delay_ns);
/* Ends it from outside. */
void process_end(struct process *process, enum death death);
/* Ends the running one from inside. */
void process_die(enum death death, const char *reason) __attribute__((noreturn));
/* A pause within a pause makes it longer, never shorter. */
void process_pause(struct process *process, uint64_t duration_ns);
void process_resume(struct process *process);

/* Runs run(data) as the process does; afterwards the loop's usual end of round. */
void process_enter(struct process *process, void (*run)(void *data), void *data);

/* Running, with raft. */
bool process_serves(const struct process *process);
/* The running leader of the highest term, or NULL. */
struct process *process_leader(void);

/* A delay of the process's own doing, longer where it is slow. */
uint64_t process_delay(const struct process *process, uint64_t nanoseconds);

#endif
