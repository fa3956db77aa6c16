/*
 * Questions to the ledger. Each reads one consistent state and says its seq.
 * Point reads run on the ledger thread inside the open transaction; scans run on any thread, in a
 * read transaction of their own (ledger_scan).
 */
#ifndef LEDGER_QUERY_H
#define LEDGER_QUERY_H

#include "ledger/types.h"

enum query_kind {
    QUERY_ACCOUNT_GET,
    QUERY_PAYMENT_GET,
    QUERY_TOTALS,
    QUERY_INFO,
    QUERY_DIGEST,
    QUERY_ACCOUNT_LIST, /* scans from here on */
    QUERY_CURRENCY_LIST,
    QUERY_PAYMENT_LIST
};

struct query {
    enum query_kind kind;
    char account[ACCOUNT_ID_BYTES_MAX + 1]; /* ACCOUNT_GET, PAYMENT_LIST */
    uint8_t account_size;
    struct uuid id;  /* PAYMENT_GET */
    uint32_t limit;  /* lists: 1..LIST_ITEMS_MAX; an answer of many bytes ends earlier */
    uint64_t cursor; /* lists: 0 from the start; else what an earlier answer gave */
};

bool query_is_scan(const struct query *query);

/*
 * The head of every answer, then `count` views:
 *   ACCOUNT_GET, ACCOUNT_LIST: account_view; PAYMENT_GET, PAYMENT_LIST: payment_view;
 *   TOTALS, CURRENCY_LIST: currency_view; INFO, DIGEST: none (the head says it all).
 */
struct answer_head {
    enum code
        code;     /* CODE_OK, NOT_FOUND, ACCOUNT_NOT_FOUND -> NOT_FOUND for reads, CURSOR_INVALID */
    uint64_t seq; /* of the state that was read */
    uint64_t term;   /* of the newest entry in it */
    int64_t time_ns; /* log time of that state */
    uint64_t cursor; /* lists: where to go on; 0 at the end */
    uint64_t accounts_count, payments_count, currencies_count;
    struct digest digest;
    uint32_t count;
};

enum { ANSWER_HEAD_BYTES = 96 };

/* Of fixed size, so that it can be overwritten once the views behind it are counted. */
void answer_head_put(uint8_t at[ANSWER_HEAD_BYTES], const struct answer_head *head);
void answer_head_write(struct buffer *out, const struct answer_head *head);
/* STATUS_INVALID on damage. */
enum status MUST_CHECK answer_head_read(struct reader *reader, struct answer_head *head);

#endif
