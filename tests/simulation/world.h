/*
 * The simulated world: one clock, one queue of events, one source of chance. Everything that
 * happens in a run follows from its seed; the trace hash says that two runs were the same.
 *
 * One world to a program: a seed runs in a process of its own, so that nothing is left of it.
 */
#ifndef TESTS_SIMULATION_WORLD_H
#define TESTS_SIMULATION_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define MICROSECONDS UINT64_C(1000)
#define MILLISECONDS UINT64_C(1000000)
#define SECONDS      UINT64_C(1000000000)

/* A stream of chance of its own, so that one part of a run does not shift the others. */
struct dice {
    uint64_t state;
};

void dice_seed(struct dice *dice, uint64_t seed);
uint64_t dice_next(struct dice *dice);
/* 0 .. bound - 1; 0 for bound 0. */
uint64_t dice_below(struct dice *dice, uint64_t bound);
/* low .. high */
uint64_t dice_between(struct dice *dice, uint64_t low, uint64_t high);
bool dice_chance(struct dice *dice, uint32_t percent);

struct process;

struct world {
    uint64_t seed;
    uint64_t now_ns;
    uint64_t steps;
    uint64_t steps_max; /* the schedule ends there; 0: at its time */
    uint64_t trace_hash;
    bool trace;        /* print what is noted */
    struct dice dice;  /* delays and ties */
    const char *phase; /* for messages */
};

extern struct world world;

void world_begin(uint64_t seed);

/*
 * Calls run(data) after a delay. With a process: in it, unless it has ended by then; a paused
 * process finds its events when it goes on.
 */
void world_after(uint64_t delay_ns, struct process *process, void (*run)(void *data), void *data);

/* Calls run(data) when the pause of a process ends, outside of it. */
void world_after_pause(const struct process *process, void (*run)(void *data), void *data);

/* The process goes on before the end of its pause: so does what was put off until then. */
void world_resume(const struct process *process);

/* Runs the next event. False where there is none. */
bool world_step(void);

/* Part of the trace: a name and two numbers. */
void world_note(const char *what, uint64_t a, uint64_t b);
/* Part of the trace only as text (names of what was noted). */
void world_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The run has failed: says why and ends the process with status 1. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
