/*
 * struct node: one running process, shared by the files of this folder. Everything below belongs to
 * the core loop's thread unless it says otherwise.
 *
 *   submit.c   calls of the gateway come in; routing: keep, forward or refuse
 *   core.c     roles, epochs, proposals, applies; events of the ledger thread
 *   forward.c  requests to and from other nodes over the peer link
 *   gossip.c   what nodes tell each other about themselves; cluster.status; clocks
 *   diverge.c  digests that differ: who is in the majority
 *   damage.c   the ledger's file is damaged: what then; the check at a start
 *   copy_serve.c, copy_fetch.c   state transfer (copy_send, copy_file: its bytes)
 *   wiring.c   what the parts tell each other
 *   node.c     starting and stopping all of it in order
 */
#ifndef NODE_INTERNAL_H
#define NODE_INTERNAL_H

#include "base/address.h"
#include "base/queue.h"
#include "consensus/consensus.h"
#include "node/config.h"
#include "node/datadir.h"
#include "node/job.h"
#include "node/ledger_thread.h"
#include "node/link_item.h"
#include "node/scrubber.h"

enum {
    TICK_MS = 10,          /* the core's timer: deadlines, retries, marks */
    EPOCH_RETRY_MS = 50,   /* a leader whose proposal was refused tries a new barrier after this */
    BOUNCES_MAX = 3,       /* how often a job may be routed anew when leadership moves */
    ENTRIES_WINDOW = 2,    /* entries in flight: while they are, requests gather for the next.
                            * With four, few clients got a third less (docs/performance.md) */
    COPIES_MAX = NODES_MAX /* copies served at once */
};

static_assert((int)ENTRIES_WINDOW <= (int)ENTRIES_IN_FLIGHT_MAX,
              "the window is within raft's bound");

/* A request that was forwarded to the leader and has no answer yet. */
struct forward_slot {
    struct job *job;     /* NULL: free */
    uint64_t generation; /* of its present use; kept when it is free */
    uint32_t next_free;
    uint32_t peer;
};

struct forwards {
    struct forward_slot *slots; /* FORWARDS_MAX */
    uint64_t generation;        /* of a slot's first use */
    uint32_t used;              /* slots from here on were never used */
    uint32_t free_first;        /* of the others */
    struct list deadlines;      /* jobs by deadline_node */
};

/* What is known of another node, from its LINK_STATUS. */
struct peer_state {
    uint32_t id;
    bool link_up;
    uint64_t heard_at_ns;    /* monotonic; 0: never */
    int64_t clock_offset_ns; /* its clock - ours, for people */
    int64_t wall_offset_ns;  /* its clock - our monotonic one, which nobody sets */
    struct link_status status;
    char client_address[ADDRESS_TEXT_BYTES];
    struct buffer out; /* items for it, not yet handed to the link */
};

struct copy_job;

/* A question to the peers about the digest at a seq. */
struct divergence {
    bool asking;
    uint64_t seq;
    struct digest ours;
    uint64_t deadline_ns;
    uint32_t same, other; /* answers, this node included in `same` */
    struct digest theirs; /* the first other one, and how many have it */
    uint32_t agreed;
    uint32_t answered; /* a bit for each of node->peers: one voice each */
};

enum node_stop { STOP_NO, STOP_DRAIN, STOP_TRANSFER, STOP_CLOSE };

struct node {
    const struct config *config;
    char **argv;
    struct datadir *dir;
    uint32_t id;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    uv_check_t check;
    uv_signal_t terminate, interrupt;
    const struct clock *clock;
    struct metrics metrics;     /* any thread */
    struct admission admission; /* any thread */
    struct queue inbox;         /* jobs from the workers */
    struct queue events;        /* from the ledger thread */
    struct ledger *ledger;
    uint64_t opened_index; /* raft index that the ledger had on disk when it was opened */
    struct ledger_thread *ledger_thread;
    struct consensus *consensus;
    struct gateway *gateway;
    struct scrubber *scrubber;
    _Atomic bool giving_up; /* a thread is about to end or restart the process; any thread */

