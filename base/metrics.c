/* The table of metrics.h as atomics and as Prometheus text. */
#include "base/metrics.h"

#include "base/check.h"

#include <inttypes.h>

enum metric_kind { COUNTER, GAUGE };

struct metric_row {
    const char *name;
    const char *help;
    enum metric_kind kind;
};

static const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC_ROW(name, text, kind, help) [METRIC_##name] = {text, help, kind},
    METRICS_TABLE(METRIC_ROW)
#undef METRIC_ROW
};

static const struct metric_row *metric_row(enum metric metric)
{
    assert((unsigned)metric < METRIC_COUNT);
    assert(metric_rows[metric].name != NULL);
    return &metric_rows[metric];
}

void metric_add(struct metrics *metrics, enum metric metric, int64_t delta)
{
    assert(metrics != NULL);
    assert(IMPLIES(metric_row(metric)->kind == COUNTER, delta >= 0));
    atomic_fetch_add_explicit(&metrics->values[metric], (uint64_t)delta, memory_order_relaxed);
}

void metric_set(struct metrics *metrics, enum metric metric, uint64_t value)
{
    assert(metrics != NULL);
    assert((unsigned)metric < METRIC_COUNT);
    atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

uint64_t metric_get(const struct metrics *metrics, enum metric metric)
{
    assert(metrics != NULL);
    assert((unsigned)metric < METRIC_COUNT);
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

const char *metric_name(enum metric metric)
{
    return metric_row(metric)->name;
}

bool metric_is_counter(enum metric metric)
{
    return metric_row(metric)->kind == COUNTER;
}

void metrics_render(const struct metrics *metrics, struct buffer *out)
{
    assert(metrics != NULL);
    assert(out != NULL);
    for (int i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = metric_row((enum metric)i);
        write_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", row->name, row->help,
                     row->name, row->kind == COUNTER ? "counter" : "gauge", row->name,
                     metric_get(metrics, (enum metric)i));
    }
}
