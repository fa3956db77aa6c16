/*
 * One seed from its beginning to its verdict: a new cluster, clients, faults; then a phase in which
 * a majority is healed and must answer everything, and one in which all nodes must become equal.
 */
#ifndef TESTS_SIMULATION_RUN_H
#define TESTS_SIMULATION_RUN_H

#include <stdbool.h>
#include <stdint.h>

enum { RUN_FAULTS_MAX = 256 };

struct run_options {
    uint64_t seed;
    uint32_t nodes; /* 0: the seed chooses */
    uint64_t steps; /* 0: the seed's time */
    bool trace;
    bool quiet;   /* only failures */
    bool explain; /* print the faults that take part */
    const char *scenario;
    const char *without; /* faults that are left out (faults_plan) */
};

/* Returns where it held; ends the process with status 1 where not. */
void run_seed(const struct run_options *options, const char *root);

#endif
