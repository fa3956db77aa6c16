#include "consensus/guard.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "consensus/internal.h"

#include <stdlib.h>
#include <string.h>

struct guard_get {
    struct raft_io_snapshot_get inner;
    struct raft_io_snapshot_get *outer;
    raft_io_snapshot_get_cb done;
    struct guard *guard;
};

struct guard_append {
    struct raft_io_append inner;
    struct raft_io_append *outer;
    raft_io_append_cb done;
    struct guard *guard;
    struct list node;
    uint32_t age_ms;
};

static struct guard *guard_of(const struct raft_io *io)
{
    return &consensus_of(io)->guard;
}

static void guard_count_error(struct guard *guard)
{
    if (guard->metrics != NULL) {
        metric_add(guard->metrics, METRIC_IO_ERRORS, 1);
    }
}

/* Stops the node if a call of raft's disk failed. */
static int guard_check(struct guard *guard, int error, const char *what)
{
    if (error != 0 && !guard->closing && !MUTANT("errors-ignored")) {
        guard_count_error(guard);
        fail_stop(EXIT_DISK, "raft", "%s failed: %s: %s", what, raft_strerror(error),
                  guard->io->errmsg);
    }
    return error;
}

/* --- what raft traces and otherwise ignores
 * ------------------------------------------------------- */

/*
 * Messages of raft 0.22 that tell of a write that failed and is retried, wrongly retried, or
 * forgotten. The unit test provokes the most important ones with the installed library.
 */
static const char *const FATAL_MESSAGES[] = {
    "retry failed write",        /* an append: the retry runs on a wild pointer */
    "retry snapshot write",      /* a manifest */
    "retry creating segment",    /* no space, or no file */
    "can't create segment",      /**/
    "prepare segment",           /* ... failed, ... ready failed, ... start failed */
    "setup writer for",          /**/
    "truncate index",            /* a truncation could not be queued */
    "start to truncate segment", /* closing a segment could not be queued */
    "truncate segment ",         /* closing or truncating one failed */
    "unlink segment",            /* a truncation did not end */
    "sync data directory",       /**/
    "snapshot creation failed",  /**/
    "snapshot.meta creation failed",
    "store snapshot",
    "write segment",
    "short write",
    "write failed",
    "conflicting terms",                             /* this log contradicts a committed entry */
    "can't submit no-op after converting to leader", /* leads without being able to */
};

