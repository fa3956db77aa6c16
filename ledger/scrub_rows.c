/*
 * One row of each table: does it make sense, and do the rows that it leads to lead back to it?
 */
#include "ledger/scrub_inside.h"

#include "base/check.h"
#include "ledger/row.h"

#include <string.h>

enum status scrub_damage(struct scrub *scrub, enum table table, struct text key, const char *what)
{
    return store_found_damage(scrub->txn, table, key, what);
}

/* A row that another one leads to: its absence is damage of the one that names it. */
static enum status referred(struct scrub *scrub, const struct store_row *row, enum status status,
                            const char *what)
{
    return status == STATUS_NOT_FOUND ? scrub_damage(scrub, scrub->walk.table, row->key, what)
                                      : status;
}

static enum status wrong(struct scrub *scrub, const struct store_row *row, const char *what)
{
    return scrub_damage(scrub, scrub->walk.table, row->key, what);
}

/* A row whose value is a number of at least 1. */
static enum status number_of(struct scrub *scrub, const struct store_row *row, uint64_t *number)
{
    if (row->value.size != sizeof(*number)) {
        return wrong(scrub, row, "the row is no number");
    }
    *number = get_u64((const uint8_t *)row->value.data);
    return *number > 0 ? STATUS_OK : wrong(scrub, row, "the row is no number");
}

/* The next one of a table whose keys are numbers without gaps. */
static enum status count_on(struct scrub *scrub, const struct store_row *row, uint64_t *number)
{
    *number = get_u64((const uint8_t *)row->key.data);
    if (*number != scrub->last_number + 1) {
        return wrong(scrub, row, "the row before it is missing");
    }
    scrub->last_number = *number;
    return STATUS_OK;
}

/* ---- currencies ---------------------------------------------------------------------------- */

enum status scrub_currency(struct scrub *scrub, const struct store_row *row)
{
    uint64_t number = 0;
    enum status status = count_on(scrub, row, &number);
    if (status != STATUS_OK) {
        return status;
    }
    struct currency currency;
    if (number > CURRENCIES_MAX ||
        currency_row_read(row->value, (uint32_t)number, &currency) != STATUS_OK) {
        return wrong(scrub, row, "the row makes no sense");
    }
    if (currency.debits_posted != currency.credits_posted ||
        currency.debits_held != currency.credits_held) {
        return wrong(scrub, row, "its books do not balance");
    }
    uint32_t found = 0;
    status = store_currency_number(scrub->txn, text_of(currency.code), &found);
    status = referred(scrub, row, status, "its code is not in currency_codes");
    if (status == STATUS_OK && found != number) {
        return wrong(scrub, row, "its code leads to another currency");
    }
    return status;
}

enum status scrub_currency_code(struct scrub *scrub, const struct store_row *row)
{
    uint64_t number = 0;
    enum status status = number_of(scrub, row, &number);
    if (status != STATUS_OK) {
        return status;
    }
    if (number > scrub->now.currencies_count) {
        return wrong(scrub, row, "it leads beyond the currencies");
    }
    struct text code = {0};
    status = store_currency_code(scrub->txn, (uint32_t)number, &code);
    status = referred(scrub, row, status, "the currency is missing");
    if (status == STATUS_OK && !text_equal(code, row->key)) {
        return wrong(scrub, row, "the currency has another code");
    }
    scrub->stage_early += number <= scrub->begin.currencies_count;
    return status;
}

/* ---- accounts ------------------------------------------------------------------------------ */

/* The newest entry of an account, as the payment has it that the account names. */
static enum status newest_entry(struct scrub *scrub, const struct store_row *row,
                                const struct account *account)
{
    const uint64_t seq = account->history_seq[0];
    if (account->entries_count == 0 || seq == 0 || seq > scrub->now.seq) {
        return account->entries_count == 0 && seq == 0 && account->debits_posted == 0 &&
                       account->credits_posted == 0
                   ? STATUS_OK
                   : wrong(scrub, row, "its entries are not those of its balance");
    }
    struct text bytes = {0};
    enum status status = store_record_bytes(scrub->txn, seq, &bytes);
    status = referred(scrub, row, status, "the payment of its newest entry is missing");
    if (status != STATUS_OK) {
        return status;
    }
    if (record_read_full(bytes, seq, &scrub->record, &scrub->command) != STATUS_OK) {
        return wrong(scrub, row, "the payment of its newest entry makes no sense");
    }
    const struct decision *decision = &scrub->record.decision;
    for (uint32_t i = decision->sides_count; i > 0; i--) {
        const struct entry_side *side = &decision->sides[i - 1];
        if (side->account == account->number) {
            return side->number == account->entries_count &&
                           side->balance_after == account_posted(account)
                       ? STATUS_OK
                       : wrong(scrub, row, "its newest entry has another balance or number");
        }
    }
    return wrong(scrub, row, "its newest entry is in no payment");
}

