#include "tests/simulation/clients.h"

#include "base/check.h"
#include "tests/simulation/answers.h"
#include "tests/simulation/door.h"
#include "tests/simulation/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ATTEMPTS_MAX = 1 << 16,
    OPERATIONS_MAX = 1 << 14,
    TIMEOUT_MS = 3500, /* then a client gives an attempt up; nodes do after 2 s */
    SETTLEMENT = 0,    /* the account that may be overdrawn without limit */
    MISSING = 30       /* an account that nobody opens */
};

static struct operation *operations[OPERATIONS_MAX];
static uint32_t operations_count;
static struct attempt attempts[ATTEMPTS_MAX];
static uint32_t attempts_count;
static uint64_t next_number;
static struct clients_options options;
static struct clients_figures figures;
static struct dice dice;
static bool finishing;
static bool prepared; /* currencies and accounts are there */

static void attempt_send(struct operation *operation, struct process *process);
static void new_run(void *data);

struct clients_figures clients_figures(void)
{
    return figures;
}

/* ---- what is asked ------------------------------------------------------------------------- */

static struct operation *operation_make(enum operation_kind kind)
{
    assert(operations_count < OPERATIONS_MAX);
    struct operation *operation = calloc(1, sizeof(*operation));
    assert(operation != NULL);
    operation->kind = kind;
    buffer_init(&operation->request, 64 * 1024);
    operations[operations_count++] = operation;
    figures.requests++;
    return operation;
}

static void write_legs(struct buffer *out, uint64_t number, uint32_t legs)
{
    for (uint32_t i = 0; i < legs; i++) {
        int debit = dice_chance(&dice, 45) ? SETTLEMENT : (int)dice_below(&dice, ORACLE_ACCOUNTS);
        int credit = (int)dice_below(&dice, ORACLE_ACCOUNTS);
        debit = dice_chance(&dice, 1) ? MISSING : debit;
        /* Rarely more than a double can hold exactly. */
        uint64_t amount = dice_chance(&dice, 1)
                              ? (UINT64_C(1) << 53) + dice_below(&dice, 1000) * 2 + 1
                              : dice_between(&dice, 1, 300);
        oracle_expect(number, i, debit, credit, amount);
        write_format(out, "%s%s\"debit\":\"%s\",\"credit\":\"%s\",\"amount\":\"%llu\"%s",
                     i > 0 ? "," : "", legs > 1 ? "{" : "", model_account_name(debit),
                     model_account_name(credit), (unsigned long long)amount, legs > 1 ? "}" : "");
    }
}

static void write_payment(struct buffer *out, uint64_t number)
{
    struct uuid uuid = payment_uuid(number);
    char id[UUID_TEXT_BYTES];
    uuid_format(&uuid, id);
    uint32_t legs = dice_chance(&dice, 75) ? 1 : (uint32_t)dice_between(&dice, 2, 4);
    write_format(out, "{\"id\":\"%s\",%s", id, legs > 1 ? "\"legs\":[" : "");
    write_legs(out, number, legs);
    write_format(out, "%s", legs > 1 ? "]" : "");
    if (dice_chance(&dice, 10)) {
        char time[TIME_TEXT_BYTES];
        int64_t at_ns = clock_wall_ns(&processes[0].clock) - 500 * (int64_t)MILLISECONDS +
                        (int64_t)dice_below(&dice, 3000 * MILLISECONDS);
        time_format(at_ns, time);
        write_format(out, ",\"valid_until\":\"%s\"", time);
    }
    write_format(out, "}");
}

static uint64_t number_take(uint32_t count)
{
    uint64_t number = next_number;
    next_number += count;
    assert(next_number < PAYMENTS_MAX);
    return number;
}

static struct operation *make_payment(void)
{
    struct operation *operation = operation_make(OPERATION_PAYMENT);
    operation->number = number_take(1);
    operation->count = 1;
    operation->once = dice_chance(&dice, 25);
    operation->method = "payment.create";
    write_payment(&operation->request, operation->number);
    return operation;
}

