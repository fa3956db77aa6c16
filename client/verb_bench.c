/*
 * bench: opens accounts of the currency BENCH, lets them pay each other for a while, and compares
 * what was acknowledged with what the totals moved.
 */
#include "base/check.h"
#include "base/clock.h"
#include "client/amount.h"
#include "client/histogram.h"
#include "client/identifier.h"
#include "client/load.h"
#include "client/verbs.h"

#include <string.h>

enum { BENCH_SCALE = 2, BENCH_AMOUNT_MINOR = 100 };

struct bench {
    uint32_t connections, in_flight, payments, accounts;
    uint64_t duration_ms;
    uint64_t opened; /* accounts asked for so far */
    uint64_t random;
    /* results, in payments */
    uint64_t posted, refused, unknown, overloaded;
    char refusal_text[64]; /* code of the first refusal */
    struct histogram latency_us;
};

static uint64_t bench_random(struct bench *bench)
{
    bench->random ^= bench->random >> 12;
    bench->random ^= bench->random << 25;
    bench->random ^= bench->random >> 27;
    return bench->random * 0x2545F4914F6CDD1DULL;
}

static enum client_exit bench_read(struct console *console, struct bench *bench)
{
    const struct {
        const char *name;
        uint64_t fallback, max;
    } rows[] = {{"--connections", 8, BENCH_CONNECTIONS_MAX},
                {"--in-flight", 16, SESSION_REQUESTS_MAX},
                {"--payments", 1, BATCH_ITEMS_MAX},
                {"--accounts", 1000, BENCH_ACCOUNTS_MAX},
                {"--seconds", 10, BENCH_SECONDS_MAX}};
    uint64_t values[ARRAY_COUNT(rows)];
    char error[ARGS_ERROR_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (args_number(&console->args, rows[i].name, rows[i].fallback, 1, rows[i].max, &values[i],
                        error) != STATUS_OK) {
            return console_usage(console, "%s", error);
        }
    }
    bench->connections = (uint32_t)values[0];
    bench->in_flight = (uint32_t)values[1];
    bench->payments = (uint32_t)values[2];
    bench->accounts = (uint32_t)values[3];
    bench->duration_ms = values[4] * 1000;
    if (bench->accounts < 2) {
        return console_usage(console, "--accounts must be at least 2");
    }
    random_bytes(&bench->random, sizeof(bench->random));
    bench->random |= 1;
    return CLIENT_DONE;
}

/* ---- accounts ----------------------------------------------------------------------------- */

static bool open_write(void *data, struct buffer *params, const char **method)
{
    struct bench *bench = data;
    if (bench->opened == bench->accounts) {
        return false;
    }
    *method = "account.open";
    write_format(params,
                 "{\"id\":\"bench-%07llu\",\"currency\":\"BENCH\",\"overdraft\":\"unlimited\"}",
                 (unsigned long long)bench->opened);
    bench->opened += 1;
    return true;
}

static void refusal_note(struct bench *bench, struct text code)
{
    if (bench->refusal_text[0] == '\0') {
        (void)snprintf(bench->refusal_text, sizeof(bench->refusal_text), "%.*s", (int)code.size,
                       code.data);
    }
}

static void open_reply(void *data, const struct reply *reply, uint64_t latency_us)
{
    struct bench *bench = data;
    (void)latency_us;
    if (reply->result == NULL) {
        bench->refused += 1;
        refusal_note(bench, reply->code);
    }
}

static void open_lost(void *data)
{
    struct bench *bench = data;
    bench->unknown += 1;
}

static enum client_exit accounts_open(struct console *console, struct bench *bench)
{
    char error[256];
    const struct load_options load = {.client = &console->options,
                                      .connections = bench->connections,
                                      .in_flight = bench->in_flight,
                                      .write = open_write,
                                      .reply = open_reply,
                                      .lost = open_lost,
                                      .data = bench};
    enum status status = load_run(&load, error, sizeof(error));
    if (status != STATUS_OK || bench->refused + bench->unknown > 0) {
        (void)fprintf(console->errors,
                      "the accounts could not be opened: %llu refused (%s), "
                      "%llu without an answer: %s\n",
                      (unsigned long long)bench->refused, bench->refusal_text,
                      (unsigned long long)bench->unknown, error);
        return bench->refused > 0 ? CLIENT_REFUSED : CLIENT_UNREACHABLE;
    }
    return CLIENT_DONE;
}

