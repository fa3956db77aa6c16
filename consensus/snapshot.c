/*
 * One snapshot: due (bytes or entries) -> threshold 1 -> raft calls the machine's snapshot, which
 * asks the owner (ASKED) and sets the threshold back -> raft calls snapshot_put, held here
 * (WAITING)
 * -> the owner is ready: the manifest's bytes are filled in, the request goes on (WRITING) -> done.
 */
#include "consensus/snapshot.h"

#include "base/check.h"
#include "base/log.h"
#include "consensus/internal.h"

#include <limits.h>
#include <string.h>

static const uint64_t MANIFEST_MAGIC = 0x54464e4d4c594150; /* "PAYLMNFT" */

enum { MANIFEST_VERSION = 1, MANIFEST_CHECKED_BYTES = 64 };

static_assert(MANIFEST_BYTES % 8 == 0, "raft stores multiples of 8");
static_assert(MANIFEST_CHECKED_BYTES + DIGEST_BYTES == MANIFEST_BYTES, "the checksum ends it");

void manifest_encode(const struct consensus_manifest *manifest, uint8_t bytes[MANIFEST_BYTES])
{
    assert(manifest != NULL);
    put_u64(bytes, MANIFEST_MAGIC);
    put_u32(bytes + 8, MANIFEST_VERSION);
    put_u32(bytes + 12, 0);
    put_u64(bytes + 16, manifest->index);
    put_u64(bytes + 24, manifest->seq);
    memcpy(bytes + 32, manifest->digest.bytes, DIGEST_BYTES);
    struct digest checksum = digest_of(bytes, MANIFEST_CHECKED_BYTES);
    memcpy(bytes + MANIFEST_CHECKED_BYTES, checksum.bytes, DIGEST_BYTES);
}

enum status manifest_decode(const void *bytes, size_t size, struct consensus_manifest *manifest)
{
    assert(manifest != NULL);
    const uint8_t *at = bytes;
    if (size != MANIFEST_BYTES || get_u64(at) != MANIFEST_MAGIC ||
        get_u32(at + 8) != MANIFEST_VERSION || get_u32(at + 12) != 0) {
        return STATUS_CORRUPT;
    }
    struct digest checksum = digest_of(at, MANIFEST_CHECKED_BYTES);
    if (memcmp(checksum.bytes, at + MANIFEST_CHECKED_BYTES, DIGEST_BYTES) != 0) {
        return STATUS_CORRUPT;
    }
    manifest->index = get_u64(at + 16);
    manifest->seq = get_u64(at + 24);
    memcpy(manifest->digest.bytes, at + 32, DIGEST_BYTES);
    return STATUS_OK;
}

/* --- when ---------------------------------------------------------------------------------------
 */

/*
 * raft compares its threshold with the entries since its last snapshot at every event: 1 makes it
 * take one now, the highest number never.
 */
static void snapshots_update_threshold(struct snapshots *snapshots)
{
    bool due =
        snapshots->bytes >= snapshots->bytes_max || snapshots->entries >= RAFT_SNAPSHOT_ENTRIES_MAX;
    bool now = due && !snapshots->held && snapshots->state == SNAPSHOT_IDLE;
    raft_set_snapshot_threshold(snapshots->raft, now ? 1 : UINT_MAX);
}

void snapshots_count(struct snapshots *snapshots, size_t size)
{
    snapshots->bytes += size;
    snapshots->entries++;
    snapshots_update_threshold(snapshots);
}

void snapshots_hold(struct snapshots *snapshots, bool hold)
{
    snapshots->held = hold;
    snapshots_update_threshold(snapshots);
}

void snapshots_restored(struct snapshots *snapshots)
{
    snapshots->bytes = 0;
    snapshots->entries = 0;
    snapshots_update_threshold(snapshots);
}

/* --- how ----------------------------------------------------------------------------------------
 */

