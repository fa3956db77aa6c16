/*
 * What became of a command, or what a query found: the forms that travel from the ledger to the
 * gateway (and between nodes), where they become JSON.
 */
#ifndef LEDGER_OUTCOME_H
#define LEDGER_OUTCOME_H

#include "ledger/types.h"

/* One account after the whole payment. */
struct outcome_row {
    struct text account;
    i128 posted;
    bool has_rest;  /* held and available are known (not in a replay) */
    bool unlimited; /* available is null */
    u128 held;
    i128 available;
};

struct outcome {
    enum code code; /* CODE_OK: posted, created, opened */
    enum command_kind kind;
    bool replayed;
    bool short_form; /* of the request that is answered: how its paths are written */
    uint64_t seq;    /* 0 where the answer belongs to no seq (mismatch, refused operator command) */
    uint64_t term;
    int64_t time_ns;
    struct uuid id; /* payments */

    /* Details of a refusal. */
    enum field field;
    uint32_t leg;        /* of the field */
    struct text subject; /* the account, currency or id that it is about */
    i128 available;      /* insufficient_funds */
    u128 needed;
    struct text currency; /* insufficient_funds, currency_mismatch: what the subject is in */
    struct text wanted;   /* currency_mismatch: what it should be in */

    /* posted payment */
    uint32_t rows_count;
    struct outcome_row rows[OUTCOME_ROWS_MAX];

    /* opened account or created currency: its view follows in the bytes (see below) */
};

/* An account as account.get shows it. */
struct account_view {
    struct text id;
    struct text currency;
    uint8_t scale;
    bool debit_normal;
    enum overdraft_kind overdraft_kind;
    u128 overdraft_limit;
    i128 posted;
    u128 held;
    i128 available; /* meaningless where unlimited */
    u128 debits_posted, credits_posted, debits_held, credits_held;
    uint64_t entries;
    uint64_t seq; /* of its opening */
    uint64_t term;
    int64_t time_ns;
};

struct currency_view {
    struct text code;
    uint8_t scale;
    uint64_t seq;
    uint64_t term;
    int64_t time_ns;
    u128 debits_posted, credits_posted, debits_held, credits_held;
    uint64_t accounts_count;
};

struct payment_view_leg {
    struct text debit, credit, currency;
    u128 amount;
    bool has_entries; /* posted: the balance after and number of both entries */
    i128 debit_balance, credit_balance;
    uint64_t debit_entry, credit_entry;
};

/* A payment as payment.get shows it, posted or refused. */
struct payment_view {
    struct outcome outcome; /* code, seq, term, time, detail; rows as recorded (posted only) */
    bool has_valid_until, has_effective_at, has_reference, has_metadata;
    int64_t valid_until_ns, effective_at_ns;
    struct text reference, metadata;
    uint32_t legs_count;
    struct payment_view_leg legs[LEGS_MAX];
};

/* An outcome; for a CODE_OK of account.open or currency.create the view follows it directly. */
void outcome_write(struct buffer *out, const struct outcome *outcome);
void account_view_write(struct buffer *out, const struct account_view *view);
void currency_view_write(struct buffer *out, const struct currency_view *view);
void payment_view_write(struct buffer *out, const struct payment_view *view);

/* Texts are borrowed from the reader's bytes. STATUS_INVALID on any damage; the
 * outcome or payment view is then undefined. Rows and legs beyond their counts are never set. */
enum status MUST_CHECK outcome_read(struct reader *reader, struct outcome *outcome);
enum status MUST_CHECK account_view_read(struct reader *reader, struct account_view *view);
enum status MUST_CHECK currency_view_read(struct reader *reader, struct currency_view *view);
enum status MUST_CHECK payment_view_read(struct reader *reader, struct payment_view *view);

/*
 * One sentence for people: "alice has 500 available, 1999 needed"; else the code's own text and the
 * subject: "there is no such account: bob". For refusals; appends to out.
 */
void outcome_message(const struct outcome *outcome, struct buffer *out);

/*
 * The path of outcome->field as the client sent it, below `prefix` (e.g. "items[3]."):
 * "debit" in the short form, "legs[2].debit" otherwise. Nothing for FIELD_NONE.
 */
void outcome_path(const struct outcome *outcome, const char *prefix, struct buffer *out);

#endif
