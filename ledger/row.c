#include "ledger/row.h"

#include "base/check.h"

#include <string.h>

enum { ROW_DEBIT_NORMAL = 1, ROW_UNLIMITED = 2, ROW_FLAGS_ALL = 3 };

/* Where the fields of an account stand. */
enum {
    ACCOUNT_FLAGS = 0,
    ACCOUNT_ID_SIZE = 1,
    ACCOUNT_STATE = 2,
    ACCOUNT_ZERO = 3,
    ACCOUNT_CURRENCY = 4,
    ACCOUNT_OVERDRAFT = 8,
    ACCOUNT_SEQ = 24,
    ACCOUNT_TERM = 32,
    ACCOUNT_TIME = 40,
    ACCOUNT_DEBITS_POSTED = 48,
    ACCOUNT_CREDITS_POSTED = 64,
    ACCOUNT_DEBITS_HELD = 80,
    ACCOUNT_CREDITS_HELD = 96,
    ACCOUNT_ENTRIES = 112,
    ACCOUNT_HISTORY = 120
};
static_assert(ACCOUNT_HISTORY + 8 * HISTORY_LEVELS == ACCOUNT_ROW_FIXED_BYTES,
              "the fixed part is as long as its fields");
static_assert(ACCOUNT_ROW_BYTES_MAX < 256, "accounts are rewritten for every payment");

/* Where the fields of a currency stand. */
enum {
    CURRENCY_SCALE = 0,
    CURRENCY_CODE_SIZE = 1,
    CURRENCY_ZERO = 2, /* 6 bytes */
    CURRENCY_SEQ = 8,
    CURRENCY_TERM = 16,
    CURRENCY_TIME = 24,
    CURRENCY_DEBITS_POSTED = 32,
    CURRENCY_CREDITS_POSTED = 48,
    CURRENCY_DEBITS_HELD = 64,
    CURRENCY_CREDITS_HELD = 80,
    CURRENCY_ACCOUNTS = 96
};
static_assert(CURRENCY_ACCOUNTS + 8 == CURRENCY_ROW_FIXED_BYTES,
              "the fixed part is as long as its fields");

/* Where the fields of the position stand. */
enum {
    POSITION_INDEX = 0,
    POSITION_SEQ = 8,
    POSITION_TERM = 16,
    POSITION_TIME = 24,
    POSITION_DIGEST = 32,
    POSITION_ACCOUNTS = 64,
    POSITION_PAYMENTS = 72,
    POSITION_CURRENCIES = 80,
    POSITION_ZERO = 84
};
static_assert(POSITION_ZERO + 4 == POSITION_ROW_BYTES, "the row is as long as its fields");

static void put_u128(uint8_t *at, u128 value)
{
    put_u64(at, (uint64_t)value);
    put_u64(at + 8, (uint64_t)(value >> 64));
}

static u128 get_u128(const uint8_t *at)
{
    return (u128)get_u64(at + 8) << 64 | get_u64(at);
}

/* The four gross counters stand side by side in accounts and currencies. */
static void counters_write(uint8_t *at, const u128 counters[4])
{
    for (size_t i = 0; i < 4; i++) {
        assert(counters[i] < AMOUNT_LIMIT);
        put_u128(at + 16 * i, counters[i]);
    }
}

static bool counters_read(const uint8_t *at, u128 counters[4])
{
    for (size_t i = 0; i < 4; i++) {
        counters[i] = get_u128(at + 16 * i);
        if (counters[i] >= AMOUNT_LIMIT) {
            return false;
        }
    }
    return true;
}

size_t account_row_size(const struct account *account)
{
    assert(account->id_size >= 1 && account->id_size <= ACCOUNT_ID_BYTES_MAX);
    return ACCOUNT_ROW_FIXED_BYTES + (size_t)account->id_size;
}

