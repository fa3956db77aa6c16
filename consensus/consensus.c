/*
 * Life of the raft instance on real disks and sockets. Opening: TLS contexts, listener, raft_uv,
 * then the instance itself (raft_core.c). Closing is asynchronous: raft ends its streams and its
 * disk, then every stream and timer of ours, then the memory goes.
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

static void consensus_on_prepare(uv_prepare_t *prepare)
{
    struct consensus *consensus = prepare->data;
    flow_answer(&consensus->flow);
    consensus_watch(consensus);
}

static void consensus_on_check(uv_check_t *check)
{
    struct consensus *consensus = check->data;
    transport_pull(&consensus->transport);
    consensus_watch(consensus);
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
    return consensus_start_core(consensus, options, error, error_size);
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
    consensus->loop = options->loop;
    consensus_init_core(consensus, options);
    transport_init(&consensus->transport, &consensus->endpoint);
    consensus->transport.on_link = consensus_on_link;
    consensus->transport.on_copy = consensus_on_copy;
    consensus->transport.data = consensus;
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
