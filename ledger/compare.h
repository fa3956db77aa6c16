/*
 * Idempotency: is a request the same as the one that was recorded under its id, or account, or
 * code?
 *
 * The short form and one leg are the same. Accounts are compared by number where the record has
 * one, else by the text that was not found then. Leaving `currency` out is the same as giving the
 * accounts' own. Metadata is compared as bytes. A field on one side only differs.
 *
 * The order, in which the first difference is named: number of legs; then per leg debit, credit,
 * amount, currency; then valid_until, effective_at, reference, metadata.
 */
#ifndef LEDGER_COMPARE_H
#define LEDGER_COMPARE_H

#include "ledger/entry.h"
#include "ledger/view.h"

/* The first field that differs; FIELD_NONE: they are the same. */
struct difference {
    enum field field;
    uint32_t leg;
};

/*
 * request: from resolve_payment on the same view, currencies as given; seen: the recorded entry
 * form.
 */
struct difference compare_payment(struct view *view, const struct entry_payment *request,
                                  const struct entry_payment *seen);

/* request: from resolve_account_open. Order: currency, normal, overdraft. */
struct difference compare_account_open(const struct entry_account_open *request,
                                       const struct account *account);

struct difference compare_currency_create(const struct currency_create *request,
                                          const struct currency *currency);

#endif
