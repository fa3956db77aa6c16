#include "tests/simulation/wire.h"

#include "base/check.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/rpc.h"

#include <stdlib.h>
#include <string.h>

enum stream_kind { STREAM_RAFT, STREAM_LINK, STREAM_KINDS };

enum {
    RETRY_MS = 150,       /* between two attempts to connect */
    BREAK_MS = 2000,      /* a stream whose bytes are not acknowledged for so long breaks */
    WAITING_MAX = 3,      /* raft keeps so many messages for a node that it can not reach */
    CONNECT_US_MAX = 4000 /* handshakes */
};

struct parcel {
    struct list node;
    uint64_t arrive_ns;
    struct raft_message message; /* raft */
    struct raft_io_send *request;
    raft_io_send_cb done;
    size_t size; /* link */
    uint8_t *bytes;
};

struct way {
    struct process *from, *to;
    enum stream_kind kind;
    bool cut; /* kept in the raft way of each pair */
    bool up;
    bool trying;
    uint32_t epoch;       /* counts connections */
    uint64_t stuck_at_ns; /* since when bytes or their acknowledgement do not pass; 0: they do */
    uint64_t last_ns;     /* arrival of the newest parcel */
    uint64_t queued;      /* bytes */
    struct list parcels;  /* on their way */
    struct list waiting;  /* raft: before the stream is up */
    bool planned;         /* a delivery is */
};

struct wire_weather wire_weather;
static struct way ways[PROCESSES_MAX][PROCESSES_MAX][STREAM_KINDS];

static struct way *way_of(uint32_t from, uint32_t to, enum stream_kind kind)
{
    return &ways[from][to][kind];
}

static struct way *way_back(const struct way *way)
{
    return way_of(way->to->place, way->from->place, way->kind);
}

bool wire_is_cut(uint32_t from, uint32_t to)
{
    return ways[from][to][STREAM_RAFT].cut;
}

static bool passes(const struct way *way)
{
    return !wire_is_cut(way->from->place, way->to->place);
}

static bool acknowledged(const struct way *way)
{
    return !wire_is_cut(way->to->place, way->from->place);
}

uint64_t wire_delay(void)
{
    uint64_t delay_us = wire_weather.delay_us + dice_below(&world.dice, wire_weather.jitter_us + 1);
    if (dice_chance(&world.dice, wire_weather.stalls)) {
        delay_us += dice_between(&world.dice, 200, 400) * 1000; /* a retransmission */
    }
    return delay_us * MICROSECONDS;
}

/* ---- parcels ------------------------------------------------------------------------------- */

static void parcel_free(struct parcel *parcel)
{
    free(parcel->bytes);
    free(parcel);
}

static void parcel_drop(struct way *way, struct parcel *parcel)
{
    list_remove(&parcel->node);
    if (way->kind == STREAM_RAFT) {
        rpc_free(&parcel->message);
    }
    parcel_free(parcel);
}

/* raft is told that a message is written, or that it never will be. */
struct sent {
    struct raft_io_send *request;
    raft_io_send_cb done;
    int status;
};

static void sent_tell(void *data)
{
    struct sent sent = *(struct sent *)data;
    free(data);
    sent.done(sent.request, sent.status);
}

static void sent_plan(struct way *way, struct parcel *parcel, int status)
{
    struct sent *sent = malloc(sizeof(*sent));
    assert(sent != NULL);
    *sent = (struct sent){.request = parcel->request, .done = parcel->done, .status = status};
    uint64_t delay = dice_between(&world.dice, 5, 100) * MICROSECONDS;
    world_after(process_delay(way->from, delay), way->from, sent_tell, sent);
}

/* ---- streams ------------------------------------------------------------------------------- */

static void way_try_after(struct way *way, uint64_t delay_ns);
static void way_deliver(void *data);

static void link_tell(struct way *way, bool up)
{
    struct process *process = way->from;
    if (way->kind == STREAM_LINK && process->consensus != NULL) {
        process->consensus->callbacks.on_link(process->node, way->to->id, up);
    }
}

static void way_tell_down(void *data)
{
    struct way *way = data;
    if (!way->up) {
        link_tell(way, false);
        way_try_after(way, dice_between(&world.dice, 1, RETRY_MS) * MILLISECONDS);
    }
}

/* The stream is gone; the sender notices after a while. */
static void way_break(struct way *way, uint64_t notice_ns)
{
    if (!way->up) {
        return;
    }
    world_note("break", way->from->id, way->to->id);
    way->up = false;
    way->stuck_at_ns = 0;
    way->queued = 0;
    while (!list_empty(&way->parcels)) {
        parcel_drop(way, CONTAINER_OF(way->parcels.next, struct parcel, node));
    }
    if (way->from->up) {
        world_after(notice_ns, way->from, way_tell_down, way);
    }
}

