/*
 * What an HTTP request is for: /v1, /metrics, /livez, /readyz, the page.
 */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "gateway/session.h"

enum route_action {
    ROUTE_ANSWERED, /* a response was given (session_respond) */
    ROUTE_UPGRADE,  /* the connection becomes a WebSocket */
    ROUTE_MESSAGE   /* the body is a message (exchange_begin) */
};

enum route_action route(struct session *session, const struct http_message *request);

enum { ROUTE_POLICY_BYTES = 1024 };

/*
 * The Content-Security-Policy of a page: only the scripts and styles that stand in it, known by
 * their SHA-256, and connections to where it came from. False where it does not fit.
 */
bool route_page_policy(struct text page, char policy[ROUTE_POLICY_BYTES]);

#endif
