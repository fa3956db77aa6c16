/* The result for people. */
#include "base/check.h"
#include "client/amount.h"
#include "client/bench_message.h"
#include "client/bench_report.h"
#include "client/table.h"

enum { BUSY_PERCENT = 80 };

bool bench_generator_busy(const struct bench_result *result)
{
    return result->generator.busiest_cpu_us * 100 > result->window_us * BUSY_PERCENT;
}

static double per_s(uint64_t count, uint64_t us)
{
    return us == 0 ? 0 : (double)count * 1e6 / (double)us;
}

static double ratio(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : (double)a / (double)b;
}

static void print_latency(FILE *out, const char *name, const struct histogram *histogram)
{
    if (histogram->count == 0) {
        return;
    }
    (void)fprintf(out, "%-10s p50 %.3f, p90 %.3f, p99 %.3f, p99.9 %.3f, max %.3f ms\n", name,
                  (double)histogram_percentile(histogram, 500) / 1e3,
                  (double)histogram_percentile(histogram, 900) / 1e3,
                  (double)histogram_percentile(histogram, 990) / 1e3,
                  (double)histogram_percentile(histogram, 999) / 1e3,
                  (double)histogram->value_max / 1e3);
}

static void print_settings(const struct console *console, const struct bench_options *options,
                           const struct bench_machine *machine)
{
    char target[ADDRESS_TEXT_BYTES];
    FILE *out = console->out;
    bench_target_name(console, options, target);
    (void)fprintf(out, "load       %u connections x %u requests in flight, %u payments each, ",
                  options->connections, options->in_flight, options->payments);
    if (options->rate_per_s > 0) {
        (void)fprintf(out, "open loop at %llu/s (%s)\n", (unsigned long long)options->rate_per_s,
                      options->poisson ? "poisson" : "uniform");
    } else {
        (void)fputs("closed loop\n", out);
    }
    (void)fprintf(out, "           %u s after %u s of warm-up, %s sent again, payledger %s\n",
                  options->seconds, options->warmup_s,
                  options->retry ? "retryable refusals are" : "nothing is", PAYLEDGER_VERSION);
    (void)fprintf(out, "           %u accounts (%s), mix %u:%u, ids %s, tls %s, to %s, seed %llu\n",
                  options->accounts, bench_distribution_name(options->distribution),
                  options->mix_payments, options->mix_reads, options->ids_v7 ? "v7" : "random",
                  console->options.tls ? "on" : "off", target, (unsigned long long)options->seed);
    (void)fprintf(out, "machine    %s, %u cores, %llu MiB, %s, load before %.2f\n", machine->cpu,
                  machine->cores, (unsigned long long)(machine->memory_bytes >> 20),
                  machine->kernel, (double)machine->load_milli / 1e3);
    print_latency(out, "flush", &machine->flush_us);
}

static void print_errors(FILE *out, const struct bench_result *result)
{
    const struct bench_counts *counts = &result->window;
    (void)fprintf(out,
                  "           %llu posted, %llu refused (%llu overloaded), %llu unknown, "
                  "%llu requests not sent, %llu sent again\n",
                  (unsigned long long)counts->posted, (unsigned long long)counts->refused,
                  (unsigned long long)counts->overloaded, (unsigned long long)counts->unknown,
                  (unsigned long long)counts->not_sent_requests,
                  (unsigned long long)counts->retries);
    for (uint32_t i = 0; i < result->errors.count; i++) {
        (void)fprintf(out, "%s %s %llu%s", i == 0 ? "errors    " : ",", result->errors.rows[i].code,
                      (unsigned long long)result->errors.rows[i].count,
                      i + 1 == result->errors.count ? "\n" : "");
    }
}

static void print_nodes(const struct console *console, const struct bench_result *result)
{
    struct table table;
    char cell[64];
    table_init(&table, "node|role|>cpu s|>cores|>MiB|>entries/s|>payments/entry|>appends/s|"
                       ">log B/payment|>commits/s");
    for (uint32_t i = 0; i < console->options.nodes_count; i++) {
        const struct bench_node *node = &result->nodes[i];
        const double cells[] = {(double)node->cpu_us / 1e6,
                                ratio(node->cpu_us, node->elapsed_us),
                                (double)node->memory_bytes / (1024.0 * 1024.0),
                                per_s(node->entries, node->elapsed_us),
                                ratio(node->payments, node->entries),
                                per_s(node->log_appends, node->elapsed_us),
                                ratio(node->log_bytes, node->payments),
                                per_s(node->commits, node->elapsed_us)};
        table_string(&table, node->address);
        table_string(&table, !node->known ? "unknown" : node->leader ? "leader" : "follower");
        for (size_t j = 0; j < ARRAY_COUNT(cells); j++) {
            (void)snprintf(cell, sizeof(cell), "%.2f", cells[j]);
            table_string(&table, node->known ? cell : "");
        }
    }
    table_print(&table, console->out);
    table_deinit(&table);
}

static void print_checks(FILE *out, const struct bench_checks *checks)
{
    char amount[AMOUNT_TEXT_BYTES];
    if (!checks->totals_read) {
        (void)fputs("checks     the totals could not be read\n", out);
    } else {
        amount_format(checks->moved_minor, BENCH_SCALE, amount);
        (void)fprintf(out, "checks     totals %s; %s BENCH moved, %s\n",
                      checks->totals_balance ? "balance" : "DO NOT BALANCE", amount,
                      checks->moved_right ? "as acknowledged" : "NOT AS ACKNOWLEDGED");
    }
    (void)fprintf(out,
                  "           %llu of %llu acknowledged ids asked for: %llu missing, "
                  "%llu without an answer\n",
                  (unsigned long long)(checks->ids_checked + checks->ids_unread),
                  (unsigned long long)checks->ids_acknowledged,
                  (unsigned long long)checks->ids_missing, (unsigned long long)checks->ids_unread);
    if (checks->ids_missing > 0) {
        (void)fprintf(out, "           MISSING, for example: %s\n", checks->missing_id);
    }
}

void bench_report_text(const struct console *console, const struct bench_options *options,
                       const struct bench_result *result)
{
    FILE *out = console->out;
    const struct bench_generator *generator = &result->generator;
    print_settings(console, options, &result->machine);
    (void)fprintf(out, "rate       %.0f payments/s, %.0f requests/s, %.0f reads/s in %.1f s\n",
                  per_s(result->window.posted, result->window_us),
                  per_s(result->window.requests, result->window_us),
                  per_s(result->window.reads, result->window_us), (double)result->window_us / 1e6);
    print_errors(out, result);
    print_latency(out, "latency", &result->latency_us);
    if (result->without_latency_requests > 0) {
        (void)fprintf(out, "           but %llu requests have none: refused, unknown, not sent\n",
                      (unsigned long long)result->without_latency_requests);
    }
    print_latency(out, "reads", &result->read_latency_us);
    (void)fprintf(out, "generator  %.2f cores, busiest thread %.0f %% of one, %.2f us a payment\n",
                  ratio(generator->cpu_us, result->window_us),
                  100 * ratio(generator->busiest_cpu_us, result->window_us),
                  ratio(generator->cpu_us, result->window.posted));
    print_latency(out, "sent late", &generator->late_us);
    print_nodes(console, result);
    print_checks(out, &result->checks);
}
