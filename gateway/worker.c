/*
 * A worker's thread: connections are accepted, sessions served, and answers taken from the queue
 * whenever `wake` fires. One timer looks at the times of all sessions.
 *
 * The end: draining closes the listener and refuses new requests; stopping closes every session
 * (1001) and gives it a moment to go; the loop ends when the last one is gone.
 */
#include "gateway/worker.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "gateway/exchange.h"
#include "gateway/session.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    LISTEN_BACKLOG = 1024,
    REFUSED_LOG_MS = 1000,
    ENDING_CLOSE_MS = 500, /* clients get so long for their half of the closing handshake */
    ENDING_SWEEP_MS = 50
};

const struct session_times session_times_default = {
    .open_ms = SESSION_OPEN_MS,
    .body_ms = SESSION_BODY_MS,
    .idle_ms = SESSION_IDLE_MS,
    .ping_ms = SESSION_PING_MS,
    .dead_ms = SESSION_DEAD_MS,
    .stall_ms = SESSION_STALL_MS,
    .close_ms = SESSION_CLOSE_MS,
    .sweep_ms = SESSION_SWEEP_MS,
};

static const struct session_times session_times_ending = {
    .open_ms = ENDING_CLOSE_MS,
    .body_ms = ENDING_CLOSE_MS,
    .idle_ms = ENDING_CLOSE_MS,
    .ping_ms = SESSION_PING_MS,
    .dead_ms = SESSION_DEAD_MS,
    .stall_ms = ENDING_CLOSE_MS,
    .close_ms = ENDING_CLOSE_MS,
    .sweep_ms = ENDING_SWEEP_MS,
};

void worker_tick(struct gateway_worker *worker)
{
    worker->now_ms = clock_monotonic_ms(worker->options->clock);
}

