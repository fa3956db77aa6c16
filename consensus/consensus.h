/*
 * The door to raft: nothing outside this folder sees raft.h. One thread: the core loop.
 *
 * What it gives: proposals replicated to the disks of a majority and handed to on_apply in log
 * order on every node; the peers' connections (mutual TLS 1.3), over which it also carries the
 * node's own messages (the peer link) and state copies. What it hides: every defect of the library
 * that docs/design.md lists.
 *
 * Success of a proposal is known only from on_apply with the entry's own unique id. An error after
 * consensus_propose took an entry is never "failed" but unknown.
 */
#ifndef CONSENSUS_CONSENSUS_H
#define CONSENSUS_CONSENSUS_H

#include "base/crypto.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/stream.h"

struct consensus;

enum consensus_role { ROLE_FOLLOWER, ROLE_CANDIDATE, ROLE_LEADER };

struct consensus_peer {
    uint32_t id;
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
};

/* Who this node is: compared in each handshake; the data directory keeps it. */
struct consensus_identity {
    struct digest cluster_id;
    uint32_t node_id;
    uint8_t incarnation[16];
};

/* What raft keeps as its snapshot: the state itself stays in the ledger's own files. */
struct consensus_manifest {
    uint64_t index;
    uint64_t term; /* of the log entry there; 0: not known. raft's own, not in the stored form */
    uint64_t seq;
    struct digest digest;
};

struct consensus_callbacks {
    /*
     * A committed entry (of consensus_propose), in log order, each exactly once per run. Never
     * fails: an error stops the node inside. The bytes are borrowed for the call.
     */
    void (*on_apply)(void *data, uint64_t index, const uint8_t *bytes, size_t size);
    /* Role, term or known leader (0: none) changed. Called from the loop, never inside a consensus
     * call of the owner. */
    void (*on_role)(void *data, enum consensus_role role, uint64_t term, uint32_t leader);
    /*
     * raft wants to take a snapshot that covers everything up to index (all handed to on_apply
     * before). The owner makes its state durable there and calls consensus_snapshot_ready(), inside
     * this call or later; raft trims its log only then. May be called inside consensus_propose.
     */
    void (*on_snapshot)(void *data, uint64_t index);
    /*
     * raft handed over a snapshot (at start, or installed by the leader). True: the state is at or
     * past it. False: it is behind, and the owner will fetch a copy (it notes that durably and
     * restarts the process; this callback then does not return).
     */
    bool (*on_restore)(void *data, const struct consensus_manifest *manifest);
    /* A message of a peer on the link, borrowed for the call. */
    void (*on_message)(void *data, uint32_t peer, const uint8_t *bytes, size_t size);
    /* The link to a peer opened or broke (each direction pair counts once: up = can send). */
    void (*on_link)(void *data, uint32_t peer, bool up);
    /*
     * A peer wants a copy of the state. The stream is handed over: the owner sets its callbacks
     * before it returns, and closes it. The fetching side speaks first.
     */
    void (*on_copy)(void *data, uint32_t peer, struct stream *stream);
    /*
     * First contact with a peer or a later one: is this incarnation the one recorded for the node?
     * Records it durably if none is. False refuses the connection (foreign_incarnation).
     */
    bool (*on_incarnation)(void *data, uint32_t peer, const uint8_t incarnation[16]);
};

struct consensus_options {
    uv_loop_t *loop;
    const char *dir; /* raft's own directory; made by consensus_format */
    struct consensus_identity identity;
    const struct consensus_peer *peers; /* all nodes, this one included; copied */
    uint32_t peers_count;
    char listen_host[HOST_BYTES_MAX + 1];
    uint16_t listen_port;
    const char *tls_ca_path, *tls_cert_path, *tls_key_path;
    uint32_t heartbeat_ms;
    uint32_t election_timeout_ms;
    uint64_t snapshot_bytes;    /* entries applied between two snapshots */
    uint32_t snapshot_trailing; /* entries kept behind one; > 0 */
    struct metrics *metrics;
    struct consensus_callbacks callbacks;
    void *data;
};

/*
 * Makes raft's directory for a new cluster: the initial configuration with all peers as voters.
 * STATUS_EXISTS where it holds a log already.
 */
enum status MUST_CHECK consensus_format(const char *dir, const struct consensus_identity *identity,
                                        const struct consensus_peer *peers, uint32_t peers_count,
                                        char *error, size_t error_size);

