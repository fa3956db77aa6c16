/*
 * bench: opens accounts of the currency BENCH, sends payments and reads between them for a while,
 * and says how fast that was and whether the ledger holds what was acknowledged.
 */
#include "base/check.h"
#include "base/clock.h"
#include "client/bench_accounts.h"
#include "client/bench_checks.h"
#include "client/bench_machine.h"
#include "client/bench_nodes.h"
#include "client/bench_report.h"
#include "client/verbs.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { WATCH_MS = 100, DRAIN_ROWS = CLIENT_ATTEMPT_MS / 1000 + 5 };

struct bench {
    struct console *console;
    struct bench_options options;
    struct bench_plan plan;
    struct bench_load load;
    struct bench_totals before;
    struct bench_reading begin[CLIENT_NODES_MAX];
    struct bench_reading end[CLIENT_NODES_MAX];
    struct bench_result result;
    FILE *series_file;
};

/* ---- before ------------------------------------------------------------------------------- */

static enum client_exit bench_prepare(struct bench *bench)
{
    struct console *console = bench->console;
    char error[512];
    const char *path = bench->options.series;
    if (path != NULL) {
        bench->series_file = fopen(path, "we");
        if (bench->series_file == NULL) {
            return console_fail(console, "%.200s: %s", path, strerror(errno));
        }
    }
    /* Before the accounts: their load is none of the machine's. */
    if (!bench_machine_read(bench->options.flush_dir, &bench->result.machine, error,
                            sizeof(error))) {
        return console_fail(console, "%s", error);
    }
    enum client_exit end = bench_accounts_open(console, &bench->options);
    end = end == CLIENT_DONE ? bench_totals_read(console, 0, &bench->before) : end;
    return end;
}

/* ---- while -------------------------------------------------------------------------------- */

/* One line that is written over, once a second. */
static void progress_print(const struct bench *bench, uint32_t second)
{
    const struct bench_second row = bench_series_row(bench->load.series, second);
    const struct bench_options *options = &bench->options;
    const bool warm = second < options->warmup_s;
    (void)fprintf(bench->console->errors,
                  "\r\033[K%s%u/%u s  %llu payments/s  %llu reads/s  p50 %.2f p99 %.2f max %.2f "
                  "ms  refused %llu  unknown %llu  not sent %llu",
                  warm ? "warm-up " : "", warm ? second + 1 : second + 1 - options->warmup_s,
                  warm ? options->warmup_s : options->seconds,
                  (unsigned long long)row.counts.posted, (unsigned long long)row.counts.reads,
                  (double)row.p50_us / 1e3, (double)row.p99_us / 1e3, (double)row.max_us / 1e3,
                  (unsigned long long)row.counts.refused, (unsigned long long)row.counts.unknown,
                  (unsigned long long)row.counts.not_sent_requests);
    (void)fflush(bench->console->errors);
}

/* Sleeps a moment, but not over the end of a second: what ends there is read then. */
static void watch_pause(uint64_t now_ns, uint64_t start_ns)
{
    const uint64_t passed_ns = now_ns < start_ns ? 0 : (now_ns - start_ns) % 1000000000;
    const uint64_t left_ns = 1000000000 - passed_ns;
    const uint64_t most_ns = (uint64_t)WATCH_MS * 1000000;
    const struct timespec pause = {.tv_nsec = (long)(left_ns < most_ns ? left_ns : most_ns)};
    (void)nanosleep(&pause, NULL);
}

/* Follows the run until the measured time is over; reads the nodes at its begin and end. */
static void bench_watch(struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    const uint64_t start_ns = atomic_load(&bench->load.start_ns);
    const uint32_t seconds = options->warmup_s + options->seconds;
    uint32_t shown = 0;
    bool begun = false;
    for (;;) {
        const uint64_t now_ns = clock_monotonic_ns(clock_system());
        const uint32_t second =
            now_ns < start_ns ? 0 : (uint32_t)((now_ns - start_ns) / 1000000000);
        if (!begun && second >= options->warmup_s) {
            begun = true;
            bench_nodes_read(&bench->console->options, bench->begin);
        }
        /* All threads have closed a second a moment after its end. */
        if (options->progress && second > shown + 1 && shown < seconds) {
            progress_print(bench, second - 2);
            shown = second - 1;
        }
        if (second >= seconds) {
            break;
        }
        watch_pause(now_ns, start_ns);
    }
    bench_nodes_read(&bench->console->options, bench->end);
    if (options->progress) {
        (void)fputs("\r\033[K", bench->console->errors);
    }
}

static enum client_exit bench_measure(struct bench *bench)
{
    char error[512] = "";
    struct bench_load *load = &bench->load;
    enum status status = bench_load_open(load, error, sizeof(error));
    if (status != STATUS_OK) {
        (void)fprintf(bench->console->errors, "unreachable: %s\n", error);
        return CLIENT_UNREACHABLE;
    }
    bench->result.started_ns = clock_wall_ns(clock_system());
    bench_load_start(load);
    bench_watch(bench);
    bench_load_join(load);
    bench_load_result(load, &bench->result);
    if (load->reason[0] != '\0') {
        (void)fprintf(bench->console->errors, "note: %s\n", load->reason);
    }
    const struct bench_options *options = &bench->options;
    bench->result.window_us = (uint64_t)options->seconds * 1000000;
    bench->result.window =
        bench_series_sum(load->series, options->warmup_s, options->warmup_s + options->seconds);
    return CLIENT_DONE;
}