void worker_flush(struct gateway_worker *worker)
{
    struct list *node;
    while ((node = list_pop(&worker->unflushed)) != NULL) {
        session_flush(CONTAINER_OF(node, struct session, unflushed));
    }
    if (worker->reply.capacity > WORKER_REPLY_BYTES_KEPT) {
        buffer_deinit(&worker->reply);
        buffer_init(&worker->reply, SESSION_WRITE_BYTES_MAX);
    }
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void refused_log(struct gateway_worker *worker, const char *why)
{
    if (worker->refused_logged_ms == 0 ||
        worker->now_ms - worker->refused_logged_ms >= REFUSED_LOG_MS) {
        worker->refused_logged_ms = worker->now_ms;
        log_warn("gateway", "a connection was refused reason=\"%s\" sessions=%u", why,
                 (unsigned)worker->sessions_count);
    }
}

static void on_connection(uv_stream_t *listener, int result)
{
    struct gateway_worker *worker = listener->data;
    worker_tick(worker);
    if (result != 0) {
        refused_log(worker, uv_strerror(result));
        return;
    }
    const bool cut = worker->refused_count >= SESSIONS_REFUSED_MAX;
    struct session *session = NULL;
    const enum status status = session_accept(worker, &session);
    if (status != STATUS_OK) {
        refused_log(worker, status_text(status));
    } else if (cut) {
        refused_log(worker, "too many connections");
        session_cut(session, STATUS_LIMIT);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct gateway_worker *worker = timer->data;
    worker_tick(worker);
    LIST_FOREACH(node, &worker->sessions)
    {
        session_sweep(CONTAINER_OF(node, struct session, node));
    }
    session_sweep_unsent(worker);
    worker_flush(worker);
}

static void listener_close(struct gateway_worker *worker)
{
    if (worker->listening) {
        worker->listening = false;
        uv_close((uv_handle_t *)&worker->listener, NULL);
    }
}

static void sweep_start(struct gateway_worker *worker, uint32_t period_ms)
{
    const int result = uv_timer_start(&worker->sweep, on_sweep, period_ms, period_ms);
    assert(result == 0);
}

/* All sessions are told to go; the sweep cuts those that do not. */
static void worker_end(struct gateway_worker *worker)
{
    assert(!worker->ending);
    worker->ending = true;
    worker->times = &session_times_ending;
    listener_close(worker);
    LIST_FOREACH(node, &worker->sessions)
    {
        session_end(CONTAINER_OF(node, struct session, node), WEBSOCKET_GOING_AWAY,
                    "the node is stopping");
    }
    sweep_start(worker, ENDING_SWEEP_MS);
}

/* Sessions whose scans were put off go on, one after the other: a long array delays only itself. */
static void scans_resume(struct gateway_worker *worker)
{
    struct list waiting;
    list_init(&waiting);
    list_move_all(&waiting, &worker->scanning);
    worker->scanned_ns = 0;
    for (struct list *node; (node = list_pop(&waiting)) != NULL;) {
        session_pump(CONTAINER_OF(node, struct session, scanning));
    }
}

static void on_wake(uv_async_t *wake)
{
    struct gateway_worker *worker = wake->data;
    struct list answers;
    worker_tick(worker);
    scans_resume(worker);
    list_init(&answers);
    const uint32_t count = queue_pop_all(&worker->answers, &answers);
    for (struct list *node; (node = list_pop(&answers)) != NULL;) {
        exchange_answer(CONTAINER_OF(node, struct call, node));
    }
    assert(atomic_load(&worker->calls) >= count);
    if (atomic_load(&worker->draining)) {
        listener_close(worker);
    }
    if (atomic_load(&worker->stopping) && !worker->ending) {
        worker_end(worker);
    }
    worker_flush(worker);
    /* Only now: who waits for the last answer may count on its bytes being on their way. */
    atomic_fetch_sub(&worker->calls, count);
}

/* True when nothing is left but the worker's own handles. */
static bool worker_ended(const struct gateway_worker *worker)
{
    return worker->ending && worker->sessions_count == 0 && atomic_load(&worker->calls) == 0;
}

/*
 * After a turn in which the node had no room, the sockets are left alone for a moment: what comes
 * meanwhile is read and refused in a few large pieces, and those who work on what was taken have
 * the processors.
 */
static void worker_rest(struct gateway_worker *worker)
{
    if (!worker->overloaded || worker->ending) {
        return;
    }
    worker->overloaded = false;
    const struct timespec rest = {.tv_nsec = WORKER_REST_MS * 1000000};
    (void)nanosleep(&rest, NULL);
}

static void *worker_run(void *data)
{
    struct gateway_worker *worker = data;
    while (!worker_ended(worker)) {
        (void)uv_run(&worker->loop, UV_RUN_ONCE);
        worker_rest(worker);
    }
    uv_close((uv_handle_t *)&worker->sweep, NULL);
    (void)uv_run(&worker->loop, UV_RUN_NOWAIT);
    return NULL;
}

/* ---- from outside -------------------------------------------------------------------------- */

static void worker_wake(void *data)
{
    struct gateway_worker *worker = data;
    const int result = uv_async_send(&worker->wake);
    assert(result == 0);
}

void worker_scan_later(struct gateway_worker *worker, struct session *session)
{
    if (!list_empty(&session->scanning)) {
        return;
    }
    list_push(&worker->scanning, &session->scanning);
    metric_add(worker->options->metrics, METRIC_SCANS_PUT_OFF, 1);
    worker_wake(worker);
}

void worker_answer(struct gateway_worker *worker, struct call *call)
{
    assert(call->worker == worker);
    /* The queue wakes after it has unlocked: until then the worker must not be freed, although it
     * may have taken the call already. */
    atomic_fetch_add(&worker->answering, 1);
    queue_push_always(&worker->answers, &call->node, call->answer.size);
    atomic_fetch_sub(&worker->answering, 1);
}

void worker_drain(struct gateway_worker *worker)
{
    atomic_store(&worker->draining, true);
    worker_wake(worker);
}

void worker_stop(struct gateway_worker *worker)
{
    atomic_store(&worker->draining, true);
    atomic_store(&worker->stopping, true);
    worker_wake(worker);
}

static enum status worker_listen(struct gateway_worker *worker)
{
    int result = uv_tcp_init(&worker->loop, &worker->listener);
    assert(result == 0); /* without a socket it can't fail */
    worker->listening = true;
    worker->listener.data = worker;
    result = uv_tcp_open(&worker->listener, worker->listener_fd);
    if (result != 0) {
        return STATUS_NETWORK;
    }
    worker->listener_fd = -1;
    result = uv_listen((uv_stream_t *)&worker->listener, LISTEN_BACKLOG, on_connection);
    return result == 0 ? STATUS_OK : STATUS_NETWORK;
}

static enum status handles_open(struct gateway_worker *worker)
{
    if (uv_async_init(&worker->loop, &worker->wake, on_wake) != 0) {
        return STATUS_NETWORK;
    }
    worker->wake.data = worker;
    const int result = uv_timer_init(&worker->loop, &worker->sweep);
    assert(result == 0);
    worker->sweep.data = worker;
    return STATUS_OK;
}

enum status worker_open(struct gateway_worker *worker, const struct gateway_options *options,
                        struct tls_context *tls, const char *page_policy, int fd)
{
    assert(fd >= 0 && options->clock != NULL && options->metrics != NULL);
    *worker = (struct gateway_worker){
        .options = options,
        .times = &session_times_default,
        .tls = tls,
        .page_policy = page_policy,
        .sessions_max = SESSIONS_PER_WORKER_MAX,
        .input_bytes_max = WORKER_INPUT_BYTES_MAX,
        .unsent_bytes_max = WORKER_UNSENT_BYTES_MAX,
        .listener_fd = fd,
    };
    list_init(&worker->sessions);
    list_init(&worker->unflushed);
    list_init(&worker->unfinished);
    list_init(&worker->scanning);
    buffer_init(&worker->reply, SESSION_WRITE_BYTES_MAX);
    worker_tick(worker);
    enum status status = message_reader_open(&worker->reader, MESSAGE_BYTES_MAX);
    if (status != STATUS_OK) {
        goto fail_reader;
    }
    status = queue_init(&worker->answers, UINT32_MAX, worker_wake, worker);
    if (status != STATUS_OK) {
        goto fail_queue;
    }
    if (uv_loop_init(&worker->loop) != 0) {
        status = STATUS_NETWORK;
        goto fail_loop;
    }
    status = handles_open(worker);
    if (status != STATUS_OK) {
        goto fail_handles;
    }
    return STATUS_OK;

fail_handles:
    (void)uv_loop_close(&worker->loop);
fail_loop:
    queue_deinit(&worker->answers);
fail_queue:
    message_reader_close(worker->reader);
fail_reader:
    (void)close(fd);
    return status;
}

enum status worker_start(struct gateway_worker *worker)
{
    assert(!worker->thread_started);
    const enum status status = worker_listen(worker);
    if (status != STATUS_OK) {
        return status;
    }
    sweep_start(worker, worker->times->sweep_ms);
    if (pthread_create(&worker->thread, NULL, worker_run, worker) != 0) {
        return STATUS_NO_MEMORY;
    }
    worker->thread_started = true;
    return STATUS_OK;
}

void worker_close(struct gateway_worker *worker)
{
    if (worker->thread_started) {
        assert(atomic_load(&worker->stopping));
        const int result = pthread_join(worker->thread, NULL);
        assert(result == 0);
    } else {
        listener_close(worker);
        uv_close((uv_handle_t *)&worker->sweep, NULL);
    }
    while (atomic_load(&worker->answering) > 0) {
        (void)sched_yield(); /* a thread is between its push and its wake: a few instructions */
    }
    uv_close((uv_handle_t *)&worker->wake, NULL);
    (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
    const int result = uv_loop_close(&worker->loop);
    assert(result == 0);
    assert(worker->sessions_count == 0 && worker->refused_count == 0);
    assert(worker->input_bytes == 0);
    if (worker->listener_fd >= 0) {
        (void)close(worker->listener_fd);
    }
    queue_deinit(&worker->answers);
    message_reader_close(worker->reader);
    buffer_deinit(&worker->reply);
}
