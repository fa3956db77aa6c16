#include "tests/simulation/pages.h"

#include "base/check.h"
#include "tests/simulation/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the linker calls instead of the system, and the system behind it. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __real_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_statvfs(const char *path, struct statvfs *disk);
int __wrap_statvfs(const char *path, struct statvfs *disk);

enum { FILES_MAX = 1024 };

/* Which files are LMDB's, by descriptor. */
static struct pages *files[FILES_MAX];
static bool synced[FILES_MAX]; /* opened so that each write is flushed */

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    int fd = __real_open(path, flags, mode);
    if (fd < 0 || fd >= FILES_MAX) {
        return fd;
    }
    files[fd] = NULL;
    for (uint32_t i = 0; i < processes_count; i++) {
        if (strcmp(processes[i].pages.path, path) == 0) {
            files[fd] = &processes[i].pages;
            synced[fd] = (flags & O_DSYNC) != 0;
        }
    }
    return fd;
}

int __wrap_close(int fd)
{
    if (fd >= 0 && fd < FILES_MAX) {
        files[fd] = NULL;
    }
    return __real_close(fd);
}

static struct pages *pages_of(int fd)
{
    return fd >= 0 && fd < FILES_MAX ? files[fd] : NULL;
}

/* Keeps a page as it was at the last flush, before it is written the first time since. */
static void keep(struct pages *pages, int fd, uint64_t number)
{
    for (size_t i = 0; i < pages->count; i++) {
        if (pages->unflushed[i].number == number) {
            return;
        }
    }
    if (pages->count == pages->capacity) {
        pages->capacity = pages->capacity == 0 ? 32 : 2 * pages->capacity;
        pages->unflushed = realloc(pages->unflushed, pages->capacity * sizeof(*pages->unflushed));
        assert(pages->unflushed != NULL);
    }
    struct page *page = &pages->unflushed[pages->count++];
    page->number = number;
    ssize_t read = pread(fd, page->bytes, PAGE_BYTES, (off_t)(number * PAGE_BYTES));
    page->absent = read <= 0;
    if (read > 0 && read < PAGE_BYTES) {
        memset(page->bytes + read, 0, (size_t)(PAGE_BYTES - read));
    }
}

/* False, with errno set, where this write is to fail. */
static bool write_begins(struct pages *pages, int fd, off_t offset, size_t size)
{
    pages->writes++;
    if (pages->full) {
        errno = ENOSPC;
        return false;
    }
    if (pages->fail_at_write > 0 && --pages->fail_at_write == 0) {
        errno = EIO;
        return false;
    }
    if (!synced[fd]) {
        uint64_t last = ((uint64_t)offset + size - 1) / PAGE_BYTES;
        for (uint64_t number = (uint64_t)offset / PAGE_BYTES; number <= last; number++) {
            keep(pages, fd, number);
        }
    }
    return true;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    struct pages *pages = pages_of(fd);
    if (pages != NULL && size > 0 && !write_begins(pages, fd, offset, size)) {
        return -1;
    }
    return __real_pwrite(fd, bytes, size, offset);
}

ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
    struct pages *pages = pages_of(fd);
    if (pages != NULL) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            size += parts[i].iov_len;
        }
        if (!write_begins(pages, fd, lseek(fd, 0, SEEK_CUR), size)) {
            return -1;
        }
    }
    return __real_writev(fd, parts, count);
}

static bool flush_fails(int fd)
{
    struct pages *pages = pages_of(fd);
    if (pages == NULL) {
        return false;
    }
    if (pages->fail_flush) {
        pages->fail_flush = false;
        errno = EIO;
        return true;
    }
    pages->count = 0;
    return false;
}

/* Memory needs no flush: only what it means is kept up. */
int __wrap_fdatasync(int fd)
{
    return flush_fails(fd) ? -1 : 0;
}

int __wrap_fsync(int fd)
{
    return flush_fails(fd) ? -1 : 0;
}

int __wrap_statvfs(const char *path, struct statvfs *disk)
{
    (void)path;
    bool full = process_current != NULL && process_current->pages.full;
    *disk = (struct statvfs){.f_frsize = 4096, .f_bavail = full ? 0 : UINT64_C(1) << 30};
    return 0;
}

void pages_lose(struct pages *pages, struct dice *dice)
{
    if (pages->count == 0) {
        return;
    }
    int fd = __real_open(pages->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        pages_forget(pages); /* replaced by a copy that was never finished */
        return;
    }
    bool all = dice_chance(dice, 40);
    for (size_t i = 0; i < pages->count; i++) {
        const struct page *page = &pages->unflushed[i];
        bool lost = all || dice_chance(dice, 50);
        if (!lost) {
            continue;
        }
        static const uint8_t nothing[PAGE_BYTES];
        ssize_t written = __real_pwrite(fd, page->absent ? nothing : page->bytes, PAGE_BYTES,
                                        (off_t)(page->number * PAGE_BYTES));
        assert(written == PAGE_BYTES);
    }
    (void)__real_close(fd);
    pages->count = 0;
}

void pages_forget(struct pages *pages)
{
    pages->count = 0;
}
