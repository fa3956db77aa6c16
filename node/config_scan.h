/*
 * The strict reading of cluster.conf that precedes libconfuse, which by itself takes the last of
 * repeated keys, "010" as eight, "$HOME" from the environment and much else without a word.
 * It knows all keys, where each one stands in the file, and nothing of what they are used for.
 */
#ifndef NODE_CONFIG_SCAN_H
#define NODE_CONFIG_SCAN_H

#include "base/bytes.h"
#include "base/limits.h"

/*
 * Every key of cluster.conf. The arguments are a macro per kind:
 *   STRING(name, default)           quoted; default NULL: required
 *   NUMBER(name, default, min, max) a whole number; the unit ends the name
 *   SWITCH(name, default)           true or false
 *   LIST(name)                      { "a", "b" }; empty by default
 */
#define CONFIG_TOP_KEYS(STRING, NUMBER, SWITCH, LIST)                                              \
    STRING(cluster, NULL)                                                                          \
    STRING(data, NULL)                                                                             \
    NUMBER(map_mb, 65536, 16, 16777216)                                                            \
    NUMBER(disk_reserve_mb, DISK_RESERVE_BYTES / MEBIBYTE, 0, 1048576)                             \
    STRING(log, "info")                                                                            \
    NUMBER(workers, 4, 1, WORKERS_MAX)                                                             \
    NUMBER(session_requests, SESSION_REQUESTS_MAX, 1, SESSION_REQUESTS_MAX)                        \
    NUMBER(request_timeout_ms, REQUEST_TIMEOUT_MS, 100, 60000)                                     \
    LIST(origins)                                                                                  \
    SWITCH(insecure_open, false)

/* The two listening addresses are those that others use, unless a proxy stands between. */
#define CONFIG_NODE_KEYS(STRING)                                                                   \
    STRING(peer, NULL)                                                                             \
    STRING(client, NULL)                                                                           \
    STRING(peer_listen, "")                                                                        \
    STRING(client_listen, "")

#define CONFIG_TLS_KEYS(STRING, SWITCH)                                                            \
    STRING(ca, NULL)                                                                               \
    STRING(cert, NULL)                                                                             \
    STRING(key, NULL)                                                                              \
    SWITCH(clients, false)

#define CONFIG_RAFT_KEYS(NUMBER)                                                                   \
    NUMBER(heartbeat_ms, RAFT_HEARTBEAT_MS, 5, 10000)                                              \
    NUMBER(election_timeout_ms, RAFT_ELECTION_TIMEOUT_MS, 50, 600000)                              \
    NUMBER(snapshot_mb, RAFT_SNAPSHOT_BYTES / MEBIBYTE, 1, 1024)                                   \
    NUMBER(snapshot_trailing, RAFT_SNAPSHOT_TRAILING, 1, 1048576)                                  \
    NUMBER(copy_hold_mb, RAFT_COPY_HOLD_BYTES / MEBIBYTE, 64, 65536)

enum { MEBIBYTE = 1024 * 1024 };

enum config_section { SECTION_TOP, SECTION_NODE, SECTION_TLS, SECTION_RAFT, SECTION_COUNT };
enum config_kind { KIND_STRING, KIND_NUMBER, KIND_SWITCH, KIND_LIST };

struct config_key {
    enum config_section section;
    enum config_kind kind;
    const char *name;
    bool required;
    uint32_t min, max; /* numbers only */
};

/* One "key = value" of the file; texts are borrowed from it. */
struct config_item {
    const struct config_key *key;
    uint32_t title; /* of the node section it stands in; else 0 */
    uint32_t line;
    struct text value; /* as written: with its quotes, a list with its braces */
};

/* One section of the file. */
struct config_place {
    enum config_section section;
    uint32_t title; /* nodes only */
    uint32_t line;
};

enum {
    CONFIG_PLACES_MAX = NODES_MAX + 2,
    CONFIG_ITEMS_MAX = 4 * NODES_MAX + 32 /* every key of every section once, and some */
};

struct config_scan {
    struct config_item items[CONFIG_ITEMS_MAX];
    uint32_t items_count;
    struct config_place places[CONFIG_PLACES_MAX];
    uint32_t places_count;
    uint32_t lines_count;
};

/*
 * Checks the grammar, that keys are known, of their kind, within their bounds, given once, and that
 * the required ones are there. STATUS_INVALID: `error` says file, line and value.
 */
enum status MUST_CHECK config_scan(struct config_scan *scan, struct text text, const char *path,
                                   char *error, size_t error_size);

/* Where a key was given; NULL where its default stands. */
const struct config_item *config_scan_find(const struct config_scan *scan,
                                           enum config_section section, uint32_t title,
                                           const char *name);

#endif