static struct operation *make_batch(void)
{
    struct operation *operation = operation_make(OPERATION_BATCH);
    operation->count = (uint32_t)dice_between(&dice, 2, 6);
    operation->number = number_take(operation->count);
    operation->method = "payment.batch";
    write_format(&operation->request, "{\"mode\":\"%s\",\"items\":[",
                 dice_chance(&dice, 50) ? "atomic" : "independent");
    for (uint32_t i = 0; i < operation->count; i++) {
        write_format(&operation->request, "%s", i > 0 ? "," : "");
        write_payment(&operation->request, operation->number + i);
    }
    write_format(&operation->request, "]}");
    return operation;
}

static struct operation *make_mismatch(void)
{
    uint64_t number = dice_between(&dice, 1, next_number - 1);
    if (next_number < 2 || oracle_payment(number) == NULL) {
        return make_payment();
    }
    struct uuid uuid = payment_uuid(number);
    char id[UUID_TEXT_BYTES];
    uuid_format(&uuid, id);
    struct operation *operation = operation_make(OPERATION_MISMATCH);
    operation->number = number;
    operation->count = 1;
    operation->method = "payment.create";
    write_format(&operation->request,
                 "{\"id\":\"%s\",\"debit\":\"%s\",\"credit\":\"%s\",\"amount\":\"999999\"}", id,
                 model_account_name(1), model_account_name(2));
    return operation;
}

static const char *freshness(char *text, size_t size, struct operation *operation)
{
    uint64_t chance = dice_below(&dice, 10);
    if (chance < 5) {
        operation->mode = READ_LINEARIZABLE;
        return "";
    }
    if (chance < 8) {
        operation->mode = READ_MIN_SEQ;
        operation->min_seq = answers_acknowledged();
        (void)snprintf(text, size, ",\"min_seq\":%llu", (unsigned long long)operation->min_seq);
        return text;
    }
    operation->mode = READ_STALE;
    return ",\"stale\":true";
}

static struct operation *make_read(void)
{
    struct operation *operation = operation_make(OPERATION_ACCOUNT_GET);
    char text[64];
    const char *fresh = freshness(text, sizeof(text), operation);
    operation->account = (int)dice_below(&dice, ORACLE_ACCOUNTS);
    uint64_t chance = dice_below(&dice, 10);
    if (chance < 5) {
        operation->method = "account.get";
        write_format(&operation->request, "{\"id\":\"%s\"%s}",
                     model_account_name(operation->account), fresh);
    } else if (chance < 8 && next_number > 1) {
        operation->kind = OPERATION_PAYMENT_GET;
        operation->method = "payment.get";
        operation->number = dice_between(&dice, 1, next_number - 1);
        struct uuid uuid = payment_uuid(operation->number);
        char id[UUID_TEXT_BYTES];
        uuid_format(&uuid, id);
        write_format(&operation->request, "{\"id\":\"%s\"%s}", id, fresh);
    } else if (chance < 9) {
        operation->kind = OPERATION_LIST;
        operation->method = "account.list";
        write_format(&operation->request, "{\"limit\":20%s}", fresh);
    } else {
        operation->kind = OPERATION_TOTALS;
        operation->method = "ledger.totals";
        write_format(&operation->request, "{%s}", fresh[0] == ',' ? fresh + 1 : fresh);
    }
    return operation;
}

/* ---- attempts ------------------------------------------------------------------------------ */

static void retry_run(void *data);

static struct process *choose_process(void)
{
    struct process *process = &processes[dice_below(&dice, processes_count)];
    /* A client soon finds a node that answers. */
    for (uint32_t i = 0; i < 3 && !process_serves(process); i++) {
        process = &processes[dice_below(&dice, processes_count)];
    }
    return process;
}

