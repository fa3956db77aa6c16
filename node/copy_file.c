#include "node/copy_file.h"

#include "base/check.h"
#include "node/copy_form.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct copy_file {
    int fd;
    uint64_t bytes;
    uint64_t flushed_bytes; /* whole pieces that were handed to the disk */
    struct hasher *hasher;
};

enum status copy_file_open(struct copy_file **file, const char *path)
{
    assert(file != NULL && path != NULL);
    struct copy_file *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = hasher_open(&opened->hasher);
    if (status == STATUS_OK) {
        opened->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (opened->fd < 0) {
            status = errno == EEXIST ? STATUS_EXISTS : STATUS_IO;
        }
    }
    if (status != STATUS_OK) {
        hasher_close(opened->hasher);
        free(opened);
        return status;
    }
    hasher_begin(opened->hasher);
    *file = opened;
    return STATUS_OK;
}

void copy_file_close(struct copy_file *file)
{
    if (file == NULL) {
        return;
    }
    (void)close(file->fd);
    hasher_close(file->hasher);
    free(file);
}

/* Starts to write the newest whole piece, and waits for the one before. */
static bool piece_flush(struct copy_file *file)
{
    const off_t newest = (off_t)file->flushed_bytes;
    const off_t before = newest - COPY_FLUSH_BYTES;
    file->flushed_bytes += COPY_FLUSH_BYTES;
    return sync_file_range(file->fd, newest, COPY_FLUSH_BYTES, SYNC_FILE_RANGE_WRITE) == 0 &&
           (before < 0 || sync_file_range(file->fd, before, COPY_FLUSH_BYTES,
                                          SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                              SYNC_FILE_RANGE_WAIT_AFTER) == 0);
}

enum status copy_file_write(struct copy_file *file, const void *data, size_t size)
{
    assert(file != NULL && (data != NULL || size == 0));
    const uint8_t *bytes = data;
    hasher_add(file->hasher, bytes, size);
    while (size > 0) {
        const ssize_t written = write(file->fd, bytes, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return STATUS_IO;
        }
        bytes += written;
        size -= (size_t)written;
        file->bytes += (uint64_t)written;
    }
    while (file->bytes - file->flushed_bytes >= COPY_FLUSH_BYTES) {
        if (!piece_flush(file)) {
            return STATUS_IO;
        }
    }
    return STATUS_OK;
}

enum status copy_file_end(struct copy_file *file, uint64_t *bytes, struct digest *digest)
{
    assert(file != NULL && bytes != NULL && digest != NULL);
    /* sync_file_range leaves out what says where the file's bytes are. */
    if (fsync(file->fd) != 0) {
        return STATUS_IO;
    }
    *bytes = file->bytes;
    *digest = hasher_end(file->hasher);
    return STATUS_OK;
}
