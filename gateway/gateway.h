/*
 * The door to the clients: listens on the client port with several worker threads, speaks HTTP and
 * WebSocket, turns JSON-RPC requests into calls for the node and their answers back into JSON.
 * It knows nothing of raft; calls go up through struct gateway_backend.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/address.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/metrics.h"
#include "ledger/ledger.h"

struct gateway;
struct gateway_worker;

enum call_kind {
    CALL_EXECUTE, /* `request` to the leader; the answer is outcome forms */
    CALL_READ,    /* a point query; the answer is an answer form */
    CALL_SCAN     /* answered (without bytes) once the committed state may be scanned */
};

/* How fresh a read must be. */
enum read_mode { READ_LINEARIZABLE, READ_MIN_SEQ, READ_STALE };

/*
 * One request on its way through the node. The worker makes it and owns its memory; between
 * submit() and gateway_answer() it belongs to the node. Exactly one gateway_answer() follows each
 * successful submit().
 */
struct call {
    struct list node;              /* for whoever holds it */
    struct gateway_worker *worker; /* who gets the answer */
    enum call_kind kind;
    uint64_t deadline_ns; /* monotonic */
    /* the question */
    struct buffer request; /* CALL_EXECUTE: request form */
    struct query query;    /* CALL_READ, CALL_SCAN */
    enum read_mode read_mode;
    uint64_t min_seq;
    /* the answer */
    enum code code;     /* CODE_OK, or why the whole call failed */
    uint64_t seq, term; /* CALL_EXECUTE: of the state after it */
    int64_t time_ns;
    uint32_t outcomes_count;
    struct buffer answer;
    uint32_t retry_after_ms;
    /* private to the worker */
    void *owner;
    struct list owned;
};

/* One node as cluster.status shows it. */
struct cluster_node {
    uint32_t id;
    const char *role; /* "leader", "follower", "candidate", "unknown" */
    uint64_t term;
    uint64_t seq;
    uint64_t index;
    struct digest digest;
    bool reachable;                          /* heard of within PEER_SILENT_MS (itself: always) */
    int64_t clock_offset_ns;                 /* against this node's clock; 0 for itself */
    char client_address[ADDRESS_TEXT_BYTES]; /* "127.0.0.1:2346" */
    uint64_t counters[METRIC_COUNT];
};

struct cluster_status {
    char cluster[CLUSTER_NAME_BYTES_MAX + 1];
    struct digest cluster_id;
    uint32_t node;   /* the asked one */
    uint32_t leader; /* 0: none known */
    uint64_t term;   /* of that leader */
    bool ready;      /* may serve: a leader is known, the ledger is not far behind */
    char ready_reason[96];
    uint32_t nodes_count;
    struct cluster_node nodes[NODES_MAX];
};

struct gateway_backend {
    void *data;
    /*
     * Takes a call (any worker thread). STATUS_FULL: overloaded, STATUS_CLOSED: shutting down; the
     * caller keeps the call then.
     */
    enum status (*submit)(void *data, struct call *call);
    /* True while calls to execute something would be refused as overloaded. Any worker thread. May
     * be NULL. */
    bool (*busy)(void *data);
    /* A copy of the newest status. Any thread. */
    void (*status)(void *data, struct cluster_status *status);
    /* The ledger's file is damaged, a scan found; does not return. Any worker thread. May be NULL.
     */
    void (*damaged)(void *data, const char *what);
};

struct gateway_options {
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    uint32_t workers;
    bool tls; /* serve wss:// and https:// */
    const char *tls_cert_path, *tls_key_path;
    const char *const *origins; /* further allowed Origin values, besides the same host */
    uint32_t origins_count;
    uint32_t session_requests_max; /* at most SESSION_REQUESTS_MAX */
    uint32_t request_timeout_ms;
    struct ledger *ledger; /* for scans only */
    struct metrics *metrics;
    struct gateway_backend backend;
    const struct clock *clock;
};

/* Binds, starts the workers. `error` gets a sentence (STATUS_NETWORK, STATUS_TLS,
 * STATUS_NO_MEMORY). */
enum status MUST_CHECK gateway_open(struct gateway **gateway, const struct gateway_options *options,
                                    char *error, size_t error_size);

/* Gives a call back to its worker with its answer. Any thread. */
void gateway_answer(struct call *call);

/*
 * Stops accepting and refuses new requests (shutting_down); sessions stay until their answers are
 * out. Any thread, returns at once.
 */
void gateway_drain(struct gateway *gateway);

/* Unanswered calls of all workers. Any thread. */
uint32_t gateway_calls(const struct gateway *gateway);

/* The port that clients reach: options.port, or the one that the kernel chose for port 0. */
uint16_t gateway_port(const struct gateway *gateway);

/* Closes all sessions (1001), ends the workers, frees everything. Every call must be answered. */
void gateway_close(struct gateway *gateway);

#endif
