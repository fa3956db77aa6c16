#include "ledger/row.h"

#include "base/check.h"

#include <string.h>

/*
 * Flags of an account's row. The last three say which form its numbers have: the shortest that
 * holds them, so that one account has one row.
 */
enum {
    ROW_DEBIT_NORMAL = 1,
    ROW_UNLIMITED = 2,
    ROW_LIMIT = 4,         /* the overdraft limit is there, else it is 0 */
    ROW_WIDE_COUNTERS = 8, /* all four with 16 bytes, else only the posted ones with 8 */
    ROW_WIDE_NUMBERS = 16, /* seqs, term and number of entries have 8 bytes, else 4 */
    ROW_LEVELS = 32,       /* so many times two more levels of the history */
    ROW_LEVELS_SHIFT = 5,
    ROW_LEVELS_STEP = 2, /* levels come in steps, else a growing account would grow too often */
    ROW_LEVELS_STEPS_MAX = HISTORY_LEVELS / ROW_LEVELS_STEP - 1
};
static_assert(HISTORY_LEVELS % ROW_LEVELS_STEP == 0, "levels are whole steps");
static_assert(1 << ROW_LEVELS_SHIFT == ROW_LEVELS && ROW_LEVELS_STEPS_MAX < 8,
              "the steps fit the upper three bits");

/* Where the fields of an account stand; behind the time numbers, counters, the limit and the id. */
enum {
    ACCOUNT_FLAGS = 0,
    ACCOUNT_STATE = 1,
    ACCOUNT_CURRENCY = 2, /* 2 bytes */
    ACCOUNT_TIME = 4,
    ACCOUNT_NUMBERS = 12,     /* seq, term, entries, the history's levels */
    ACCOUNT_NUMBERS_COUNT = 3 /* before the levels */
};
static_assert(ACCOUNT_NUMBERS + 8 * (ACCOUNT_NUMBERS_COUNT + HISTORY_LEVELS) + 4 * 16 + 16 +
                      ACCOUNT_ID_BYTES_MAX ==
                  ACCOUNT_ROW_BYTES_MAX,
              "the longest row has all fields in their widest form");
static_assert(ACCOUNT_ROW_BYTES_MAX < 256, "accounts are rewritten for every payment");
static_assert(CURRENCIES_MAX <= UINT16_MAX, "a currency's number takes two bytes");

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

static size_t levels_of(uint8_t flags)
{
    return ROW_LEVELS_STEP * ((size_t)(flags >> ROW_LEVELS_SHIFT) + 1);
}

static size_t number_bytes(uint8_t flags)
{
    return (flags & ROW_WIDE_NUMBERS) != 0 ? 8 : 4;
}

/* Bytes of a row without its id. */
static size_t fixed_bytes(uint8_t flags)
{
    return ACCOUNT_NUMBERS + number_bytes(flags) * (ACCOUNT_NUMBERS_COUNT + levels_of(flags)) +
           ((flags & ROW_WIDE_COUNTERS) != 0 ? 4 * 16 : 2 * 8) +
           ((flags & ROW_LIMIT) != 0 ? 16 : 0);
}

static uint8_t flags_of(const struct account *account)
{
    const u128 posted = account->debits_posted | account->credits_posted;
    uint64_t numbers = account->seq | account->term | account->entries_count;
    unsigned steps = 0;
    for (unsigned level = 0; level < HISTORY_LEVELS; level++) {
        numbers |= account->history_seq[level];
        if (account->history_seq[level] != 0) {
            steps = level / ROW_LEVELS_STEP;
        }
    }
    const bool wide = posted > UINT64_MAX || (account->debits_held | account->credits_held) != 0;
    return (uint8_t)((account->debit_normal ? ROW_DEBIT_NORMAL : 0U) |
                     (account->overdraft_kind == OVERDRAFT_UNLIMITED ? ROW_UNLIMITED : 0U) |
                     (account->overdraft_limit != 0 ? ROW_LIMIT : 0U) |
                     (wide ? ROW_WIDE_COUNTERS : 0U) |
                     (numbers > UINT32_MAX ? ROW_WIDE_NUMBERS : 0U) | steps << ROW_LEVELS_SHIFT);
}

struct text account_row_id(struct text row)
{
    assert(row.size > 0);
    const size_t fixed = fixed_bytes((uint8_t)row.data[ACCOUNT_FLAGS]);
    assert(row.size > fixed);
    return (struct text){.data = row.data + fixed, .size = row.size - fixed};
}

static uint8_t *number_put(uint8_t *at, uint8_t flags, uint64_t number)
{
    if ((flags & ROW_WIDE_NUMBERS) != 0) {
        put_u64(at, number);
    } else {
        put_u32(at, (uint32_t)number);
    }
    return at + number_bytes(flags);
}

static uint64_t number_get(const uint8_t **at, uint8_t flags)
{
    const uint8_t *from = *at;
    *at += number_bytes(flags);
    return (flags & ROW_WIDE_NUMBERS) != 0 ? get_u64(from) : get_u32(from);
}

