/*
 * Has it been seen before? What was is answered from its record and takes no seq.
 */
#include "ledger/internal.h"

#include "base/check.h"
#include "ledger/compare.h"
#include "ledger/resolve.h"

static void fix(struct item *item, enum code code, struct difference difference)
{
    item->disposition = ITEM_FIXED;
    item->code = code;
    item->field = difference.field;
    item->leg = difference.leg;
}

static void classify_currency(struct view *view, const struct currency_create *create,
                              struct item *item)
{
    uint32_t number = 0;
    struct currency currency;
    item->subject = create->code;
    if (!view->functions->currency_find(view, create->code, &number)) {
        item->disposition = ITEM_IN_ENTRY;
        if (view->currencies_count >= CURRENCIES_MAX) {
            fix(item, CODE_TOO_MANY_CURRENCIES, (struct difference){.field = FIELD_CODE});
        }
        return;
    }
    if (!view->functions->currency_get(view, number, &currency)) {
        return; /* an operating error: the view remembers it */
    }
    const struct difference difference = compare_currency_create(create, &currency);
    if (difference.field != FIELD_NONE) {
        fix(item, CODE_ALREADY_EXISTS, difference);
        return;
    }
    item->disposition = ITEM_REPLAY;
    item->replay = number;
}

static void classify_account(struct view *view, const struct account_open *open, struct item *item,
                             struct entry_account_open *resolved)
{
    uint64_t number = 0;
    struct account account;
    item->subject = open->id;
    resolve_account_open(view, open, resolved);
    if (!view->functions->account_find(view, open->id, &number)) {
        item->disposition = ITEM_IN_ENTRY;
        if (resolved->currency.number == 0) {
            fix(item, CODE_CURRENCY_NOT_FOUND, (struct difference){.field = FIELD_CURRENCY});
            item->subject = open->currency;
        }
        return;
    }
    if (!view->functions->account_get(view, number, &account)) {
        return; /* as above */
    }
    const struct difference difference = compare_account_open(resolved, &account);
    if (difference.field != FIELD_NONE) {
        fix(item, CODE_ALREADY_EXISTS, difference);
        return;
    }
    item->disposition = ITEM_REPLAY;
    item->replay = number;
}

static void classify_payment(struct view *view, const struct payment *payment, struct item *item,
                             struct entry_payment *resolved, struct payment_seen *seen)
{
    item->id = payment->id;
    item->short_form = payment->short_form;
    resolve_payment(view, payment, resolved);
    if (!view->functions->payment_find(view, &payment->id, seen)) {
        item->disposition = ITEM_IN_ENTRY;
        resolve_drop_own_currencies(view, resolved);
        return;
    }
    struct entry_command recorded;
    struct text form;
    struct reader reader = reader_of(seen->command.data, seen->command.size);
    if (entry_command_read(&reader, &recorded, &form) != STATUS_OK ||
        recorded.kind != COMMAND_PAYMENT) {
        view->error = view->error == STATUS_OK ? STATUS_CORRUPT : view->error;
        return;
    }
    const struct difference difference = compare_payment(view, resolved, &recorded.payment);
    if (difference.field != FIELD_NONE) {
        fix(item, CODE_IDEMPOTENCY_MISMATCH, difference);
        return;
    }
    item->disposition = ITEM_REPLAY;
    item->replay = seen->seq;
}

void classify(struct view *view, const struct command *command, struct item *item,
              struct entry_command *entry_command, struct payment_seen *seen)
{
    item->kind = command->kind;
    entry_command->kind = command->kind;
    switch (command->kind) {
    case COMMAND_CURRENCY_CREATE:
        entry_command->currency_create = command->currency_create;
        classify_currency(view, &command->currency_create, item);
        break;
    case COMMAND_ACCOUNT_OPEN:
        classify_account(view, &command->account_open, item, &entry_command->account_open);
        break;
    case COMMAND_PAYMENT:
        classify_payment(view, &command->payment, item, &entry_command->payment, seen);
        break;
    default:
        assert(false); /* no such kind: command_read refuses it */
    }
}
