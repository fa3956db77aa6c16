/*
 * Fixed stories, each once a defect of a library or a corner of the design.
 */
#ifndef TESTS_SIMULATION_SCENARIOS_H
#define TESTS_SIMULATION_SCENARIOS_H

#include "tests/simulation/world.h"

/* How many nodes it has at least; 0: there is no such scenario. */
uint32_t scenario_nodes(const char *name);
/* Asserts that there is such a scenario. */
void scenario_run(const char *name, struct dice *dice);

/* Heals a majority, then all, and waits until everything is answered and equal. */
void run_heal(struct dice *dice);

#endif
