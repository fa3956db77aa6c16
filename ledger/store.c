/*
 * The environment and its transactions. LMDB keeps a map of the file: reads are pointers into it,
 * writes go to private pages that a commit writes, data first, then the page that makes them valid.
 * With MDB_NOMETASYNC that last page reaches the disk with the next commit: a power cut may lose
 * the newest commit as a whole, which raft then replays, and never breaks the file.
 */
#include "ledger/store_internal.h"

#include "base/check.h"
#include "ledger/row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(size_t) == 8, "numbers are MDB_INTEGERKEY keys of 8 bytes");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "keys are little-endian on disk");

enum { STORE_FORMAT_VERSION = 3, STORE_FILE_MODE = 0600 };

static const char store_format_key[] = "format";
static const char store_position_key[] = "position";

/* Format 1 had no checksums: its version was the bare number. */
enum { STORE_FORMAT_1_BYTES = 4 };

enum status store_status(int error)
{
    switch (error) {
    case MDB_SUCCESS:
        return STATUS_OK;
    case MDB_NOTFOUND:
        return STATUS_NOT_FOUND;
    case MDB_KEYEXIST:
        return STATUS_EXISTS;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return STATUS_FULL;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
        return STATUS_LIMIT;
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_VALSIZE:
    case MDB_PAGE_FULL: /* these two are LMDB's words for a tree that is none */
    case MDB_CURSOR_FULL:
        return STATUS_CORRUPT;
    default:
        return STATUS_IO;
    }
}

static void error_set(char *error, size_t error_size, const char *what, const char *why)
{
    if (error != NULL && error_size > 0) {
        snprintf(error, error_size, "%s: %s", what, why);
    }
}

static MDB_val name_key(const char *name)
{
    return store_text_value(text_of(name));
}

static int tables_open(struct store *store, MDB_txn *txn, unsigned flags)
{
    for (int table = 0; table < TABLE_COUNT; table++) {
        const unsigned key = store_number_keys[table] ? MDB_INTEGERKEY : 0;
        const int result = mdb_dbi_open(txn, store_table_name((enum table)table), key | flags,
                                        &store->tables[table]);
        if (result != MDB_SUCCESS) {
            return result == MDB_NOTFOUND ? MDB_CORRUPTED : result;
        }
    }
    return MDB_SUCCESS;
}

/* STATUS_FOREIGN: another version, or none. */
static enum status version_check(struct store_txn *txn)
{
    MDB_val key = name_key(store_format_key);
    MDB_val row;
    struct text version = {0};
    if (mdb_get(txn->txn, txn->store->tables[TABLE_META], &key, &row) == MDB_SUCCESS &&
        row.mv_size == STORE_FORMAT_1_BYTES) {
        return STATUS_FOREIGN;
    }
    const enum status status = store_get(txn, TABLE_META, key, &version);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }
    return version.size == 4 && get_u32((const uint8_t *)version.data) == STORE_FORMAT_VERSION
               ? STATUS_OK
               : STATUS_FOREIGN;
}

static enum status version_put(struct store_txn *txn)
{
    uint8_t version[4];
    put_u32(version, STORE_FORMAT_VERSION);
    const struct text value = {.data = (const char *)version, .size = sizeof(version)};
    return store_put(txn, TABLE_META, name_key(store_format_key), value, MDB_NOOVERWRITE);
}

/* True where the environment holds nothing at all: a new one. */
static int tables_absent(MDB_txn *txn, bool *absent)
{
    MDB_dbi main_table;
    MDB_stat stat;
    int result = mdb_dbi_open(txn, NULL, 0, &main_table);
    if (result == MDB_SUCCESS) {
        result = mdb_stat(txn, main_table, &stat);
    }
    if (result == MDB_SUCCESS) {
        *absent = stat.ms_entries == 0;
    }
    return result;
}

