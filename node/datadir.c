/*
 * Format writes the identity last: a directory without one was never finished. Open reads it first,
 * so that an absent or foreign directory is left as it was found, then takes the lock.
 */
#include "node/datadir.h"

#include "base/check.h"
#include "node/directory.h"
#include "node/note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct note_kind note_identity = {"identity", "paylIDEN"};
static const struct note_kind note_peers = {"peers", "paylPEER"};
static const struct note_kind note_needs_state = {"needs-state", "paylNEED"};
static const struct note_kind note_copy_index = {"copy-index", "paylCOPY"};
static const struct note_kind note_log_index = {"log-index", "paylLOGI"};

enum { NEEDS_STATE_BYTES = 8 + 8 + 8 + DIGEST_BYTES };

struct peer_record {
    uint32_t node;
    uint8_t incarnation[16];
};

struct datadir {
    int fd;
    int lock_fd;
    struct consensus_identity identity;
    struct peer_record peers[PEER_RECORDS_MAX];
    uint32_t peers_count;
    char path[PATH_BYTES_MAX];
    char raft_path[PATH_BYTES_MAX + 8];
    char ledger_path[PATH_BYTES_MAX + 8];
};

/* The form of the identity note. */
struct identity_note {
    struct consensus_identity identity;
    uint32_t members[NODES_MAX];
    uint32_t members_count;
};

