/*
 * The network between the nodes: for each ordered pair and each purpose (raft, peer link) a stream.
 * While a stream lives nothing in it is lost, doubled or reordered; where a direction is cut, bytes
 * wait, and after the time of TCP_USER_TIMEOUT the stream breaks with all that is in it.
 */
#ifndef TESTS_SIMULATION_WIRE_H
#define TESTS_SIMULATION_WIRE_H

#include "tests/simulation/process.h"

/* How the network behaves now; the schedule changes it. */
struct wire_weather {
    uint64_t delay_us;  /* at least */
    uint64_t jitter_us; /* and up to this more */
    uint32_t stalls;    /* percent of messages held up by a lost packet */
    uint32_t breaks;    /* of ten thousand messages: the stream breaks before it */
};

extern struct wire_weather wire_weather;

void wire_begin(void);
/* A process started or ended. */
void wire_process_up(struct process *process);
void wire_process_down(struct process *process);

/* Cuts or opens one direction. */
void wire_cut(uint32_t from, uint32_t to, bool cut);
void wire_heal(void);
bool wire_is_cut(uint32_t from, uint32_t to);
uint64_t wire_delay(void);

/* raft_io.send */
int wire_raft_send(struct raft_io *io, struct raft_io_send *request,
                   const struct raft_message *message, raft_io_send_cb done);

#endif
