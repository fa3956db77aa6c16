/*
 * cluster.status as JSON: the cluster as the asked node sees it.
 */
#include "base/check.h"
#include "gateway/render_parts.h"

#include <stdio.h>
#include <string.h>

enum { COUNTER_NAME_BYTES = 64 };

/* "payledger_io_errors_total" -> "io_errors": the name without what only Prometheus needs. */
static void counter_name(enum metric metric, char name[COUNTER_NAME_BYTES])
{
    static const char prefix[] = "payledger_";
    static const char suffix[] = "_total";
    const char *full = metric_name(metric);
    if (strncmp(full, prefix, sizeof prefix - 1) == 0) {
        full += sizeof prefix - 1;
    }
    (void)snprintf(name, COUNTER_NAME_BYTES, "%s", full);
    size_t size = strlen(name);
    size_t suffix_size = sizeof suffix - 1;
    if (size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0) {
        name[size - suffix_size] = '\0';
    }
}

static void counters_write(struct json_writer *writer, const uint64_t counters[METRIC_COUNT])
{
    json_key(writer, "counters");
    json_object_open(writer);
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        if (metric_is_counter((enum metric)i)) {
            char name[COUNTER_NAME_BYTES];
            counter_name((enum metric)i, name);
            json_field_unsigned(writer, name, counters[i]);
        }
    }
    json_object_close(writer);
}

static void node_write(struct json_writer *writer, const struct cluster_node *node)
{
    char digest[DIGEST_HEX_BYTES];
    digest_format(&node->digest, digest);
    json_object_open(writer);
    json_field_unsigned(writer, "id", node->id);
    json_field_string(writer, "role", node->role == NULL ? "unknown" : node->role);
    json_field_unsigned(writer, "term", node->term);
    json_field_unsigned(writer, "seq", node->seq);
    json_field_unsigned(writer, "index", node->index);
    json_field_string(writer, "digest", digest);
    json_field_boolean(writer, "reachable", node->reachable);
    json_field_signed(writer, "clock_offset_ns", node->clock_offset_ns);
    json_field_string(writer, "client", node->client_address);
    counters_write(writer, node->counters);
    json_object_close(writer);
}

void status_write(struct json_writer *writer, const struct cluster_status *status)
{
    assert(status->nodes_count <= NODES_MAX);
    static const uint64_t no_counters[METRIC_COUNT];
    const uint64_t *own = no_counters;
    char cluster_id[DIGEST_HEX_BYTES];
    digest_format(&status->cluster_id, cluster_id);
    json_object_open(writer);
    json_field_string(writer, "cluster", status->cluster);
    json_field_string(writer, "cluster_id", cluster_id);
    json_field_unsigned(writer, "node", status->node);
    json_key(writer, "leader");
    if (status->leader == 0) {
        json_null(writer);
    } else {
        json_unsigned(writer, status->leader);
    }
    json_field_unsigned(writer, "term", status->term);
    json_field_boolean(writer, "ready", status->ready);
    json_field_string(writer, "reason", status->ready ? "" : status->ready_reason);
    json_key(writer, "nodes");
    json_array_open(writer);
    for (uint32_t i = 0; i < status->nodes_count; i++) {
        node_write(writer, &status->nodes[i]);
        if (status->nodes[i].id == status->node) {
            own = status->nodes[i].counters;
        }
    }
    json_array_close(writer);
    counters_write(writer, own);
    json_object_close(writer);
}
