/*
 * A slow disk for one node, preloaded by bench/run (the target slow_follower): each flush, and each
 * batch of writes that raft submits, takes SLOW_DISK_MS milliseconds longer. The thread that asks
 * waits, which is no better for the node than a disk that answers late.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void wait_more(void)
{
    const char *text = getenv("SLOW_DISK_MS");
    const long ms = text != NULL ? strtol(text, NULL, 10) : 0;
    const struct timespec more = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&more, NULL);
}

int fdatasync(int file)
{
    wait_more();
    return NEXT(fdatasync)(file);
}

int fsync(int file)
{
    wait_more();
    return NEXT(fsync)(file);
}

/* raft submits its appends to the kernel by number, past the library's functions. */
long syscall(long number, ...)
{
    va_list list;
    va_start(list, number);
    const long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    const long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    if (number == SYS_io_submit) {
        wait_more();
    }
    return NEXT(syscall)(number, a, b, c, d, e, f);
}
