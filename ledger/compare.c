#include "ledger/compare.h"

#include "base/check.h"
#include "base/mutant.h"
#include "ledger/resolve.h"

static bool same_account(const struct entry_ref *request, const struct entry_ref *seen)
{
    if (seen->number != 0) {
        return request->number == seen->number;
    }
    return text_equal(request->text, seen->text);
}

static bool is_given(const struct entry_ref *ref)
{
    return ref->number != 0 || ref->text.size > 0;
}

static bool same_currency(struct view *view, const struct entry_leg *request,
                          const struct entry_leg *seen)
{
    const bool request_given = is_given(&request->currency);
    const bool seen_given = is_given(&seen->currency);
    if (request_given && seen_given) {
        return same_account(&request->currency, &seen->currency);
    }
    if (!request_given && !seen_given) {
        return true;
    }
    /* The accounts of both legs are the same here: those that differ were named before. */
    const uint64_t given = request_given ? request->currency.number : seen->currency.number;
    return given != 0 && given == resolve_own_currency(view, request);
}

static enum field compare_leg(struct view *view, const struct entry_leg *request,
                              const struct entry_leg *seen)
{
    if (!same_account(&request->debit, &seen->debit)) {
        return FIELD_DEBIT;
    }
    if (!same_account(&request->credit, &seen->credit)) {
        return FIELD_CREDIT;
    }
    if (request->amount != seen->amount) {
        return FIELD_AMOUNT;
    }
    if (!same_currency(view, request, seen)) {
        return FIELD_CURRENCY;
    }
    return FIELD_NONE;
}

static bool same_time(bool has_a, int64_t a, bool has_b, int64_t b)
{
    return has_a == has_b && (!has_a || a == b);
}

static bool same_text(bool has_a, struct text a, bool has_b, struct text b)
{
    return has_a == has_b && (!has_a || text_equal(a, b));
}

struct difference compare_payment(struct view *view, const struct entry_payment *request,
                                  const struct entry_payment *seen)
{
    assert(uuid_equal(&request->id, &seen->id));
    if (MUTANT("mismatch-ignored")) {
        return (struct difference){.field = FIELD_NONE};
    }
    if (request->legs_count != seen->legs_count) {
        return (struct difference){.field = FIELD_LEGS};
    }
    for (uint32_t leg = 0; leg < request->legs_count; leg++) {
        const enum field field = compare_leg(view, &request->legs[leg], &seen->legs[leg]);
        if (field != FIELD_NONE) {
            return (struct difference){.field = field, .leg = leg};
        }
    }
    if (!same_time(request->has_valid_until, request->valid_until_ns, seen->has_valid_until,
                   seen->valid_until_ns)) {
        return (struct difference){.field = FIELD_VALID_UNTIL};
    }
    if (!same_time(request->has_effective_at, request->effective_at_ns, seen->has_effective_at,
                   seen->effective_at_ns)) {
        return (struct difference){.field = FIELD_EFFECTIVE_AT};
    }
    if (!same_text(request->has_reference, request->reference, seen->has_reference,
                   seen->reference)) {
        return (struct difference){.field = FIELD_REFERENCE};
    }
    if (!same_text(request->has_metadata, request->metadata, seen->has_metadata, seen->metadata)) {
        return (struct difference){.field = FIELD_METADATA};
    }
    return (struct difference){.field = FIELD_NONE};
}

struct difference compare_account_open(const struct entry_account_open *request,
                                       const struct account *account)
{
    if (request->currency.number != account->currency) {
        return (struct difference){.field = FIELD_CURRENCY};
    }
    if (request->debit_normal != account->debit_normal) {
        return (struct difference){.field = FIELD_NORMAL};
    }
    const bool unlimited = account->overdraft_kind == OVERDRAFT_UNLIMITED;
    if ((request->overdraft_kind == OVERDRAFT_UNLIMITED) != unlimited ||
        (!unlimited && request->overdraft_limit != account->overdraft_limit)) {
        return (struct difference){.field = FIELD_OVERDRAFT};
    }
    return (struct difference){.field = FIELD_NONE};
}

struct difference compare_currency_create(const struct currency_create *request,
                                          const struct currency *currency)
{
    assert(text_equal(request->code, text_of(currency->code)));
    if (request->scale != currency->scale) {
        return (struct difference){.field = FIELD_SCALE};
    }
    return (struct difference){.field = FIELD_NONE};
}
