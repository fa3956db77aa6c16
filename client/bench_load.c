#include "client/bench_load.h"

#include "base/check.h"
#include "client/bench_lane.h"

#include <stdlib.h>
#include <time.h>

void bench_load_note(struct bench_load *load, const char *reason)
{
    int result = pthread_mutex_lock(&load->reason_lock);
    assert(result == 0);
    if (load->reason[0] == '\0') {
        (void)snprintf(load->reason, sizeof(load->reason), "%s", reason);
    }
    result = pthread_mutex_unlock(&load->reason_lock);
    assert(result == 0);
}

/* The first reason so far; threads may be running. */
static void load_reason(struct bench_load *load, char *error, size_t error_size)
{
    int result = pthread_mutex_lock(&load->reason_lock);
    assert(result == 0);
    (void)snprintf(error, error_size, "%s",
                   load->reason[0] != '\0' ? load->reason : "no connection in time");
    result = pthread_mutex_unlock(&load->reason_lock);
    assert(result == 0);
}

static void sleep_ms(uint32_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Waits until all connections are open, or some time has passed with what there is. */
static bool load_connected(struct bench_load *load)
{
    const uint64_t begin_ns = lane_now_ns();
    for (;;) {
        const uint32_t connected = atomic_load(&load->connected);
        const uint64_t passed_ms = (lane_now_ns() - begin_ns) / 1000000;
        if (connected == load->options->connections) {
            return true;
        }
        if (passed_ms > 2 * CLIENT_CONNECT_MS) {
            return connected > 0;
        }
        sleep_ms(1);
    }
}

enum status bench_load_open(struct bench_load *load, char *error, size_t error_size)
{
    const struct bench_options *options = load->options;
    assert(load->targets_count > 0 && options->threads <= options->connections);
    int result = pthread_mutex_init(&load->reason_lock, NULL);
    assert(result == 0);
    load->lanes_count = options->threads;
    load->lanes = calloc(load->lanes_count, sizeof(*load->lanes));
    if (load->lanes == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        enum status status = lane_open(&load->lanes[i], load, i, error, error_size);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        if (pthread_create(&load->lanes[i].thread, NULL, lane_run, &load->lanes[i]) != 0) {
            (void)snprintf(error, error_size, "no thread could be made");
            return STATUS_NO_MEMORY;
        }
        load->lanes[i].running = true;
    }
    if (!load_connected(load)) {
        load_reason(load, error, error_size);
        return STATUS_NETWORK;
    }
    return STATUS_OK;
}

static void load_tell(struct bench_load *load, uint64_t start_ns)
{
    atomic_store(&load->start_ns, start_ns);
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        if (load->lanes[i].running) {
            int result = uv_async_send(&load->lanes[i].go);
            assert(result == 0);
        }
    }
}

void bench_load_start(struct bench_load *load)
{
    assert(atomic_load(&load->start_ns) == 0);
    load_tell(load, lane_now_ns());
}

void bench_load_join(struct bench_load *load)
{
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        if (load->lanes[i].running) {
            int result = pthread_join(load->lanes[i].thread, NULL);
            assert(result == 0);
            load->lanes[i].running = false;
        }
    }
}

void bench_load_result(struct bench_load *load, struct bench_result *result)
{
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        const struct lane *lane = &load->lanes[i];
        assert(!lane->running);
        assert(lane->meant_requests >= lane->latency_us.count);
        const uint64_t cpu_us = (lane->cpu_end_ns - lane->cpu_begin_ns) / 1000;
        bench_counts_add(&result->run, &lane->run);
        histogram_merge(&result->latency_us, &lane->latency_us);
        result->without_latency_requests += lane->meant_requests - lane->latency_us.count;
        histogram_merge(&result->read_latency_us, &lane->read_latency_us);
        histogram_merge(&result->generator.late_us, &lane->late_us);
        for (uint32_t row = 0; row < lane->errors.count; row++) {
            bench_errors_add(&result->errors, text_of(lane->errors.rows[row].code),
                             lane->errors.rows[row].count);
        }
        result->generator.cpu_us += cpu_us;
        if (cpu_us > result->generator.busiest_cpu_us) {
            result->generator.busiest_cpu_us = cpu_us;
        }
    }
}

const struct bench_ids *bench_load_ids(const struct bench_load *load, uint32_t lane)
{
    assert(lane < load->lanes_count);
    return &load->lanes[lane].ids;
}

uint64_t bench_load_seq(const struct bench_load *load)
{
    uint64_t seq = 0;
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        seq = load->lanes[i].seq > seq ? load->lanes[i].seq : seq;
    }
    return seq;
}

void bench_load_close(struct bench_load *load)
{
    if (load->lanes == NULL) {
        return;
    }
    if (atomic_load(&load->start_ns) == 0) {
        load_tell(load, UINT64_MAX);
    }
    bench_load_join(load);
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        lane_free(&load->lanes[i]);
    }
    free(load->lanes);
    load->lanes = NULL;
    int result = pthread_mutex_destroy(&load->reason_lock);
    assert(result == 0);
}
