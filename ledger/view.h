/*
 * The state that ledger_execute sees and changes, behind functions: LMDB (store_view), or an
 * overlay over another view (entries in flight on the leader; the trial run of an atomic batch).
 * The same rules run on both, so that what was verified is what is applied.
 *
 * An operating error inside (a disk, no memory) is remembered in ->error, the first one stays, and
 * the functions then answer "absent"; whoever executed an entry checks it once at the end and stops
 * the node: a replica may not decide anything because of its own disk.
 */
#ifndef LEDGER_VIEW_H
#define LEDGER_VIEW_H

#include "ledger/command.h"
#include "ledger/types.h"

/* A payment that has its outcome: what later requests with the same id are compared with. */
struct payment_seen {
    uint64_t seq;
    enum code code;
    struct text command; /* entry form, borrowed until the next call on the view */
};

/* One side of one leg of a posted payment. */
struct entry_side {
    uint64_t account;      /* number */
    i128 balance_after;    /* posted, on the normal side */
    uint64_t number;       /* of the entry in its account: without gaps from 1 */
    uint64_t previous_seq; /* payment of the account's entry before it; 0: first */
    uint64_t jump_seq;     /* payment of the jump target (history); 0: none */
};

/* What execution decided about a command, complete: what the store records and outcomes show. */
struct decision {
    enum code code;
    uint64_t seq, term;
    int64_t time_ns;
    enum command_kind kind;
    enum field field;
    uint32_t leg;
    i128 available; /* insufficient_funds */
    u128 needed;
    uint32_t sides_count;                  /* 2 * legs when posted, else 0 */
    struct entry_side sides[2 * LEGS_MAX]; /* leg 0 debit, leg 0 credit, leg 1 debit ... */
};

struct view;

struct view_functions {
    bool (*account_find)(struct view *view, struct text id, uint64_t *number);
    bool (*account_get)(struct view *view, uint64_t number, struct account *account);
    /* Inserts (number = accounts_count + 1) or replaces. */
    void (*account_put)(struct view *view, const struct account *account);
    bool (*currency_find)(struct view *view, struct text code, uint32_t *number);
    bool (*currency_get)(struct view *view, uint32_t number, struct currency *currency);
    void (*currency_put)(struct view *view, const struct currency *currency);
    bool (*payment_find)(struct view *view, const struct uuid *id, struct payment_seen *seen);
    /*
     * Records a command under decision->seq, for payments also under its id; command is the entry
     * form. An overlay keeps what payment_find needs.
     */
    void (*record_put)(struct view *view, const struct uuid *id, struct text command,
                       const struct decision *decision);
    bool (*reference_find)(struct view *view, struct text reference, uint64_t *seq);
    void (*reference_put)(struct view *view, struct text reference, uint64_t seq);
};

struct view {
    const struct view_functions *functions;
    enum status error;
    uint64_t accounts_count;
    uint32_t currencies_count;
};

#endif