static void way_plan(struct way *way)
{
    if (way->planned || list_empty(&way->parcels)) {
        return;
    }
    const struct parcel *first = CONTAINER_OF(way->parcels.next, struct parcel, node);
    uint64_t at_ns = first->arrive_ns > world.now_ns ? first->arrive_ns : world.now_ns;
    way->planned = true;
    world_after(at_ns - world.now_ns, NULL, way_deliver, way);
}

static void way_push(struct way *way, struct parcel *parcel)
{
    uint64_t arrive_ns = world.now_ns + wire_delay();
    parcel->arrive_ns = arrive_ns > way->last_ns ? arrive_ns : way->last_ns + MICROSECONDS;
    way->last_ns = parcel->arrive_ns;
    list_push(&way->parcels, &parcel->node);
    way->queued += parcel->size;
    way_plan(way);
}

static void way_look(void *data)
{
    struct way *way = data;
    way->planned = false;
    way_plan(way);
}

/* Something keeps the bytes or their acknowledgement from passing. */
static bool way_stuck(struct way *way)
{
    if (way->stuck_at_ns == 0) {
        way->stuck_at_ns = world.now_ns;
    }
    if (world.now_ns - way->stuck_at_ns >= BREAK_MS * MILLISECONDS) {
        way_break(way, 0);
        return true;
    }
    return false;
}

static void parcel_receive(struct way *way, struct parcel *parcel)
{
    struct process *to = way->to;
    if (to->consensus == NULL) {
        if (way->kind == STREAM_RAFT) {
            rpc_free(&parcel->message);
        }
        return;
    }
    if (way->kind == STREAM_LINK) {
        to->consensus->callbacks.on_message(to->node, way->from->id, parcel->bytes, parcel->size);
        return;
    }
    parcel->message.server_id = way->from->id;
    parcel->message.server_address = way->from->address;
    to->recv(&to->consensus->io, &parcel->message);
}

struct received {
    struct way *way;
    struct parcel *parcel;
};

static void received_run(void *data)
{
    struct received *received = data;
    parcel_receive(received->way, received->parcel);
}

static void way_deliver(void *data)
{
    struct way *way = data;
    way->planned = false;
    if (!way->up || list_empty(&way->parcels)) {
        return;
    }
    struct process *to = way->to;
    if (!process_serves(to)) {
        way_break(way, dice_between(&world.dice, 0, 500) * MILLISECONDS);
        return;
    }
    if (!passes(way)) {
        if (!way_stuck(way)) {
            way->planned = true;
            world_after(50 * MILLISECONDS, NULL, way_look, way);
        }
        return;
    }
    if (to->paused_until_ns > world.now_ns) {
        way->planned = true;
        world_after_pause(to, way_look, way);
        return;
    }
    if (way->kind == STREAM_RAFT && to->peers_paused) {
        way->planned = true;
        world_after(10 * MILLISECONDS, NULL, way_look, way);
        return;
    }
    struct parcel *parcel = CONTAINER_OF(way->parcels.next, struct parcel, node);
    if (parcel->arrive_ns > world.now_ns) {
        way_plan(way);
        return;
    }
    list_remove(&parcel->node);
    way->queued -= parcel->size;
    if (acknowledged(way)) {
        way->stuck_at_ns = 0;
    } else if (way_stuck(way)) {
        if (way->kind == STREAM_RAFT) {
            rpc_free(&parcel->message);
        }
        parcel_free(parcel);
        return;
    }
    way_plan(way);
    struct received received = {.way = way, .parcel = parcel};
    process_enter(to, received_run, &received);
    parcel_free(parcel);
}

/* ---- connecting ---------------------------------------------------------------------------- */

static void way_open(void *data)
{
    struct way *way = data;
    way->trying = false;
    if (way->up || !process_serves(way->from)) {
        return;
    }
    if (!process_serves(way->to) || !passes(way) || !acknowledged(way)) {
        uint32_t count = 0;
        LIST_FOREACH(node, &way->waiting)
        {
            count++;
        }
        for (; count > WAITING_MAX; count--) {
            struct parcel *oldest = CONTAINER_OF(way->waiting.next, struct parcel, node);
            sent_plan(way, oldest, RAFT_NOCONNECTION);
            parcel_drop(way, oldest);
        }
        way_try_after(way, RETRY_MS * MILLISECONDS);
        return;
    }
    way->up = true;
    way->epoch++;
    way->last_ns = world.now_ns;
    way->stuck_at_ns = 0;
    world_note("connect", way->from->id, way->to->id);
    link_tell(way, true);
    for (struct list *node = list_pop(&way->waiting); node != NULL;
         node = list_pop(&way->waiting)) {
        struct parcel *parcel = CONTAINER_OF(node, struct parcel, node);
        sent_plan(way, parcel, 0);
        way_push(way, parcel);
    }
}

static void way_try_after(struct way *way, uint64_t delay_ns)
{
    if (way->up || way->trying || !way->from->up) {
        return;
    }
    way->trying = true;
    delay_ns += dice_below(&world.dice, CONNECT_US_MAX) * MICROSECONDS;
    world_after(process_delay(way->from, delay_ns), way->from, way_open, way);
}

