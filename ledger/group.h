/*
 * An atomic batch inside a log entry: a group of payments of which all are posted, or none. The
 * same code runs on the leader before a proposal and on every node at apply.
 */
#ifndef LEDGER_GROUP_H
#define LEDGER_GROUP_H

#include "ledger/execute.h"
#include "ledger/overlay.h"

struct group {
    struct view *view;     /* that the group is executed on */
    struct overlay *trial; /* scratch: run on a view first, then thrown away */
    struct execution execution;
    uint64_t first_seq; /* of its first payment */
    uint32_t count;
    bool aborted; /* by an item that is not in the entry: all are batch_aborted */
};

/* Told about each payment of the group in order, after it was recorded. */
typedef void (*group_visit)(void *data, uint32_t number, const struct entry_item *item,
                            const struct entry_command *command, const struct decision *decision);

/*
 * Executes the group whose first item's head stands at the reader, and moves the reader past it. If
 * each payment is fine after those before it, all are executed. Else the first that is not is
 * recorded with its own code, the others with batch_aborted, and no money moves.
 * STATUS_CORRUPT where the bytes are no such group; the view's errors are the caller's to check.
 */
enum status MUST_CHECK group_execute(const struct group *group, struct reader *items,
                                     group_visit visit, void *visit_data);

#endif
