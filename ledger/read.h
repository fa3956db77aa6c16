/*
 * What the store holds, as clients see it: the answers to queries, and the outcomes of payments
 * that were decided before. All reads go through one transaction, so each answer is one state.
 */
#ifndef LEDGER_READ_H
#define LEDGER_READ_H

#include "ledger/outcome.h"
#include "ledger/query.h"
#include "ledger/store.h"

/*
 * Appends the answer to a query: its head, then its views. `position` is that of the transaction:
 * the applied one in the write transaction, the stored one in a read transaction. STATUS_INVALID
 * where the query is out of bounds, STATUS_CORRUPT, STATUS_IO; STATUS_NO_MEMORY where the answer
 * did not fit the buffer. After a failure the buffer is as it was.
 */
enum status MUST_CHECK query_run(struct store_txn *txn, const struct position *position,
                                 const struct query *query, struct buffer *answer);

/*
 * The recorded outcome of a payment, for a request that repeats it: replayed is true, rows carry
 * posted balances only. short_form is that of the request which is answered. Texts point into
 * LMDB's map: they are valid until the next write in a write transaction, else until its end.
 * STATUS_NOT_FOUND where no payment has the seq.
 */
enum status MUST_CHECK read_outcome(struct store_txn *txn, uint64_t seq, bool short_form,
                                    struct outcome *outcome);

/* A payment as payment.get shows it. Texts and statuses as above. */
enum status MUST_CHECK read_payment(struct store_txn *txn, uint64_t seq, struct payment_view *view);

/* Views of values in memory; their texts point into these. */
void view_of_account(const struct account *account, const struct currency *currency,
                     struct account_view *view);
void view_of_currency(const struct currency *currency, struct currency_view *view);

#endif
