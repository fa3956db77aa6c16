/*
 * The one function that decides about money. It runs on the leader before a proposal (on an
 * overlay) and at apply on every node (on the store), and must come to the same decision: no clock
 * but the entry's time, no floats, no pointer or hash order.
 *
 * The order of checks is a contract with clients (docs/protocol.md): id seen before, accounts
 * exist, currency, accounts differ, preconditions (reference), valid_until, overflow, balance
 * limits; each check runs over all legs before the next check begins.
 */
#ifndef LEDGER_EXECUTE_H
#define LEDGER_EXECUTE_H

#include "ledger/entry.h"
#include "ledger/view.h"

/* What an entry fixes for all its commands. */
struct execution {
    uint64_t term;
    int64_t time_ns;
};

/*
 * Decides about a command that takes `seq` and changes the view accordingly, recording it. `form`
 * is the command's entry form. The command must be new: its id was not seen (callers check first).
 */
void ledger_execute(struct view *view, const struct execution *execution, uint64_t seq,
                    const struct entry_command *command, struct text form,
                    struct decision *decision);

/* Records a command as refused without judging it (batch_aborted). */
void ledger_refuse(struct view *view, const struct execution *execution, uint64_t seq,
                   const struct entry_command *command, struct text form, enum code code,
                   struct decision *decision);

/* Records a decision that was made on another view (the trial run of an atomic batch). */
void ledger_record(struct view *view, const struct entry_command *command, struct text form,
                   const struct decision *decision);

#endif
