/*
 * Keeps raft from sending the same entries again and again. raft takes a follower that has been
 * silent for one heartbeat for lost, and then sends it all entries from the last known one at each
 * further heartbeat, however much of that still waits in our own queues: with entries of 1 MiB a
 * follower that is 25 ms late never catches up. The wire loses nothing while a connection lives, so
 * entries that are on their way are not sent a second time.
 */
#ifndef CONSENSUS_FLOW_H
#define CONSENSUS_FLOW_H

#include "consensus/transport.h"

struct flow_peer {
    raft_term term;   /* the range below was sent in this term */
    uint32_t epoch;   /* ... and over this connection (transport_epoch) */
    raft_index from;  /* entries after this index ... */
    raft_index to;    /* ... up to this one */
    uint64_t sent_ms; /* when the last of them were given to raft's stream */
    uint64_t queued;  /* bytes that raft's stream has not taken */
};

struct flow {
    struct transport *transport;
    int (*send)(struct raft_io *io, struct raft_io_send *request,
                const struct raft_message *message, raft_io_send_cb done);
    struct flow_peer peers[NODES_MAX];
    uint32_t resend_ms;  /* entries that left our queues are not sent again before */
    struct list dropped; /* requests to be answered by flow_answer */
    uint64_t dropped_count;
};

/*
 * After raft_init, before raft_start: wraps raft_io.send. What is dropped would also have been a
 * heartbeat: several must still get through within an election timeout.
 */
void flow_install(struct flow *flow, struct raft_io *io, struct transport *transport,
                  uint32_t election_timeout_ms);

/* Answers the requests that were dropped. From the loop, outside of raft's calls. */
void flow_answer(struct flow *flow);

/* Is a message with the entries after `previous`, in this term, a repetition? */
bool flow_repeats(const struct flow_peer *peer, raft_term term, uint32_t epoch, raft_index previous,
                  uint64_t backlog, uint64_t now_ms, uint32_t resend_ms);

#endif
