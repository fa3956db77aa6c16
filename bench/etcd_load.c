/*
 * Payments into etcd, as its own users would make them: an optimistic transaction that compares the
 * payment's id (absent) and the versions of two accounts, and puts three keys. One process that
 * remembers each account's last known version, so that a payment costs one call unless another
 * changed the account meanwhile; then the refused transaction brings what is there now, and it is
 * sent again. Closed loop: `clients` payments are under way at any time. Prints one line of JSON.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "bench/etcd_message.h"
#include "bench/grpc.h"
#include "client/args.h"
#include "client/histogram.h"
#include "client/identifier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    ACCOUNTS_MAX = 10000000,
    CLIENTS_MAX = 4096,
    SECONDS_MAX = 3600,
    OPEN_PER_TXN = 100, /* below etcd's --max-txn-ops, 128 unless it is told otherwise */
    RANGE_PER_CALL = 4000,
    MESSAGE_BYTES = 4 << 20,
    AMOUNT_MINOR = 100,
    ZIPF_EXPONENT_MAX = 1000, /* hundredths */
};

enum distribution { UNIFORM, ZIPF, HOT };

static const char TXN[] = "/etcdserverpb.KV/Txn";
static const char RANGE[] = "/etcdserverpb.KV/Range";

struct load;

/* A payment under way. */
struct slot {
    struct grpc_call call;
    struct load *load;
    uint32_t number;
    struct etcd_payment payment;
    struct etcd_account debit, credit; /* as they were when it was sent */
    uint64_t begin_us;
};

struct load {
    struct grpc *grpc;
    uint32_t port, connections, clients, accounts, seconds, warmup_seconds, exponent, first;
    bool open;
    enum distribution distribution;
    struct etcd_account *known;
    double *shares; /* ZIPF: sums of the accounts' shares, rising to 1 */
    struct slot *slots;
    uint64_t random;
    uint64_t measure_us, end_us; /* when measuring begins, when no payment is begun any more */
    uint32_t under_way;
    bool broken;
    /* while reading or opening accounts */
    uint32_t next;
    /* results; the first counts all payments, the others those of the measured time */
    uint64_t all_posted, posted, conflicts, replays;
    struct histogram latency_us;
};

static uint64_t now_us(void)
{
    return clock_monotonic_ns(clock_system()) / 1000;
}

static uint64_t load_random(struct load *load)
{
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    return load->random * 0x2545F4914F6CDD1DULL;
}

/* ---- options ------------------------------------------------------------------------------ */

static const struct option OPTIONS[] = {
    {"--port", "N", false, "etcd's client port on 127.0.0.1"},
    {"--connections", "N", false, "HTTP/2 connections (1)"},
    {"--clients", "N", false, "payments under way at any time (1)"},
    {"--accounts", "N", false, "accounts (1000)"},
    {"--distribution", "NAME", false, "uniform, zipf or hot"},
    {"--exponent", "N", false, "of zipf, in hundredths (110)"},
    {"--seconds", "N", false, "measured time (10)"},
    {"--warmup", "N", false, "seconds before (0)"},
    {"--open", NULL, false, "only opens the accounts"},
    {"--first", "N", false, "with --open: from this account on (0)"},
    OPTIONS_END};

