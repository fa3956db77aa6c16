/*
 * The door to LMDB: tables, keys and records (docs/format.md has every byte). One write transaction
 * is open at a time, owned by the ledger thread; read transactions may be used on any thread.
 *
 * Tables: accounts (number -> account), account_ids (id -> number), currencies (number ->
 * currency), currency_codes (code -> number), payments (seq -> record, append-only: every command
 * that took a seq, also currencies and accounts), payment_ids (uuid -> seq), references (text ->
 * seq), digests (seq -> digest, the newest DIGESTS_KEPT), meta (position, counts, identity).
 *
 * Every row carries a checksum over its table, key and value, which each read checks; that a row is
 * absent is proved by its neighbours. Damage is STATUS_CORRUPT, and store_damage says where.
 *
 * Flags: MDB_NOMETASYNC | MDB_NOTLS, never NOSYNC, WRITEMAP or MAPASYNC. raft's log is the durable
 * truth; position and effects are in one transaction, so a crash loses whole entries, which raft
 * replays.
 */
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H

#include "ledger/entry.h"
#include "ledger/view.h"

/* In the order of their tags on disk (docs/format.md). */
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

/* Where the state stands. Stored in the same transaction as the effects. */
struct position {
    uint64_t index;       /* raft index of the newest entry in it */
    uint64_t seq;         /* newest command */
    uint64_t term;        /* of the newest entry */
    int64_t time_ns;      /* log time */
    struct digest digest; /* of all entries with commands */
    uint64_t accounts_count;
    uint32_t currencies_count;
    uint64_t payments_count; /* records of payments, refused ones included */
};

struct store;

/*
 * A read transaction or the write transaction: all reads go through it. Texts and bytes that reads
 * return point into LMDB's map and are valid until the transaction ends or (for the write
 * transaction) the next write.
 */
struct store_txn;

struct store_options {
    const char *path;   /* of the LMDB directory; exists */
    uint64_t map_bytes; /* size of the map: address space, not disk */
    bool read_only;     /* no write transaction (checks of a copy) */
};

/* STATUS_IO, STATUS_CORRUPT (damaged, or not ours at all), STATUS_FOREIGN (another format version),
 * STATUS_NO_MEMORY; `error` gets a sentence. */
enum status MUST_CHECK store_open(struct store **store, const struct store_options *options,
                                  char *error, size_t error_size);
void store_close(struct store *store);

const char *store_table_name(enum table table);

/* The first damage that any read of this store met, as a sentence that names table and key; "" for
 * none. Any thread; valid as long as the store. */
const char *store_damage(struct store *store);

/* The write transaction: begun at the first use after a commit. LMDB ties it to the thread that
 * began it: begin, commit and abort on one thread (store_close aborts too). After a failed write
 * only store_write_abort may follow. */
enum status MUST_CHECK store_write_begin(struct store *store, struct store_txn **txn);
/* Writes the position and commits (also where nothing else was written); flushes data, not the meta
 * page's own flush (NOMETASYNC). */
enum status MUST_CHECK store_write_commit(struct store *store, const struct position *position);
/* Drops what was written since the last commit. */
void store_write_abort(struct store *store);
/* Flushes everything to disk (before a snapshot, at close). */
enum status MUST_CHECK store_sync(struct store *store);

/*
 * Pages that the write transaction has changed or will change when it is committed, at most: LMDB
 * keeps them in memory until then. Only those of rows at places all over a table are counted; what
 * is appended takes a few.
 */
uint64_t store_write_pages(struct store *store);

/* Bytes by which the file may still grow before its map is full, as of the last commit. Any thread.
 * Pages that were freed inside the file come on top. */
uint64_t store_room(struct store *store);

/* Thread-safe. */
enum status MUST_CHECK store_read_begin(struct store *store, struct store_txn **txn);
void store_read_end(struct store_txn *txn);

/* The position as stored; all zero in a new store. */
enum status MUST_CHECK store_position(struct store_txn *txn, struct position *position);

