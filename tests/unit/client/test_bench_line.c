/*
 * One connection of the load against a server that answers by a script. The lane is driven by hand:
 * what is sent, and when it was meant to be, is the test's choice.
 */
#include "client/bench_lane.h"

#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"
#include "tests/support/scripted_node.h"

#include <stdio.h>
#include <string.h>

/* ---- the lane ------------------------------------------------------------------------------ */

static const uint64_t second_ns = UINT64_C(1000000000);

struct world {
    struct script script;
    struct listener listener;
    struct bench_options options;
    struct client_options client;
    struct bench_plan plan;
    struct bench_load load;
    struct lane lane;
    struct line *line;
    uint64_t now_ns; /* when the test began */
};

/* Not on a stack: histograms. */
static struct world world;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.options = (struct bench_options){.connections = 1,
                                           .in_flight = 4,
                                           .payments = 1,
                                           .accounts = 10,
                                           .mix_payments = 1,
                                           .ids_v7 = true,
                                           .threads = 1,
                                           .backlog = 100,
                                           .seconds = 100000};
    return 0;
}

/* Turns the loop until the condition holds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        const uint64_t begin_ms_ = test_now_ms();                                                  \
        while (!(condition)) {                                                                     \
            (void)uv_run(&world.lane.loop, UV_RUN_NOWAIT);                                         \
            if (test_now_ms() - begin_ms_ > 10000) {                                               \
                fail_msg("never: %s (%s)", #condition, world.load.reason);                         \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/*
 * A lane that began ten seconds ago, whose measured time began eight seconds ago, connected. It
 * makes no request of its own, and ends with the last answer.
 */
static void begin_at(const char *steps, uint16_t first_port)
{
    char error[256];
    struct client_options *client = &world.client;
    world.script.steps = steps;
    listener_open(&world.listener, script_serve, &world.script);
    client->nodes_count = first_port == 0 ? 1 : 2;
    for (uint32_t i = 0; i < client->nodes_count; i++) {
        (void)snprintf(client->nodes[i].host, sizeof(client->nodes[i].host), "127.0.0.1");
        client->nodes[i].port = i + 1 < client->nodes_count ? first_port : world.listener.port;
    }
    world.load = (struct bench_load){.options = &world.options,
                                     .client = client,
                                     .plan = &world.plan,
                                     .targets = {0, 1},
                                     .targets_count = client->nodes_count,
                                     .lanes_count = 1};
    assert_int_equal(pthread_mutex_init(&world.load.reason_lock, NULL), 0);
    check_ok(bench_series_open(&world.load.series, 100));
    bench_plan_init(&world.plan, &world.options, INT64_C(1795438800123456789));
    check_ok(lane_open(&world.lane, &world.load, 0, error, sizeof(error)));
    world.line = &world.lane.lines[0];
    line_connect(world.line);
    RUN_UNTIL(world.line->open);
    world.now_ns = lane_now_ns();
    assert_true(world.now_ns > 20 * second_ns);
    world.lane.start_ns = world.now_ns - 10 * second_ns;
    world.lane.window_begin_ns = world.now_ns - 8 * second_ns;
    world.lane.window_end_ns = world.now_ns + 1000 * second_ns;
    world.lane.started = true;
    world.lane.ended = true;
}

static void begin(const char *steps)
{
    begin_at(steps, 0);
}

/* A request that was meant to start so many milliseconds ago. */
static void send_ago(uint64_t ms)
{
    const uint64_t now_ns = lane_now_ns();
    line_send_new(world.line, now_ns - ms * 1000000, now_ns);
}

/* Until everything is settled; what the lane counted in all. */
static struct bench_counts finish(void)
{
    struct bench_counts counts = {.posted = 0};
    RUN_UNTIL(world.lane.closing && world.line->connection == NULL);
    assert_int_equal(world.lane.busy, 0);
    bench_counts_add(&counts, &world.lane.run);
    bench_counts_add(&counts, &world.lane.counts);
    return counts;
}

static int teardown(void **state)
{
    (void)state;
    lane_free(&world.lane);
    bench_series_close(world.load.series);
    listener_close(&world.listener);
    return pthread_mutex_destroy(&world.load.reason_lock);
}

static void check_counts(const struct bench_counts *found, const struct bench_counts *wanted)
{
    if (memcmp(found, wanted, sizeof(*found)) != 0) {
        fail_msg("posted %d refused %d overloaded %d unknown %d not sent %d requests %d reads %d "
                 "reads failed %d retries %d (%s)",
                 (int)found->posted, (int)found->refused, (int)found->overloaded,
                 (int)found->unknown, (int)found->not_sent_requests, (int)found->requests,
                 (int)found->reads, (int)found->reads_failed, (int)found->retries,
                 world.load.reason);
    }
}