static enum status load_options(struct load *load, int count, char **argv,
                                char error[ARGS_ERROR_BYTES])
{
    static struct args args;
    const struct option *const tables[] = {OPTIONS};
    const struct {
        const char *name;
        uint64_t fallback, min, max;
        uint32_t *value;
    } rows[] = {{"--port", 2379, 1, UINT16_MAX, &load->port},
                {"--connections", 1, 1, GRPC_CONNECTIONS_MAX, &load->connections},
                {"--clients", 1, 1, CLIENTS_MAX, &load->clients},
                {"--accounts", 1000, 2, ACCOUNTS_MAX, &load->accounts},
                {"--exponent", 110, 1, ZIPF_EXPONENT_MAX, &load->exponent},
                {"--seconds", 10, 1, SECONDS_MAX, &load->seconds},
                {"--warmup", 0, 0, SECONDS_MAX, &load->warmup_seconds},
                {"--first", 0, 0, ACCOUNTS_MAX, &load->first}};
    enum status status = args_parse(&args, count - 1, argv + 1, tables, 1, error);
    for (size_t i = 0; i < ARRAY_COUNT(rows) && status == STATUS_OK; i++) {
        uint64_t value = 0;
        status = args_number(&args, rows[i].name, rows[i].fallback, rows[i].min, rows[i].max,
                             &value, error);
        *rows[i].value = (uint32_t)value;
    }
    if (status != STATUS_OK) {
        return status;
    }
    const char *name = args_value(&args, "--distribution", 0);
    load->open = args_has(&args, "--open");
    if (name == NULL || strcmp(name, "uniform") == 0) {
        load->distribution = UNIFORM;
        return STATUS_OK;
    }
    if (strcmp(name, "zipf") == 0) {
        load->distribution = ZIPF;
        return STATUS_OK;
    }
    if (strcmp(name, "hot") == 0) {
        load->distribution = HOT;
        return STATUS_OK;
    }
    (void)snprintf(error, ARGS_ERROR_BYTES, "--distribution: uniform, zipf or hot");
    return STATUS_INVALID;
}

/* ---- accounts ----------------------------------------------------------------------------- */

static void account_note(void *data, uint32_t account, const struct etcd_account *now)
{
    struct load *load = data;
    /* Answers overtake each other between connections. */
    if (account < load->accounts && now->revision > load->known[account].revision) {
        load->known[account] = *now;
    }
}

static bool setup_next(struct slot *slot)
{
    struct load *load = slot->load;
    const uint32_t most = load->open ? OPEN_PER_TXN : RANGE_PER_CALL;
    const uint32_t left = load->accounts > load->next ? load->accounts - load->next : 0;
    const uint32_t count = left < most ? left : most;
    if (count == 0) {
        return false;
    }
    buffer_clear(&slot->call.request);
    if (load->open) {
        etcd_write_open(&slot->call.request, load->next, count);
    } else {
        etcd_write_range(&slot->call.request, load->next, count);
    }
    load->next += count;
    load->broken = load->broken || grpc_call(load->grpc, slot->number, &slot->call) != STATUS_OK;
    return true;
}

static void setup_done(struct grpc_call *call, bool ok)
{
    struct slot *slot = CONTAINER_OF(call, struct slot, call);
    struct load *load = slot->load;
    if (!ok || (!load->open &&
                !etcd_read_range(call->response.data, call->response.size, account_note, load))) {
        load->broken = true;
    }
    if (load->broken || !setup_next(slot)) {
        load->under_way -= 1;
    }
}

static enum status turn_until_idle(struct load *load)
{
    enum status status = STATUS_OK;
    while (load->under_way > 0 && status == STATUS_OK && !load->broken) {
        status = grpc_turn(load->grpc, 10);
    }
    return load->broken && status == STATUS_OK ? STATUS_PROTOCOL : status;
}

/* Opens all accounts, or reads what they are. */
static enum status setup(struct load *load)
{
    load->next = load->open ? load->first : 0;
    for (uint32_t i = 0; i < load->clients; i++) {
        struct slot *slot = &load->slots[i];
        slot->call.path = load->open ? TXN : RANGE;
        slot->call.done = setup_done;
        load->under_way += setup_next(slot) ? 1 : 0;
    }
    return turn_until_idle(load);
}

struct sums {
    uint64_t debits, credits;
};

static struct sums totals(const struct load *load)
{
    struct sums sums = {.debits = 0};
    for (uint32_t i = 0; i < load->accounts; i++) {
        sums.debits += load->known[i].debits_posted;
        sums.credits += load->known[i].credits_posted;
    }
    return sums;
}

/* ---- payments ----------------------------------------------------------------------------- */