int snapshots_begin(struct snapshots *snapshots, uint64_t index, struct raft_buffer *buffers[],
                    unsigned *buffers_count)
{
    if (snapshots->state != SNAPSHOT_IDLE || snapshots->held) {
        return RAFT_BUSY;
    }
    struct raft_buffer *made = raft_malloc(sizeof *made);
    void *bytes = raft_malloc(MANIFEST_BYTES);
    if (made == NULL || bytes == NULL) {
        raft_free(made);
        raft_free(bytes);
        return RAFT_NOMEM;
    }
    const struct consensus_manifest unknown = {.index = index};
    manifest_encode(&unknown, bytes);
    *made = (struct raft_buffer){.base = bytes, .len = MANIFEST_BYTES};

    /*
     * raft keeps trailing entries in memory, however long they are. No more than came since the
     * last snapshot: so memory stays within twice bytes_max. Never 0, which raft takes for an
     * installed snapshot and loses committed entries.
     */
    uint64_t trailing = snapshots->entries;
    if (trailing > snapshots->trailing_max) {
        trailing = snapshots->trailing_max;
    }
    raft_set_snapshot_trailing(snapshots->raft, trailing > 0 ? (unsigned)trailing : 1);

    snapshots->state = SNAPSHOT_ASKED;
    snapshots->index = index;
    snapshots->ready = false;
    snapshots->bytes = 0;
    snapshots->entries = 0;
    snapshots_update_threshold(snapshots);
    *buffers = made;
    *buffers_count = 1;
    return 0;
}

void snapshots_end(struct snapshots *snapshots, struct raft_buffer *buffers[],
                   unsigned *buffers_count)
{
    for (unsigned i = 0; i < *buffers_count; i++) {
        raft_free((*buffers)[i].base);
    }
    raft_free(*buffers);
    *buffers = NULL;
    *buffers_count = 0;
    snapshots->state = SNAPSHOT_IDLE;
    snapshots_update_threshold(snapshots);
}

static int snapshots_forward(struct snapshots *snapshots, struct raft_io *io)
{
    assert(snapshots->ready);
    assert(snapshots->manifest.index >= snapshots->index);
    const struct raft_snapshot *snapshot = snapshots->held_put.snapshot;
    assert(snapshot->n_bufs == 1 && snapshot->bufs[0].len == MANIFEST_BYTES);
    manifest_encode(&snapshots->manifest, snapshot->bufs[0].base);
    snapshots->state = SNAPSHOT_WRITING;
    int error = snapshots->put(io, snapshots->held_put.trailing, snapshots->held_put.request,
                               snapshot, snapshots->held_put.done);
    if (error == 0) {
        log_info("raft", "snapshot index=%llu seq=%llu trailing=%u",
                 (unsigned long long)snapshot->index, (unsigned long long)snapshots->manifest.seq,
                 snapshots->held_put.trailing);
    }
    return error;
}

static int snapshots_put(struct raft_io *io, unsigned trailing,
                         struct raft_io_snapshot_put *request, const struct raft_snapshot *snapshot,
                         raft_io_snapshot_put_cb done)
{
    struct snapshots *snapshots = &consensus_of(io)->snapshots;
    if (trailing == 0) {
        /* raft's mark for a snapshot received from the leader: nothing to wait for. */
        return snapshots->put(io, trailing, request, snapshot, done);
    }
    assert(snapshots->state == SNAPSHOT_ASKED);
    assert(snapshot->index == snapshots->index);
    snapshots->held_put.trailing = trailing;
    snapshots->held_put.request = request;
    snapshots->held_put.snapshot = snapshot;
    snapshots->held_put.done = done;
    snapshots->state = SNAPSHOT_WAITING;
    return snapshots->ready ? snapshots_forward(snapshots, io) : 0;
}

void snapshots_ready(struct snapshots *snapshots, const struct consensus_manifest *manifest)
{
    assert(manifest != NULL);
    if (snapshots->state != SNAPSHOT_ASKED && snapshots->state != SNAPSHOT_WAITING) {
        return; /* it was overtaken: the node closes */
    }
    snapshots->manifest = *manifest;
    snapshots->ready = true;
    if (snapshots->state == SNAPSHOT_WAITING) {
        int error = snapshots_forward(snapshots, snapshots->raft->io);
        assert(error == 0); /* the guard below stops the node on any error */
    }
}

void snapshots_cancel(struct snapshots *snapshots)
{
    if (snapshots->state == SNAPSHOT_WAITING) {
        snapshots->state = SNAPSHOT_WRITING;
        snapshots->held_put.done(snapshots->held_put.request, RAFT_CANCELED);
    }
}

void snapshots_install(struct snapshots *snapshots, struct raft *raft, uint64_t bytes_max,
                       uint32_t trailing_max)
{
    assert(bytes_max > 0);
    assert(trailing_max > 0);
    *snapshots = (struct snapshots){
        .raft = raft,
        .put = raft->io->snapshot_put,
        .bytes_max = bytes_max,
        .trailing_max = trailing_max,
    };
    raft->io->snapshot_put = snapshots_put;
    raft_set_snapshot_trailing(raft, trailing_max);
    snapshots_update_threshold(snapshots);
}
