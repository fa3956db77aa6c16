/*
 * A pass: the counts, then table after table. What is compared with counts that payments change
 * meanwhile is compared within one transaction, or only for rows that were there at the beginning.
 */
#include "ledger/scrub_inside.h"

#include "base/check.h"
#include "ledger/internal.h"

#include <stdlib.h>
#include <string.h>

struct scrub_stage {
    enum table table;
    enum status (*row)(struct scrub *scrub, const struct store_row *row);
    enum status (*end)(struct scrub *scrub); /* may be NULL */
};

static enum status whole_table(struct scrub *scrub, const char *what)
{
    return scrub_damage(scrub, scrub->walk.table, TEXT(""), what);
}

/* ---- the beginning of a pass --------------------------------------------------------------- */

static enum status counts_check(struct scrub *scrub)
{
    const struct position *position = &scrub->begin;
    const struct {
        enum table table;
        uint64_t wanted;
    } counts[] = {
        {TABLE_ACCOUNTS, position->accounts_count},
        {TABLE_ACCOUNT_IDS, position->accounts_count},
        {TABLE_CURRENCIES, position->currencies_count},
        {TABLE_CURRENCY_CODES, position->currencies_count},
        {TABLE_PAYMENTS, position->seq},
        {TABLE_PAYMENT_IDS, position->payments_count},
    };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        uint64_t count = 0;
        const enum status status = store_count(scrub->txn, counts[i].table, &count);
        if (status != STATUS_OK) {
            return status;
        }
        if (count != counts[i].wanted) {
            return scrub_damage(scrub, counts[i].table, TEXT(""),
                                "LMDB counts other rows than the position");
        }
        scrub->rows_all += count;
    }
    return STATUS_OK;
}

