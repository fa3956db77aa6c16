/* The JSON form of the result. Units stand at the ends of names. */
#include "base/check.h"
#include "client/bench_report.h"

/* 1234567 microseconds as 1.235 seconds: JSON numbers with three decimals. */
static void field_milli(struct json_writer *writer, const char *key, uint64_t milli)
{
    char text[32];
    const int size = snprintf(text, sizeof(text), "%llu.%03llu", (unsigned long long)(milli / 1000),
                              (unsigned long long)(milli % 1000));
    assert(size > 0 && (size_t)size < sizeof(text));
    json_key(writer, key);
    json_raw(writer, (struct text){text, (size_t)size});
}

static void field_seconds(struct json_writer *writer, const char *key, uint64_t us)
{
    field_milli(writer, key, (us + 500) / 1000);
}

/* a / b with three decimals; 0 where b is. */
static void field_ratio(struct json_writer *writer, const char *key, uint64_t a, uint64_t b)
{
    field_milli(writer, key, b == 0 ? 0 : (uint64_t)((u128)a * 1000 / b));
}

static void field_per_s(struct json_writer *writer, const char *key, uint64_t count, uint64_t us)
{
    field_ratio(writer, key, (uint64_t)((u128)count * 1000000 > UINT64_MAX ? 0 : count * 1000000),
                us);
}

static void field_latency(struct json_writer *writer, const char *key,
                          const struct histogram *histogram)
{
    json_key(writer, key);
    json_object_open(writer);
    json_field_unsigned(writer, "count", histogram->count);
    json_field_unsigned(writer, "p50", histogram_percentile(histogram, 500));
    json_field_unsigned(writer, "p90", histogram_percentile(histogram, 900));
    json_field_unsigned(writer, "p99", histogram_percentile(histogram, 990));
    json_field_unsigned(writer, "p99_9", histogram_percentile(histogram, 999));
    json_field_unsigned(writer, "max", histogram->value_max);
    json_object_close(writer);
}

static void write_settings(struct json_writer *writer, const struct console *console,
                           const struct bench_options *options)
{
    char target[ADDRESS_TEXT_BYTES];
    bench_target_name(console, options, target);
    json_key(writer, "settings");
    json_object_open(writer);
    json_field_string(writer, "loop", options->rate_per_s > 0 ? "open" : "closed");
    json_field_unsigned(writer, "rate_per_s", options->rate_per_s);
    json_field_string(writer, "arrivals", options->poisson ? "poisson" : "uniform");
    json_field_unsigned(writer, "backlog_requests", options->backlog);
    json_field_unsigned(writer, "connections", options->connections);
    json_field_unsigned(writer, "in_flight_requests", options->in_flight);
    json_field_unsigned(writer, "payments_per_request", options->payments);
    json_field_unsigned(writer, "accounts", options->accounts);
    json_field_string(writer, "distribution", bench_distribution_name(options->distribution));
    field_milli(writer, "exponent", options->exponent_milli);
    json_field_unsigned(writer, "mix_payments", options->mix_payments);
    json_field_unsigned(writer, "mix_reads", options->mix_reads);
    json_field_string(writer, "reads", bench_reads_name(options->reads));
    json_field_boolean(writer, "stale", options->stale);
    json_field_string(writer, "ids", options->ids_v7 ? "v7" : "random");
    json_field_unsigned(writer, "threads", options->threads);
    json_field_boolean(writer, "tls", console->options.tls);
    json_field_unsigned(writer, "warmup_s", options->warmup_s);
    json_field_unsigned(writer, "duration_s", options->seconds);
    json_field_unsigned(writer, "seed", options->seed);
    json_field_boolean(writer, "retry", options->retry);
    json_field_string(writer, "to", target);
    json_object_close(writer);
}

static void write_machine(struct json_writer *writer, const struct bench_options *options,
                          const struct bench_machine *machine)
{
    json_key(writer, "machine");
    json_object_open(writer);
    json_field_string(writer, "cpu", machine->cpu);
    json_field_unsigned(writer, "cores", machine->cores);
    json_field_unsigned(writer, "memory_bytes", machine->memory_bytes);
    json_field_string(writer, "kernel", machine->kernel);
    field_milli(writer, "load_before", machine->load_milli);
    if (machine->flush_known) {
        json_field_string(writer, "flush_dir", options->flush_dir);
        field_latency(writer, "flush_us", &machine->flush_us);
    } else {
        json_key(writer, "flush_us");
        json_null(writer);
    }
    json_object_close(writer);
}

static void write_counts(struct json_writer *writer, const struct bench_counts *counts)
{
    json_field_unsigned(writer, "posted", counts->posted);
    json_field_unsigned(writer, "refused", counts->refused);
    json_field_unsigned(writer, "overloaded", counts->overloaded);
    json_field_unsigned(writer, "unknown", counts->unknown);
    json_field_unsigned(writer, "not_sent_requests", counts->not_sent_requests);
    json_field_unsigned(writer, "requests", counts->requests);
    json_field_unsigned(writer, "reads", counts->reads);
    json_field_unsigned(writer, "reads_failed", counts->reads_failed);
    json_field_unsigned(writer, "retries", counts->retries);
}

static void write_node(struct json_writer *writer, const struct bench_node *node)
{
    json_object_open(writer);
    json_field_string(writer, "address", node->address);
    json_field_boolean(writer, "known", node->known);
    if (node->known) {
        json_field_boolean(writer, "leader", node->leader);
        field_seconds(writer, "cpu_s", node->cpu_us);
        field_ratio(writer, "cpu_cores", node->cpu_us, node->elapsed_us);
        json_field_unsigned(writer, "memory_bytes", node->memory_bytes);
        field_per_s(writer, "entries_per_s", node->entries, node->elapsed_us);
        field_ratio(writer, "payments_per_entry", node->payments, node->entries);
        field_per_s(writer, "log_appends_per_s", node->log_appends, node->elapsed_us);
        field_ratio(writer, "log_bytes_per_payment", node->log_bytes, node->payments);
        field_per_s(writer, "commits_per_s", node->commits, node->elapsed_us);
    }
    json_object_close(writer);
}

