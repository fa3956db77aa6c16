#include "ledger/types.h"

#include "base/check.h"

#include <string.h>

static const char *const field_names[FIELD_COUNT] = {
    [FIELD_NONE] = "",
    [FIELD_ID] = "id",
    [FIELD_DEBIT] = "debit",
    [FIELD_CREDIT] = "credit",
    [FIELD_AMOUNT] = "amount",
    [FIELD_CURRENCY] = "currency",
    [FIELD_LEGS] = "legs",
    [FIELD_VALID_UNTIL] = "valid_until",
    [FIELD_EFFECTIVE_AT] = "effective_at",
    [FIELD_REFERENCE] = "reference",
    [FIELD_METADATA] = "metadata",
    [FIELD_CODE] = "code",
    [FIELD_SCALE] = "scale",
    [FIELD_NORMAL] = "normal",
    [FIELD_OVERDRAFT] = "overdraft",
};

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

/* Whether a dash stands in front of the byte at this index of a UUID's text. */
static bool uuid_dash_before(size_t index)
{
    return index == 4 || index == 6 || index == 8 || index == 10;
}

bool uuid_parse(struct text text, struct uuid *uuid)
{
    assert(uuid != NULL);
    if (text.size != UUID_TEXT_BYTES - 1) {
        return false;
    }
    struct uuid parsed;
    const char *at = text.data;
    for (size_t i = 0; i < sizeof(parsed.bytes); i++) {
        if (uuid_dash_before(i)) {
            if (*at != '-') {
                return false;
            }
            at++;
        }
        const int high = hex_value(at[0]);
        const int low = hex_value(at[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        parsed.bytes[i] = (uint8_t)(high * 16 + low);
        at += 2;
    }
    assert(at == text.data + text.size);
    if (!uuid_valid(&parsed)) {
        return false;
    }
    *uuid = parsed;
    return true;
}

bool uuid_valid(const struct uuid *uuid)
{
    assert(uuid != NULL);
    uint8_t all_or = 0;
    uint8_t all_and = 0xff;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        all_or |= uuid->bytes[i];
        all_and &= uuid->bytes[i];
    }
    return all_or != 0 && all_and != 0xff;
}

void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES])
{
    assert(uuid != NULL && text != NULL);
    static const char digits[] = "0123456789abcdef";
    char *at = text;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (uuid_dash_before(i)) {
            *at++ = '-';
        }
        *at++ = digits[uuid->bytes[i] >> 4];
        *at++ = digits[uuid->bytes[i] & 15];
    }
    *at++ = '\0';
    assert(at == text + UUID_TEXT_BYTES);
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    assert(a != NULL && b != NULL);
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One bit for each byte that may stand in an account's id: letters, digits and ":._-". */
static const uint64_t account_id_bytes[4] = {
    UINT64_C(0x07ff600000000000), /* "-.", "0" to "9", ":" */
    UINT64_C(0x07fffffe87fffffe), /* "A" to "Z", "_", "a" to "z" */
};

bool account_id_valid(struct text id)
{
    if (id.size < 1 || id.size > ACCOUNT_ID_BYTES_MAX) {
        return false;
    }
    uint64_t all = 1;
    for (size_t i = 0; i < id.size; i++) {
        const uint8_t byte = (uint8_t)id.data[i];
        all &= account_id_bytes[byte >> 6] >> (byte & 63);
    }
    return all != 0;
}

bool currency_code_valid(struct text code)
{
    if (code.size < 2 || code.size > CURRENCY_CODE_BYTES_MAX || !is_upper(code.data[0])) {
        return false;
    }
    for (size_t i = 1; i < code.size; i++) {
        if (!is_upper(code.data[i]) && !is_digit(code.data[i])) {
            return false;
        }
    }
    return true;
}

const char *field_name(enum field field)
{
    assert((unsigned)field < FIELD_COUNT);
    const char *name = field_names[field];
    assert(name != NULL);
    return name;
}

i128 account_posted(const struct account *account)
{
    assert(account->debits_posted < AMOUNT_LIMIT);
    assert(account->credits_posted < AMOUNT_LIMIT);
    const i128 net = (i128)account->credits_posted - (i128)account->debits_posted;
    return account->debit_normal ? -net : net;
}

u128 account_held(const struct account *account)
{
    assert(account->debits_held < AMOUNT_LIMIT);
    assert(account->credits_held < AMOUNT_LIMIT);
    return account->debit_normal ? account->credits_held : account->debits_held;
}

i128 account_available(const struct account *account)
{
    assert(account->overdraft_limit < AMOUNT_LIMIT);
    /* Above -2^127 and below 2^127: three numbers of less than 2^126, of which two may add up. */
    return account_posted(account) - (i128)account_held(account) + (i128)account->overdraft_limit;
}
