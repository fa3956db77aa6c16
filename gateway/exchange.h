/*
 * One message of a client and its replies: requests become calls for the node, answers become JSON.
 * An array of requests is answered by one array when all its requests are.
 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "gateway/session.h"

/* Reads a message and answers it, now or when the node does. */
void exchange_begin(struct session *session, struct text message);

/* An answered call comes back (worker thread). Its session may be gone. */
void exchange_answer(struct call *call);

/* Renders answers that waited, as long as there is room. */
void exchange_pump(struct session *session);

/* The session goes: answers to come are dropped. */
void exchange_abandon(struct session *session);

#endif
