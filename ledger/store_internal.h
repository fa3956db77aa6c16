/*
 * What the store's files share; nothing else includes it, so that lmdb.h stays behind the door.
 */
#ifndef LEDGER_STORE_INTERNAL_H
#define LEDGER_STORE_INTERNAL_H

#include "ledger/store.h"

#include <lmdb.h>

enum table {
    TABLE_ACCOUNTS,
    TABLE_ACCOUNT_IDS,
    TABLE_CURRENCIES,
    TABLE_CURRENCY_CODES,
    TABLE_PAYMENTS,
    TABLE_PAYMENT_IDS,
    TABLE_REFERENCES,
    TABLE_DIGESTS,
    TABLE_META,
    TABLE_COUNT
};

struct store_txn {
    struct store *store;
    MDB_txn *txn; /* NULL: the write transaction is not open */
};

struct store {
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    struct store_txn write;
    bool read_only;
};

/* LMDB's and the system's numbers as a status. */
enum status MUST_CHECK store_status(int error);

/* Keys that are numbers are 8 bytes in memory order, as MDB_INTEGERKEY wants them. */
MDB_val store_number_key(const uint64_t *number);
MDB_val store_text_value(struct text text);

/* The value under a key, borrowed from the map. STATUS_NOT_FOUND where there is none. */
enum status MUST_CHECK store_get(struct store_txn *txn, enum table table, MDB_val key,
                                 struct text *value);
enum status MUST_CHECK store_put(struct store_txn *txn, enum table table, MDB_val key,
                                 struct text value, unsigned flags);
/* A value that is a number: 8 bytes. STATUS_CORRUPT where it is something else. */
enum status MUST_CHECK store_get_number(struct store_txn *txn, enum table table, MDB_val key,
                                        uint64_t *number);
enum status MUST_CHECK store_put_number(struct store_txn *txn, enum table table, MDB_val key,
                                        uint64_t number, unsigned flags);

#endif