bool guard_message_is_fatal(const char *message)
{
    /* Reading one back at start; "store snapshot" below means writing one. */
    static const char restoring[] = "restore snapshot";
    if (strncmp(message, restoring, sizeof(restoring) - 1) == 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(FATAL_MESSAGES); i++) {
        if (strstr(message, FATAL_MESSAGES[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Called on the loop and on threads of libuv's pool. */
static void guard_trace(struct raft_tracer *tracer, int type, const void *info)
{
    struct guard *guard = tracer->impl;
    if (type != RAFT_TRACER_DIAGNOSTIC || info == NULL) {
        return;
    }
    const struct raft_tracer_info *trace = info;
    const char *message = trace->diagnostic.message;
    if (message == NULL) {
        return;
    }
    if (!guard->closing && guard_message_is_fatal(message) && !MUTANT("errors-ignored")) {
        guard_count_error(guard);
        fail_stop(EXIT_DISK, "raft", "raft's log can not be written: %s (%s:%d)", message,
                  trace->diagnostic.file, trace->diagnostic.line);
    }
    log_debug("raft", "%s", message);
}

/* --- raft_io
 * -------------------------------------------------------------------------------------- */

/*
 * Entries that were loaded together lie in one piece of memory. raft 0.22 frees it when the last of
 * them leaves its log, even where one is still being sent, and once more when that one is sent.
 * Each gets memory of its own.
 */
static void guard_part(struct raft_entry *entries, size_t count)
{
    void *shared = NULL;
    for (size_t i = 0; i < count; i++) {
        struct raft_entry *entry = &entries[i];
        if (entry->batch != shared) {
            raft_free(shared);
            shared = entry->batch;
        }
        if (shared != NULL) {
            void *own = raft_malloc(entry->buf.len + 1);
            if (own == NULL) {
                fail_stop(EXIT_DISK, "raft", "out of memory");
            }
            memcpy(own, entry->buf.base, entry->buf.len);
            entry->buf.base = own;
            entry->batch = NULL;
        }
    }
    raft_free(shared);
}

static int guard_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                      struct raft_snapshot **snapshot, raft_index *start_index,
                      struct raft_entry *entries[], size_t *entries_count)
{
    struct guard *guard = guard_of(io);
    int error =
        guard->original.load(io, term, voted_for, snapshot, start_index, entries, entries_count);
    if (error == 0) {
        guard->append_next = *start_index + *entries_count;
        guard_part(*entries, *entries_count);
        guard->restored_index = *snapshot == NULL ? 0 : (*snapshot)->index;
        guard->restored_term = *snapshot == NULL ? 0 : (*snapshot)->term;
    }
    return error;
}

static int guard_set_term(struct raft_io *io, raft_term term)
{
    struct guard *guard = guard_of(io);
    if (MUTANT("term-not-flushed")) {
        return 0;
    }
    return guard_check(guard, guard->original.set_term(io, term), "storing the term");
}

static int guard_set_vote(struct raft_io *io, raft_id node)
{
    struct guard *guard = guard_of(io);
    return guard_check(guard, guard->original.set_vote(io, node), "storing the vote");
}

static void guard_append_done(struct raft_io_append *inner, int error)
{
    struct guard_append *append = inner->data;
    struct guard *guard = append->guard;
    if (error != RAFT_CANCELED) {
        (void)guard_check(guard, error, "appending to the log");
    }
    struct raft_io_append *outer = append->outer;
    raft_io_append_cb done = append->done;
    list_remove(&append->node);
    free(append);
    done(outer, error);
}

static void guard_count_append(struct guard *guard, const struct raft_entry entries[],
                               unsigned count)
{
    int64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        bytes += (int64_t)entries[i].buf.len;
    }
    if (guard->metrics != NULL) {
        metric_add(guard->metrics, METRIC_LOG_APPENDS, 1);
        metric_add(guard->metrics, METRIC_LOG_BYTES, bytes);
    }
}

static int guard_append(struct raft_io *io, struct raft_io_append *request,
                        const struct raft_entry entries[], unsigned count, raft_io_append_cb done)
{
    struct guard *guard = guard_of(io);
    struct guard_append *append = calloc(1, sizeof *append);
    if (append == NULL) {
        return guard_check(guard, RAFT_NOMEM, "appending to the log");
    }
    append->inner.data = append;
    append->outer = request;
    append->done = done;
    append->guard = guard;
    list_push(&guard->appends, &append->node);
    guard->append_next += count;
    guard_count_append(guard, entries, count);
    request->cb = done;
    int error = guard->original.append(io, &append->inner, entries, count, guard_append_done);
    if (error != 0) {
        list_remove(&append->node);
        free(append);
    }
    return guard_check(guard, error, "appending to the log");
}

static int guard_truncate(struct raft_io *io, raft_index index)
{
    struct guard *guard = guard_of(io);
    /* raft also calls this where nothing is to be cut. */
    if (index < guard->append_next) {
        if (guard->put.active && !guard->closing) {
            /* raft 0.22 may skip a truncation behind the barrier of a snapshot. */
            fail_stop(EXIT_DISK, "raft",
                      "the log must be cut at index=%llu while a snapshot is written: restart",
                      (unsigned long long)index);
        }
        log_info("raft", "cutting the log index=%llu entries=%llu", (unsigned long long)index,
                 (unsigned long long)(guard->append_next - index));
        guard->append_next = index;
    }
    return guard_check(guard, guard->original.truncate(io, index), "cutting the log");
}

static void guard_put_done(struct raft_io_snapshot_put *inner, int error)
{
    struct guard *guard = inner->data;
    assert(guard->put.active);
    guard->put.active = false;
    if (error != RAFT_CANCELED) {
        (void)guard_check(guard, error, "storing a snapshot");
    }
    guard->put.done(guard->put.outer, error);
}

static int guard_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                     const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
    struct guard *guard = guard_of(io);
    if (guard->put.active) {
        return guard_check(guard, RAFT_BUSY, "storing two snapshots at once");
    }
    guard->put.active = true;
    guard->put.age_ms = 0;
    guard->put.inner.data = guard;
    guard->put.outer = request;
    guard->put.done = done;
    request->cb = done;
    if (trailing == 0) {
        guard->append_next = snapshot->index + 1; /* an install replaces the log */
        guard->restored_index = snapshot->index;
        guard->restored_term = snapshot->term;
    }
    int error =
        guard->original.snapshot_put(io, trailing, &guard->put.inner, snapshot, guard_put_done);
    if (error != 0) {
        guard->put.active = false;
    }
    return guard_check(guard, error, "storing a snapshot");
}

/*
 * An entry that was cut off, and comes back while its copy from before is still being sent or
 * written, gets no place in raft's log, but in the summary of it: raft 0.22 ignores the error. It
 * would go on to vote with entries that it does not have, and crash at the next.
 */
static void guard_check_entries(struct guard *guard)
{
    static const char lost[] = "append ";
    if (!guard->closing && strncmp(raft_errmsg(guard->raft), lost, sizeof(lost) - 1) == 0) {
        fail_stop(EXIT_DISK, "raft", "the log must take back entries that are in use: restart");
    }
}

/* 0: it is not from a leader. */
static raft_term term_of_leader(const struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES) {
        return message->append_entries.term;
    }
    return message->type == RAFT_INSTALL_SNAPSHOT ? message->install_snapshot.term : 0;
}

/*
 * raft 0.22 dereferences NULL when the leader's snapshot arrives while it takes one of its own, and
 * forgets to free one that arrives while another is being stored. Such messages are dropped here:
 * the leader sends them again.
 *
 * Whether a vote is one of its pre-vote it asks before it asks whether it is a candidate at all. In
 * a follower that byte is the second of a pointer: where it is zero, the refusal of a pre-vote that
 * comes late moves the follower to the next term, and its leader goes. Such votes are dropped.
 */
static void guard_recv(struct raft_io *io, struct raft_message *message)
{
    struct guard *guard = guard_of(io);
    const struct raft *raft = guard->raft;
    if (message->type == RAFT_INSTALL_SNAPSHOT &&
        (raft->legacy.snapshot_taking || raft->snapshot.installing)) {
        log_debug("raft", "snapshot of node %llu put off: one is being stored", message->server_id);
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
        return;
    }
    if (message->type == RAFT_REQUEST_VOTE_RESULT && raft->state != RAFT_CANDIDATE) {
        return;
    }
    /* raft keeps the former leader's id when a vote moves a follower to a new term. */
    raft_term term = term_of_leader(message);
    if (term >= guard->heard_term && term != 0) {
        guard->heard_leader = message->server_id;
        guard->heard_term = term;
    }
    guard->hears = term == 0                        ? HEARS_NO_LEADER
                   : term < raft_current_term(raft) ? HEARS_OLD_LEADER
                                                    : HEARS_LEADER;
    guard->recv(io, message);
    guard->hears = HEARS_NO_LEADER;
    guard_check_entries(guard);
}

/*
 * A snapshot is read for a follower. raft sends it from within its callback: there the guard knows
 * the term that belongs to its index.
 */
static void guard_get_done(struct raft_io_snapshot_get *inner, struct raft_snapshot *snapshot,
                           int status)
{
    struct guard_get get = *(struct guard_get *)inner->data;
    free(inner->data);
    struct guard *guard = get.guard;
    if (status == 0) {
        guard->loaded_index = snapshot->index;
        guard->loaded_term = snapshot->term;
    }
    get.done(get.outer, snapshot, status);
    guard->loaded_index = 0;
}

static int guard_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                              raft_io_snapshot_get_cb done)
{
    struct guard *guard = guard_of(io);
    struct guard_get *get = calloc(1, sizeof *get);
    if (get == NULL) {
        return RAFT_NOMEM;
    }
    *get = (struct guard_get){.outer = request, .done = done, .guard = guard};
    get->inner.data = get;
    request->cb = done;
    int error = guard->original.snapshot_get(io, &get->inner, guard_get_done);
    if (error != 0) {
        free(get);
    }
    return error;
}