/* ---- payments ----------------------------------------------------------------------------- */

static void payment_write(struct bench *bench, struct buffer *params)
{
    char id[UUID_TEXT_BYTES];
    const struct uuid uuid = identifier_fresh(clock_wall_ns(clock_system()));
    uuid_format(&uuid, id);
    const uint64_t from = bench_random(bench) % bench->accounts;
    const uint64_t step = 1 + bench_random(bench) % (bench->accounts - 1);
    write_format(params,
                 "{\"id\":\"%s\",\"debit\":\"bench-%07llu\",\"credit\":\"bench-%07llu\","
                 "\"amount\":\"%d\"}",
                 id, (unsigned long long)from,
                 (unsigned long long)((from + step) % bench->accounts), BENCH_AMOUNT_MINOR);
}

static bool pay_write(void *data, struct buffer *params, const char **method)
{
    struct bench *bench = data;
    if (bench->payments == 1) {
        *method = "payment.create";
        payment_write(bench, params);
        return true;
    }
    *method = "payment.batch";
    write_format(params, "{\"mode\":\"independent\",\"items\":[");
    for (uint32_t i = 0; i < bench->payments; i++) {
        write_format(params, "%s", i > 0 ? "," : "");
        payment_write(bench, params);
    }
    write_format(params, "]}");
    return true;
}

static void failure_note(struct bench *bench, struct text code, uint64_t count)
{
    if (text_equal(code, TEXT("unknown"))) {
        bench->unknown += count;
        return;
    }
    bench->overloaded += text_equal(code, TEXT("overloaded")) ? count : 0;
    bench->refused += count;
    refusal_note(bench, code);
}

static void pay_reply(void *data, const struct reply *reply, uint64_t latency_us)
{
    struct bench *bench = data;
    if (reply->result == NULL) {
        failure_note(bench, reply->code, bench->payments);
        return;
    }
    histogram_add(&bench->latency_us, latency_us);
    if (bench->payments == 1) {
        bench->posted += 1;
        return;
    }
    const struct value *results = member(reply->result, "results");
    for (const struct value *item = results == NULL ? NULL : value_first(results); item != NULL;
         item = value_next(item)) {
        const struct value *error = member(item, "error");
        if (error == NULL) {
            bench->posted += 1;
        } else {
            failure_note(bench, member_text(member(error, "data"), "code"), 1);
        }
    }
}

static void pay_lost(void *data)
{
    struct bench *bench = data;
    bench->unknown += bench->payments;
}

/* ---- totals ------------------------------------------------------------------------------- */

struct totals {
    i128 debits;
    bool balanced;
};

static enum client_exit totals_read(struct console *console, struct totals *totals)
{
    struct reply reply;
    buffer_clear(&console->params);
    write_format(&console->params, "{}");
    enum client_exit end = console_call(console, "ledger.totals", &reply);
    if (end != CLIENT_DONE) {
        return end;
    }
    *totals = (struct totals){.balanced = true};
    const struct value *rows = member(reply.result, "totals");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        i128 debits = 0;
        i128 credits = 0;
        const bool read = i128_parse(member_text(row, "debits_posted"), &debits) &&
                          i128_parse(member_text(row, "credits_posted"), &credits);
        totals->balanced = totals->balanced && read && debits == credits;
        if (text_equal(member_text(row, "currency"), TEXT("BENCH"))) {
            totals->debits = debits;
        }
    }
    return CLIENT_DONE;
}

static void print_ms(FILE *out, const char *name, uint64_t latency_us)
{
    (void)fprintf(out, "%s %llu.%03llu ms", name, (unsigned long long)(latency_us / 1000),
                  (unsigned long long)(latency_us % 1000));
}

