/*
 * A network in user space, for kernels without netem: one TUN device "eth0" in each network
 * namespace, and this process as the switch between them. Every directed link can be cut, lose,
 * delay, duplicate and reorder packets.
 *
 *     jnet SEED NAMESPACE...      the k-th namespace (1, 2 ...) has the address 10.99.0.k
 *
 * A namespace is the path of a file that setns takes. Commands on standard input, one a line, each
 * answered by one line on standard output; the end of the input ends the process:
 *     link FROM TO CUT LOSS% DELAY_US JITTER_US DUP% REORDER%    ->  ok
 *     heal                                                       ->  ok
 *     count FROM TO     ->  passed=N cut=N lost=N duplicated=N delayed=N reordered=N overflow=N
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES_MAX = 16,
    PACKET_MAX = 65536,
    DELAYED_MAX = 65536,      /* more are dropped, as a full router does */
    READS_PER_TURN = 64,      /* no node starves the others */
    REORDER_EXTRA_US = 20000, /* how far a reordered packet falls behind */
    ADDRESS_SOURCE = 12,      /* offsets in an IPv4 header */
    ADDRESS_TARGET = 16,
    HEADER_BYTES = 20,
};

struct link {
    bool cut;
    double loss;
    double duplicate;
    double reorder;
    uint64_t delay_us;
    uint64_t jitter_us;
};

struct count {
    uint64_t passed;
    uint64_t cut;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t delayed;
    uint64_t reordered;
    uint64_t overflow;
};

struct packet {
    uint64_t due_us;
    uint64_t order; /* equal times leave in the order of arrival */
    int from;
    int target;
    size_t size;
    uint8_t *bytes;
};

static struct link links[NODES_MAX + 1][NODES_MAX + 1];
static struct count counts[NODES_MAX + 1][NODES_MAX + 1];
static int tuns[NODES_MAX + 1];
static int node_count;
static struct packet heap[DELAYED_MAX];
static size_t heap_count;
static uint64_t arrivals;
static uint64_t random_state;

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* xorshift64*: uniform in [0, 1). */
static double random_unit(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (double)((random_state * 2685821657736338717u) >> 11) / 9007199254740992.0;
}

static bool random_hit(double probability)
{
    return probability > 0 && random_unit() < probability;
}

static bool heap_before(const struct packet *left, const struct packet *right)
{
    return left->due_us != right->due_us ? left->due_us < right->due_us
                                         : left->order < right->order;
}