/*
 * Answers of raft 0.22 to a leader that say what is wrong.
 *
 * What comes from the leader of an old term is refused with the index of the last entry as the
 * stack had it; and the refusal of a snapshot, or of entries from the log's beginning, looks like
 * success up to that index. To one who leads in the new term by the time that it arrives, entries
 * would count as stored that this node does not have. A refusal says where the log ends, and where
 * it looks like success, that nothing is stored.
 *
 * Entries that follow one which this node has dropped behind its snapshot are refused: it does not
 * know that one's term any more. The leader asks further and further back, comes to its own
 * snapshot, which is older than ours, and begins again. What a snapshot covers is committed, so
 * that every leader since has it: the answer is that it is stored.
 */
static void guard_set_right(const struct guard *guard, struct raft_append_entries_result *result)
{
    const struct raft *raft = guard->raft;
    raft_index covered = raft->trail.snapshot.index;
    if (result->rejected == 0) {
        result->last_log_index = guard->hears == HEARS_OLD_LEADER ? 0 : result->last_log_index;
    } else if (guard->hears == HEARS_LEADER && result->rejected < covered) {
        result->rejected = 0;
        result->last_log_index = covered < raft->last_stored ? covered : raft->last_stored;
    } else {
        result->last_log_index = raft_last_index(guard->raft);
    }
}