#define CHECK_COUNTS(...)                                                                          \
    do {                                                                                           \
        const struct bench_counts found_ = finish();                                               \
        check_counts(&found_, &(struct bench_counts){__VA_ARGS__});                                \
    } while (0)

/* ---- payments ------------------------------------------------------------------------------ */

static void test_posted_payments_are_acknowledged(void **state)
{
    (void)state;
    begin("ppp");
    for (int i = 0; i < 3; i++) {
        send_ago(0);
    }
    CHECK_COUNTS(.posted = 3, .requests = 3);
    for (uint32_t i = 0; i < 3; i++) {
        char id[UUID_TEXT_BYTES];
        const struct uuid uuid = bench_plan_id(&world.plan, 0, i, bench_ids_ms(&world.lane.ids, i));
        uuid_format(&uuid, id);
        assert_non_null(strstr(script_request(&world.script, i), id));
        assert_non_null(strstr(script_request(&world.script, i), "payment.create"));
        assert_true(bench_ids_acknowledged(&world.lane.ids, i));
    }
    /* Ids are of the time since the run began. */
    assert_in_range(bench_ids_ms(&world.lane.ids, 0), 10000, 70000);
    assert_int_equal(world.lane.latency_us.count, 3);
    assert_int_equal(world.lane.seq, 1);
    assert_string_equal(world.load.reason, "");
}

/* A user who had to wait for a free connection waited: latency runs from the intended start. */
static void test_latency_runs_from_the_intended_start(void **state)
{
    (void)state;
    begin("pppp");
    send_ago(5000);
    send_ago(1000);
    send_ago(7999);
    send_ago(9000); /* before the measured time */
    CHECK_COUNTS(.posted = 4, .requests = 4);
    const struct histogram *latency_us = &world.lane.latency_us;
    assert_int_equal(latency_us->count, 3);
    assert_in_range(histogram_percentile(latency_us, 0), 1000000, 4999999);
    assert_in_range(histogram_percentile(latency_us, 500), 5000000, 7900000);
    assert_in_range(latency_us->value_max, 7999000, 8999999);
}

static void test_a_request_after_the_measured_time_is_not_measured(void **state)
{
    (void)state;
    begin("pp");
    world.lane.window_end_ns = world.now_ns - 3 * second_ns;
    send_ago(5000); /* intended within, answered after: measured */
    send_ago(1000);
    CHECK_COUNTS(.posted = 2, .requests = 2);
    assert_int_equal(world.lane.latency_us.count, 1);
    assert_true(world.lane.latency_us.value_max >= 5000000);
}

static void test_a_batch_is_acknowledged_whole(void **state)
{
    (void)state;
    world.options.payments = 3;
    begin("pp");
    send_ago(0);
    send_ago(0);
    CHECK_COUNTS(.posted = 6, .requests = 2);
    assert_non_null(strstr(script_request(&world.script, 1), "payment.batch"));
    assert_int_equal(world.lane.seq, 3); /* the highest */
    assert_int_equal(world.lane.ids.acknowledged_count, 6);
    assert_int_equal(world.lane.latency_us.count, 2); /* of requests */
}

static void test_a_refused_item_leaves_the_others_posted(void **state)
{
    (void)state;
    world.options.payments = 3;
    begin("m");
    send_ago(0);
    CHECK_COUNTS(.posted = 2, .refused = 1, .requests = 1);
    assert_true(bench_ids_acknowledged(&world.lane.ids, 0));
    assert_true(bench_ids_acknowledged(&world.lane.ids, 1));
    assert_false(bench_ids_acknowledged(&world.lane.ids, 2));
    assert_int_equal(world.lane.latency_us.count, 1);
    assert_int_equal(world.lane.errors.count, 1);
    assert_string_equal(world.lane.errors.rows[0].code, "insufficient_funds");
    assert_int_equal(world.lane.errors.rows[0].count, 1);
}

static void test_a_replayed_answer_is_as_good(void **state)
{
    (void)state;
    begin("r");
    send_ago(0);
    CHECK_COUNTS(.posted = 1, .requests = 1);
    assert_true(bench_ids_acknowledged(&world.lane.ids, 0));
}