enum status scrub_account(struct scrub *scrub, const struct store_row *row)
{
    uint64_t number = 0;
    uint64_t found = 0;
    enum status status = count_on(scrub, row, &number);
    if (status != STATUS_OK) {
        return status;
    }
    struct account account;
    if (account_row_read(row->value, number, &account) != STATUS_OK ||
        account.currency > scrub->now.currencies_count) {
        return wrong(scrub, row, "the row makes no sense");
    }
    const struct text id = {.data = account.id, .size = account.id_size};
    status = store_account_number(scrub->txn, id, &found);
    status = referred(scrub, row, status, "its id is not in account_ids");
    if (status == STATUS_OK && found != number) {
        return wrong(scrub, row, "its id leads to another account");
    }
    if (status == STATUS_OK) {
        status = newest_entry(scrub, row, &account);
    }
    if (scrub->entries != NULL && number <= scrub->begin.accounts_count) {
        scrub->entries[number] = account.entries_count;
    }
    struct scrub_sum *sum = &scrub->sums[account.currency];
    sum->debits_posted += account.debits_posted;
    sum->credits_posted += account.credits_posted;
    sum->debits_held += account.debits_held;
    sum->credits_held += account.credits_held;
    sum->accounts++;
    return status;
}

enum status scrub_account_id(struct scrub *scrub, const struct store_row *row)
{
    uint64_t number = 0;
    enum status status = number_of(scrub, row, &number);
    if (status != STATUS_OK) {
        return status;
    }
    if (number > scrub->now.accounts_count) {
        return wrong(scrub, row, "it leads beyond the accounts");
    }
    struct text id = {0};
    uint32_t currency = 0;
    status = store_account_id(scrub->txn, number, &id, &currency);
    status = referred(scrub, row, status, "the account is missing");
    if (status == STATUS_OK && !text_equal(id, row->key)) {
        return wrong(scrub, row, "the account has another id");
    }
    scrub->stage_early += number <= scrub->begin.accounts_count;
    return status;
}

/* ---- what belongs to the position ---------------------------------------------------------- */

enum status scrub_digest(struct scrub *scrub, const struct store_row *row)
{
    const uint64_t seq = get_u64((const uint8_t *)row->key.data);
    if (row->value.size != DIGEST_BYTES || seq == 0 || seq > scrub->now.seq) {
        return wrong(scrub, row, "the row makes no sense");
    }
    return STATUS_OK;
}

enum status scrub_meta(struct scrub *scrub, const struct store_row *row)
{
    /* Both are read by those who know them: the version at the opening, the position each time. */
    return text_equal(row->key, TEXT("format")) || text_equal(row->key, TEXT("position"))
               ? STATUS_OK
               : wrong(scrub, row, "there is no such row");
}

/* ---- payments ------------------------------------------------------------------------------ */

/* The account of a side of the payment: how many entries it has. */
static enum status entries_of(struct scrub *scrub, const struct store_row *row, uint64_t number,
                              uint64_t *entries)
{
    /* The walk through the accounts was in this transaction, and found all of them. */
    if (scrub->entries != NULL && number >= 1 && number <= scrub->begin.accounts_count) {
        *entries = scrub->entries[number];
        return STATUS_OK;
    }
    struct account account;
    enum status status = store_account(scrub->txn, number, &account);
    status = referred(scrub, row, status, "an account of it is missing");
    if (status == STATUS_OK) {
        *entries = account.entries_count;
    }
    return status;
}

/* No account may be behind an entry: that would be an old page in place of a new one. */
static enum status sides_reached(struct scrub *scrub, const struct store_row *row)
{
    const struct decision *decision = &scrub->record.decision;
    for (uint32_t i = 0; i < decision->sides_count; i++) {
        const struct entry_side *side = &decision->sides[i];
        uint64_t entries = 0;
        const enum status status = entries_of(scrub, row, side->account, &entries);
        if (status != STATUS_OK) {
            return status;
        }
        if (entries < side->number) {
            return scrub_damage(scrub, TABLE_ACCOUNTS,
                                (struct text){.data = (const char *)&side->account, .size = 8},
                                "the account is behind a payment of its own");
        }
    }
    return STATUS_OK;
}

static enum status payment_led_to(struct scrub *scrub, const struct store_row *row, uint64_t seq)
{
    const struct entry_payment *payment = &scrub->command.payment;
    const bool posted = scrub->record.decision.code == CODE_OK;
    uint64_t found = 0;
    enum status status = store_payment_seq(scrub->txn, &payment->id, &found);
    status = referred(scrub, row, status, "its id is not in payment_ids");
    if (status == STATUS_OK && found != seq) {
        return wrong(scrub, row, "its id leads to another payment");
    }
    if (status == STATUS_OK && posted && payment->has_reference) {
        status = store_reference_seq(scrub->txn, payment->reference, &found);
        status = referred(scrub, row, status, "its reference is not in references");
        if (status == STATUS_OK && found != seq) {
            return wrong(scrub, row, "its reference leads to another payment");
        }
        scrub->references_early += seq <= scrub->begin.seq;
    }
    scrub->payments_early += seq <= scrub->begin.seq;
    return status == STATUS_OK && posted ? sides_reached(scrub, row) : status;
}

