/*
 * From the request form to the entry form: account ids and currency codes become numbers, as one
 * view knows them. References keep the text beside the number, for comparisons; the codec writes
 * the number alone where there is one. Texts are borrowed from the request.
 */
#ifndef LEDGER_RESOLVE_H
#define LEDGER_RESOLVE_H

#include "ledger/entry.h"
#include "ledger/view.h"

/* The currencies are as the client gave them, also where they are the accounts' own. */
void resolve_payment(struct view *view, const struct payment *payment,
                     struct entry_payment *resolved);

void resolve_account_open(struct view *view, const struct account_open *open,
                          struct entry_account_open *resolved);

/* The currency that both accounts of a resolved leg have; 0 where there is no such one. */
uint32_t resolve_own_currency(struct view *view, const struct entry_leg *leg);

/* Leaves out each currency that is the accounts' own: the form that the log keeps. */
void resolve_drop_own_currencies(struct view *view, struct entry_payment *resolved);

#endif
