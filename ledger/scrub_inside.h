/*
 * What the scrub's files share: scrub.c runs the pass, scrub_rows.c checks a row of each table.
 */
#ifndef LEDGER_SCRUB_INSIDE_H
#define LEDGER_SCRUB_INSIDE_H

#include "ledger/record.h"
#include "ledger/scrub.h"

/* What the accounts of a currency add up to. */
struct scrub_sum {
    u128 debits_posted, credits_posted, debits_held, credits_held;
    uint64_t accounts;
};

struct scrub {
    struct store *store;
    enum scrub_mode mode;
    struct store_txn *txn;
    uint32_t stage; /* 0: the counts, before the walk through the first table */
    struct store_walk walk;
    struct position begin; /* as of the beginning of the pass */
    struct position now;   /* as of this transaction */
    uint64_t references;   /* rows at the beginning of the pass */
    uint64_t rows_all;
    uint64_t rows_checked;
    uint64_t stage_rows;  /* of the table that is walked */
    uint64_t stage_early; /* of those the ones that were there at the beginning */
    uint64_t last_number; /* of tables whose keys are numbers */
    uint64_t payments_early;
    uint64_t references_early; /* payments that own a reference */
    struct scrub_sum *sums;    /* by currency number; CURRENCIES_MAX + 1 */
    /* By account number: how many entries it has. Where a pass sees one moment, its walk through
     * the accounts notes here what each side of a payment would look up again. NULL: it looks up.
     */
    uint64_t *entries;
    struct record record; /* scratch */
    struct entry_command command;
};

/* Each checks a row of its table and what it leads to, and counts it. */
enum status MUST_CHECK scrub_currency(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_currency_code(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_account(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_account_id(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_digest(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_meta(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_payment(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_payment_id(struct scrub *scrub, const struct store_row *row);
enum status MUST_CHECK scrub_reference(struct scrub *scrub, const struct store_row *row);

/* The damage of a row; gives STATUS_CORRUPT. */
enum status scrub_damage(struct scrub *scrub, enum table table, struct text key, const char *what);

#endif
