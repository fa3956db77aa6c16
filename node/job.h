/*
 * A job: one request on its way through this node, from the gateway (a call) or from another node
 * (forwarded). It owns the request's bytes, so that a call may be answered `unknown` at its
 * deadline while the ledger still works on the bytes.
 *
 * A job has one owner at a time: the queue or thread that holds it. job_finish ends it.
 */
#ifndef NODE_JOB_H
#define NODE_JOB_H

#include "gateway/gateway.h"

#include <stdatomic.h>

enum job_kind {
    JOB_EXECUTE, /* commands for the leader */
    JOB_BARRIER, /* a read barrier: its `reads` wait for the seq that it yields */
    JOB_READ,    /* a point query, once the state has reached min_seq */
    JOB_SCAN     /* the same, once the committed state has */
};

/* What the node has admitted; shared by workers, core and ledger thread. */
struct admission {
    _Atomic uint32_t jobs;
    _Atomic uint64_t bytes;
    _Atomic bool closed;     /* stopping: nothing new */
    _Atomic bool full;       /* the apply queue is over its mark */
    _Atomic bool slow;       /* a peer copies the state: few requests at a time */
    _Atomic bool disk_short; /* the disk's reserve is touched: payments are refused */
    /* The window: how many of this node's clients' requests may be with the leader, in parts of
     * WINDOW_GROWTH, and how many are. */
    _Atomic uint32_t window_parts;
    _Atomic uint32_t window_used;
    _Atomic uint64_t window_cut_ns; /* when it was last made smaller */
};

/* Sends the answer of a forwarded job back to its node; called on the ledger thread or the core. */
struct job;
typedef void (*job_return)(void *data, struct job *job);

struct job {
    struct list node;              /* in the queue or list of its owner */
    struct list deadline_node;     /* in a list ordered by deadline */
    struct ledger_request request; /* the ledger's part */
    struct buffer bytes;           /* request form */
    enum job_kind kind;
    bool in_window;   /* a client's of this node, to be executed */
    uint32_t bounces; /* how often it was routed anew */
    uint64_t deadline_ns;
    uint32_t commands; /* of a request to execute */
    uint64_t taken_ns; /* when the ledger thread took it to be verified */
    struct call *call; /* NULL: forwarded, a barrier, or already answered */
    uint32_t peer;     /* forwarded: who asked, and its ticket */
    uint64_t ticket;
    struct list reads;   /* barrier: the jobs that wait for it */
    uint64_t min_seq;    /* read, scan */
    uint64_t ticket_out; /* while forwarded to the leader */
    struct admission *admission;
};

/* Room for another request of so many bytes; false: refuse it as overloaded. Any thread. */
bool admission_has_room(const struct admission *admission, size_t bytes);

/* Nothing is admitted yet, and the window is open. */
void admission_init(struct admission *admission);
/* Room in the window for one more request of a client. Any thread. */
bool admission_window_open(const struct admission *admission);
/* The leader refused one. Any thread. */
void admission_window_cut(struct admission *admission, uint64_t now_ns);
/* The job takes its place in the window, until it is freed. */
void admission_window_enter(struct job *job);

/* NULL: no memory. */
struct job *job_make(enum job_kind kind, struct admission *admission, uint64_t deadline_ns);

/* Answers the job's call, if it still has one, with a code and without a result. */
void job_refuse(struct job *job, enum code code);

/* Answers the job's call from request (code, position, outcomes). */
void job_answer(struct job *job);

/*
 * Puts a job into a list in the order of deadlines. Most come in that order; one that was routed
 * anew is older than those before it.
 */
void job_by_deadline(struct list *deadlines, struct job *job);

/* Frees the job; its call must be answered, its list of reads empty. */
void job_free(struct job *job);

#endif
