/*
 * A gateway worker: one thread with a loop, a listener on the client port (SO_REUSEPORT) and the
 * sessions that it accepted. Other threads reach it only through worker_answer, worker_drain and
 * worker_stop.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "base/queue.h"
#include "base/tls.h"
#include "gateway/gateway.h"
#include "gateway/message.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

/* How long sessions may take for what; base/limits.h says why. Tests use shorter ones. */
struct session_times {
    uint32_t open_ms; /* TLS handshake; an HTTP head from its first byte */
    uint32_t body_ms; /* an HTTP body */
    uint32_t idle_ms; /* an HTTP connection without a request */
    uint32_t ping_ms;
    uint32_t dead_ms;
    uint32_t stall_ms;
    uint32_t close_ms; /* from our close frame to the end */
    uint32_t sweep_ms; /* how often the above are looked at */
};

extern const struct session_times session_times_default;

/* One request's slot: the call on its way through the node, and what its reply needs. */
struct exchange;

struct session;

struct gateway_worker {
    const struct gateway_options *options; /* borrowed */
    const struct session_times *times;
    struct tls_context *tls; /* borrowed; NULL: plain */
    const char *page_policy; /* Content-Security-Policy of the page; borrowed */
    uint32_t sessions_max;
    uint64_t input_bytes_max;
    uint64_t unsent_bytes_max;
    int listener_fd; /* bound; the loop takes it over; -1 afterwards */
    pthread_t thread;
    bool thread_started;
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_async_t wake;
    uv_timer_t sweep;
    struct queue answers;       /* struct call */
    _Atomic uint32_t calls;     /* submitted, and their answer not yet taken by this thread */
    _Atomic uint32_t answering; /* threads inside worker_answer */
    _Atomic bool draining;
    _Atomic bool stopping;
    /* of the worker's thread only */
    bool listening;
    bool ending;
    bool overloaded; /* a request was refused for the node in this turn */
    uint64_t now_ms; /* monotonic, as of the callback that runs */
    struct list sessions;
    uint32_t sessions_count;
    uint32_t refused_count;     /* of them: one too many, on their way out */
    struct list unflushed;      /* sessions with output, flushed when the callback ends */
    struct list scanning;       /* sessions whose next scan waits for another turn */
    uint64_t scanned_ns;        /* spent on scans in this turn */
    uint64_t input_bytes;       /* held in unfinished messages of all sessions */
    struct list unfinished;     /* sessions that hold much of them, the longest first */
    uint64_t refused_logged_ms; /* when a refused connection was last logged */
    struct message_reader *reader;
    struct buffer reply; /* one JSON reply at a time */
};

/*
 * Prepares a worker; fd is a bound socket, which it owns from now on. STATUS_NETWORK,
 * STATUS_NO_MEMORY.
 */
enum status MUST_CHECK worker_open(struct gateway_worker *worker,
                                   const struct gateway_options *options, struct tls_context *tls,
                                   const char *page_policy, int fd);
/* Starts the thread, which accepts from now on. */
enum status MUST_CHECK worker_start(struct gateway_worker *worker);
/* Gives a call back. Any thread. */
void worker_answer(struct gateway_worker *worker, struct call *call);
/* Accept nothing new, refuse new requests. Any thread. */
void worker_drain(struct gateway_worker *worker);
/* Closes all sessions (1001) and ends the thread; returns at once. Any thread. */
void worker_stop(struct gateway_worker *worker);
/* Waits for the thread after worker_stop and frees everything; also after a failed start. */
void worker_close(struct gateway_worker *worker);

/* A session's next scan is for another turn of the loop, after input and output of the others. */
void worker_scan_later(struct gateway_worker *worker, struct session *session);

/* Flushes the sessions that have output (worker thread; at the end of each callback). */
void worker_flush(struct gateway_worker *worker);
/* Reads the clock into now_ms (at the start of each callback). */
void worker_tick(struct gateway_worker *worker);

#endif
