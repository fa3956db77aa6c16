/*
 * Counters and gauges of one node: one fixed table, relaxed atomics, any thread may write.
 * Rendered as Prometheus text by the gateway; also the `counters` of cluster.status.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/bytes.h"

#include <stdatomic.h>

/* METRIC(NAME, "prometheus_name", kind, "help") ; counters end in _total. */
#define METRICS_TABLE(METRIC)                                                                      \
    METRIC(REQUESTS, "payledger_requests_total", COUNTER, "Requests received")                     \
    METRIC(REQUESTS_REFUSED, "payledger_requests_refused_total", COUNTER,                          \
           "Requests answered with an error")                                                      \
    METRIC(NOTIFICATIONS, "payledger_notifications_total", COUNTER,                                \
           "Requests without id, neither executed nor answered")                                   \
    METRIC(OVERLOADED, "payledger_overloaded_total", COUNTER, "Requests refused as overloaded")    \
    METRIC(SESSIONS, "payledger_sessions", GAUGE, "Open WebSocket sessions")                       \
    METRIC(SCANS_PUT_OFF, "payledger_scans_put_off_total", COUNTER,                                \
           "Histories and lists that waited for another turn of their worker")                     \
    METRIC(SESSIONS_OPENED, "payledger_sessions_opened_total", COUNTER,                            \
           "WebSocket sessions opened")                                                            \
    METRIC(HTTP_REQUESTS, "payledger_http_requests_total", COUNTER, "HTTP requests")               \
    METRIC(PROTOCOL_ERRORS, "payledger_protocol_errors_total", COUNTER,                            \
           "Client connections closed for breaking a protocol")                                    \
    METRIC(FORWARDS, "payledger_forwards_total", COUNTER, "Requests forwarded to the leader")      \
    METRIC(FORWARDS_SERVED, "payledger_forwards_served_total", COUNTER,                            \
           "Requests taken from other nodes")                                                      \
    METRIC(REPLAYS, "payledger_replays_total", COUNTER, "Payments answered from their record")     \
    METRIC(UNKNOWN, "payledger_unknown_total", COUNTER, "Requests answered with unknown")          \
    METRIC(ENTRIES_PROPOSED, "payledger_entries_proposed_total", COUNTER, "Log entries proposed")  \
    METRIC(ENTRIES_APPLIED, "payledger_entries_applied_total", COUNTER, "Log entries applied")     \
    METRIC(ENTRIES_VOID, "payledger_entries_void_total", COUNTER,                                  \
           "Log entries without effect because their sequence did not fit")                        \
    METRIC(ENTRIES_SKIPPED, "payledger_entries_skipped_total", COUNTER,                            \
           "Log entries at or below the stored index, skipped at replay")                          \
    METRIC(PAYMENTS_POSTED, "payledger_payments_posted_total", COUNTER, "Payments posted")         \
    METRIC(PAYMENTS_REFUSED, "payledger_payments_refused_total", COUNTER,                          \
           "Payments refused and recorded")                                                        \
    METRIC(OUTCOME_DIFFERENCES, "payledger_outcome_differences_total", COUNTER,                    \
           "Outcomes that differ from the expected ones")                                          \
    METRIC(ELECTIONS, "payledger_elections_total", COUNTER, "Times this node became leader")       \
    METRIC(TERM, "payledger_term", GAUGE, "Current raft term")                                     \
    METRIC(LEADER, "payledger_is_leader", GAUGE, "1 while this node leads")                        \
    METRIC(SEQ, "payledger_seq", GAUGE, "Applied sequence")                                        \
    METRIC(RAFT_INDEX, "payledger_raft_index", GAUGE, "Applied raft index")                        \
    METRIC(SNAPSHOTS_TAKEN, "payledger_snapshots_taken_total", COUNTER, "Snapshots taken")         \
    METRIC(SNAPSHOTS_INSTALLED, "payledger_snapshots_installed_total", COUNTER,                    \
           "State copies installed from a peer")                                                   \
    METRIC(COPIES_SERVED, "payledger_copies_served_total", COUNTER, "State copies sent to a peer") \
    METRIC(FLUSHES, "payledger_flushes_total", COUNTER, "LMDB commits")                            \
    METRIC(LOG_APPENDS, "payledger_log_appends_total", COUNTER,                                    \
           "Appends to raft's log; several may share one flush")                                   \
    METRIC(LOG_BYTES, "payledger_log_bytes_total", COUNTER, "Bytes of entries appended to it")     \
    METRIC(IO_ERRORS, "payledger_io_errors_total", COUNTER, "Disk errors")                         \
    METRIC(SCRUB_PASSES, "payledger_scrub_passes_total", COUNTER,                                  \
           "Times the whole ledger was checked and found whole")                                   \
    METRIC(SCRUB_ROWS, "payledger_scrub_rows", GAUGE, "Rows checked in the present pass")          \
    METRIC(PEER_CONNECTS, "payledger_peer_connects_total", COUNTER, "Peer connections opened")     \
    METRIC(PEER_REFUSED, "payledger_peer_refused_total", COUNTER, "Peer connections refused")      \
    METRIC(APPLY_QUEUE_BYTES, "payledger_apply_queue_bytes", GAUGE, "Bytes waiting to be applied") \
    METRIC(IN_FLIGHT, "payledger_requests_in_flight", GAUGE, "Requests in flight on this node")

enum metric {
#define METRIC_ENUM(name, text, kind, help) METRIC_##name,
    METRICS_TABLE(METRIC_ENUM)
#undef METRIC_ENUM
        METRIC_COUNT
};

struct metrics {
    _Atomic uint64_t values[METRIC_COUNT];
};

void metric_add(struct metrics *metrics, enum metric metric, int64_t delta);
void metric_set(struct metrics *metrics, enum metric metric, uint64_t value);
uint64_t metric_get(const struct metrics *metrics, enum metric metric);

/* The Prometheus name, and whether it is a counter (else a gauge). */
const char *metric_name(enum metric metric);
bool metric_is_counter(enum metric metric);

/* Appends the whole table as Prometheus text format 0.0.4. */
void metrics_render(const struct metrics *metrics, struct buffer *out);

#endif
