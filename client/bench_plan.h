/*
 * What is paid: every payment is a function of the seed and of its place (lane, request, item), so
 * that it can be made again instead of being kept: to be sent again, to be compared with its
 * answer, to be asked for at the end.
 *
 * The seed decides accounts, order and arrivals. Ids also depend on when the run began: the same
 * seed pays anew.
 */
#ifndef CLIENT_BENCH_PLAN_H
#define CLIENT_BENCH_PLAN_H

#include "client/bench_options.h"
#include "client/zipf.h"

struct bench_plan {
    const struct bench_options *options;
    uint64_t seed_key;
    uint64_t ids_key;
    int64_t begin_ms; /* since 1970; UUIDv7 */
    uint64_t stride;  /* spreads the ranks of Zipf's law over the accounts */
    struct zipf zipf;
};

void bench_plan_init(struct bench_plan *plan, const struct bench_options *options,
                     int64_t begin_ns);

/* A stream of random numbers of its own for each place. */
struct bench_dice {
    uint64_t state;
};

enum bench_stream {
    BENCH_STREAM_PAYMENTS,
    BENCH_STREAM_ARRIVALS,
    BENCH_STREAM_READS,
    BENCH_STREAM_TARGETS
};

struct bench_dice bench_dice_of(const struct bench_plan *plan, enum bench_stream stream,
                                uint32_t lane, uint64_t number);
uint64_t bench_dice_next(struct bench_dice *dice);
/* Below `bound`, which is at least 1. */
uint32_t bench_dice_below(struct bench_dice *dice, uint32_t bound);

/* Two different accounts. number: of the payment in its lane. */
void bench_plan_accounts(const struct bench_plan *plan, uint32_t lane, uint64_t number,
                         uint32_t *debit, uint32_t *credit);
/* An account by the distribution. */
uint32_t bench_plan_account(const struct bench_plan *plan, struct bench_dice *dice);

/* ms: since the run's begin, for UUIDv7. */
struct uuid bench_plan_id(const struct bench_plan *plan, uint32_t lane, uint64_t number,
                          uint32_t ms);

/* Whether request `number` of a lane reads. */
bool bench_plan_reads(const struct bench_plan *plan, uint32_t lane, uint64_t number);

#endif
