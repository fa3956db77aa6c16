/* One connection of the load: its slots, what it sends, what it makes of answers. */
#include "base/check.h"
#include "base/clock.h"
#include "client/bench_lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t payments_of(const struct lane *lane)
{
    return lane->plan->options->payments;
}

static struct bench_batch batch_of(const struct lane *lane, const struct slot *slot)
{
    return (struct bench_batch){
        .plan = lane->plan, .lane = lane->index, .request = slot->number, .ms = slot->ms};
}

/* A line that could send stands in the queue. */
static void line_update(struct line *line)
{
    list_remove(&line->ready);
    if (line->open && line->free_count > 0) {
        list_push(&line->lane->ready, &line->ready);
    }
}

static void slot_free(struct line *line, uint32_t index)
{
    assert(line->slots[index].state != SLOT_FREE);
    line->slots[index].state = SLOT_FREE;
    line->free[line->free_count] = (uint16_t)index;
    line->free_count += 1;
    line->lane->busy -= 1;
    line_update(line);
}

/* No more may be sent on it; on_close judges what was under way. */
static void line_break(struct line *line)
{
    connection_close(line->connection);
    line->open = false;
    line_update(line);
}

/* ---- sending ------------------------------------------------------------------------------ */

/* A payment of this lane that was acknowledged, if a few tries find one. */
static bool acknowledged_find(const struct lane *lane, struct bench_dice *dice, struct uuid *id)
{
    const uint64_t end = bench_ids_end(&lane->ids);
    for (int i = 0; i < 16 && end > 0; i++) {
        const uint64_t payment = bench_dice_next(dice) % end;
        if (bench_ids_acknowledged(&lane->ids, payment)) {
            *id =
                bench_plan_id(lane->plan, lane->index, payment, bench_ids_ms(&lane->ids, payment));
            return true;
        }
    }
    return false;
}

static void read_write(struct lane *lane, const struct slot *slot, uint32_t index)
{
    const struct bench_options *options = lane->plan->options;
    struct bench_dice dice =
        bench_dice_of(lane->plan, BENCH_STREAM_TARGETS, lane->index, slot->number);
    struct uuid id;
    if (options->reads == BENCH_READ_PAYMENT && acknowledged_find(lane, &dice, &id)) {
        bench_request_payment(&id, index, options->stale, &lane->request);
        return;
    }
    bench_request_account(bench_plan_account(lane->plan, &dice), index, options->stale,
                          &lane->request);
}

/* Sends what the slot stands for. */
static void slot_send(struct line *line, uint32_t index)
{
    struct lane *lane = line->lane;
    struct slot *slot = &line->slots[index];
    assert(line->open);
    buffer_clear(&lane->request);
    if (slot->reads) {
        read_write(lane, slot, index);
    } else {
        const struct bench_batch batch = batch_of(lane, slot);
        bench_request_pay(&batch, index, &lane->request);
    }
    slot->state = SLOT_BUSY;
    const struct text request = {(const char *)lane->request.data, lane->request.size};
    const enum status status =
        lane->request.failed ? STATUS_NO_MEMORY : connection_send(line->connection, request);
    if (status != STATUS_OK) {
        bench_load_note(lane->load, status_text(status));
        line_break(line);
    }
}

static bool slot_is_measured(const struct lane *lane, const struct slot *slot)
{
    return slot->intended_ns >= lane->window_begin_ns && slot->intended_ns < lane->window_end_ns;
}

void line_send_new(struct line *line, uint64_t intended_ns, uint64_t now_ns)
{
    struct lane *lane = line->lane;
    assert(line->open && line->free_count > 0);
    line->free_count -= 1;
    const uint32_t index = line->free[line->free_count];
    struct slot *slot = &line->slots[index];
    *slot = (struct slot){.intended_ns = intended_ns};
    lane->busy += 1;
    slot->reads = bench_plan_reads(lane->plan, lane->index, lane->requests_given);
    lane->requests_given += 1;
    if (slot->reads) {
        slot->number = lane->reads_given;
        lane->reads_given += 1;
    } else {
        const uint32_t now_ms = (uint32_t)((now_ns - lane->start_ns) / 1000000);
        slot->number = bench_ids_give(&lane->ids, now_ms, &slot->ms);
        lane->meant_requests += slot_is_measured(lane, slot) ? 1 : 0;
    }
    slot_send(line, index);
    line_update(line);
}

static void on_retry(uv_timer_t *timer)
{
    struct line *line = timer->data;
    if (line->connection == NULL) {
        line_connect(line);
        return;
    }
    lane_clock(line->lane, lane_now_ns());
    for (uint32_t i = 0; i < line->lane->plan->options->in_flight && line->open; i++) {
        struct slot *slot = &line->slots[i];
        if (slot->state == SLOT_RESTING && slot->drop) {
            slot_free(line, i);
        } else if (slot->state == SLOT_RESTING) {
            line->lane->counts.retries += 1;
            slot_send(line, i);
        }
    }
    lane_pump(line->lane);
}

