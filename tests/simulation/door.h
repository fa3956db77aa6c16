/*
 * The clients' side of a node: JSON texts go in and come out, through the gateway's own exchange
 * and the node's own submit. Sockets, frames and workers' threads are left out.
 */
#ifndef TESTS_SIMULATION_DOOR_H
#define TESTS_SIMULATION_DOOR_H

#include "tests/simulation/process.h"

void door_process_up(struct process *process);
void door_process_down(struct process *process);
/* Sends a request; replies come to clients_receive, the end of the connection to clients_lost. */
void door_send(struct process *process, const char *text);

#endif
