/*
 * cluster.conf, read into one plain struct: the door to libconfuse.
 *
 * The same file serves every node of the cluster; what is meant for one node (the templates with
 * "{id}") is expanded for the node that is asked for. The reader is stricter than the library:
 * repeated or unknown keys, missing ones, leading zeros, bare words and values out of bounds are
 * refused with the file, the line and the value. docs/operations.md lists the keys.
 */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"

struct config_node {
    uint32_t id;
    uint32_t line; /* of its section, for messages */
    /* Where the others reach it; a name, an IPv4 address, or an IPv6 address without brackets. */
    char peer_host[HOST_BYTES_MAX + 1];
    uint16_t peer_port;
    char client_host[HOST_BYTES_MAX + 1];
    uint16_t client_port;
    /* Where it listens: the same unless peer_listen or client_listen say otherwise (a proxy). */
    char peer_listen_host[HOST_BYTES_MAX + 1];
    uint16_t peer_listen_port;
    char client_listen_host[HOST_BYTES_MAX + 1];
    uint16_t client_listen_port;
};

/* Holds pointers into itself: never copied. About 40 KiB, so not for a small stack. */
struct config {
    char cluster[CLUSTER_NAME_BYTES_MAX + 1];
    struct config_node nodes[NODES_MAX]; /* by rising id */
    uint32_t nodes_count;                /* 1, 3 or 5 */
    uint32_t self;                       /* index in nodes of the node that was asked for */

    char data[PATH_BYTES_MAX]; /* this node's data directory; absolute or as the file's path is */
    uint64_t map_bytes;        /* LMDB's map: the ledger never grows past it */
    uint64_t disk_reserve_bytes;
    enum log_level log;

    uint32_t workers;
    uint32_t session_requests_max;
    uint32_t request_timeout_ms;
    const char *origins[ORIGINS_MAX]; /* into origin_texts */
    char origin_texts[ORIGINS_MAX][ORIGIN_BYTES_MAX + 1];
    uint32_t origins_count;
    bool insecure_open;

    char tls_ca[PATH_BYTES_MAX];
    char tls_cert[PATH_BYTES_MAX];
    char tls_key[PATH_BYTES_MAX];
    bool tls_clients; /* clients speak TLS too */

    uint32_t heartbeat_ms;
    uint32_t election_timeout_ms;
    uint64_t snapshot_bytes;
    uint32_t snapshot_trailing;
    uint64_t copy_hold_bytes; /* log that is kept while a peer fetches the state */
};

enum { CONFIG_ERROR_BYTES = 512 };

/*
 * Reads the file for node `node_id`. STATUS_IO: the file can not be read. STATUS_INVALID: it is
 * wrong, or has no such node. `error` gets one sentence ("cluster.conf:3: workers = 0: ..."), and
 * *config is then undefined.
 */
enum status MUST_CHECK config_load(struct config *config, const char *path, uint32_t node_id,
                                   char *error, size_t error_size);

/* The same from memory; `path` serves messages and relative paths only. */
enum status MUST_CHECK config_parse(struct config *config, struct text text, const char *path,
                                    uint32_t node_id, char *error, size_t error_size);

const struct config_node *config_self(const struct config *config);

#endif