/* Opens the tables, or makes them and the format's version in an empty environment. */
static enum status tables_prepare(struct store *store, bool *created)
{
    struct store_txn *txn = &store->write;
    int result = mdb_txn_begin(store->env, NULL, store->read_only ? MDB_RDONLY : 0, &txn->txn);
    if (result != MDB_SUCCESS) {
        txn->txn = NULL;
        return store_status(result);
    }
    bool absent = false;
    result = tables_absent(txn->txn, &absent);
    const bool create = absent && !store->read_only;
    if (result == MDB_SUCCESS) {
        result = tables_open(store, txn->txn, create ? MDB_CREATE : 0);
    }
    enum status status = store_status(result);
    if (status == STATUS_OK) {
        status = create ? version_put(txn) : version_check(txn);
    }
    store_cursors_end(txn, !store->read_only);
    MDB_txn *ended = txn->txn;
    txn->txn = NULL;
    if (status != STATUS_OK) {
        mdb_txn_abort(ended);
        return status;
    }
    *created = create;
    return store_status(mdb_txn_commit(ended));
}

static int environment_open(struct store *store, const struct store_options *options)
{
    int result = mdb_env_create(&store->env);
    if (result != MDB_SUCCESS) {
        store->env = NULL;
        return result;
    }
    if ((result = mdb_env_set_maxdbs(store->env, TABLE_COUNT)) != MDB_SUCCESS ||
        (result = mdb_env_set_maxreaders(store->env, STORE_READERS_MAX)) != MDB_SUCCESS ||
        (result = mdb_env_set_mapsize(store->env, options->map_bytes)) != MDB_SUCCESS) {
        return result;
    }
    const unsigned flags = MDB_NOMETASYNC | MDB_NOTLS | (options->read_only ? MDB_RDONLY : 0);
    result = mdb_env_open(store->env, options->path, flags, STORE_FILE_MODE);
    if (result != MDB_SUCCESS) {
        return result;
    }
    /* Readers of a process that was killed would keep old pages from being used again. */
    int dead = 0;
    return mdb_reader_check(store->env, &dead);
}

enum status store_open(struct store **store, const struct store_options *options, char *error,
                       size_t error_size)
{
    assert(store != NULL && options != NULL && options->path != NULL);
    assert(options->map_bytes > 0);
    struct store *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        error_set(error, error_size, options->path, "out of memory");
        return STATUS_NO_MEMORY;
    }
    opened->read_only = options->read_only;
    opened->write.store = opened;
    store_cache_init(opened);
    const int result = environment_open(opened, options);
    enum status status = store_status(result);
    bool created = false;
    if (status == STATUS_OK) {
        status = tables_prepare(opened, &created);
    }
    if (status == STATUS_OK && created) {
        status = store_sync(opened);
    }
    if (status != STATUS_OK) {
        const char *damage = store_damage(opened);
        error_set(error, error_size, options->path,
                  status == STATUS_FOREIGN   ? "another format version than this program's"
                  : damage[0] != '\0'        ? damage
                  : status == STATUS_CORRUPT ? "damaged, or not a ledger of this program"
                  : result != MDB_SUCCESS    ? mdb_strerror(result)
                                             : status_text(status));
        store_close(opened);
        return status;
    }
    *store = opened;
    return STATUS_OK;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    store_write_abort(store);
    if (store->env != NULL) {
        mdb_env_close(store->env);
    }
    store_cache_clear(store);
    free(store);
}

enum status store_write_begin(struct store *store, struct store_txn **txn)
{
    assert(store != NULL && txn != NULL);
    assert(!store->read_only);
    if (store->write.txn == NULL) {
        const int result = mdb_txn_begin(store->env, NULL, 0, &store->write.txn);
        if (result != MDB_SUCCESS) {
            store->write.txn = NULL;
            return store_status(result);
        }
    }
    *txn = &store->write;
    return STATUS_OK;
}

