#include "client/bench_options.h"

#include "base/check.h"
#include "base/crypto.h"

#include <string.h>
#include <unistd.h>

static const char *const distribution_names[] = {"uniform", "zipf", "hot"};
static const char *const read_names[] = {"account", "payment"};
static const char *const arrival_names[] = {"uniform", "poisson"};
static const char *const id_names[] = {"random", "v7"};
static const char *const switch_names[] = {"off", "on"};

const char *bench_distribution_name(enum bench_distribution distribution)
{
    assert((size_t)distribution < ARRAY_COUNT(distribution_names));
    return distribution_names[distribution];
}

const char *bench_reads_name(enum bench_reads reads)
{
    assert((size_t)reads < ARRAY_COUNT(read_names));
    return read_names[reads];
}

void bench_target_name(const struct console *console, const struct bench_options *options,
                       char text[ADDRESS_TEXT_BYTES])
{
    static const char *const names[] = {"all", "leader", "followers"};
    if (options->target != BENCH_TO_ONE) {
        (void)snprintf(text, ADDRESS_TEXT_BYTES, "%s", names[options->target]);
        return;
    }
    assert(options->target_node < console->options.nodes_count);
    const struct client_node *node = &console->options.nodes[options->target_node];
    address_format(node->host, node->port, text);
}

/* ---- kinds of values ---------------------------------------------------------------------- */

/* One of a few words; `fallback` where the option is not given. */
static enum client_exit read_word(struct console *console, const char *name,
                                  const char *const *words, uint32_t count, uint32_t fallback,
                                  uint32_t *index)
{
    const char *value = args_value(&console->args, name, 0);
    if (value == NULL) {
        *index = fallback;
        return CLIENT_DONE;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(words[i], value) == 0) {
            *index = i;
            return CLIENT_DONE;
        }
    }
    char all[128] = "";
    for (uint32_t i = 0; i < count; i++) {
        const size_t used = strlen(all);
        (void)snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    return console_usage(console, "%s %.40s: must be one of: %s", name, value, all);
}

static enum client_exit read_switch(struct console *console, const char *name, bool fallback,
                                    bool *on)
{
    uint32_t index = 0;
    enum client_exit end =
        read_word(console, name, switch_names, ARRAY_COUNT(switch_names), fallback ? 1 : 0, &index);
    if (end == CLIENT_DONE) {
        *on = index == 1;
    }
    return end;
}

/* "0.99", at most three decimals. */
static enum client_exit read_exponent(struct console *console, uint32_t *milli)
{
    const char *value = args_value(&console->args, "--exponent", 0);
    if (value == NULL) {
        *milli = BENCH_EXPONENT_MILLI;
        return CLIENT_DONE;
    }
    const size_t whole_size = strcspn(value, ".");
    const char *decimals = value[whole_size] == '.' ? value + whole_size + 1 : "0";
    const size_t decimals_size = strlen(decimals);
    char digits[16] = "";
    uint64_t number = 0;
    if (whole_size == 1 && decimals_size >= 1 && decimals_size <= 3) {
        (void)snprintf(digits, sizeof(digits), "1%c%s%.*s", value[0], decimals,
                       (int)(3 - decimals_size), "000");
    }
    /* The leading 1 keeps a zero in front of the decimals. */
    if (!number_parse(digits, 19999, &number) || number - 10000 > BENCH_EXPONENT_MILLI_MAX) {
        return console_usage(console, "--exponent %.40s: must be a number as 0.99, at most %d",
                             value, BENCH_EXPONENT_MILLI_MAX / 1000);
    }
    *milli = (uint32_t)number - 10000;
    return CLIENT_DONE;
}

