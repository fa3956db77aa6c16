/*
 * A second ledger, written from the rules alone (docs/protocol.md), to compare the real one with.
 * It is small and plain: accounts, currencies and references are indexes into fixed tables, an
 * atomic batch is a copy of the books that is put back, and balances are added up anew from the
 * legs.
 */
#ifndef TESTS_SUPPORT_MODEL_H
#define TESTS_SUPPORT_MODEL_H

#include "ledger/command.h"

enum { MODEL_ACCOUNTS = 40, MODEL_CURRENCIES = 5, MODEL_REFERENCES = 5000, MODEL_NONE = -1 };

struct model_leg {
    int debit; /* index of an account, which need not exist */
    int credit;
    int currency; /* MODEL_NONE: not given */
    u128 amount;
};

struct model_payment {
    uint64_t id;
    bool short_form;
    int64_t valid_until_ns;  /* 0: not given */
    int64_t effective_at_ns; /* 0: not given */
    int reference;           /* MODEL_NONE: not given */
    const char *metadata;    /* NULL: not given; a string that lives for ever */
    uint32_t legs_count;
    struct model_leg legs[LEGS_MAX];
};

struct model_command {
    enum command_kind kind;
    /* currency.create and account.open */
    int currency;
    int scale;
    int account;
    bool debit_normal;
    bool unlimited;
    u128 limit;
    struct model_payment *payment; /* kept by the caller for as long as the model lives */
};

struct model_row {
    int account;
    i128 posted;
    i128 available;
    bool has_rest;
    bool unlimited;
};

struct model_outcome {
    enum code code;
    bool replayed;
    uint64_t seq;
    uint64_t term;
    int64_t time_ns;
    enum field field;
    uint32_t leg;
    i128 available;
    u128 needed;
    uint32_t rows_count;
    struct model_row *rows; /* owned */
    i128 posted;            /* account.open: the account's balance in the answer */
    uint64_t entries;
};

struct model_account {
    bool exists;
    bool debit_normal;
    bool unlimited;
    int currency;
    u128 limit;
    u128 debits;
    u128 credits;
    uint64_t entries;
    uint64_t seq, term;
    int64_t time_ns;
};

struct model_currency {
    bool exists;
    int scale;
    u128 debits;
    u128 credits;
    uint64_t accounts;
    uint64_t seq, term;
    int64_t time_ns;
};

struct model_books {
    struct model_account accounts[MODEL_ACCOUNTS];
    struct model_currency currencies[MODEL_CURRENCIES];
    bool references[MODEL_REFERENCES];
};

struct model_record {
    const struct model_payment *payment; /* NULL: the id is new */
    struct model_outcome outcome;
};

struct model {
    struct model_books books;
    uint64_t seq;
    uint64_t posted, refused;
    struct model_record *records; /* by id */
    uint64_t records_count;
};

void model_init(struct model *model, uint64_t ids_max);
void model_deinit(struct model *model);

/* Runs commands of one log entry; the outcomes are the caller's (model_outcome_free). */
void model_run(struct model *model, const struct model_command *commands, uint32_t count,
               bool atomic, uint64_t term, int64_t time_ns, struct model_outcome *outcomes);
void model_outcome_free(struct model_outcome *outcome);

/* The names of the tables' rows; they live for ever. */
const char *model_account_name(int account);
const char *model_currency_name(int currency);
const char *model_reference_name(int reference);

i128 model_posted(const struct model_account *account);

#endif
