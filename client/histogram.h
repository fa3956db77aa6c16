/*
 * Latencies in buckets that are 1/32 of their power of two wide: a percentile is at most 3 % too
 * high.
 */
#ifndef CLIENT_HISTOGRAM_H
#define CLIENT_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 40 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t value_max;
};

/* Values of 2^43 and more share the last bucket. */
void histogram_add(struct histogram *histogram, uint64_t value);

/* Adds all values of another one. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The value that `permille` of 1000 values do not exceed; 0 where there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, uint32_t permille);

#endif