static void test_refused_for_good_is_not_sent_again(void **state)
{
    (void)state;
    world.options.retry = true;
    begin("f");
    send_ago(0);
    CHECK_COUNTS(.refused = 1, .requests = 1);
    assert_int_equal(atomic_load(&world.script.count), 1);
    assert_int_equal(world.lane.latency_us.count, 0);
    assert_false(bench_ids_acknowledged(&world.lane.ids, 0));
}

/* ---- refused for now ----------------------------------------------------------------------- */

static void test_overloaded_is_sent_again_after_a_rest(void **state)
{
    (void)state;
    world.options.retry = true;
    begin("oop");
    send_ago(5000);
    CHECK_COUNTS(.posted = 1, .requests = 1, .retries = 2);
    /* The same payment, and one latency, from its first intention. */
    assert_string_equal(script_request(&world.script, 0), script_request(&world.script, 2));
    assert_int_equal(world.lane.latency_us.count, 1);
    /* Two rests; the loop's clock may be a little behind. */
    assert_true(world.lane.latency_us.value_max >= 5000000 + 1500 * SCRIPT_RETRY_AFTER_MS);
    assert_int_equal(world.lane.errors.rows[0].count, 2);
    assert_string_equal(world.lane.errors.rows[0].code, "overloaded");
}

static void test_without_retry_overloaded_is_refused(void **state)
{
    (void)state;
    begin("op");
    send_ago(0);
    send_ago(0);
    CHECK_COUNTS(.posted = 1, .refused = 1, .overloaded = 1, .requests = 2);
    assert_int_equal(atomic_load(&world.script.count), 2);
    assert_int_equal(world.lane.latency_us.count, 1);
}

/* The closed loop leaves the slot in peace for a moment, the open loop's is free at once. */
static void test_the_open_loop_does_not_rest(void **state)
{
    (void)state;
    begin("on");
    send_ago(0);
    send_ago(0);
    RUN_UNTIL(world.line->slots[0].state == SLOT_RESTING);
    assert_int_equal(world.lane.busy, 2);
    RUN_UNTIL(world.lane.busy == 1);
    (void)teardown(NULL);
    (void)setup(NULL);
    world.options.rate_per_s = 10;
    begin("on");
    send_ago(0);
    send_ago(0);
    do {
        (void)uv_run(&world.lane.loop, UV_RUN_ONCE);
        assert_int_not_equal(world.line->slots[0].state, SLOT_RESTING);
    } while (world.lane.busy == 2);
    lane_close(&world.lane);
    CHECK_COUNTS(.refused = 1, .overloaded = 1, .unknown = 1, .requests = 1);
}

static void test_unknown_is_neither_posted_nor_refused(void **state)
{
    (void)state;
    world.options.payments = 2;
    begin("u");
    send_ago(0);
    CHECK_COUNTS(.unknown = 2, .requests = 1);
    assert_int_equal(world.lane.latency_us.count, 0);
    (void)teardown(NULL);
    (void)setup(NULL);
    world.options.retry = true;
    begin("ur");
    send_ago(0);
    CHECK_COUNTS(.posted = 1, .requests = 1, .retries = 1);
}

/* ---- connections that break ---------------------------------------------------------------- */

static void test_what_was_under_way_is_unknown(void **state)
{
    (void)state;
    world.options.payments = 2;
    begin("nc");
    send_ago(0);
    send_ago(0);
    CHECK_COUNTS(.unknown = 4);
    assert_true(world.load.reason[0] != '\0');
    assert_int_equal(world.lane.ids.acknowledged_count, 0);
}

static void test_with_retry_it_is_sent_again_elsewhere(void **state)
{
    (void)state;
    world.options.retry = true;
    begin("nc");
    send_ago(5000);
    send_ago(5000);
    CHECK_COUNTS(.posted = 2, .requests = 2, .retries = 2);
    assert_int_equal(atomic_load(&world.listener.accepted), 2);
    assert_string_equal(script_request(&world.script, 0), script_request(&world.script, 2));
    assert_string_equal(script_request(&world.script, 1), script_request(&world.script, 3));
    assert_true(bench_ids_acknowledged(&world.lane.ids, 1));
    assert_true(histogram_percentile(&world.lane.latency_us, 0) >= 5000000);
}

static void test_a_dead_node_is_passed_over(void **state)
{
    (void)state;
    begin_at("pp", 1); /* nobody listens at the first */
    assert_int_equal(world.line->node, 1);
    assert_non_null(strstr(world.load.reason, "refused"));
    send_ago(0);
    CHECK_COUNTS(.posted = 1, .requests = 1);
    assert_int_equal(atomic_load(&world.load.connected), 1);
}

