/*
 * Life of the raft instance. Opening: TLS contexts, listener, raft_uv, raft with its settings, the
 * guard and the snapshot wrapper around its raft_io, raft_start. Closing is asynchronous: raft ends
 * its streams and its disk, then every stream and timer of ours, then the memory goes.
 */
#include "consensus/consensus.h"

#include "base/check.h"
#include "base/log.h"
#include "consensus/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(RAFT_VERSION_NUMBER) || RAFT_VERSION_NUMBER < 2201
#error "raft before 0.22.1 loses acknowledged entries: see docs/design.md"
#endif

struct consensus *consensus_of(const struct raft_io *io)
{
    const struct raft *raft = io->data;
    assert(raft != NULL);
    assert(raft->data != NULL);
    return raft->data;
}

/* --- role
 * ----------------------------------------------------------------------------------------- */

enum consensus_role consensus_role(const struct consensus *consensus)
{
    enum raft_state state = raft_state(consensus->raft);
    if (state == RAFT_LEADER) {
        return ROLE_LEADER;
    }
    return state == RAFT_CANDIDATE ? ROLE_CANDIDATE : ROLE_FOLLOWER;
}

uint64_t consensus_term(const struct consensus *consensus)
{
    return raft_current_term(consensus->raft);
}

uint32_t consensus_leader(const struct consensus *consensus)
{
    raft_id id = 0;
    const char *address = NULL;
    raft_leader(consensus->raft, &id, &address);
    return (uint32_t)id;
}

static void consensus_transferred(struct raft_transfer *request)
{
    struct consensus *consensus = request->data;
    consensus->transferring = false;
}

enum status consensus_transfer(struct consensus *consensus, uint32_t peer)
{
    assert(peer != consensus->endpoint.identity.node_id);
    if (consensus->closing || consensus_role(consensus) != ROLE_LEADER) {
        return STATUS_NOT_LEADER;
    }
    if (consensus->transferring) {
        return STATUS_AGAIN;
    }
    consensus->transfer = (struct raft_transfer){.data = consensus};
    int error = raft_transfer(consensus->raft, &consensus->transfer, peer, consensus_transferred);
    if (error == RAFT_NOTLEADER) {
        return STATUS_NOT_LEADER;
    }
    if (error != 0) {
        log_warn("raft", "leadership not transferred node=%u: %s", peer, raft_strerror(error));
        return STATUS_NOT_FOUND;
    }
    consensus->transferring = true;
    return STATUS_OK;
}

/* A resignation holds until somebody else leads: a transfer gives up after an election timeout. */
static void consensus_try_resign(struct consensus *consensus)
{
    if (consensus->resign_term == 0) {
        return;
    }
    if (consensus->role != ROLE_LEADER || consensus->term != consensus->resign_term) {
        consensus->resign_term = 0;
        return;
    }
    uint64_t now_ms = uv_now(consensus->loop);
    if (consensus->transferring ||
        now_ms - consensus->resign_tried_ms < consensus->election_timeout_ms) {
        return;
    }
    consensus->resign_tried_ms = now_ms;
    enum status status = consensus_transfer(consensus, 0);
    (void)status; /* nobody to take it: tried again later */
}

void consensus_resign(struct consensus *consensus, const char *reason)
{
    assert(reason != NULL);
    if (consensus->closing || consensus_role(consensus) != ROLE_LEADER) {
        return;
    }
    log_warn("raft", "resigning term=%llu: %s", (unsigned long long)consensus_term(consensus),
             reason);
    consensus->resign_term = consensus_term(consensus);
    consensus->resign_tried_ms = uv_now(consensus->loop);
    enum status status = consensus_transfer(consensus, 0);
    (void)status; /* consensus_try_resign tries again */
}

/*
 * Looks at raft from outside its calls. raft's own step_cb runs before term, vote and entries are
 * on disk and before entries are applied.
 */
static void consensus_watch(struct consensus *consensus)
{
    if (consensus->closing) {
        return;
    }
    enum consensus_role role = consensus_role(consensus);
    uint64_t term = consensus_term(consensus);
    uint32_t leader = consensus_leader(consensus);
    if (role != consensus->role || term != consensus->term || leader != consensus->leader) {
        consensus->role = role;
        consensus->term = term;
        consensus->leader = leader;
        consensus->callbacks.on_role(consensus->data, role, term, leader);
    }
    if (!consensus->closing) {
        consensus_try_resign(consensus);
    }
}

