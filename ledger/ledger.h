/*
 * The door to the ledger: verify requests into log entries, apply log entries, answer queries.
 * It knows nothing of networks, raft or clocks. One thread (the ledger thread) owns it; the
 * functions marked "any thread" may be called elsewhere.
 *
 * The leader's way: ledger_epoch_begin -> ledger_submit requests -> ledger_verify (an entry with
 * expected outcomes, against committed state + overlay of all in flight) -> the caller proposes it
 * -> every node: ledger_apply -> on the leader the entry's requests get their outcomes.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/list.h"
#include "base/metrics.h"
#include "ledger/entry.h"
#include "ledger/query.h"
#include "ledger/store.h"

struct ledger;

struct ledger_options {
    const char *path; /* LMDB directory; exists */
    uint64_t map_bytes;
    struct metrics *metrics;  /* borrowed */
    bool abort_on_difference; /* test builds: an unexpected outcome is an assertion */
    bool read_only;           /* only scans, scrubs and copies may follow */
};

enum status MUST_CHECK ledger_open(struct ledger **ledger, const struct ledger_options *options,
                                   char *error, size_t error_size);
/* Drops what was not committed (raft replays it). No epoch may be running. */
void ledger_close(struct ledger *ledger);

/*
 * Drops what was not committed (raft replays it), before another thread closes: LMDB ties the write
 * transaction to the thread that began it. Afterwards only scans and ledger_close may follow.
 */
void ledger_abandon(struct ledger *ledger);

/* The applied position, uncommitted effects included; and the durable one. */
struct position ledger_position(const struct ledger *ledger);
struct position ledger_committed(const struct ledger *ledger);
/* Bytes of entries applied since the last commit. */
uint64_t ledger_uncommitted_bytes(const struct ledger *ledger);
/* Pages of memory that they take until the next commit, at most. */
uint64_t ledger_uncommitted_pages(const struct ledger *ledger);

/* Bytes by which the ledger's file may still grow (map_bytes). Any thread. */
uint64_t ledger_room(struct ledger *ledger);

/* The first damage that was met in the ledger's file, as a sentence that names table and key; ""
 * for none. Any thread; valid as long as the ledger. */
const char *ledger_damage(const struct ledger *ledger);

/* ---- requests (leader only) --------------------------------------------------------------- */

/*
 * A request in the ledger's hands: from ledger_submit until it comes back in an `answered` list.
 * The caller owns the memory and leaves it alone meanwhile.
 */
struct ledger_request {
    struct list node;
    struct text bytes; /* request form; kept by the caller until answered */
    /* The answer. code != CODE_OK: the whole request was refused or is unknown, `outcomes` is then
     * empty. Else `outcomes` holds one outcome per command, in order (none for a barrier). */
    enum code code;
    uint64_t seq; /* of the state after the entry that finished it: a read may use it */
    uint64_t term;
    int64_t time_ns;
    uint32_t outcomes_count;
    struct buffer outcomes; /* outcome forms; init by ledger_submit, deinit by the caller */
    /* private to the ledger */
    enum request_mode mode;
    uint32_t count;
    uint32_t next;
    struct reader rest;
};

/* A verified entry on its way through raft. The ledger owns it; it is gone when it was applied
 * (also as void) or its epoch has ended. */
struct ledger_entry {
    struct uuid id;
    struct buffer bytes; /* the whole log entry: to be copied into the proposal */
    uint64_t epoch;
    bool proposed; /* set by the proposer once raft has taken it: then only apply or
                      `unknown` may follow */
};

/*
 * A new epoch: this node leads in `term` and everything before it is applied. The overlay must be
 * empty (the last epoch was ended). `epoch` grows.
 */
void ledger_epoch_begin(struct ledger *ledger, uint64_t epoch, uint64_t term);

/*
 * Ends the epoch: all requests come back in `answered`. Commands in proposed entries: `unknown`;
 * the others: `leadership_lost` (surely not executed). A batch with commands of both kinds gets its
 * outcomes item by item. Harmless without an epoch.
 */
void ledger_epoch_end(struct ledger *ledger, struct list *answered);

/* Takes a request; outside an epoch it is answered at once with leadership_lost. */
void ledger_submit(struct ledger *ledger, struct ledger_request *request, struct list *answered);

/*
 * Verifies submitted requests in their order until they are used up or the entry is full.
 * now_ns: the leader's clock; the entry's time is max(now_ns, last time + 1).
 * *entry is NULL where nothing waits, or where ENTRIES_IN_FLIGHT_MAX entries, or as many accounts
 * as the overlay may hold, are in flight: call again after an apply. Requests refused whole
 * (batch_too_large, damage) come back in `answered` at once. An operating error (STATUS_IO ...)
 * must stop the node.
 */
enum status MUST_CHECK ledger_verify(struct ledger *ledger, int64_t now_ns,
                                     struct ledger_entry **entry, struct list *answered);

/* True while submitted requests wait and ledger_verify may take them now. */
bool ledger_waiting(const struct ledger *ledger);

/* What waits to be verified: commands, and the first request (NULL: none). */
struct ledger_backlog {
    uint64_t commands;
    struct ledger_request *oldest;
};
struct ledger_backlog ledger_backlog(const struct ledger *ledger);

/* ---- the log (every node) ----------------------------------------------------------------- */

struct applied {
    bool skipped;   /* at or below the stored index: a replay after a restart */
    bool was_void;  /* its first seq did not fit: no effect */
    bool different; /* an outcome was not the expected one: the leader must resign */
    bool own;       /* it was this node's own entry of the present epoch */
    bool diverged;  /* the digest it carries is not ours: quarantine */
    uint64_t first_seq;
    uint32_t count;
};

/*
 * Applies a committed entry; indexes grow. Requests of an own entry come back in `answered`.
 * STATUS_INVALID (not an entry), STATUS_CORRUPT (the ledger is damaged), STATUS_IO, STATUS_FULL
 * (the map), STATUS_NO_MEMORY: the node stops.
 */
enum status MUST_CHECK ledger_apply(struct ledger *ledger, uint64_t index, const void *data,
                                    size_t size, struct applied *applied, struct list *answered);

/* Notes that raft's log stands at index without an entry of ours there (its own entries). */
void ledger_advance_index(struct ledger *ledger, uint64_t index);

/* Makes everything applied durable. Nothing to do is fine. */
enum status MUST_CHECK ledger_commit(struct ledger *ledger);
/* Commit, and flush what NOMETASYNC leaves to the next commit. */
enum status MUST_CHECK ledger_flush(struct ledger *ledger);

/* ---- queries ------------------------------------------------------------------------------ */

/* A point read of the applied state (ledger thread). Appends the answer. */
enum status MUST_CHECK ledger_query(struct ledger *ledger, const struct query *query,
                                    struct buffer *answer);

/* Any query on the committed state, in a read transaction of its own. Any thread. */
enum status MUST_CHECK ledger_scan(struct ledger *ledger, const struct query *query,
                                   struct buffer *answer);

/* This node's digest after the entry that ends at seq, applied but perhaps not committed. Ledger
 * thread. STATUS_NOT_FOUND where it is not kept (any more, or yet). */
enum status MUST_CHECK ledger_digest_at(struct ledger *ledger, uint64_t seq, struct digest *digest);

/* A compact copy of the committed state to a descriptor. Any thread; blocks. */
enum status MUST_CHECK ledger_copy(struct ledger *ledger, int fd);

#endif
