#include "base/clock.h"
#include "consensus/pump.h"
#include "tests/support/check.h"

#include <raft.h>
#include <string.h>

/*
 * One TCP connection without TLS: on one side a pump with the end that raft would have, on the
 * other one the far side, played by the test.
 */
struct bench {
    uv_loop_t loop;
    struct endpoint endpoint;
    uv_tcp_t listener;
    struct list pumps;
    struct stream *near;
    struct stream *far;
    bool near_open;
    bool far_closed;
    uint64_t far_received;
    uint8_t far_last;
    uv_stream_t *raft_end;
    bool raft_ended;
    bool raft_write_failed;
    uint64_t raft_received;
    uint64_t raft_written;
    bool idle;
};

enum { BENCH_TIMEOUT_MS = 15000, WRITE_BYTES = 64 * 1024 };

static uint8_t pattern[WRITE_BYTES];
static char raft_buffer[WRITE_BYTES];

static void ignore_open(struct stream *stream, void *data)
{
    (void)stream;
    (void)data;
}

static void near_on_open(struct stream *stream, void *data)
{
    struct bench *bench = data;
    (void)stream;
    bench->near_open = true;
}

static void near_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    (void)stream;
    (void)data;
    (void)bytes;
    (void)size;
    fail_msg("the pump has not taken the stream over");
}

static void near_on_close(struct stream *stream, void *data, enum status status)
{
    (void)stream;
    (void)data;
    (void)status;
    fail_msg("the pump has not taken the stream over");
}

static void far_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct bench *bench = data;
    (void)stream;
    bench->far_received += size;
    bench->far_last = bytes[size - 1];
}

static void far_on_close(struct stream *stream, void *data, enum status status)
{
    struct bench *bench = data;
    (void)stream;
    (void)status;
    bench->far = NULL;
    bench->far_closed = true;
}

static void on_connection(uv_stream_t *listener, int error)
{
    struct bench *bench = listener->data;
    assert_int_equal(error, 0);
    const struct stream_options options = {
        .loop = &bench->loop,
        .write_bytes_max = 32 * 1024 * 1024,
        .callbacks = {.on_open = ignore_open, .on_data = far_on_data, .on_close = far_on_close},
        .data = bench,
    };
    check_ok(stream_accept(&bench->far, listener, &options));
}

static void on_wakeup(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs until *flag, or until *counter reaches its goal, or for a time. */
static void bench_run(struct bench *bench, const bool *flag, const uint64_t *counter, uint64_t goal,
                      uint32_t timeout_ms)
{
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    static uv_timer_t timer;
    uv_timer_init(&bench->loop, &timer);
    uv_timer_start(&timer, on_wakeup, 5, 5);
    while ((flag == NULL || !*flag) && (counter == NULL || *counter < goal)) {
        if (clock_monotonic_ms(clock_system()) - begun_ms >= timeout_ms) {
            if (flag != NULL || counter != NULL) {
                fail_msg("not within %u ms", timeout_ms);
            }
            break;
        }
        (void)uv_run(&bench->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&bench->loop, UV_RUN_NOWAIT);
}

static void bench_open(struct bench *bench, enum pump_direction direction)
{
    *bench = (struct bench){.idle = false};
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)i;
    }
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    bench->endpoint.loop = &bench->loop;
    list_init(&bench->pumps);
    struct sockaddr_storage address;
    int size = sizeof address;
    uv_tcp_init(&bench->loop, &bench->listener);
    bench->listener.data = bench;
    uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&address);
    assert_int_equal(uv_tcp_bind(&bench->listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&bench->listener, 8, on_connection), 0);
    uv_tcp_getsockname(&bench->listener, (struct sockaddr *)&address, &size);
    const struct stream_options options = {
        .loop = &bench->loop,
        .write_bytes_max = 48 * 1024 * 1024,
        .callbacks = {.on_open = near_on_open, .on_data = near_on_data, .on_close = near_on_close},
        .data = bench,
    };
    uint16_t port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    check_ok(stream_connect(&bench->near, "127.0.0.1", port, &options));
    bench_run(bench, &bench->near_open, NULL, 0, BENCH_TIMEOUT_MS);
    while (bench->far == NULL) {
        (void)uv_run(&bench->loop, UV_RUN_ONCE);
    }
    check_ok(
        pump_open(&bench->pumps, &bench->endpoint, bench->near, direction, 2, &bench->raft_end));
    bench->raft_end->data = bench;
}

