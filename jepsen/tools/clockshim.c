/*
 * A wall clock that can be moved, preloaded into a node: CLOCK_REALTIME is shifted by an offset
 * that another process writes into the file named by JEPSEN_CLOCK; CLOCK_MONOTONIC stays as it is.
 * The file holds struct page; `shifted` counts the answers that were moved, as a proof.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000000000 };

struct page {
    _Atomic int64_t offset_ns;
    _Atomic uint64_t shifted;
};

static struct page *page;

__attribute__((constructor)) static void map_page(void)
{
    const char *path = getenv("JEPSEN_CLOCK");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *memory = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    page = memory != MAP_FAILED ? memory : NULL;
    close(fd);
}

static int shifted_now(struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, CLOCK_REALTIME, now);
    int64_t offset_ns = page != NULL ? atomic_load(&page->offset_ns) : 0;
    if (status != 0 || offset_ns == 0) {
        return status;
    }
    atomic_fetch_add(&page->shifted, 1);
    int64_t total_ns = now->tv_sec * (int64_t)NS_PER_S + now->tv_nsec + offset_ns;
    now->tv_sec = total_ns / NS_PER_S;
    now->tv_nsec = total_ns % NS_PER_S;
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        return shifted_now(now);
    }
    return (int)syscall(SYS_clock_gettime, clock, now);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec exact;
    if (shifted_now(&exact) != 0) {
        return -1;
    }
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec exact;
    time_t seconds = shifted_now(&exact) == 0 ? exact.tv_sec : (time_t)-1;
    if (out != NULL) {
        *out = seconds;
    }
    return seconds;
}