static enum status shares_make(struct load *load)
{
    double sum = 0;
    load->shares = calloc(load->accounts, sizeof(*load->shares));
    if (load->shares == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < load->accounts; i++) {
        sum += exp(-(double)load->exponent / 100 * log((double)i + 1));
        load->shares[i] = sum;
    }
    for (uint32_t i = 0; i < load->accounts; i++) {
        load->shares[i] /= sum;
    }
    return STATUS_OK;
}

static uint32_t account_by_share(struct load *load)
{
    const double wanted = (double)(load_random(load) >> 11) / (double)(UINT64_C(1) << 53);
    uint32_t low = 0;
    uint32_t high = load->accounts - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (load->shares[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t account_pick(struct load *load)
{
    return load->distribution == ZIPF ? account_by_share(load)
                                      : (uint32_t)(load_random(load) % load->accounts);
}

static void payment_send(struct slot *slot)
{
    struct load *load = slot->load;
    slot->debit = load->known[slot->payment.debit];
    slot->credit = load->known[slot->payment.credit];
    buffer_clear(&slot->call.request);
    etcd_write_payment(&slot->call.request, &slot->payment, &slot->debit, &slot->credit);
    load->broken = load->broken || grpc_call(load->grpc, slot->number, &slot->call) != STATUS_OK;
}

static bool payment_next(struct slot *slot)
{
    struct load *load = slot->load;
    const uint64_t now = now_us();
    if (now >= load->end_us) {
        return false;
    }
    const struct uuid id = identifier_fresh(clock_wall_ns(clock_system()));
    struct etcd_payment *payment = &slot->payment;
    *payment = (struct etcd_payment){.amount_minor = AMOUNT_MINOR};
    memcpy(payment->id, id.bytes, sizeof(payment->id));
    payment->credit = load->distribution == HOT ? 0 : account_pick(load);
    do {
        payment->debit = account_pick(load);
    } while (payment->debit == payment->credit);
    if (load->distribution == HOT && load_random(load) >> 63 == 1) {
        payment->credit = payment->debit;
        payment->debit = 0;
    }
    slot->begin_us = now;
    payment_send(slot);
    return true;
}

static void payment_posted(struct slot *slot, uint64_t revision)
{
    struct load *load = slot->load;
    const uint64_t now = now_us();
    slot->debit.debits_posted += slot->payment.amount_minor;
    slot->credit.credits_posted += slot->payment.amount_minor;
    slot->debit.revision = revision;
    slot->credit.revision = revision;
    account_note(load, slot->payment.debit, &slot->debit);
    account_note(load, slot->payment.credit, &slot->credit);
    load->all_posted += 1;
    if (now >= load->measure_us && now <= load->end_us) {
        load->posted += 1;
        histogram_add(&load->latency_us, now - slot->begin_us);
    }
}

static void payment_done(struct grpc_call *call, bool ok)
{
    struct slot *slot = CONTAINER_OF(call, struct slot, call);
    struct load *load = slot->load;
    struct etcd_outcome outcome;
    if (!ok ||
        !etcd_read_outcome(call->response.data, call->response.size, &slot->payment, &outcome)) {
        load->broken = true;
        return;
    }
    if (!outcome.succeeded && !outcome.exists) {
        load->conflicts += 1;
        account_note(load, slot->payment.debit, &outcome.debit);
        account_note(load, slot->payment.credit, &outcome.credit);
        payment_send(slot);
        return;
    }
    if (outcome.succeeded) {
        payment_posted(slot, outcome.revision);
    } else {
        load->replays += 1;
    }
    if (!payment_next(slot)) {
        load->under_way -= 1;
    }
}

static enum status pay(struct load *load)
{
    const uint64_t begin_us = now_us();
    load->measure_us = begin_us + (uint64_t)load->warmup_seconds * 1000000;
    load->end_us = load->measure_us + (uint64_t)load->seconds * 1000000;
    for (uint32_t i = 0; i < load->clients; i++) {
        struct slot *slot = &load->slots[i];
        slot->call.path = TXN;
        slot->call.done = payment_done;
        load->under_way += payment_next(slot) ? 1 : 0;
    }
    return turn_until_idle(load);
}

/* ---- main --------------------------------------------------------------------------------- */

static void print_result(const struct load *load, uint64_t elapsed_us, bool right)
{
    static const struct {
        const char *name;
        uint32_t permille;
    } rows[] = {{"p50_us", 500}, {"p90_us", 900}, {"p99_us", 990}, {"p99.9_us", 999}};
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    const uint64_t cpu_ms = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                            (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    (void)printf(
        "{\"rate\":%llu,\"posted\":%llu,\"all_posted\":%llu,\"seconds\":%u,\"conflicts\":%llu,"
        "\"replays\":%llu,\"elapsed_ms\":%llu,\"load_cpu_ms\":%llu",
        (unsigned long long)(load->posted / load->seconds), (unsigned long long)load->posted,
        (unsigned long long)load->all_posted, load->seconds, (unsigned long long)load->conflicts,
        (unsigned long long)load->replays, (unsigned long long)(elapsed_us / 1000),
        (unsigned long long)cpu_ms);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        (void)printf(",\"%s\":%llu", rows[i].name,
                     (unsigned long long)histogram_percentile(&load->latency_us, rows[i].permille));
    }
    (void)printf(",\"max_us\":%llu,\"right\":%s}\n", (unsigned long long)load->latency_us.value_max,
                 right ? "true" : "false");
}

static enum status load_make(struct load *load)
{
    random_bytes(&load->random, sizeof(load->random));
    load->random |= 1;
    load->known = calloc(load->accounts, sizeof(*load->known));
    load->slots = calloc(load->clients, sizeof(*load->slots));
    if (load->known == NULL || load->slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < load->clients; i++) {
        struct slot *slot = &load->slots[i];
        slot->load = load;
        slot->number = i;
        buffer_init(&slot->call.request, MESSAGE_BYTES);
        buffer_init(&slot->call.response, MESSAGE_BYTES);
    }
    enum status status = grpc_open(&load->grpc, (uint16_t)load->port, load->connections);
    return status == STATUS_OK && load->distribution == ZIPF ? shares_make(load) : status;
}

static void load_free(struct load *load)
{
    grpc_close(load->grpc);
    for (uint32_t i = 0; load->slots != NULL && i < load->clients; i++) {
        buffer_deinit(&load->slots[i].call.request);
        buffer_deinit(&load->slots[i].call.response);
    }
    free(load->slots);
    free(load->known);
    free(load->shares);
}

/* Reads the book, pays, reads it again: what was acknowledged is in it, and nothing else. */
static enum status load_run(struct load *load)
{
    enum status status = setup(load);
    if (status != STATUS_OK || load->open) {
        return status;
    }
    const struct sums before = totals(load);
    const uint64_t begin_us = now_us();
    status = pay(load);
    const uint64_t elapsed_us = now_us() - begin_us;
    if (status != STATUS_OK) {
        return status;
    }
    memset(load->known, 0, load->accounts * sizeof(*load->known));
    status = setup(load);
    if (status != STATUS_OK) {
        return status;
    }
    const struct sums after = totals(load);
    const uint64_t moved = load->all_posted * AMOUNT_MINOR;
    const bool right =
        after.debits - before.debits == moved && after.credits - before.credits == moved;
    print_result(load, elapsed_us, right);
    return right ? STATUS_OK : STATUS_DIVERGED;
}

enum { EXIT_WRONG = 3 }; /* the book: bench/compare/etcd.py */

int main(int count, char **argv)
{
    static struct load load;
    char error[ARGS_ERROR_BYTES];
    if (load_options(&load, count, argv, error) != STATUS_OK) {
        (void)fprintf(stderr, "etcd_load: %s\n", error);
        return 2;
    }
    enum status status = load_make(&load);
    if (status == STATUS_OK) {
        status = load_run(&load);
    }
    load_free(&load);
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "etcd_load: %s\n", status_text(status));
        return status == STATUS_DIVERGED ? EXIT_WRONG : 1;
    }
    return 0;
}
