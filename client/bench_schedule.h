/*
 * The open loop's arrivals: when each request was meant to start, whatever became of it. Arrivals
 * that can not be sent yet wait in a bounded backlog; their latency runs from here.
 */
#ifndef CLIENT_BENCH_SCHEDULE_H
#define CLIENT_BENCH_SCHEDULE_H

#include "base/status.h"
#include "client/bench_plan.h"

struct bench_schedule {
    struct bench_dice dice;
    bool poisson;
    double gap_ns;  /* on average */
    double next_at; /* nanoseconds after the begin, of the arrival to come */
    uint64_t begin_ns;
    uint64_t end_ns;   /* no arrival at or after it */
    uint64_t *waiting; /* ring of intended starts */
    uint32_t waiting_max;
    uint32_t first;
    uint32_t count;
};

/* gap_ns: on average between two arrivals; waiting_max: of the backlog. STATUS_NO_MEMORY. */
enum status MUST_CHECK bench_schedule_init(struct bench_schedule *schedule, double gap_ns,
                                           bool poisson, uint32_t waiting_max,
                                           struct bench_dice dice);
void bench_schedule_deinit(struct bench_schedule *schedule);

/* Arrivals from now on, up to end_ns. */
void bench_schedule_begin(struct bench_schedule *schedule, uint64_t begin_ns, uint64_t end_ns);

/* Moves all arrivals up to now into the backlog; returns how many found it full. */
uint64_t bench_schedule_advance(struct bench_schedule *schedule, uint64_t now_ns);

/* The intended start of the oldest that waits; false where none does. */
bool bench_schedule_take(struct bench_schedule *schedule, uint64_t *intended_ns);

/* When the next one arrives; UINT64_MAX: none will. */
uint64_t bench_schedule_next_ns(const struct bench_schedule *schedule);

#endif
