/*
 * Walks through whole tables, in pieces that may each have a transaction of their own.
 */
#include "ledger/store_internal.h"

#include "base/check.h"

#include <string.h>

enum status store_count(struct store_txn *txn, enum table table, uint64_t *count)
{
    assert(txn != NULL && txn->txn != NULL && count != NULL);
    MDB_stat stat;
    const int result = mdb_stat(txn->txn, txn->store->tables[table], &stat);
    if (result != MDB_SUCCESS) {
        return store_failed(txn->store, table, NULL, result);
    }
    *count = stat.ms_entries;
    return STATUS_OK;
}

enum status store_found_damage(struct store_txn *txn, enum table table, struct text key,
                               const char *what)
{
    const MDB_val name = store_text_value(key);
    return store_damaged(txn->store, table, key.size > 0 ? &name : NULL, what);
}

static MDB_val walk_key(const struct store_walk *walk)
{
    return store_text_value((struct text){.data = (const char *)walk->key, .size = walk->key_size});
}

/* Puts a new cursor where the walk stands. The row there may be gone only where rows are dropped:
 * the cursor then stands at the next one, which *moved says. */
static enum status walk_begin(struct store_txn *txn, const struct store_walk *walk, MDB_val *key,
                              MDB_val *value, bool *moved)
{
    struct store *store = txn->store;
    if (txn->walk != NULL) {
        mdb_cursor_close(txn->walk);
        txn->walk = NULL;
    }
    int result = mdb_cursor_open(txn->txn, store->tables[walk->table], &txn->walk);
    if (result != MDB_SUCCESS) {
        txn->walk = NULL;
        return store_failed(store, walk->table, NULL, result);
    }
    txn->walk_table = walk->table;
    if (!walk->begun) {
        return STATUS_OK;
    }
    const MDB_val stood = walk_key(walk);
    *key = stood;
    result = mdb_cursor_get(txn->walk, key, value, MDB_SET_RANGE);
    if (result != MDB_SUCCESS && result != MDB_NOTFOUND) {
        return store_failed(store, walk->table, &stood, result);
    }
    const bool there = result == MDB_SUCCESS && key->mv_size == stood.mv_size &&
                       memcmp(key->mv_data, stood.mv_data, stood.mv_size) == 0;
    if (!there && walk->table != TABLE_DIGESTS) {
        return store_damaged(store, walk->table, &stood, "the row has vanished");
    }
    *moved = !there;
    return result == MDB_SUCCESS ? STATUS_OK : STATUS_NOT_FOUND;
}

enum status store_walk_next(struct store_txn *txn, struct store_walk *walk, struct store_row *row)
{
    assert(txn != NULL && txn->txn != NULL && txn != &txn->store->write);
    assert(walk != NULL && row != NULL);
    struct store *store = txn->store;
    MDB_val key = {0};
    MDB_val value = {0};
    bool moved = false;
    if (txn->walk == NULL || txn->walk_table != walk->table) {
        const enum status begun = walk_begin(txn, walk, &key, &value, &moved);
        if (begun != STATUS_OK) {
            return begun;
        }
    }
    if (!moved) {
        const int result = mdb_cursor_get(txn->walk, &key, &value, MDB_NEXT);
        if (result != MDB_SUCCESS) {
            return store_failed(store, walk->table, NULL, result);
        }
    }
    struct text checked;
    const enum status status = store_row_check(store, walk->table, key, value, &checked);
    if (status != STATUS_OK) {
        return status;
    }
    if (walk->begun && store_key_compare(walk->table, key, walk_key(walk)) <= 0) {
        return store_damaged(store, walk->table, &key, "the row is out of order");
    }
    walk->begun = true;
    walk->key_size = key.mv_size;
    memcpy(walk->key, key.mv_data, key.mv_size);
    *row = (struct store_row){.key = {.data = key.mv_data, .size = key.mv_size}, .value = checked};
    return STATUS_OK;
}
