/*
 * What the store's files share; nothing else includes it, so that lmdb.h stays behind the door.
 */
#ifndef LEDGER_STORE_INTERNAL_H
#define LEDGER_STORE_INTERNAL_H

#include "ledger/cache.h"
#include "ledger/store.h"

#include <lmdb.h>
#include <stdatomic.h>

struct store_txn {
    struct store *store;
    MDB_txn *txn; /* NULL: the write transaction is not open */
    /* One for each table that was used: it stays where the last look-up left it, so that a row that
     * was found absent is put in without another way down from the root. */
    MDB_cursor *cursors[TABLE_COUNT];
    MDB_cursor *walk; /* of the present walk: look-ups must not move it */
    enum table walk_table;
};

enum { STORE_DAMAGE_BYTES = 256 };

/* The first damage that was met; any thread. */
struct store_damage {
    _Atomic int state; /* 0: none, 1: being written, 2: text is whole */
    char text[STORE_DAMAGE_BYTES];
};

struct store {
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    struct store_txn write;
    struct store_damage damage;
    struct cache accounts; /* as the write transaction has them */
    struct cache currencies;
    uint64_t rows_put[TABLE_COUNT]; /* by the write transaction */
    bool read_only;
};

/* Every row ends with a CRC32C over its table's tag, the size of its key, key and value. */
enum { ROW_CRC_BYTES = 4, STORE_KEY_BYTES_MAX = REFERENCE_BYTES_MAX };

/* ---- store.c ------------------------------------------------------------------------------- */

/* LMDB's and the system's numbers as a status. */
enum status MUST_CHECK store_status(int error);

/* ---- store_row.c --------------------------------------------------------------------------- */

extern const bool store_number_keys[TABLE_COUNT]; /* keys are numbers, else bytes */

/* Keys that are numbers are 8 bytes in memory order, as MDB_INTEGERKEY wants them. */
MDB_val store_number_key(const uint64_t *number);
MDB_val store_text_value(struct text text);

/* Below, at or above 0, as keys are ordered in the table. Both have passed store_key_check. */
int store_key_compare(enum table table, MDB_val a, MDB_val b);

/* STATUS_CORRUPT, after remembering what is wrong with which row; `key` may be NULL. */
enum status store_damaged(struct store *store, enum table table, const MDB_val *key,
                          const char *what);
/* The same as store_status, and remembers damage that LMDB itself noticed. */
enum status store_failed(struct store *store, enum table table, const MDB_val *key, int error);

/* A row as it stands in LMDB: checks the sizes and the CRC, and gives the value without it. */
enum status MUST_CHECK store_row_check(struct store *store, enum table table, MDB_val key,
                                       MDB_val row, struct text *value);

/*
 * The value under a key, borrowed from the map. STATUS_NOT_FOUND where there is none: the rows
 * before and behind were then looked at, are whole, and leave the place of the key empty.
 */
enum status MUST_CHECK store_get(struct store_txn *txn, enum table table, MDB_val key,
                                 struct text *value);
/* With MDB_NOOVERWRITE or MDB_APPEND the key must be new: STATUS_CORRUPT where it is not. */
enum status MUST_CHECK store_put(struct store_txn *txn, enum table table, MDB_val key,
                                 struct text value, unsigned flags);
/* Closes the cursors of a read transaction, or forgets those that LMDB closed with a written one.
 */
void store_cursors_end(struct store_txn *txn, bool closed_by_lmdb);

/* ---- store_table.c ------------------------------------------------------------------------- */

/* A value that is a number: 8 bytes. STATUS_CORRUPT where it is something else. */
enum status MUST_CHECK store_get_number(struct store_txn *txn, enum table table, MDB_val key,
                                        uint64_t *number);
enum status MUST_CHECK store_put_number(struct store_txn *txn, enum table table, MDB_val key,
                                        uint64_t number, unsigned flags);

/* As LMDB has them, which for the write transaction may be older than the cache; also the row that
 * the account was read from. */
enum status MUST_CHECK store_account_stored(struct store_txn *txn, uint64_t number,
                                            struct account *account, struct text *row);
enum status MUST_CHECK store_currency_stored(struct store_txn *txn, uint32_t number,
                                             struct currency *currency);

/* ---- store_cache.c ------------------------------------------------------------------------- */

void store_cache_init(struct store *store);
/* Forgets all, also what was not written: after an abort. */
void store_cache_clear(struct store *store);
/* Writes what changed to the write transaction, which is about to be committed. */
enum status MUST_CHECK store_cache_write(struct store_txn *txn);

/* Into the write transaction; a new one has the number after the newest. */
enum status MUST_CHECK store_account_put(struct store_txn *txn, const struct account *account,
                                         bool is_new);
enum status MUST_CHECK store_currency_put(struct store_txn *txn, const struct currency *currency,
                                          bool is_new);

#endif
