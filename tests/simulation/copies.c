#include "tests/simulation/copies.h"

#include "base/check.h"
#include "node/copy_form.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_PER_SECOND = 4 * 1024 * 1024, TRANSFERS_MAX = 64 };

/* A process without its state. */
struct fetching {
    uint64_t wanted_index;
    uint64_t wanted_term;
    uint32_t next;
    uint64_t attempt;
};

/* One attempt: from the question to the last byte. */
struct transfer {
    struct process *from, *to;
    uint32_t from_life, to_life;
    uint64_t attempt;
    uint64_t wanted_index;
    uint64_t wanted_term;
    bool from_follower; /* a leader is to say so */
    uint64_t ticket;
    uint8_t *bytes;
    size_t size;
    bool over;
};

uint32_t copies_broken;
static struct transfer *transfers[TRANSFERS_MAX];
static uint32_t transfers_count;

static void fetch_try(void *data);

static bool alive(const struct transfer *transfer)
{
    return !transfer->over && transfer->from->up && transfer->to->up &&
           transfer->from->life == transfer->from_life && transfer->to->life == transfer->to_life;
}

static bool connected(const struct transfer *transfer)
{
    return !wire_is_cut(transfer->from->place, transfer->to->place) &&
           !wire_is_cut(transfer->to->place, transfer->from->place);
}

/* ---- the serving side ---------------------------------------------------------------------- */

static void transfer_end(struct transfer *transfer)
{
    transfer->over = true;
}

static void ask_arrives(void *data)
{
    struct transfer *transfer = data;
    struct node *node = transfer->from->node;
    if (transfer->from_follower && node->role == ROLE_LEADER) {
        world_note("copy-leads", transfer->from->id, transfer->to->id);
        transfer_end(transfer);
        return;
    }
    transfer->ticket = ++node->copy_tickets;
    node_copy_asked(node, transfer->to->id, transfer->wanted_index, transfer->wanted_term,
                    transfer->ticket);
}

static void arrives(void *data);

static void transfer_begin(struct transfer *transfer)
{
    struct node *node = transfer->from->node;
    char path[PATH_BYTES_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/copy.tmp", datadir_path(node->dir));
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0);
    enum status status = ledger_copy(node->ledger, fd);
    assert(status == STATUS_OK);
    struct stat info;
    int failed = fstat(fd, &info);
    assert(failed == 0);
    transfer->size = (size_t)info.st_size;
    transfer->bytes = malloc(transfer->size);
    assert(transfer->bytes != NULL);
    ssize_t read = pread(fd, transfer->bytes, transfer->size, 0);
    assert(read == (ssize_t)transfer->size);
    (void)close(fd);
    (void)unlink(path);
    uint64_t duration_ns = transfer->size * SECONDS / BYTES_PER_SECOND + wire_delay();
    world_note("copy", transfer->from->id, transfer->to->id);
    world_after(process_delay(transfer->from, duration_ns), NULL, arrives, transfer);
}

/* The ledger of the serving side is durable: the product's core says so. */
void copy_durable(struct node *node, uint64_t ticket, const struct position *position)
{
    for (uint32_t i = 0; i < transfers_count; i++) {
        struct transfer *transfer = transfers[i];
        if (transfer->ticket != ticket || !alive(transfer) || transfer->from->node != node) {
            continue;
        }
        if (position->index < transfer->wanted_index) {
            world_note("copy-not-reached", transfer->from->id, transfer->to->id);
            transfer_end(transfer);
        } else {
            transfer_begin(transfer);
        }
    }
}

void copy_tick(struct node *node, uint64_t now_ns)
{
    for (uint32_t i = 0; i < transfers_count; i++) {
        const struct transfer *transfer = transfers[i];
        if (alive(transfer) && transfer->from->node == node) {
            node->copies_until_ns = now_ns + (uint64_t)COPY_AFTER_MS * 1000000;
        }
    }
}

bool copy_active(const struct node *node, uint64_t now_ns)
{
    return now_ns < node->copies_until_ns;
}

void copy_on_stream(void *data, uint32_t peer, struct stream *stream)
{
    (void)data;
    (void)peer;
    (void)stream;
    assert(false); /* there are no streams here */
}

