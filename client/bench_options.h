/*
 * What `payledger bench` is asked to do: its options, read once.
 */
#ifndef CLIENT_BENCH_OPTIONS_H
#define CLIENT_BENCH_OPTIONS_H

#include "client/console.h"
#include "ledger/types.h"

enum bench_distribution { BENCH_UNIFORM, BENCH_ZIPF, BENCH_HOT };
enum bench_reads { BENCH_READ_ACCOUNT, BENCH_READ_PAYMENT };
enum bench_target { BENCH_TO_ALL, BENCH_TO_LEADER, BENCH_TO_FOLLOWERS, BENCH_TO_ONE };

struct bench_options {
    uint64_t rate_per_s; /* payments and reads a second; 0: closed loop */
    bool poisson;        /* gaps between arrivals: exponential, else all the same */
    uint32_t backlog;    /* arrivals that wait for a place in the window */
    uint32_t connections;
    uint32_t in_flight; /* requests of one connection */
    uint32_t payments;  /* of one request */
    uint32_t accounts;
    enum bench_distribution distribution;
    uint32_t exponent_milli; /* of Zipf's law, in thousandths */
    uint32_t mix_payments;   /* requests that pay, and requests that read: */
    uint32_t mix_reads;      /* their ratio */
    enum bench_reads reads;
    bool stale;
    bool ids_v7; /* UUIDv7, else random ones (v4) */
    uint32_t threads;
    uint32_t warmup_s;
    uint32_t seconds;
    uint64_t seed;
    bool retry; /* a retryable refusal is sent again, after the time that it names */
    enum bench_target target;
    uint32_t target_node;  /* of BENCH_TO_ONE: index among the nodes */
    uint64_t verify;       /* acknowledged ids that are asked for at the end; UINT64_MAX: all */
    const char *series;    /* path; NULL: none */
    const char *flush_dir; /* NULL: the disk is not measured */
    bool progress;
};

/* Reads the arguments. Prints what is wrong with them: CLIENT_USAGE. */
enum client_exit bench_options_read(struct console *console, struct bench_options *options);

/* Names as they are given and reported. */
const char *bench_distribution_name(enum bench_distribution distribution);
const char *bench_reads_name(enum bench_reads reads);
/* "all", "leader", "followers", or the node's address. */
void bench_target_name(const struct console *console, const struct bench_options *options,
                       char text[ADDRESS_TEXT_BYTES]);

#endif