static void consensus_on_prepare(uv_prepare_t *prepare)
{
    struct consensus *consensus = prepare->data;
    flow_answer(&consensus->flow);
    consensus_watch(consensus);
}

static void consensus_on_check(uv_check_t *check)
{
    consensus_watch(check->data);
}

/* --- entries
 * -------------------------------------------------------------------------------------- */

uint64_t consensus_last_index(const struct consensus *consensus)
{
    return raft_last_index(consensus->raft);
}

uint64_t consensus_last_stored(const struct consensus *consensus)
{
    return consensus->raft->last_stored;
}

uint64_t consensus_last_applied(const struct consensus *consensus)
{
    return raft_last_applied(consensus->raft);
}

/*
 * Says only that raft is through with the request. Its status is worth nothing: the library
 * completes requests by index, whatever entry came to stand there.
 */
static void consensus_proposed(struct raft_apply *request, int error, void *result)
{
    (void)error;
    (void)result;
    struct consensus *consensus = request->data;
    struct proposal *proposal = CONTAINER_OF(request, struct proposal, request);
    list_push(&consensus->proposals_free, &proposal->node);
}

enum status consensus_propose(struct consensus *consensus, const void *bytes, size_t size)
{
    assert(bytes != NULL && size >= 1 && size <= ENTRY_BYTES_MAX);
    assert(size % 8 == 0); /* any other length makes raft's memory and disk differ */
    if (consensus->closing || consensus_role(consensus) != ROLE_LEADER) {
        return STATUS_NOT_LEADER;
    }
    struct raft_buffer buffer = {.base = raft_malloc(size), .len = size};
    if (buffer.base == NULL) {
        return STATUS_FULL;
    }
    struct list *node = list_pop(&consensus->proposals_free);
    if (node == NULL) {
        raft_free(buffer.base);
        return STATUS_FULL;
    }
    memcpy(buffer.base, bytes, size);
    struct proposal *proposal = CONTAINER_OF(node, struct proposal, node);
    proposal->request = (struct raft_apply){.data = consensus};
    int error = raft_apply(consensus->raft, &proposal->request, &buffer, 1, consensus_proposed);
    if (error == 0) {
        return STATUS_OK;
    }
    if (error != RAFT_NOTLEADER && error != RAFT_NOSPACE) {
        /* The entry may be in the log or not, and the buffer freed or not. */
        fail_stop(EXIT_DISK, "raft", "proposing an entry failed: %s: %s", raft_strerror(error),
                  raft_errmsg(consensus->raft));
    }
    raft_free(buffer.base);
    list_push(&consensus->proposals_free, &proposal->node);
    return error == RAFT_NOTLEADER ? STATUS_NOT_LEADER : STATUS_FULL;
}

/* --- doors to the parts
 * --------------------------------------------------------------------------- */

void consensus_snapshot_ready(struct consensus *consensus,
                              const struct consensus_manifest *manifest)
{
    if (!consensus->closing) {
        snapshots_ready(&consensus->snapshots, manifest);
    }
}

void consensus_hold_snapshots(struct consensus *consensus, bool hold)
{
    assert(consensus->started);
    snapshots_hold(&consensus->snapshots, hold);
}

uint64_t consensus_log_bytes(const struct consensus *consensus)
{
    return consensus->snapshots.bytes;
}

void consensus_pause(struct consensus *consensus, bool pause)
{
    transport_pause(&consensus->transport, pause);
}

enum status consensus_send(struct consensus *consensus, uint32_t peer, const void *bytes,
                           size_t size)
{
    return consensus->closing ? STATUS_NETWORK : links_send(&consensus->links, peer, bytes, size);
}

bool consensus_link_up(const struct consensus *consensus, uint32_t peer)
{
    return !consensus->closing && links_up(&consensus->links, peer);
}

static void consensus_on_link(void *data, uint32_t peer, struct stream *stream)
{
    struct consensus *consensus = data;
    links_accept(&consensus->links, peer, stream);
}

static void consensus_on_copy(void *data, uint32_t peer, struct stream *stream)
{
    struct consensus *consensus = data;
    consensus->callbacks.on_copy(consensus->data, peer, stream);
}

/* --- closing
 * -------------------------------------------------------------------------------------- */

