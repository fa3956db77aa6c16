/*
 * A node that is only a script: a WebSocket server that answers each request by the next letter, in
 * ways of its own that a real node never would.
 *
 *   p posted        r posted, as a replay     i posted, but another id    m the last item refused
 *   o overloaded    u unknown                 f refused for good          n never answered
 *   x refused, not recorded                   v the same for the last item
 *   g no JSON       s of an idle slot         t answered twice            c closes instead
 *   a a read's result                         e a read's error
 */
#ifndef TESTS_SUPPORT_SCRIPTED_NODE_H
#define TESTS_SUPPORT_SCRIPTED_NODE_H

#include "tests/support/listener.h"

enum { SCRIPT_REQUESTS_MAX = 64, SCRIPT_REQUEST_BYTES = 2048, SCRIPT_RETRY_AFTER_MS = 20 };

struct script {
    const char *steps;      /* behind its end: all posted */
    _Atomic uint32_t count; /* requests so far, of all connections */
    char requests[SCRIPT_REQUESTS_MAX][SCRIPT_REQUEST_BYTES];
};

/* For listener_open, whose `data` is the script. */
void script_serve(struct listener *listener, int fd);

/* A request as it came. It has come: else the test fails. */
const char *script_request(const struct script *script, uint32_t number);

#endif
