/*
 * Accounts and currencies of the write transaction in memory: what changes with every
 * payment is written to LMDB once for each commit, in the order of the keys, in the transaction
 * that also writes the position. A crash loses the whole of it, as before. Read transactions see
 * what was committed and know nothing of this.
 *
 * Only counters and histories may be newer here than in LMDB: a new account or currency is written
 * at once, and its name never changes.
 */
#include "ledger/store_internal.h"

#include "base/check.h"
#include "ledger/row.h"

#include <stdlib.h>
#include <string.h>

/*
 * An account as its row: a quarter of the decoded account's size, and what the commit writes. Rows
 * here were checked when they were read, or written here.
 */
struct held_account {
    uint8_t *bytes; /* own memory; NULL: never used */
    uint32_t size;
    uint32_t capacity;
};

enum { HELD_STEP_BYTES = 8, HELD_OVERHEAD_BYTES = 8 + sizeof(struct held_account) + 8 + 16 };

static_assert(sizeof(struct held_account) % 16 == 0 && sizeof(struct currency) % 16 == 0,
              "values of the cache are aligned");
static_assert((long long)ACCOUNTS_CACHED_MAX *
                      (long long)(ACCOUNT_ROW_BYTES_MAX + HELD_STEP_BYTES + HELD_OVERHEAD_BYTES) <=
                  320 * 1024 * 1024,
              "even with the longest rows the cache stays below the memory of a node");

void store_cache_init(struct store *store)
{
    cache_init(&store->accounts, ACCOUNTS_CACHED_MAX, sizeof(struct held_account));
    cache_init(&store->currencies, CURRENCIES_MAX, sizeof(struct currency));
}

void store_cache_clear(struct store *store)
{
    uint32_t at = 0;
    for (struct held_account *held = cache_next(&store->accounts, &at); held != NULL;
         held = cache_next(&store->accounts, &at)) {
        free(held->bytes);
    }
    cache_clear(&store->accounts);
    cache_clear(&store->currencies);
}

static struct text row_of(const struct held_account *held)
{
    assert(held->bytes != NULL && held->size > 0);
    return (struct text){.data = (const char *)held->bytes, .size = held->size};
}

static enum status account_write(struct store_txn *txn, uint64_t number, struct text row,
                                 unsigned flags)
{
    return store_put(txn, TABLE_ACCOUNTS, store_number_key(&number), row, flags);
}

static enum status currency_write(struct store_txn *txn, const struct currency *currency,
                                  unsigned flags)
{
    const uint64_t key = currency->number;
    uint8_t bytes[CURRENCY_ROW_BYTES_MAX];
    currency_row_write(bytes, currency);
    const struct text row = {.data = (const char *)bytes, .size = currency_row_size(currency)};
    return store_put(txn, TABLE_CURRENCIES, store_number_key(&key), row, flags);
}

static enum status account_hold(struct held_account *held, struct text row)
{
    if (held->capacity < row.size) {
        const size_t capacity =
            (row.size + HELD_STEP_BYTES - 1) / HELD_STEP_BYTES * HELD_STEP_BYTES;
        uint8_t *bytes = realloc(held->bytes, capacity);
        if (bytes == NULL) {
            held->size = 0; /* no row rather than another account's */
            return STATUS_NO_MEMORY;
        }
        held->bytes = bytes;
        held->capacity = (uint32_t)capacity;
    }
    memcpy(held->bytes, row.data, row.size);
    held->size = (uint32_t)row.size;
    return STATUS_OK;
}

/* Puts the row in the account's place; the one that stood there is written where it must be. */
static enum status account_place(struct store_txn *txn, uint64_t number, struct text row)
{
    struct cache *cache = &txn->store->accounts;
    void *other = NULL;
    const uint64_t other_number = cache_in_the_way(cache, number, &other);
    if (other_number != 0) {
        const enum status status = account_write(txn, other_number, row_of(other), 0);
        if (status != STATUS_OK) {
            return status;
        }
        cache_set_dirty(cache, other_number, false);
    }
    struct held_account *held = cache_place(cache, number);
    return held != NULL ? account_hold(held, row) : STATUS_NO_MEMORY;
}

enum status store_account(struct store_txn *txn, uint64_t number, struct account *account)
{
    assert(txn != NULL && account != NULL);
    const bool is_write = txn == &txn->store->write;
    const struct held_account *held = is_write ? cache_find(&txn->store->accounts, number) : NULL;
    if (held != NULL) {
        account_row_decode(row_of(held), number, account);
        return STATUS_OK;
    }
    struct text stored = {0};
    const enum status status = store_account_stored(txn, number, account, &stored);
    if (status != STATUS_OK || !is_write) {
        return status;
    }
    /* A row that is written to make place may move what LMDB lent. */
    uint8_t bytes[ACCOUNT_ROW_BYTES_MAX];
    memcpy(bytes, stored.data, stored.size);
    return account_place(txn, number,
                         (struct text){.data = (const char *)bytes, .size = stored.size});
}

enum status store_account_number(struct store_txn *txn, struct text id, uint64_t *number)
{
    assert(account_id_valid(id) && number != NULL);
    const bool is_write = txn == &txn->store->write;
    struct cache *cache = &txn->store->accounts;
    if (is_write) {
        const uint64_t hint = cache_named(cache, id);
        const struct held_account *held = cache_find(cache, hint);
        if (held != NULL && text_equal(id, account_row_id(row_of(held)))) {
            *number = hint;
            return STATUS_OK;
        }
    }
    const enum status status =
        store_get_number(txn, TABLE_ACCOUNT_IDS, store_text_value(id), number);
    if (status == STATUS_OK && is_write) {
        cache_note_name(cache, id, *number);
    }
    return status;
}

