/*
 * The plan of what goes wrong: drawn from the seed before the run, so that single faults can be
 * left out (--shrink) without shifting the rest. Each seed leaves about half of the kinds out
 * altogether.
 */
#ifndef TESTS_SIMULATION_FAULTS_H
#define TESTS_SIMULATION_FAULTS_H

#include "tests/simulation/process.h"

enum { FAULTS_MAX = 256 };

/* Moments at which an armed fault strikes; called from inside the process. */
enum moment { MOMENT_SEND, MOMENT_APPLY, MOMENT_ANSWER, MOMENT_INSTALL, MOMENT_COUNT };

/* Draws the plan for a run of this length; `without` has one character for each fault: '-' = out.
 */
void faults_plan(uint64_t duration_ns, const char *without);
uint32_t faults_count(void);
/* One line for each fault that takes part. */
void faults_print(void);
/* No more faults; what is broken but alive is whole again. */
void faults_end(void);

void faults_moment(enum moment moment, struct process *process);

#endif
