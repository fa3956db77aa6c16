/*
 * A disk that loses what was not flushed: one file in user space (FUSE without a library, mounted
 * over a plain file), to be put under a loop device with a real file system on it. Writes stay in
 * memory until a flush carries them into BACKING. It can also fail, and be slow.
 *
 *     lossydisk SEED BACKING MOUNTPOINT       MOUNTPOINT is a file
 *
 * Commands on standard input, one a line, each answered by one line on standard output. At the end
 * of the input everything volatile is dropped and the process ends. cut KEEP%          power
 * failure now: every volatile block is lost, or kept with this probability; one in eight is torn at
 * sectors. From then on everything fails.
 *                            ->  lost=N kept=N torn=N
 *     cut-at N KEEP%     the same in the middle of the N-th flush from now    ->  ok
 *     fail 0|1           writes and flushes fail with EIO                     ->  ok
 *     delay MICROSECONDS each write and flush takes so much longer            ->  ok
 *     lie 0|1            flushes succeed without effect                       ->  ok
 *     stats              -> writes=N flushes=N volatile=N failed=N lost=N kept=N torn=N cut=0|1
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <mntent.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 4096,
    SECTOR_BYTES = 512,
    WRITE_BYTES_MAX = 1024 * 1024,
    REQUEST_BYTES_MAX = WRITE_BYTES_MAX + 4096,
    WRITE_PAGES_MAX = WRITE_BYTES_MAX / 4096,
    TORN_ONE_IN = 8,
    US_PER_S = 1000000,
    MOUNTS_MAX = 256,
    PLACE_BYTES_MAX = 4096,
};

static int backing;
static uint64_t size_bytes;
static uint8_t **volatile_blocks; /* null where BACKING holds the newest */
static uint64_t block_count;
static uint64_t random_state;
static bool dead;
static bool failing;
static bool lying;
static uint64_t delay_us;
static uint64_t flushes_until_cut; /* 0: none is planned */
static unsigned planned_keep;

static struct {
    uint64_t writes;
    uint64_t flushes;
    uint64_t volatile_now;
    uint64_t failed;
    uint64_t lost;
    uint64_t kept;
    uint64_t torn;
} stats;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return ((random_state * 2685821657736338717u) >> 33) % bound;
}

static void backing_write(const uint8_t *bytes, size_t size, uint64_t offset)
{
    if (pwrite(backing, bytes, size, (off_t)offset) != (ssize_t)size) {
        perror("lossydisk: backing");
        exit(1);
    }
}

static void forget(uint64_t block)
{
    free(volatile_blocks[block]);
    volatile_blocks[block] = NULL;
    stats.volatile_now--;
}

static void make_durable(void)
{
    for (uint64_t block = 0; block < block_count && stats.volatile_now > 0; block++) {
        if (volatile_blocks[block] != NULL) {
            backing_write(volatile_blocks[block], BLOCK_BYTES, block * BLOCK_BYTES);
            forget(block);
        }
    }
}

static void power_cut(unsigned keep)
{
    dead = true;
    for (uint64_t block = 0; block < block_count; block++) {
        const uint8_t *bytes = volatile_blocks[block];
        if (bytes == NULL) {
            continue;
        }
        if (keep > 0 && random_below(TORN_ONE_IN) == 0) {
            stats.torn++;
            for (size_t at = 0; at < BLOCK_BYTES; at += SECTOR_BYTES) {
                if (random_below(100) < keep) {
                    backing_write(bytes + at, SECTOR_BYTES, block * BLOCK_BYTES + at);
                }
            }
        } else if (random_below(100) < keep) {
            stats.kept++;
            backing_write(bytes, BLOCK_BYTES, block * BLOCK_BYTES);
        } else {
            stats.lost++;
        }
        forget(block);
    }
}

/* ---- the disk's own work -----------------------------------------------------------------------
 */

static void be_slow(void)
{
    if (delay_us > 0) {
        struct timespec pause = {(time_t)(delay_us / US_PER_S), (long)(delay_us % US_PER_S) * 1000};
        nanosleep(&pause, NULL);
    }
}

static int disk_check(void)
{
    if (dead || failing) {
        stats.failed++;
        return -EIO;
    }
    return 0;
}

static int disk_write(const uint8_t *bytes, size_t size, uint64_t offset)
{
    be_slow();
    int status = disk_check();
    if (status != 0) {
        return status;
    }
    if (offset > size_bytes || size > size_bytes - offset) {
        return -ENOSPC;
    }
    stats.writes++;
    for (size_t done = 0; done < size;) {
        uint64_t block = (offset + done) / BLOCK_BYTES;
        size_t at = (offset + done) % BLOCK_BYTES;
        size_t part = BLOCK_BYTES - at < size - done ? BLOCK_BYTES - at : size - done;
        if (volatile_blocks[block] == NULL) {
            volatile_blocks[block] = malloc(BLOCK_BYTES);
            if (volatile_blocks[block] == NULL ||
                pread(backing, volatile_blocks[block], BLOCK_BYTES, (off_t)(block * BLOCK_BYTES)) !=
                    BLOCK_BYTES) {
                perror("lossydisk: block");
                exit(1);
            }
            stats.volatile_now++;
        }
        memcpy(volatile_blocks[block] + at, bytes + done, part);
        done += part;
    }
    return 0;
}

