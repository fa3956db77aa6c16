/* One thread of the load: its clock, its arrivals, its beginning and end. */
#include "client/bench_lane.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

uint64_t lane_now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec time;
    int result = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    assert(result == 0);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- seconds ------------------------------------------------------------------------------ */

static void second_publish(struct lane *lane)
{
    bench_series_add(lane->load->series, lane->second, &lane->counts, &lane->second_us);
    bench_counts_add(&lane->run, &lane->counts);
    lane->counts = (struct bench_counts){.posted = 0};
    lane->second_us = (struct histogram){.count = 0};
}

void lane_clock(struct lane *lane, uint64_t now_ns)
{
    if (!lane->started || now_ns < lane->start_ns) {
        return;
    }
    const uint32_t second = (uint32_t)((now_ns - lane->start_ns) / 1000000000);
    if (second == lane->second) {
        return;
    }
    second_publish(lane);
    const uint32_t begin = lane->plan->options->warmup_s;
    const uint32_t end = begin + lane->plan->options->seconds;
    if (lane->second < begin && second >= begin) {
        lane->cpu_begin_ns = thread_cpu_ns();
    }
    if (lane->second < end && second >= end) {
        lane->cpu_end_ns = thread_cpu_ns();
    }
    lane->second = second;
}

static void on_second(uv_timer_t *timer)
{
    struct lane *lane = timer->data;
    const uint64_t now_ns = lane_now_ns();
    lane_clock(lane, now_ns);
    const uint64_t passed_ms = (now_ns - lane->start_ns) / 1000000;
    int result = uv_timer_start(&lane->second_timer, on_second, 1000 - passed_ms % 1000, 0);
    assert(result == 0);
    lane_pump(lane);
}

/* ---- the end ------------------------------------------------------------------------------ */

void lane_close(struct lane *lane)
{
    if (lane->closing) {
        return;
    }
    lane->closing = true;
    lane->ended = true;
    lane->counts.not_sent_requests += lane->schedule.count;
    lane->meant_requests += lane->schedule.count;
    uv_close((uv_handle_t *)&lane->go, NULL);
    uv_close((uv_handle_t *)&lane->second_timer, NULL);
    uv_close((uv_handle_t *)&lane->drain_timer, NULL);
    if (lane->arrival_file >= 0) {
        uv_close((uv_handle_t *)&lane->arrival_poll, NULL);
    }
    for (uint32_t i = 0; i < lane->lines_count; i++) {
        line_close(&lane->lines[i]);
    }
}

static void on_drain(uv_timer_t *timer)
{
    struct lane *lane = timer->data;
    bench_load_note(lane->load, "requests were left without an answer at the end");
    lane_close(lane);
}

/* No new requests; what is under way has its time. */
static void lane_end(struct lane *lane)
{
    if (lane->ended) {
        return;
    }
    lane->ended = true;
    int result = uv_timer_start(&lane->drain_timer, on_drain, CLIENT_ATTEMPT_MS, 0);
    assert(result == 0);
}

/* ---- requests ----------------------------------------------------------------------------- */

static bool lane_open_loop(const struct lane *lane)
{
    return lane->plan->options->rate_per_s > 0;
}

/* When the next request was meant to start; false where none is due. */
static bool lane_next(struct lane *lane, uint64_t now_ns, uint64_t *intended_ns)
{
    if (lane_open_loop(lane)) {
        return bench_schedule_take(&lane->schedule, intended_ns);
    }
    *intended_ns = now_ns;
    return !lane->ended;
}

/* Wakes for the next arrival, but not more often than BENCH_WAKE_GAP_US. */
static void arrival_arm(struct lane *lane)
{
    const uint64_t next_ns = bench_schedule_next_ns(&lane->schedule);
    if (next_ns == UINT64_MAX || next_ns == lane->armed_ns) {
        return;
    }
    const uint64_t earliest_ns = lane->woken_ns + BENCH_WAKE_GAP_US * UINT64_C(1000);
    const uint64_t wake_ns = next_ns > earliest_ns ? next_ns : earliest_ns;
    const struct itimerspec time = {.it_value = {.tv_sec = (time_t)(wake_ns / 1000000000),
                                                 .tv_nsec = (long)(wake_ns % 1000000000)}};
    int result = timerfd_settime(lane->arrival_file, TFD_TIMER_ABSTIME, &time, NULL);
    assert(result == 0);
    lane->armed_ns = next_ns;
}