static void write_generator(struct json_writer *writer, const struct bench_result *result)
{
    const struct bench_generator *generator = &result->generator;
    json_key(writer, "generator");
    json_object_open(writer);
    field_seconds(writer, "cpu_s", generator->cpu_us);
    field_ratio(writer, "cpu_cores", generator->cpu_us, result->window_us);
    field_ratio(writer, "busiest_thread_cores", generator->busiest_cpu_us, result->window_us);
    field_ratio(writer, "cpu_us_per_payment", generator->cpu_us, result->window.posted);
    json_field_boolean(writer, "busy", bench_generator_busy(result));
    field_latency(writer, "late_us", &generator->late_us);
    json_object_close(writer);
}

static void write_checks(struct json_writer *writer, const struct bench_checks *checks)
{
    json_key(writer, "checks");
    json_object_open(writer);
    json_field_boolean(writer, "passed", bench_checks_passed(checks));
    json_field_boolean(writer, "totals_read", checks->totals_read);
    json_field_boolean(writer, "totals_balance", checks->totals_balance);
    json_field_i128(writer, "moved_minor", checks->moved_minor);
    json_field_i128(writer, "acknowledged_minor", checks->acknowledged_minor);
    json_field_i128(writer, "unknown_minor", checks->unknown_minor);
    json_field_boolean(writer, "moved_right", checks->moved_right);
    json_field_unsigned(writer, "ids_acknowledged", checks->ids_acknowledged);
    json_field_unsigned(writer, "ids_checked", checks->ids_checked);
    json_field_unsigned(writer, "ids_missing", checks->ids_missing);
    json_field_unsigned(writer, "ids_unread", checks->ids_unread);
    json_object_close(writer);
}

static void write_second(struct json_writer *writer, const struct bench_options *options,
                         uint32_t index, const struct bench_second *second)
{
    json_object_open(writer);
    json_field_signed(writer, "second", (int64_t)index - (int64_t)options->warmup_s);
    json_field_unsigned(writer, "posted", second->counts.posted);
    json_field_unsigned(writer, "refused", second->counts.refused);
    json_field_unsigned(writer, "overloaded", second->counts.overloaded);
    json_field_unsigned(writer, "unknown", second->counts.unknown);
    json_field_unsigned(writer, "not_sent_requests", second->counts.not_sent_requests);
    json_field_unsigned(writer, "reads", second->counts.reads);
    json_field_unsigned(writer, "p50_us", second->p50_us);
    json_field_unsigned(writer, "p99_us", second->p99_us);
    json_field_unsigned(writer, "max_us", second->max_us);
    json_object_close(writer);
}

bool bench_report_series(const struct bench_options *options, const struct bench_result *result,
                         FILE *file)
{
    struct buffer out;
    buffer_init(&out, CLIENT_ANSWER_BYTES_MAX);
    bool written = true;
    for (uint32_t i = 0; i < result->seconds_count && written; i++) {
        buffer_clear(&out);
        struct json_writer writer = json_writer_of(&out);
        write_second(&writer, options, i, &result->seconds[i]);
        write_u8(&out, '\n');
        written = !out.failed && fwrite(out.data, 1, out.size, file) == out.size;
    }
    buffer_deinit(&out);
    return written;
}

static void write_rates(struct json_writer *writer, const struct bench_result *result)
{
    field_seconds(writer, "measured_s", result->window_us);
    field_per_s(writer, "payments_per_s", result->window.posted, result->window_us);
    field_per_s(writer, "requests_per_s", result->window.requests, result->window_us);
    field_per_s(writer, "reads_per_s", result->window.reads, result->window_us);
    json_key(writer, "measured");
    json_object_open(writer);
    write_counts(writer, &result->window);
    json_object_close(writer);
    json_key(writer, "run");
    json_object_open(writer);
    write_counts(writer, &result->run);
    json_object_close(writer);
    json_key(writer, "errors");
    json_object_open(writer);
    for (uint32_t i = 0; i < result->errors.count; i++) {
        json_field_unsigned(writer, result->errors.rows[i].code, result->errors.rows[i].count);
    }
    json_object_close(writer);
    field_latency(writer, "latency_us", &result->latency_us);
    json_field_unsigned(writer, "without_latency_requests", result->without_latency_requests);
    field_latency(writer, "read_latency_us", &result->read_latency_us);
}

void bench_report_json(const struct console *console, const struct bench_options *options,
                       const struct bench_result *result, struct buffer *out)
{
    struct json_writer writer = json_writer_of(out);
    json_object_open(&writer);
    json_field_string(&writer, "version", PAYLEDGER_VERSION);
    json_field_time(&writer, "started_at", result->started_ns);
    write_settings(&writer, console, options);
    write_machine(&writer, options, &result->machine);
    write_rates(&writer, result);
    write_generator(&writer, result);
    json_key(&writer, "nodes");
    json_array_open(&writer);
    for (uint32_t i = 0; i < console->options.nodes_count; i++) {
        write_node(&writer, &result->nodes[i]);
    }
    json_array_close(&writer);
    write_checks(&writer, &result->checks);
    json_key(&writer, "series");
    json_array_open(&writer);
    for (uint32_t i = 0; options->series == NULL && i < result->seconds_count; i++) {
        write_second(&writer, options, i, &result->seconds[i]);
    }
    json_array_close(&writer);
    json_object_close(&writer);
}
