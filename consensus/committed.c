/*
 * What this node learns to be committed from a peer that does not lead.
 *
 * raft tells its followers what is committed only through a leader. Where the leader is gone and a
 * majority can not be had without a node that first needs a copy of the state (docs/design.md), the
 * copy must come from a node that has the entries and nobody who says that they are committed. The
 * node without the state can say it: the snapshot that raft handed it ends with an entry that is.
 *
 * It is put to raft as what it is in its own language: an empty message that a leader of the
 * present term might send, with the entry as the one before, and as the commit index. raft compares
 * index and term with its log, takes and cuts nothing, and applies. Neither term nor vote change.
 * What else changes is that raft waits another election timeout for that "leader", which on_role
 * never sees.
 */
#include "consensus/consensus.h"

#include "base/check.h"
#include "base/log.h"
#include "consensus/internal.h"

#include <stdio.h>

uint64_t consensus_term_at(const struct consensus *consensus, uint64_t index)
{
    const struct raft_trail *trail = &consensus->raft->trail;
    for (unsigned i = trail->front; index > trail->offset && i != trail->back;
         i = (i + 1) % trail->size) {
        /* Each record ends one term's entries, in the order of the log. */
        if (index <= trail->records[i].index) {
            return trail->records[i].term;
        }
    }
    return index != 0 && index == trail->snapshot.index ? trail->snapshot.term : 0;
}

bool consensus_learn_committed(struct consensus *consensus, uint32_t peer, uint64_t index,
                               uint64_t term)
{
    assert(peer != consensus->endpoint.identity.node_id);
    struct raft *raft = consensus->raft;
    if (raft_last_applied(raft) >= index) {
        return true;
    }
    if (consensus->closing || term == 0 || consensus_term_at(consensus, index) != term ||
        consensus_last_stored(consensus) < index || raft->snapshot.installing) {
        return false;
    }
    /* A leader knows, or will know, or will be deposed; then the peer asks once more. */
    if (consensus_role(consensus) == ROLE_LEADER || consensus_leader(consensus) != 0) {
        return false;
    }
    log_info("raft", "node %u knows that index=%llu term=%llu is committed; applied were %llu",
             peer, (unsigned long long)index, (unsigned long long)term,
             (unsigned long long)raft_last_applied(raft));
    char address[16];
    (void)snprintf(address, sizeof address, "%u", peer);
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES, .server_id = peer, .server_address = address};
    message.append_entries = (struct raft_append_entries){.term = raft_current_term(raft),
                                                          .prev_log_index = index,
                                                          .prev_log_term = term,
                                                          .leader_commit = index};
    /* Past the guard, which would take the peer for a leader. */
    consensus->guard.recv(raft->io, &message);
    return raft_last_applied(raft) >= index;
}