    /* roles and epochs (core.c) */
    enum consensus_role role;
    uint64_t term;
    uint32_t leader;
    uint64_t epoch; /* grows with each begin */
    bool epoch_runs;
    bool barrier_waits; /* the barrier of the coming epoch is proposed */
    struct uuid barrier_id;
    uint64_t barrier_retry_at_ns; /* 0: none planned */
    uint64_t resigned_term;       /* in which this node resigned because of its clock */
    struct list epoch_jobs;       /* jobs that wait for the epoch to begin */
    bool peers_paused;

    /* reads (submit.c) */
    struct list barrier_reads; /* reads that wait for a barrier not yet issued */
    bool barrier_out;          /* one is under way */

    struct forwards forwards;
    struct peer_state peers[NODES_MAX];
    uint32_t peers_count; /* without this node */
    uint64_t gossip_at_ns;
    uint64_t leaderless_since_ns; /* 0: there is a leader */
    uint64_t leaderless_at_ns;    /* when that is in the log next */
    uint64_t disk_at_ns;
    bool disk_short; /* as of then; admission's copy knows of the map too */
    struct divergence divergence;

    /* status copy for the workers */
    pthread_mutex_t status_lock;
    struct cluster_status status;

    /* snapshots and copies */
    uint64_t snapshot_index; /* raft waits for our durability there; 0: none */
    struct list copies;      /* copy_serve.c */
    uint64_t copy_tickets;
    uint64_t copies_until_ns; /* copy_active is told until then */
    bool snapshots_held;

    /* stopping */
    enum node_stop stop;
    uint64_t stop_at_ns;
    bool closed;
    enum exit_status exit_status;
};

/* ---- submit.c */
enum status node_submit(void *data, struct call *call);
/* True while requests to execute are refused. Any thread; its data is the node. */
bool node_busy(void *data);
/* Routes jobs that came in through the inbox. */
void node_inbox(struct node *node);
/* Keeps, forwards or refuses a job, whoever it came from. Takes ownership. */
void node_route(struct node *node, struct job *job);
/* A barrier is done: its reads go on to the ledger; with a code other than OK they are refused. */
void node_barrier_done(struct node *node, struct job *barrier, enum code code);
/* Issues a barrier for the waiting reads, unless one is under way. */
void node_barrier_issue(struct node *node);

/* ---- core.c */
void core_on_role(void *data, enum consensus_role role, uint64_t term, uint32_t leader);
void core_on_apply(void *data, uint64_t index, const uint8_t *bytes, size_t size);
void core_events(struct node *node);
void core_tick(struct node *node, uint64_t now_ns);

/* ---- forward.c */
enum status MUST_CHECK forward_open(struct node *node);
void forward_close(struct node *node);
void forward_send(struct node *node, struct job *job, uint32_t peer);
/* The link to a peer broke: what it took is unknown, the rest surely not executed. */
void forward_link_down(struct node *node, uint32_t peer);
void forward_on_request(struct node *node, uint32_t peer, const struct link_item *item);
void forward_on_answer(struct node *node, uint32_t peer, const struct link_item *item);
/* The answer of a job of another node; frees the job. */
void forward_answer(struct node *node, struct job *job, enum code code);
void forward_tick(struct node *node, uint64_t now_ns);
struct peer_state *node_peer(struct node *node, uint32_t id);
/* Queues an item for a peer; sent by forward_flush at the end of the loop's round. Lost where the
 * link is down, or as full as what waits here. */
void peer_item(struct node *node, uint32_t peer, const struct link_item *item);
void forward_flush(struct node *node);

/* ---- gossip.c */
void gossip_tick(struct node *node, uint64_t now_ns);
void gossip_on_status(struct node *node, uint32_t peer, const struct link_status *status);
void gossip_refresh(struct node *node);
/*
 * True where the time that this node gives, or would give, to log entries is further than
 * CLOCK_OFFSET_MS_MAX from the median of the nodes' clocks; false also where too few are known.
 */
bool gossip_clock_is_off(const struct node *node, uint64_t now_ns, int64_t *distance_ns);
void node_status(void *data, struct cluster_status *status);

