/*
 * The nouns of the ledger: ids, accounts, currencies. Plain values, no storage.
 */
#ifndef LEDGER_TYPES_H
#define LEDGER_TYPES_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/limits.h"

struct uuid {
    uint8_t bytes[16];
};

enum { UUID_TEXT_BYTES = 37 };

/* Clients see a seq as a JSON number, which is exact below 2^53. */
#define SEQ_MAX (((uint64_t)1 << 53) - 1)

/* 8-4-4-4-12 hexadecimal digits of either case (RFC 9562, section 4); nil and max are refused. */
bool uuid_parse(struct text text, struct uuid *uuid);
/* Neither nil nor max. */
bool uuid_valid(const struct uuid *uuid);
/* Lower case, with a terminator. */
void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES]);
bool uuid_equal(const struct uuid *a, const struct uuid *b);

/* 1-64 of [A-Za-z0-9:._-] */
bool account_id_valid(struct text id);
/* [A-Z][A-Z0-9]{1,11} */
bool currency_code_valid(struct text code);

enum overdraft_kind { OVERDRAFT_LIMIT = 0, OVERDRAFT_UNLIMITED = 1 };

/* What happened to a payment, for payment.get: kept small, stored in the log and in LMDB. */
enum command_kind { COMMAND_CURRENCY_CREATE = 1, COMMAND_ACCOUNT_OPEN = 2, COMMAND_PAYMENT = 3 };

/* The field that an outcome is about; with a leg where the field belongs to one. */
enum field {
    FIELD_NONE = 0,
    FIELD_ID = 1,
    FIELD_DEBIT = 2,
    FIELD_CREDIT = 3,
    FIELD_AMOUNT = 4,
    FIELD_CURRENCY = 5,
    FIELD_LEGS = 6,
    FIELD_VALID_UNTIL = 7,
    FIELD_EFFECTIVE_AT = 8,
    FIELD_REFERENCE = 9,
    FIELD_METADATA = 10,
    FIELD_CODE = 11,
    FIELD_SCALE = 12,
    FIELD_NORMAL = 13,
    FIELD_OVERDRAFT = 14,
    FIELD_COUNT
};

/* "debit", "valid_until" ...; "" for FIELD_NONE. */
const char *field_name(enum field field);

struct currency {
    uint32_t number; /* dense, from 1 */
    char code[CURRENCY_CODE_BYTES_MAX + 1];
    uint8_t scale;
    uint64_t seq; /* of its creation */
    uint64_t term;
    int64_t time_ns;
    /* Totals over all accounts of the currency. */
    u128 debits_posted;
    u128 credits_posted;
    u128 debits_held;
    u128 credits_held;
    uint64_t accounts_count;
};

/* Jump levels of an account's history: level l keeps the newest entry numbered k * 16^l. */
enum { HISTORY_LEVELS = 6, HISTORY_RADIX = 16 };

struct account {
    uint64_t number; /* dense, from 1 */
    char id[ACCOUNT_ID_BYTES_MAX + 1];
    uint8_t id_size;
    bool debit_normal;
    uint8_t overdraft_kind; /* enum overdraft_kind */
    uint8_t flags;          /* none yet; frozen and closed states go here */
    uint32_t currency;      /* number */
    u128 overdraft_limit;
    uint64_t seq; /* of its opening */
    uint64_t term;
    int64_t time_ns;
    /* Gross counters in minor units, below 2^126. */
    u128 debits_posted;
    u128 credits_posted;
    u128 debits_held;
    u128 credits_held;
    /* History: entries numbered 1..entries_count; payment seq of the newest one of each level;
     * level 0 is simply the newest. 0: none yet. */
    uint64_t entries_count;
    uint64_t history_seq[HISTORY_LEVELS];
};

/* Balance on the normal side: credits - debits, or the mirror image. */
i128 account_posted(const struct account *account);
/* Outgoing holds: debits_held of a credit-normal account, credits_held of a debit-normal one. */
u128 account_held(const struct account *account);
/* posted - held + overdraft limit; meaningless where the overdraft is unlimited. */
i128 account_available(const struct account *account);

#endif
