/*
 * What the files behind ledger.h share: the ledger itself, and what it remembers of an entry in
 * flight.
 *
 * Three views are stacked: the store's (all that was applied), the overlay of all entries in flight
 * over it, and a scratch overlay for the trial of an atomic batch over either.
 */
#ifndef LEDGER_INTERNAL_H
#define LEDGER_INTERNAL_H

#include "ledger/execute.h"
#include "ledger/ledger.h"
#include "ledger/overlay.h"

/* How a command of a request gets its answer, once the entry that it waits for is applied. */
enum disposition {
    ITEM_BARRIER,  /* no command at all: the request wants to be answered after the entry */
    ITEM_IN_ENTRY, /* it is the next command of the entry */
    ITEM_REPLAY,   /* recorded before: looked up */
    ITEM_FIXED     /* refused, not recorded: decided already */
};

struct item {
    struct ledger_request *request;
    enum disposition disposition;
    bool last; /* the request has no command after this one */
    bool short_form;
    enum command_kind kind;
    enum code code; /* FIXED */
    enum field field;
    uint32_t leg;
    struct text subject; /* borrowed from the request */
    struct uuid id;      /* payments */
    uint64_t replay;     /* REPLAY: the payment's seq, or the account's or currency's number */
};

/* A verified entry in flight, and whom it answers. */
struct pending {
    struct list node;
    struct ledger_entry entry;
    uint64_t tag;   /* in the overlay */
    uint32_t count; /* commands in the entry */
    struct item *items;
    uint32_t items_count;
    uint32_t items_capacity;
};

struct ledger {
    struct store *store;
    struct store_txn *txn; /* the open write transaction, or NULL */
    struct store_view store_view;
    struct buffer records; /* of the command being applied, for the digest */
    struct hasher *hasher;
    struct metrics *metrics;
    bool abort_on_difference;

    struct position position;
    struct position committed;
    uint64_t uncommitted_bytes;

    /* the epoch */
    bool in_epoch;
    bool overlay_full; /* verification waits for an apply */
    uint64_t epoch;
    uint64_t term;
    uint64_t next_seq;    /* after everything in flight */
    int64_t last_time_ns; /* of everything in flight */
    uint64_t tag;         /* of the newest entry; never used twice */
    struct overlay overlay;
    struct overlay trial;
    struct list waiting;       /* requests */
    uint64_t waiting_commands; /* in them */
    struct list in_flight;     /* pending entries, oldest first */
    uint32_t in_flight_count;
    struct list spare;     /* pending entries for the next use */
    struct buffer scratch; /* commands before it is known that they fit the entry */
    uint32_t group_offsets[BATCH_ITEMS_MAX]; /* of the item heads of a group, in scratch */
};

/* ---- ledger.c ------------------------------------------------------------------------------ */

/* Opens the write transaction and its view, if they are not open. */
enum status MUST_CHECK ledger_begin(struct ledger *ledger);

/* ---- pending.c ----------------------------------------------------------------------------- */

/* An empty entry, not in flight yet; NULL: no memory. */
struct pending *pending_take(struct ledger *ledger);
void pending_give_back(struct ledger *ledger, struct pending *pending);
void pending_free(struct pending *pending);

/* A new item, zeroed but for its request; NULL: no memory. At most ENTRY_COMMANDS_MAX. */
struct item *pending_add(struct pending *pending, struct ledger_request *request);

/* ---- place.c ------------------------------------------------------------------------------- */

enum place {
    PLACE_DONE,    /* the request is in this entry with its last command */
    PLACE_FULL,    /* the entry takes no more: what is left goes into the next */
    PLACE_REFUSED, /* the request is refused whole: request->code */
    PLACE_FAILED   /* no memory */
};

/* Puts what is left of a request into the entry, as far as it goes. */
enum place place_request(struct ledger *ledger, struct pending *pending,
                         const struct execution *execution, struct ledger_request *request);

/* ---- place_atomic.c ------------------------------------------------------------------------ */

enum place place_atomic(struct ledger *ledger, struct pending *pending,
                        const struct execution *execution, struct ledger_request *request);

/* ---- classify.c ---------------------------------------------------------------------------- */

/*
 * Resolves a command on the view and says how it is answered. ITEM_IN_ENTRY: `entry_command` is
 * what the log is to keep. ITEM_REPLAY of a payment: *seen is what was recorded.
 */
void classify(struct view *view, const struct command *command, struct item *item,
              struct entry_command *entry_command, struct payment_seen *seen);

/* ---- answer.c ------------------------------------------------------------------------------ */

/* Answers an IN_ENTRY item: the command was just executed on the store's view. */
enum status MUST_CHECK answer_executed(struct ledger *ledger, const struct item *item,
                                       const struct decision *decision);

/* Answers an item of another disposition from the applied state. */
enum status MUST_CHECK answer_looked_up(struct ledger *ledger, const struct item *item);

/* Answers an item whose entry was lost, or will perhaps be: `unknown` or `leadership_lost`. */
void answer_lost(const struct item *item, enum code code);

/* The request has all its answers: gives it back. */
void answer_finish(struct ledger *ledger, struct ledger_request *request, struct list *answered);

/* Refuses a request as a whole. */
void answer_whole(struct ledger *ledger, struct ledger_request *request, enum code code,
                  struct list *answered);

#endif
