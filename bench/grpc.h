/*
 * Unary gRPC calls over plain HTTP/2 to one address: the door to nghttp2. One thread; a few
 * connections, over which the calls are spread.
 */
#ifndef BENCH_GRPC_H
#define BENCH_GRPC_H

#include "base/bytes.h"

enum { GRPC_CONNECTIONS_MAX = 64 };

struct grpc;

/* One call. The owner keeps it until `done`; it may be used again then. */
struct grpc_call {
    const char *path;       /* "/package.Service/Method" */
    struct buffer request;  /* the message; the owner's */
    struct buffer response; /* the answer's message */
    /* ok: the server answered with status 0, and `response` holds its message. */
    void (*done)(struct grpc_call *call, bool ok);
    /* inside */
    struct grpc_connection *connection;
    size_t sent;
    size_t received; /* with the prefix */
    uint8_t prefix[5];
    bool failed;
    bool status_seen;
};

/* Connects to 127.0.0.1. STATUS_NETWORK where it can not. */
enum status MUST_CHECK grpc_open(struct grpc **grpc, uint16_t port, uint32_t connections);
void grpc_close(struct grpc *grpc);

/* Begins a call on the connection with number `slot` modulo their count. */
enum status MUST_CHECK grpc_call(struct grpc *grpc, uint32_t slot, struct grpc_call *call);

/* Sends, waits up to timeout_ms for answers, delivers them. STATUS_NETWORK: a connection broke. */
enum status MUST_CHECK grpc_turn(struct grpc *grpc, int timeout_ms);

#endif
