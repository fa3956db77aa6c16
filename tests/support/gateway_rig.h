/*
 * A gateway worker with a node that is only pretended, and clients on real loopback sockets. The
 * pretended node answers from a thread of its own; a test decides when and in which order.
 */
#ifndef TESTS_SUPPORT_GATEWAY_RIG_H
#define TESTS_SUPPORT_GATEWAY_RIG_H

#include "base/queue.h"
#include "gateway/route.h"
#include "gateway/websocket.h"
#include "gateway/worker.h"

/* ---- the node ------------------------------------------------------------------------------ */

enum fake_order { FAKE_IN_ORDER, FAKE_REVERSED };

/*
 * Payments are posted with one balance row for each account; what is opened or created exists with
 * other fields; an account or payment is not found; ledger.totals gives `currencies` rows. Nothing
 * is remembered.
 */
struct fake_node {
    struct queue calls;
    pthread_t thread;
    _Atomic uint32_t submitted;
    _Atomic uint32_t answered;
    _Atomic uint32_t hold; /* answer nothing before so many calls wait */
    _Atomic bool busy;     /* what the backend says */
    _Atomic int refuse;    /* enum status for submit; STATUS_OK: take the call */
    _Atomic int code;      /* enum code for every answer */
    _Atomic int refusal;   /* enum code of every payment's outcome; CODE_OK: it is posted */
    _Atomic bool ready;
    _Atomic bool closing;
    _Atomic uint32_t currencies;
    _Atomic uint32_t debits; /* of each currency, posted */
    _Atomic uint32_t credits;
    _Atomic bool opens;           /* accounts and currencies are made as asked */
    _Atomic uint32_t opened;      /* so many */
    _Atomic bool finds;           /* accounts and payments are there */
    const char *_Atomic currency; /* of the rows of ledger.totals */
    enum fake_order order;        /* set before the first call */
};

void fake_node_open(struct fake_node *node);
/* Answers what is left. */
void fake_node_close(struct fake_node *node);
struct gateway_backend fake_node_backend(struct fake_node *node);

/* ---- the worker ---------------------------------------------------------------------------- */

struct rig {
    struct fake_node node;
    struct metrics metrics;
    struct gateway_options options;
    struct session_times times;
    uint32_t sessions_max;
    uint64_t input_bytes_max;
    uint64_t unsent_bytes_max;
    char page_policy[ROUTE_POLICY_BYTES];
    struct gateway_worker worker;
    uint16_t port;
    struct tls_context *server_tls; /* NULL: plain */
    struct tls_context *client_tls;
};

/*
 * Fills in what most tests want; they may change options, times and node before rig_start. Not on
 * the stack, so that the threads of a test that failed find it still there.
 */
struct rig *rig_open(void);
/* TLS with certificates in this directory (made there). */
void rig_use_tls(struct rig *rig, const char *dir);
void rig_start(struct rig *rig);
/* Ends the worker and the node, and frees the rig. */
void rig_close(struct rig *rig);

/* ---- a client ------------------------------------------------------------------------------ */

/* One connection, blocking, with a time limit on everything. */
struct peer {
    int fd;
    struct tls *tls;
    struct websocket *websocket;
    struct buffer input; /* plaintext not yet used */
    struct buffer text;  /* the last message or response, terminated */
    bool ended;          /* the other side's end was read */
};

void peer_open(struct peer *peer, uint16_t port, struct tls_context *tls);
void peer_close(struct peer *peer);
void peer_send(struct peer *peer, const void *data, size_t size);
void peer_send_text(struct peer *peer, const char *text);
/* Reads at least one byte into input; false at the end, or after timeout_ms. */
bool peer_receive(struct peer *peer, uint32_t timeout_ms);
/* True when the other side ends the connection within timeout_ms. */
bool peer_sees_end(struct peer *peer, uint32_t timeout_ms);

/* Reads one HTTP response, whole: head and body in ->text. Returns its status; 0: there was none.
 */
uint16_t peer_response(struct peer *peer, bool head_only);
/* Sends a request and returns the status of the response. */
uint16_t peer_request(struct peer *peer, const char *request);

/* Opens a connection and upgrades it. */
void peer_open_websocket(struct peer *peer, uint16_t port, struct tls_context *tls);
void peer_message(struct peer *peer, const char *text);
/* The next message in ->text; false where the connection closed (peer_close_code) or nothing came.
 */
bool peer_reply(struct peer *peer, uint32_t timeout_ms);
/* Reads on until the other side's close frame; its code, or WEBSOCKET_BROKEN. */
uint16_t peer_close_code(struct peer *peer, uint32_t timeout_ms);

/* Waits until the value is reached; fails the test after ten seconds. */
void wait_for_count(const _Atomic uint32_t *value, uint32_t wanted);
void wait_for_metric(const struct metrics *metrics, enum metric metric, uint64_t wanted);
uint64_t test_now_ms(void);
void test_sleep_ms(uint32_t ms);

#endif
