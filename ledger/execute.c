/*
 * Decides, changes the view, records: in this order, and the same on every view.
 */
#include "ledger/execute.h"

#include "base/check.h"
#include "ledger/payment.h"

#include <string.h>

/* Sides stay as they are: only the first sides_count of them mean anything. */
static void decision_begin(struct decision *decision, const struct execution *execution,
                           uint64_t seq, const struct entry_command *command)
{
    assert(seq > 0);
    decision->code = CODE_OK;
    decision->seq = seq;
    decision->term = execution->term;
    decision->time_ns = execution->time_ns;
    decision->kind = command->kind;
    decision->field = FIELD_NONE;
    decision->leg = 0;
    decision->available = 0;
    decision->needed = 0;
    decision->sides_count = 0;
}

static enum code currency_create(struct view *view, const struct currency_create *create,
                                 struct decision *decision)
{
    uint32_t number = 0;
    if (view->functions->currency_find(view, create->code, &number)) {
        decision->field = FIELD_CODE;
        return CODE_ALREADY_EXISTS;
    }
    if (view->currencies_count >= CURRENCIES_MAX) {
        return CODE_TOO_MANY_CURRENCIES;
    }
    struct currency currency = {.number = view->currencies_count + 1,
                                .scale = create->scale,
                                .seq = decision->seq,
                                .term = decision->term,
                                .time_ns = decision->time_ns};
    assert(create->code.size < sizeof(currency.code));
    memcpy(currency.code, create->code.data, create->code.size);
    view->functions->currency_put(view, &currency);
    return CODE_OK;
}

static enum code account_open(struct view *view, const struct entry_account_open *open,
                              struct decision *decision)
{
    uint64_t number = 0;
    if (view->functions->account_find(view, open->id, &number)) {
        decision->field = FIELD_ID;
        return CODE_ALREADY_EXISTS;
    }
    struct currency currency;
    const uint32_t currency_number = (uint32_t)open->currency.number;
    if (open->currency.number == 0 || open->currency.number > CURRENCIES_MAX ||
        !view->functions->currency_get(view, currency_number, &currency)) {
        decision->field = FIELD_CURRENCY;
        return CODE_CURRENCY_NOT_FOUND;
    }
    struct account account = {.number = view->accounts_count + 1,
                              .id_size = (uint8_t)open->id.size,
                              .debit_normal = open->debit_normal,
                              .overdraft_kind = (uint8_t)open->overdraft_kind,
                              .currency = currency_number,
                              .overdraft_limit = open->overdraft_limit,
                              .seq = decision->seq,
                              .term = decision->term,
                              .time_ns = decision->time_ns};
    assert(open->id.size > 0 && open->id.size < sizeof(account.id));
    assert(open->overdraft_limit < AMOUNT_LIMIT);
    memcpy(account.id, open->id.data, open->id.size);
    view->functions->account_put(view, &account);
    currency.accounts_count++;
    view->functions->currency_put(view, &currency);
    return CODE_OK;
}

void ledger_record(struct view *view, const struct entry_command *command, struct text form,
                   const struct decision *decision)
{
    assert(decision->kind == command->kind);
    const struct uuid *id = command->kind == COMMAND_PAYMENT ? &command->payment.id : NULL;
    view->functions->record_put(view, id, form, decision);
}

void ledger_execute(struct view *view, const struct execution *execution, uint64_t seq,
                    const struct entry_command *command, struct text form,
                    struct decision *decision)
{
    decision_begin(decision, execution, seq, command);
    switch (command->kind) {
    case COMMAND_CURRENCY_CREATE:
        decision->code = currency_create(view, &command->currency_create, decision);
        break;
    case COMMAND_ACCOUNT_OPEN:
        decision->code = account_open(view, &command->account_open, decision);
        break;
    case COMMAND_PAYMENT:
        payment_execute(view, &command->payment, decision);
        break;
    default:
        assert(false); /* no such kind: entry_command_read refuses it */
    }
    ledger_record(view, command, form, decision);
}

void ledger_refuse(struct view *view, const struct execution *execution, uint64_t seq,
                   const struct entry_command *command, struct text form, enum code code,
                   struct decision *decision)
{
    assert(code != CODE_OK);
    decision_begin(decision, execution, seq, command);
    decision->code = code;
    ledger_record(view, command, form, decision);
}
