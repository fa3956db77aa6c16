/*
 * The ledger thread: the only owner of the ledger's write side. It takes work from the core and the
 * gateway's workers through one bounded queue and gives back entries (to propose), answers (to the
 * gateway directly, or to the core for other nodes) and events.
 *
 * It keeps one LMDB transaction open over many entries and commits when a scan waits, after
 * COMMIT_PERIOD_MS (later where commits take long), or past COMMIT_ENTRY_BYTES_MAX or
 * COMMIT_PAGES_MAX. It never commits past what raft has on this node's own disk
 * (ledger_thread_stored): a start that finds raft's last index below LMDB's then knows that the log
 * lost its tail.
 */
#ifndef NODE_LEDGER_THREAD_H
#define NODE_LEDGER_THREAD_H

#include "base/clock.h"
#include "node/job.h"

struct ledger_thread;

enum ledger_event_kind {
    LEDGER_EVENT_ENTRY,     /* a verified entry: propose it, if the epoch still runs */
    LEDGER_EVENT_ANSWER,    /* a forwarded job is done: send its answer, then free it */
    LEDGER_EVENT_ROUTE,     /* a job came while this node does not lead: route it */
    LEDGER_EVENT_BARRIER,   /* a barrier job is done; its reads wait for request.seq */
    LEDGER_EVENT_DURABLE,   /* the state is on disk up to `position` (snapshot, copy) */
    LEDGER_EVENT_DIFFERENT, /* an outcome was not the expected one */
    LEDGER_EVENT_DIVERGED,  /* the digest that an entry carries is not ours at its seq */
    LEDGER_EVENT_DIGEST     /* the answer to ledger_thread_ask_digest */
};

/* From the ledger thread to the core, which frees it. */
struct ledger_event {
    struct list node;
    enum ledger_event_kind kind;
    uint64_t epoch;             /* ENTRY */
    struct ledger_entry *entry; /* ENTRY: owned by the ledger; not to be touched in another epoch */
    struct job *job;            /* ANSWER, ROUTE, BARRIER */
    uint64_t ticket;            /* DURABLE, DIGEST: which request */
    struct position position;   /* DURABLE */
    uint64_t seq;               /* DIVERGED, DIGEST: of the pair */
    bool known;                 /* DIGEST: ours is still kept */
    struct digest ours, theirs; /* DIVERGED, DIGEST */
};

struct ledger_thread_options {
    struct ledger *ledger; /* borrowed */
    struct metrics *metrics;
    const struct clock *clock;
    struct queue *events;    /* to the core */
    uint32_t entries_window; /* entries in flight, at most ENTRIES_IN_FLIGHT_MAX */
    bool manual;             /* no thread: the caller steps it (simulation) */
    /* The ledger's file is damaged; does not return. On the ledger's thread. */
    void (*damaged)(void *data, const char *what);
    void *data;
};

enum status MUST_CHECK ledger_thread_open(struct ledger_thread **thread,
                                          const struct ledger_thread_options *options);

/*
 * Ends the thread: answers what is inside (leadership_lost, unknown, shutting_down), commits what
 * raft has stored, joins. The ledger stays open; other threads may still ask for the position.
 */
void ledger_thread_stop(struct ledger_thread *thread);

/* Stops it, where that was not done, and frees it: nobody may use it any more. NULL is fine. */
void ledger_thread_close(struct ledger_thread *thread);

enum ledger_step {
    LEDGER_STEP_IDLE,   /* nothing to do until something comes, or time passes */
    LEDGER_STEP_MORE,   /* an entry was made, and another may follow */
    LEDGER_STEP_BLOCKED /* a commit waits for raft's disk: nothing is applied meanwhile */
};

/* One round of the thread's loop, for a thread that was opened as manual. */
enum ledger_step ledger_thread_step(struct ledger_thread *thread);

/* All of these are thread-safe and return at once. */

/* A job of any kind but barrier reads. Never refused here: admission came before. */
void ledger_thread_submit(struct ledger_thread *thread, struct job *job);

/* A committed entry, in log order (bytes are copied). Never refused. */
void ledger_thread_apply(struct ledger_thread *thread, uint64_t index, const uint8_t *bytes,
                         size_t size);

/* Epochs, in the order of the log: begin comes after the apply of the barrier. */
void ledger_thread_epoch_begin(struct ledger_thread *thread, uint64_t epoch, uint64_t term);
void ledger_thread_epoch_end(struct ledger_thread *thread);

/*
 * Makes everything up to raft index `index` durable (all of it was given to apply before), then
 * sends LEDGER_EVENT_DURABLE with the ticket.
 */
void ledger_thread_make_durable(struct ledger_thread *thread, uint64_t index, uint64_t ticket);

/* Asks for this node's digest at seq; LEDGER_EVENT_DIGEST brings it, with ticket and theirs. */
void ledger_thread_ask_digest(struct ledger_thread *thread, uint64_t seq, uint64_t ticket,
                              const struct digest *theirs);

/* raft has this index on the node's own disk. */
void ledger_thread_stored(struct ledger_thread *thread, uint64_t index);

/* True while the ledger is in an epoch: a hint for submitters. */
bool ledger_thread_leading(const struct ledger_thread *thread);

/* True while more requests wait than the next entry takes, and the first has for BACKLOG_MS_MAX, or
 * there are BACKLOG_COMMANDS_MAX in them: another one would only wait behind. Any thread. */
bool ledger_thread_behind(const struct ledger_thread *thread, uint64_t now_ns);

/* While leading: by how much the clock of the log, read once per epoch, is ahead of the monotonic
 * one. */
int64_t ledger_thread_wall_offset_ns(const struct ledger_thread *thread);

/* The applied position as of the last piece of work. */
struct position ledger_thread_position(struct ledger_thread *thread);

/* Up to this raft index everything is applied, and raft has it on the node's own disk. */
uint64_t ledger_thread_logged(struct ledger_thread *thread);

/* Bytes of entries waiting to be applied. */
uint64_t ledger_thread_apply_bytes(const struct ledger_thread *thread);

#endif
