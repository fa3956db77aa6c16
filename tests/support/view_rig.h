/*
 * A ledger state in memory alone: an overlay over a view that knows nothing. For tests of the rules
 * that need no store.
 */
#ifndef TESTS_SUPPORT_VIEW_RIG_H
#define TESTS_SUPPORT_VIEW_RIG_H

#include "ledger/execute.h"
#include "ledger/overlay.h"

struct view_rig {
    struct view nothing;
    struct overlay overlay;
    struct view *view; /* the overlay's */
    uint64_t seq;
    int64_t time_ns;
    struct buffer form;
    struct decision decision; /* of the newest command */
};

void view_rig_open(struct view_rig *rig);
void view_rig_close(struct view_rig *rig);

/* Executes a command in request form under the next seq and time. */
enum code view_rig_do(struct view_rig *rig, const struct command *command);

/* The account of this id, which exists. */
struct account view_rig_account(struct view_rig *rig, const char *id);
struct currency view_rig_currency(struct view_rig *rig, const char *code);

#endif