enum status store_write_commit(struct store *store, const struct position *position)
{
    assert(store != NULL && position != NULL);
    struct store_txn *txn;
    enum status status = store_write_begin(store, &txn);
    if (status != STATUS_OK) {
        return status;
    }
    uint8_t row[POSITION_ROW_BYTES];
    position_row_write(row, position);
    const struct text value = {.data = (const char *)row, .size = sizeof(row)};
    status = store_cache_write(txn);
    if (status == STATUS_OK) {
        status = store_put(txn, TABLE_META, name_key(store_position_key), value, 0);
    }
    if (status != STATUS_OK) {
        store_write_abort(store);
        return status;
    }
    memset(store->rows_put, 0, sizeof(store->rows_put));
    /* LMDB frees the transaction, also where it could not be committed. */
    store_cursors_end(txn, true);
    MDB_txn *committed = txn->txn;
    txn->txn = NULL;
    const int result = mdb_txn_commit(committed);
    if (result != MDB_SUCCESS) {
        store_cache_clear(store);
    }
    return store_status(result);
}

void store_write_abort(struct store *store)
{
    assert(store != NULL);
    if (store->write.txn != NULL) {
        store_cursors_end(&store->write, true);
        mdb_txn_abort(store->write.txn);
        store->write.txn = NULL;
    }
    memset(store->rows_put, 0, sizeof(store->rows_put));
    store_cache_clear(store);
}

uint64_t store_write_pages(struct store *store)
{
    assert(store != NULL);
    if (store->write.txn == NULL) {
        return 0;
    }
    static const enum table scattered[] = {TABLE_ACCOUNTS, TABLE_ACCOUNT_IDS, TABLE_PAYMENT_IDS,
                                           TABLE_REFERENCES};
    uint64_t pages = 0;
    for (size_t i = 0; i < ARRAY_COUNT(scattered); i++) {
        const enum table table = scattered[i];
        uint64_t rows = store->rows_put[table];
        rows += table == TABLE_ACCOUNTS ? store->accounts.dirty_count : 0;
        MDB_stat stat;
        const int result = mdb_stat(store->write.txn, store->tables[table], &stat);
        assert(result == MDB_SUCCESS); /* of an open transaction and table */
        pages += rows < stat.ms_leaf_pages ? rows : stat.ms_leaf_pages;
    }
    return pages;
}

enum status store_sync(struct store *store)
{
    assert(store != NULL && !store->read_only);
    return store_status(mdb_env_sync(store->env, 1));
}

uint64_t store_room(struct store *store)
{
    assert(store != NULL);
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(store->env, &info) != MDB_SUCCESS ||
        mdb_env_stat(store->env, &stat) != MDB_SUCCESS) {
        return 0;
    }
    const uint64_t used = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    return info.me_mapsize > used ? info.me_mapsize - used : 0;
}

enum status store_read_begin(struct store *store, struct store_txn **txn)
{
    assert(store != NULL && txn != NULL);
    struct store_txn *begun = calloc(1, sizeof(*begun));
    if (begun == NULL) {
        return STATUS_NO_MEMORY;
    }
    begun->store = store;
    const int result = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &begun->txn);
    if (result != MDB_SUCCESS) {
        free(begun);
        return store_status(result);
    }
    *txn = begun;
    return STATUS_OK;
}

void store_read_end(struct store_txn *txn)
{
    if (txn == NULL) {
        return;
    }
    assert(txn != &txn->store->write);
    store_cursors_end(txn, false);
    mdb_txn_abort(txn->txn);
    free(txn);
}

enum status store_position(struct store_txn *txn, struct position *position)
{
    assert(txn != NULL && position != NULL);
    struct text row = {0};
    const enum status status = store_get(txn, TABLE_META, name_key(store_position_key), &row);
    if (status == STATUS_NOT_FOUND) {
        *position = (struct position){0};
        return STATUS_OK;
    }
    return status == STATUS_OK ? position_row_read(row, position) : status;
}
