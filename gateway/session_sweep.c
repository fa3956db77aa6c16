/*
 * What time does to a session: pings, stalled readers, timeouts. Looked at for all sessions of a
 * worker by one timer, since a timer for each of ten thousand idle clients would cost more than
 * they do.
 */
#include "gateway/session.h"

#include "base/check.h"

static bool session_stalled(struct session *session)
{
    const uint64_t now_ms = session->worker->now_ms;
    const size_t queued = stream_write_bytes(session->stream);
    const int64_t taken = (int64_t)session->written_bytes - (int64_t)queued;
    if (queued == 0 || taken > session->taken_bytes) {
        session->progress_ms = now_ms;
    }
    session->taken_bytes = taken; /* TLS adds to what is queued, so that it can also fall */
    return now_ms - session->progress_ms >= session->worker->times->stall_ms;
}

static void http_sweep(struct session *session)
{
    const struct session_times *times = session->worker->times;
    const uint64_t age_ms = session->worker->now_ms - session->message_ms;
    if (session->http_busy) {
        return; /* the node answers every call */
    }
    if (session->http_answered || http_idle(session->http)) {
        if (age_ms >= (session->served ? times->idle_ms : times->open_ms)) {
            session_finish(session);
        }
        return;
    }
    if (age_ms >= (http_in_body(session->http) ? times->body_ms : times->open_ms)) {
        session_refuse(session, 408, "the request took too long\n");
    }
}

static void websocket_sweep(struct session *session)
{
    const struct session_times *times = session->worker->times;
    const uint64_t now_ms = session->worker->now_ms;
    if (session->paused) {
        return; /* its bytes wait for us */
    }
    if (now_ms - session->received_ms >= times->dead_ms) {
        session_end(session, WEBSOCKET_POLICY, "no pong came");
        return;
    }
    if (now_ms - session->received_ms >= times->ping_ms &&
        now_ms - session->pinged_ms >= times->ping_ms) {
        session->pinged_ms = now_ms;
        websocket_write_ping(session->websocket, &session->output);
        session_dirty(session);
    }
}

void session_sweep(struct session *session)
{
    const struct session_times *times = session->worker->times;
    const uint64_t age_ms = session->worker->now_ms - session->state_ms;
    switch (session->state) {
    case SESSION_OPENING:
        if (age_ms >= times->open_ms) {
            session_cut(session, STATUS_TIMEOUT);
        }
        return;
    case SESSION_CLOSING:
        if (age_ms >= times->close_ms) {
            session_cut(session, STATUS_TIMEOUT);
        }
        return;
    case SESSION_HTTP:
    case SESSION_WEBSOCKET:
        break;
    case SESSION_CLOSED:
    case SESSION_STATE_COUNT:
        return;
    }
    if (session_stalled(session)) {
        session_end(session, WEBSOCKET_POLICY, "the reader is stalled");
    } else if (session->state == SESSION_HTTP) {
        http_sweep(session);
    } else {
        websocket_sweep(session);
    }
}

/* What is held for the client until it reads. */
static uint64_t session_unsent(const struct session *session)
{
    return session->output.size + stream_write_bytes(session->stream) + session->waiting_bytes;
}

void session_sweep_unsent(struct gateway_worker *worker)
{
    const uint64_t patience_ms = worker->times->sweep_ms + worker->times->sweep_ms / 2;
    uint64_t unsent = 0;
    LIST_FOREACH(node, &worker->sessions)
    {
        unsent += session_unsent(CONTAINER_OF(node, struct session, node));
    }
    LIST_FOREACH(node, &worker->sessions)
    {
        if (unsent <= worker->unsent_bytes_max) {
            return;
        }
        struct session *session = CONTAINER_OF(node, struct session, node);
        /* Who held nothing at the last sweep has had no whole period to read. */
        if (worker->now_ms - session->progress_ms > patience_ms) {
            unsent -= session_unsent(session);
            session_cut(session, STATUS_TIMEOUT);
        }
    }
}