/* ---- diverge.c */
void diverge_begin(struct node *node, uint64_t seq, const struct digest *ours);
void diverge_on_digest(struct node *node, uint32_t peer, uint64_t seq, bool known,
                       const struct digest *ours, const struct digest *theirs);
void diverge_on_ask(struct node *node, uint32_t peer, const struct link_item *item);
void diverge_on_tell(struct node *node, uint32_t peer, const struct link_item *item);
void diverge_tick(struct node *node, uint64_t now_ns);

/* ---- damage.c */
/* This thread is about to write the note needs-state and to end the process; another one that comes
 * here waits for that. Any thread. */
void node_give_up(struct node *node);
/*
 * Before the ledger is given up for a copy: notes up to where raft's log must reach. The log had
 * what this ledger has from it, or a tail of it was lost: after the exchange nothing else would
 * tell. Any thread.
 */
void damage_log_note(struct node *node);
/* What the ledger had from the log when it was opened; 0 where all of it was copied. */
uint64_t damage_opened_index(struct node *node);
/* Its data is the node. Any thread; the process restarts to fetch the state, or ends. */
void node_damaged(void *data, const char *what) __attribute__((noreturn));
/* At a start: was the ledger marked as damaged? Then the note needs-state is there afterwards. */
enum exit_status damage_look(struct node *node);
/* At a start, before this node votes or answers: a scrub, as far as SCRUB_START_MS reaches. */
void damage_check(struct node *node);

/* ---- copy_serve.c */
void copy_on_stream(void *data, uint32_t peer, struct stream *stream);
void copy_durable(struct node *node, uint64_t ticket, const struct position *position);
void copy_tick(struct node *node, uint64_t now_ns);
bool copy_active(const struct node *node, uint64_t now_ns);
void copy_close(struct node *node);
/* After the loop: waits for the copies' threads, which still read the ledger, and frees them. */
void copy_end(struct node *node);

/* ---- copy_accept.c */
/* Where a copy grows, in the data directory. */
#define COPY_DIR "ledger.new"
/* At a start that needs no copy: takes away the old ledger that an exchange left which a crash cut
 * short. */
void copy_left_remove(struct node *node);
/*
 * A fetched copy in the directory `dir` (data.mdb alone): is it whole, and at or past wanted_index?
 * Gives the raft index at which it was taken.
 */
bool copy_check(struct node *node, const char *dir, uint64_t wanted_index, uint64_t *index);
/*
 * Puts it in place of the ledger, in one step, clears the note needs-state and takes the old ledger
 * away.
 */
void copy_exchange(struct node *node, const char *dir, uint64_t index);

/* ---- copy_fetch.c */
/*
 * Fetches the ledger from a peer until it has a state at or past the note's manifest; runs the loop
 * itself. STATUS_CLOSED: asked to stop meanwhile.
 */
enum status MUST_CHECK copy_fetch(struct node *node, const struct consensus_options *options,
                                  const struct consensus_manifest *manifest);

/* ---- wiring.c */
/* The lists, peers, queues and forwards of a zeroed struct node. */
enum status MUST_CHECK node_prepare(struct node *node, const struct config *config,
                                    const struct clock *clock, queue_wake wake);
/* Events and calls, while all parts are open. */
void node_work(struct node *node);
/* Each TICK_MS, while all parts are open. */
void node_tick(struct node *node, uint64_t now_ns);
/* What consensus calls; its data is the node. */
struct consensus_callbacks node_consensus_callbacks(void);
/* After raft has loaded its log: may this node vote? */
bool node_log_is_whole(struct node *node);
/*
 * A peer wants a copy at or past a raft index; it knows the entry there, of that term (0: unknown),
 * to be committed. Makes what is applied durable and then calls copy_durable with the ticket.
 */
void node_copy_asked(struct node *node, uint32_t peer, uint64_t index, uint64_t term,
                     uint64_t ticket);
/* This node lost a state that raft wants it to have: notes that durably and restarts. */
bool node_on_restore(void *data, const struct consensus_manifest *manifest);

/* ---- node.c */
/* Restarts the process in place (exec): the same arguments, a fresh state. Does not return. */
void node_restart(struct node *node) __attribute__((noreturn));
#endif