static void test_what_rests_at_the_end_was_refused(void **state)
{
    (void)state;
    world.options.retry = true;
    begin("onn");
    send_ago(0);
    send_ago(0);
    RUN_UNTIL(world.line->slots[0].state == SLOT_RESTING && atomic_load(&world.script.count) == 2);
    lane_close(&world.lane); /* one rests, one was never answered */
    CHECK_COUNTS(.refused = 1, .unknown = 1);
}

/* A payment whose connection broke stays in doubt, even where its next attempt was refused. */
static void test_doubt_is_not_lost_by_a_refusal(void **state)
{
    (void)state;
    world.options.retry = true;
    begin("co");
    send_ago(0);
    RUN_UNTIL(atomic_load(&world.script.count) == 2 && world.line->slots[0].state == SLOT_RESTING);
    lane_close(&world.lane);
    CHECK_COUNTS(.unknown = 1, .retries = 1);
}

/* The same where the refusal is final for this attempt, but was not recorded under the id. */
static void test_only_a_recorded_refusal_ends_a_doubt(void **state)
{
    (void)state;
    static const struct {
        const char *steps;
        struct bench_counts counts;
    } rows[] = {
        {"x", {.refused = 3, .requests = 1}},
        {"cx", {.unknown = 3, .requests = 1, .retries = 1}},
        {"cf", {.refused = 3, .requests = 1, .retries = 1}},
        {"cm", {.posted = 2, .refused = 1, .requests = 1, .retries = 1}},
        {"cv", {.posted = 2, .unknown = 1, .requests = 1, .retries = 1}},
        {"v", {.posted = 2, .refused = 1, .requests = 1}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (i > 0) {
            (void)teardown(NULL);
            (void)setup(NULL);
        }
        world.options.retry = true;
        world.options.payments = 3;
        begin(rows[i].steps);
        send_ago(0);
        const struct bench_counts counts = finish();
        check_counts(&counts, &rows[i].counts);
    }
}

/* ---- answers that no node gives ------------------------------------------------------------- */

static void test_another_id_is_no_answer(void **state)
{
    (void)state;
    begin("i");
    send_ago(0);
    CHECK_COUNTS(.unknown = 1);
    assert_non_null(strstr(world.load.reason, "an answer was not understood: {"));
    assert_false(bench_ids_acknowledged(&world.lane.ids, 0));
}

static void test_broken_json_is_no_answer(void **state)
{
    (void)state;
    begin("g");
    send_ago(0);
    CHECK_COUNTS(.unknown = 1);
    assert_non_null(strstr(world.load.reason, "not understood"));
}

static void test_an_answer_to_nothing_ends_the_connection(void **state)
{
    (void)state;
    begin("s");
    send_ago(0);
    CHECK_COUNTS(.unknown = 1);
    assert_string_equal(world.load.reason, "an answer belongs to no request");
}

static void test_a_second_answer_ends_the_connection(void **state)
{
    (void)state;
    begin("nt");
    send_ago(0);
    send_ago(0);
    CHECK_COUNTS(.posted = 1, .requests = 1, .unknown = 1);
    assert_string_equal(world.load.reason, "an answer belongs to no request");
}

/* A request that goes to a connection that is given up would count as unknown. */
static void test_a_connection_that_is_given_up_gets_no_request(void **state)
{
    (void)state;
    static const char *const scripts[] = {"in", "sn"};
    for (int i = 0; i < 2; i++) {
        begin(scripts[i]);
        send_ago(0);
        send_ago(0);
        assert_false(list_empty(&world.lane.ready));
        RUN_UNTIL(world.load.reason[0] != '\0');
        assert_true(list_empty(&world.lane.ready)); /* although two slots are free */
        CHECK_COUNTS(.unknown = 2);
        if (i == 0) {
            (void)teardown(NULL);
            (void)setup(NULL);
        }
    }
}

/* ---- reads --------------------------------------------------------------------------------- */

static void test_reads_have_latencies_of_their_own(void **state)
{
    (void)state;
    world.options.mix_payments = 0;
    world.options.mix_reads = 1;
    begin("aa");
    send_ago(5000);
    send_ago(0);
    CHECK_COUNTS(.reads = 2);
    assert_int_equal(world.lane.latency_us.count, 0);
    assert_int_equal(world.lane.read_latency_us.count, 2);
    assert_in_range(world.lane.read_latency_us.value_max, 5000000, 65000000);
    assert_non_null(strstr(script_request(&world.script, 0), "account.get"));
    assert_int_equal(bench_ids_end(&world.lane.ids), 0);
}

static void test_a_read_that_fails_is_not_repeated(void **state)
{
    (void)state;
    world.options.mix_payments = 0;
    world.options.mix_reads = 1;
    world.options.retry = true;
    begin("eac");
    send_ago(0);
    send_ago(0);
    send_ago(0);
    CHECK_COUNTS(.reads = 1, .reads_failed = 2);
    assert_int_equal(atomic_load(&world.script.count), 3);
    assert_int_equal(world.lane.read_latency_us.count, 1);
}

static void test_payments_are_read_that_were_acknowledged(void **state)
{
    (void)state;
    char id[UUID_TEXT_BYTES];
    uint32_t ms = 0;
    world.options.mix_payments = 0;
    world.options.mix_reads = 1;
    world.options.reads = BENCH_READ_PAYMENT;
    world.options.stale = true;
    begin("aa");
    send_ago(0); /* there is none yet: an account instead */
    assert_int_equal(bench_ids_give(&world.lane.ids, 4711, &ms), 0);
    bench_ids_acknowledge(&world.lane.ids, 0, 0);
    send_ago(0);
    CHECK_COUNTS(.reads = 2);
    const struct uuid uuid = bench_plan_id(&world.plan, 0, 0, 4711);
    uuid_format(&uuid, id);
    assert_non_null(strstr(script_request(&world.script, 0), "account.get"));
    assert_non_null(strstr(script_request(&world.script, 1), "payment.get"));
    assert_non_null(strstr(script_request(&world.script, 1), id));
    assert_non_null(strstr(script_request(&world.script, 1), "\"stale\":true"));
}

/* ---- slots --------------------------------------------------------------------------------- */

static void test_a_line_sends_as_many_as_it_has_slots(void **state)
{
    (void)state;
    begin("nnnnn");
    for (int i = 0; i < 4; i++) {
        assert_false(list_empty(&world.lane.ready));
        send_ago(0);
    }
    assert_true(list_empty(&world.lane.ready));
    assert_int_equal(world.lane.busy, 4);
    RUN_UNTIL(atomic_load(&world.script.count) == 4);
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t j = 0; j < i; j++) { /* each under a number of its own */
            assert_int_not_equal(
                strncmp(script_request(&world.script, i), script_request(&world.script, j), 30), 0);
        }
    }
    lane_close(&world.lane);
    CHECK_COUNTS(.unknown = 4);
}

