/*
 * Queries. The head is written first and again at the end, when the views behind it are counted.
 */
#include "ledger/read.h"

#include "base/check.h"
#include "ledger/record.h"

/* A query under way. */
struct run {
    struct store_txn *txn;
    const struct query *query;
    struct buffer *answer;
    size_t begin; /* of the answer in the buffer */
    struct answer_head head;
};

static enum status referred(enum status status)
{
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

static bool list_full(const struct run *run)
{
    return run->head.count >= run->query->limit ||
           run->answer->size - run->begin >= LIST_BYTES_MAX || run->answer->failed;
}

static enum status account_add(struct run *run, uint64_t number)
{
    struct account account;
    struct currency currency;
    enum status status = referred(store_account(run->txn, number, &account));
    if (status == STATUS_OK) {
        status = referred(store_currency(run->txn, account.currency, &currency));
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct account_view view;
    view_of_account(&account, &currency, &view);
    account_view_write(run->answer, &view);
    run->head.count++;
    return STATUS_OK;
}

static enum status currency_add(struct run *run, uint32_t number)
{
    struct currency currency;
    const enum status status = referred(store_currency(run->txn, number, &currency));
    if (status != STATUS_OK) {
        return status;
    }
    struct currency_view view;
    view_of_currency(&currency, &view);
    currency_view_write(run->answer, &view);
    run->head.count++;
    return STATUS_OK;
}

static enum status payment_add(struct run *run, uint64_t seq)
{
    struct payment_view view;
    const enum status status = referred(read_payment(run->txn, seq, &view));
    if (status != STATUS_OK) {
        return status;
    }
    payment_view_write(run->answer, &view);
    run->head.count++;
    return STATUS_OK;
}

/* The number of the account that the query names; 0 where there is none. */
static enum status query_account(const struct run *run, uint64_t *number)
{
    const struct text id = {.data = run->query->account, .size = run->query->account_size};
    if (!account_id_valid(id)) {
        return STATUS_INVALID;
    }
    const enum status status = store_account_number(run->txn, id, number);
    if (status == STATUS_NOT_FOUND) {
        *number = 0;
        return STATUS_OK;
    }
    return status;
}

static enum status run_account_get(struct run *run)
{
    uint64_t number;
    const enum status status = query_account(run, &number);
    if (status != STATUS_OK) {
        return status;
    }
    if (number == 0) {
        run->head.code = CODE_NOT_FOUND;
        return STATUS_OK;
    }
    return account_add(run, number);
}

static enum status run_payment_get(struct run *run)
{
    uint64_t seq;
    const enum status status = store_payment_seq(run->txn, &run->query->id, &seq);
    if (status == STATUS_NOT_FOUND) {
        run->head.code = CODE_NOT_FOUND;
        return STATUS_OK;
    }
    return status == STATUS_OK ? payment_add(run, seq) : status;
}

static enum status run_totals(struct run *run)
{
    for (uint32_t number = 1; number <= run->head.currencies_count; number++) {
        const enum status status = currency_add(run, number);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* Accounts and currencies are listed by number, which is the order of their opening. */
static enum status run_number_list(struct run *run, uint64_t count,
                                   enum status (*add)(struct run *run, uint64_t number))
{
    uint64_t number = run->query->cursor;
    if (number > count) {
        run->head.code = CODE_CURSOR_INVALID;
        return STATUS_OK;
    }
    while (number < count && !list_full(run)) {
        const enum status status = add(run, number + 1);
        if (status != STATUS_OK) {
            return status;
        }
        number++;
    }
    run->head.cursor = number < count ? number : 0;
    return STATUS_OK;
}

static enum status currency_list_add(struct run *run, uint64_t number)
{
    assert(number <= CURRENCIES_MAX);
    return currency_add(run, (uint32_t)number);
}

/*
 * The seq of the payment before this one in an account's history; 0: it was the first. An account
 * may take part several times: the payment is left through its entry with the smallest number.
 * STATUS_NOT_FOUND where the payment does not belong to the account.
 */
static enum status history_previous(struct store_txn *txn, uint64_t seq, uint64_t account,
                                    uint64_t *previous_seq)
{
    struct record record;
    const enum status status = store_record(txn, seq, &record);
    if (status != STATUS_OK) {
        return status;
    }
    const struct entry_side *oldest = NULL;
    for (uint32_t i = 0; i < record.decision.sides_count; i++) {
        const struct entry_side *side = &record.decision.sides[i];
        if (side->account == account && (oldest == NULL || side->number < oldest->number)) {
            oldest = side;
        }
    }
    if (oldest == NULL) {
        return STATUS_NOT_FOUND;
    }
    /* The walk always goes back in time, or it would not end in a damaged file. */
    if (oldest->previous_seq >= seq) {
        return STATUS_CORRUPT;
    }
    *previous_seq = oldest->previous_seq;
    return STATUS_OK;
}

static enum status run_payment_list(struct run *run)
{
    uint64_t number;
    struct account account;
    enum status status = query_account(run, &number);
    if (status == STATUS_OK && number == 0) {
        run->head.code = CODE_NOT_FOUND;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = referred(store_account(run->txn, number, &account));
    }
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t listed = run->query->cursor;
    uint64_t next = account.history_seq[0];
    if (listed != 0) {
        status = history_previous(run->txn, listed, number, &next);
        if (status == STATUS_NOT_FOUND) {
            run->head.code = CODE_CURSOR_INVALID;
            return STATUS_OK;
        }
    }
    while (status == STATUS_OK && next != 0 && !list_full(run)) {
        listed = next;
        status = payment_add(run, listed);
        if (status == STATUS_OK) {
            status = referred(history_previous(run->txn, listed, number, &next));
        }
    }
    run->head.cursor = next != 0 ? listed : 0;
    return status;
}

static enum status run_kind(struct run *run)
{
    switch (run->query->kind) {
    case QUERY_ACCOUNT_GET:
        return run_account_get(run);
    case QUERY_PAYMENT_GET:
        return run_payment_get(run);
    case QUERY_TOTALS:
        return run_totals(run);
    case QUERY_INFO:
    case QUERY_DIGEST:
        return STATUS_OK; /* the head says it all */
    case QUERY_ACCOUNT_LIST:
        return run_number_list(run, run->head.accounts_count, account_add);
    case QUERY_CURRENCY_LIST:
        return run_number_list(run, run->head.currencies_count, currency_list_add);
    case QUERY_PAYMENT_LIST:
        return run_payment_list(run);
    }
    return STATUS_INVALID;
}

enum status query_run(struct store_txn *txn, const struct position *position,
                      const struct query *query, struct buffer *answer)
{
    assert(txn != NULL && position != NULL);
    assert(query != NULL && answer != NULL);
    if (query_is_scan(query) && (query->limit < 1 || query->limit > LIST_ITEMS_MAX)) {
        return STATUS_INVALID;
    }
    struct run run = {
        .txn = txn,
        .query = query,
        .answer = answer,
        .begin = answer->size,
        .head = {.code = CODE_OK,
                 .seq = position->seq,
                 .term = position->term,
                 .time_ns = position->time_ns,
                 .accounts_count = position->accounts_count,
                 .payments_count = position->payments_count,
                 .currencies_count = position->currencies_count,
                 .digest = position->digest},
    };
    answer_head_write(answer, &run.head);
    enum status status = run_kind(&run);
    if (status == STATUS_OK && answer->failed) {
        status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        buffer_truncate(answer, run.begin);
        return status;
    }
    answer_head_put(answer->data + run.begin, &run.head);
    return STATUS_OK;
}