/* ---- after -------------------------------------------------------------------------------- */

static void bench_check(struct bench *bench)
{
    struct console *console = bench->console;
    struct bench_totals after;
    const uint32_t witness = bench_nodes_witness(&console->options, bench->end, bench->load.targets,
                                                 bench->load.targets_count);
    if (bench->options.progress) {
        (void)fputs("checking", console->errors);
        (void)fflush(console->errors);
    }
    /* From here on another node speaks, with a state that holds all that was acknowledged. */
    caller_pin(console_caller(console), witness);
    const bool json = console->json;
    console->json = false; /* one object goes out, this is no place for an error's */
    if (bench_totals_read(console, bench_load_seq(&bench->load), &after) == CLIENT_DONE) {
        bench_checks_totals(&bench->before, &after, &bench->result);
    }
    console->json = json;
    bench_checks_ids(&console->options, &bench->load, witness, bench->result.run.posted,
                     &bench->result.checks);
    if (bench->options.progress) {
        (void)fputs("\r\033[K", console->errors);
    }
}

static enum client_exit bench_report(struct bench *bench)
{
    struct console *console = bench->console;
    const struct bench_result *result = &bench->result;
    if (console->json) {
        struct buffer out;
        buffer_init(&out, CLIENT_ANSWER_BYTES_MAX);
        bench_report_json(console, &bench->options, result, &out);
        write_u8(&out, '\n');
        const bool written = !out.failed && fwrite(out.data, 1, out.size, console->out) == out.size;
        buffer_deinit(&out);
        if (!written) {
            return console_fail(console, "the result could not be written");
        }
    } else {
        bench_report_text(console, &bench->options, result);
    }
    if (bench->series_file != NULL &&
        (!bench_report_series(&bench->options, result, bench->series_file) ||
         fflush(bench->series_file) != 0)) {
        return console_fail(console, "%.200s: %s", bench->options.series, strerror(errno));
    }
    return CLIENT_DONE;
}

/* The exit status, and in words what is wrong. */
static enum client_exit bench_judge(const struct bench *bench)
{
    const struct bench_result *result = &bench->result;
    FILE *errors = bench->console->errors;
    if (bench_generator_busy(result)) {
        (void)fputs("warning: a thread of the generator used more than 80 % of a core: the load "
                    "may be the bound. Give --threads, or another machine.\n",
                    errors);
    }
    if (bench_checks_failed(&result->checks)) {
        (void)fputs("FAILED: the ledger does not hold what was acknowledged\n", errors);
        return CLIENT_REFUSED;
    }
    if (!bench_checks_passed(&result->checks)) {
        (void)fputs("the checks could not be completed\n", errors);
        return CLIENT_UNKNOWN;
    }
    return result->run.posted + result->run.reads > 0 ? CLIENT_DONE : CLIENT_UNREACHABLE;
}

static enum client_exit bench_whole(struct bench *bench)
{
    struct console *console = bench->console;
    const struct bench_options *options = &bench->options;
    const uint32_t rows = options->warmup_s + options->seconds + DRAIN_ROWS;
    enum client_exit end = bench_prepare(bench);
    if (end != CLIENT_DONE) {
        return end;
    }
    bench_plan_init(&bench->plan, options, clock_wall_ns(clock_system()));
    bench_nodes_read(&console->options, bench->begin);
    bench->load =
        (struct bench_load){.options = options, .client = &console->options, .plan = &bench->plan};
    bench->load.targets_count =
        bench_nodes_targets(options, &console->options, bench->begin, bench->load.targets);
    if (bench_series_open(&bench->load.series, rows) != STATUS_OK) {
        return console_fail(console, "out of memory");
    }
    end = bench_measure(bench);
    if (end == CLIENT_DONE) {
        bench_nodes_compare(&console->options, bench->begin, bench->end, bench->result.nodes);
        bench_check(bench);
        bench_series_take(bench->load.series, options->warmup_s + options->seconds, &bench->result);
        /* What a check found counts more than a result that could not be written. */
        end = bench_report(bench);
        const enum client_exit verdict = bench_judge(bench);
        end = verdict == CLIENT_REFUSED || end == CLIENT_DONE ? verdict : end;
    }
    bench_load_close(&bench->load);
    bench_series_close(bench->load.series);
    bench_result_deinit(&bench->result);
    return end;
}

enum client_exit bench_run(struct console *console)
{
    static struct bench bench; /* histograms: too large for a stack */
    bench = (struct bench){.console = console};
    enum client_exit end = bench_options_read(console, &bench.options);
    if (end == CLIENT_DONE) {
        end = bench_whole(&bench);
    }
    if (bench.series_file != NULL) {
        (void)fclose(bench.series_file);
    }
    return end;
}