void account_row_write(uint8_t *at, const struct account *account)
{
    assert(account->currency >= 1 && account->currency <= CURRENCIES_MAX);
    assert(account->overdraft_limit < AMOUNT_LIMIT);
    at[ACCOUNT_FLAGS] =
        (uint8_t)((account->debit_normal ? ROW_DEBIT_NORMAL : 0) |
                  (account->overdraft_kind == OVERDRAFT_UNLIMITED ? ROW_UNLIMITED : 0));
    at[ACCOUNT_ID_SIZE] = account->id_size;
    at[ACCOUNT_STATE] = account->flags;
    at[ACCOUNT_ZERO] = 0;
    put_u32(at + ACCOUNT_CURRENCY, account->currency);
    put_u128(at + ACCOUNT_OVERDRAFT, account->overdraft_limit);
    put_u64(at + ACCOUNT_SEQ, account->seq);
    put_u64(at + ACCOUNT_TERM, account->term);
    put_u64(at + ACCOUNT_TIME, (uint64_t)account->time_ns);
    const u128 counters[4] = {account->debits_posted, account->credits_posted, account->debits_held,
                              account->credits_held};
    counters_write(at + ACCOUNT_DEBITS_POSTED, counters);
    put_u64(at + ACCOUNT_ENTRIES, account->entries_count);
    for (size_t level = 0; level < HISTORY_LEVELS; level++) {
        put_u64(at + ACCOUNT_HISTORY + 8 * level, account->history_seq[level]);
    }
    memcpy(at + ACCOUNT_ROW_FIXED_BYTES, account->id, account->id_size);
}

enum status account_row_read(struct text row, uint64_t number, struct account *account)
{
    assert(account != NULL && number > 0);
    const uint8_t *at = (const uint8_t *)row.data;
    if (row.size < ACCOUNT_ROW_FIXED_BYTES || row.size > ACCOUNT_ROW_BYTES_MAX ||
        row.size != ACCOUNT_ROW_FIXED_BYTES + (size_t)at[ACCOUNT_ID_SIZE] ||
        at[ACCOUNT_FLAGS] > ROW_FLAGS_ALL || at[ACCOUNT_ZERO] != 0) {
        return STATUS_CORRUPT;
    }
    const struct text id = {.data = row.data + ACCOUNT_ROW_FIXED_BYTES,
                            .size = at[ACCOUNT_ID_SIZE]};
    u128 counters[4];
    const u128 overdraft_limit = get_u128(at + ACCOUNT_OVERDRAFT);
    const uint32_t currency = get_u32(at + ACCOUNT_CURRENCY);
    if (!account_id_valid(id) || !counters_read(at + ACCOUNT_DEBITS_POSTED, counters) ||
        overdraft_limit >= AMOUNT_LIMIT || currency < 1 || currency > CURRENCIES_MAX) {
        return STATUS_CORRUPT;
    }
    account->number = number;
    memcpy(account->id, id.data, id.size);
    account->id[id.size] = '\0';
    account->id_size = (uint8_t)id.size;
    account->debit_normal = (at[ACCOUNT_FLAGS] & ROW_DEBIT_NORMAL) != 0;
    account->overdraft_kind =
        (at[ACCOUNT_FLAGS] & ROW_UNLIMITED) != 0 ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT;
    account->flags = at[ACCOUNT_STATE];
    account->currency = currency;
    account->overdraft_limit = overdraft_limit;
    account->seq = get_u64(at + ACCOUNT_SEQ);
    account->term = get_u64(at + ACCOUNT_TERM);
    account->time_ns = (int64_t)get_u64(at + ACCOUNT_TIME);
    account->debits_posted = counters[0];
    account->credits_posted = counters[1];
    account->debits_held = counters[2];
    account->credits_held = counters[3];
    account->entries_count = get_u64(at + ACCOUNT_ENTRIES);
    for (size_t level = 0; level < HISTORY_LEVELS; level++) {
        account->history_seq[level] = get_u64(at + ACCOUNT_HISTORY + 8 * level);
    }
    return STATUS_OK;
}

size_t currency_row_size(const struct currency *currency)
{
    const size_t code_size = strnlen(currency->code, sizeof(currency->code));
    assert(code_size >= 2 && code_size <= CURRENCY_CODE_BYTES_MAX);
    return CURRENCY_ROW_FIXED_BYTES + code_size;
}