/* What rests goes on together, after the time that the node named first. */
static void line_rest(struct line *line, uint32_t rest_ms)
{
    if (line->lane->closing || uv_is_active((uv_handle_t *)&line->retry) != 0) {
        return;
    }
    int result = uv_timer_start(&line->retry, on_retry, rest_ms, 0);
    assert(result == 0);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void latency_note(struct lane *lane, const struct slot *slot, uint64_t now_ns)
{
    const uint64_t latency_us = (now_ns - slot->intended_ns) / 1000;
    const bool measured = slot_is_measured(lane, slot);
    if (!slot->reads) {
        histogram_add(&lane->second_us, latency_us);
    }
    if (measured) {
        histogram_add(slot->reads ? &lane->read_latency_us : &lane->latency_us, latency_us);
    }
}

struct posted_note {
    struct lane *lane;
    uint64_t request;
};

static void on_posted(void *data, uint32_t item)
{
    const struct posted_note *note = data;
    bench_ids_acknowledge(&note->lane->ids, note->request, item);
}

/*
 * Settled as refused for now. The closed loop leaves the node in peace for a moment, as a client
 * would; the open loop's arrivals go on whatever the node says.
 */
static void slot_refused(struct line *line, uint32_t index, uint32_t retry_after_ms)
{
    struct slot *slot = &line->slots[index];
    if (line->lane->plan->options->rate_per_s > 0 || line->lane->closing) {
        slot_free(line, index);
        return;
    }
    slot->state = SLOT_RESTING;
    slot->drop = true;
    line_rest(line, retry_after_ms > 0 ? retry_after_ms : (uint32_t)CLIENT_RETRY_MS);
}

/* The answer to a read. */
static void read_answered(struct line *line, uint32_t index, struct text message, uint64_t now_ns)
{
    struct lane *lane = line->lane;
    if (bench_answer_has_result(message)) {
        lane->counts.reads += 1;
        latency_note(lane, &line->slots[index], now_ns);
        slot_free(line, index);
    } else {
        lane->counts.reads_failed += 1;
        slot_refused(line, index, 0);
    }
}

/* Counts what became of a request for good. */
static void pay_settled(struct line *line, uint32_t index, const struct bench_verdict *verdict,
                        uint64_t now_ns)
{
    struct lane *lane = line->lane;
    struct bench_counts *counts = &lane->counts;
    const struct slot *slot = &line->slots[index];
    /* Not executed this time says nothing about an earlier attempt. */
    const uint32_t doubtful = slot->doubtful ? verdict->unrecorded : 0;
    counts->unknown += verdict->unknown + doubtful;
    counts->refused += verdict->refused - doubtful;
    counts->overloaded += slot->doubtful ? 0 : verdict->overloaded;
    counts->posted += verdict->posted;
    counts->requests += 1;
    lane->seq = verdict->seq > lane->seq ? verdict->seq : lane->seq;
    if (verdict->posted > 0) {
        latency_note(lane, slot, now_ns);
    }
    if (verdict->again) {
        slot_refused(line, index, verdict->retry_after_ms);
        return;
    }
    slot_free(line, index);
}

/* The long way: errors, replays, and whatever looks unusual. False: not an answer at all. */
static bool pay_judged(struct line *line, uint32_t index, struct text message, uint64_t now_ns)
{
    struct lane *lane = line->lane;
    struct slot *slot = &line->slots[index];
    const struct value *root = NULL;
    struct failure failure;
    struct reply reply;
    if (message_parse(lane->reader, message, &root, &failure) != CODE_OK ||
        !reply_read(root, &reply)) {
        return false;
    }
    const struct bench_batch batch = batch_of(lane, slot);
    struct posted_note note = {lane, slot->number};
    const struct bench_answer_sink sink = {
        .posted = on_posted, .data = &note, .errors = &lane->errors};
    const struct bench_verdict verdict = bench_answer_read(&batch, &reply, &sink);
    if (!verdict.understood) {
        return false;
    }
    const struct bench_options *options = lane->plan->options;
    const uint32_t rest_ms =
        verdict.retry_after_ms > 0 ? verdict.retry_after_ms : (uint32_t)CLIENT_RETRY_MS;
    if (options->retry && (verdict.again || verdict.doubtful) && !lane->closing) {
        slot->doubtful = slot->doubtful || verdict.doubtful;
        slot->state = SLOT_RESTING;
        line_rest(line, rest_ms);
        return true;
    }
    pay_settled(line, index, &verdict, now_ns);
    return true;
}

static void pay_answered(struct line *line, uint32_t index, struct text message, uint64_t now_ns)
{
    struct lane *lane = line->lane;
    const struct bench_batch batch = batch_of(lane, &line->slots[index]);
    struct bench_verdict verdict = {.understood = true, .posted = payments_of(lane)};
    if (bench_answer_scan(&batch, message, &verdict.seq)) {
        for (uint32_t i = 0; i < verdict.posted; i++) {
            bench_ids_acknowledge(&lane->ids, batch.request, i);
        }
        pay_settled(line, index, &verdict, now_ns);
        return;
    }
    if (!pay_judged(line, index, message, now_ns)) {
        char reason[256];
        (void)snprintf(reason, sizeof(reason), "an answer was not understood: %.*s",
                       message.size < 150 ? (int)message.size : 150, message.data);
        bench_load_note(lane->load, reason);
        line_break(line);
    }
}

static void on_message(struct connection *connection, void *data, struct text message)
{
    struct line *line = data;
    struct lane *lane = line->lane;
    uint32_t index = 0;
    const uint64_t now_ns = lane_now_ns();
    assert(line->connection == connection);
    lane_clock(lane, now_ns);
    if (!bench_answer_slot(message, &index) || index >= lane->plan->options->in_flight ||
        line->slots[index].state != SLOT_BUSY) {
        bench_load_note(lane->load, "an answer belongs to no request");
        line_break(line);
        return;
    }
    if (line->slots[index].reads) {
        read_answered(line, index, message, now_ns);
    } else {
        pay_answered(line, index, message, now_ns);
    }
    lane_pump(lane);
}

/* ---- life --------------------------------------------------------------------------------- */

static void on_open(struct connection *connection, void *data)
{
    struct line *line = data;
    assert(line->connection == connection);
    line->open = true;
    if (!line->counted) {
        line->counted = true;
        atomic_fetch_add(&line->lane->load->connected, 1);
    }
    line_update(line);
    on_retry(&line->retry); /* what rests since the last connection broke */
}

/* What was under way on a connection that is gone. */
static void slot_lost(struct line *line, uint32_t index)
{
    struct lane *lane = line->lane;
    struct slot *slot = &line->slots[index];
    const bool doubtful = slot->doubtful || slot->state == SLOT_BUSY;
    if (slot->state == SLOT_FREE) {
        return;
    }
    if (slot->drop) {
        slot_free(line, index); /* counted already */
        return;
    }
    if (lane->plan->options->retry && !lane->closing && !slot->reads) {
        slot->doubtful = doubtful;
        slot->state = SLOT_RESTING;
        return;
    }
    if (slot->reads) {
        lane->counts.reads_failed += 1;
    } else if (doubtful) {
        lane->counts.unknown += payments_of(lane);
    } else {
        lane->counts.refused += payments_of(lane);
    }
    slot_free(line, index);
}

static void on_close(struct connection *connection, void *data, const char *reason)
{
    struct line *line = data;
    struct lane *lane = line->lane;
    assert(line->connection == connection);
    line->connection = NULL;
    line->open = false;
    line_update(line);
    lane_clock(lane, lane_now_ns());
    if (!lane->closing) {
        bench_load_note(lane->load, reason);
    }
    for (uint32_t i = 0; i < lane->plan->options->in_flight; i++) {
        slot_lost(line, i);
    }
    line->node = (line->node + 1) % lane->load->targets_count;
    if (!lane->closing) {
        (void)uv_timer_stop(&line->retry);
        line_rest(line, CLIENT_RETRY_MS);
        lane_pump(lane);
    }
}

void line_connect(struct line *line)
{
    struct lane *lane = line->lane;
    const struct client_options *client = lane->load->client;
    const struct client_node *node = &client->nodes[lane->load->targets[line->node]];
    const struct connection_options options = {
        .loop = &lane->loop,
        .host = node->host,
        .port = node->port,
        .tls = lane->tls,
        .open_timeout_ms = CLIENT_CONNECT_MS,
        .callbacks = {.on_open = on_open, .on_message = on_message, .on_close = on_close},
        .data = line};
    assert(line->connection == NULL);
    enum status status = connection_open(&line->connection, &options);
    if (status != STATUS_OK) {
        line->connection = NULL;
        bench_load_note(lane->load, status_text(status));
        line_rest(line, CLIENT_RETRY_MS);
    }
}

enum status line_init(struct line *line, struct lane *lane, uint32_t node)
{
    const uint32_t in_flight = lane->plan->options->in_flight;
    *line = (struct line){.lane = lane, .node = node};
    list_init(&line->ready);
    line->slots = calloc(in_flight, sizeof(*line->slots));
    line->free = calloc(in_flight, sizeof(*line->free));
    if (line->slots == NULL || line->free == NULL) {
        return STATUS_NO_MEMORY;
    }
    int result = uv_timer_init(&lane->loop, &line->retry);
    assert(result == 0);
    line->retry.data = line;
    for (uint32_t i = 0; i < in_flight; i++) {
        line->free[i] = (uint16_t)(in_flight - 1 - i);
    }
    line->free_count = in_flight;
    return STATUS_OK;
}

void line_close(struct line *line)
{
    assert(line->lane->closing);
    if (line->slots == NULL || line->free == NULL) {
        return; /* never came to life */
    }
    line->open = false;
    line_update(line);
    uv_close((uv_handle_t *)&line->retry, NULL);
    if (line->connection != NULL) {
        connection_close(line->connection); /* on_close settles the slots */
        return;
    }
    for (uint32_t i = 0; i < line->lane->plan->options->in_flight; i++) {
        slot_lost(line, i);
    }
}

void line_free(struct line *line)
{
    free(line->slots);
    free(line->free);
}
