#include "bench/etcd_message.h"

#include "base/check.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, PAYMENT_BYTES = 48 };
enum { COMPARE_CREATE = 1, COMPARE_MOD = 2 }; /* Compare.CompareTarget */
enum { DIGITS = ETCD_ACCOUNT_KEY_BYTES - 1 };

/* ---- writing ------------------------------------------------------------------------------ */

static void field_varint(struct buffer *buffer, uint32_t field, uint64_t value)
{
    write_varint(buffer, (uint64_t)field << 3 | WIRE_VARINT);
    write_varint(buffer, value);
}

static void field_bytes(struct buffer *buffer, uint32_t field, const void *bytes, size_t size)
{
    write_varint(buffer, (uint64_t)field << 3 | WIRE_BYTES);
    write_varint(buffer, size);
    write_bytes(buffer, bytes, size);
}

/* A message inside a message, built in a small buffer of its own. */
struct part {
    uint8_t bytes[256];
    struct buffer buffer;
};

static void part_init(struct part *part)
{
    part->buffer = (struct buffer){
        .data = part->bytes, .capacity = sizeof(part->bytes), .size_max = sizeof(part->bytes)};
}

static void field_part(struct buffer *buffer, uint32_t field, const struct part *part)
{
    assert(!part->buffer.failed && part->buffer.data == part->bytes);
    field_bytes(buffer, field, part->buffer.data, part->buffer.size);
}

void etcd_account_key(uint32_t account, uint8_t key[ETCD_ACCOUNT_KEY_BYTES])
{
    key[0] = 'a';
    for (size_t i = DIGITS; i >= 1; i--) {
        key[i] = (uint8_t)('0' + account % 10);
        account /= 10;
    }
}

static void payment_key(const struct etcd_payment *payment, uint8_t key[ETCD_PAYMENT_KEY_BYTES])
{
    key[0] = 'p';
    memcpy(key + 1, payment->id, sizeof(payment->id));
}

static void account_value(const struct etcd_account *account, uint8_t value[ETCD_ACCOUNT_BYTES])
{
    put_u64(value, account->debits_posted);
    put_u64(value + 8, account->credits_posted);
    put_u64(value + 16, account->debits_held);
    put_u64(value + 24, account->credits_held);
}

/* TxnRequest.success: a PutRequest. */
static void write_put(struct buffer *buffer, const void *key, size_t key_size, const void *value,
                      size_t value_size)
{
    struct part put;
    struct part operation;
    part_init(&put);
    part_init(&operation);
    field_bytes(&put.buffer, 1, key, key_size);
    field_bytes(&put.buffer, 2, value, value_size);
    field_part(&operation.buffer, 2, &put);
    field_part(buffer, 2, &operation);
}

/* TxnRequest.failure: a RangeRequest of one key. */
static void write_get(struct buffer *buffer, const void *key, size_t key_size)
{
    struct part range;
    struct part operation;
    part_init(&range);
    part_init(&operation);
    field_bytes(&range.buffer, 1, key, key_size);
    field_part(&operation.buffer, 1, &range);
    field_part(buffer, 3, &operation);
}

/* TxnRequest.compare: a revision of a key equals. The result EQUAL is 0, so it is not sent. */
static void write_compare(struct buffer *buffer, uint32_t target, const void *key, size_t key_size,
                          uint64_t revision)
{
    struct part compare;
    part_init(&compare);
    field_varint(&compare.buffer, 2, target);
    field_bytes(&compare.buffer, 3, key, key_size);
    field_varint(&compare.buffer, target == COMPARE_CREATE ? 5 : 6, revision);
    field_part(buffer, 1, &compare);
}

void etcd_write_open(struct buffer *buffer, uint32_t first, uint32_t count)
{
    const uint8_t value[ETCD_ACCOUNT_BYTES] = {0};
    uint8_t key[ETCD_ACCOUNT_KEY_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        etcd_account_key(first + i, key);
        write_put(buffer, key, sizeof(key), value, sizeof(value));
    }
}

void etcd_write_payment(struct buffer *buffer, const struct etcd_payment *payment,
                        const struct etcd_account *debit, const struct etcd_account *credit)
{
    uint8_t debit_key[ETCD_ACCOUNT_KEY_BYTES];
    uint8_t credit_key[ETCD_ACCOUNT_KEY_BYTES];
    uint8_t key[ETCD_PAYMENT_KEY_BYTES];
    uint8_t value[ETCD_ACCOUNT_BYTES];
    uint8_t record[PAYMENT_BYTES] = {0};
    struct etcd_account debit_after = *debit;
    struct etcd_account credit_after = *credit;
    assert(payment->debit != payment->credit);
    debit_after.debits_posted += payment->amount_minor;
    credit_after.credits_posted += payment->amount_minor;
    etcd_account_key(payment->debit, debit_key);
    etcd_account_key(payment->credit, credit_key);
    payment_key(payment, key);

    write_compare(buffer, COMPARE_CREATE, key, sizeof(key), 0);
    write_compare(buffer, COMPARE_MOD, debit_key, sizeof(debit_key), debit->revision);
    write_compare(buffer, COMPARE_MOD, credit_key, sizeof(credit_key), credit->revision);

    put_u32(record, payment->debit);
    put_u32(record + 4, payment->credit);
    put_u64(record + 8, payment->amount_minor);
    put_u64(record + 16, debit_after.debits_posted);
    put_u64(record + 24, debit_after.credits_posted);
    put_u64(record + 32, credit_after.debits_posted);
    put_u64(record + 40, credit_after.credits_posted);
    write_put(buffer, key, sizeof(key), record, sizeof(record));
    account_value(&debit_after, value);
    write_put(buffer, debit_key, sizeof(debit_key), value, sizeof(value));
    account_value(&credit_after, value);
    write_put(buffer, credit_key, sizeof(credit_key), value, sizeof(value));

    write_get(buffer, debit_key, sizeof(debit_key));
    write_get(buffer, credit_key, sizeof(credit_key));
    write_get(buffer, key, sizeof(key));
}

