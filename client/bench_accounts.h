/*
 * The accounts that pay each other: bench-0000000 and so on, of the currency BENCH, without limit.
 */
#ifndef CLIENT_BENCH_ACCOUNTS_H
#define CLIENT_BENCH_ACCOUNTS_H

#include "client/bench_options.h"

/*
 * Opens what is missing. When all are open a further account, "bench-ready-N", says so: the next
 * run with as many finds it and opens none. Prints what is wrong.
 */
enum client_exit bench_accounts_open(struct console *console, const struct bench_options *options);

#endif