/*
 * Loads the log, listens, starts raft. During the call on_restore and on_apply may be called.
 * error gets a sentence. STATUS_CORRUPT: the log is damaged; STATUS_NETWORK: can not listen;
 * STATUS_TLS: certificates; STATUS_NOT_FOUND: never formatted. After a failure, the handles that
 * were open close as soon as the loop runs.
 */
enum status MUST_CHECK consensus_open(struct consensus **consensus,
                                      const struct consensus_options *options, char *error,
                                      size_t error_size);

/*
 * Steps down, closes links and log; `done` is called on the loop when the memory is gone. From the
 * loop or from on_role, on_link and on_message, but not from on_apply, on_snapshot and on_restore,
 * which raft calls in the middle of its work.
 */
void consensus_close(struct consensus *consensus, void (*done)(void *data), void *data);

enum consensus_role consensus_role(const struct consensus *consensus);
uint64_t consensus_term(const struct consensus *consensus);
/* The leader this node believes in, 0 for none. */
uint32_t consensus_leader(const struct consensus *consensus);
/* Last entry in this node's log; last one on its own disk; last one handed to on_apply. */
uint64_t consensus_last_index(const struct consensus *consensus);
uint64_t consensus_last_stored(const struct consensus *consensus);
uint64_t consensus_last_applied(const struct consensus *consensus);
/* The term of the entry at index, if this node's log still has it or its snapshot ends there; 0. */
uint64_t consensus_term_at(const struct consensus *consensus, uint64_t index);

/*
 * A peer knows the entry at index, of that term, to be committed: raft handed it a snapshot that
 * ends there. If this node has that very entry on its disk, and no leader that would tell it,
 * everything up to it is handed to on_apply, inside this call. True: consensus_last_applied() is at
 * or past index. From the loop and from on_copy's stream, not from inside raft's calls.
 */
bool consensus_learn_committed(struct consensus *consensus, uint32_t peer, uint64_t index,
                               uint64_t term);

/*
 * Proposes an entry (copied): 1..ENTRY_BYTES_MAX bytes, a multiple of 8. STATUS_OK: raft has it,
 * only on_apply says whether it was committed. STATUS_NOT_LEADER, STATUS_FULL: surely not taken.
 * Any other failure stops the node inside.
 */
enum status MUST_CHECK consensus_propose(struct consensus *consensus, const void *bytes,
                                         size_t size);

/* The state is durable up to the index of the pending on_snapshot; the manifest is written now. */
void consensus_snapshot_ready(struct consensus *consensus,
                              const struct consensus_manifest *manifest);

/* While held, no new snapshot is begun (a peer is fetching a copy and needs the log after it). */
void consensus_hold_snapshots(struct consensus *consensus, bool hold);
/* Bytes of entries handed over since the last snapshot. */
uint64_t consensus_log_bytes(const struct consensus *consensus);

/* Stops or resumes reading raft's peer streams (the apply queue is over its mark). */
void consensus_pause(struct consensus *consensus, bool pause);

/* Hands leadership to a peer (0: a connected one). on_role tells the end; gives up after an
 * election timeout. STATUS_NOT_LEADER where this node does not lead, STATUS_AGAIN while an earlier
 * transfer is under way, STATUS_NOT_FOUND where nobody can take it. */
enum status MUST_CHECK consensus_transfer(struct consensus *consensus, uint32_t peer);
/*
 * Steps down for a reason of the owner (clock off, outcome difference): transfers leadership, and
 * tries again each election timeout until another node leads.
 */
void consensus_resign(struct consensus *consensus, const char *reason);

/*
 * Sends a message to a peer over the link: at most LINK_FRAME_BYTES_MAX. STATUS_NETWORK where no
 * link is up, STATUS_FULL where its queue is: surely not sent then. After STATUS_OK it may or may
 * not arrive; messages of one peer arrive in order while its link stays up.
 */
enum status MUST_CHECK consensus_send(struct consensus *consensus, uint32_t peer, const void *bytes,
                                      size_t size);
bool consensus_link_up(const struct consensus *consensus, uint32_t peer);

/*
 * The fetching side of a state copy, before raft is started: connects to a peer, shows identity,
 * and hands the opened stream over (on_open sets its callbacks, and speaks first); else on_open
 * gets NULL and why. on_open is called exactly once, from the loop, and only after STATUS_OK here.
 * Usable without a struct consensus: of the options only loop, identity, peers, TLS, metrics, data
 * and on_incarnation are used.
 */
enum status MUST_CHECK consensus_copy_connect(
    const struct consensus_options *options, uint32_t peer,
    void (*on_open)(void *data, struct stream *stream, enum status status), void *data);

#endif
