/*
 * Accounts and currencies of the write transaction, decoded in memory: what changes with every
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

static_assert(sizeof(struct account) % 16 == 0 && sizeof(struct currency) % 16 == 0,
              "values of the cache are aligned for 128-bit numbers");
static_assert((long long)ACCOUNTS_CACHED_MAX * (long long)(sizeof(struct account) + 16) <=
                  160 * 1024 * 1024,
              "the cache stays well below the memory of a node");

void store_cache_init(struct store *store)
{
    cache_init(&store->accounts, ACCOUNTS_CACHED_MAX, sizeof(struct account));
    cache_init(&store->currencies, CURRENCIES_MAX, sizeof(struct currency));
}

void store_cache_clear(struct store *store)
{
    cache_clear(&store->accounts);
    cache_clear(&store->currencies);
}

static enum status account_write(struct store_txn *txn, const struct account *account,
                                 unsigned flags)
{
    uint8_t bytes[ACCOUNT_ROW_BYTES_MAX];
    account_row_write(bytes, account);
    const struct text row = {.data = (const char *)bytes, .size = account_row_size(account)};
    return store_put(txn, TABLE_ACCOUNTS, store_number_key(&account->number), row, flags);
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

/* A place for the account; the one that stood there is written where it must be. */
static enum status account_place(struct store_txn *txn, uint64_t number, struct account **place)
{
    struct cache *cache = &txn->store->accounts;
    void *other = NULL;
    const uint64_t other_number = cache_in_the_way(cache, number, &other);
    if (other_number != 0) {
        const enum status status = account_write(txn, other, 0);
        if (status != STATUS_OK) {
            return status;
        }
        cache_set_dirty(cache, other_number, false);
    }
    *place = cache_place(cache, number);
    return *place != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* The account in the cache, loaded where it is not there. Valid until the next one is loaded. */
static enum status account_load(struct store_txn *txn, uint64_t number,
                                const struct account **account)
{
    *account = cache_find(&txn->store->accounts, number);
    if (*account != NULL) {
        return STATUS_OK;
    }
    struct account read;
    enum status status = store_account_stored(txn, number, &read);
    struct account *place = NULL;
    if (status == STATUS_OK) {
        status = account_place(txn, number, &place);
    }
    if (status != STATUS_OK) {
        return status;
    }
    *place = read;
    *account = place;
    return STATUS_OK;
}

enum status store_account(struct store_txn *txn, uint64_t number, struct account *account)
{
    assert(txn != NULL && account != NULL);
    if (txn != &txn->store->write) {
        return store_account_stored(txn, number, account);
    }
    const struct account *held = NULL;
    const enum status status = account_load(txn, number, &held);
    if (status == STATUS_OK) {
        assert(held->number == number);
        *account = *held;
    }
    return status;
}

enum status store_account_number(struct store_txn *txn, struct text id, uint64_t *number)
{
    assert(account_id_valid(id) && number != NULL);
    const bool is_write = txn == &txn->store->write;
    struct cache *cache = &txn->store->accounts;
    if (is_write) {
        const uint64_t hint = cache_named(cache, id);
        const struct account *held = cache_find(cache, hint);
        if (held != NULL &&
            text_equal(id, (struct text){.data = held->id, .size = held->id_size})) {
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
    struct account *place = cache_find(&txn->store->accounts, account->number);
    if (place == NULL) {
        const enum status status = account_place(txn, account->number, &place);
        if (status != STATUS_OK) {
            return status;
        }
    }
    *place = *account;
    if (!is_new) {
        cache_set_dirty(&txn->store->accounts, account->number, true);
        return STATUS_OK;
    }
    const enum status status = account_write(txn, account, MDB_APPEND);
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
        const enum status status = account_write(txn, value, 0);
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
