/*
 * Rows and their checksums. LMDB has none: a flipped bit in a leaf gives another value, in a key or
 * in the tree another place. So every row carries a CRC, and a look-up that finds nothing proves
 * it: the rows before and behind the place must be whole and must leave it empty. What neither can
 * see (a page header that hides rows, an old page in place of a new one) is the scrub's.
 */
#include "ledger/store_internal.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "ledger/types.h"

#include <stdio.h>
#include <string.h>

static_assert((int)ACCOUNT_ID_BYTES_MAX <= (int)STORE_KEY_BYTES_MAX &&
                  (int)CURRENCY_CODE_BYTES_MAX <= (int)STORE_KEY_BYTES_MAX,
              "references are the longest keys");
static_assert((int)STORE_KEY_BYTES_MAX <= UINT8_MAX, "the size of a key is one byte of the CRC");

enum { DAMAGE_NONE, DAMAGE_BEING_WRITTEN, DAMAGE_TOLD };

static const char *const table_names[TABLE_COUNT] = {
    [TABLE_ACCOUNTS] = "accounts",
    [TABLE_ACCOUNT_IDS] = "account_ids",
    [TABLE_CURRENCIES] = "currencies",
    [TABLE_CURRENCY_CODES] = "currency_codes",
    [TABLE_PAYMENTS] = "payments",
    [TABLE_PAYMENT_IDS] = "payment_ids",
    [TABLE_REFERENCES] = "references",
    [TABLE_DIGESTS] = "digests",
    [TABLE_META] = "meta",
};

const bool store_number_keys[TABLE_COUNT] = {
    [TABLE_ACCOUNTS] = true,
    [TABLE_CURRENCIES] = true,
    [TABLE_PAYMENTS] = true,
    [TABLE_DIGESTS] = true,
};

/*
 * Where a look-up mostly finds nothing and the row is then put in: the cursor keeps the place. In
 * the other tables the next key is somewhere else, and to try the cursor's old place costs time.
 */
static const bool insert_tables[TABLE_COUNT] = {
    [TABLE_PAYMENTS] = true,
    [TABLE_PAYMENT_IDS] = true,
    [TABLE_REFERENCES] = true,
    [TABLE_DIGESTS] = true,
};

const char *store_table_name(enum table table)
{
    assert(table < TABLE_COUNT);
    return table_names[table];
}

MDB_val store_number_key(const uint64_t *number)
{
    return store_text_value((struct text){.data = (const char *)number, .size = sizeof(*number)});
}

MDB_val store_text_value(struct text text)
{
    /* LMDB's values are not const, though it never writes to keys and values that it is given. */
    return (MDB_val){.mv_size = text.size, .mv_data = (void *)(uintptr_t)text.data};
}

/* ---- damage -------------------------------------------------------------------------------- */

/* A key for people: a number, an id as UUID, or text; what is damaged may be anything. */
static void key_print(enum table table, const MDB_val *key, char *out, size_t out_size)
{
    if (key == NULL) {
        (void)snprintf(out, out_size, "-");
    } else if (store_number_keys[table] && key->mv_size == 8) {
        (void)snprintf(out, out_size, "%llu", (unsigned long long)get_u64(key->mv_data));
    } else if (table == TABLE_PAYMENT_IDS && key->mv_size == sizeof(struct uuid)) {
        struct uuid id;
        char text[UUID_TEXT_BYTES];
        memcpy(id.bytes, key->mv_data, sizeof(id.bytes));
        uuid_format(&id, text);
        (void)snprintf(out, out_size, "%.*s", UUID_TEXT_BYTES, text);
    } else {
        const char *bytes = key->mv_data;
        size_t size = key->mv_size < out_size - 1 ? key->mv_size : out_size - 1;
        for (size_t i = 0; i < size; i++) {
            out[i] = '?';
            if (bytes[i] > ' ' && bytes[i] < 0x7f) {
                out[i] = bytes[i];
            }
        }
        out[size] = '\0';
    }
}