/*
 * Other messages that say what is wrong.
 *
 * The answer to a pre-vote has the term of the question, even where the node's own is higher. A
 * candidate with the longer log then never learns of that term and is refused for ever, while the
 * other one is refused for its log: two nodes of three that never elect a leader. A refusal carries
 * our own term.
 *
 * A snapshot that was taken while an older one was about to be sent goes out with its own index and
 * the term of the older one. The follower keeps that term, and stops at the next entry: its log
 * seems to contradict the leader's.
 */
static int guard_send(struct raft_io *io, struct raft_io_send *request,
                      const struct raft_message *message, raft_io_send_cb done)
{
    struct guard *guard = guard_of(io);
    struct raft_message told = *message; /* sent, or copied, before the call returns */
    struct raft_request_vote_result *result = &told.request_vote_result;
    struct raft_install_snapshot *install = &told.install_snapshot;
    if (message->type == RAFT_REQUEST_VOTE_RESULT) {
        raft_term term = raft_current_term(guard->raft);
        bool refused = result->pre_vote && !result->vote_granted;
        result->term = refused && result->term < term ? term : result->term;
    } else if (message->type == RAFT_APPEND_ENTRIES_RESULT) {
        guard_set_right(guard, &told.append_entries_result);
    } else if (message->type == RAFT_INSTALL_SNAPSHOT &&
               install->last_index == guard->loaded_index) {
        install->last_term = guard->loaded_term;
    } else {
        return guard->original.send(io, request, message, done);
    }
    return guard->original.send(io, request, &told, done);
}

static int guard_start(struct raft_io *io, unsigned tick_ms, raft_io_tick_cb tick,
                       raft_io_recv_cb recv)
{
    struct guard *guard = guard_of(io);
    guard->recv = recv;
    return guard->original.start(io, tick_ms, tick, guard_recv);
}

/* --- life
 * ----------------------------------------------------------------------------------------- */

/*
 * Ages are counted in periods of the timer rather than read from a clock: a process that was
 * stopped for a while (SIGSTOP, a paused machine) must not take its own absence for a hanging disk.
 */
void guard_look(struct guard *guard)
{
    if (guard->closing) {
        return;
    }
    LIST_FOREACH(node, &guard->appends)
    {
        struct guard_append *append = CONTAINER_OF(node, struct guard_append, node);
        append->age_ms += GUARD_PERIOD_MS;
        if (append->age_ms > RAFT_WATCHDOG_MS) {
            guard_count_error(guard);
            fail_stop(EXIT_DISK, "raft", "an append to the log is incomplete after %d ms",
                      RAFT_WATCHDOG_MS);
        }
    }
    if (guard->put.active) {
        guard->put.age_ms += GUARD_PERIOD_MS;
        if (guard->put.age_ms > RAFT_WATCHDOG_MS) {
            guard_count_error(guard);
            fail_stop(EXIT_DISK, "raft", "storing a snapshot is incomplete after %d ms",
                      RAFT_WATCHDOG_MS);
        }
    }
}

static void guard_on_watchdog(uv_timer_t *timer)
{
    guard_look(timer->data);
}

void guard_init(struct guard *guard, struct metrics *metrics)
{
    *guard = (struct guard){.metrics = metrics};
    guard->tracer = (struct raft_tracer){.impl = guard, .version = 2, .emit = guard_trace};
    list_init(&guard->appends);
}

void guard_install(struct guard *guard, struct raft *raft)
{
    struct raft_io *io = raft->io;
    assert(io != NULL && io->data == raft);
    assert(guard_of(io) == guard);
    guard->io = io;
    guard->raft = raft;
    guard->original = *io;
    guard->append_next = 1;
    raft->tracer = &guard->tracer;
    io->load = guard_load;
    io->start = guard_start;
    io->send = guard_send;
    io->set_term = guard_set_term;
    io->set_vote = guard_set_vote;
    io->append = guard_append;
    io->truncate = guard_truncate;
    io->snapshot_put = guard_put;
    io->snapshot_get = guard_snapshot_get;
}

void guard_watch(struct guard *guard, struct endpoint *endpoint)
{
    assert(!guard->watching);
    int error = uv_timer_init(endpoint->loop, &guard->watchdog);
    assert(error == 0);
    guard->watchdog.data = guard;
    error = uv_timer_start(&guard->watchdog, guard_on_watchdog, GUARD_PERIOD_MS, GUARD_PERIOD_MS);
    assert(error == 0);
    guard->endpoint = endpoint;
    guard->watching = true;
    endpoint_hold(endpoint);
}

static void guard_watchdog_closed(uv_handle_t *handle)
{
    struct guard *guard = handle->data;
    endpoint_release(guard->endpoint);
}

void guard_close(struct guard *guard)
{
    guard->closing = true;
    if (guard->watching) {
        guard->watching = false;
        uv_close((uv_handle_t *)&guard->watchdog, guard_watchdog_closed);
    }
}