/* Returns the number of bytes read. */
static int disk_read(uint8_t *out, size_t size, uint64_t offset)
{
    if (dead) {
        return disk_check();
    }
    size_t done = 0;
    while (done < size && offset + done < size_bytes) {
        uint64_t block = (offset + done) / BLOCK_BYTES;
        size_t at = (offset + done) % BLOCK_BYTES;
        size_t part = BLOCK_BYTES - at < size - done ? BLOCK_BYTES - at : size - done;
        if (volatile_blocks[block] != NULL) {
            memcpy(out + done, volatile_blocks[block] + at, part);
        } else if (pread(backing, out + done, part, (off_t)(offset + done)) != (ssize_t)part) {
            return -EIO;
        }
        done += part;
    }
    return (int)done;
}

static int disk_flush(void)
{
    be_slow();
    int status = disk_check();
    if (status != 0) {
        return status;
    }
    stats.flushes++;
    if (flushes_until_cut > 0 && --flushes_until_cut == 0) {
        power_cut(planned_keep);
        return -EIO;
    }
    if (!lying) {
        make_durable();
    }
    return 0;
}

/* ---- FUSE --------------------------------------------------------------------------------------
 */

static void answer(int fuse, uint64_t unique, int error, const void *body, size_t size)
{
    struct fuse_out_header header = {.len = (uint32_t)(sizeof header + (error == 0 ? size : 0)),
                                     .error = error,
                                     .unique = unique};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)body, size}};
    /* ENOENT: the request was interrupted meanwhile. */
    if (writev(fuse, parts, error == 0 && size > 0 ? 2 : 1) < 0 && errno != ENOENT) {
        perror("lossydisk: answer");
    }
}

static void fill_attributes(struct fuse_attr *attributes)
{
    *attributes = (struct fuse_attr){.ino = FUSE_ROOT_ID,
                                     .size = size_bytes,
                                     .blocks = size_bytes / SECTOR_BYTES,
                                     .mode = S_IFREG | 0600,
                                     .nlink = 1,
                                     .blksize = BLOCK_BYTES};
}

static void answer_init(int fuse, uint64_t unique, const struct fuse_init_in *in)
{
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = in->max_readahead,
        .flags = in->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES),
        .max_background = 16,
        .congestion_threshold = 12,
        .max_write = WRITE_BYTES_MAX,
        .time_gran = 1,
        .max_pages = WRITE_PAGES_MAX};
    answer(fuse, unique, 0, &out, sizeof out);
}

