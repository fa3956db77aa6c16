#include "client/bench_series.h"

#include "base/check.h"

#include <stdlib.h>

enum status bench_series_open(struct bench_series **opened, uint32_t rows_max)
{
    assert(rows_max > 0);
    struct bench_series *series = calloc(1, sizeof(*series));
    struct bench_second *rows = calloc(rows_max, sizeof(*rows));
    if (series == NULL || rows == NULL || pthread_mutex_init(&series->lock, NULL) != 0) {
        free(series);
        free(rows);
        return STATUS_NO_MEMORY;
    }
    series->rows = rows;
    series->rows_max = rows_max;
    *opened = series;
    return STATUS_OK;
}

void bench_series_close(struct bench_series *series)
{
    if (series == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&series->lock);
    free(series->rows);
    free(series);
}

static void series_lock(struct bench_series *series)
{
    int result = pthread_mutex_lock(&series->lock);
    assert(result == 0);
}

static void series_unlock(struct bench_series *series)
{
    int result = pthread_mutex_unlock(&series->lock);
    assert(result == 0);
}

void bench_series_add(struct bench_series *series, uint32_t second,
                      const struct bench_counts *counts, const struct histogram *latency_us)
{
    if (second >= series->rows_max) {
        return;
    }
    series_lock(series);
    struct bench_second *row = &series->rows[second];
    struct histogram *sum = &series->open[second % BENCH_SECONDS_OPEN].latency_us;
    uint32_t *owner = &series->open[second % BENCH_SECONDS_OPEN].second;
    bench_counts_add(&row->counts, counts);
    if (*owner < second) {
        *owner = second;
        *sum = (struct histogram){.count = 0};
    }
    if (*owner == second) {
        histogram_merge(sum, latency_us);
        row->p50_us = histogram_percentile(sum, 500);
        row->p99_us = histogram_percentile(sum, 990);
    }
    row->max_us = latency_us->value_max > row->max_us ? latency_us->value_max : row->max_us;
    series->count = second + 1 > series->count ? second + 1 : series->count;
    series_unlock(series);
}

struct bench_second bench_series_row(struct bench_series *series, uint32_t second)
{
    assert(second < series->rows_max);
    series_lock(series);
    const struct bench_second row = series->rows[second];
    series_unlock(series);
    return row;
}

struct bench_counts bench_series_sum(struct bench_series *series, uint32_t begin, uint32_t end)
{
    assert(begin <= end && end <= series->rows_max);
    struct bench_counts sum = {.posted = 0};
    series_lock(series);
    for (uint32_t i = begin; i < end; i++) {
        bench_counts_add(&sum, &series->rows[i].counts);
    }
    series_unlock(series);
    return sum;
}

void bench_series_take(struct bench_series *series, uint32_t least, struct bench_result *result)
{
    assert(least <= series->rows_max && result->seconds == NULL);
    series_lock(series);
    result->seconds = series->rows;
    result->seconds_count = series->count > least ? series->count : least;
    series->rows = NULL;
    series->rows_max = 0;
    series->count = 0;
    series_unlock(series);
}
