/* The JSON form of a result, read back with the parser of messages. */
#include "client/bench_report.h"

#include "tests/support/bench_rig.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

static struct bench_rig *rig;
static struct console console;
static struct message_reader *reader;
static struct buffer out;

static int set_up(void **state)
{
    (void)state;
    rig = bench_rig_open(2346);
    bench_rig_add(rig, 2347);
    console = (struct console){.options = rig->client};
    check_ok(message_reader_open(&reader, MESSAGE_BYTES_MAX));
    buffer_init(&out, MESSAGE_BYTES_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_deinit(&out);
    message_reader_close(reader);
    bench_rig_close(rig);
    return 0;
}

static const struct value *report(void)
{
    const struct value *root = NULL;
    struct failure failure;
    buffer_clear(&out);
    bench_report_json(&console, &rig->options, &rig->result, &out);
    assert_false(out.failed);
    const struct text text = {(const char *)out.data, out.size};
    assert_int_equal(message_parse(reader, text, &root, &failure), CODE_OK);
    return root;
}

/* A value as text; strings in quotes. */
static const char *value_shown(const struct value *value)
{
    static char shown[256];
    bool yes = false;
    const struct text string = value_text(value);
    const struct text source = value_source(value);
    if (value_kind(value) == VALUE_STRING) {
        (void)snprintf(shown, sizeof(shown), "\"%.*s\"", (int)string.size, string.data);
    } else if (value_boolean(value, &yes)) {
        (void)snprintf(shown, sizeof(shown), "%s", yes ? "true" : "false");
    } else if (value_kind(value) == VALUE_NULL) {
        (void)snprintf(shown, sizeof(shown), "null");
    } else {
        (void)snprintf(shown, sizeof(shown), "%.*s", (int)source.size, source.data);
    }
    return shown;
}

/* The member at "a.b.c". */
static void check_field(const struct value *root, const char *path, const char *wanted)
{
    char name[64];
    const struct value *value = root;
    for (const char *at = path; at != NULL; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "."), at);
        value = member(value, name);
        if (value == NULL) {
            fail_msg("%s: absent at %s", path, name);
        }
    }
    if (strcmp(value_shown(value), wanted) != 0) {
        fail_msg("%s: %s, wanted %s", path, value_shown(value), wanted);
    }
}

static void test_settings_are_told(void **state)
{
    (void)state;
    rig->options.rate_per_s = 3000;
    rig->options.stale = true;
    rig->options.target = BENCH_TO_FOLLOWERS;
    rig->options.distribution = BENCH_ZIPF;
    console.options.tls = true;
    const struct value *root = report();
    check_field(root, "version", "\"" PAYLEDGER_VERSION "\"");
    check_field(root, "settings.loop", "\"open\"");
    check_field(root, "settings.rate_per_s", "3000");
    check_field(root, "settings.arrivals", "\"poisson\"");
    check_field(root, "settings.backlog_requests", "1000");
    check_field(root, "settings.connections", "2");
    check_field(root, "settings.in_flight_requests", "4");
    check_field(root, "settings.payments_per_request", "1");
    check_field(root, "settings.accounts", "10");
    check_field(root, "settings.distribution", "\"zipf\"");
    check_field(root, "settings.exponent", "0.990");
    check_field(root, "settings.mix_payments", "1");
    check_field(root, "settings.mix_reads", "0");
    check_field(root, "settings.reads", "\"account\"");
    check_field(root, "settings.stale", "true");
    check_field(root, "settings.ids", "\"v7\"");
    check_field(root, "settings.tls", "true");
    check_field(root, "settings.seed", "7");
    check_field(root, "settings.retry", "false");
    check_field(root, "settings.to", "\"followers\"");
    rig->options.rate_per_s = 0;
    check_field(report(), "settings.loop", "\"closed\"");
}

static void test_rates_are_of_the_measured_time(void **state)
{
    (void)state;
    rig->result.window_us = 4000000;
    rig->result.window = (struct bench_counts){
        .posted = 4010, .requests = 401, .reads = 2, .overloaded = 5, .refused = 6};
    rig->result.run = (struct bench_counts){.posted = 9000, .unknown = 3, .retries = 8};
    rig->result.without_latency_requests = 12;
    bench_errors_add(&rig->result.errors, TEXT("overloaded"), 5);
    for (uint64_t i = 1; i <= 20; i++) {
        histogram_add(&rig->result.latency_us, i);
    }
    const struct value *root = report();
    check_field(root, "measured_s", "4.000");
    check_field(root, "payments_per_s", "1002.500");
    check_field(root, "requests_per_s", "100.250");
    check_field(root, "reads_per_s", "0.500");
    check_field(root, "measured.posted", "4010");
    check_field(root, "measured.refused", "6");
    check_field(root, "measured.overloaded", "5");
    check_field(root, "run.posted", "9000");
    check_field(root, "run.unknown", "3");
    check_field(root, "run.retries", "8");
    check_field(root, "errors.overloaded", "5");
    check_field(root, "latency_us.count", "20");
    check_field(root, "latency_us.p50", "10");
    check_field(root, "latency_us.p90", "18");
    check_field(root, "latency_us.p99", "20");
    check_field(root, "latency_us.p99_9", "20");
    check_field(root, "latency_us.max", "20");
    check_field(root, "read_latency_us.count", "0");
    check_field(root, "without_latency_requests", "12");
}