enum status store_damaged(struct store *store, enum table table, const MDB_val *key,
                          const char *what)
{
    assert(table < TABLE_COUNT && what != NULL);
    int none = DAMAGE_NONE;
    if (atomic_compare_exchange_strong(&store->damage.state, &none, DAMAGE_BEING_WRITTEN)) {
        char name[STORE_KEY_BYTES_MAX + 1];
        key_print(table, key, name, sizeof(name));
        (void)snprintf(store->damage.text, sizeof(store->damage.text), "table=%s key=%s: %s",
                       table_names[table], name, what);
        atomic_store(&store->damage.state, DAMAGE_TOLD);
    }
    return STATUS_CORRUPT;
}

const char *store_damage(struct store *store)
{
    assert(store != NULL);
    return atomic_load(&store->damage.state) == DAMAGE_TOLD ? store->damage.text : "";
}

enum status store_failed(struct store *store, enum table table, const MDB_val *key, int error)
{
    const enum status status = store_status(error);
    return status == STATUS_CORRUPT ? store_damaged(store, table, key, mdb_strerror(error))
                                    : status;
}

/* ---- one row ------------------------------------------------------------------------------- */

static uint32_t row_crc(enum table table, MDB_val key, const void *value, size_t size)
{
    const uint8_t head[2] = {(uint8_t)table, (uint8_t)key.mv_size};
    uint32_t crc = crc32c(0, head, sizeof(head));
    crc = crc32c(crc, key.mv_data, key.mv_size);
    return crc32c(crc, value, size);
}

/* A damaged page may say anything about the size of a key: it is looked at before its bytes are. */
static bool key_size_valid(enum table table, size_t size)
{
    return store_number_keys[table] ? size == sizeof(uint64_t)
                                    : size >= 1 && size <= STORE_KEY_BYTES_MAX;
}

enum status store_row_check(struct store *store, enum table table, MDB_val key, MDB_val row,
                            struct text *value)
{
    assert(store != NULL && value != NULL);
    if (!key_size_valid(table, key.mv_size)) {
        return store_damaged(store, table, NULL, "a key has a wrong size");
    }
    if (row.mv_size < ROW_CRC_BYTES || row.mv_size > RECORD_BYTES_MAX + ROW_CRC_BYTES) {
        return store_damaged(store, table, &key, "the row has a wrong size");
    }
    const size_t size = row.mv_size - ROW_CRC_BYTES;
    if (get_u32((const uint8_t *)row.mv_data + size) != row_crc(table, key, row.mv_data, size)) {
        return store_damaged(store, table, &key, "the row's checksum is wrong");
    }
    *value = (struct text){.data = row.mv_data, .size = size};
    return STATUS_OK;
}

int store_key_compare(enum table table, MDB_val a, MDB_val b)
{
    if (store_number_keys[table]) {
        const uint64_t left = get_u64(a.mv_data);
        const uint64_t right = get_u64(b.mv_data);
        return left < right ? -1 : left > right;
    }
    const size_t size = a.mv_size < b.mv_size ? a.mv_size : b.mv_size;
    const int order = memcmp(a.mv_data, b.mv_data, size);
    if (order != 0) {
        return order;
    }
    return a.mv_size < b.mv_size ? -1 : a.mv_size > b.mv_size;
}

/* ---- look-ups ------------------------------------------------------------------------------ */

static int cursor_of(struct store_txn *txn, enum table table, MDB_cursor **cursor)
{
    assert(txn != NULL && txn->txn != NULL);
    int result = MDB_SUCCESS;
    if (txn->cursors[table] == NULL) {
        result = mdb_cursor_open(txn->txn, txn->store->tables[table], &txn->cursors[table]);
    }
    *cursor = txn->cursors[table];
    return result;
}

void store_cursors_end(struct store_txn *txn, bool closed_by_lmdb)
{
    for (int table = 0; table < TABLE_COUNT; table++) {
        if (txn->cursors[table] != NULL && !closed_by_lmdb) {
            mdb_cursor_close(txn->cursors[table]);
        }
        txn->cursors[table] = NULL;
    }
    if (txn->walk != NULL && !closed_by_lmdb) {
        mdb_cursor_close(txn->walk);
    }
    txn->walk = NULL;
}

