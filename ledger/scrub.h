/*
 * The scrub: does the whole ledger say what it must say? Checksums and proofs of absence notice a
 * flipped bit in the row that is read; they can not see a page that hides rows, or an old page in
 * place of a new one, whose rows are all right by themselves. The scrub walks every table and
 * compares what must agree:
 *
 *   counts       of rows with those that apply keeps and those of LMDB
 *   currencies   without gaps, codes lead back to them, their books balance
 *   accounts     without gaps, ids lead back to them, the newest entry of each is in the payment
 *                that it names, with this balance; their sums are the currencies' totals
 *   digests      the newest is the position's
 *   payments     without gaps up to the position, ids and references lead back to them, no account
 *                is behind an entry of theirs
 *
 * A pass may be cut into pieces with a read transaction each, while payments go on: only rows that
 * were there at its beginning are counted then. Any thread; one at a time.
 */
#ifndef LEDGER_SCRUB_H
#define LEDGER_SCRUB_H

#include "ledger/ledger.h"

struct scrub;

enum scrub_mode {
    SCRUB_AT_ONCE,  /* one read transaction from the beginning to the end, over all steps */
    SCRUB_IN_PIECES /* one for each step; totals are compared where SCRUB_TOTALS_ACCOUNTS_MAX lets
                     */
};

/* STATUS_NO_MEMORY. The ledger must outlive it. */
enum status MUST_CHECK scrub_open(struct scrub **scrub, struct ledger *ledger,
                                  enum scrub_mode mode);
/* NULL is fine. */
void scrub_close(struct scrub *scrub);

/*
 * Checks at most rows_max more rows; in pieces, where totals are compared, all accounts at least.
 * *done: this was the end of a pass; the next step begins another.
 * STATUS_CORRUPT: damage, which ledger_damage names; STATUS_IO, STATUS_NO_MEMORY, STATUS_LIMIT:
 * nothing can be said. After a failure only scrub_close may follow.
 */
enum status MUST_CHECK scrub_step(struct scrub *scrub, uint32_t rows_max, bool *done);

/* Rows checked in the present pass, and how many there are, as of its beginning. */
uint64_t scrub_rows_checked(const struct scrub *scrub);
uint64_t scrub_rows_all(const struct scrub *scrub);
/* The table that is walked. */
const char *scrub_table(const struct scrub *scrub);

/* A whole pass at once; the position that was checked. */
enum status MUST_CHECK scrub_all(struct ledger *ledger, struct position *position);

#endif