void wire_process_up(struct process *process)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        for (int kind = 0; kind < STREAM_KINDS && i != process->place; kind++) {
            way_try_after(way_of(process->place, i, (enum stream_kind)kind), 0);
        }
    }
}

void wire_process_down(struct process *process)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        for (int kind = 0; kind < STREAM_KINDS && i != process->place; kind++) {
            struct way *out = way_of(process->place, i, (enum stream_kind)kind);
            out->trying = false;
            while (!list_empty(&out->waiting)) {
                parcel_drop(out, CONTAINER_OF(out->waiting.next, struct parcel, node));
            }
            way_break(out, 0);
            /* Sometimes the end is told at once, sometimes only silence tells it. */
            uint64_t most_ms = dice_chance(&world.dice, 50) ? 5 : BREAK_MS;
            way_break(way_back(out), dice_below(&world.dice, most_ms) * MILLISECONDS);
        }
    }
}

void wire_cut(uint32_t from, uint32_t to, bool cut)
{
    if (from == to || ways[from][to][STREAM_RAFT].cut == cut) {
        return;
    }
    ways[from][to][STREAM_RAFT].cut = cut;
    world_note(cut ? "cut" : "heal", from + 1, to + 1);
}

void wire_heal(void)
{
    for (uint32_t i = 0; i < processes_count; i++) {
        for (uint32_t j = 0; j < processes_count; j++) {
            wire_cut(i, j, false);
        }
    }
}

void wire_begin(void)
{
    wire_weather = (struct wire_weather){.delay_us = 100, .jitter_us = 300};
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        for (uint32_t j = 0; j < PROCESSES_MAX; j++) {
            for (int kind = 0; kind < STREAM_KINDS; kind++) {
                struct way *way = &ways[i][j][kind];
                *way = (struct way){
                    .from = &processes[i], .to = &processes[j], .kind = (enum stream_kind)kind};
                list_init(&way->parcels);
                list_init(&way->waiting);
            }
        }
    }
}

/* ---- sending ------------------------------------------------------------------------------- */

static bool breaks_now(void)
{
    return dice_below(&world.dice, 10000) < wire_weather.breaks;
}

int wire_raft_send(struct raft_io *io, struct raft_io_send *request,
                   const struct raft_message *message, raft_io_send_cb done)
{
    struct process *process = io->impl;
    uint32_t place = (uint32_t)message->server_id - 1;
    assert(place < processes_count && place != process->place);
    struct way *way = way_of(process->place, place, STREAM_RAFT);
    struct parcel *parcel = calloc(1, sizeof(*parcel));
    assert(parcel != NULL);
    rpc_copy(message, &parcel->message);
    parcel->request = request;
    parcel->done = done;
    parcel->size = rpc_entries_bytes(message);
    rpc_note(process->id, message);
    if (way->up && breaks_now()) {
        way_break(way, 0);
    }
    if (!way->up) {
        list_push(&way->waiting, &parcel->node);
        way_try_after(way, 0);
        return 0;
    }
    sent_plan(way, parcel, 0);
    way_push(way, parcel);
    if (parcel->size > 0) {
        faults_moment(MOMENT_SEND, process);
    }
    return 0;
}

enum status consensus_send(struct consensus *consensus, uint32_t peer, const void *bytes,
                           size_t size)
{
    struct process *process = consensus->io.impl;
    struct way *way = way_of(process->place, peer - 1, STREAM_LINK);
    if (way->up && breaks_now()) {
        way_break(way, 0);
    }
    if (!way->up) {
        return STATUS_NETWORK;
    }
    struct parcel *parcel = calloc(1, sizeof(*parcel));
    assert(parcel != NULL);
    parcel->bytes = malloc(size);
    assert(parcel->bytes != NULL);
    memcpy(parcel->bytes, bytes, size);
    parcel->size = size;
    way_push(way, parcel);
    return STATUS_OK;
}

bool consensus_link_up(const struct consensus *consensus, uint32_t peer)
{
    const struct process *process = consensus->io.impl;
    return way_of(process->place, peer - 1, STREAM_LINK)->up;
}

void consensus_pause(struct consensus *consensus, bool pause)
{
    struct process *process = consensus->io.impl;
    process->peers_paused = pause;
}

/* ---- what raft's flow control asks its transport ------------------------------------------- */

uint32_t transport_epoch(const struct transport *transport, uint32_t peer)
{
    return way_of(transport->endpoint->identity.node_id - 1, peer - 1, STREAM_RAFT)->epoch;
}

/* What is sent here is on its way at once. */
void transport_wrote(struct transport *transport, uint32_t peer)
{
    (void)transport;
    (void)peer;
}

size_t transport_backlog(const struct transport *transport, uint32_t peer)
{
    const struct way *way =
        way_of(transport->endpoint->identity.node_id - 1, peer - 1, STREAM_RAFT);
    return way->stuck_at_ns != 0 ? way->queued : 0;
}
