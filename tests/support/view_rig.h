/*
 * A ledger state in memory alone: an overlay over a view that knows nothing. For tests of the rules
 * that need no store.
 */
#ifndef TESTS_SUPPORT_VIEW_RIG_H
#define TESTS_SUPPORT_VIEW_RIG_H

#include "ledger/execute.h"
#include "ledger/overlay.h"

struct rig {
    struct view nothing;
    struct overlay overlay;
    struct view *view; /* the overlay's */
    uint64_t seq;
    int64_t time_ns;
    struct buffer form;
    struct decision decision; /* of the newest command */
};

void rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* Executes a command in request form under the next seq and time. */
enum code rig_do(struct rig *rig, const struct command *command);

/* The account of this id, which exists. */
struct account rig_account(struct rig *rig, const char *id);
struct currency rig_currency(struct rig *rig, const char *code);

#endif
