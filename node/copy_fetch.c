/*
 * The fetching side of a state copy. It runs at start, before raft: this node neither votes nor
 * acknowledges anything until its ledger is whole again.
 *
 * Peers are asked in turn until one has reached the wanted index. The bytes go to ledger.new/, are
 * checked (SHA-256 of the stream, record counts, totals recomputed from the accounts), and only
 * then exchanged with ledger/ in one rename. A copy that breaks off is begun anew; what is there
 * already stays untouched until the exchange. Writing waits for the disk in this loop, which has
 * nothing else to do: TCP slows the other side down.
 */
#include "node/internal.h"

#include "base/log.h"
#include "node/copy_file.h"
#include "node/copy_form.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const PART = "fetch";

enum fetch_state {
    FETCH_IDLE,
    FETCH_CONNECTING,
    FETCH_VERDICT,
    FETCH_CHUNK_SIZE,
    FETCH_CHUNK,
    FETCH_TRAILER,
    FETCH_DONE
};

struct fetch {
    struct node *node;
    const struct consensus_options *options;
    uint64_t wanted_index;
    uint64_t wanted_term;
    enum fetch_state state;
    uint32_t next_peer; /* index into options->peers */
    uint32_t peer;
    uint32_t tries;
    struct stream *stream;
    uint8_t head[COPY_TRAILER_BYTES]; /* verdict, size or trailer, as far as it has come */
    size_t head_size;
    size_t chunk_left;
    struct copy_file *copy; /* NULL: none is open */
    uint64_t heard_at_ms;
    uint64_t retry_at_ms;
    char dir[PATH_BYTES_MAX + 16];
    char file[PATH_BYTES_MAX + 32];
};

/* The next peer is asked after a pause, or at once. */
static void fetch_give_up(struct fetch *fetch, uint32_t pause_ms)
{
    fetch->state = FETCH_IDLE;
    fetch->retry_at_ms = clock_monotonic_ms(fetch->node->clock) + pause_ms;
    if (fetch->stream != NULL) {
        stream_close(fetch->stream, STATUS_PROTOCOL, 0);
    }
}

static void fetch_fail(struct fetch *fetch, const char *why)
{
    if (fetch->state != FETCH_DONE) {
        log_warn(PART, "copy from node %u: %s", fetch->peer, why);
        fetch_give_up(fetch, COPY_RETRY_MS);
    }
}

static void disk_failed(const struct fetch *fetch) __attribute__((noreturn));
static void disk_failed(const struct fetch *fetch)
{
    fail_stop(EXIT_DISK, PART, "%s: %s", fetch->file, strerror(errno));
}

/* ---- the file ------------------------------------------------------------------------------ */

static void fetch_remove(struct fetch *fetch)
{
    char path[sizeof(fetch->file) + 16];
    (void)unlink(fetch->file);
    (void)snprintf(path, sizeof(path), "%s/lock.mdb", fetch->dir);
    (void)unlink(path);
    (void)rmdir(fetch->dir);
}

static void fetch_file_open(struct fetch *fetch)
{
    copy_file_close(fetch->copy);
    fetch->copy = NULL;
    fetch_remove(fetch);
    if (mkdir(fetch->dir, 0700) != 0 || copy_file_open(&fetch->copy, fetch->file) != STATUS_OK) {
        disk_failed(fetch);
    }
}

/* ---- the stream ---------------------------------------------------------------------------- */

static void fetch_verdict(struct fetch *fetch)
{
    if (fetch->head[0] == COPY_LEADS) {
        log_info(PART, "node %u leads: the others are asked first", fetch->peer);
        fetch_give_up(fetch, 0);
        return;
    }
    if (fetch->head[0] != COPY_FOLLOWS) {
        fetch_fail(fetch, "it has not reached the wanted state itself");
        return;
    }
    log_info(PART, "copying the state of node %u", fetch->peer);
    fetch_file_open(fetch);
    fetch->state = FETCH_CHUNK_SIZE;
}

