/*
 * raft's snapshots. The state itself lives in the ledger's own files; what raft keeps is a small
 * manifest that says which state belongs to the log's beginning. raft trims its log when the
 * manifest is stored, so the store waits until the owner has made its state durable.
 */
#ifndef CONSENSUS_SNAPSHOT_H
#define CONSENSUS_SNAPSHOT_H

#include "consensus/consensus.h"

#include <raft.h>

enum { MANIFEST_BYTES = 96 };

/*
 * u64 magic | u32 version | u32 zero | u64 index | u64 seq | digest (32) | SHA-256 of all before,
 * first 32 bytes. A multiple of 8, as all that raft stores.
 */
void manifest_encode(const struct consensus_manifest *manifest, uint8_t bytes[MANIFEST_BYTES]);
/* STATUS_CORRUPT; *manifest is then untouched. Its term always is: it is not in the bytes. */
enum status MUST_CHECK manifest_decode(const void *bytes, size_t size,
                                       struct consensus_manifest *manifest);

enum snapshot_state {
    SNAPSHOT_IDLE,    /* none under way */
    SNAPSHOT_ASKED,   /* the owner was asked; raft has not yet called snapshot_put */
    SNAPSHOT_WAITING, /* raft's put request is held until the owner is ready */
    SNAPSHOT_WRITING  /* raft's disk writes the manifest */
};

struct snapshots {
    struct raft *raft;
    int (*put)(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
               const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done);
    enum snapshot_state state;
    uint64_t index;                     /* of the snapshot under way */
    uint64_t bytes;                     /* of entries applied since the last one */
    uint64_t entries;                   /* applied since the last one */
    uint64_t bytes_max;                 /* then the next is due */
    uint32_t trailing_max;              /* entries kept behind one */
    bool held;                          /* by consensus_hold_snapshots */
    bool ready;                         /* the owner answered */
    struct consensus_manifest manifest; /* what it answered */
    struct {
        unsigned trailing;
        struct raft_io_snapshot_put *request;
        const struct raft_snapshot *snapshot;
        raft_io_snapshot_put_cb done;
    } held_put;
};

/* After guard_install, before raft_start: wraps snapshot_put once more. */
void snapshots_install(struct snapshots *snapshots, struct raft *raft, uint64_t bytes_max,
                       uint32_t trailing_max);
/* An entry was applied: is a snapshot due? */
void snapshots_count(struct snapshots *snapshots, size_t size);
void snapshots_hold(struct snapshots *snapshots, bool hold);
/* raft begins one, which covers index. Allocates raft's buffers. RAFT_BUSY, RAFT_NOMEM. */
int snapshots_begin(struct snapshots *snapshots, uint64_t index, struct raft_buffer *buffers[],
                    unsigned *buffers_count);
/* raft is done with it, stored or not. */
void snapshots_end(struct snapshots *snapshots, struct raft_buffer *buffers[],
                   unsigned *buffers_count);
/* The owner's state is durable at or past the index of the snapshot under way. */
void snapshots_ready(struct snapshots *snapshots, const struct consensus_manifest *manifest);
/* raft was handed another state: counting begins anew. */
void snapshots_restored(struct snapshots *snapshots);
/* After raft_close: answers a held request, which nobody will be ready for. */
void snapshots_cancel(struct snapshots *snapshots);

#endif
