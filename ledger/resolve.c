#include "ledger/resolve.h"

#include "base/check.h"

static struct entry_ref account_ref(struct view *view, struct text id)
{
    struct entry_ref ref = {.text = id};
    uint64_t number = 0;
    if (view->functions->account_find(view, id, &number)) {
        ref.number = number;
    }
    return ref;
}

static struct entry_ref currency_ref(struct view *view, struct text code)
{
    struct entry_ref ref = {.text = code};
    uint32_t number = 0;
    if (code.size > 0 && view->functions->currency_find(view, code, &number)) {
        ref.number = number;
    }
    return ref;
}

void resolve_payment(struct view *view, const struct payment *payment,
                     struct entry_payment *resolved)
{
    assert(payment->legs_count > 0 && payment->legs_count <= LEGS_MAX);
    resolved->id = payment->id;
    resolved->short_form = payment->short_form;
    resolved->has_valid_until = payment->has_valid_until;
    resolved->has_effective_at = payment->has_effective_at;
    resolved->has_reference = payment->has_reference;
    resolved->has_metadata = payment->has_metadata;
    resolved->valid_until_ns = payment->valid_until_ns;
    resolved->effective_at_ns = payment->effective_at_ns;
    resolved->reference = payment->reference;
    resolved->metadata = payment->metadata;
    resolved->legs_count = payment->legs_count;
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        resolved->legs[i] =
            (struct entry_leg){.debit = account_ref(view, payment->legs[i].debit),
                               .credit = account_ref(view, payment->legs[i].credit),
                               .currency = currency_ref(view, payment->legs[i].currency),
                               .amount = payment->legs[i].amount};
    }
}

void resolve_account_open(struct view *view, const struct account_open *open,
                          struct entry_account_open *resolved)
{
    *resolved = (struct entry_account_open){.id = open->id,
                                            .currency = currency_ref(view, open->currency),
                                            .debit_normal = open->debit_normal,
                                            .overdraft_kind = open->overdraft_kind,
                                            .overdraft_limit = open->overdraft_limit};
}

uint32_t resolve_own_currency(struct view *view, const struct entry_leg *leg)
{
    struct account account;
    if (leg->debit.number == 0 || leg->credit.number == 0 ||
        !view->functions->account_get(view, leg->debit.number, &account)) {
        return 0;
    }
    const uint32_t currency = account.currency;
    if (!view->functions->account_get(view, leg->credit.number, &account)) {
        return 0;
    }
    return account.currency == currency ? currency : 0;
}

void resolve_drop_own_currencies(struct view *view, struct entry_payment *resolved)
{
    for (uint32_t i = 0; i < resolved->legs_count; i++) {
        struct entry_ref *currency = &resolved->legs[i].currency;
        if (currency->number != 0 &&
            currency->number == resolve_own_currency(view, &resolved->legs[i])) {
            *currency = (struct entry_ref){0};
        }
    }
}