static __attribute__((format(printf, 4, 5))) enum status
fail(enum status status, char *error, size_t error_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error, error_size, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- identity ----------------------------------------------------------------------------- */

struct digest datadir_cluster_id(const struct config *config)
{
    assert(config->nodes_count > 0);
    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    write_text(&bytes, text_of(config->cluster));
    write_u32(&bytes, config->nodes_count);
    for (uint32_t i = 0; i < config->nodes_count; i++) {
        write_u32(&bytes, config->nodes[i].id);
    }
    /* A hundred bytes: without them nothing else could start either. */
    assert(!bytes.failed);
    const struct digest digest = digest_of(bytes.data, bytes.size);
    buffer_deinit(&bytes);
    return digest;
}

static struct identity_note identity_of(const struct config *config)
{
    struct identity_note note = {.members_count = config->nodes_count};
    note.identity.cluster_id = datadir_cluster_id(config);
    note.identity.node_id = config_self(config)->id;
    for (uint32_t i = 0; i < config->nodes_count; i++) {
        note.members[i] = config->nodes[i].id;
    }
    return note;
}

static enum status identity_write(int fd, const struct identity_note *note)
{
    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    write_bytes(&bytes, note->identity.cluster_id.bytes, DIGEST_BYTES);
    write_u32(&bytes, note->identity.node_id);
    write_bytes(&bytes, note->identity.incarnation, sizeof(note->identity.incarnation));
    write_u32(&bytes, note->members_count);
    for (uint32_t i = 0; i < note->members_count; i++) {
        write_u32(&bytes, note->members[i]);
    }
    enum status status = STATUS_NO_MEMORY;
    if (!bytes.failed) {
        status = note_write(fd, &note_identity, bytes.data, bytes.size);
    }
    buffer_deinit(&bytes);
    return status;
}

static enum status identity_parse(struct text bytes, struct identity_note *note)
{
    struct reader reader = reader_of(bytes.data, bytes.size);
    const uint8_t *cluster_id = read_bytes(&reader, DIGEST_BYTES);
    uint32_t node_id = read_u32(&reader);
    const uint8_t *incarnation = read_bytes(&reader, sizeof(note->identity.incarnation));
    uint32_t count = read_u32(&reader);
    if (reader.failed || cluster_id == NULL || incarnation == NULL || count == 0 ||
        count > NODES_MAX || reader_left(&reader) != 4 * (size_t)count) {
        return STATUS_CORRUPT;
    }
    *note = (struct identity_note){.members_count = count};
    memcpy(note->identity.cluster_id.bytes, cluster_id, DIGEST_BYTES);
    note->identity.node_id = node_id;
    memcpy(note->identity.incarnation, incarnation, sizeof(note->identity.incarnation));
    for (uint32_t i = 0; i < count; i++) {
        note->members[i] = read_u32(&reader);
    }
    assert(!reader.failed && reader_left(&reader) == 0);
    return STATUS_OK;
}

static enum status identity_read(int fd, struct identity_note *note)
{
    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    enum status status = note_read(fd, &note_identity, &bytes);
    if (status == STATUS_OK) {
        status = identity_parse((struct text){(const char *)bytes.data, bytes.size}, note);
    }
    buffer_deinit(&bytes);
    return status;
}

/* Is the directory this node's of this cluster? */
static enum status identity_check(int fd, const struct config *config,
                                  struct consensus_identity *identity, char *error,
                                  size_t error_size)
{
    struct identity_note found;
    const struct identity_note wanted = identity_of(config);
    enum status status = identity_read(fd, &found);
    if (status == STATUS_NOT_FOUND) {
        return fail(STATUS_FOREIGN, error, error_size,
                    "%s: holds no node (empty, or its format was not finished); a node that lost "
                    "its data must not come back under its old number",
                    config->data);
    }
    if (status == STATUS_CORRUPT) {
        return fail(STATUS_FOREIGN, error, error_size, "%s/identity: is damaged", config->data);
    }
    if (status != STATUS_OK) {
        return fail(status, error, error_size, "%s/identity: %s", config->data, strerror(errno));
    }
    if (found.identity.node_id != wanted.identity.node_id) {
        return fail(STATUS_FOREIGN, error, error_size, "%s: belongs to node %u, not to node %u",
                    config->data, found.identity.node_id, wanted.identity.node_id);
    }
    if (!digest_equal(&found.identity.cluster_id, &wanted.identity.cluster_id)) {
        return fail(STATUS_FOREIGN, error, error_size,
                    "%s: belongs to another cluster than \"%s\" (name or members differ)",
                    config->data, config->cluster);
    }
    *identity = found.identity;
    return STATUS_OK;
}

/* ---- format ------------------------------------------------------------------------------- */

/* Everything inside the directory, the identity last. */
static enum status format_contents(int fd, const struct config *config, char *error,
                                   size_t error_size)
{
    struct identity_note note = identity_of(config);
    random_bytes(note.identity.incarnation, sizeof(note.identity.incarnation));

    char path[PATH_BYTES_MAX + 8];
    (void)snprintf(path, sizeof(path), "%s/ledger", config->data);
    if (!directory_make(path)) {
        return fail(STATUS_IO, error, error_size, "%s: %s", path, strerror(errno));
    }
    (void)snprintf(path, sizeof(path), "%s/raft", config->data);
    if (!directory_make(path)) {
        return fail(STATUS_IO, error, error_size, "%s: %s", path, strerror(errno));
    }
    struct consensus_peer peers[NODES_MAX];
    for (uint32_t i = 0; i < config->nodes_count; i++) {
        const struct config_node *node = &config->nodes[i];
        peers[i] = (struct consensus_peer){.id = node->id, .port = node->peer_port};
        memcpy(peers[i].host, node->peer_host, sizeof(peers[i].host));
    }
    enum status status =
        consensus_format(path, &note.identity, peers, config->nodes_count, error, error_size);
    if (status != STATUS_OK) {
        return status;
    }
    status = identity_write(fd, &note);
    if (status != STATUS_OK) {
        return fail(status, error, error_size, "%s/identity: %s", config->data, strerror(errno));
    }
    return STATUS_OK;
}

enum status datadir_format(const struct config *config, char *error, size_t error_size)
{
    assert(config->data[0] != '\0');
    assert(error_size > 0);
    const char *path = config->data;
    if (!directory_make_all(path)) {
        return fail(STATUS_IO, error, error_size, "%s: %s", path, strerror(errno));
    }
    enum status status = directory_empty(path);
    if (status == STATUS_EXISTS) {
        return fail(status, error, error_size, "%s: is not empty; format never overwrites", path);
    }
    if (status != STATUS_OK) {
        return fail(status, error, error_size, "%s: %s", path, strerror(errno));
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail(STATUS_IO, error, error_size, "%s: %s", path, strerror(errno));
    }
    int lock_fd = -1;
    status = directory_lock(fd, path, &lock_fd, error, error_size);
    if (status == STATUS_OK) {
        status = format_contents(fd, config, error, error_size);
        (void)close(lock_fd);
    }
    (void)close(fd);
    return status;
}

/* ---- open --------------------------------------------------------------------------------- */

static enum status peers_read(struct datadir *dir)
{
    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    enum status status = note_read(dir->fd, &note_peers, &bytes);
    if (status == STATUS_OK) {
        struct reader reader = reader_of(bytes.data, bytes.size);
        uint32_t count = read_u32(&reader);
        if (count > PEER_RECORDS_MAX) {
            reader.failed = true;
        }
        for (uint32_t i = 0; i < count && !reader.failed; i++) {
            dir->peers[i].node = read_u32(&reader);
            const uint8_t *incarnation = read_bytes(&reader, sizeof(dir->peers[i].incarnation));
            if (incarnation != NULL) {
                memcpy(dir->peers[i].incarnation, incarnation, sizeof(dir->peers[i].incarnation));
            }
        }
        dir->peers_count = count;
        status = reader.failed || reader_left(&reader) != 0 ? STATUS_CORRUPT : STATUS_OK;
    }
    buffer_deinit(&bytes);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/*
 * Format made both directories before the identity: one that is missing took raft's votes or the
 * accounts with it, and must not silently begin anew.
 */
static enum status part_check(const char *path, const char *what, char *error, size_t error_size)
{
    struct stat entry;
    if (stat(path, &entry) != 0 && errno != ENOENT && errno != ENOTDIR) {
        return fail(STATUS_IO, error, error_size, "%s: %s", path, strerror(errno));
    }
    if (stat(path, &entry) != 0 || !S_ISDIR(entry.st_mode)) {
        return fail(
            STATUS_FOREIGN, error, error_size,
            "%s: is missing or no directory: %s is lost; a node that lost its data must not "
            "come back under its old number",
            path, what);
    }
    return STATUS_OK;
}

static enum status datadir_check(struct datadir *dir, const struct config *config, char *error,
                                 size_t error_size)
{
    enum status status = identity_check(dir->fd, config, &dir->identity, error, error_size);
    if (status == STATUS_OK) {
        status = directory_lock(dir->fd, config->data, &dir->lock_fd, error, error_size);
    }
    if (status == STATUS_OK) {
        status = part_check(dir->raft_path, "raft's log", error, error_size);
    }
    if (status == STATUS_OK) {
        status = part_check(dir->ledger_path, "the ledger", error, error_size);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = peers_read(dir);
    if (status == STATUS_CORRUPT) {
        return fail(STATUS_FOREIGN, error, error_size, "%s/peers: is damaged", config->data);
    }
    if (status != STATUS_OK) {
        return fail(status, error, error_size, "%s/peers: %s", config->data, strerror(errno));
    }
    return STATUS_OK;
}

enum status datadir_open(struct datadir **opened, const struct config *config, char *error,
                         size_t error_size)
{
    assert(config->data[0] != '\0');
    assert(error_size > 0);
    int fd = open(config->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        return fail(absent ? STATUS_FOREIGN : STATUS_IO, error, error_size, "%s: %s%s",
                    config->data, strerror(errno), absent ? " (payledgerd format makes it)" : "");
    }
    struct datadir *dir = calloc(1, sizeof(*dir));
    if (dir == NULL) {
        (void)close(fd);
        return fail(STATUS_NO_MEMORY, error, error_size, "out of memory");
    }
    dir->fd = fd;
    dir->lock_fd = -1;
    memcpy(dir->path, config->data, sizeof(dir->path));
    (void)snprintf(dir->raft_path, sizeof(dir->raft_path), "%s/raft", config->data);
    (void)snprintf(dir->ledger_path, sizeof(dir->ledger_path), "%s/ledger", config->data);
    enum status status = datadir_check(dir, config, error, error_size);
    if (status != STATUS_OK) {
        datadir_close(dir);
        return status;
    }
    *opened = dir;
    return STATUS_OK;
}

void datadir_close(struct datadir *dir)
{
    if (dir == NULL) {
        return;
    }
    if (dir->lock_fd >= 0) {
        (void)close(dir->lock_fd);
    }
    (void)close(dir->fd);
    free(dir);
}

const struct consensus_identity *datadir_identity(const struct datadir *dir)
{
    return &dir->identity;
}

const char *datadir_raft_path(const struct datadir *dir)
{
    return dir->raft_path;
}

const char *datadir_ledger_path(const struct datadir *dir)
{
    return dir->ledger_path;
}

const char *datadir_path(const struct datadir *dir)
{
    return dir->path;
}

/* ---- peers -------------------------------------------------------------------------------- */

static enum status peers_write(const struct datadir *dir, uint32_t count)
{
    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    write_u32(&bytes, count);
    for (uint32_t i = 0; i < count; i++) {
        write_u32(&bytes, dir->peers[i].node);
        write_bytes(&bytes, dir->peers[i].incarnation, sizeof(dir->peers[i].incarnation));
    }
    enum status status = STATUS_NO_MEMORY;
    if (!bytes.failed) {
        status = note_write(dir->fd, &note_peers, bytes.data, bytes.size);
    }
    buffer_deinit(&bytes);
    return status;
}

enum status datadir_peer_incarnation(struct datadir *dir, uint32_t node,
                                     const uint8_t incarnation[16], enum datadir_contact *contact)
{
    assert(node > 0 && node <= NODE_ID_MAX);
    const uint8_t *known = NULL;
    if (node == dir->identity.node_id) {
        known = dir->identity.incarnation;
    }
    for (uint32_t i = 0; i < dir->peers_count; i++) {
        if (dir->peers[i].node == node) {
            known = dir->peers[i].incarnation;
        }
    }
    if (known != NULL) {
        *contact = memcmp(known, incarnation, 16) == 0 ? CONTACT_SAME : CONTACT_FOREIGN;
        return STATUS_OK;
    }
    if (dir->peers_count == PEER_RECORDS_MAX) {
        return STATUS_LIMIT;
    }
    struct peer_record *record = &dir->peers[dir->peers_count];
    record->node = node;
    memcpy(record->incarnation, incarnation, sizeof(record->incarnation));
    enum status status = peers_write(dir, dir->peers_count + 1);
    if (status != STATUS_OK) {
        return status;
    }
    dir->peers_count += 1;
    *contact = CONTACT_RECORDED;
    return STATUS_OK;
}

/* ---- notes -------------------------------------------------------------------------------- */

enum status datadir_needs_state_write(struct datadir *dir,
                                      const struct consensus_manifest *manifest)
{
    uint8_t payload[NEEDS_STATE_BYTES];
    put_u64(payload, manifest->index);
    put_u64(payload + 8, manifest->term);
    put_u64(payload + 16, manifest->seq);
    memcpy(payload + 24, manifest->digest.bytes, DIGEST_BYTES);
    return note_write(dir->fd, &note_needs_state, payload, sizeof(payload));
}

enum status datadir_needs_state_read(const struct datadir *dir, struct consensus_manifest *manifest)
{
    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    enum status status = note_read(dir->fd, &note_needs_state, &bytes);
    if (status == STATUS_OK && bytes.size != NEEDS_STATE_BYTES) {
        status = STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        manifest->index = get_u64(bytes.data);
        manifest->term = get_u64(bytes.data + 8);
        manifest->seq = get_u64(bytes.data + 16);
        memcpy(manifest->digest.bytes, bytes.data + 24, DIGEST_BYTES);
    }
    buffer_deinit(&bytes);
    return status;
}

enum status datadir_needs_state_clear(struct datadir *dir)
{
    return note_remove(dir->fd, &note_needs_state);
}

static enum status index_write(struct datadir *dir, const struct note_kind *kind, uint64_t index)
{
    uint8_t payload[8];
    put_u64(payload, index);
    return note_write(dir->fd, kind, payload, sizeof(payload));
}

/* 0 where there is no such note. */
static enum status index_read(const struct datadir *dir, const struct note_kind *kind,
                              uint64_t *index)
{
    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    enum status status = note_read(dir->fd, kind, &bytes);
    if (status == STATUS_OK && bytes.size != 8) {
        status = STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        *index = get_u64(bytes.data);
    } else if (status == STATUS_NOT_FOUND) {
        *index = 0;
        status = STATUS_OK;
    }
    buffer_deinit(&bytes);
    return status;
}

enum status datadir_copy_index_write(struct datadir *dir, uint64_t index)
{
    return index_write(dir, &note_copy_index, index);
}

enum status datadir_copy_index_read(const struct datadir *dir, uint64_t *index)
{
    return index_read(dir, &note_copy_index, index);
}

enum status datadir_log_index_write(struct datadir *dir, uint64_t index)
{
    return index_write(dir, &note_log_index, index);
}

enum status datadir_log_index_read(const struct datadir *dir, uint64_t *index)
{
    return index_read(dir, &note_log_index, index);
}

bool datadir_is_marked(const struct datadir *dir)
{
    return faccessat(dir->fd, DATADIR_DAMAGED, F_OK, 0) == 0;
}

uint64_t datadir_mark_index(const struct datadir *dir)
{
    uint8_t bytes[DATADIR_MARK_BYTES] = {0};
    const int fd = openat(dir->fd, DATADIR_DAMAGED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return 0;
    }
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    (void)close(fd);
    const uint64_t index = get_u64(bytes);
    return size == (ssize_t)sizeof(bytes) && get_u64(bytes + 8) == ~index ? index : 0;
}

enum status datadir_mark_clear(struct datadir *dir)
{
    if (unlinkat(dir->fd, DATADIR_DAMAGED, 0) != 0 && errno != ENOENT) {
        return STATUS_IO;
    }
    return fsync(dir->fd) == 0 ? STATUS_OK : STATUS_IO;
}

int datadir_fd(const struct datadir *dir)
{
    return dir->fd;
}