void currency_row_write(uint8_t *at, const struct currency *currency)
{
    assert(currency->scale <= CURRENCY_SCALE_MAX);
    const size_t code_size = currency_row_size(currency) - CURRENCY_ROW_FIXED_BYTES;
    memset(at, 0, CURRENCY_SEQ);
    at[CURRENCY_SCALE] = currency->scale;
    at[CURRENCY_CODE_SIZE] = (uint8_t)code_size;
    put_u64(at + CURRENCY_SEQ, currency->seq);
    put_u64(at + CURRENCY_TERM, currency->term);
    put_u64(at + CURRENCY_TIME, (uint64_t)currency->time_ns);
    const u128 counters[4] = {currency->debits_posted, currency->credits_posted,
                              currency->debits_held, currency->credits_held};
    counters_write(at + CURRENCY_DEBITS_POSTED, counters);
    put_u64(at + CURRENCY_ACCOUNTS, currency->accounts_count);
    memcpy(at + CURRENCY_ROW_FIXED_BYTES, currency->code, code_size);
}

enum status currency_row_read(struct text row, uint32_t number, struct currency *currency)
{
    assert(currency != NULL && number > 0);
    const uint8_t *at = (const uint8_t *)row.data;
    if (row.size < CURRENCY_ROW_FIXED_BYTES || row.size > CURRENCY_ROW_BYTES_MAX ||
        row.size != CURRENCY_ROW_FIXED_BYTES + (size_t)at[CURRENCY_CODE_SIZE] ||
        at[CURRENCY_SCALE] > CURRENCY_SCALE_MAX) {
        return STATUS_CORRUPT;
    }
    for (size_t i = CURRENCY_ZERO; i < CURRENCY_SEQ; i++) {
        if (at[i] != 0) {
            return STATUS_CORRUPT;
        }
    }
    const struct text code = {.data = row.data + CURRENCY_ROW_FIXED_BYTES,
                              .size = at[CURRENCY_CODE_SIZE]};
    u128 counters[4];
    if (!currency_code_valid(code) || !counters_read(at + CURRENCY_DEBITS_POSTED, counters)) {
        return STATUS_CORRUPT;
    }
    struct currency read = {
        .number = number,
        .scale = at[CURRENCY_SCALE],
        .seq = get_u64(at + CURRENCY_SEQ),
        .term = get_u64(at + CURRENCY_TERM),
        .time_ns = (int64_t)get_u64(at + CURRENCY_TIME),
        .debits_posted = counters[0],
        .credits_posted = counters[1],
        .debits_held = counters[2],
        .credits_held = counters[3],
        .accounts_count = get_u64(at + CURRENCY_ACCOUNTS),
    };
    memcpy(read.code, code.data, code.size);
    *currency = read;
    return STATUS_OK;
}

void position_row_write(uint8_t at[POSITION_ROW_BYTES], const struct position *position)
{
    assert(position->seq <= SEQ_MAX);
    put_u64(at + POSITION_INDEX, position->index);
    put_u64(at + POSITION_SEQ, position->seq);
    put_u64(at + POSITION_TERM, position->term);
    put_u64(at + POSITION_TIME, (uint64_t)position->time_ns);
    memcpy(at + POSITION_DIGEST, position->digest.bytes, DIGEST_BYTES);
    put_u64(at + POSITION_ACCOUNTS, position->accounts_count);
    put_u64(at + POSITION_PAYMENTS, position->payments_count);
    put_u32(at + POSITION_CURRENCIES, position->currencies_count);
    put_u32(at + POSITION_ZERO, 0);
}

enum status position_row_read(struct text row, struct position *position)
{
    assert(position != NULL);
    const uint8_t *at = (const uint8_t *)row.data;
    if (row.size != POSITION_ROW_BYTES || get_u32(at + POSITION_ZERO) != 0 ||
        get_u64(at + POSITION_SEQ) > SEQ_MAX ||
        get_u32(at + POSITION_CURRENCIES) > CURRENCIES_MAX) {
        return STATUS_CORRUPT;
    }
    struct position read = {
        .index = get_u64(at + POSITION_INDEX),
        .seq = get_u64(at + POSITION_SEQ),
        .term = get_u64(at + POSITION_TERM),
        .time_ns = (int64_t)get_u64(at + POSITION_TIME),
        .accounts_count = get_u64(at + POSITION_ACCOUNTS),
        .payments_count = get_u64(at + POSITION_PAYMENTS),
        .currencies_count = get_u32(at + POSITION_CURRENCIES),
    };
    memcpy(read.digest.bytes, at + POSITION_DIGEST, DIGEST_BYTES);
    *position = read;
    return STATUS_OK;
}
