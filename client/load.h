/*
 * Many requests at once: several connections, each with several requests in flight, on one loop. A
 * broken connection goes on at the next node; what was in flight on it is counted as lost.
 */
#ifndef CLIENT_LOAD_H
#define CLIENT_LOAD_H

#include "client/call.h"

struct load_options {
    const struct client_options *client;
    uint32_t connections;
    uint32_t in_flight;   /* requests of one connection */
    uint64_t duration_ms; /* then no new request is made; 0: until `write` says no */
    /* Appends the params of the next request, names its method, and gives it a number of its own,
     * by which `reply` tells it; false: no more. */
    bool (*write)(void *data, struct buffer *params, const char **method, uint64_t *number);
    /* A reply; latency from the sending of its request. */
    void (*reply)(void *data, uint64_t number, const struct reply *reply, uint64_t latency_us);
    /* A request whose connection broke, or that was not answered in time. */
    void (*lost)(void *data);
    void *data;
};

/*
 * Runs it to its end. STATUS_TIMEOUT: requests were left without an answer; STATUS_NETWORK: no
 * connection could be made at all; `error` then says why.
 */
enum status MUST_CHECK load_run(const struct load_options *options, char *error, size_t error_size);

#endif