static void retry_plan(struct operation *operation)
{
    if (operation->done || operation->planned || operation->open > 0) {
        return;
    }
    if (operation->mode == READ_STALE || operation->kind == OPERATION_MISMATCH) {
        operation->done = true; /* nothing depends on it */
        return;
    }
    operation->planned = true;
    world_after(dice_between(&dice, 50, 700) * MILLISECONDS, NULL, retry_run, operation);
}

static void attempt_end(struct attempt *attempt)
{
    if (attempt->open) {
        attempt->open = false;
        attempt->operation->open--;
    }
}

static void timeout_run(void *data)
{
    struct attempt *attempt = data;
    if (attempt->open) {
        figures.unknown++;
        attempt->operation->uncertain = true;
        attempt_end(attempt);
        retry_plan(attempt->operation);
    }
}

static void attempt_write(struct attempt *attempt, uint64_t id, struct buffer *text)
{
    const struct operation *operation = attempt->operation;
    if (!attempt->asks) {
        write_format(text, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\",\"params\":",
                     (unsigned long long)id, operation->method);
        write_bytes(text, operation->request.data, operation->request.size);
        write_format(text, "}");
        return;
    }
    struct uuid uuid = payment_uuid(operation->number);
    char uuid_text[UUID_TEXT_BYTES];
    uuid_format(&uuid, uuid_text);
    write_format(text,
                 "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"payment.get\",\"params\":"
                 "{\"id\":\"%s\"}}",
                 (unsigned long long)id, uuid_text);
}

static void attempt_send(struct operation *operation, struct process *process)
{
    assert(attempts_count < ATTEMPTS_MAX);
    uint32_t id = attempts_count++;
    struct attempt *attempt = &attempts[id];
    *attempt = (struct attempt){.operation = operation,
                                .place = process->place,
                                .life = process->life,
                                .open = true,
                                .acknowledged = answers_acknowledged()};
    attempt->asks =
        operation->kind == OPERATION_PAYMENT && operation->tries > 0 && dice_chance(&dice, 30);
    operation->tries++;
    operation->open++;
    figures.attempts++;
    struct buffer text;
    buffer_init(&text, 128 * 1024);
    attempt_write(attempt, id, &text);
    write_u8(&text, 0);
    assert(!text.failed);
    world_note("request", process->id, id);
    world_say("  %s", (const char *)text.data);
    door_send(process, (const char *)text.data);
    buffer_deinit(&text);
    world_after(TIMEOUT_MS * MILLISECONDS, NULL, timeout_run, attempt);
}

static void retry_run(void *data)
{
    struct operation *operation = data;
    operation->planned = false;
    if (!operation->done && operation->open == 0) {
        attempt_send(operation, choose_process());
    }
}

/* ---- answers ------------------------------------------------------------------------------- */

static void verdict_take(struct attempt *attempt, enum verdict verdict)
{
    struct operation *operation = attempt->operation;
    bool was_open = attempt->open;
    attempt_end(attempt);
    switch (verdict) {
    case VERDICT_DEFINITE:
        operation->done = true;
        return;
    case VERDICT_UNSURE:
        operation->uncertain = true;
        figures.unknown++;
        break;
    case VERDICT_NOT_EXECUTED:
        figures.retryable++;
        if (operation->once && operation->tries == 1 && was_open) {
            operation->done = true;
            oracle_forbid(operation->number);
            return;
        }
        break;
    case VERDICT_ABSENT:
        break;
    }
    retry_plan(operation);
}

void clients_receive(const char *text)
{
    static struct message_reader *reader;
    if (reader == NULL && message_reader_open(&reader, 8 * 1024 * 1024) != STATUS_OK) {
        abort();
    }
    const struct value *root = NULL;
    struct failure failure = {0};
    struct reply reply;
    uint64_t id = 0;
    if (message_parse(reader, text_of(text), &root, &failure) != CODE_OK ||
        !reply_read(root, &reply) || !request_id_number(&reply.id, &id) || id >= attempts_count) {
        world_fail("an answer that is none: %s", text);
    }
    world_note("reply", id, disk_hash(text, strlen(text)));
    world_say("  %s", text);
    struct attempt *attempt = &attempts[id];
    verdict_take(attempt, answers_judge(attempt, &reply, &figures));
}

