#include "tests/simulation/disk.h"

#include "base/check.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/process.h"
#include "tests/simulation/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum operation_kind { OPERATION_APPEND, OPERATION_TRUNCATE, OPERATION_PUT };

struct operation {
    struct list node;
    enum operation_kind kind;
    struct process *process;
    bool begun;
    /* append */
    struct disk_entry *entries;
    unsigned count;
    struct raft_io_append *append;
    raft_io_append_cb append_done;
    /* truncate */
    raft_index index;
    /* put */
    unsigned trailing;
    struct disk_snapshot snapshot;
    struct raft_io_snapshot_put *put;
    raft_io_snapshot_put_cb put_done;
};

/* FNV-1a over words would do; bytes are few. */
uint64_t disk_hash(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void *copy_of(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    assert(copy != NULL);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

/* ---- the flushed image --------------------------------------------------------------------- */

raft_index disk_last(const struct disk *disk)
{
    return disk->first + disk->count - 1;
}

static void image_add(struct disk *disk, const struct disk_entry *entry)
{
    if (disk->count == disk->capacity) {
        disk->capacity = disk->capacity == 0 ? 256 : 2 * disk->capacity;
        disk->entries = realloc(disk->entries, disk->capacity * sizeof(*disk->entries));
        assert(disk->entries != NULL);
    }
    disk->entries[disk->count++] = *entry;
}

void disk_cut(struct disk *disk, raft_index last)
{
    while (disk->count > 0 && disk_last(disk) > last) {
        free(disk->entries[--disk->count].bytes);
    }
}

static void image_trim(struct disk *disk, raft_index first)
{
    size_t gone = 0;
    while (gone < disk->count && disk->first + gone < first) {
        free(disk->entries[gone++].bytes);
    }
    disk->count -= gone;
    memmove(disk->entries, disk->entries + gone, disk->count * sizeof(*disk->entries));
    disk->first += gone;
}

static void snapshot_free(struct disk_snapshot *snapshot)
{
    free(snapshot->configuration);
    free(snapshot->bytes);
}

static void image_put(struct disk *disk, const struct operation *operation)
{
    snapshot_free(&disk->snapshot);
    disk->snapshot = operation->snapshot;
    raft_index index = disk->snapshot.index;
    if (operation->trailing == 0) {
        disk->stateless = index;
        disk_cut(disk, 0);
        disk->first = index + 1;
    } else if (index > operation->trailing) {
        image_trim(disk, index - operation->trailing + 1);
    }
}

bool disk_holds(const struct disk *disk, raft_index index, uint64_t hash)
{
    if (disk->stateless != 0 || index <= disk->snapshot.index) {
        return disk->stateless == 0;
    }
    return index >= disk->first && index <= disk_last(disk) &&
           disk->entries[index - disk->first].hash == hash;
}

void disk_format(struct disk *disk, const struct raft_configuration *configuration)
{
    *disk = (struct disk){.term = 1, .first = 1};
    list_init(&disk->operations);
    struct raft_buffer bytes;
    int failed = raft_configuration_encode(configuration, &bytes);
    assert(failed == 0);
    struct disk_entry entry = {.term = 1,
                               .type = RAFT_CHANGE,
                               .size = bytes.len,
                               .bytes = copy_of(bytes.base, bytes.len),
                               .hash = disk_hash(bytes.base, bytes.len)};
    raft_free(bytes.base);
    image_add(disk, &entry);
}

/* ---- operations ---------------------------------------------------------------------------- */

static void perform(struct disk *disk, struct operation *operation, unsigned entries)
{
    switch (operation->kind) {
    case OPERATION_APPEND:
        for (unsigned i = 0; i < operation->count; i++) {
            if (i < entries) {
                image_add(disk, &operation->entries[i]);
            } else {
                free(operation->entries[i].bytes);
            }
        }
        break;
    case OPERATION_TRUNCATE:
        disk_cut(disk, operation->index - 1);
        break;
    case OPERATION_PUT:
        image_put(disk, operation);
        break;
    }
}

static void operation_begin(struct process *process);

static void operation_free(struct operation *operation)
{
    list_remove(&operation->node);
    free(operation->entries);
    free(operation);
}

/* raft_uv tells of this only in its trace. */
static void truncation_failed(struct process *process)
{
    struct raft_tracer *tracer = process->consensus->raft->tracer;
    const struct raft_tracer_info info = {
        .version = 1,
        .diagnostic = {.level = 5, .message = "truncate segment 1-2: I/O error", .file = "sim"}};
    tracer->emit(tracer, RAFT_TRACER_DIAGNOSTIC, &info);
}

static void operation_done(void *data)
{
    struct operation *operation = data;
    struct process *process = operation->process;
    struct disk *disk = &process->disk;
    if (disk->hangs) {
        operation->begun = false;
        return;
    }
    struct operation done = *operation;
    bool fails = disk->fail_next || disk->full;
    int error = disk->fail_next ? RAFT_IOERR : RAFT_NOSPACE;
    disk->fail_next = false;
    disk->broken = fails;
    /* What failed may be on the disk all the same, or in part. */
    perform(disk, operation,
            fails ? (unsigned)dice_below(&world.dice, done.count + 1) : done.count);
    operation_free(operation);
    world_note("disk", process->id, disk_last(disk));
    world_say(
        "  disk of node %u: kind %d count %u index %llu -> first %llu last %llu snapshot %llu%s",
        process->id, (int)done.kind, done.count, (unsigned long long)done.index,
        (unsigned long long)disk->first, (unsigned long long)disk_last(disk),
        (unsigned long long)disk->snapshot.index, fails ? " FAILED" : "");
    if (fails && done.kind == OPERATION_TRUNCATE) {
        truncation_failed(process);
    }
    operation_begin(process);
    if (done.kind == OPERATION_APPEND) {
        done.append_done(done.append, fails ? error : 0);
    } else if (done.kind == OPERATION_PUT) {
        done.put_done(done.put, fails ? error : 0);
    }
}

static void operation_begin(struct process *process)
{
    struct disk *disk = &process->disk;
    if (list_empty(&disk->operations) || disk->hangs || disk->broken) {
        return;
    }
    struct operation *operation = CONTAINER_OF(disk->operations.next, struct operation, node);
    if (operation->begun) {
        return;
    }
    operation->begun = true;
    uint64_t delay = dice_between(&world.dice, 50, 900) * MICROSECONDS;
    if (operation->kind == OPERATION_PUT) {
        delay += dice_between(&world.dice, 0, 20) * MILLISECONDS;
    }
    if (disk->slow_ns > 0) {
        delay += dice_below(&world.dice, 2 * disk->slow_ns);
    }
    world_after(process_delay(process, delay), process, operation_done, operation);
}

/* Looks again at a disk that hung; for the end of that fault. */
void disk_resume(struct process *process)
{
    if (process->up) {
        operation_begin(process);
    }
}

static struct operation *operation_make(struct process *process, enum operation_kind kind)
{
    struct operation *operation = calloc(1, sizeof(*operation));
    assert(operation != NULL);
    operation->process = process;
    operation->kind = kind;
    list_push(&process->disk.operations, &operation->node);
    return operation;
}

void disk_crash(struct disk *disk, struct dice *dice)
{
    bool lost = disk->broken;
    while (!list_empty(&disk->operations)) {
        struct operation *operation = CONTAINER_OF(disk->operations.next, struct operation, node);
        if (!lost && dice_chance(dice, 60)) {
            perform(disk, operation, operation->count);
        } else if (!lost && operation->kind == OPERATION_APPEND) {
            perform(disk, operation, (unsigned)dice_below(dice, operation->count + 1));
            lost = true;
        } else {
            lost = true;
            if (operation->kind == OPERATION_PUT) {
                snapshot_free(&operation->snapshot);
            }
        }
        operation_free(operation);
    }
    disk->fail_next = false;
    disk->broken = false;
    disk->die_at_vote = 0;
}

/* ---- raft_io ------------------------------------------------------------------------------- */

static struct process *process_of(struct raft_io *io)
{
    return io->impl;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

static void io_close(struct raft_io *io, raft_io_close_cb done)
{
    done(io);
}

static struct raft_snapshot *snapshot_read(const struct disk_snapshot *from)
{
    struct raft_snapshot *snapshot = raft_calloc(1, sizeof(*snapshot));
    assert(snapshot != NULL);
    snapshot->index = from->index;
    snapshot->term = from->term;
    snapshot->configuration_index = from->configuration_index;
    raft_configuration_init(&snapshot->configuration);
    struct raft_buffer encoded = {.base = from->configuration, .len = from->configuration_size};
    int failed = raft_configuration_decode(&encoded, &snapshot->configuration);
    assert(failed == 0);
    snapshot->bufs = raft_malloc(sizeof(*snapshot->bufs));
    assert(snapshot->bufs != NULL);
    snapshot->n_bufs = 1;
    snapshot->bufs[0].len = from->size;
    snapshot->bufs[0].base = raft_malloc(from->size);
    assert(snapshot->bufs[0].base != NULL);
    memcpy(snapshot->bufs[0].base, from->bytes, from->size);
    return snapshot;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *vote,
                   struct raft_snapshot **snapshot, raft_index *start, struct raft_entry *entries[],
                   size_t *count)
{
    const struct disk *disk = &process_of(io)->disk;
    if (disk->damaged) {
        return RAFT_CORRUPT;
    }
    *term = disk->term;
    *vote = disk->vote;
    *snapshot = disk->snapshot.index == 0 ? NULL : snapshot_read(&disk->snapshot);
    *start = disk->first;
    *count = disk->count;
    *entries = NULL;
    if (disk->count == 0) {
        return 0;
    }
    size_t size = 0;
    for (size_t i = 0; i < disk->count; i++) {
        size += disk->entries[i].size;
    }
    uint8_t *batch = raft_malloc(size);
    struct raft_entry *loaded = raft_calloc(disk->count, sizeof(*loaded));
    assert(batch != NULL && loaded != NULL);
    uint8_t *at = batch;
    for (size_t i = 0; i < disk->count; i++) {
        const struct disk_entry *entry = &disk->entries[i];
        memcpy(at, entry->bytes, entry->size);
        loaded[i].term = entry->term;
        loaded[i].type = (enum raft_entry_type)entry->type;
        loaded[i].buf = (struct raft_buffer){.base = at, .len = entry->size};
        loaded[i].batch = batch;
        at += entry->size;
    }
    *entries = loaded;
    return 0;
}

static void io_tick(void *data)
{
    struct process *process = data;
    uint64_t period = process->tick_ms * MILLISECONDS;
    world_after(process_delay(process, period), process, io_tick, process);
    process->tick(&process->consensus->io);
}

static int io_start(struct raft_io *io, unsigned tick_ms, raft_io_tick_cb tick,
                    raft_io_recv_cb recv)
{
    struct process *process = process_of(io);
    process->tick_ms = tick_ms;
    process->tick = tick;
    process->recv = recv;
    world_after(dice_between(&world.dice, 1, tick_ms) * MILLISECONDS, process, io_tick, process);
    return 0;
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    (void)io;
    (void)configuration;
    return RAFT_IOERR;
}

static void die_at_vote(struct disk *disk, uint32_t when)
{
    if (disk->die_at_vote == when) {
        disk->die_at_vote = 0;
        process_die(DEATH_POWER, "at the write of term or vote");
    }
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct disk *disk = &process_of(io)->disk;
    die_at_vote(disk, 1);
    if (disk->full) {
        return RAFT_NOSPACE;
    }
    disk->term = term;
    disk->vote = 0;
    die_at_vote(disk, 2);
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    struct disk *disk = &process_of(io)->disk;
    die_at_vote(disk, 1);
    if (disk->full) {
        return RAFT_NOSPACE;
    }
    disk->vote = id;
    die_at_vote(disk, 2);
    return 0;
}

static int io_append(struct raft_io *io, struct raft_io_append *request,
                     const struct raft_entry entries[], unsigned count, raft_io_append_cb done)
{
    struct process *process = process_of(io);
    struct operation *operation = operation_make(process, OPERATION_APPEND);
    operation->append = request;
    operation->append_done = done;
    operation->count = count;
    operation->entries = calloc(count == 0 ? 1 : count, sizeof(*operation->entries));
    assert(operation->entries != NULL);
    for (unsigned i = 0; i < count; i++) {
        const struct raft_buffer *buffer = &entries[i].buf;
        assert(buffer->len % 8 == 0);
        operation->entries[i] = (struct disk_entry){.term = entries[i].term,
                                                    .type = (int)entries[i].type,
                                                    .size = buffer->len,
                                                    .bytes = copy_of(buffer->base, buffer->len),
                                                    .hash = disk_hash(buffer->base, buffer->len)};
    }
    operation_begin(process);
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct process *process = process_of(io);
    struct operation *operation = operation_make(process, OPERATION_TRUNCATE);
    operation->index = index;
    operation_begin(process);
    return 0;
}

static int io_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                  const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
    struct process *process = process_of(io);
    assert(snapshot->n_bufs == 1);
    struct operation *operation = operation_make(process, OPERATION_PUT);
    operation->trailing = trailing;
    operation->put = request;
    operation->put_done = done;
    struct raft_buffer encoded;
    int failed = raft_configuration_encode(&snapshot->configuration, &encoded);
    assert(failed == 0);
    operation->snapshot =
        (struct disk_snapshot){.index = snapshot->index,
                               .term = snapshot->term,
                               .configuration_index = snapshot->configuration_index,
                               .configuration_size = encoded.len,
                               .configuration = copy_of(encoded.base, encoded.len),
                               .size = snapshot->bufs[0].len,
                               .bytes = copy_of(snapshot->bufs[0].base, snapshot->bufs[0].len)};
    raft_free(encoded.base);
    world_note(trailing == 0 ? "install" : "snapshot", process->id, snapshot->index);
    operation_begin(process);
    if (trailing == 0) {
        faults_moment(MOMENT_INSTALL, process);
    }
    return 0;
}

struct get {
    struct process *process;
    struct raft_io_snapshot_get *request;
    raft_io_snapshot_get_cb done;
};

static void get_done(void *data)
{
    struct get get = *(struct get *)data;
    free(data);
    get.done(get.request, snapshot_read(&get.process->disk.snapshot), 0);
}

static int io_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                  raft_io_snapshot_get_cb done)
{
    struct process *process = process_of(io);
    struct get *get = malloc(sizeof(*get));
    assert(get != NULL && process->disk.snapshot.index != 0);
    *get = (struct get){.process = process, .request = request, .done = done};
    uint64_t delay = dice_between(&world.dice, 100, 3000) * MICROSECONDS;
    world_after(process_delay(process, delay), process, get_done, get);
    return 0;
}

static raft_time io_time(struct raft_io *io)
{
    return clock_monotonic_ms(&process_of(io)->clock);
}

static int io_random(struct raft_io *io, int min, int max)
{
    assert(min <= max);
    return min + (int)dice_below(&process_of(io)->dice, (uint64_t)(max - min) + 1);
}

struct raft_io disk_io(struct process *process)
{
    return (struct raft_io){.version = 1,
                            .capacity = 8192,
                            .impl = process,
                            .init = io_init,
                            .close = io_close,
                            .load = io_load,
                            .start = io_start,
                            .bootstrap = io_bootstrap,
                            .recover = io_bootstrap,
                            .set_term = io_set_term,
                            .set_vote = io_set_vote,
                            .send = wire_raft_send,
                            .append = io_append,
                            .truncate = io_truncate,
                            .snapshot_put = io_put,
                            .snapshot_get = io_get,
                            .time = io_time,
                            .random = io_random};
}
