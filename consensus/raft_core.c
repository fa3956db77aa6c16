/*
 * The raft instance itself, whatever disk and network it stands on: roles, proposals, snapshots,
 * its settings and the layers around its raft_io. consensus.c gives it raft_uv and TLS streams, the
 * simulation a virtual raft_io.
 */
#include "consensus/consensus.h"

#include "base/check.h"
#include "base/log.h"
#include "consensus/internal.h"

#include <stdio.h>
#include <string.h>

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
    if (raft_state(consensus->raft) == RAFT_LEADER || id == 0) {
        return (uint32_t)id;
    }
    /* Leader and term belong together: who has not spoken in this term does not lead it. */
    const struct guard *guard = &consensus->guard;
    const bool heard =
        guard->heard_leader == id && guard->heard_term == raft_current_term(consensus->raft);
    return heard ? (uint32_t)id : 0;
}

static void consensus_transferred(struct raft_transfer *request)
{
    struct consensus *consensus = request->data;
    consensus->transferring = false;
}

/*
 * The connected peer whose log is longest; of several the next after the last one that was tried.
 * raft's own choice may be a node that is gone: nothing is proposed meanwhile, so that node stays
 * up to date, is chosen again at each try, and the cluster is without a leader that works.
 */
static uint32_t consensus_heir(struct consensus *consensus)
{
    const struct endpoint *endpoint = &consensus->endpoint;
    uint32_t heir = 0;
    uint32_t heir_place = 0;
    raft_index longest = 0;
    for (uint32_t i = 1; i <= endpoint->peers_count; i++) {
        uint32_t place = (consensus->heir_place + i) % endpoint->peers_count;
        uint32_t id = endpoint->peers[place].id;
        raft_index match = 0;
        if (id == endpoint->identity.node_id || !consensus_link_up(consensus, id) ||
            raft_match_index(consensus->raft, id, &match) != 0) {
            continue;
        }
        if (heir == 0 || match > longest) {
            heir = id;
            heir_place = place;
            longest = match;
        }
    }
    consensus->heir_place = heir == 0 ? consensus->heir_place : heir_place;
    return heir;
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
    if (peer == 0 && (peer = consensus_heir(consensus)) == 0) {
        return STATUS_NOT_FOUND;
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
    uint64_t now_ms = consensus->io.time(&consensus->io);
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
    consensus->resign_tried_ms = consensus->io.time(&consensus->io);
    enum status status = consensus_transfer(consensus, 0);
    (void)status; /* consensus_try_resign tries again */
}

/*
 * Looks at raft from outside its calls. raft's own step_cb runs before term, vote and entries are
 * on disk and before entries are applied.
 */
void consensus_watch(struct consensus *consensus)
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

enum status consensus_status(int error)
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

void consensus_init_core(struct consensus *consensus, const struct consensus_options *options)
{
    consensus->callbacks = options->callbacks;
    consensus->data = options->data;
    consensus->election_timeout_ms = options->election_timeout_ms;
    list_init(&consensus->proposals_free);
    for (uint32_t i = 0; i < RAFT_PROPOSALS_MAX; i++) {
        list_push(&consensus->proposals_free, &consensus->proposals[i].node);
    }
    guard_init(&consensus->guard, options->metrics);
    machine_init(consensus);
}

enum status consensus_start_core(struct consensus *consensus,
                                 const struct consensus_options *options, char *error,
                                 size_t error_size)
{
    assert(consensus->raft != NULL && consensus->io.load != NULL);
    char address[16];
    (void)snprintf(address, sizeof address, "%u", options->identity.node_id);
    int failure = raft_init(consensus->raft, &consensus->io, &consensus->machine,
                            options->identity.node_id, address);
    if (failure != 0) {
        (void)snprintf(error, error_size, "raft in %s: %s", options->dir, consensus->io.errmsg);
        return consensus_status(failure);
    }
    consensus->raft_open = true;
    consensus->raft->data = consensus;
    consensus_configure_raft(consensus, options);
    guard_install(&consensus->guard, consensus->raft);
    flow_install(&consensus->flow, &consensus->io, &consensus->transport,
                 options->election_timeout_ms);
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
    consensus->started = true;
    return STATUS_OK;
}
