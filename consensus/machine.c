/*
 * The state machine as raft sees it: hands entries and snapshots to the owner. Nothing here may
 * fail: an error returned from apply corrupts raft's heap, one from restore stops applying
 * silently.
 */
#include "base/check.h"
#include "base/log.h"
#include "consensus/internal.h"

static int machine_apply(struct raft_fsm *machine, const struct raft_buffer *buffer, void **result)
{
    struct consensus *consensus = machine->data;
    /* raft gives no index: it applies one by one, barriers and changes included. */
    uint64_t index = raft_last_applied(consensus->raft) + 1;
    *result = NULL;
    consensus->callbacks.on_apply(consensus->data, index, buffer->base, buffer->len);
    snapshots_count(&consensus->snapshots, buffer->len);
    return 0;
}

static int machine_snapshot(struct raft_fsm *machine, struct raft_buffer *buffers[],
                            unsigned *buffers_count)
{
    struct consensus *consensus = machine->data;
    uint64_t index = raft_last_applied(consensus->raft);
    if (raft_commit_index(consensus->raft) != index) {
        /*
         * raft 0.22 may lower a follower's commit index below what it has applied (it applies
         * before its own disk has the entry, then takes the smaller of both), and would file our
         * state under that index.
         */
        return RAFT_BUSY;
    }
    int error = snapshots_begin(&consensus->snapshots, index, buffers, buffers_count);
    if (error != 0) {
        return error; /* raft asks again at its next event */
    }
    consensus->callbacks.on_snapshot(consensus->data, index);
    return 0;
}

static int machine_snapshot_finalize(struct raft_fsm *machine, struct raft_buffer *buffers[],
                                     unsigned *buffers_count)
{
    struct consensus *consensus = machine->data;
    snapshots_end(&consensus->snapshots, buffers, buffers_count);
    return 0;
}

static int machine_restore(struct raft_fsm *machine, struct raft_buffer *buffer)
{
    struct consensus *consensus = machine->data;
    struct consensus_manifest manifest = {0};
    enum status status = manifest_decode(buffer->base, buffer->len, &manifest);
    if (status != STATUS_OK) {
        fail_stop(EXIT_DATA, "raft", "the snapshot of raft's log is not a manifest: %s",
                  status_text(status));
    }
    raft_free(buffer->base);
    const struct guard *guard = &consensus->guard;
    manifest.term = manifest.index == guard->restored_index ? guard->restored_term : 0;
    if (!consensus->callbacks.on_restore(consensus->data, &manifest)) {
        fail_stop(EXIT_DATA, "raft", "the state is behind raft's snapshot index=%llu",
                  (unsigned long long)manifest.index);
    }
    snapshots_restored(&consensus->snapshots);
    return 0;
}

void machine_init(struct consensus *consensus)
{
    assert(consensus->callbacks.on_apply != NULL);
    assert(consensus->callbacks.on_snapshot != NULL);
    assert(consensus->callbacks.on_restore != NULL);
    /* Version 2: snapshot_async of version 3 is called on the loop all the same. */
    consensus->machine = (struct raft_fsm){
        .version = 2,
        .data = consensus,
        .apply = machine_apply,
        .snapshot = machine_snapshot,
        .restore = machine_restore,
        .snapshot_finalize = machine_snapshot_finalize,
    };
}