static void on_arrival(uv_poll_t *poll, int status, int events)
{
    struct lane *lane = poll->data;
    uint64_t times = 0;
    (void)status;
    (void)events;
    ssize_t got = read(lane->arrival_file, &times, sizeof(times));
    (void)got; /* nothing to read: it was armed anew */
    lane->woken_ns = lane_now_ns();
    lane->armed_ns = 0;
    lane_clock(lane, lane->woken_ns);
    lane_pump(lane);
}

void lane_pump(struct lane *lane)
{
    if (!lane->started || lane->closing) {
        return;
    }
    const uint64_t now_ns = lane_now_ns();
    lane_clock(lane, now_ns);
    if (lane_open_loop(lane)) {
        const uint64_t dropped = bench_schedule_advance(&lane->schedule, now_ns);
        lane->counts.not_sent_requests += dropped;
        lane->meant_requests += now_ns >= lane->window_begin_ns ? dropped : 0;
    }
    if (now_ns >= lane->window_end_ns) {
        lane_end(lane);
    }
    uint64_t intended_ns = 0;
    while (!list_empty(&lane->ready) && lane_next(lane, now_ns, &intended_ns)) {
        struct line *line = CONTAINER_OF(lane->ready.next, struct line, ready);
        if (lane_open_loop(lane) && !lane->backlogged && intended_ns >= lane->window_begin_ns) {
            histogram_add(&lane->late_us, (now_ns - intended_ns) / 1000);
        }
        line_send_new(line, intended_ns, now_ns);
    }
    lane->backlogged = lane->schedule.count > 0;
    if (lane_open_loop(lane)) {
        arrival_arm(lane);
    }
    if (lane->ended && lane->busy == 0 && lane->schedule.count == 0) {
        lane_close(lane);
    }
}

/* ---- life --------------------------------------------------------------------------------- */

/* Nanoseconds between two requests of this lane, on average. */
static double lane_gap_ns(const struct lane *lane)
{
    const struct bench_options *options = lane->plan->options;
    const double requests = (double)options->mix_payments + options->mix_reads;
    const double operations =
        ((double)options->mix_payments * options->payments + options->mix_reads) / requests;
    return 1e9 * operations / (double)options->rate_per_s * lane->load->lanes_count;
}

/* The main thread said when to begin, or to give up. */
static void on_go(uv_async_t *async)
{
    struct lane *lane = async->data;
    const uint64_t start_ns = atomic_load(&lane->load->start_ns);
    if (start_ns == UINT64_MAX) {
        lane_close(lane);
        return;
    }
    if (start_ns == 0 || lane->started) {
        return;
    }
    const struct bench_options *options = lane->plan->options;
    const uint32_t lanes_count = lane->load->lanes_count;
    lane->started = true;
    lane->start_ns = start_ns;
    lane->window_begin_ns = start_ns + options->warmup_s * UINT64_C(1000000000);
    lane->window_end_ns = lane->window_begin_ns + options->seconds * UINT64_C(1000000000);
    lane->cpu_begin_ns = thread_cpu_ns();
    if (lane_open_loop(lane)) {
        /* Lanes in turn, so that even gaps are even over all of them. */
        const uint64_t shift_ns = (uint64_t)(lane_gap_ns(lane) * lane->index / lanes_count);
        bench_schedule_begin(&lane->schedule, start_ns + shift_ns, lane->window_end_ns);
    }
    on_second(&lane->second_timer);
}

