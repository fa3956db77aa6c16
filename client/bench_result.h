/*
 * What `payledger bench` measured: plain figures, filled by the parts that measure, read by the
 * report. docs/performance.md says what each field of the JSON form means.
 */
#ifndef CLIENT_BENCH_RESULT_H
#define CLIENT_BENCH_RESULT_H

#include "client/bench_options.h"
#include "client/histogram.h"

/* Counts of payments, but for those that say otherwise. */
struct bench_counts {
    uint64_t posted;
    uint64_t refused;    /* for good, overloaded ones included */
    uint64_t overloaded; /* of the refused ones */
    uint64_t unknown;
    uint64_t not_sent_requests; /* arrivals that found the backlog full, or were in it at the end */
    uint64_t requests;          /* with payments, answered */
    uint64_t reads;             /* answered with a result */
    uint64_t reads_failed;
    uint64_t retries; /* requests sent again */
};

void bench_counts_add(struct bench_counts *to, const struct bench_counts *from);

enum { BENCH_CODE_BYTES = 48 };

/* How often each code was answered. */
struct bench_errors {
    struct {
        char code[BENCH_CODE_BYTES];
        uint64_t count;
    } rows[BENCH_CODES_MAX];
    uint32_t count;
};

/* Counts answers; where the table is full, or the code is none of a node, under "other". */
void bench_errors_add(struct bench_errors *errors, struct text answered, uint64_t count);

/* One second of the run. */
struct bench_second {
    struct bench_counts counts;
    uint64_t p50_us, p99_us, max_us; /* of the requests with payments that were answered in it */
};

struct bench_node {
    char address[ADDRESS_TEXT_BYTES];
    bool known; /* its metrics were read before and after */
    bool leader;
    uint64_t cpu_us;
    uint64_t memory_bytes;
    uint64_t entries; /* log entries applied */
    uint64_t payments;
    uint64_t commits;     /* of the ledger's file, each flushed */
    uint64_t log_appends; /* to raft's log; several may share one flush */
    uint64_t log_bytes;
    uint64_t elapsed_us; /* between the two readings */
};

struct bench_generator {
    uint64_t cpu_us;          /* of all threads, in the measured time */
    uint64_t busiest_cpu_us;  /* of the busiest thread */
    struct histogram late_us; /* open loop: sent after the intended start, where there was room */
};

struct bench_machine {
    char cpu[96];
    uint32_t cores;
    uint64_t memory_bytes;
    char kernel[160];
    uint32_t load_milli; /* load average of the last minute, in thousandths, before the run */
    bool flush_known;
    struct histogram flush_us; /* fdatasync of 4 KiB */
};

struct bench_checks {
    bool totals_read;
    bool totals_balance;
    i128 moved_minor;
    i128 acknowledged_minor; /* at least so much must have moved, */
    i128 unknown_minor;      /* and at most so much more */
    bool moved_right;
    uint64_t ids_acknowledged;
    uint64_t ids_checked;
    uint64_t ids_missing;
    uint64_t ids_unread; /* no answer about them */
    char missing_id[UUID_TEXT_BYTES];
};

struct bench_result {
    int64_t started_ns;
    uint64_t window_us;          /* measured time, without warm-up */
    struct bench_counts run;     /* with warm-up and the end */
    struct bench_counts window;  /* of the measured time */
    struct histogram latency_us; /* of requests with payments, from the intended start */
    struct histogram read_latency_us;
    uint64_t without_latency_requests; /* refused, unknown, not sent: the percentiles lack them */
    struct bench_errors errors;
    struct bench_second *seconds; /* from the beginning of the warm-up */
    uint32_t seconds_count;
    struct bench_node nodes[CLIENT_NODES_MAX];
    struct bench_generator generator;
    struct bench_machine machine;
    struct bench_checks checks;
};

/* Frees what the result holds. */
void bench_result_deinit(struct bench_result *result);

/* The checks were all made, and all hold. */
bool bench_checks_passed(const struct bench_checks *checks);
/* One of them found something wrong. */
bool bench_checks_failed(const struct bench_checks *checks);

#endif