/* "9:1" */
static enum client_exit read_mix(struct console *console, struct bench_options *options)
{
    const char *value = args_value(&console->args, "--mix", 0);
    options->mix_payments = 1;
    options->mix_reads = 0;
    if (value == NULL) {
        return CLIENT_DONE;
    }
    char payments_text[8] = "";
    const size_t size = strcspn(value, ":");
    uint64_t payments = 0;
    uint64_t reads = 0;
    if (size < sizeof(payments_text) && value[size] == ':') {
        memcpy(payments_text, value, size);
    }
    if (!number_parse(payments_text, BENCH_MIX_MAX, &payments) ||
        !number_parse(value + size + 1, BENCH_MIX_MAX, &reads) || payments + reads == 0) {
        return console_usage(console, "--mix %.40s: must be PAYMENTS:READS as 9:1, each at most %d",
                             value, BENCH_MIX_MAX);
    }
    options->mix_payments = (uint32_t)payments;
    options->mix_reads = (uint32_t)reads;
    return CLIENT_DONE;
}

static enum client_exit read_target(struct console *console, struct bench_options *options)
{
    static const char *const words[] = {"all", "leader", "followers"};
    const char *value = args_value(&console->args, "--to", 0);
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (value == NULL || strcmp(value, words[i]) == 0) {
            options->target = (enum bench_target)i;
            return CLIENT_DONE;
        }
    }
    for (uint32_t i = 0; i < console->options.nodes_count; i++) {
        char address[ADDRESS_TEXT_BYTES];
        const struct client_node *node = &console->options.nodes[i];
        address_format(node->host, node->port, address);
        if (strcmp(address, value) == 0) {
            options->target = BENCH_TO_ONE;
            options->target_node = i;
            return CLIENT_DONE;
        }
    }
    return console_usage(
        console, "--to %.80s: must be all, leader, followers, or the address of a node", value);
}

static enum client_exit read_verify(struct console *console, uint64_t *verify)
{
    const char *value = args_value(&console->args, "--verify", 0);
    if (value == NULL) {
        *verify = BENCH_VERIFY_IDS;
    } else if (strcmp(value, "all") == 0) {
        *verify = UINT64_MAX;
    } else if (strcmp(value, "none") == 0) {
        *verify = 0;
    } else if (!number_parse(value, BENCH_IDS_MAX, verify)) {
        return console_usage(console, "--verify %.40s: must be all, none, or a number of ids",
                             value);
    }
    return CLIENT_DONE;
}

/* ---- all ---------------------------------------------------------------------------------- */

static enum client_exit read_numbers(struct console *console, struct bench_options *options)
{
    const struct {
        const char *name;
        uint64_t fallback, min, max;
        uint32_t *value;
    } rows[] = {
        {"--connections", 8, 1, BENCH_CONNECTIONS_MAX, &options->connections},
        {"--in-flight", 16, 1, SESSION_REQUESTS_MAX, &options->in_flight},
        {"--payments", 1, 1, BATCH_ITEMS_MAX, &options->payments},
        {"--accounts", 1000, 2, BENCH_ACCOUNTS_MAX, &options->accounts},
        {"--backlog", BENCH_BACKLOG, 1, BENCH_BACKLOG_MAX, &options->backlog},
        {"--threads", 1, 1, BENCH_THREADS_MAX, &options->threads},
        {"--warmup", 0, 0, BENCH_SECONDS_MAX, &options->warmup_s},
        {"--seconds", 10, 1, BENCH_SECONDS_MAX, &options->seconds},
    };
    char error[ARGS_ERROR_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t value = 0;
        if (args_number(&console->args, rows[i].name, rows[i].fallback, rows[i].min, rows[i].max,
                        &value, error) != STATUS_OK) {
            return console_usage(console, "%s", error);
        }
        *rows[i].value = (uint32_t)value;
    }
    /* What is sent at once fits the write queue of a connection. */
    if (options->payments > BENCH_UNANSWERED_MAX / options->in_flight) {
        return console_usage(console,
                             "--in-flight %u of --payments %u: at most %d payments of a "
                             "connection are on their way at once",
                             options->in_flight, options->payments, BENCH_UNANSWERED_MAX);
    }
    uint64_t chance = 0;
    random_bytes(&chance, sizeof(chance));
    chance %= (uint64_t)JSON_INTEGER_MAX;
    if (args_number(&console->args, "--rate", 0, 1, BENCH_RATE_MAX, &options->rate_per_s, error) !=
            STATUS_OK ||
        args_number(&console->args, "--seed", chance, 0, (uint64_t)JSON_INTEGER_MAX, &options->seed,
                    error) != STATUS_OK) {
        return console_usage(console, "%s", error);
    }
    return CLIENT_DONE;
}