static void raft_end_closed(uv_handle_t *handle)
{
    raft_free(handle);
}

static void raft_close_end(struct bench *bench)
{
    uv_close((uv_handle_t *)bench->raft_end, raft_end_closed);
    bench->raft_end = NULL;
}

static void bench_on_idle(void *data)
{
    struct bench *bench = data;
    bench->idle = true;
}

static void bench_close(struct bench *bench)
{
    if (bench->raft_end != NULL) {
        raft_close_end(bench);
    }
    if (bench->far != NULL) {
        stream_close(bench->far, STATUS_CLOSED, 0);
    }
    uv_close((uv_handle_t *)&bench->listener, NULL);
    endpoint_when_idle(&bench->endpoint, bench_on_idle, bench);
    bench_run(bench, &bench->idle, NULL, 0, BENCH_TIMEOUT_MS);
    assert_true(list_empty(&bench->pumps));
    while (uv_run(&bench->loop, UV_RUN_NOWAIT) != 0) {
    }
    assert_int_equal(uv_loop_close(&bench->loop), 0);
}

static struct pump *bench_pump(struct bench *bench)
{
    assert_false(list_empty(&bench->pumps));
    return pump_of(bench->pumps.next);
}

/* --- what raft does with its end
 * -------------------------------------------------------------------- */

static void raft_written(uv_write_t *request, int error)
{
    struct bench *bench = request->data;
    if (error == 0) {
        bench->raft_written += WRITE_BYTES;
    } else {
        bench->raft_write_failed = true;
    }
    free(request);
}

static void raft_write(struct bench *bench)
{
    uv_write_t *request = malloc(sizeof *request);
    assert_non_null(request);
    request->data = bench;
    uv_buf_t buffer = uv_buf_init((char *)pattern, sizeof pattern);
    assert_int_equal(uv_write(request, bench->raft_end, &buffer, 1, raft_written), 0);
}

static void raft_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(raft_buffer, sizeof raft_buffer);
}

static void raft_read(uv_stream_t *raft_end, ssize_t size, const uv_buf_t *buffer)
{
    struct bench *bench = raft_end->data;
    (void)buffer;
    if (size < 0) {
        bench->raft_ended = true;
        uv_read_stop(raft_end);
    } else {
        bench->raft_received += (uint64_t)size;
    }
}

/* --- tests
 * ------------------------------------------------------------------------------------------ */

static void what_raft_writes_arrives_whole(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_OUTGOING);
    for (int i = 0; i < 256; i++) {
        raft_write(&bench);
    }
    bench_run(&bench, NULL, &bench.far_received, 256ULL * WRITE_BYTES, BENCH_TIMEOUT_MS);
    assert_int_equal(bench.far_received, 256ULL * WRITE_BYTES);
    assert_int_equal(bench.far_last, 0xff);
    bench_close(&bench);
}

/* Without waiting for the loop to find it; and each byte once. */
static void what_raft_wrote_can_be_pulled(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_OUTGOING);
    struct pump *pump = bench_pump(&bench);
    uv_buf_t buffer = uv_buf_init((char *)pattern, 1000);
    assert_int_equal(uv_try_write(bench.raft_end, &buffer, 1), 1000);
    pump_pull(pump); /* nobody said that raft wrote */
    assert_int_equal(pump_backlog(pump), 0);
    pump_wrote(pump);
    pump_pull(pump);
    assert_int_equal(pump_backlog(pump), 1000);
    pump_pull(pump);
    pump_wrote(pump);
    pump_pull(pump); /* nothing there */
    assert_int_equal(pump_backlog(pump), 1000);
    bench_run(&bench, NULL, &bench.far_received, 1000, BENCH_TIMEOUT_MS);
    assert_int_equal(uv_try_write(bench.raft_end, &buffer, 1), 1000);
    bench_run(&bench, NULL, &bench.far_received, 2000, BENCH_TIMEOUT_MS);
    assert_int_equal(bench.far_received, 2000);
    pump_close(pump, STATUS_CLOSED);
    pump_wrote(pump);
    pump_pull(pump);
    bench_close(&bench);
}

static void what_the_peer_writes_reaches_raft(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_INCOMING);
    uv_read_start(bench.raft_end, raft_alloc, raft_read);
    for (int i = 0; i < 256; i++) {
        check_ok(stream_write(bench.far, pattern, sizeof pattern));
    }
    bench_run(&bench, NULL, &bench.raft_received, 256ULL * WRITE_BYTES, BENCH_TIMEOUT_MS);
    assert_int_equal(bench.raft_received, 256ULL * WRITE_BYTES);
    bench_close(&bench);
}