/* ---- the fetching side --------------------------------------------------------------------- */

static void retry(struct process *process)
{
    world_after(COPY_RETRY_MS * MILLISECONDS, process, fetch_try, process);
}

static void copy_take(void *data)
{
    struct transfer *transfer = data;
    struct process *process = transfer->to;
    struct node *node = process->node;
    char dir[PATH_BYTES_MAX + 16];
    char path[PATH_BYTES_MAX + 32];
    (void)snprintf(dir, sizeof(dir), "%s/ledger.new", datadir_path(node->dir));
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    (void)unlink(path);
    (void)mkdir(dir, 0700);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0);
    ssize_t written = write(fd, transfer->bytes, transfer->size);
    assert(written == (ssize_t)transfer->size);
    (void)close(fd);
    uint64_t index = 0;
    if (!copy_check(node, dir, transfer->wanted_index, &index)) {
        world_fail("node %u refuses the copy of node %u", process->id, transfer->from->id);
    }
    copy_exchange(node, dir, index);
    pages_forget(&process->pages);
    process->disk.stateless = 0;
    process->copied = true;
    process->copies++;
    world_note("copied", process->id, index);
    node_restart(node);
}

static void arrives(void *data)
{
    struct transfer *transfer = data;
    if (!alive(transfer)) {
        transfer_end(transfer);
        return;
    }
    bool broken = dice_chance(&world.dice, copies_broken) || !connected(transfer);
    transfer_end(transfer);
    if (broken) {
        world_note("copy-broken", transfer->from->id, transfer->to->id);
    } else if (transfer->to->paused_until_ns <= world.now_ns) {
        process_enter(transfer->to, copy_take, transfer);
    }
}

/* An attempt that brings nothing for long is given up. */
static void stall_look(void *data)
{
    struct process *process = data;
    for (uint32_t i = 0; i < transfers_count; i++) {
        const struct transfer *transfer = transfers[i];
        if (alive(transfer) && transfer->to == process &&
            transfer->attempt == process->fetching->attempt) {
            world_after(200 * MILLISECONDS, process, stall_look, process);
            return;
        }
    }
    retry(process);
}

static void fetch_try(void *data)
{
    struct process *process = data;
    struct fetching *fetching = process->fetching;
    for (uint32_t i = 0; i < processes_count; i++) {
        fetching->next = (fetching->next + 1) % processes_count;
        if (fetching->next != process->place) {
            break;
        }
    }
    struct process *from = &processes[fetching->next];
    fetching->attempt++;
    struct transfer *transfer = calloc(1, sizeof(*transfer));
    assert(transfer != NULL);
    *transfer = (struct transfer){.from = from,
                                  .to = process,
                                  .from_life = from->life,
                                  .to_life = process->life,
                                  .attempt = fetching->attempt,
                                  .wanted_index = fetching->wanted_index,
                                  .wanted_term = fetching->wanted_term,
                                  .from_follower = fetching->attempt < processes_count};
    if (!process_serves(from) || !connected(transfer)) {
        free(transfer);
        retry(process);
        return;
    }
    uint32_t place = transfers_count;
    for (uint32_t i = 0; i < transfers_count; i++) {
        place = !alive(transfers[i]) && transfers[i]->over ? i : place;
    }
    assert(place < TRANSFERS_MAX);
    transfers_count = place == transfers_count ? place + 1 : transfers_count;
    transfers[place] = transfer;
    world_after(wire_delay(), from, ask_arrives, transfer);
    world_after(COPY_RETRY_MS * MILLISECONDS, process, stall_look, process);
}

void copies_fetch(struct process *process, const struct consensus_manifest *manifest)
{
    struct fetching *fetching = calloc(1, sizeof(*fetching));
    assert(fetching != NULL);
    fetching->wanted_index = manifest->index;
    fetching->wanted_term = manifest->term;
    fetching->next = (uint32_t)dice_below(&world.dice, processes_count);
    process->fetching = fetching;
    world_note("fetching", process->id, manifest->index);
    fetch_try(process);
}

void copies_process_down(struct process *process)
{
    for (uint32_t i = 0; i < transfers_count; i++) {
        if (transfers[i]->from == process || transfers[i]->to == process) {
            transfers[i]->over = true;
        }
    }
}
