/*
 * State transfer on virtual time: the fetching process asks its peers in turn, a serving one lets
 * the ledger write a copy, the bytes take their time, and what arrives is checked and exchanged by
 * the product's own code.
 */
#ifndef TESTS_SIMULATION_COPIES_H
#define TESTS_SIMULATION_COPIES_H

#include "tests/simulation/process.h"

/* Percent of transfers that break off half-way. */
extern uint32_t copies_broken;

/* The process does nothing else until it has the state; then it starts anew. */
void copies_fetch(struct process *process, const struct consensus_manifest *manifest);
void copies_process_down(struct process *process);

#endif
