#include "client/histogram.h"

#include "base/check.h"

/* Values below 2 * STEPS have a bucket each; above, each power of two has STEPS of them. */
static uint32_t bucket_of(uint64_t value)
{
    uint32_t shift = 0;
    while (value >> shift >= 2 * HISTOGRAM_STEPS) {
        shift += 1;
    }
    uint64_t bucket = (uint64_t)shift * HISTOGRAM_STEPS + (value >> shift);
    return bucket < HISTOGRAM_BUCKETS ? (uint32_t)bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS) {
        return bucket;
    }
    const uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    const uint64_t step = bucket - shift * HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)] += 1;
    histogram->count += 1;
    if (value > histogram->value_max) {
        histogram->value_max = value;
    }
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    assert(histogram != other);
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        histogram->buckets[bucket] += other->buckets[bucket];
    }
    histogram->count += other->count;
    if (other->value_max > histogram->value_max) {
        histogram->value_max = other->value_max;
    }
}

uint64_t histogram_percentile(const struct histogram *histogram, uint32_t permille)
{
    assert(permille <= 1000);
    if (histogram->count == 0) {
        return 0;
    }
    const uint64_t wanted = (histogram->count * permille + 999) / 1000;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= wanted && seen > 0) {
            const uint64_t end = bucket_end(bucket);
            return end < histogram->value_max ? end : histogram->value_max;
        }
    }
    return histogram->value_max;
}
