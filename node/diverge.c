/*
 * Divergence: a log entry carries the leader's digest at a recent seq, and this node has another
 * one there. Bad memory, a damaged page or a bug: somebody's state is wrong. The node takes no new
 * requests and asks its peers for their digests at that seq. With the majority it goes on; against
 * a majority it notes that its state must be fetched anew and stops (exit 76). Where there is none
 * it only stops: its own state may be the good one.
 */
#include "node/internal.h"

#include "base/log.h"

static const char *const PART = "diverge";

enum { ASK_MS_MAX = 2000 };

static void decide(struct node *node, bool last)
{
    struct divergence *divergence = &node->divergence;
    uint32_t majority = (node->peers_count + 1) / 2 + 1;
    if (divergence->same >= majority) {
        log_warn(PART, "digest at seq %llu: this node is with the majority, going on",
                 (unsigned long long)divergence->seq);
        divergence->asking = false;
        atomic_store(&node->admission.full, node->peers_paused);
        return;
    }
    if (!last && divergence->same + divergence->other < node->peers_count + 1) {
        return;
    }
    if (divergence->agreed < majority) {
        fail_stop(EXIT_DIVERGED, PART,
                  "the state at seq %llu differs between nodes, and no majority agrees (same=%u "
                  "other=%u): stopping; nothing is fetched before enough nodes are up to judge",
                  (unsigned long long)divergence->seq, divergence->same, divergence->other);
    }
    node_give_up(node);
    struct position position = ledger_thread_position(node->ledger_thread);
    struct consensus_manifest manifest = {
        .index = position.index, .seq = position.seq, .digest = position.digest};
    /* The log of a node whose state was copied may have another entry there, not committed. */
    if (consensus_last_applied(node->consensus) >= position.index) {
        manifest.term = consensus_term_at(node->consensus, position.index);
    }
    damage_log_note(node);
    if (datadir_needs_state_write(node->dir, &manifest) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "the note needs-state can not be written");
    }
    fail_stop(EXIT_DIVERGED, PART,
              "the state at seq %llu differs from the majority's (same=%u other=%u): stopping; the "
              "next start fetches the state from a peer",
              (unsigned long long)divergence->seq, divergence->same, divergence->other);
}

void diverge_begin(struct node *node, uint64_t seq, const struct digest *ours)
{
    struct divergence *divergence = &node->divergence;
    if (divergence->asking) {
        return;
    }
    log_error(PART, "digest at seq %llu is not the one in the log: asking the peers",
              (unsigned long long)seq);
    *divergence = (struct divergence){.asking = true, .seq = seq, .ours = *ours, .same = 1};
    divergence->deadline_ns = clock_monotonic_ns(node->clock) + (uint64_t)ASK_MS_MAX * 1000000;
    atomic_store(&node->admission.full, true);
    struct link_item item = {.kind = LINK_DIGEST_ASK, .seq = seq, .digest = *ours};
    for (uint32_t i = 0; i < node->peers_count; i++) {
        peer_item(node, node->peers[i].id, &item);
    }
    decide(node, node->peers_count == 0);
}

void diverge_on_ask(struct node *node, uint32_t peer, const struct link_item *item)
{
    ledger_thread_ask_digest(node->ledger_thread, item->seq, peer, &item->digest);
}

/* Our own digest for a peer that asked; where it differs, we look into it as well. */
void diverge_on_digest(struct node *node, uint32_t peer, uint64_t seq, bool known,
                       const struct digest *ours, const struct digest *theirs)
{
    struct link_item item = {.kind = LINK_DIGEST_TELL, .seq = seq, .known = known};
    if (known) {
        item.digest = *ours;
    }
    peer_item(node, peer, &item);
    if (known && !digest_equal(ours, theirs)) {
        diverge_begin(node, seq, ours);
    }
}

void diverge_on_tell(struct node *node, uint32_t peer, const struct link_item *item)
{
    struct divergence *divergence = &node->divergence;
    if (!divergence->asking || item->seq != divergence->seq || !item->known) {
        return;
    }
    /* An answer to an earlier question about the same seq may come now. */
    const struct peer_state *state = node_peer(node, peer);
    assert(state != NULL);
    const uint32_t voice = (uint32_t)1 << (state - node->peers);
    if ((divergence->answered & voice) != 0) {
        return;
    }
    divergence->answered |= voice;
    bool same = digest_equal(&item->digest, &divergence->ours);
    log_warn(PART, "node %u has %s digest at seq %llu", peer, same ? "the same" : "another",
             (unsigned long long)item->seq);
    divergence->same += same ? 1 : 0;
    divergence->other += same ? 0 : 1;
    if (!same && divergence->other == 1) {
        divergence->theirs = item->digest;
    }
    if (!same && digest_equal(&item->digest, &divergence->theirs)) {
        divergence->agreed++;
    }
    decide(node, false);
}

void diverge_tick(struct node *node, uint64_t now_ns)
{
    if (node->divergence.asking && now_ns >= node->divergence.deadline_ns) {
        decide(node, true);
    }
}
