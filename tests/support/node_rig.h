/*
 * A node of a cluster of three without sockets and raft: struct node as node_prepare leaves it, a
 * ledger whose thread is stepped by hand, and a worker that only collects answers. What it would
 * send to its peers stays in their buffers, where node_rig_sent finds it.
 */
#ifndef TESTS_SUPPORT_NODE_RIG_H
#define TESTS_SUPPORT_NODE_RIG_H

#include "gateway/worker.h"
#include "node/internal.h"

struct node_rig {
    char *root;
    struct config config;
    struct clock clock;
    uint64_t now_ns; /* monotonic; the wall clock is as far from it as in 2026 */
    struct gateway_worker worker;
    struct node node; /* id 1; its links are up, node 2 leads */
};

/* Of a test: *state is a struct node_rig. */
int node_rig_set_up(void **state);
int node_rig_tear_down(void **state);

/* This node leads from now on. */
void node_rig_lead(struct node_rig *rig);

/* Steps the ledger thread until it rests. */
void node_rig_step(struct node_rig *rig);

/* The entry that the ledger thread has made comes back from the log and is applied. */
void node_rig_apply(struct node_rig *rig, uint64_t index);

/* A call of a currency.create of this code, or a linearizable read; the caller frees it. */
struct call *node_rig_execute(struct node_rig *rig, const char *code);
struct call *node_rig_read(struct node_rig *rig);
/* A call of so many commands. */
struct call *node_rig_batch(struct node_rig *rig, uint32_t count);
void node_rig_call_free(struct call *call);

/* Was the call answered? */
bool node_rig_answered(struct node_rig *rig, const struct call *call);

/* The next item that this node has for a peer; false: none. Texts live until the next call. */
bool node_rig_sent(struct node_rig *rig, uint32_t peer, struct link_item *item);

#endif
