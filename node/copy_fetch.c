/*
 * The fetching side of a state copy. It runs at start, before raft: this node neither votes nor
 * acknowledges anything until its ledger is whole again.
 *
 * Peers are asked in turn until one has reached the wanted index. The bytes go to ledger.new/, are
 * checked (SHA-256 of the stream, record counts, totals recomputed from the accounts), and only
 * then exchanged with ledger/ in one rename. A copy that breaks off is begun anew; what is there
 * already stays untouched until the exchange.
 */
#include "node/internal.h"

#include "base/log.h"
#include "node/copy_form.h"

#include <errno.h>
#include <fcntl.h>
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
    FETCH_CHUNKS,
    FETCH_TRAILER,
    FETCH_DONE
};

enum { FETCH_BUFFER_BYTES_MAX = 4 * STREAM_READ_BYTES + COPY_CHUNK_BYTES_MAX };

struct fetch {
    struct node *node;
    const struct consensus_options *options;
    uint64_t wanted_index;
    uint64_t wanted_term;
    enum fetch_state state;
    uint32_t next_peer; /* index into options->peers */
    uint32_t peer;
    struct stream *stream;
    struct buffer in;
    struct hasher *hasher;
    uint64_t bytes;
    uint64_t told_bytes;
    uint64_t heard_at_ms;
    uint64_t retry_at_ms;
    int fd;
    char dir[PATH_BYTES_MAX + 16];
    char file[PATH_BYTES_MAX + 32];
};

static void fetch_fail(struct fetch *fetch, const char *why)
{
    if (fetch->state == FETCH_DONE) {
        return;
    }
    log_warn(PART, "copy from node %u: %s", fetch->peer, why);
    fetch->state = FETCH_IDLE;
    fetch->retry_at_ms = clock_monotonic_ms(fetch->node->clock) + COPY_RETRY_MS;
    if (fetch->stream != NULL) {
        stream_close(fetch->stream, STATUS_PROTOCOL, 0);
    }
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
    fetch_remove(fetch);
    if (fetch->fd >= 0) {
        (void)close(fetch->fd);
    }
    if (mkdir(fetch->dir, 0700) != 0 ||
        (fetch->fd = open(fetch->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0) {
        fail_stop(EXIT_DISK, PART, "%s: %s", fetch->file, strerror(errno));
    }
    hasher_begin(fetch->hasher);
    fetch->bytes = 0;
    fetch->told_bytes = 0;
}

static void fetch_file_write(struct fetch *fetch, const uint8_t *bytes, size_t size)
{
    hasher_add(fetch->hasher, bytes, size);
    fetch->bytes += size;
    while (size > 0) {
        ssize_t written = write(fetch->fd, bytes, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            fail_stop(EXIT_DISK, PART, "%s: %s", fetch->file, strerror(errno));
        }
        bytes += written;
        size -= (size_t)written;
    }
}

/* ---- the stream ---------------------------------------------------------------------------- */

static bool fetch_verdict(struct fetch *fetch)
{
    if (fetch->in.size < 1) {
        return false;
    }
    uint8_t verdict = fetch->in.data[0];
    buffer_consume(&fetch->in, 1);
    if (verdict != COPY_FOLLOWS) {
        fetch_fail(fetch, "it has not reached the wanted state itself");
        return false;
    }
    log_info(PART, "copying the state of node %u", fetch->peer);
    fetch_file_open(fetch);
    fetch->state = FETCH_CHUNKS;
    return true;
}

static bool fetch_chunk(struct fetch *fetch)
{
    if (fetch->in.size < 4) {
        return false;
    }
    uint32_t size = get_u32(fetch->in.data);
    if (size > COPY_CHUNK_BYTES_MAX) {
        fetch_fail(fetch, "a chunk is too long");
        return false;
    }
    if (size == 0) {
        buffer_consume(&fetch->in, 4);
        fetch->state = FETCH_TRAILER;
        return true;
    }
    if (fetch->in.size < 4 + (size_t)size) {
        return false;
    }
    fetch_file_write(fetch, fetch->in.data + 4, size);
    buffer_consume(&fetch->in, 4 + (size_t)size);
    return true;
}

static void fetch_trailer(struct fetch *fetch)
{
    if (fetch->in.size < COPY_TRAILER_BYTES) {
        return;
    }
    struct digest digest = hasher_end(fetch->hasher);
    if (get_u64(fetch->in.data) != fetch->bytes ||
        memcmp(fetch->in.data + 8, digest.bytes, DIGEST_BYTES) != 0) {
        fetch_fail(fetch, "the checksum of the copy is wrong");
        return;
    }
    if (fsync(fetch->fd) != 0) {
        fail_stop(EXIT_DISK, PART, "%s: %s", fetch->file, strerror(errno));
    }
    fetch->state = FETCH_DONE;
    stream_close(fetch->stream, STATUS_OK, 0);
}

static void fetch_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    (void)stream;
    struct fetch *fetch = data;
    fetch->heard_at_ms = clock_monotonic_ms(fetch->node->clock);
    write_bytes(&fetch->in, bytes, size);
    if (fetch->in.failed) {
        fetch_fail(fetch, "it sends more than was asked for");
        return;
    }
    bool more = true;
    while (more) {
        more = false;
        if (fetch->state == FETCH_VERDICT) {
            more = fetch_verdict(fetch);
        } else if (fetch->state == FETCH_CHUNKS) {
            more = fetch_chunk(fetch);
        }
    }
    if (fetch->state == FETCH_TRAILER) {
        fetch_trailer(fetch);
    }
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
    buffer_clear(&fetch->in);
    uint8_t ask[COPY_ASK_BYTES];
    put_u32(ask, COPY_MAGIC);
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
    fetch->state = FETCH_CONNECTING;
    fetch->heard_at_ms = now_ms;
    enum status status = consensus_copy_connect(options, fetch->peer, fetch_on_open, fetch);
    if (status != STATUS_OK) {
        fetch_fail(fetch, status_text(status));
    }
}

/* ---- the whole of it */

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
                          .wanted_term = manifest->term,
                          .fd = -1};
    (void)snprintf(fetch.dir, sizeof(fetch.dir), "%s/ledger.new", datadir_path(node->dir));
    (void)snprintf(fetch.file, sizeof(fetch.file), "%s/data.mdb", fetch.dir);
    buffer_init(&fetch.in, FETCH_BUFFER_BYTES_MAX);
    if (hasher_open(&fetch.hasher) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    log_info(PART, "this node needs the state at raft index %llu or later",
             (unsigned long long)manifest->index);
    uint64_t index = 0;
    bool sound = false;
    while (!sound && node->stop == STOP_NO) {
        fetch_round(&fetch);
        if (fetch.state == FETCH_DONE && fetch.stream == NULL) {
            sound = copy_check(node, fetch.dir, fetch.wanted_index, &index);
            fetch.state = FETCH_IDLE;
            fetch.retry_at_ms = clock_monotonic_ms(node->clock) + COPY_RETRY_MS;
        }
    }
    if (fetch.fd >= 0) {
        (void)close(fetch.fd);
    }
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
    hasher_close(fetch.hasher);
    buffer_deinit(&fetch.in);
    return sound ? STATUS_OK : STATUS_CLOSED;
}
