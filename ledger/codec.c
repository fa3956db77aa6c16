#include "ledger/codec.h"

#include "base/check.h"

#include <string.h>

void write_zigzag128(struct buffer *out, i128 value)
{
    /* Doubling is done unsigned, where it wraps by definition. */
    const u128 doubled = (u128)value << 1;
    write_varint128(out, value < 0 ? ~doubled : doubled);
}

i128 read_zigzag128(struct reader *reader)
{
    const u128 coded = read_varint128(reader);
    const i128 half = (i128)(coded >> 1);
    return (coded & 1) != 0 ? -half - 1 : half;
}

void write_uuid(struct buffer *out, const struct uuid *uuid)
{
    assert(uuid_valid(uuid));
    write_bytes(out, uuid->bytes, sizeof(uuid->bytes));
}

bool read_uuid(struct reader *reader, struct uuid *uuid)
{
    const uint8_t *bytes = read_bytes(reader, sizeof(uuid->bytes));
    if (bytes == NULL) {
        return false;
    }
    memcpy(uuid->bytes, bytes, sizeof(uuid->bytes));
    return uuid_valid(uuid);
}

void write_time(struct buffer *out, int64_t time_ns)
{
    write_u64(out, (uint64_t)time_ns);
}

int64_t read_time(struct reader *reader)
{
    return (int64_t)read_u64(reader);
}

bool read_counter(struct reader *reader, u128 *value)
{
    *value = read_varint128(reader);
    return !reader->failed && *value < AMOUNT_LIMIT;
}

bool read_amount(struct reader *reader, u128 *value)
{
    return read_counter(reader, value) && *value > 0;
}

bool read_number(struct reader *reader, uint64_t value_max, uint64_t *value)
{
    *value = read_varint(reader);
    return !reader->failed && *value <= value_max;
}

bool read_account_id(struct reader *reader, struct text *id)
{
    *id = read_text(reader, ACCOUNT_ID_BYTES_MAX);
    return !reader->failed && account_id_valid(*id);
}

bool read_currency_code(struct reader *reader, struct text *code)
{
    *code = read_text(reader, CURRENCY_CODE_BYTES_MAX);
    return !reader->failed && currency_code_valid(*code);
}