/* The last row before the key, which the cursor stands behind. `has_next`: there is one behind. */
static enum status absence_check(struct store_txn *txn, enum table table, MDB_val key,
                                 MDB_cursor *cursor, bool has_next)
{
    MDB_val before;
    MDB_val row;
    struct text value;
    const int result = mdb_cursor_get(cursor, &before, &row, MDB_PREV);
    if (result == MDB_NOTFOUND) {
        MDB_stat stat;
        const int counted = mdb_stat(txn->txn, txn->store->tables[table], &stat);
        if (counted != MDB_SUCCESS) {
            return store_failed(txn->store, table, &key, counted);
        }
        return has_next || stat.ms_entries == 0
                   ? STATUS_NOT_FOUND
                   : store_damaged(txn->store, table, &key, "the table's rows are not there");
    }
    if (result != MDB_SUCCESS) {
        return store_failed(txn->store, table, &key, result);
    }
    const enum status status = store_row_check(txn->store, table, before, row, &value);
    if (status != STATUS_OK) {
        return status;
    }
    return store_key_compare(table, before, key) < 0
               ? STATUS_NOT_FOUND
               : store_damaged(txn->store, table, &key, "the row before it is out of order");
}

/* The row at or behind the key, by the cursor, which stays there. */
static enum status get_by_cursor(struct store_txn *txn, enum table table, MDB_val key,
                                 struct text *value)
{
    struct store *store = txn->store;
    MDB_cursor *cursor = NULL;
    int result = cursor_of(txn, table, &cursor);
    if (result != MDB_SUCCESS) {
        return store_failed(store, table, &key, result);
    }
    MDB_val found = key;
    MDB_val row;
    struct text checked;
    result = mdb_cursor_get(cursor, &found, &row, MDB_SET_RANGE);
    if (result == MDB_NOTFOUND) {
        return absence_check(txn, table, key, cursor, false);
    }
    if (result != MDB_SUCCESS) {
        return store_failed(store, table, &key, result);
    }
    const enum status status = store_row_check(store, table, found, row, &checked);
    if (status != STATUS_OK) {
        return status;
    }
    const int order = store_key_compare(table, found, key);
    if (order < 0) {
        return store_damaged(store, table, &key, "the row behind it is out of order");
    }
    if (order > 0) {
        return absence_check(txn, table, key, cursor, true);
    }
    *value = checked;
    return STATUS_OK;
}

enum status store_get(struct store_txn *txn, enum table table, MDB_val key, struct text *value)
{
    assert(txn != NULL && txn->txn != NULL && value != NULL);
    assert(key_size_valid(table, key.mv_size));
    if (table == TABLE_PAYMENTS || !insert_tables[table]) {
        MDB_val row;
        const int result = mdb_get(txn->txn, txn->store->tables[table], &key, &row);
        if (result == MDB_SUCCESS) {
            return store_row_check(txn->store, table, key, row, value);
        }
        if (result != MDB_NOTFOUND) {
            return store_failed(txn->store, table, &key, result);
        }
    }
    return get_by_cursor(txn, table, key, value);
}

static int put_place(struct store_txn *txn, enum table table, MDB_val *key, MDB_val *place,
                     unsigned flags)
{
    if (!insert_tables[table]) {
        return mdb_put(txn->txn, txn->store->tables[table], key, place, flags);
    }
    MDB_cursor *cursor = NULL;
    const int result = cursor_of(txn, table, &cursor);
    return result == MDB_SUCCESS ? mdb_cursor_put(cursor, key, place, flags) : result;
}

enum status store_put(struct store_txn *txn, enum table table, MDB_val key, struct text value,
                      unsigned flags)
{
    assert(!txn->store->read_only && txn == &txn->store->write);
    assert(key_size_valid(table, key.mv_size) && value.size <= RECORD_BYTES_MAX);
    MDB_val place = {.mv_size = value.size + ROW_CRC_BYTES};
    const int result = put_place(txn, table, &key, &place, flags | MDB_RESERVE);
    if (result == MDB_KEYEXIST) {
        return store_damaged(txn->store, table, &key, "a row that must be new is there already");
    }
    if (result != MDB_SUCCESS) {
        return store_failed(txn->store, table, &key, result);
    }
    txn->store->rows_put[table]++;
    memcpy(place.mv_data, value.data, value.size);
    put_u32((uint8_t *)place.mv_data + value.size, row_crc(table, key, value.data, value.size));
    return STATUS_OK;
}