static void wire_that_takes_nothing_bounds_memory_and_is_cut(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_OUTGOING);
    stream_pause(bench.far);
    for (int i = 0; i < 512; i++) {
        raft_write(&bench); /* 32 MiB: far more than pump and kernel take */
    }
    bench_run(&bench, NULL, NULL, 0, 500);
    size_t held = stream_write_bytes(bench.near);
    assert_true(held > 0);
    assert_true(held <= PEER_PUMP_BYTES_MAX);
    assert_true(bench.raft_written < 512ULL * WRITE_BYTES);
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    bench_run(&bench, &bench.raft_write_failed, NULL, 0, 3 * PEER_STALL_MS);
    assert_true(clock_monotonic_ms(clock_system()) - begun_ms + 1000 >= PEER_STALL_MS);
    bench_close(&bench);
}

static void raft_that_reads_nothing_stops_the_wire(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_INCOMING);
    for (int i = 0; i < 400; i++) {
        check_ok(stream_write(bench.far, pattern, sizeof pattern));
    }
    bench_run(&bench, NULL, NULL, 0, 500);
    assert_true(stream_write_bytes(bench.far) > 0); /* it waits at the sender, not here */
    uv_read_start(bench.raft_end, raft_alloc, raft_read);
    bench_run(&bench, NULL, &bench.raft_received, 400ULL * WRITE_BYTES, BENCH_TIMEOUT_MS);
    bench_close(&bench);
}

static void paused_pump_reads_nothing_until_resumed(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_INCOMING);
    uv_read_start(bench.raft_end, raft_alloc, raft_read);
    pump_pause(bench_pump(&bench), true);
    check_ok(stream_write(bench.far, pattern, sizeof pattern));
    bench_run(&bench, NULL, NULL, 0, 100);
    assert_int_equal(bench.raft_received, 0);
    pump_pause(bench_pump(&bench), false);
    bench_run(&bench, NULL, &bench.raft_received, WRITE_BYTES, BENCH_TIMEOUT_MS);
    bench_close(&bench);
}

static void dead_wire_makes_rafts_next_write_fail(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_OUTGOING);
    stream_close(bench.far, STATUS_CLOSED, 0);
    while (!list_empty(&bench.pumps)) {
        (void)uv_run(&bench.loop, UV_RUN_ONCE);
    }
    raft_write(&bench);
    bench_run(&bench, &bench.raft_write_failed, NULL, 0, BENCH_TIMEOUT_MS);
    bench_close(&bench);
}

static void dead_wire_ends_what_raft_reads(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_INCOMING);
    uv_read_start(bench.raft_end, raft_alloc, raft_read);
    stream_close(bench.far, STATUS_CLOSED, 0);
    bench_run(&bench, &bench.raft_ended, NULL, 0, BENCH_TIMEOUT_MS);
    bench_close(&bench);
}

static void raft_closing_its_end_closes_the_wire(void **state)
{
    (void)state;
    static const enum pump_direction directions[] = {PUMP_OUTGOING, PUMP_INCOMING};
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;
        bench_open(&bench, directions[i]);
        raft_close_end(&bench);
        bench_run(&bench, &bench.far_closed, NULL, 0, BENCH_TIMEOUT_MS);
        bench_close(&bench);
    }
}

static void bytes_on_an_outgoing_stream_end_it(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, PUMP_OUTGOING);
    check_ok(stream_write(bench.far, pattern, 8));
    bench_run(&bench, &bench.far_closed, NULL, 0, BENCH_TIMEOUT_MS);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_raft_writes_arrives_whole),
        cmocka_unit_test(what_raft_wrote_can_be_pulled),
        cmocka_unit_test(what_the_peer_writes_reaches_raft),
        cmocka_unit_test(wire_that_takes_nothing_bounds_memory_and_is_cut),
        cmocka_unit_test(raft_that_reads_nothing_stops_the_wire),
        cmocka_unit_test(paused_pump_reads_nothing_until_resumed),
        cmocka_unit_test(dead_wire_makes_rafts_next_write_fail),
        cmocka_unit_test(dead_wire_ends_what_raft_reads),
        cmocka_unit_test(raft_closing_its_end_closes_the_wire),
        cmocka_unit_test(bytes_on_an_outgoing_stream_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
