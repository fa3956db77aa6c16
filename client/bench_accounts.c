#include "client/bench_accounts.h"

#include "base/check.h"
#include "client/bench_message.h"
#include "client/load.h"

#include <stdlib.h>

enum { OPEN_CONNECTIONS = 8, OPEN_ROUNDS_MAX = 100 };

/* Accounts that no answer has spoken of yet are asked for again: opening is idempotent. */
struct opening {
    uint8_t *done; /* one for each account */
    uint32_t count;
    uint32_t next;
    uint32_t left;
    bool refused; /* for good */
    char reason[256];
};

static bool open_write(void *data, struct buffer *params, const char **method, uint64_t *number)
{
    struct opening *opening = data;
    char name[BENCH_ACCOUNT_BYTES];
    while (opening->next < opening->count && opening->done[opening->next] != 0) {
        opening->next += 1;
    }
    if (opening->next == opening->count || opening->refused) {
        return false;
    }
    bench_account_name(opening->next, name);
    *method = "account.open";
    *number = opening->next;
    write_format(params, "{\"id\":\"%s\",\"currency\":\"BENCH\",\"overdraft\":\"unlimited\"}",
                 name);
    opening->next += 1;
    return true;
}

static void open_reply(void *data, uint64_t number, const struct reply *reply, uint64_t latency_us)
{
    struct opening *opening = data;
    (void)latency_us;
    assert(number < opening->count);
    if (reply->result != NULL && opening->done[number] == 0) {
        opening->done[number] = 1;
        opening->left -= 1;
    } else if (reply->result == NULL) {
        opening->refused = opening->refused || !reply->retryable;
        (void)snprintf(opening->reason, sizeof(opening->reason), "%.*s: %.*s",
                       (int)reply->code.size, reply->code.data,
                       reply->message.size < 150 ? (int)reply->message.size : 150,
                       reply->message.data);
    }
}

static void open_lost(void *data)
{
    (void)data; /* still not done: another round asks again */
}

static enum client_exit opening_run(struct console *console, struct opening *opening)
{
    const struct load_options load = {.client = &console->options,
                                      .connections = OPEN_CONNECTIONS,
                                      .in_flight = BENCH_OPEN_IN_FLIGHT,
                                      .write = open_write,
                                      .reply = open_reply,
                                      .lost = open_lost,
                                      .data = opening};
    enum status status = STATUS_OK;
    for (int round = 0; round < OPEN_ROUNDS_MAX && opening->left > 0 && !opening->refused &&
                        status != STATUS_NETWORK && status != STATUS_TLS;
         round++) {
        char error[256];
        opening->next = 0;
        status = load_run(&load, error, sizeof(error));
        if (status != STATUS_OK) {
            (void)snprintf(opening->reason, sizeof(opening->reason), "%s", error);
        }
    }
    if (opening->left == 0) {
        return CLIENT_DONE;
    }
    (void)fprintf(console->errors, "%u accounts could not be opened: %s\n", opening->left,
                  opening->reason);
    return opening->refused ? CLIENT_REFUSED : CLIENT_UNREACHABLE;
}

static enum client_exit accounts_open(struct console *console, uint32_t count)
{
    struct opening opening = {.count = count, .left = count, .done = calloc(count, 1)};
    if (opening.done == NULL) {
        return console_fail(console, "out of memory");
    }
    enum client_exit end = opening_run(console, &opening);
    free(opening.done);
    return end;
}

/* The account that says that the others are open. */
static bool accounts_ready(struct console *console, uint32_t count)
{
    struct reply reply;
    struct caller *caller = console_caller(console);
    if (caller == NULL) {
        return false;
    }
    buffer_clear(&console->params);
    write_format(&console->params, "{\"id\":\"bench-ready-%u\"}", count);
    const struct text params = {(const char *)console->params.data, console->params.size};
    return caller_call(caller, "account.get", params, &reply) == CALL_DONE;
}

enum client_exit bench_accounts_open(struct console *console, const struct bench_options *options)
{
    struct reply reply;
    buffer_clear(&console->params);
    write_format(&console->params, "{\"code\":\"BENCH\",\"scale\":%d}", BENCH_SCALE);
    enum client_exit end = console_call(console, "currency.create", &reply);
    if (end != CLIENT_DONE || accounts_ready(console, options->accounts)) {
        return end;
    }
    if (options->progress) {
        (void)fprintf(console->errors, "opening %u accounts\n", options->accounts);
    }
    end = accounts_open(console, options->accounts);
    if (end == CLIENT_DONE) {
        buffer_clear(&console->params);
        write_format(&console->params, "{\"id\":\"bench-ready-%u\",\"currency\":\"BENCH\"}",
                     options->accounts);
        end = console_call(console, "account.open", &reply);
    }
    return end;
}