/* Returns false when the file was unmounted. */
static bool serve(int fuse, const uint8_t *request)
{
    static uint8_t data[WRITE_BYTES_MAX];
    const struct fuse_in_header *header = (const void *)request;
    const void *body = request + sizeof *header;
    const struct fuse_read_in *read_in = body;
    const struct fuse_write_in *write_in = body;
    struct fuse_attr_out attributes = {.attr_valid = 3600};
    struct fuse_open_out opened = {.fh = 1, .open_flags = FOPEN_DIRECT_IO};
    struct fuse_write_out written = {0};
    struct fuse_statfs_out space = {.st = {.bsize = BLOCK_BYTES, .namelen = 255}};
    int got = 0;
    switch (header->opcode) {
    case FUSE_INIT:
        answer_init(fuse, header->unique, body);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        fill_attributes(&attributes.attr);
        answer(fuse, header->unique, 0, &attributes, sizeof attributes);
        break;
    case FUSE_OPEN:
        answer(fuse, header->unique, 0, &opened, sizeof opened);
        break;
    case FUSE_READ:
        got = disk_read(data, read_in->size < sizeof data ? read_in->size : sizeof data,
                        read_in->offset);
        answer(fuse, header->unique, got < 0 ? got : 0, data, got < 0 ? 0 : (size_t)got);
        break;
    case FUSE_WRITE:
        written.size = write_in->size;
        got = disk_write((const uint8_t *)(write_in + 1), write_in->size, write_in->offset);
        answer(fuse, header->unique, got, &written, sizeof written);
        break;
    case FUSE_FSYNC:
        answer(fuse, header->unique, disk_flush(), NULL, 0);
        break;
    case FUSE_STATFS:
        answer(fuse, header->unique, 0, &space, sizeof space);
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_ACCESS:
        answer(fuse, header->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break; /* these have no answer */
    case FUSE_DESTROY:
        answer(fuse, header->unique, 0, NULL, 0);
        return false;
    default:
        answer(fuse, header->unique, -ENOSYS, NULL, 0);
        break;
    }
    return true;
}

/* ---- commands ----------------------------------------------------------------------------------
 */

static void obey(const char *line)
{
    unsigned keep = 0;
    unsigned flag = 0;
    unsigned long number = 0;
    if (sscanf(line, "cut %u", &keep) == 1) {
        if (!dead) {
            power_cut(keep);
        }
        printf("lost=%lu kept=%lu torn=%lu\n", stats.lost, stats.kept, stats.torn);
    } else if (sscanf(line, "cut-at %lu %u", &number, &keep) == 2) {
        flushes_until_cut = number;
        planned_keep = keep;
        puts("ok");
    } else if (sscanf(line, "fail %u", &flag) == 1) {
        failing = flag != 0;
        puts("ok");
    } else if (sscanf(line, "lie %u", &flag) == 1) {
        lying = flag != 0;
        puts("ok");
    } else if (sscanf(line, "delay %lu", &number) == 1) {
        delay_us = number;
        puts("ok");
    } else if (strncmp(line, "stats", 5) == 0) {
        printf("writes=%lu flushes=%lu volatile=%lu failed=%lu lost=%lu kept=%lu torn=%lu "
               "cut=%d\n",
               stats.writes, stats.flushes, stats.volatile_now, stats.failed, stats.lost,
               stats.kept, stats.torn, dead ? 1 : 0);
    } else {
        puts("error");
    }
}

/* Takes whole lines from standard input; returns false at its end. */
static bool read_commands(void)
{
    static char buffer[1024];
    static size_t used;
    ssize_t got = read(STDIN_FILENO, buffer + used, sizeof buffer - 1 - used);
    if (got <= 0) {
        return got < 0 && errno == EINTR;
    }
    used += (size_t)got;
    buffer[used] = '\0';
    char *begin = buffer;
    for (char *end = strchr(begin, '\n'); end != NULL; end = strchr(begin, '\n')) {
        *end = '\0';
        obey(begin);
        begin = end + 1;
    }
    used -= (size_t)(begin - buffer);
    memmove(buffer, begin, used);
    return used < sizeof buffer - 1;
}

static int fuse_mount(const char *mountpoint)
{
    char options[128];
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0) {
        perror("/dev/fuse");
        return -1;
    }
    snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=0,group_id=0", fuse,
             (unsigned)S_IFREG | 0600u);
    if (mount("lossydisk", mountpoint, "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
        perror(mountpoint);
        close(fuse);
        return -1;
    }
    return fuse;
}

/*
 * Into a mount namespace of its own, without the mounts: the file system on top must not be among
 * this process's when it dies. Its last unmount would flush into the file that only this process,
 * which is about to end, can serve, and both would wait for ever.
 */
static bool mounts_leave(void)
{
    static char places[MOUNTS_MAX][PLACE_BYTES_MAX];
    int count = 0;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        perror("lossydisk: unshare");
        return false;
    }
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    if (mounts == NULL) {
        perror("/proc/self/mounts");
        return false;
    }
    for (struct mntent *each = getmntent(mounts); each != NULL; each = getmntent(mounts)) {
        if (strcmp(each->mnt_dir, "/") == 0) {
            continue;
        }
        assert(count < MOUNTS_MAX && strlen(each->mnt_dir) < PLACE_BYTES_MAX);
        snprintf(places[count++], PLACE_BYTES_MAX, "%s", each->mnt_dir);
    }
    endmntent(mounts);
    while (count > 0) {
        /* What was under another one that is gone has gone with it. */
        (void)umount2(places[--count], MNT_DETACH);
    }
    return true;
}

int main(int argc, char **argv)
{
    static _Alignas(8) uint8_t request[REQUEST_BYTES_MAX];
    if (argc != 4) {
        fputs("usage: lossydisk SEED BACKING MOUNTPOINT\n", stderr);
        return 2;
    }
    random_state = strtoull(argv[1], NULL, 10) * 2 + 1;
    backing = open(argv[2], O_RDWR | O_CLOEXEC);
    off_t end = backing >= 0 ? lseek(backing, 0, SEEK_END) : -1;
    if (end < BLOCK_BYTES || end % BLOCK_BYTES != 0) {
        fprintf(stderr, "lossydisk: %s: must be whole blocks\n", argv[2]);
        return 2;
    }
    size_bytes = (uint64_t)end;
    block_count = size_bytes / BLOCK_BYTES;
    volatile_blocks = calloc(block_count, sizeof *volatile_blocks);
    assert(volatile_blocks != NULL);
    int fuse = fuse_mount(argv[3]);
    if (fuse < 0 || !mounts_leave()) {
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    struct pollfd polls[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = fuse, .events = POLLIN}};
    for (;;) {
        if (poll(polls, 2, -1) < 0 && errno != EINTR) {
            perror("poll");
            return 1;
        }
        if (polls[1].revents != 0) {
            ssize_t got = read(fuse, request, sizeof request);
            if (got < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) {
                return errno == ENODEV ? 0 : 1; /* ENODEV: unmounted */
            }
            if (got > 0 && !serve(fuse, request)) {
                return 0;
            }
        }
        if (polls[0].revents != 0 && !read_commands()) {
            return 0;
        }
    }
}
