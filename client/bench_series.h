/*
 * What happened second by second, gathered from all threads of the load.
 */
#ifndef CLIENT_BENCH_SERIES_H
#define CLIENT_BENCH_SERIES_H

#include "client/bench_result.h"

#include <pthread.h>

/* Seconds whose latencies are still added up: threads are never so far apart. */
enum { BENCH_SECONDS_OPEN = 8 };

struct bench_series {
    pthread_mutex_t lock;
    struct bench_second *rows;
    uint32_t rows_max;
    uint32_t count; /* rows that something was added to */
    struct {
        uint32_t second;
        struct histogram latency_us;
    } open[BENCH_SECONDS_OPEN];
};

enum status MUST_CHECK bench_series_open(struct bench_series **series, uint32_t rows_max);
void bench_series_close(struct bench_series *series);

/* Adds what one thread saw in one second. Later seconds than there are rows are left out. */
void bench_series_add(struct bench_series *series, uint32_t second,
                      const struct bench_counts *counts, const struct histogram *latency_us);

/* A row as it is now; all zero where nothing was added. */
struct bench_second bench_series_row(struct bench_series *series, uint32_t second);

/* The sum of the rows [begin, end). */
struct bench_counts bench_series_sum(struct bench_series *series, uint32_t begin, uint32_t end);

/* Moves the rows into the result, up to the last that counts something, at least `least`. */
void bench_series_take(struct bench_series *series, uint32_t least, struct bench_result *result);

#endif
