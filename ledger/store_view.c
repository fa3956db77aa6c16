/*
 * The view of the write transaction for ledger_execute. The first operating error stays in
 * view->error; from then on every function answers "absent" and writes nothing.
 */
#include "ledger/store_internal.h"

#include "base/check.h"
#include "base/mutant.h"
#include "ledger/record.h"
#include "ledger/row.h"

#include <string.h>

static struct store_view *store_view_of(struct view *view)
{
    return CONTAINER_OF(view, struct store_view, view);
}

/* True for success; absence is false without being an error. */
static bool succeeded(struct view *view, enum status status)
{
    if (status == STATUS_OK) {
        return true;
    }
    if (status != STATUS_NOT_FOUND && view->error == STATUS_OK) {
        view->error = status;
    }
    return false;
}

/* A row that must be there, because a number or an id points at it. */
static bool referred(struct view *view, enum table table, enum status status)
{
    if (status == STATUS_NOT_FOUND) {
        status = store_found_damage(store_view_of(view)->txn, table, TEXT(""),
                                    "a row that another one leads to is missing");
    }
    return succeeded(view, status);
}

static bool view_account_find(struct view *view, struct text id, uint64_t *number)
{
    return view->error == STATUS_OK &&
           succeeded(view, store_account_number(store_view_of(view)->txn, id, number));
}

static bool view_account_get(struct view *view, uint64_t number, struct account *account)
{
    if (view->error != STATUS_OK) {
        return false;
    }
    const enum status status = store_account(store_view_of(view)->txn, number, account);
    return number >= 1 && number <= view->accounts_count ? referred(view, TABLE_ACCOUNTS, status)
                                                         : succeeded(view, status);
}

static void view_account_put(struct view *view, const struct account *account)
{
    if (view->error != STATUS_OK) {
        return;
    }
    assert(account->number >= 1 && account->number <= view->accounts_count + 1);
    struct store_txn *txn = store_view_of(view)->txn;
    const bool is_new = account->number == view->accounts_count + 1;
    if (succeeded(view, store_account_put(txn, account, is_new)) && is_new) {
        view->accounts_count++;
    }
}

static bool view_currency_find(struct view *view, struct text code, uint32_t *number)
{
    return view->error == STATUS_OK &&
           succeeded(view, store_currency_number(store_view_of(view)->txn, code, number));
}

static bool view_currency_get(struct view *view, uint32_t number, struct currency *currency)
{
    if (view->error != STATUS_OK) {
        return false;
    }
    const enum status status = store_currency(store_view_of(view)->txn, number, currency);
    return number >= 1 && number <= view->currencies_count
               ? referred(view, TABLE_CURRENCIES, status)
               : succeeded(view, status);
}

static void view_currency_put(struct view *view, const struct currency *currency)
{
    if (view->error != STATUS_OK) {
        return;
    }
    assert(currency->number >= 1 && currency->number <= view->currencies_count + 1);
    struct store_txn *txn = store_view_of(view)->txn;
    const bool is_new = currency->number == view->currencies_count + 1;
    if (succeeded(view, store_currency_put(txn, currency, is_new)) && is_new) {
        view->currencies_count++;
    }
}

/* The mutant "ids-forgotten" remembers payment ids only while the process runs. */
static uint64_t mutant_opened_seq = UINT64_MAX;

static bool view_payment_find(struct view *view, const struct uuid *id, struct payment_seen *seen)
{
    if (view->error != STATUS_OK) {
        return false;
    }
    struct store_txn *txn = store_view_of(view)->txn;
    uint64_t seq;
    if (!succeeded(view, store_payment_seq(txn, id, &seq)) ||
        (MUTANT("ids-forgotten") && seq <= mutant_opened_seq)) {
        return false;
    }
    struct text bytes = {0};
    if (!referred(view, TABLE_PAYMENTS, store_record_bytes(txn, seq, &bytes))) {
        return false;
    }
    struct reader reader = reader_of(bytes.data, bytes.size);
    struct decision decision;
    struct text form;
    if (!record_head_read(&reader, seq, &decision, &form) || decision.kind != COMMAND_PAYMENT) {
        view->error = STATUS_CORRUPT;
        return false;
    }
    *seen = (struct payment_seen){.seq = seq, .code = decision.code, .command = form};
    return true;
}

static void view_record_put(struct view *view, const struct uuid *id, struct text command,
                            const struct decision *decision)
{
    if (view->error != STATUS_OK) {
        return;
    }
    if (MUTANT("payments-dropped") && decision->seq % 1000 == 0) {
        return;
    }
    struct store_view *store_view = store_view_of(view);
    struct buffer *record = &store_view->record;
    buffer_clear(record);
    record_write(record, id, command, decision);
    if (store_view->records != NULL) {
        write_bytes(store_view->records, record->data, record->size);
    }
    if (record->failed || (store_view->records != NULL && store_view->records->failed)) {
        view->error = STATUS_NO_MEMORY;
        return;
    }
    const struct text value = {.data = (const char *)record->data, .size = record->size};
    if (!succeeded(view, store_put(store_view->txn, TABLE_PAYMENTS,
                                   store_number_key(&decision->seq), value, MDB_APPEND)) ||
        decision->kind != COMMAND_PAYMENT) {
        return;
    }
    const struct text key = {.data = (const char *)id->bytes, .size = sizeof(id->bytes)};
    (void)succeeded(view,
                    store_put_number(store_view->txn, TABLE_PAYMENT_IDS, store_text_value(key),
                                     decision->seq, MUTANT("ids-forgotten") ? 0 : MDB_NOOVERWRITE));
}

static bool view_reference_find(struct view *view, struct text reference, uint64_t *seq)
{
    return view->error == STATUS_OK &&
           succeeded(view, store_reference_seq(store_view_of(view)->txn, reference, seq));
}

static void view_reference_put(struct view *view, struct text reference, uint64_t seq)
{
    if (view->error == STATUS_OK) {
        (void)succeeded(view, store_put_number(store_view_of(view)->txn, TABLE_REFERENCES,
                                               store_text_value(reference), seq, MDB_NOOVERWRITE));
    }
}

static const struct view_functions store_view_functions = {
    .account_find = view_account_find,
    .account_get = view_account_get,
    .account_put = view_account_put,
    .currency_find = view_currency_find,
    .currency_get = view_currency_get,
    .currency_put = view_currency_put,
    .payment_find = view_payment_find,
    .record_put = view_record_put,
    .reference_find = view_reference_find,
    .reference_put = view_reference_put,
};

void store_view_init(struct store_view *view, struct store_txn *txn,
                     const struct position *position, struct buffer *records)
{
    if (MUTANT("ids-forgotten") && mutant_opened_seq == UINT64_MAX) {
        mutant_opened_seq = position->seq;
    }
    assert(view != NULL && txn != NULL && position != NULL);
    assert(txn == &txn->store->write);
    *view = (struct store_view){
        .view = {.functions = &store_view_functions,
                 .error = STATUS_OK,
                 .accounts_count = position->accounts_count,
                 .currencies_count = position->currencies_count},
        .txn = txn,
        .records = records,
    };
    buffer_init(&view->record, RECORD_BYTES_MAX);
}

void store_view_deinit(struct store_view *view)
{
    assert(view != NULL);
    buffer_deinit(&view->record);
}
