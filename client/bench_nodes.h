/*
 * What the nodes spent: their /metrics, read before and after.
 */
#ifndef CLIENT_BENCH_NODES_H
#define CLIENT_BENCH_NODES_H

#include "client/bench_result.h"

/* One reading of one node. */
struct bench_reading {
    bool known;
    uint64_t at_us; /* monotonic */
    uint64_t leader;
    uint64_t cpu_us;
    uint64_t memory_bytes;
    uint64_t entries;
    uint64_t payments;
    uint64_t commits;
    uint64_t log_appends;
    uint64_t log_bytes;
};

/* Reads all nodes at once: dead ones, however many, cost a second and are not known. */
void bench_nodes_read(const struct client_options *client,
                      struct bench_reading readings[CLIENT_NODES_MAX]);

/* What lies between two readings; unknown also where a counter went back: the node restarted. */
void bench_nodes_compare(const struct client_options *client, const struct bench_reading *before,
                         const struct bench_reading *after,
                         struct bench_node nodes[CLIENT_NODES_MAX]);

/* Writes the indexes of the nodes that payments go to; returns how many, at least 1. */
uint32_t bench_nodes_targets(const struct bench_options *options,
                             const struct client_options *client,
                             const struct bench_reading *readings,
                             uint32_t targets[CLIENT_NODES_MAX]);

/* The node that is asked for ids: one that no payment was sent to, else one that does not lead. */
uint32_t bench_nodes_witness(const struct client_options *client,
                             const struct bench_reading *readings, const uint32_t *targets,
                             uint32_t targets_count);

#endif
