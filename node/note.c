#include "node/note.h"

#include "base/check.h"
#include "base/crypto.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_HEAD_BYTES = NOTE_MAGIC_BYTES + 4 + 4, NOTE_NAME_BYTES_MAX = 64 };

static_assert(NOTE_BYTES_MAX > NOTE_HEAD_BYTES + DIGEST_BYTES, "a note has room for its payload");

static enum status write_all(int fd, const uint8_t *bytes, size_t size)
{
    size_t written = 0;
    while (written < size) {
        ssize_t count = write(fd, bytes + written, size - written);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return STATUS_IO;
        }
        written += (size_t)count;
    }
    return STATUS_OK;
}

/* Writes and syncs the temporary file; where that fails it is removed again. */
static enum status write_temporary(int dir_fd, const char *name, const struct buffer *bytes)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return STATUS_IO;
    }
    enum status status = write_all(fd, bytes->data, bytes->size);
    if (status == STATUS_OK && fsync(fd) != 0) {
        status = STATUS_IO;
    }
    int error = errno;
    if (close(fd) != 0 && status == STATUS_OK) {
        error = errno;
        status = STATUS_IO;
    }
    if (status != STATUS_OK) {
        (void)unlinkat(dir_fd, name, 0);
        errno = error;
    }
    return status;
}

enum status note_write(int dir_fd, const struct note_kind *kind, const void *payload, size_t size)
{
    assert(dir_fd >= 0);
    assert(size <= NOTE_BYTES_MAX - NOTE_HEAD_BYTES - DIGEST_BYTES);
    char temporary[NOTE_NAME_BYTES_MAX];
    int length = snprintf(temporary, sizeof(temporary), "%s.tmp", kind->name);
    assert(length > 0 && (size_t)length < sizeof(temporary));

    struct buffer bytes;
    buffer_init(&bytes, NOTE_BYTES_MAX);
    write_bytes(&bytes, kind->magic, NOTE_MAGIC_BYTES);
    write_u32(&bytes, NOTE_VERSION);
    write_u32(&bytes, (uint32_t)size);
    write_bytes(&bytes, payload, size);
    if (!bytes.failed) {
        const struct digest digest = digest_of(bytes.data, bytes.size);
        write_bytes(&bytes, digest.bytes, sizeof(digest.bytes));
    }
    enum status status = STATUS_NO_MEMORY;
    if (!bytes.failed) {
        status = write_temporary(dir_fd, temporary, &bytes);
    }
    buffer_deinit(&bytes);
    if (status != STATUS_OK) {
        return status;
    }
    if (renameat(dir_fd, temporary, dir_fd, kind->name) != 0 || fsync(dir_fd) != 0) {
        return STATUS_IO;
    }
    return STATUS_OK;
}

/* Reads up to size bytes; *read is less only at the end of the file. */
static enum status read_all(int fd, uint8_t *bytes, size_t size, size_t *read_size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t count = read(fd, bytes + got, size - got);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return STATUS_IO;
        }
        if (count == 0) {
            break;
        }
        got += (size_t)count;
    }
    *read_size = got;
    return STATUS_OK;
}

static enum status note_check(const struct note_kind *kind, const uint8_t *bytes, size_t size,
                              struct buffer *out)
{
    struct reader reader = reader_of(bytes, size);
    const uint8_t *magic = read_bytes(&reader, NOTE_MAGIC_BYTES);
    uint32_t version = read_u32(&reader);
    uint32_t payload_size = read_u32(&reader);
    const uint8_t *payload = read_bytes(&reader, payload_size);
    const size_t covered = size - reader_left(&reader);
    const uint8_t *stored = read_bytes(&reader, DIGEST_BYTES);
    if (reader.failed || reader_left(&reader) != 0 || magic == NULL || stored == NULL ||
        memcmp(magic, kind->magic, NOTE_MAGIC_BYTES) != 0 || version != NOTE_VERSION) {
        return STATUS_CORRUPT;
    }
    const struct digest digest = digest_of(bytes, covered);
    if (memcmp(stored, digest.bytes, DIGEST_BYTES) != 0) {
        return STATUS_CORRUPT;
    }
    write_bytes(out, payload, payload_size);
    return out->failed ? STATUS_NO_MEMORY : STATUS_OK;
}

enum status note_read(int dir_fd, const struct note_kind *kind, struct buffer *out)
{
    assert(dir_fd >= 0);
    assert(strlen(kind->magic) == NOTE_MAGIC_BYTES);
    int fd = openat(dir_fd, kind->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    }
    uint8_t bytes[NOTE_BYTES_MAX + 1];
    size_t size = 0;
    enum status status = read_all(fd, bytes, sizeof(bytes), &size);
    int error = errno;
    (void)close(fd);
    errno = error;
    if (status != STATUS_OK) {
        return status;
    }
    return size > NOTE_BYTES_MAX ? STATUS_CORRUPT : note_check(kind, bytes, size, out);
}

enum status note_remove(int dir_fd, const struct note_kind *kind)
{
    assert(dir_fd >= 0);
    if (unlinkat(dir_fd, kind->name, 0) != 0 && errno != ENOENT) {
        return STATUS_IO;
    }
    return fsync(dir_fd) == 0 ? STATUS_OK : STATUS_IO;
}
