/*
 * The rules of a payment: checks over all legs, then the posting (ledger/execute.h says the order).
 */
#ifndef LEDGER_PAYMENT_H
#define LEDGER_PAYMENT_H

#include "ledger/entry.h"
#include "ledger/execute.h"
#include "ledger/view.h"

/*
 * Judges a payment whose decision has seq, term, time and kind. Fills in code and detail, and where
 * it is CODE_OK, the sides, and writes accounts, currencies and reference to the view.
 */
void payment_execute(struct view *view, const struct entry_payment *payment,
                     struct decision *decision);

#endif