static void fetch_chunk_size(struct fetch *fetch)
{
    const uint32_t size = get_u32(fetch->head);
    if (size > COPY_CHUNK_BYTES_MAX) {
        fetch_fail(fetch, "a chunk is too long");
        return;
    }
    fetch->chunk_left = size;
    fetch->state = size > 0 ? FETCH_CHUNK : FETCH_TRAILER;
}

static void fetch_chunk(struct fetch *fetch, struct reader *from)
{
    const size_t left = reader_left(from);
    const size_t size = left < fetch->chunk_left ? left : fetch->chunk_left;
    if (copy_file_write(fetch->copy, read_bytes(from, size), size) != STATUS_OK) {
        disk_failed(fetch);
    }
    fetch->chunk_left -= size;
    if (fetch->chunk_left == 0) {
        fetch->state = FETCH_CHUNK_SIZE;
    }
}

static void fetch_trailer(struct fetch *fetch)
{
    struct digest digest;
    uint64_t bytes = 0;
    if (copy_file_end(fetch->copy, &bytes, &digest) != STATUS_OK) {
        disk_failed(fetch);
    }
    if (get_u64(fetch->head) != bytes || memcmp(fetch->head + 8, digest.bytes, DIGEST_BYTES) != 0) {
        fetch_fail(fetch, "the checksum of the copy is wrong");
        return;
    }
    log_info(PART, "all has come, and is checked now: bytes=%llu", (unsigned long long)bytes);
    fetch->state = FETCH_DONE;
    /* It stays open, and its end unread, until the copy is checked: the peer keeps the log as long.
     */
    stream_pause(fetch->stream);
}

/* Gathers a head of so many bytes; true once it is whole. */
static bool fetch_gather(struct fetch *fetch, struct reader *from, size_t wanted)
{
    assert(wanted <= sizeof(fetch->head) && fetch->head_size < wanted);
    const size_t missing = wanted - fetch->head_size;
    const size_t left = reader_left(from);
    const size_t size = left < missing ? left : missing;
    memcpy(fetch->head + fetch->head_size, read_bytes(from, size), size);
    fetch->head_size += size;
    if (fetch->head_size < wanted) {
        return false;
    }
    fetch->head_size = 0;
    return true;
}

static void fetch_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    (void)stream;
    struct fetch *fetch = data;
    struct reader from = reader_of(bytes, size);
    while (reader_left(&from) > 0 && fetch->state != FETCH_IDLE && fetch->state != FETCH_DONE) {
        if (fetch->state == FETCH_CHUNK) {
            fetch_chunk(fetch, &from);
        } else if (fetch->state == FETCH_CHUNK_SIZE) {
            if (fetch_gather(fetch, &from, 4)) {
                fetch_chunk_size(fetch);
            }
        } else if (fetch->state == FETCH_TRAILER) {
            if (fetch_gather(fetch, &from, COPY_TRAILER_BYTES)) {
                fetch_trailer(fetch);
            }
        } else if (fetch_gather(fetch, &from, 1)) {
            fetch_verdict(fetch);
        }
    }
    /* After the writing, which may have waited for the disk. */
    fetch->heard_at_ms = clock_monotonic_ms(fetch->node->clock);
}

static void fetch_on_close(struct stream *stream, void *data, enum status status)
{
    (void)stream;
    struct fetch *fetch = data;
    fetch->stream = NULL;
    if (fetch->state != FETCH_IDLE) {
        fetch_fail(fetch, status_text(status));
    }
}

/* Each peer is asked once whether it can give the state without leading; then anyone may. */
static uint32_t fetch_magic(const struct fetch *fetch)
{
    return fetch->tries < fetch->options->peers_count ? COPY_MAGIC_FOLLOWER : COPY_MAGIC;
}

