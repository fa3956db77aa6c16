/*
 * What a client asks for, decoded: the request form. The gateway writes it, a follower forwards it
 * as bytes, the leader's ledger thread reads it. Also the form in which the log and LMDB keep a
 * command (the entry form: account numbers instead of ids; ledger/entry.h).
 *
 * Request form (docs/format.md): u8 version, u8 mode, varint count, then count commands.
 */
#ifndef LEDGER_COMMAND_H
#define LEDGER_COMMAND_H

#include "ledger/types.h"

enum request_mode {
    REQUEST_BARRIER = 0,     /* no commands: answered with the seq of a state read after it */
    REQUEST_SINGLE = 1,      /* exactly one command */
    REQUEST_INDEPENDENT = 2, /* a batch whose items stand alone */
    REQUEST_ATOMIC = 3       /* a batch of payments: all posted, or none */
};

struct leg {
    struct text debit; /* account ids, already valid in form */
    struct text credit;
    struct text currency; /* empty: the accounts' own */
    u128 amount;          /* 0 < amount < 2^126 */
};

struct payment {
    struct uuid id;
    bool short_form; /* the client wrote debit/credit/amount instead of legs */
    bool has_valid_until;
    bool has_effective_at;
    bool has_reference;
    bool has_metadata;
    int64_t valid_until_ns;
    int64_t effective_at_ns;
    struct text reference;
    struct text metadata; /* the JSON object's own bytes, as the client sent them */
    uint32_t legs_count;  /* 1..LEGS_MAX */
    struct leg legs[LEGS_MAX];
};

struct currency_create {
    struct text code;
    uint8_t scale;
};

struct account_open {
    struct text id;
    struct text currency;
    bool debit_normal;
    enum overdraft_kind overdraft_kind;
    u128 overdraft_limit;
};

struct command {
    enum command_kind kind;
    union {
        struct currency_create currency_create;
        struct account_open account_open;
        struct payment payment;
    };
};

/* The head of a request; then write `count` commands. */
void request_write_head(struct buffer *out, enum request_mode mode, uint32_t count);
void command_write(struct buffer *out, const struct command *command);

/* Reads and checks the head. STATUS_INVALID on wrong bytes, bounds or a mode that does not fit. */
enum status MUST_CHECK request_read_head(struct reader *reader, enum request_mode *mode,
                                         uint32_t *count);
/* Reads one command; texts are borrowed from the reader's bytes. STATUS_INVALID on any damage;
 * *command is then undefined (it is large, and filled in as it is read). */
enum status MUST_CHECK command_read(struct reader *reader, struct command *command);

#endif
