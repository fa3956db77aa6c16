/*
 * Requests to the cluster, one at a time: finds a node that answers, sends, waits, and sends the
 * same request again where that is safe: every method is idempotent, payments by their ids.
 */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include "base/address.h"
#include "gateway/message.h"

#include <stdio.h>

struct client_node {
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
};

struct client_options {
    struct client_node nodes[CLIENT_NODES_MAX];
    uint32_t nodes_count;
    bool tls;
    const char *ca_path; /* NULL with tls: the node's certificate is not verified */
    uint32_t timeout_ms; /* of one request with all its attempts */
    uint32_t refused_ms; /* the same while every node refuses the connection */
    FILE *notices;       /* told once what is tried where a request takes long; NULL: nothing */
};

struct caller;

/* Connects to nothing yet. `error` gets a sentence. */
enum status MUST_CHECK caller_open(struct caller **caller, const struct client_options *options,
                                   char *error, size_t error_size);
/* NULL is fine. */
void caller_close(struct caller *caller);

enum call_end {
    CALL_DONE,       /* reply.result is there */
    CALL_REFUSED,    /* reply.code says why; not executed, or recorded as refused */
    CALL_UNKNOWN,    /* sent, and nobody said for good what became of it */
    CALL_UNREACHABLE /* surely not executed: no node took it in time */
};

/*
 * Sends the request until it is answered or the timeout has passed. params: a JSON object as text.
 * The reply is borrowed until the next call; its `result` and `data` are NULL for CALL_UNKNOWN and
 * CALL_UNREACHABLE, and caller_reason() says what each node did. A read whose state was not reached
 * in time is CALL_REFUSED with read_timeout, after all attempts.
 */
enum call_end MUST_CHECK caller_call(struct caller *caller, const char *method, struct text params,
                                     struct reply *reply);

/* The last reply as it came; empty where there was none. Borrowed until the next call. */
struct text caller_text(const struct caller *caller);
/* "127.0.0.1:2346: connection refused; ..." of all nodes that were tried. As caller_text(). */
const char *caller_reason(struct caller *caller);
/* "127.0.0.1:2346", of the node that answered last. */
const char *caller_node(const struct caller *caller);
/* Only this node is asked from now on (index in options->nodes). */
void caller_pin(struct caller *caller, uint32_t index);

#endif
