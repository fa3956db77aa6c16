/*
 * One client connection of a worker. It begins with HTTP and may become a WebSocket:
 *
 *     opening --TLS done--> http --upgrade--> websocket
 *        |                   |                   |
 *        +-------------------+------> closing <--+      then closed, and gone
 *
 * Nothing here blocks. Requests of a WebSocket are answered in any order, requests of HTTP one
 * after the other. When the other side reads too slowly, its requests are no longer read.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include "base/stream.h"
#include "gateway/websocket.h"
#include "gateway/worker.h"

enum session_state {
    SESSION_OPENING,
    SESSION_HTTP,
    SESSION_WEBSOCKET,
    SESSION_CLOSING,
    SESSION_CLOSED,
    SESSION_STATE_COUNT
};

struct session {
    struct list node;       /* in the worker's sessions */
    struct list unflushed;  /* in the worker's unflushed */
    struct list unfinished; /* in the worker's unfinished */
    struct list scanning;   /* in the worker's scanning */
    struct gateway_worker *worker;
    struct stream *stream;
    enum session_state state;
    struct http *http;
    struct websocket *websocket;
    struct buffer input;    /* read from the stream while requests are not taken */
    struct buffer output;   /* for the stream, when the callback ends */
    size_t held_bytes;      /* this session's part of worker->input_bytes */
    bool refused;           /* one too many: gets 503 */
    bool shed;              /* ended since too much was being received */
    bool paused;            /* the stream is */
    bool served;            /* an HTTP request was answered */
    bool http_busy;         /* a request is being answered */
    bool http_answered;     /* its response is in the output; its memory may go */
    bool websocket_ended;   /* nothing more can be read from it */
    bool close_after_flush; /* nothing but the output is left */
    /* requests without an answer: the window */
    struct list exchanges;
    struct list answered; /* calls whose replies wait until the write queue is short */
    uint32_t requests_count;
    uint64_t requests_bytes;
    /* times, of worker->now_ms */
    uint64_t state_ms;    /* when the state began */
    uint64_t message_ms;  /* HTTP: when the request being read began, or the last one ended */
    uint64_t received_ms; /* when bytes last came */
    uint64_t pinged_ms;
    uint64_t progress_ms;   /* when the other side last took bytes, or had none to take */
    uint64_t waiting_bytes; /* of answers and of replies to an array that is not complete */
    uint64_t written_bytes;
    int64_t taken_bytes;
};

/* Takes the next connection of the listener. On failure there is nothing to clean up. */
enum status MUST_CHECK session_accept(struct gateway_worker *worker, struct session **session);

/* The session's regular look at its times: pings, stalls, timeouts. */
void session_sweep(struct session *session);
/*
 * After all sessions were swept: where they hold too much together for clients to read, those are
 * cut that took nothing for a whole sweep, without waiting for stall_ms.
 */
void session_sweep_unsent(struct gateway_worker *worker);
/* Closes with a WebSocket code and reason (whatever the state; plain HTTP is just ended). */
void session_end(struct session *session, uint16_t code, const char *reason);
/* Ends without ceremony. */
void session_cut(struct session *session, enum status why);

/* Hands output to the stream. */
void session_flush(struct session *session);
/* Goes on with what had to wait: replies first, then requests. */
void session_pump(struct session *session);
/*
 * Counts what the session holds of messages that are not complete. Where all sessions of the worker
 * hold too much together, those that have been at it for longest are ended.
 */
void session_hold(struct session *session);
/* True while so much is unsent that nothing more is to be produced. */
bool session_write_full(const struct session *session);

/* True where no further reply will be sent. */
bool session_ending(const struct session *session);
/* Sends one JSON message: a text frame, or an HTTP answer (empty: 204). */
void session_reply(struct session *session, struct text json);
/* Sends an HTTP response to the present request; content is not copied. */
void session_respond(struct session *session, struct http_response *response);

/* The same, also to a request that could not be read; the connection ends after it. */
void session_respond_last(struct session *session, struct http_response *response);

/* Answers a request that breaks HTTP with a sentence, and counts it. */
void session_refuse(struct session *session, uint16_t status, const char *text);

/* Notes that there is output (or something else to do) when the callback ends. */
void session_dirty(struct session *session);
/* Sends what is in the output, then ends: both sides are done. */
void session_finish(struct session *session);

#endif