static void fetch_on_open(void *data, struct stream *stream, enum status status)
{
    static const struct stream_callbacks callbacks = {.on_data = fetch_on_data,
                                                      .on_close = fetch_on_close};
    struct fetch *fetch = data;
    if (status != STATUS_OK) {
        fetch_fail(fetch, status_text(status));
        return;
    }
    fetch->stream = stream;
    stream_set_callbacks(stream, &callbacks, fetch);
    fetch->head_size = 0;
    uint8_t ask[COPY_ASK_BYTES];
    put_u32(ask, fetch_magic(fetch));
    put_u64(ask + 4, fetch->wanted_index);
    put_u64(ask + 12, fetch->wanted_term);
    fetch->state = FETCH_VERDICT;
    fetch->heard_at_ms = clock_monotonic_ms(fetch->node->clock);
    if (stream_write(stream, ask, sizeof(ask)) != STATUS_OK) {
        fetch_fail(fetch, "the question could not be sent");
    }
}

static void fetch_try(struct fetch *fetch, uint64_t now_ms)
{
    const struct consensus_options *options = fetch->options;
    for (uint32_t i = 0; i < options->peers_count; i++) {
        const struct consensus_peer *peer = &options->peers[fetch->next_peer];
        fetch->next_peer = (fetch->next_peer + 1) % options->peers_count;
        if (peer->id != options->identity.node_id) {
            fetch->peer = peer->id;
            break;
        }
    }
    fetch->tries++;
    fetch->state = FETCH_CONNECTING;
    fetch->heard_at_ms = now_ms;
    enum status status = consensus_copy_connect(options, fetch->peer, fetch_on_open, fetch);
    if (status != STATUS_OK) {
        fetch_fail(fetch, status_text(status));
    }
}

/* ---- the whole of it ----------------------------------------------------------------------- */

static void fetch_round(struct fetch *fetch)
{
    uint64_t now_ms = clock_monotonic_ms(fetch->node->clock);
    bool busy = fetch->state != FETCH_IDLE && fetch->state != FETCH_DONE;
    if (busy && now_ms - fetch->heard_at_ms > COPY_STALL_MS) {
        fetch_fail(fetch, "nothing came for too long");
    }
    if (fetch->state == FETCH_IDLE && fetch->stream == NULL && now_ms >= fetch->retry_at_ms) {
        fetch_try(fetch, now_ms);
    }
    (void)uv_run(&fetch->node->loop, UV_RUN_ONCE);
}

enum status copy_fetch(struct node *node, const struct consensus_options *options,
                       const struct consensus_manifest *manifest)
{
    struct fetch fetch = {.node = node,
                          .options = options,
                          .wanted_index = manifest->index,
                          .wanted_term = manifest->term};
    (void)snprintf(fetch.dir, sizeof(fetch.dir), "%s/" COPY_DIR, datadir_path(node->dir));
    (void)snprintf(fetch.file, sizeof(fetch.file), "%s/data.mdb", fetch.dir);
    log_info(PART, "this node needs the state at raft index %llu or later",
             (unsigned long long)manifest->index);
    uint64_t index = 0;
    bool sound = false;
    while (!sound && node->stop == STOP_NO) {
        fetch_round(&fetch);
        if (fetch.state == FETCH_DONE) {
            sound = copy_check(node, fetch.dir, fetch.wanted_index, &index);
            fetch_give_up(&fetch, COPY_RETRY_MS);
        }
    }
    copy_file_close(fetch.copy);
    if (sound) {
        copy_exchange(node, fetch.dir, index);
    }
    /* What still closes must not touch this frame any more. */
    while (fetch.stream != NULL || fetch.state == FETCH_CONNECTING) {
        if (fetch.stream != NULL) {
            stream_close(fetch.stream, STATUS_CLOSED, 0);
        }
        (void)uv_run(&node->loop, UV_RUN_ONCE);
    }
    return sound ? STATUS_OK : STATUS_CLOSED;
}
