/*
 * Reads and writes of single values. Every read checks what it finds: what has a right checksum and
 * makes no sense all the same is damage too, and stops the node rather than moving money.
 */
#include "ledger/store_internal.h"

#include "base/check.h"
#include "ledger/record.h"
#include "ledger/row.h"

#include <string.h>

enum status store_get_number(struct store_txn *txn, enum table table, MDB_val key, uint64_t *number)
{
    struct text value = {0};
    const enum status status = store_get(txn, table, key, &value);
    if (status != STATUS_OK) {
        return status;
    }
    if (value.size != sizeof(*number) || get_u64((const uint8_t *)value.data) == 0) {
        return store_damaged(txn->store, table, &key, "the row is no number");
    }
    *number = get_u64((const uint8_t *)value.data);
    return STATUS_OK;
}

enum status store_put_number(struct store_txn *txn, enum table table, MDB_val key, uint64_t number,
                             unsigned flags)
{
    assert(number > 0);
    uint8_t bytes[8];
    put_u64(bytes, number);
    return store_put(txn, table, key,
                     (struct text){.data = (const char *)bytes, .size = sizeof(bytes)}, flags);
}

enum status store_record_bytes(struct store_txn *txn, uint64_t seq, struct text *bytes)
{
    return store_get(txn, TABLE_PAYMENTS, store_number_key(&seq), bytes);
}

enum status store_record(struct store_txn *txn, uint64_t seq, struct record *record)
{
    assert(record != NULL);
    struct text bytes = {0};
    const enum status status = store_record_bytes(txn, seq, &bytes);
    if (status != STATUS_OK) {
        return status;
    }
    return record_read(bytes, seq, record) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

enum status store_payment_seq(struct store_txn *txn, const struct uuid *id, uint64_t *seq)
{
    assert(id != NULL && seq != NULL);
    const struct text key = {.data = (const char *)id->bytes, .size = sizeof(id->bytes)};
    return store_get_number(txn, TABLE_PAYMENT_IDS, store_text_value(key), seq);
}

enum status store_reference_seq(struct store_txn *txn, struct text reference, uint64_t *seq)
{
    assert(reference.size >= 1 && reference.size <= REFERENCE_BYTES_MAX && seq != NULL);
    return store_get_number(txn, TABLE_REFERENCES, store_text_value(reference), seq);
}

enum status store_account_stored(struct store_txn *txn, uint64_t number, struct account *account,
                                 struct text *row)
{
    if (number == 0) {
        return STATUS_NOT_FOUND;
    }
    const enum status status = store_get(txn, TABLE_ACCOUNTS, store_number_key(&number), row);
    return status == STATUS_OK ? account_row_read(*row, number, account) : status;
}

enum status store_currency_stored(struct store_txn *txn, uint32_t number, struct currency *currency)
{
    if (number == 0) {
        return STATUS_NOT_FOUND;
    }
    const uint64_t key = number;
    struct text row = {0};
    const enum status status = store_get(txn, TABLE_CURRENCIES, store_number_key(&key), &row);
    return status == STATUS_OK ? currency_row_read(row, number, currency) : status;
}

enum status store_account_id(struct store_txn *txn, uint64_t number, struct text *id,
                             uint32_t *currency)
{
    assert(number > 0 && id != NULL && currency != NULL);
    struct text row = {0};
    enum status status = store_get(txn, TABLE_ACCOUNTS, store_number_key(&number), &row);
    if (status != STATUS_OK) {
        return status;
    }
    struct account account;
    status = account_row_read(row, number, &account);
    if (status == STATUS_OK) {
        *id = account_row_id(row);
        *currency = account.currency;
    }
    return status;
}

enum status store_currency_code(struct store_txn *txn, uint32_t number, struct text *code)
{
    assert(number > 0 && code != NULL);
    const uint64_t key = number;
    struct text row = {0};
    enum status status = store_get(txn, TABLE_CURRENCIES, store_number_key(&key), &row);
    if (status != STATUS_OK) {
        return status;
    }
    struct currency currency;
    status = currency_row_read(row, number, &currency);
    if (status == STATUS_OK) {
        *code = (struct text){.data = row.data + CURRENCY_ROW_FIXED_BYTES,
                              .size = row.size - CURRENCY_ROW_FIXED_BYTES};
    }
    return status;
}

enum status store_digest(struct store_txn *txn, uint64_t seq, struct digest *digest)
{
    assert(digest != NULL);
    struct text value = {0};
    const enum status status = store_get(txn, TABLE_DIGESTS, store_number_key(&seq), &value);
    if (status != STATUS_OK) {
        return status;
    }
    if (value.size != sizeof(digest->bytes)) {
        return STATUS_CORRUPT;
    }
    memcpy(digest->bytes, value.data, sizeof(digest->bytes));
    return STATUS_OK;
}

/* Drops the oldest digest where there are more than DIGESTS_KEPT. */
static enum status digests_prune(struct store_txn *txn)
{
    struct store *store = txn->store;
    MDB_stat stat;
    int result = mdb_stat(txn->txn, store->tables[TABLE_DIGESTS], &stat);
    if (result != MDB_SUCCESS) {
        return store_failed(store, TABLE_DIGESTS, NULL, result);
    }
    if (stat.ms_entries <= DIGESTS_KEPT) {
        return STATUS_OK;
    }
    if (stat.ms_entries != DIGESTS_KEPT + 1) {
        return store_damaged(store, TABLE_DIGESTS, NULL, "there are too many rows");
    }
    MDB_cursor *cursor = txn->cursors[TABLE_DIGESTS]; /* of the row that was just put */
    assert(cursor != NULL);
    MDB_val key;
    MDB_val row;
    result = mdb_cursor_get(cursor, &key, &row, MDB_FIRST);
    if (result == MDB_SUCCESS) {
        result = mdb_cursor_del(cursor, 0);
    }
    return result == MDB_SUCCESS ? STATUS_OK : store_failed(store, TABLE_DIGESTS, NULL, result);
}

enum status store_digest_put(struct store_txn *txn, uint64_t seq, const struct digest *digest)
{
    assert(seq > 0 && digest != NULL);
    const struct text value = {.data = (const char *)digest->bytes, .size = sizeof(digest->bytes)};
    const enum status status =
        store_put(txn, TABLE_DIGESTS, store_number_key(&seq), value, MDB_APPEND);
    return status == STATUS_OK ? digests_prune(txn) : status;
}