enum status store_account_put(struct store_txn *txn, const struct account *account, bool is_new)
{
    assert(txn == &txn->store->write && account->number > 0);
    assert(account->currency >= 1 && account->currency <= CURRENCIES_MAX);
    uint8_t bytes[ACCOUNT_ROW_BYTES_MAX];
    const size_t size = account_row_write(bytes, account);
    const struct text row = {.data = (const char *)bytes, .size = size};
    struct held_account *held = cache_find(&txn->store->accounts, account->number);
    enum status status =
        held != NULL ? account_hold(held, row) : account_place(txn, account->number, row);
    if (status != STATUS_OK) {
        return status;
    }
    if (!is_new) {
        cache_set_dirty(&txn->store->accounts, account->number, true);
        return STATUS_OK;
    }
    status = account_write(txn, account->number, row, MDB_APPEND);
    const struct text id = {.data = account->id, .size = account->id_size};
    return status == STATUS_OK ? store_put_number(txn, TABLE_ACCOUNT_IDS, store_text_value(id),
                                                  account->number, MDB_NOOVERWRITE)
                               : status;
}

/* Every currency has a slot of its own: none is ever in another's way. */
static enum status currency_load(struct store_txn *txn, uint32_t number,
                                 const struct currency **currency)
{
    struct cache *cache = &txn->store->currencies;
    *currency = cache_find(cache, number);
    if (*currency != NULL) {
        return STATUS_OK;
    }
    struct currency read;
    const enum status status = store_currency_stored(txn, number, &read);
    if (status != STATUS_OK) {
        return status;
    }
    struct currency *place = cache_place(cache, number);
    if (place == NULL) {
        return STATUS_NO_MEMORY;
    }
    *place = read;
    *currency = place;
    return STATUS_OK;
}

enum status store_currency(struct store_txn *txn, uint32_t number, struct currency *currency)
{
    assert(txn != NULL && currency != NULL);
    if (txn != &txn->store->write || number > CURRENCIES_MAX) {
        return store_currency_stored(txn, number, currency);
    }
    const struct currency *held = NULL;
    const enum status status = currency_load(txn, number, &held);
    if (status == STATUS_OK) {
        assert(held->number == number);
        *currency = *held;
    }
    return status;
}

enum status store_currency_number(struct store_txn *txn, struct text code, uint32_t *number)
{
    assert(currency_code_valid(code) && number != NULL);
    const bool is_write = txn == &txn->store->write;
    struct cache *cache = &txn->store->currencies;
    if (is_write) {
        const uint64_t hint = cache_named(cache, code);
        const struct currency *held = cache_find(cache, hint);
        if (held != NULL && text_equal(code, text_of(held->code))) {
            *number = (uint32_t)hint;
            return STATUS_OK;
        }
    }
    uint64_t wide;
    const enum status status =
        store_get_number(txn, TABLE_CURRENCY_CODES, store_text_value(code), &wide);
    if (status != STATUS_OK) {
        return status;
    }
    if (wide > CURRENCIES_MAX) {
        return STATUS_CORRUPT;
    }
    *number = (uint32_t)wide;
    if (is_write) {
        cache_note_name(cache, code, wide);
    }
    return STATUS_OK;
}

enum status store_currency_put(struct store_txn *txn, const struct currency *currency, bool is_new)
{
    assert(txn == &txn->store->write);
    assert(currency->number >= 1 && currency->number <= CURRENCIES_MAX);
    struct cache *cache = &txn->store->currencies;
    struct currency *place = cache_place(cache, currency->number);
    if (place == NULL) {
        return STATUS_NO_MEMORY;
    }
    *place = *currency;
    if (!is_new) {
        cache_set_dirty(cache, currency->number, true);
        return STATUS_OK;
    }
    const enum status status = currency_write(txn, currency, MDB_APPEND);
    return status == STATUS_OK ? store_put_number(txn, TABLE_CURRENCY_CODES,
                                                  store_text_value(text_of(currency->code)),
                                                  currency->number, MDB_NOOVERWRITE)
                               : status;
}

enum status store_cache_write(struct store_txn *txn)
{
    assert(txn == &txn->store->write && txn->txn != NULL);
    struct store *store = txn->store;
    void *value = NULL;
    uint32_t at = 0;
    for (uint64_t number = cache_next_dirty(&store->accounts, &at, &value); number != 0;
         number = cache_next_dirty(&store->accounts, &at, &value)) {
        const enum status status = account_write(txn, number, row_of(value), 0);
        if (status != STATUS_OK) {
            return status;
        }
        cache_set_dirty(&store->accounts, number, false);
    }
    at = 0;
    for (uint64_t number = cache_next_dirty(&store->currencies, &at, &value); number != 0;
         number = cache_next_dirty(&store->currencies, &at, &value)) {
        const enum status status = currency_write(txn, value, 0);
        if (status != STATUS_OK) {
            return status;
        }
        cache_set_dirty(&store->currencies, number, false);
    }
    assert(store->accounts.dirty_count == 0 && store->currencies.dirty_count == 0);
    return STATUS_OK;
}