static void test_nodes_that_were_not_read_have_no_figures(void **state)
{
    (void)state;
    rig->result.nodes[0] = (struct bench_node){.address = "127.0.0.1:2346",
                                               .known = true,
                                               .leader = true,
                                               .cpu_us = 1500000,
                                               .memory_bytes = 4096,
                                               .entries = 100,
                                               .payments = 250,
                                               .commits = 6,
                                               .log_appends = 99,
                                               .log_bytes = 17500,
                                               .elapsed_us = 3000000};
    rig->result.nodes[1] = (struct bench_node){.address = "127.0.0.1:2347"};
    const struct value *node = value_first(member(report(), "nodes"));
    check_field(node, "address", "\"127.0.0.1:2346\"");
    check_field(node, "leader", "true");
    check_field(node, "cpu_s", "1.500");
    check_field(node, "cpu_cores", "0.500");
    check_field(node, "memory_bytes", "4096");
    check_field(node, "entries_per_s", "33.333");
    check_field(node, "payments_per_entry", "2.500");
    check_field(node, "log_appends_per_s", "33.000");
    check_field(node, "log_bytes_per_payment", "70.000");
    check_field(node, "commits_per_s", "2.000");
    node = value_next(node);
    check_field(node, "known", "false");
    assert_null(member(node, "cpu_s"));
    assert_null(value_next(node));
}

static void test_generator_machine_and_checks(void **state)
{
    (void)state;
    rig->result.window_us = 1000000;
    rig->result.window.posted = 1000;
    rig->result.generator = (struct bench_generator){.cpu_us = 900000, .busiest_cpu_us = 850000};
    (void)snprintf(rig->result.machine.cpu, sizeof(rig->result.machine.cpu), "a \"cpu\"");
    rig->result.machine.load_milli = 1250;
    rig->result.checks = (struct bench_checks){.totals_read = true,
                                               .totals_balance = true,
                                               .moved_minor = 300,
                                               .acknowledged_minor = 300,
                                               .moved_right = true,
                                               .ids_acknowledged = 3,
                                               .ids_checked = 3};
    const struct value *root = report();
    check_field(root, "generator.cpu_s", "0.900");
    check_field(root, "generator.busiest_thread_cores", "0.850");
    check_field(root, "generator.cpu_us_per_payment", "900.000");
    check_field(root, "generator.busy", "true");
    check_field(root, "machine.cpu", "\"a \"cpu\"\"");
    check_field(root, "machine.load_before", "1.250");
    check_field(root, "machine.flush_us", "null");
    check_field(root, "checks.passed", "true");
    check_field(root, "checks.moved_minor", "\"300\"");
    check_field(root, "checks.ids_checked", "3");
    rig->result.checks.ids_missing = 1;
    rig->result.machine.flush_known = true;
    rig->options.flush_dir = "/d";
    histogram_add(&rig->result.machine.flush_us, 30);
    root = report();
    check_field(root, "checks.passed", "false");
    check_field(root, "checks.ids_missing", "1");
    check_field(root, "machine.flush_dir", "\"/d\"");
    check_field(root, "machine.flush_us.p50", "30");
}

static void test_the_series_goes_into_the_file_where_one_is_named(void **state)
{
    (void)state;
    char text[1024] = "";
    rig->options.warmup_s = 1;
    rig->result.seconds = calloc(2, sizeof(*rig->result.seconds));
    rig->result.seconds_count = 2;
    rig->result.seconds[0].counts.posted = 5;
    rig->result.seconds[1] =
        (struct bench_second){.counts = {.posted = 6}, .p50_us = 7, .p99_us = 8, .max_us = 9};
    const struct value *row = value_first(member(report(), "series"));
    check_field(row, "second", "-1");
    check_field(row, "posted", "5");
    check_field(value_next(row), "second", "0");
    rig->options.series = "file";
    assert_null(value_first(member(report(), "series")));
    FILE *file = fmemopen(text, sizeof(text) - 1, "w");
    assert_non_null(file);
    assert_true(bench_report_series(&rig->options, &rig->result, file));
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "{\"second\":-1,\"posted\":5,"));
    assert_non_null(strstr(text, "\"p50_us\":7,\"p99_us\":8,\"max_us\":9}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rates_are_of_the_measured_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nodes_that_were_not_read_have_no_figures, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_generator_machine_and_checks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_series_goes_into_the_file_where_one_is_named,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
