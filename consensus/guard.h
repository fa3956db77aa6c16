/*
 * Fail-stop around raft's disk: the library ignores or wrongly retries most of its own errors
 * (docs/design.md). Every function of raft_io that writes is wrapped, a tracer watches for failures
 * that are only ever traced, and a watchdog for requests that never complete.
 */
#ifndef CONSENSUS_GUARD_H
#define CONSENSUS_GUARD_H

#include "base/list.h"
#include "base/metrics.h"
#include "consensus/endpoint.h"

#include <raft.h>

enum { GUARD_PERIOD_MS = 1000 }; /* between two looks of the watchdog */

struct guard {
    struct raft_io original; /* the functions before the guard */
    struct raft_io *io;
    struct raft *raft;
    struct metrics *metrics; /* may be NULL */
    struct raft_tracer tracer;
    _Atomic bool closing;   /* cancelled requests are no failures; read on the pool's threads */
    struct list appends;    /* in flight, oldest first */
    raft_index append_next; /* the index the next appended entry gets */
    raft_io_recv_cb recv;   /* raft's */
    raft_id heard_leader;   /* who last spoke as a leader, and in which term */
    raft_term heard_term;
    enum { HEARS_NO_LEADER, HEARS_OLD_LEADER, HEARS_LEADER } hears; /* what raft is being given */
    raft_index loaded_index; /* of the snapshot that raft is being given; 0: none */
    raft_term loaded_term;
    raft_index restored_index; /* of the snapshot last loaded at the start, or installed */
    raft_term restored_term;
    struct {
        struct raft_io_snapshot_put inner;
        struct raft_io_snapshot_put *outer;
        raft_io_snapshot_put_cb done;
        bool active;
        uint32_t age_ms;
    } put;
    uv_timer_t watchdog;
    bool watching;
    struct endpoint *endpoint; /* held while the watchdog's handle is open */
};

/* The tracer alone, so that raft_init is watched too. */
void guard_init(struct guard *guard, struct metrics *metrics);

/* Between raft_init and raft_start. Finds itself through raft->io->data (a struct raft) -> data. */
void guard_install(struct guard *guard, struct raft *raft);

/* The watchdog; not needed for the wrapped functions. */
void guard_watch(struct guard *guard, struct endpoint *endpoint);

/* One look of the watchdog, each GUARD_PERIOD_MS. */
void guard_look(struct guard *guard);

/* Before raft_close. */
void guard_close(struct guard *guard);

/* Does the library's trace message tell of a failed write? For tests, and the tracer. */
bool guard_message_is_fatal(const char *message);

#endif
