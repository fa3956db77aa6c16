/*
 * The load: threads with connections that send payments and reads, and count what comes back.
 *
 * Life: bench_load_open (connects) -> bench_load_start -> bench_load_join -> bench_load_close. The
 * caller's thread is free in between, to watch.
 */
#ifndef CLIENT_BENCH_LOAD_H
#define CLIENT_BENCH_LOAD_H

#include "client/bench_ids.h"
#include "client/bench_plan.h"
#include "client/bench_series.h"

#include <stdatomic.h>

struct lane;

struct bench_load {
    const struct bench_options *options;
    const struct client_options *client;
    const struct bench_plan *plan;
    uint32_t targets[CLIENT_NODES_MAX]; /* indexes of nodes */
    uint32_t targets_count;
    struct bench_series *series;
    struct lane *lanes;
    uint32_t lanes_count;
    _Atomic uint64_t start_ns;  /* monotonic; 0: not yet */
    _Atomic uint32_t connected; /* lines that ever opened */
    pthread_mutex_t reason_lock;
    char reason[256]; /* the first thing that went wrong */
};

/*
 * Starts the threads and connects. targets: indexes of client->nodes. STATUS_NETWORK: no connection
 * at all; `error` says why.
 */
enum status MUST_CHECK bench_load_open(struct bench_load *load, char *error, size_t error_size);
/* Sends from now on: warm-up, then the measured time. Sets load->start_ns. */
void bench_load_start(struct bench_load *load);
/* Waits until everything is answered, or given up. */
void bench_load_join(struct bench_load *load);
/* Adds up the threads' results: counts of the run, latencies, errors, CPU. */
void bench_load_result(struct bench_load *load, struct bench_result *result);
/* Which ids a thread gave out. Valid until the close. */
const struct bench_ids *bench_load_ids(const struct bench_load *load, uint32_t lane);
/* The highest seq of an acknowledged payment. */
uint64_t bench_load_seq(const struct bench_load *load);
void bench_load_close(struct bench_load *load);

/* Keeps the first reason. Any thread. */
void bench_load_note(struct bench_load *load, const char *reason);

#endif