static void consensus_gone(void *data)
{
    struct consensus *consensus = data;
    void (*done)(void *data) = consensus->close_done;
    void *done_data = consensus->close_data;
    endpoint_close(&consensus->endpoint);
    free(consensus->raft);
    free(consensus);
    if (done != NULL) {
        done(done_data);
    }
}

static void consensus_raft_closed(struct raft *raft)
{
    struct consensus *consensus = raft->data;
    raft_uv_close(&consensus->io);
    endpoint_when_idle(&consensus->endpoint, consensus_gone, consensus);
}

static void consensus_handle_closed(uv_handle_t *handle)
{
    struct consensus *consensus = handle->data;
    endpoint_release(&consensus->endpoint);
}

void consensus_close(struct consensus *consensus, void (*done)(void *data), void *data)
{
    assert(consensus != NULL);
    assert(!consensus->closing);
    consensus->closing = true;
    consensus->close_done = done;
    consensus->close_data = data;
    uv_close((uv_handle_t *)&consensus->prepare, consensus_handle_closed);
    uv_close((uv_handle_t *)&consensus->check, consensus_handle_closed);
    guard_close(&consensus->guard);
    if (consensus->started) {
        links_close(&consensus->links);
    }
    if (consensus->raft_open) {
        flow_answer(&consensus->flow);
        raft_close(consensus->raft, consensus_raft_closed); /* closes the transport, too */
        snapshots_cancel(&consensus->snapshots);
        return;
    }
    transport_close(&consensus->transport);
    if (consensus->io_open) {
        raft_uv_close(&consensus->io);
    }
    endpoint_when_idle(&consensus->endpoint, consensus_gone, consensus);
}

/* --- opening
 * -------------------------------------------------------------------------------------- */

static enum status consensus_status(int error)
{
    switch (error) {
    case RAFT_CORRUPT:
    case RAFT_MALFORMED:
        return STATUS_CORRUPT;
    case RAFT_NOTFOUND:
        return STATUS_NOT_FOUND;
    case RAFT_NOMEM:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_IO;
    }
}

static void consensus_configure_io(struct consensus *consensus)
{
    struct raft_io *io = &consensus->io;
    raft_uv_set_tracer(io, &consensus->guard.tracer);
    /* Auto-recovery renames damaged segments away and votes with a shorter log: acknowledged
     * entries would be forgotten. Segments keep their 8 MiB: other sizes overflow a counter. */
    raft_uv_set_auto_recovery(io, false);
    /* The default of 1 s is longer than an election. */
    raft_uv_set_connect_retry_delay(io, RAFT_CONNECT_RETRY_MS);
    raft_uv_set_disk_retry(io, RAFT_DISK_RETRY_MS);
}

static void consensus_configure_raft(struct consensus *consensus,
                                     const struct consensus_options *options)
{
    struct raft *raft = consensus->raft;
    /* The heartbeat is also raft's tick; it first, since the election timeout is judged by it. */
    raft_set_heartbeat_timeout(raft, options->heartbeat_ms);
    raft_set_election_timeout(raft, options->election_timeout_ms);
    /* A node that was cut off must not depose a leader when it returns. */
    raft_set_pre_vote(raft, true);
    /* With a threshold a node may win an election and fail half-way into leading, after which the
     * library reports entries as committed that are not. Free space is the ledger's to watch. */
    raft_set_capacity_threshold(raft, 0);
    /* 32 entries per round trip bound the throughput of a fast disk. */
    raft_set_max_inflight_entries(raft, RAFT_INFLIGHT_ENTRIES_MAX);
    raft_set_install_snapshot_timeout(raft, RAFT_INSTALL_SNAPSHOT_MS);
}

