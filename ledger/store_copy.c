/*
 * Copies of the state for other nodes, and the figures that a copy is checked by.
 */
#include "ledger/store_internal.h"

#include "base/check.h"
#include "ledger/row.h"

enum status store_copy(struct store *store, int fd)
{
    assert(store != NULL && fd >= 0);
    return store_status(mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT));
}

static enum status table_count(struct store_txn *txn, enum table table, uint64_t *count)
{
    MDB_stat stat;
    const int result = mdb_stat(txn->txn, txn->store->tables[table], &stat);
    if (result != MDB_SUCCESS) {
        return store_status(result);
    }
    *count = stat.ms_entries;
    return STATUS_OK;
}

static enum status tables_count(struct store_txn *txn, struct store_summary *summary)
{
    const struct {
        enum table table;
        uint64_t *count;
    } counts[] = {
        {TABLE_ACCOUNTS, &summary->accounts},       {TABLE_ACCOUNT_IDS, &summary->account_ids},
        {TABLE_CURRENCIES, &summary->currencies},   {TABLE_PAYMENTS, &summary->payments},
        {TABLE_PAYMENT_IDS, &summary->payment_ids}, {TABLE_REFERENCES, &summary->references},
    };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        const enum status status = table_count(txn, counts[i].table, counts[i].count);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* Totals of different currencies are added up as bare numbers: a check, not a sum of money. They
 * wrap where many accounts are close to the limit, on every node alike. */
static enum status accounts_sum(struct store *store, MDB_cursor *cursor,
                                struct store_summary *summary)
{
    MDB_val key;
    MDB_val value;
    int result = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    uint64_t expected = 1;
    for (; result == MDB_SUCCESS; result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (key.mv_size != sizeof(expected) || get_u64(key.mv_data) != expected) {
            return STATUS_CORRUPT;
        }
        struct account account;
        struct text row;
        enum status status = store_row_check(store, TABLE_ACCOUNTS, key, value, &row);
        if (status == STATUS_OK) {
            status = account_row_read(row, expected, &account);
        }
        if (status != STATUS_OK) {
            return status;
        }
        summary->debits_posted += account.debits_posted;
        summary->credits_posted += account.credits_posted;
        summary->debits_held += account.debits_held;
        summary->credits_held += account.credits_held;
        expected++;
    }
    return result == MDB_NOTFOUND ? STATUS_OK : store_status(result);
}

enum status store_summarize(struct store *store, struct store_summary *summary)
{
    assert(store != NULL && summary != NULL);
    struct store_txn *txn;
    enum status status = store_read_begin(store, &txn);
    if (status != STATUS_OK) {
        return status;
    }
    MDB_cursor *cursor = NULL;
    struct store_summary found = {0};
    status = store_position(txn, &found.position);
    if (status == STATUS_OK) {
        status = tables_count(txn, &found);
    }
    if (status == STATUS_OK) {
        status = store_status(mdb_cursor_open(txn->txn, store->tables[TABLE_ACCOUNTS], &cursor));
    }
    if (status == STATUS_OK) {
        status = accounts_sum(store, cursor, &found);
        mdb_cursor_close(cursor);
    }
    store_read_end(txn);
    if (status == STATUS_OK) {
        *summary = found;
    }
    return status;
}