static void heap_push(struct packet packet)
{
    assert(heap_count < DELAYED_MAX);
    size_t at = heap_count++;
    while (at > 0 && heap_before(&packet, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = packet;
}

static struct packet heap_pop(void)
{
    assert(heap_count > 0);
    struct packet first = heap[0];
    struct packet last = heap[--heap_count];
    size_t at = 0;
    for (size_t child = 1; child < heap_count; child = 2 * at + 1) {
        if (child + 1 < heap_count && heap_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!heap_before(&heap[child], &last)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static void deliver(int from, int target, const uint8_t *bytes, size_t size)
{
    /* A full device queue loses the packet, as any network may. */
    if (write(tuns[target], bytes, size) == (ssize_t)size) {
        counts[from][target].passed++;
    } else {
        counts[from][target].overflow++;
    }
}

static void send_once(int from, int target, const uint8_t *bytes, size_t size)
{
    const struct link *link = &links[from][target];
    struct count *count = &counts[from][target];
    uint64_t delay_us = link->delay_us;
    if (link->jitter_us > 0) {
        double shift_us = (2 * random_unit() - 1) * (double)link->jitter_us;
        double sum_us = (double)delay_us + shift_us;
        delay_us = sum_us > 0 ? (uint64_t)sum_us : 0;
    }
    if (random_hit(link->reorder)) {
        delay_us += REORDER_EXTRA_US;
        count->reordered++;
    }
    if (delay_us == 0) {
        deliver(from, target, bytes, size);
        return;
    }
    uint8_t *copy = heap_count < DELAYED_MAX ? malloc(size) : NULL;
    if (copy == NULL) {
        count->overflow++;
        return;
    }
    memcpy(copy, bytes, size);
    count->delayed++;
    heap_push((struct packet){now_us() + delay_us, arrivals++, from, target, size, copy});
}

static void forward(int from, const uint8_t *bytes, size_t size)
{
    if (size < HEADER_BYTES || bytes[0] >> 4 != 4) {
        return; /* the kernel's IPv6 neighbour talk */
    }
    const uint8_t *address = &bytes[ADDRESS_TARGET];
    int target = address[3];
    if (address[0] != 10 || address[1] != 99 || address[2] != 0 || target < 1 ||
        target > node_count || target == from || bytes[ADDRESS_SOURCE + 3] != from) {
        return;
    }
    struct count *count = &counts[from][target];
    if (links[from][target].cut) {
        count->cut++;
        return;
    }
    if (random_hit(links[from][target].loss)) {
        count->lost++;
        return;
    }
    send_once(from, target, bytes, size);
    if (random_hit(links[from][target].duplicate)) {
        count->duplicated++;
        send_once(from, target, bytes, size);
    }
}

static void deliver_due(void)
{
    uint64_t now = now_us();
    while (heap_count > 0 && heap[0].due_us <= now) {
        struct packet packet = heap_pop();
        /* A link that was cut meanwhile drops what is on its way. */
        if (links[packet.from][packet.target].cut) {
            counts[packet.from][packet.target].cut++;
        } else {
            deliver(packet.from, packet.target, packet.bytes, packet.size);
        }
        free(packet.bytes);
    }
}

static int tun_open(const char *namespace_path)
{
    int namespace_fd = open(namespace_path, O_RDONLY | O_CLOEXEC);
    if (namespace_fd < 0 || setns(namespace_fd, CLONE_NEWNET) != 0) {
        perror(namespace_path);
        exit(2);
    }
    close(namespace_fd);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    memcpy(request.ifr_name, "eth0", sizeof "eth0");
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) {
        perror("/dev/net/tun");
        exit(2);
    }
    return fd;
}

static bool known_pair(int from, int target)
{
    return from >= 1 && from <= node_count && target >= 1 && target <= node_count;
}

static void obey(const char *line)
{
    int from = 0;
    int target = 0;
    int cut = 0;
    double loss = 0;
    double duplicate = 0;
    double reorder = 0;
    unsigned long delay_us = 0;
    unsigned long jitter_us = 0;
    if (strncmp(line, "heal", 4) == 0) {
        memset(links, 0, sizeof links);
        puts("ok");
    } else if (sscanf(line, "link %d %d %d %lf %lu %lu %lf %lf", &from, &target, &cut, &loss,
                      &delay_us, &jitter_us, &duplicate, &reorder) == 8 &&
               known_pair(from, target)) {
        links[from][target] = (struct link){.cut = cut != 0,
                                            .loss = loss / 100,
                                            .duplicate = duplicate / 100,
                                            .reorder = reorder / 100,
                                            .delay_us = delay_us,
                                            .jitter_us = jitter_us};
        puts("ok");
    } else if (sscanf(line, "count %d %d", &from, &target) == 2 && known_pair(from, target)) {
        const struct count *count = &counts[from][target];
        printf("passed=%lu cut=%lu lost=%lu duplicated=%lu delayed=%lu reordered=%lu "
               "overflow=%lu\n",
               count->passed, count->cut, count->lost, count->duplicated, count->delayed,
               count->reordered, count->overflow);
    } else {
        puts("error");
    }
}

/* Takes whole lines from standard input; returns false at its end. */
static bool read_commands(void)
{
    static char buffer[4096];
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

static void read_packets(int from)
{
    static uint8_t packet[PACKET_MAX];
    for (int turn = 0; turn < READS_PER_TURN; turn++) {
        ssize_t size = read(tuns[from], packet, sizeof packet);
        if (size <= 0) {
            return;
        }
        forward(from, packet, (size_t)size);
    }
}

static int wait_ms(void)
{
    if (heap_count == 0) {
        return -1;
    }
    uint64_t now = now_us();
    return heap[0].due_us <= now ? 0 : (int)((heap[0].due_us - now + 999) / 1000);
}

int main(int argc, char **argv)
{
    node_count = argc - 2;
    if (node_count < 1 || node_count > NODES_MAX) {
        fputs("usage: jnet SEED NAMESPACE...\n", stderr);
        return 2;
    }
    random_state = strtoull(argv[1], NULL, 10) * 2 + 1;
    struct pollfd polls[NODES_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    for (int node = 1; node <= node_count; node++) {
        tuns[node] = tun_open(argv[node + 1]);
        polls[node] = (struct pollfd){.fd = tuns[node], .events = POLLIN};
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    for (;;) {
        if (poll(polls, (nfds_t)node_count + 1, wait_ms()) < 0 && errno != EINTR) {
            perror("poll");
            return 1;
        }
        deliver_due();
        for (int node = 1; node <= node_count; node++) {
            if (polls[node].revents != 0) {
                read_packets(node);
            }
        }
        if (polls[0].revents != 0 && !read_commands()) {
            return 0;
        }
    }
}