size_t account_row_write(uint8_t row[ACCOUNT_ROW_BYTES_MAX], const struct account *account)
{
    assert(account->id_size >= 1 && account->id_size <= ACCOUNT_ID_BYTES_MAX);
    assert(account->currency >= 1 && account->currency <= CURRENCIES_MAX);
    assert(account->overdraft_limit < AMOUNT_LIMIT);
    const uint8_t flags = flags_of(account);
    row[ACCOUNT_FLAGS] = flags;
    row[ACCOUNT_STATE] = account->flags;
    row[ACCOUNT_CURRENCY] = (uint8_t)account->currency;
    row[ACCOUNT_CURRENCY + 1] = (uint8_t)(account->currency >> 8);
    put_u64(row + ACCOUNT_TIME, (uint64_t)account->time_ns);
    uint8_t *at = number_put(row + ACCOUNT_NUMBERS, flags, account->seq);
    at = number_put(at, flags, account->term);
    at = number_put(at, flags, account->entries_count);
    for (size_t level = 0; level < levels_of(flags); level++) {
        at = number_put(at, flags, account->history_seq[level]);
    }
    if ((flags & ROW_WIDE_COUNTERS) != 0) {
        const u128 counters[4] = {account->debits_posted, account->credits_posted,
                                  account->debits_held, account->credits_held};
        counters_write(at, counters);
        at += 4 * 16;
    } else {
        put_u64(at, (uint64_t)account->debits_posted);
        put_u64(at + 8, (uint64_t)account->credits_posted);
        at += 2 * 8;
    }
    if ((flags & ROW_LIMIT) != 0) {
        put_u128(at, account->overdraft_limit);
        at += 16;
    }
    memcpy(at, account->id, account->id_size);
    return (size_t)(at - row) + account->id_size;
}

/* The counters behind the numbers, and the limit. */
static void amounts_decode(const uint8_t *at, uint8_t flags, struct account *account)
{
    if ((flags & ROW_WIDE_COUNTERS) != 0) {
        account->debits_posted = get_u128(at);
        account->credits_posted = get_u128(at + 16);
        account->debits_held = get_u128(at + 32);
        account->credits_held = get_u128(at + 48);
        at += 4 * 16;
    } else {
        account->debits_posted = get_u64(at);
        account->credits_posted = get_u64(at + 8);
        account->debits_held = 0;
        account->credits_held = 0;
        at += 2 * 8;
    }
    account->overdraft_limit = (flags & ROW_LIMIT) != 0 ? get_u128(at) : 0;
}

void account_row_decode(struct text row, uint64_t number, struct account *account)
{
    const uint8_t *begin = (const uint8_t *)row.data;
    const uint8_t flags = begin[ACCOUNT_FLAGS];
    const struct text id = account_row_id(row);
    assert(id.size >= 1 && id.size <= ACCOUNT_ID_BYTES_MAX);
    account->number = number;
    memcpy(account->id, id.data, id.size);
    account->id[id.size] = '\0';
    account->id_size = (uint8_t)id.size;
    account->debit_normal = (flags & ROW_DEBIT_NORMAL) != 0;
    account->overdraft_kind = (flags & ROW_UNLIMITED) != 0 ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT;
    account->flags = begin[ACCOUNT_STATE];
    account->currency = (uint32_t)begin[ACCOUNT_CURRENCY] | (uint32_t)begin[ACCOUNT_CURRENCY + 1]
                                                                << 8;
    account->time_ns = (int64_t)get_u64(begin + ACCOUNT_TIME);
    const uint8_t *at = begin + ACCOUNT_NUMBERS;
    account->seq = number_get(&at, flags);
    account->term = number_get(&at, flags);
    account->entries_count = number_get(&at, flags);
    const size_t levels = levels_of(flags);
    for (size_t level = 0; level < HISTORY_LEVELS; level++) {
        account->history_seq[level] = level < levels ? number_get(&at, flags) : 0;
    }
    amounts_decode(at, flags, account);
}

enum status account_row_read(struct text row, uint64_t number, struct account *account)
{
    assert(account != NULL && number > 0);
    const uint8_t flags = row.size > 0 ? (uint8_t)row.data[ACCOUNT_FLAGS] : UINT8_MAX;
    if (flags >> ROW_LEVELS_SHIFT > ROW_LEVELS_STEPS_MAX || row.size <= fixed_bytes(flags) ||
        row.size > fixed_bytes(flags) + ACCOUNT_ID_BYTES_MAX ||
        !account_id_valid(account_row_id(row))) {
        return STATUS_CORRUPT;
    }
    struct account read;
    account_row_decode(row, number, &read);
    if (read.debits_posted >= AMOUNT_LIMIT || read.credits_posted >= AMOUNT_LIMIT ||
        read.debits_held >= AMOUNT_LIMIT || read.credits_held >= AMOUNT_LIMIT ||
        read.overdraft_limit >= AMOUNT_LIMIT || read.currency < 1 ||
        read.currency > CURRENCIES_MAX || flags_of(&read) != flags) {
        return STATUS_CORRUPT;
    }
    *account = read;
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
