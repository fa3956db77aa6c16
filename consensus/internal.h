/*
 * The instance behind consensus.h; only for the files of this folder and their tests.
 */
#ifndef CONSENSUS_INTERNAL_H
#define CONSENSUS_INTERNAL_H

#include "consensus/flow.h"
#include "consensus/guard.h"
#include "consensus/link.h"
#include "consensus/snapshot.h"
#include "consensus/transport.h"

struct proposal {
    struct raft_apply request;
    struct list node; /* in the pool */
};

struct consensus {
    struct consensus_callbacks callbacks;
    void *data;
    uv_loop_t *loop;
    struct endpoint endpoint;
    struct transport transport;
    struct links links;
    struct guard guard;
    struct snapshots snapshots;
    struct flow flow;
    struct raft_io io;
    struct raft_fsm machine;
    struct raft *raft; /* its data points back here */
    bool io_open;      /* raft_uv_init has been done */
    bool raft_open;    /* raft_init has been done */
    bool started;
    bool closing;

    /* What on_role was told last. */
    uv_prepare_t prepare;
    uv_check_t check;
    enum consensus_role role;
    uint64_t term;
    uint32_t leader;

    struct raft_transfer transfer;
    bool transferring;
    uint32_t heir_place;  /* of the peer that leadership was offered to last */
    uint64_t resign_term; /* leadership of this term is given away as soon as somebody takes it */
    uint64_t resign_tried_ms;
    uint32_t election_timeout_ms;

    struct list proposals_free;
    struct proposal proposals[RAFT_PROPOSALS_MAX];

    void (*close_done)(void *data);
    void *close_data;
};

/* The instance of a raft_io whose raft is open. */
struct consensus *consensus_of(const struct raft_io *io);

/* ---- raft_core.c: what does not depend on raft_uv, sockets or TLS */

/* Callbacks, proposals, guard, state machine. */
void consensus_init_core(struct consensus *consensus, const struct consensus_options *options);
/*
 * raft over consensus->io, which is made but not inited: settings, guard, flow and snapshots around
 * it, the log loaded. endpoint.identity and endpoint.peers are set before.
 */
enum status MUST_CHECK consensus_start_core(struct consensus *consensus,
                                            const struct consensus_options *options, char *error,
                                            size_t error_size);
/* Tells on_role what changed since the last look; from outside of raft's calls. */
void consensus_watch(struct consensus *consensus);
enum status consensus_status(int error);

/* The state machine that raft drives (machine.c). */
void machine_init(struct consensus *consensus);

#endif
