/*
 * Records become outcomes and views: numbers become names again, and the balances that each entry
 * carries become the balances after the whole payment.
 */
#include "ledger/read.h"

#include "base/check.h"
#include "ledger/record.h"

/* A number that the store itself handed out must lead somewhere. */
static enum status referred(enum status status)
{
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

void view_of_account(const struct account *account, const struct currency *currency,
                     struct account_view *view)
{
    assert(account != NULL && currency != NULL && view != NULL);
    assert(account->currency == currency->number);
    const bool unlimited = account->overdraft_kind == OVERDRAFT_UNLIMITED;
    *view = (struct account_view){
        .id = {.data = account->id, .size = account->id_size},
        .currency = text_of(currency->code),
        .scale = currency->scale,
        .debit_normal = account->debit_normal,
        .overdraft_kind = unlimited ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT,
        .overdraft_limit = unlimited ? 0 : account->overdraft_limit,
        .posted = account_posted(account),
        .held = account_held(account),
        .available = unlimited ? 0 : account_available(account),
        .debits_posted = account->debits_posted,
        .credits_posted = account->credits_posted,
        .debits_held = account->debits_held,
        .credits_held = account->credits_held,
        .entries = account->entries_count,
        .seq = account->seq,
        .term = account->term,
        .time_ns = account->time_ns,
    };
}

void view_of_currency(const struct currency *currency, struct currency_view *view)
{
    assert(currency != NULL && view != NULL);
    *view = (struct currency_view){
        .code = text_of(currency->code),
        .scale = currency->scale,
        .seq = currency->seq,
        .term = currency->term,
        .time_ns = currency->time_ns,
        .debits_posted = currency->debits_posted,
        .credits_posted = currency->credits_posted,
        .debits_held = currency->debits_held,
        .credits_held = currency->credits_held,
        .accounts_count = currency->accounts_count,
    };
}

/* The account's id; for one that was named by text, that text, and currency 0. */
static enum status account_name(struct store_txn *txn, const struct entry_ref *ref, struct text *id,
                                uint32_t *currency)
{
    if (ref->number == 0) {
        *id = ref->text;
        *currency = 0;
        return STATUS_OK;
    }
    return referred(store_account_id(txn, ref->number, id, currency));
}

/* The code that was asked for; where none was, that of the debit account. */
static enum status currency_name(struct store_txn *txn, const struct entry_ref *ref,
                                 uint32_t debit_currency, struct text *code)
{
    const uint64_t number = ref->number != 0      ? ref->number
                            : ref->text.size == 0 ? debit_currency
                                                  : 0;
    if (number == 0) {
        *code = ref->text;
        return STATUS_OK;
    }
    return referred(store_currency_code(txn, (uint32_t)number, code));
}

static enum status leg_names(struct store_txn *txn, const struct entry_leg *leg,
                             struct payment_view_leg *view)
{
    uint32_t debit_currency = 0;
    uint32_t credit_currency = 0;
    enum status status = account_name(txn, &leg->debit, &view->debit, &debit_currency);
    if (status == STATUS_OK) {
        status = account_name(txn, &leg->credit, &view->credit, &credit_currency);
    }
    if (status == STATUS_OK) {
        status = currency_name(txn, &leg->currency, debit_currency, &view->currency);
    }
    view->amount = leg->amount;
    return status;
}

/*
 * The balance of an account after the whole payment is that after its last entry in it. Sides come
 * in the order in which they were posted, so later ones overwrite earlier ones.
 */
static void rows_fill(const struct decision *decision, const struct payment_view *view,
                      struct outcome *outcome)
{
    uint64_t accounts[OUTCOME_ROWS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < decision->sides_count; i++) {
        const struct entry_side *side = &decision->sides[i];
        uint32_t row = 0;
        while (row < count && accounts[row] != side->account) {
            row++;
        }
        if (row == count) {
            const struct payment_view_leg *leg = &view->legs[i / 2];
            accounts[row] = side->account;
            outcome->rows[row] =
                (struct outcome_row){.account = i % 2 == 0 ? leg->debit : leg->credit};
            count++;
        }
        outcome->rows[row].posted = side->balance_after;
    }
    outcome->rows_count = count;
}

/* The account, currency or reference that a refusal is about. */
static struct text subject_of(const struct decision *decision, const struct payment_view *view)
{
    assert(decision->leg < view->legs_count);
    const struct payment_view_leg *leg = &view->legs[decision->leg];
    if (decision->field == FIELD_DEBIT) {
        return leg->debit;
    }
    if (decision->field == FIELD_CREDIT) {
        return leg->credit;
    }
    if (decision->field == FIELD_CURRENCY) {
        return leg->currency;
    }
    return decision->field == FIELD_REFERENCE ? view->reference : TEXT("");
}

static void outcome_fill(const struct record *record, const struct payment_view *view,
                         bool short_form, struct outcome *outcome)
{
    const struct decision *decision = &record->decision;
    outcome->code = decision->code;
    outcome->kind = decision->kind;
    outcome->replayed = false;
    outcome->short_form = short_form;
    outcome->seq = decision->seq;
    outcome->term = decision->term;
    outcome->time_ns = decision->time_ns;
    outcome->id = record->id;
    outcome->field = decision->field;
    outcome->leg = decision->leg;
    outcome->subject = subject_of(decision, view);
    outcome->available = decision->available;
    outcome->needed = decision->needed;
    outcome->currency = TEXT("");
    outcome->wanted = TEXT("");
    rows_fill(decision, view, outcome);
}

/*
 * Which account is in which currency: the first of the leg that is not in the one asked for, or,
 * where none was, the credit account, that is not in the debit account's. An account never changes
 * its currency: a replay says the same.
 */
static enum status mismatch_fill(struct store_txn *txn, const struct entry_leg *leg,
                                 const struct payment_view_leg *view, struct outcome *outcome)
{
    struct text id;
    uint32_t debit = 0;
    uint32_t credit = 0;
    enum status status = account_name(txn, &leg->debit, &id, &debit);
    if (status == STATUS_OK) {
        status = account_name(txn, &leg->credit, &id, &credit);
    }
    if (status != STATUS_OK) {
        return status;
    }
    const bool asked = leg->currency.number != 0 || leg->currency.text.size > 0;
    const bool is_debit = asked && debit != leg->currency.number;
    outcome->subject = is_debit ? view->debit : view->credit;
    outcome->wanted = view->currency;
    return referred(store_currency_code(txn, is_debit ? debit : credit, &outcome->currency));
}

static enum status payment_fill(struct store_txn *txn, const struct record *record,
                                const struct entry_payment *payment, struct payment_view *view)
{
    view->has_valid_until = payment->has_valid_until;
    view->has_effective_at = payment->has_effective_at;
    view->has_reference = payment->has_reference;
    view->has_metadata = payment->has_metadata;
    view->valid_until_ns = payment->valid_until_ns;
    view->effective_at_ns = payment->effective_at_ns;
    view->reference = payment->reference;
    view->metadata = payment->metadata;
    view->legs_count = payment->legs_count;
    const struct decision *decision = &record->decision;
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        struct payment_view_leg *leg = &view->legs[i];
        const enum status status = leg_names(txn, &payment->legs[i], leg);
        if (status != STATUS_OK) {
            return status;
        }
        leg->has_entries = decision->sides_count > 0;
        if (leg->has_entries) {
            leg->debit_balance = decision->sides[2 * i].balance_after;
            leg->debit_entry = decision->sides[2 * i].number;
            leg->credit_balance = decision->sides[2 * i + 1].balance_after;
            leg->credit_entry = decision->sides[2 * i + 1].number;
        }
    }
    outcome_fill(record, view, payment->short_form, &view->outcome);
    if (decision->code == CODE_INSUFFICIENT_FUNDS) {
        view->outcome.currency = view->legs[decision->leg].currency;
    }
    if (decision->code == CODE_CURRENCY_MISMATCH) {
        return mismatch_fill(txn, &payment->legs[decision->leg], &view->legs[decision->leg],
                             &view->outcome);
    }
    return STATUS_OK;
}