/* The view of the write transaction for ledger_execute. Its counts start from the position. */
struct store_view {
    struct view view;
    struct store_txn *txn;
    struct buffer record;   /* scratch: the record being written */
    struct buffer *records; /* where each record is also appended, for the digest; may be NULL */
};
void store_view_init(struct store_view *view, struct store_txn *txn,
                     const struct position *position, struct buffer *records);
void store_view_deinit(struct store_view *view);

/* A record of table payments, decoded. */
struct record {
    struct decision decision; /* sides as recorded */
    struct uuid id;           /* payments */
    struct text form;         /* entry form of the command */
};

/* STATUS_NOT_FOUND where there is none under the seq. */
enum status MUST_CHECK store_record(struct store_txn *txn, uint64_t seq, struct record *record);
/* Its bytes, undecoded (record_write's). */
enum status MUST_CHECK store_record_bytes(struct store_txn *txn, uint64_t seq, struct text *bytes);
void record_write(struct buffer *out, const struct uuid *id, struct text form,
                  const struct decision *decision);
/* STATUS_INVALID on any damage; *record is then undefined. */
enum status MUST_CHECK record_read(struct text bytes, uint64_t seq, struct record *record);

enum status MUST_CHECK store_payment_seq(struct store_txn *txn, const struct uuid *id,
                                         uint64_t *seq);
enum status MUST_CHECK store_account_number(struct store_txn *txn, struct text id,
                                            uint64_t *number);
enum status MUST_CHECK store_currency_number(struct store_txn *txn, struct text code,
                                             uint32_t *number);
enum status MUST_CHECK store_reference_seq(struct store_txn *txn, struct text reference,
                                           uint64_t *seq);
enum status MUST_CHECK store_account(struct store_txn *txn, uint64_t number,
                                     struct account *account);
enum status MUST_CHECK store_currency(struct store_txn *txn, uint32_t number,
                                      struct currency *currency);
/* Names that numbers stand for, borrowed from the map; an account's with its currency's number. */
enum status MUST_CHECK store_account_id(struct store_txn *txn, uint64_t number, struct text *id,
                                        uint32_t *currency);
enum status MUST_CHECK store_currency_code(struct store_txn *txn, uint32_t number,
                                           struct text *code);
/* The digest after the entry that ends at seq; STATUS_NOT_FOUND where it is no longer (or not)
 * kept. */
enum status MUST_CHECK store_digest(struct store_txn *txn, uint64_t seq, struct digest *digest);
enum status MUST_CHECK store_digest_put(struct store_txn *txn, uint64_t seq,
                                        const struct digest *digest);

/*
 * Writes a compact copy of the newest committed state to a file descriptor (mdb_env_copyfd2 with
 * MDB_CP_COMPACT). Blocks; any thread; holds a read transaction meanwhile.
 */
enum status MUST_CHECK store_copy(struct store *store, int fd);

/* ---- walks: all rows of a table in the order of their keys (scrub.h) ----------------------- */

struct store_row {
    struct text key;
    struct text value; /* without the checksum */
};

/* Where a walk stands; zeroed but for the table it stands before the first row. It outlives the
 * transactions that it is continued in, one after the other. */
struct store_walk {
    enum table table;
    bool begun;
    size_t key_size;
    uint8_t key[REFERENCE_BYTES_MAX]; /* of the row last given */
};

/* The next row, borrowed as all reads are: its checksum is right, its key above the one before.
 * STATUS_NOT_FOUND at the end. A read transaction has one walk at a time. */
enum status MUST_CHECK store_walk_next(struct store_txn *txn, struct store_walk *walk,
                                       struct store_row *row);

/* Rows of a table, as LMDB counts them. */
enum status MUST_CHECK store_count(struct store_txn *txn, enum table table, uint64_t *count);

/* Remembers damage that its reader found in a row, for store_damage. Gives STATUS_CORRUPT. */
enum status store_found_damage(struct store_txn *txn, enum table table, struct text key,
                               const char *what);

#endif