static enum client_exit read_words(struct console *console, struct bench_options *options)
{
    uint32_t distribution = 0;
    uint32_t reads = 0;
    uint32_t arrivals = 0;
    uint32_t ids = 0;
    const struct {
        const char *name;
        const char *const *words;
        uint32_t count, fallback;
        uint32_t *index;
    } rows[] = {
        {"--distribution", distribution_names, ARRAY_COUNT(distribution_names), 0, &distribution},
        {"--reads", read_names, ARRAY_COUNT(read_names), 0, &reads},
        {"--arrivals", arrival_names, ARRAY_COUNT(arrival_names), 1, &arrivals},
        {"--ids", id_names, ARRAY_COUNT(id_names), 1, &ids},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum client_exit end = read_word(console, rows[i].name, rows[i].words, rows[i].count,
                                         rows[i].fallback, rows[i].index);
        if (end != CLIENT_DONE) {
            return end;
        }
    }
    options->distribution = (enum bench_distribution)distribution;
    options->reads = (enum bench_reads)reads;
    options->poisson = arrivals == 1;
    options->ids_v7 = ids == 1;
    options->stale = args_has(&console->args, "--stale");
    options->series = args_value(&console->args, "--series", 0);
    options->flush_dir = args_value(&console->args, "--flush-dir", 0);
    return CLIENT_DONE;
}

/* What does not go together. */
static enum client_exit options_check(struct console *console, const struct bench_options *options)
{
    if (options->threads > options->connections) {
        return console_usage(console, "--threads %u: each needs a connection of its own",
                             options->threads);
    }
    if (options->rate_per_s == 0 && args_has(&console->args, "--arrivals")) {
        return console_usage(console, "--arrivals is for the open loop: give --rate");
    }
    if (options->rate_per_s == 0 && args_has(&console->args, "--backlog")) {
        return console_usage(console, "--backlog is for the open loop: give --rate");
    }
    if (options->distribution != BENCH_ZIPF && args_has(&console->args, "--exponent")) {
        return console_usage(console, "--exponent is for --distribution zipf");
    }
    if (options->reads == BENCH_READ_PAYMENT && options->mix_payments == 0) {
        return console_usage(console, "--reads payment needs payments to read: see --mix");
    }
    return CLIENT_DONE;
}

enum client_exit bench_options_read(struct console *console, struct bench_options *options)
{
    *options = (struct bench_options){.rate_per_s = 0};
    enum client_exit end = read_numbers(console, options);
    end = end == CLIENT_DONE ? read_words(console, options) : end;
    end = end == CLIENT_DONE ? read_exponent(console, &options->exponent_milli) : end;
    end = end == CLIENT_DONE ? read_mix(console, options) : end;
    end = end == CLIENT_DONE ? read_target(console, options) : end;
    end = end == CLIENT_DONE ? read_verify(console, &options->verify) : end;
    if (end == CLIENT_DONE) {
        const bool closed = options->rate_per_s == 0;
        end = read_switch(console, "--retry", closed, &options->retry);
    }
    if (end == CLIENT_DONE) {
        const bool terminal = isatty(fileno(console->errors)) == 1;
        end = read_switch(console, "--progress", terminal, &options->progress);
    }
    return end == CLIENT_DONE ? options_check(console, options) : end;
}