static enum status consensus_start_raft(struct consensus *consensus,
                                        const struct consensus_options *options, char *error,
                                        size_t error_size)
{
    int failure =
        raft_uv_init(&consensus->io, options->loop, options->dir, &consensus->transport.raft);
    if (failure != 0) {
        (void)snprintf(error, error_size, "raft in %s: %s", options->dir, consensus->io.errmsg);
        return consensus_status(failure);
    }
    consensus->io_open = true;
    consensus_configure_io(consensus);
    char address[16];
    (void)snprintf(address, sizeof address, "%u", options->identity.node_id);
    failure = raft_init(consensus->raft, &consensus->io, &consensus->machine,
                        options->identity.node_id, address);
    if (failure != 0) {
        (void)snprintf(error, error_size, "raft in %s: %s", options->dir, consensus->io.errmsg);
        return consensus_status(failure);
    }
    consensus->raft_open = true;
    consensus->raft->data = consensus;
    consensus_configure_raft(consensus, options);
    guard_install(&consensus->guard, consensus->raft);
    flow_install(&consensus->flow, &consensus->io, &consensus->transport);
    snapshots_install(&consensus->snapshots, consensus->raft, options->snapshot_bytes,
                      options->snapshot_trailing);
    failure = raft_start(consensus->raft);
    if (failure != 0) {
        (void)snprintf(error, error_size, "raft's log in %s: %s", options->dir,
                       raft_errmsg(consensus->raft));
        return consensus_status(failure);
    }
    if (consensus->raft->configuration.n == 0) {
        (void)snprintf(error, error_size, "%s holds no log of raft: it was never formatted",
                       options->dir);
        return STATUS_NOT_FOUND;
    }
    return STATUS_OK;
}

static enum status consensus_start(struct consensus *consensus,
                                   const struct consensus_options *options, char *error,
                                   size_t error_size)
{
    enum status status = transport_listen(&consensus->transport, options->listen_host,
                                          options->listen_port, error, error_size);
    if (status != STATUS_OK) {
        return status;
    }
    status = consensus_start_raft(consensus, options, error, error_size);
    if (status != STATUS_OK) {
        return status;
    }
    consensus->started = true;
    guard_watch(&consensus->guard, &consensus->endpoint);
    links_open(&consensus->links, &consensus->endpoint, options->callbacks.on_message,
               options->callbacks.on_link, options->data);
    int failure = uv_prepare_start(&consensus->prepare, consensus_on_prepare);
    assert(failure == 0);
    failure = uv_check_start(&consensus->check, consensus_on_check);
    assert(failure == 0);
    return STATUS_OK;
}

static void consensus_init(struct consensus *consensus, const struct consensus_options *options)
{
    consensus->callbacks = options->callbacks;
    consensus->data = options->data;
    consensus->loop = options->loop;
    consensus->election_timeout_ms = options->election_timeout_ms;
    list_init(&consensus->proposals_free);
    for (uint32_t i = 0; i < RAFT_PROPOSALS_MAX; i++) {
        list_push(&consensus->proposals_free, &consensus->proposals[i].node);
    }
    transport_init(&consensus->transport, &consensus->endpoint);
    consensus->transport.on_link = consensus_on_link;
    consensus->transport.on_copy = consensus_on_copy;
    consensus->transport.data = consensus;
    guard_init(&consensus->guard, options->metrics);
    machine_init(consensus);
    int failure = uv_prepare_init(options->loop, &consensus->prepare);
    assert(failure == 0);
    consensus->prepare.data = consensus;
    endpoint_hold(&consensus->endpoint);
    failure = uv_check_init(options->loop, &consensus->check);
    assert(failure == 0);
    consensus->check.data = consensus;
    endpoint_hold(&consensus->endpoint);
}

static void consensus_check_options(const struct consensus_options *options)
{
    assert(options->loop != NULL && options->dir != NULL);
    assert(options->peers_count >= 1 && options->peers_count <= NODES_MAX);
    assert(options->snapshot_bytes > 0 && options->snapshot_trailing > 0);
    assert(options->heartbeat_ms > 0 && options->election_timeout_ms > options->heartbeat_ms);
    assert(options->callbacks.on_role != NULL && options->callbacks.on_message != NULL);
    assert(options->callbacks.on_link != NULL && options->callbacks.on_copy != NULL);
}

enum status consensus_open(struct consensus **consensus, const struct consensus_options *options,
                           char *error, size_t error_size)
{
    consensus_check_options(options);
    struct consensus *made = calloc(1, sizeof *made);
    struct raft *raft = calloc(1, sizeof *raft);
    if (made == NULL || raft == NULL) {
        free(made);
        free(raft);
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    made->raft = raft;
    raft->data = made;
    enum status status = endpoint_open(&made->endpoint, options, error, error_size);
    if (status != STATUS_OK) {
        free(made);
        free(raft);
        return status;
    }
    consensus_init(made, options);
    status = consensus_start(made, options, error, error_size);
    if (status != STATUS_OK) {
        consensus_close(made, NULL, NULL);
        return status;
    }
    *consensus = made;
    return STATUS_OK;
}
