/*
 * Drives a ledger as a node does: requests in, entries verified, proposed and applied, answers out.
 * The log is kept, so that followers and restarts can be given the same entries.
 */
#ifndef TESTS_SUPPORT_LEDGER_DRIVER_H
#define TESTS_SUPPORT_LEDGER_DRIVER_H

#include "ledger/ledger.h"
#include "ledger/outcome.h"

/* A request with its bytes, and its answer afterwards. */
struct call {
    struct ledger_request request; /* first: lists of requests are lists of calls */
    struct buffer bytes;
    bool answered;
};

struct driver {
    char *dir;
    struct metrics metrics;
    struct ledger *ledger;
    uint64_t index; /* of the newest entry applied here */
    uint64_t epoch;
    uint64_t term;
    int64_t now_ns;
};

void driver_open(struct driver *driver);
void driver_close(struct driver *driver);
/* Closes without a commit and opens again: what was not committed is lost, as in a crash. */
void driver_restart(struct driver *driver);

/* Begins the next epoch, in the next term. */
void driver_lead(struct driver *driver);
/* Ends the epoch; answers are marked. */
void driver_resign(struct driver *driver);

/* One request; `commands` are copied. */
struct call *call_make(enum request_mode mode, const struct command *commands, uint32_t count);
void call_free(struct call *call);

void driver_submit(struct driver *driver, struct call *call);
/* The next entry, marked as proposed; NULL where nothing waits. */
struct ledger_entry *driver_verify(struct driver *driver);
/* Applies bytes at the next index. */
struct applied driver_apply(struct driver *driver, const void *data, size_t size);
/* Verifies and applies until nothing waits. */
void driver_settle(struct driver *driver);
/* Submits and settles. */
void driver_call(struct driver *driver, struct call *call);

/* One command by itself; returns its outcome's code. outcome may be NULL; its texts die with the
 * next call of this function. */
enum code driver_do(struct driver *driver, const struct command *command, struct outcome *outcome);

/* The outcome of command `index`; texts are borrowed from the call. */
void call_outcome(const struct call *call, uint32_t index, struct outcome *outcome);

enum code call_code(const struct call *call, uint32_t index);

/* alice has 1000 cents from bank (payment 1), bob and shop have nothing. */
void driver_make_bank(struct driver *driver);
/* Payments with much metadata: many entries for one batch. From bank to bob, ids from first_id. */
struct call *call_make_long(enum request_mode mode, uint64_t first_id, uint32_t count);
uint64_t driver_seq(const struct driver *driver);
/* The balance of an account. */
i128 driver_posted(struct driver *driver, const char *id);
/* Applies a copy of the entry, as raft hands one over. */
struct applied driver_apply_entry(struct driver *driver, const struct ledger_entry *entry);

/* Commands with texts that the caller keeps. */
struct uuid uuid_of(uint64_t number);
struct command make_currency(const char *code, uint8_t scale);
/* overdraft: -1 for unlimited. */
struct command make_account(const char *id, const char *currency, bool debit_normal,
                            int64_t overdraft);
/* The short form. */
struct command make_payment(uint64_t id, const char *debit, const char *credit, u128 amount);
void add_leg(struct command *payment, const char *debit, const char *credit, u128 amount);

#endif
