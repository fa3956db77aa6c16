#include "client/bench_nodes.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "client/scrape.h"

#include <pthread.h>

enum { READ_TIMEOUT_MS = 1000 };

static bool reading_parse(struct text body, struct bench_reading *reading)
{
    const struct {
        const char *name;
        uint32_t factor;
        uint64_t *value;
    } rows[] = {
        {metric_name(METRIC_LEADER), 1, &reading->leader},
        {"process_cpu_seconds_total", 1000000, &reading->cpu_us},
        {"process_resident_memory_bytes", 1, &reading->memory_bytes},
        {metric_name(METRIC_ENTRIES_APPLIED), 1, &reading->entries},
        {metric_name(METRIC_PAYMENTS_POSTED), 1, &reading->payments},
        {metric_name(METRIC_FLUSHES), 1, &reading->commits},
        {metric_name(METRIC_LOG_APPENDS), 1, &reading->log_appends},
        {metric_name(METRIC_LOG_BYTES), 1, &reading->log_bytes},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!scrape_value(body, rows[i].name, rows[i].factor, rows[i].value)) {
            return false;
        }
    }
    return true;
}

/* The reading of one node, in a thread of its own. */
struct task {
    const struct client_options *client;
    uint32_t node;
    struct bench_reading *reading;
    pthread_t thread;
    bool running;
};

static void *task_run(void *data)
{
    const struct task *task = data;
    struct buffer body;
    buffer_init(&body, MESSAGE_BYTES_MAX);
    if (scrape_metrics(task->client, task->node, READ_TIMEOUT_MS, &body) == STATUS_OK) {
        const struct text text = {(const char *)body.data, body.size};
        task->reading->known = reading_parse(text, task->reading);
        task->reading->at_us = clock_monotonic_ns(clock_system()) / 1000;
    }
    buffer_deinit(&body);
    return NULL;
}

void bench_nodes_read(const struct client_options *client,
                      struct bench_reading readings[CLIENT_NODES_MAX])
{
    struct task tasks[CLIENT_NODES_MAX];
    assert(client->nodes_count <= CLIENT_NODES_MAX);
    for (uint32_t i = 0; i < client->nodes_count; i++) {
        struct task *task = &tasks[i];
        readings[i] = (struct bench_reading){.known = false};
        *task = (struct task){.client = client, .node = i, .reading = &readings[i]};
        task->running = pthread_create(&task->thread, NULL, task_run, task) == 0;
    }
    for (uint32_t i = 0; i < client->nodes_count; i++) {
        if (tasks[i].running) {
            int result = pthread_join(tasks[i].thread, NULL);
            assert(result == 0);
        }
    }
}

static bool counter_went_back(const struct bench_reading *before, const struct bench_reading *after)
{
    return after->cpu_us < before->cpu_us || after->entries < before->entries ||
           after->payments < before->payments || after->commits < before->commits ||
           after->log_appends < before->log_appends || after->log_bytes < before->log_bytes;
}

void bench_nodes_compare(const struct client_options *client, const struct bench_reading *before,
                         const struct bench_reading *after,
                         struct bench_node nodes[CLIENT_NODES_MAX])
{
    for (uint32_t i = 0; i < client->nodes_count; i++) {
        const struct bench_reading *a = &before[i];
        const struct bench_reading *b = &after[i];
        nodes[i] = (struct bench_node){.known = a->known && b->known && !counter_went_back(a, b)};
        address_format(client->nodes[i].host, client->nodes[i].port, nodes[i].address);
        if (!nodes[i].known) {
            continue;
        }
        nodes[i].leader = b->leader == 1;
        nodes[i].elapsed_us = b->at_us - a->at_us;
        nodes[i].cpu_us = b->cpu_us - a->cpu_us;
        nodes[i].memory_bytes = b->memory_bytes;
        nodes[i].entries = b->entries - a->entries;
        nodes[i].payments = b->payments - a->payments;
        nodes[i].commits = b->commits - a->commits;
        nodes[i].log_appends = b->log_appends - a->log_appends;
        nodes[i].log_bytes = b->log_bytes - a->log_bytes;
    }
}

uint32_t bench_nodes_targets(const struct bench_options *options,
                             const struct client_options *client,
                             const struct bench_reading *readings,
                             uint32_t targets[CLIENT_NODES_MAX])
{
    uint32_t count = 0;
    if (options->target == BENCH_TO_ONE) {
        targets[0] = options->target_node;
        return 1;
    }
    for (uint32_t i = 0; i < client->nodes_count; i++) {
        const bool leads = readings[i].known && readings[i].leader == 1;
        if (options->target == BENCH_TO_ALL || leads == (options->target == BENCH_TO_LEADER)) {
            targets[count] = i;
            count += 1;
        }
    }
    /* Nobody is known to lead, or there is no follower. */
    for (uint32_t i = 0; count == 0 && i < client->nodes_count; i++) {
        targets[i] = i;
    }
    return count > 0 ? count : client->nodes_count;
}

uint32_t bench_nodes_witness(const struct client_options *client,
                             const struct bench_reading *readings, const uint32_t *targets,
                             uint32_t targets_count)
{
    uint32_t best = 0;
    uint32_t best_rank = 0;
    for (uint32_t i = 0; i < client->nodes_count; i++) {
        bool target = false;
        for (uint32_t j = 0; j < targets_count; j++) {
            target = target || targets[j] == i;
        }
        const uint32_t rank =
            !readings[i].known ? 0 : 1U + (readings[i].leader == 1 ? 0U : 1U) + (target ? 0U : 2U);
        if (rank > best_rank) {
            best = i;
            best_rank = rank;
        }
    }
    return best;
}
