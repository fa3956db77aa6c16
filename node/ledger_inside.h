/*
 * struct ledger_thread, shared by the files of the ledger thread:
 *   ledger_thread.c  the door, the queue, the loop, commits
 *   ledger_answer.c  what it gives back: events, answers, reads, deadlines, the backlog
 */
#ifndef NODE_LEDGER_INSIDE_H
#define NODE_LEDGER_INSIDE_H

#include "base/queue.h"
#include "node/ledger_thread.h"

#include <pthread.h>

enum commit_kind { COMMIT_NONE, COMMIT_DATA, COMMIT_FLUSH };

struct ledger_thread {
    pthread_t thread;
    struct queue queue;
    struct ledger_thread_options options;
    _Atomic uint64_t stored;
    _Atomic uint64_t apply_bytes;
    _Atomic bool leading;
    /* More waits to be verified than fits one entry: since when the first has. 0: not so. */
    _Atomic uint64_t backlog_since_ns;
    _Atomic uint64_t backlog_commands; /* that wait to be verified, as of the last round */
    _Atomic uint64_t queued_commands;  /* and in the queue, not yet taken */
    /* Wall - monotonic, read once per epoch: log time must not jump. Others only read it. */
    _Atomic int64_t wall_offset_ns;
    _Atomic bool stopping;
    pthread_mutex_t lock; /* guards published */
    struct position published;
    /* Only the thread itself touches what follows. */
    struct list deadlines; /* jobs by deadline_node, in order of arrival */
    uint64_t now_ns;       /* as of the beginning of this round */
    struct list reads;     /* JOB_READ and JOB_SCAN that wait for their seq, by node */
    uint64_t epoch;
    bool in_epoch;
    uint32_t in_flight; /* entries given to the core and neither applied nor dropped */
    uint64_t committed_at_ms;
    uint64_t commit_took_ms; /* the last one */
    bool scans_wait;
    struct list events;        /* for the core, handed over together */
    struct list todo;          /* work that was popped and not done */
    struct list durable;       /* WORK_DURABLE whose flush is wanted */
    enum commit_kind commit;   /* wanted, and waiting for raft's own disk */
    uint64_t commit_looked_ms; /* when that was last looked at, and how long it has waited */
    uint64_t commit_waited_ms;
};

/* An operating error of the ledger: the node stops, or fetches the state where its file is damaged.
 */
void ledger_thread_fail(struct ledger_thread *thread, enum status status, const char *doing)
    __attribute__((noreturn));

/* Out of memory stops the process. */
struct ledger_event *ledger_event_make(enum ledger_event_kind kind);
void ledger_event_send(struct ledger_thread *thread, struct ledger_event *event);
/* The core wakes once for all that were sent since the last time. */
void ledger_events_flush(struct ledger_thread *thread);
/* Hands a job over to the core. */
void ledger_event_send_job(struct ledger_thread *thread, enum ledger_event_kind kind,
                           struct job *job);

/* Requests that the ledger gave back: to the gateway, or to the core for others. */
void ledger_answer_all(struct ledger_thread *thread, struct list *answered);

/* Takes a read or scan; answers it at once where its seq is reached. */
void ledger_read_take(struct ledger_thread *thread, struct job *job);
/* Answers the reads and scans whose seq is reached by now. */
void ledger_reads_look(struct ledger_thread *thread);
/* Answers what is past its deadline; the jobs of requests stay until the ledger lets go of them. */
void ledger_deadlines_look(struct ledger_thread *thread, uint64_t now_ns);
/* For ledger_thread_behind. */
void ledger_backlog_publish(struct ledger_thread *thread);
/* The last round: reads that still wait. */
void ledger_reads_end(struct ledger_thread *thread);

#endif
