/*
 * A small load of `payledger bench` against ports of this machine.
 */
#ifndef TESTS_SUPPORT_BENCH_RIG_H
#define TESTS_SUPPORT_BENCH_RIG_H

#include "client/bench_load.h"

struct bench_rig {
    struct bench_options options;
    struct client_options client;
    struct bench_plan plan;
    struct bench_load load;
    struct bench_result result;
};

/*
 * A closed loop for a second: 2 connections of 4 requests with a payment each between 10 accounts,
 * nothing sent again. Tests change the options before bench_rig_begin.
 */
struct bench_rig *bench_rig_open(uint16_t port);
void bench_rig_close(struct bench_rig *rig);

/* One more node, to which payments go as well. */
void bench_rig_add(struct bench_rig *rig, uint16_t port);
/* Makes the plan, and what bench_load_open needs. May be called again after changed options. */
void bench_rig_begin(struct bench_rig *rig);
/* Begins, opens, starts, joins, adds up. */
void bench_rig_run(struct bench_rig *rig);

#endif