static enum status account_led_to(struct scrub *scrub, const struct store_row *row, uint64_t seq)
{
    uint64_t number = 0;
    struct account account;
    enum status status = store_account_number(scrub->txn, scrub->command.account_open.id, &number);
    if (status == STATUS_OK) {
        status = store_account(scrub->txn, number, &account);
    }
    status = referred(scrub, row, status, "the account that it opened is missing");
    if (status == STATUS_OK && account.seq != seq) {
        return wrong(scrub, row, "the account that it opened has another seq");
    }
    return status;
}

static enum status currency_led_to(struct scrub *scrub, const struct store_row *row, uint64_t seq)
{
    uint32_t number = 0;
    struct currency currency;
    enum status status =
        store_currency_number(scrub->txn, scrub->command.currency_create.code, &number);
    if (status == STATUS_OK) {
        status = store_currency(scrub->txn, number, &currency);
    }
    status = referred(scrub, row, status, "the currency that it created is missing");
    if (status == STATUS_OK && currency.seq != seq) {
        return wrong(scrub, row, "the currency that it created has another seq");
    }
    return status;
}

enum status scrub_payment(struct scrub *scrub, const struct store_row *row)
{
    uint64_t seq = 0;
    const enum status status = count_on(scrub, row, &seq);
    if (status != STATUS_OK) {
        return status;
    }
    if (record_read_full(row->value, seq, &scrub->record, &scrub->command) != STATUS_OK) {
        return wrong(scrub, row, "the record makes no sense");
    }
    const struct decision *decision = &scrub->record.decision;
    if (decision->kind == COMMAND_PAYMENT) {
        return payment_led_to(scrub, row, seq);
    }
    if (decision->code != CODE_OK) {
        return STATUS_OK;
    }
    return decision->kind == COMMAND_ACCOUNT_OPEN ? account_led_to(scrub, row, seq)
                                                  : currency_led_to(scrub, row, seq);
}

/* The seq of a payment that a row of payment_ids or references leads to. */
static enum status seq_of(struct scrub *scrub, const struct store_row *row, uint64_t *seq)
{
    const enum status status = number_of(scrub, row, seq);
    if (status != STATUS_OK) {
        return status;
    }
    if (*seq > scrub->now.seq) {
        return wrong(scrub, row, "it leads beyond the payments");
    }
    scrub->stage_early += *seq <= scrub->begin.seq;
    return STATUS_OK;
}

/* The payment that a row of payment_ids or references leads to, decoded. */
static enum status payment_of(struct scrub *scrub, const struct store_row *row)
{
    uint64_t seq = 0;
    struct text bytes = {0};
    enum status status = seq_of(scrub, row, &seq);
    if (status == STATUS_OK) {
        status = store_record_bytes(scrub->txn, seq, &bytes);
        status = referred(scrub, row, status, "the payment is missing");
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (record_read_full(bytes, seq, &scrub->record, &scrub->command) != STATUS_OK ||
        scrub->record.decision.kind != COMMAND_PAYMENT) {
        return wrong(scrub, row, "it leads to no payment");
    }
    return STATUS_OK;
}

/*
 * Within one moment the payment is not looked up, which would be half of the pass's time: the walk
 * through the payments found a row here for each of them, which leads back to it, and no two of
 * them share a row. As many rows as payments can then be no others; the end of the table compares
 * that. In pieces rows may have changed since that walk.
 */
enum status scrub_payment_id(struct scrub *scrub, const struct store_row *row)
{
    const bool at_once = scrub->mode == SCRUB_AT_ONCE;
    uint64_t seq = 0;
    const enum status status = at_once ? seq_of(scrub, row, &seq) : payment_of(scrub, row);
    if (status != STATUS_OK) {
        return status;
    }
    const struct uuid *id = &scrub->command.payment.id;
    const bool same = row->key.size == sizeof(id->bytes) &&
                      (at_once || memcmp(row->key.data, id->bytes, sizeof(id->bytes)) == 0);
    return same ? STATUS_OK : wrong(scrub, row, "the payment has another id");
}

enum status scrub_reference(struct scrub *scrub, const struct store_row *row)
{
    const enum status status = payment_of(scrub, row);
    if (status != STATUS_OK) {
        return status;
    }
    const struct entry_payment *payment = &scrub->command.payment;
    return scrub->record.decision.code == CODE_OK && payment->has_reference &&
                   text_equal(payment->reference, row->key)
               ? STATUS_OK
               : wrong(scrub, row, "the payment has another reference, or none");
}