void etcd_write_range(struct buffer *buffer, uint32_t first, uint32_t count)
{
    uint8_t begin[ETCD_ACCOUNT_KEY_BYTES];
    uint8_t end[ETCD_ACCOUNT_KEY_BYTES];
    etcd_account_key(first, begin);
    etcd_account_key(first + count, end);
    field_bytes(buffer, 1, begin, sizeof(begin));
    field_bytes(buffer, 2, end, sizeof(end));
}

/* ---- reading ------------------------------------------------------------------------------ */

struct field {
    uint32_t number;
    uint64_t value;      /* of a varint */
    struct reader bytes; /* of everything else */
};

/* The next field of a message; false at its end, and where it is malformed (reader->failed). */
static bool field_next(struct reader *reader, struct field *field)
{
    if (reader_left(reader) == 0) {
        return false;
    }
    const uint64_t tag = read_varint(reader);
    field->number = (uint32_t)(tag >> 3);
    field->value = 0;
    field->bytes = reader_of(NULL, 0);
    if ((tag & 7) == WIRE_VARINT) {
        field->value = read_varint(reader);
        return !reader->failed;
    }
    if ((tag & 7) != WIRE_BYTES) {
        reader->failed = true;
        return false;
    }
    const uint64_t size = read_varint(reader);
    const uint8_t *bytes = size > reader_left(reader) ? NULL : read_bytes(reader, size);
    reader->failed = reader->failed || bytes == NULL;
    if (!reader->failed) {
        field->bytes = reader_of(bytes, size);
    }
    return !reader->failed;
}

struct pair {
    struct text key, value;
    uint64_t revision;
};

/* mvccpb.KeyValue */
static bool pair_read(struct reader reader, struct pair *pair)
{
    struct field field;
    *pair = (struct pair){.revision = 0};
    while (field_next(&reader, &field)) {
        const struct text bytes = {(const char *)field.bytes.at, reader_left(&field.bytes)};
        pair->key = field.number == 1 ? bytes : pair->key;
        pair->value = field.number == 5 ? bytes : pair->value;
        pair->revision = field.number == 3 ? field.value : pair->revision;
    }
    return !reader.failed;
}

static bool pair_account(const struct pair *pair, uint32_t *number, struct etcd_account *account)
{
    if (pair->key.size != ETCD_ACCOUNT_KEY_BYTES || pair->key.data[0] != 'a' ||
        pair->value.size != ETCD_ACCOUNT_BYTES) {
        return false;
    }
    uint32_t parsed = 0;
    for (size_t i = 1; i < ETCD_ACCOUNT_KEY_BYTES; i++) {
        parsed = parsed * 10 + (uint32_t)(pair->key.data[i] - '0');
    }
    struct reader value = reader_of(pair->value.data, pair->value.size);
    account->revision = pair->revision;
    account->debits_posted = read_u64(&value);
    account->credits_posted = read_u64(&value);
    account->debits_held = read_u64(&value);
    account->credits_held = read_u64(&value);
    *number = parsed;
    return true;
}

/* ResponseHeader.revision */
static uint64_t header_revision(struct reader reader)
{
    struct field field;
    uint64_t revision = 0;
    while (field_next(&reader, &field)) {
        revision = field.number == 3 ? field.value : revision;
    }
    return revision;
}

/* What a failed transaction read: RangeResponse.kvs of one of the three keys. */
static bool outcome_range(struct reader range, const struct etcd_payment *payment,
                          struct etcd_outcome *outcome)
{
    struct field field;
    while (field_next(&range, &field)) {
        struct pair pair;
        struct etcd_account account;
        uint32_t number = 0;
        if (field.number != 2) {
            continue;
        }
        if (!pair_read(field.bytes, &pair)) {
            return false;
        }
        if (!pair_account(&pair, &number, &account)) {
            outcome->exists = true;
            continue;
        }
        if (number == payment->debit) {
            outcome->debit = account;
        } else {
            outcome->credit = account;
        }
    }
    return !range.failed;
}

bool etcd_read_outcome(const uint8_t *bytes, size_t size, const struct etcd_payment *payment,
                       struct etcd_outcome *outcome)
{
    struct reader reader = reader_of(bytes, size);
    struct field field;
    struct etcd_outcome read = {.succeeded = false};
    while (field_next(&reader, &field)) {
        if (field.number == 1) {
            read.revision = header_revision(field.bytes);
        } else if (field.number == 2) {
            read.succeeded = field.value != 0;
        } else if (field.number == 3) {
            struct field inner;
            while (field_next(&field.bytes, &inner)) {
                if (inner.number == 1 && !outcome_range(inner.bytes, payment, &read)) {
                    return false;
                }
            }
        }
    }
    if (reader.failed || read.revision == 0) {
        return false;
    }
    *outcome = read;
    return true;
}

bool etcd_read_range(const uint8_t *bytes, size_t size,
                     void (*each)(void *data, uint32_t account, const struct etcd_account *now),
                     void *data)
{
    struct reader reader = reader_of(bytes, size);
    struct field field;
    while (field_next(&reader, &field)) {
        struct pair pair;
        struct etcd_account account;
        uint32_t number = 0;
        if (field.number != 2) {
            continue;
        }
        if (!pair_read(field.bytes, &pair) || !pair_account(&pair, &number, &account)) {
            return false;
        }
        each(data, number, &account);
    }
    return !reader.failed;
}
