/*
 * A disk that can be told to fail: preloaded into a node, built by test_disk.py. While the file
 * named by PAYLEDGER_TEST_FAULT exists, writes and syncs of one kind of file fail with EIO: its
 * first letter says which, 'l' for LMDB's data file, 'r' for all others (raft's log, term and
 * vote).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The kind of file that fails now; 0 while none does. */
static char fault(void)
{
    const char *path = getenv("PAYLEDGER_TEST_FAULT");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char kind = 0;
    if (fd >= 0) {
        if (read(fd, &kind, 1) != 1) {
            kind = 0;
        }
        close(fd);
    }
    return kind;
}

static bool fails(int fd)
{
    char kind = fault();
    struct stat about;
    if (kind == 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        return false;
    }
    char link[64];
    char path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) {
        return false;
    }
    path[size] = '\0';
    bool ledger = strstr(path, "data.mdb") != NULL;
    if (ledger != (kind == 'l') || strstr(path, ".log") != NULL) {
        return false; /* ".log": what the node says, not what it keeps */
    }
    errno = EIO;
    return true;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return fails(fd) ? -1 : NEXT(pwrite)(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    return fails(fd) ? -1 : NEXT(pwrite64)(fd, data, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return fails(fd) ? -1 : NEXT(pwritev)(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return fails(fd) ? -1 : NEXT(pwritev64)(fd, parts, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return fails(fd) ? -1 : NEXT(writev)(fd, parts, count);
}

ssize_t write(int fd, const void *data, size_t size)
{
    return fails(fd) ? -1 : NEXT(write)(fd, data, size);
}

int fdatasync(int fd)
{
    return fails(fd) ? -1 : NEXT(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails(fd) ? -1 : NEXT(fsync)(fd);
}

/* raft submits its appends to the kernel by number (io_submit), past the functions above. */
long syscall(long number, ...)
{
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    if (number == SYS_io_submit && fault() == 'r') {
        errno = EIO;
        return -1;
    }
    return NEXT(syscall)(number, a, b, c, d, e, f);
}
