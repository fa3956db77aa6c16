/*
 * The clients: what they ask, how they go on when they do not know, and whether each answer is
 * possible. A request whose fate is unknown is sent again under the same id, or asked for.
 */
#ifndef TESTS_SIMULATION_CLIENTS_H
#define TESTS_SIMULATION_CLIENTS_H

#include "tests/simulation/process.h"

struct clients_options {
    uint64_t pause_us; /* on average between two new requests */
    uint32_t open_max; /* requests without a definite answer */
    uint32_t batches;  /* percent */
    uint32_t reads;    /* percent */
    uint32_t doubles;  /* percent of requests sent to two nodes at once */
};

struct clients_figures {
    uint64_t requests, attempts, posted, refused, unknown, retryable, reads, mismatches;
};

void clients_begin(const struct clients_options *options);
/* No new requests; what is open goes on until it is definite. */
void clients_finish(void);
bool clients_done(void);
/* Says what is still open. */
void clients_explain(void);

/* A node answered (one JSON text). */
void clients_receive(const char *text);
/* The connections to a node's life are gone. */
void clients_lost(uint32_t place, uint32_t life);

/* One new payment through this node, for scenarios. Its number. */
uint64_t clients_pay(struct process *process);

struct clients_figures clients_figures(void);

#endif