static void bench_print(struct console *console, const struct bench *bench, uint64_t elapsed_ms,
                        i128 moved, bool right)
{
    static const struct {
        const char *name;
        uint32_t permille;
    } rows[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}};
    const unsigned long long rate =
        (unsigned long long)(bench->posted * 1000 / (elapsed_ms > 0 ? elapsed_ms : 1));
    char amount[AMOUNT_TEXT_BYTES];
    amount_format(moved, BENCH_SCALE, amount);
    if (console->json) {
        (void)fprintf(console->out,
                      "{\"rate\":%llu,\"elapsed_ms\":%llu,\"posted\":%llu,"
                      "\"refused\":%llu,\"overloaded\":%llu,\"unknown\":%llu",
                      rate, (unsigned long long)elapsed_ms, (unsigned long long)bench->posted,
                      (unsigned long long)bench->refused, (unsigned long long)bench->overloaded,
                      (unsigned long long)bench->unknown);
        for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
            (void)fprintf(
                console->out, ",\"%s_us\":%llu", rows[i].name,
                (unsigned long long)histogram_percentile(&bench->latency_us, rows[i].permille));
        }
        (void)fprintf(console->out, ",\"max_us\":%llu,\"moved\":\"%s\",\"right\":%s}\n",
                      (unsigned long long)bench->latency_us.value_max, amount,
                      right ? "true" : "false");
        return;
    }
    (void)fprintf(console->out,
                  "%llu payments/s: %llu posted, %llu refused (%llu overloaded%s%s), "
                  "%llu unknown in %llu ms\nlatency of a request: ",
                  rate, (unsigned long long)bench->posted, (unsigned long long)bench->refused,
                  (unsigned long long)bench->overloaded, bench->refusal_text[0] ? "; first: " : "",
                  bench->refusal_text, (unsigned long long)bench->unknown,
                  (unsigned long long)elapsed_ms);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        print_ms(console->out, rows[i].name,
                 histogram_percentile(&bench->latency_us, rows[i].permille));
        (void)fputs(", ", console->out);
    }
    print_ms(console->out, "max", bench->latency_us.value_max);
    (void)fprintf(console->out, "\ntotals %s: %s BENCH moved, as acknowledged\n",
                  right ? "are right" : "ARE WRONG, not", amount);
}

/* What moved lies between what was acknowledged and that plus what is unknown. */
static enum client_exit bench_judge(struct console *console, const struct bench *bench,
                                    const struct totals *before, uint64_t elapsed_ms)
{
    struct totals after;
    enum client_exit end = totals_read(console, &after);
    if (end != CLIENT_DONE) {
        return end;
    }
    const i128 moved = after.debits - before->debits;
    const i128 least = (i128)bench->posted * BENCH_AMOUNT_MINOR;
    const i128 most = least + (i128)bench->unknown * BENCH_AMOUNT_MINOR;
    const bool right = after.balanced && moved >= least && moved <= most;
    bench_print(console, bench, elapsed_ms, moved, right);
    if (!right) {
        return CLIENT_REFUSED;
    }
    return bench->posted > 0 ? CLIENT_DONE : CLIENT_UNREACHABLE;
}

static enum client_exit bench_prepare(struct console *console, struct bench *bench,
                                      struct totals *before)
{
    struct reply reply;
    buffer_clear(&console->params);
    write_format(&console->params, "{\"code\":\"BENCH\",\"scale\":%d}", BENCH_SCALE);
    enum client_exit end = console_call(console, "currency.create", &reply);
    if (end == CLIENT_DONE) {
        end = accounts_open(console, bench);
    }
    if (end == CLIENT_DONE) {
        end = totals_read(console, before);
    }
    return end;
}

enum client_exit bench_run(struct console *console)
{
    static struct bench bench;
    struct totals before;
    enum client_exit end = bench_read(console, &bench);
    if (end == CLIENT_DONE) {
        end = bench_prepare(console, &bench, &before);
    }
    if (end != CLIENT_DONE) {
        return end;
    }
    if (!console->json) {
        (void)fprintf(console->out,
                      "%u connections with %u requests in flight, %u payments each, %u accounts\n",
                      bench.connections, bench.in_flight, bench.payments, bench.accounts);
        (void)fflush(console->out);
    }
    char error[256];
    const struct load_options load = {.client = &console->options,
                                      .connections = bench.connections,
                                      .in_flight = bench.in_flight,
                                      .duration_ms = bench.duration_ms,
                                      .write = pay_write,
                                      .reply = pay_reply,
                                      .lost = pay_lost,
                                      .data = &bench};
    const uint64_t begin_ms = clock_monotonic_ms(clock_system());
    enum status status = load_run(&load, error, sizeof(error));
    const uint64_t elapsed_ms = clock_monotonic_ms(clock_system()) - begin_ms;
    if (status != STATUS_OK && status != STATUS_TIMEOUT) {
        (void)fprintf(console->errors, "unreachable: %s\n", error);
        return CLIENT_UNREACHABLE;
    }
    return bench_judge(console, &bench, &before, elapsed_ms);
}