static enum status small_counts_check(struct scrub *scrub)
{
    uint64_t digests = 0;
    uint64_t meta = 0;
    enum status status = store_count(scrub->txn, TABLE_REFERENCES, &scrub->references);
    if (status == STATUS_OK) {
        status = store_count(scrub->txn, TABLE_DIGESTS, &digests);
    }
    if (status == STATUS_OK) {
        status = store_count(scrub->txn, TABLE_META, &meta);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (digests > DIGESTS_KEPT) {
        return scrub_damage(scrub, TABLE_DIGESTS, TEXT(""), "there are too many rows");
    }
    /* A store without a position is a new one. */
    if (meta != 2 && (meta != 1 || scrub->rows_all > 0 || scrub->begin.index > 0)) {
        return scrub_damage(scrub, TABLE_META, TEXT(""), "rows are missing");
    }
    scrub->rows_all += digests + meta + scrub->references;
    return STATUS_OK;
}

static enum status newest_digest_check(struct scrub *scrub)
{
    const struct position *position = &scrub->begin;
    struct digest digest;
    if (position->seq == 0) {
        return STATUS_OK;
    }
    const enum status status = store_digest(scrub->txn, position->seq, &digest);
    if (status == STATUS_NOT_FOUND ||
        (status == STATUS_OK && !digest_equal(&digest, &position->digest))) {
        return scrub_damage(scrub, TABLE_META, TEXT("position"),
                            "its digest is not the newest of table digests");
    }
    return status;
}

static void table_begin(struct scrub *scrub, enum table table)
{
    scrub->walk = (struct store_walk){.table = table};
    scrub->stage_rows = 0;
    scrub->stage_early = 0;
    scrub->last_number = 0;
}

/* LMDB counts as many accounts as the position. Without memory for them they are looked up. */
static void entries_begin(struct scrub *scrub)
{
    free(scrub->entries);
    scrub->entries = NULL;
    if (scrub->mode == SCRUB_AT_ONCE && scrub->begin.accounts_count <= SCRUB_ENTRIES_ACCOUNTS_MAX) {
        scrub->entries = calloc(scrub->begin.accounts_count + 1, sizeof(*scrub->entries));
    }
}

static enum status pass_begin(struct scrub *scrub)
{
    scrub->begin = scrub->now;
    scrub->rows_all = 0;
    scrub->rows_checked = 0;
    scrub->payments_early = 0;
    scrub->references_early = 0;
    memset(scrub->sums, 0, (CURRENCIES_MAX + 1) * sizeof(*scrub->sums));
    enum status status = counts_check(scrub);
    if (status == STATUS_OK) {
        status = small_counts_check(scrub);
    }
    if (status == STATUS_OK) {
        entries_begin(scrub);
    }
    return status == STATUS_OK ? newest_digest_check(scrub) : status;
}

/* ---- the ends of tables -------------------------------------------------------------------- */

static enum status currencies_end(struct scrub *scrub)
{
    return scrub->last_number == scrub->now.currencies_count
               ? STATUS_OK
               : whole_table(scrub, "the newest rows are missing");
}

static enum status currency_codes_end(struct scrub *scrub)
{
    return scrub->stage_early == scrub->begin.currencies_count
               ? STATUS_OK
               : whole_table(scrub, "rows are missing, or are there twice");
}

/* All accounts were walked through in this transaction. */
static enum status totals_check(struct scrub *scrub)
{
    for (uint64_t number = 1; number <= scrub->now.currencies_count; number++) {
        const struct scrub_sum *sum = &scrub->sums[number];
        struct currency currency;
        const enum status status = store_currency(scrub->txn, (uint32_t)number, &currency);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
        if (status == STATUS_NOT_FOUND || sum->debits_posted != currency.debits_posted ||
            sum->credits_posted != currency.credits_posted ||
            sum->debits_held != currency.debits_held ||
            sum->credits_held != currency.credits_held ||
            sum->accounts != currency.accounts_count) {
            return scrub_damage(scrub, TABLE_CURRENCIES,
                                (struct text){.data = (const char *)&number, .size = 8},
                                "its totals are not the sums of its accounts");
        }
    }
    return STATUS_OK;
}

/* Their totals are those of one moment only: one transaction must see them all. */
static bool totals_comparable(const struct scrub *scrub)
{
    return scrub->mode == SCRUB_AT_ONCE || scrub->now.accounts_count <= SCRUB_TOTALS_ACCOUNTS_MAX;
}

static enum status accounts_end(struct scrub *scrub)
{
    if (scrub->last_number != scrub->now.accounts_count) {
        return whole_table(scrub, "the newest rows are missing");
    }
    return totals_comparable(scrub) ? totals_check(scrub) : STATUS_OK;
}

static enum status account_ids_end(struct scrub *scrub)
{
    return scrub->stage_early == scrub->begin.accounts_count
               ? STATUS_OK
               : whole_table(scrub, "rows are missing, or are there twice");
}

static enum status payments_end(struct scrub *scrub)
{
    if (scrub->last_number != scrub->now.seq) {
        return whole_table(scrub, "the newest rows are missing");
    }
    return scrub->payments_early == scrub->begin.payments_count
               ? STATUS_OK
               : whole_table(scrub, "there are other payments than the position counts");
}

static enum status payment_ids_end(struct scrub *scrub)
{
    return scrub->stage_early == scrub->begin.payments_count
               ? STATUS_OK
               : whole_table(scrub, "rows are missing, or are there twice");
}

static enum status references_end(struct scrub *scrub)
{
    return scrub->stage_early == scrub->references && scrub->references_early == scrub->references
               ? STATUS_OK
               : whole_table(scrub, "rows are missing, or are there twice");
}

/* Small and important ones first: what a start has time for. */
static const struct scrub_stage stages[] = {
    {TABLE_META, scrub_meta, NULL},
    {TABLE_CURRENCIES, scrub_currency, currencies_end},
    {TABLE_CURRENCY_CODES, scrub_currency_code, currency_codes_end},
    {TABLE_DIGESTS, scrub_digest, NULL},
    {TABLE_ACCOUNTS, scrub_account, accounts_end},
    {TABLE_ACCOUNT_IDS, scrub_account_id, account_ids_end},
    {TABLE_PAYMENTS, scrub_payment, payments_end},
    {TABLE_PAYMENT_IDS, scrub_payment_id, payment_ids_end},
    {TABLE_REFERENCES, scrub_reference, references_end},
};
static_assert(ARRAY_COUNT(stages) == TABLE_COUNT, "every table is walked through");

/* ---- steps --------------------------------------------------------------------------------- */

/* Walks on through the present table; *ended: it is through, and right as a whole. */
static enum status walk_on(struct scrub *scrub, uint64_t rows_max, bool *ended)
{
    const struct scrub_stage *stage = &stages[scrub->stage - 1];
    const bool to_the_end = stage->table == TABLE_ACCOUNTS && scrub->mode == SCRUB_IN_PIECES &&
                            totals_comparable(scrub);
    for (uint64_t rows = 0; rows < rows_max || to_the_end; rows++) {
        struct store_row row;
        enum status status = store_walk_next(scrub->txn, &scrub->walk, &row);
        if (status == STATUS_NOT_FOUND) {
            *ended = true;
            return stage->end == NULL ? STATUS_OK : stage->end(scrub);
        }
        if (status == STATUS_OK) {
            status = stage->row(scrub, &row);
        }
        if (status != STATUS_OK) {
            return status;
        }
        scrub->rows_checked++;
    }
    *ended = false;
    return STATUS_OK;
}

static enum status steps(struct scrub *scrub, uint32_t rows_max, bool *done)
{
    if (scrub->stage == 0) {
        const enum status status = pass_begin(scrub);
        if (status != STATUS_OK) {
            return status;
        }
        scrub->stage = 1;
        table_begin(scrub, stages[0].table);
    }
    const uint64_t before = scrub->rows_checked;
    while (scrub->rows_checked - before < rows_max) {
        bool ended = false;
        const enum status status =
            walk_on(scrub, rows_max - (scrub->rows_checked - before), &ended);
        if (status != STATUS_OK) {
            return status;
        }
        if (ended && scrub->stage == ARRAY_COUNT(stages)) {
            scrub->stage = 0;
            *done = true;
            return STATUS_OK;
        }
        if (ended) {
            table_begin(scrub, stages[scrub->stage].table);
            scrub->stage++;
        }
    }
    *done = false;
    return STATUS_OK;
}

enum status scrub_step(struct scrub *scrub, uint32_t rows_max, bool *done)
{
    assert(scrub != NULL && rows_max > 0 && done != NULL);
    enum status status = STATUS_OK;
    if (scrub->txn == NULL) {
        status = store_read_begin(scrub->store, &scrub->txn);
        if (status != STATUS_OK) {
            return status;
        }
        status = store_position(scrub->txn, &scrub->now);
    }
    bool ended = false;
    if (status == STATUS_OK) {
        status = steps(scrub, rows_max, &ended);
    }
    if (status != STATUS_OK || ended || scrub->mode == SCRUB_IN_PIECES) {
        store_read_end(scrub->txn);
        scrub->txn = NULL;
    }
    if (status == STATUS_OK) {
        *done = ended;
    }
    return status;
}

enum status scrub_open(struct scrub **scrub, struct ledger *ledger, enum scrub_mode mode)
{
    assert(scrub != NULL && ledger != NULL);
    struct scrub *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return STATUS_NO_MEMORY;
    }
    opened->store = ledger->store;
    opened->mode = mode;
    opened->sums = calloc(CURRENCIES_MAX + 1, sizeof(*opened->sums));
    if (opened->sums == NULL) {
        free(opened);
        return STATUS_NO_MEMORY;
    }
    *scrub = opened;
    return STATUS_OK;
}

void scrub_close(struct scrub *scrub)
{
    if (scrub == NULL) {
        return;
    }
    store_read_end(scrub->txn);
    free(scrub->sums);
    free(scrub->entries);
    free(scrub);
}

uint64_t scrub_rows_checked(const struct scrub *scrub)
{
    return scrub->rows_checked;
}

uint64_t scrub_rows_all(const struct scrub *scrub)
{
    return scrub->rows_all;
}

const char *scrub_table(const struct scrub *scrub)
{
    return store_table_name(scrub->walk.table);
}

enum status scrub_all(struct ledger *ledger, struct position *position)
{
    struct scrub *scrub = NULL;
    enum status status = scrub_open(&scrub, ledger, SCRUB_AT_ONCE);
    bool done = false;
    while (status == STATUS_OK && !done) {
        status = scrub_step(scrub, UINT32_MAX, &done);
    }
    if (status == STATUS_OK) {
        *position = scrub->begin;
    }
    scrub_close(scrub);
    return status;
}
