/*
 * Up to NODES_MAX consensus instances in one process, on one loop, with real TLS on 127.0.0.1: what
 * the tests of consensus/ start from. Entries are multiples of 8 bytes that begin with a number;
 * each node keeps the numbers in the order in which they were applied.
 */
#ifndef TESTS_SUPPORT_TRIO_H
#define TESTS_SUPPORT_TRIO_H

#include "consensus/consensus.h"

enum { TRIO_APPLIED_MAX = 65536, TRIO_MESSAGES_MAX = 4096 };

struct trio_node {
    struct trio *trio;
    uint32_t id;
    struct consensus *consensus; /* NULL while stopped */
    struct metrics metrics;
    char dir[256];
    uint8_t incarnation[16];
    bool closed;
    /* on_role */
    enum consensus_role role;
    uint64_t term;
    uint32_t leader;
    uint32_t role_calls;
    bool inside_call; /* set by tests around their own calls */
    /* on_apply */
    uint32_t applied_count;
    uint64_t applied_first_index;
    uint64_t applied_last_index;
    uint64_t applied[TRIO_APPLIED_MAX];
    /* on_snapshot: answered at once unless snapshots_late */
    bool snapshots_late;
    uint32_t snapshots_asked;
    uint64_t snapshot_index;
    /* on_restore */
    uint32_t restores;
    struct consensus_manifest restored;
    uint64_t state_index; /* what the owner's own files hold; restore compares with it */
    bool restored_behind;
    /* on_message, on_link */
    uint32_t messages_count;
    uint32_t messages_from[TRIO_MESSAGES_MAX];
    uint64_t messages_number[TRIO_MESSAGES_MAX];
    size_t messages_bytes[TRIO_MESSAGES_MAX];
    bool links_up[NODES_MAX + 1]; /* by id */
    uint32_t links_lost;
    /* on_copy */
    struct stream *copy;
    uint32_t copy_peer;
    uint32_t copies;
    struct buffer copy_received;
    bool copy_closed;
    /* on_incarnation: what is recorded; all zeros: nothing yet */
    uint8_t known[NODES_MAX + 1][16];
};

struct trio {
    uv_loop_t loop;
    char *dir;
    uint32_t count;
    struct consensus_peer peers[NODES_MAX];
    struct digest cluster_id;
    uint64_t snapshot_bytes;
    uint32_t snapshot_trailing;
    struct trio_node nodes[NODES_MAX]; /* id = place + 1 */
};

/* Makes certificates and formats; nothing runs yet. */
struct trio *trio_open(uint32_t count);
/* Stops what runs, checks that the loop is empty, removes the files. */
void trio_close(struct trio *trio);

/* The options with which a node starts; pointers live as long as the trio. */
struct consensus_options trio_options(struct trio *trio, uint32_t id);
void trio_start(struct trio *trio, uint32_t id);
void trio_start_all(struct trio *trio);
/* Closes one and waits for its end. */
void trio_stop(struct trio *trio, uint32_t id);

struct trio_node *trio_node(struct trio *trio, uint32_t id);
/* The node that leads in the highest term among the running ones, NULL for none. */
struct trio_node *trio_leader(struct trio *trio);
/* Runs until there is a leader that all running nodes know. */
struct trio_node *trio_elect(struct trio *trio);

/* Runs the loop until `done` says so; fails the test after timeout_ms. */
void trio_run_until(struct trio *trio, bool (*done)(struct trio *trio, void *data), void *data,
                    uint32_t timeout_ms, const char *what);
void trio_run_for(struct trio *trio, uint32_t duration_ms);

/* Proposes first, first + 1 ... on the leader, a few in flight, following changes of leadership
 * (so some may be applied twice), each with size bytes; returns when each is applied everywhere. */
void trio_pay(struct trio *trio, uint64_t first, uint32_t count, size_t size);
/* All running nodes applied the same, as far as the shortest one goes, and equally much. */
void trio_check_same(struct trio *trio);

#endif