#define LINE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINE_TEST(test_posted_payments_are_acknowledged),
        LINE_TEST(test_latency_runs_from_the_intended_start),
        LINE_TEST(test_a_request_after_the_measured_time_is_not_measured),
        LINE_TEST(test_a_batch_is_acknowledged_whole),
        LINE_TEST(test_a_refused_item_leaves_the_others_posted),
        LINE_TEST(test_a_replayed_answer_is_as_good),
        LINE_TEST(test_refused_for_good_is_not_sent_again),
        LINE_TEST(test_overloaded_is_sent_again_after_a_rest),
        LINE_TEST(test_without_retry_overloaded_is_refused),
        LINE_TEST(test_the_open_loop_does_not_rest),
        LINE_TEST(test_unknown_is_neither_posted_nor_refused),
        LINE_TEST(test_what_was_under_way_is_unknown),
        LINE_TEST(test_with_retry_it_is_sent_again_elsewhere),
        LINE_TEST(test_a_dead_node_is_passed_over),
        LINE_TEST(test_what_rests_at_the_end_was_refused),
        LINE_TEST(test_doubt_is_not_lost_by_a_refusal),
        LINE_TEST(test_only_a_recorded_refusal_ends_a_doubt),
        LINE_TEST(test_another_id_is_no_answer),
        LINE_TEST(test_broken_json_is_no_answer),
        LINE_TEST(test_an_answer_to_nothing_ends_the_connection),
        LINE_TEST(test_a_second_answer_ends_the_connection),
        LINE_TEST(test_a_connection_that_is_given_up_gets_no_request),
        LINE_TEST(test_reads_have_latencies_of_their_own),
        LINE_TEST(test_a_read_that_fails_is_not_repeated),
        LINE_TEST(test_payments_are_read_that_were_acknowledged),
        LINE_TEST(test_a_line_sends_as_many_as_it_has_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