static void arrival_open(struct lane *lane)
{
    lane->arrival_file = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    assert(lane->arrival_file >= 0);
    int result = uv_poll_init(&lane->loop, &lane->arrival_poll, lane->arrival_file);
    assert(result == 0);
    lane->arrival_poll.data = lane;
    result = uv_poll_start(&lane->arrival_poll, UV_READABLE, on_arrival);
    assert(result == 0);
}

static void loop_open(struct lane *lane)
{
    int result = uv_loop_init(&lane->loop);
    assert(result == 0);
    result = uv_async_init(&lane->loop, &lane->go, on_go);
    assert(result == 0);
    result = uv_timer_init(&lane->loop, &lane->second_timer);
    assert(result == 0);
    result = uv_timer_init(&lane->loop, &lane->drain_timer);
    assert(result == 0);
    lane->go.data = lane;
    lane->second_timer.data = lane;
    lane->drain_timer.data = lane;
    if (lane_open_loop(lane)) {
        arrival_open(lane);
    }
}

enum status lane_open(struct lane *lane, struct bench_load *load, uint32_t index, char *error,
                      size_t error_size)
{
    const struct bench_options *options = load->options;
    *lane = (struct lane){.load = load, .plan = load->plan, .index = index, .arrival_file = -1};
    list_init(&lane->ready);
    buffer_init(&lane->request, SESSION_WRITE_BYTES_MAX);
    bench_ids_init(&lane->ids, options->payments, BENCH_IDS_MAX / load->lanes_count);
    loop_open(lane);
    const struct tls_options tls = {.ca_path = load->client->ca_path,
                                    .verify_peer = load->client->ca_path != NULL,
                                    .verify_host = load->client->ca_path != NULL};
    enum status status =
        load->client->tls ? tls_context_open(&lane->tls, &tls, error, error_size) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    (void)snprintf(error, error_size, "out of memory");
    const uint32_t begin = (uint32_t)((uint64_t)options->connections * index / load->lanes_count);
    const uint32_t end =
        (uint32_t)((uint64_t)options->connections * (index + 1) / load->lanes_count);
    status = message_reader_open(&lane->reader, CLIENT_ANSWER_BYTES_MAX);
    lane->lines = calloc(end - begin, sizeof(*lane->lines));
    if (status != STATUS_OK || lane->lines == NULL) {
        return STATUS_NO_MEMORY;
    }
    while (status == STATUS_OK && lane->lines_count < end - begin) {
        const uint32_t node = (begin + lane->lines_count) % load->targets_count;
        status = line_init(&lane->lines[lane->lines_count], lane, node);
        lane->lines_count += 1;
    }
    if (status == STATUS_OK && lane_open_loop(lane)) {
        const struct bench_dice dice = bench_dice_of(load->plan, BENCH_STREAM_ARRIVALS, index, 0);
        status = bench_schedule_init(&lane->schedule, lane_gap_ns(lane), options->poisson,
                                     options->backlog / load->lanes_count + 1, dice);
    }
    return status;
}

void *lane_run(void *data)
{
    struct lane *lane = data;
    for (uint32_t i = 0; i < lane->lines_count; i++) {
        line_connect(&lane->lines[i]);
    }
    (void)uv_run(&lane->loop, UV_RUN_DEFAULT);
    second_publish(lane);
    return NULL;
}

void lane_free(struct lane *lane)
{
    if (lane->load == NULL) {
        return; /* never opened */
    }
    if (!lane->closing) {
        lane_close(lane);
    }
    (void)uv_run(&lane->loop, UV_RUN_DEFAULT);
    int result = uv_loop_close(&lane->loop);
    assert(result == 0);
    for (uint32_t i = 0; i < lane->lines_count; i++) {
        line_free(&lane->lines[i]);
    }
    if (lane->arrival_file >= 0) {
        (void)close(lane->arrival_file);
    }
    free(lane->lines);
    tls_context_close(lane->tls);
    message_reader_close(lane->reader);
    buffer_deinit(&lane->request);
    bench_ids_deinit(&lane->ids);
    bench_schedule_deinit(&lane->schedule);
}
