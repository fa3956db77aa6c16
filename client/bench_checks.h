/*
 * Whether the ledger holds what was acknowledged: totals, what moved, and the ids one by one.
 */
#ifndef CLIENT_BENCH_CHECKS_H
#define CLIENT_BENCH_CHECKS_H

#include "client/bench_load.h"
#include "client/bench_result.h"

struct bench_totals {
    i128 moved_minor; /* debits of the currency BENCH so far */
    bool balanced;    /* in every currency */
};

/* Reads the totals of a state that has at least min_seq; 0: of the newest. Prints what is wrong. */
enum client_exit bench_totals_read(struct console *console, uint64_t min_seq,
                                   struct bench_totals *totals);

/* Compares the totals with what result->run counted. */
void bench_checks_totals(const struct bench_totals *before, const struct bench_totals *after,
                         struct bench_result *result);

/*
 * Asks node `witness` for the acknowledged ids, for all or for as many as options->verify says,
 * evenly spread. What has no answer is counted as unread, and of the `posted` payments those whose
 * ids were not remembered (BENCH_IDS_MAX, no memory), unless none was to be asked for.
 */
void bench_checks_ids(const struct client_options *client, const struct bench_load *load,
                      uint32_t witness, uint64_t posted, struct bench_checks *checks);

#endif