/* A payment's record, decoded; STATUS_NOT_FOUND also where the seq is another command's. */
static enum status payment_record(struct store_txn *txn, uint64_t seq, struct record *record,
                                  struct entry_command *command)
{
    struct text bytes = {0};
    const enum status status = store_record_bytes(txn, seq, &bytes);
    if (status != STATUS_OK) {
        return status;
    }
    if (record_read_full(bytes, seq, record, command) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    return command->kind == COMMAND_PAYMENT ? STATUS_OK : STATUS_NOT_FOUND;
}

enum status read_payment(struct store_txn *txn, uint64_t seq, struct payment_view *view)
{
    assert(txn != NULL && view != NULL && seq > 0);
    struct record record;
    struct entry_command command;
    const enum status status = payment_record(txn, seq, &record, &command);
    return status == STATUS_OK ? payment_fill(txn, &record, &command.payment, view) : status;
}

enum status read_outcome(struct store_txn *txn, uint64_t seq, bool short_form,
                         struct outcome *outcome)
{
    assert(outcome != NULL);
    struct payment_view view;
    const enum status status = read_payment(txn, seq, &view);
    if (status != STATUS_OK) {
        return status;
    }
    *outcome = view.outcome;
    outcome->short_form = short_form;
    outcome->replayed = true;
    return STATUS_OK;
}
