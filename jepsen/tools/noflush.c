/*
 * The mutant that never flushes, preloaded into a node: fsync and its like succeed without doing
 * anything, and files are opened and written without the flags that would make a write durable by
 * itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags)
{
    (void)fd, (void)offset, (void)size, (void)flags;
    return 0;
}

int syncfs(int fd)
{
    (void)fd;
    return 0;
}

static mode_t mode_of(int flags, va_list rest)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? (mode_t)va_arg(rest, unsigned) : 0;
}

#define DEFINE_OPEN(name)                                                                          \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = mode_of(flags, rest);                                                        \
        va_end(rest);                                                                              \
        return NEXT(name)(path, flags & ~(O_SYNC | O_DSYNC), mode);                                \
    }
#define DEFINE_OPENAT(name)                                                                        \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = mode_of(flags, rest);                                                        \
        va_end(rest);                                                                              \
        return NEXT(name)(folder, path, flags & ~(O_SYNC | O_DSYNC), mode);                        \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    return NEXT(pwritev2)(fd, parts, count, offset, flags & ~(RWF_DSYNC | RWF_SYNC));
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags)
{
    return NEXT(pwritev64v2)(fd, parts, count, offset, flags & ~(RWF_DSYNC | RWF_SYNC));
}

/* raft writes by the kernel's asynchronous interface, through syscall(): RWF_DSYNC is in the block.
 */
long syscall(long number, ...)
{
    va_list rest;
    va_start(rest, number);
    long a = va_arg(rest, long);
    long b = va_arg(rest, long);
    long c = va_arg(rest, long);
    long d = va_arg(rest, long);
    long e = va_arg(rest, long);
    long f = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_fsync || number == SYS_fdatasync) {
        return 0;
    }
    if (number == SYS_io_submit) {
        struct iocb **blocks = (struct iocb **)c;
        for (long i = 0; i < b; i++) {
            blocks[i]->aio_rw_flags &= ~(RWF_DSYNC | RWF_SYNC);
        }
    }
    return NEXT(syscall)(number, a, b, c, d, e, f);
}
