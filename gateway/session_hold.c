/*
 * Bounds what all sessions of a worker hold of unfinished messages. Who has to go when it is too
 * much is not the one whose bytes came last: a few clients that begin large messages and never end
 * them would keep all others from sending one. The longest unfinished message goes first, and a
 * client that is quick is never the one.
 */
#include "gateway/session.h"

#include "base/check.h"
#include "base/limits.h"

/* While a request is being answered its body is still there, but it is not unfinished. */
static bool session_unfinished(const struct session *session)
{
    return !session->shed && !session->http_busy && session->held_bytes > SESSION_INPUT_BYTES_FREE;
}

static void session_count(struct session *session)
{
    struct gateway_worker *worker = session->worker;
    size_t held = session->input.capacity;
    held += session->http != NULL ? http_bytes(session->http) : 0;
    held += session->websocket != NULL ? websocket_bytes(session->websocket) : 0;
    assert(worker->input_bytes >= session->held_bytes);
    worker->input_bytes += held;
    worker->input_bytes -= session->held_bytes;
    session->held_bytes = held;
    if (!session_unfinished(session)) {
        list_remove(&session->unfinished);
    } else if (list_empty(&session->unfinished)) {
        list_push(&worker->unfinished, &session->unfinished);
    }
}

/* Ends the session and gives its memory back now: closing may take a while. */
static void session_shed(struct session *session)
{
    session->shed = true;
    session_end(session, WEBSOCKET_TRY_LATER, "too much is being received");
    if (session->state == SESSION_CLOSING) {
        websocket_forget(session->websocket);
    } else if (session->state == SESSION_HTTP) {
        http_next(session->http);
    }
    session_count(session);
    assert(list_empty(&session->unfinished));
}

void session_hold(struct session *session)
{
    struct gateway_worker *worker = session->worker;
    session_count(session);
    while (worker->input_bytes > worker->input_bytes_max && !list_empty(&worker->unfinished)) {
        session_shed(CONTAINER_OF(worker->unfinished.next, struct session, unfinished));
    }
}
