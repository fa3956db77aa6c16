/*
 * Which payments of a lane were acknowledged, at a bit each, and the times in their ids. Ids are
 * made again from the plan.
 */
#ifndef CLIENT_BENCH_IDS_H
#define CLIENT_BENCH_IDS_H

#include "base/status.h"

#include <stdint.h>

struct bench_ids {
    uint32_t payments;      /* of one request */
    uint32_t per_time;      /* requests that share a time */
    uint64_t count_max;     /* payments that are remembered */
    uint64_t given;         /* requests so far */
    uint64_t end;           /* payments from 0 on that have a bit and a time */
    uint32_t ms;            /* of the newest */
    uint64_t *acknowledged; /* a bit each */
    uint64_t words;
    uint32_t *times_ms;
    uint64_t times;
    uint64_t acknowledged_count; /* of those remembered */
    bool failed;                 /* no memory: what follows is not remembered */
};

void bench_ids_init(struct bench_ids *ids, uint32_t payments, uint64_t count_max);
void bench_ids_deinit(struct bench_ids *ids);

/* The number of the next request, and the time of its ids: now_ms, or that of its neighbours. */
uint64_t bench_ids_give(struct bench_ids *ids, uint32_t now_ms, uint32_t *ms);

void bench_ids_acknowledge(struct bench_ids *ids, uint64_t request, uint32_t item);

/* Payments from 0 on that are remembered. */
uint64_t bench_ids_end(const struct bench_ids *ids);
bool bench_ids_acknowledged(const struct bench_ids *ids, uint64_t payment);
/* The time in its id. */
uint32_t bench_ids_ms(const struct bench_ids *ids, uint64_t payment);

#endif