void clients_lost(uint32_t place, uint32_t life)
{
    for (uint32_t i = 0; i < attempts_count; i++) {
        struct attempt *attempt = &attempts[i];
        if (attempt->open && attempt->place == place && attempt->life == life) {
            attempt->operation->uncertain = true;
            attempt_end(attempt);
            retry_plan(attempt->operation);
        }
    }
}

/* ---- the stream of requests ---------------------------------------------------------------- */

static uint32_t open_count(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < operations_count; i++) {
        count += !operations[i]->done;
    }
    return count;
}

static void new_plan(void)
{
    uint64_t delay = dice_below(&dice, 2 * options.pause_us) * MICROSECONDS;
    world_after(delay, NULL, new_run, NULL);
}

static struct operation *make_any(void)
{
    if (dice_chance(&dice, options.reads)) {
        return make_read();
    }
    if (dice_chance(&dice, options.batches)) {
        return make_batch();
    }
    return next_number > 1 && dice_chance(&dice, 4) ? make_mismatch() : make_payment();
}

static void new_run(void *data)
{
    (void)data;
    if (finishing) {
        return;
    }
    bool room = open_count() < options.open_max && next_number + 8 < PAYMENTS_MAX &&
                operations_count + 8 < OPERATIONS_MAX && attempts_count + 256 < ATTEMPTS_MAX;
    if (room && prepared) {
        struct operation *operation = make_any();
        struct process *process = choose_process();
        if (dice_chance(&dice, options.doubles)) {
            operation->once = false;
            attempt_send(operation, &processes[(process->place + 1) % processes_count]);
        }
        attempt_send(operation, process);
    } else if (open_count() == 0) {
        prepared = true;
    }
    new_plan();
}

static void prepare_currency(int currency)
{
    struct operation *operation = operation_make(OPERATION_OPEN);
    operation->method = "currency.create";
    write_format(&operation->request, "{\"code\":\"%s\",\"scale\":2}",
                 model_currency_name(currency));
}

static void prepare_account(int account)
{
    struct operation *operation = operation_make(OPERATION_OPEN);
    operation->method = "account.open";
    const char *overdraft = account == SETTLEMENT ? "unlimited" : account % 3 == 0 ? "500" : "0";
    write_format(&operation->request, "{\"id\":\"%s\",\"currency\":\"%s\",\"overdraft\":\"%s\"%s}",
                 model_account_name(account),
                 model_currency_name(account == ORACLE_ACCOUNTS - 1 ? 1 : 0), overdraft,
                 account == SETTLEMENT ? ",\"normal\":\"debit\"" : "");
}

void clients_begin(const struct clients_options *chosen)
{
    options = *chosen;
    dice_seed(&dice, world.seed * 7 + 3);
    next_number = 1;
    for (int i = 0; i < 2; i++) {
        prepare_currency(i);
    }
    for (int i = 0; i < ORACLE_ACCOUNTS; i++) {
        prepare_account(i);
    }
    for (uint32_t i = 0; i < operations_count; i++) {
        operations[i]->planned = true;
        world_after((100 + 10 * i) * MILLISECONDS, NULL, retry_run, operations[i]);
    }
    new_plan();
}

void clients_finish(void)
{
    finishing = true;
}

bool clients_done(void)
{
    return open_count() == 0;
}

void clients_explain(void)
{
    for (uint32_t i = 0; i < operations_count; i++) {
        const struct operation *operation = operations[i];
        if (!operation->done) {
            (void)printf("  still open: %s number %llu tries %u open %u\n", operation->method,
                         (unsigned long long)operation->number, operation->tries, operation->open);
        }
    }
}

uint64_t clients_pay(struct process *process)
{
    struct operation *operation = make_payment();
    operation->once = false;
    attempt_send(operation, process);
    return operation->number;
}
