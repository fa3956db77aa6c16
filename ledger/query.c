#include "ledger/query.h"

#include "base/check.h"
#include "ledger/codec.h"

#include <string.h>

/* Where the head's fields stand. */
enum {
    AT_CODE = 0,
    AT_ZERO = 1, /* 3 bytes */
    AT_COUNT = 4,
    AT_SEQ = 8,
    AT_TERM = 16,
    AT_TIME = 24,
    AT_CURSOR = 32,
    AT_ACCOUNTS = 40,
    AT_PAYMENTS = 48,
    AT_CURRENCIES = 56,
    AT_DIGEST = 64
};
static_assert(AT_DIGEST + (int)DIGEST_BYTES == (int)ANSWER_HEAD_BYTES,
              "the head is as long as its fields");

bool query_is_scan(const struct query *query)
{
    assert(query != NULL);
    return query->kind >= QUERY_ACCOUNT_LIST;
}

void answer_head_put(uint8_t at[ANSWER_HEAD_BYTES], const struct answer_head *head)
{
    assert(head->seq <= SEQ_MAX);
    memset(at, 0, AT_COUNT);
    at[AT_CODE] = (uint8_t)head->code;
    put_u32(at + AT_COUNT, head->count);
    put_u64(at + AT_SEQ, head->seq);
    put_u64(at + AT_TERM, head->term);
    put_u64(at + AT_TIME, (uint64_t)head->time_ns);
    put_u64(at + AT_CURSOR, head->cursor);
    put_u64(at + AT_ACCOUNTS, head->accounts_count);
    put_u64(at + AT_PAYMENTS, head->payments_count);
    put_u64(at + AT_CURRENCIES, head->currencies_count);
    memcpy(at + AT_DIGEST, head->digest.bytes, sizeof(head->digest.bytes));
}

void answer_head_write(struct buffer *out, const struct answer_head *head)
{
    assert(out != NULL && head != NULL);
    uint8_t bytes[ANSWER_HEAD_BYTES];
    answer_head_put(bytes, head);
    write_bytes(out, bytes, sizeof(bytes));
}

enum status answer_head_read(struct reader *reader, struct answer_head *head)
{
    assert(reader != NULL && head != NULL);
    const uint8_t *at = read_bytes(reader, ANSWER_HEAD_BYTES);
    if (at == NULL) {
        return STATUS_INVALID;
    }
    for (size_t i = AT_ZERO; i < AT_COUNT; i++) {
        if (at[i] != 0) {
            return STATUS_INVALID;
        }
    }
    const uint8_t code = at[AT_CODE];
    if ((code != CODE_OK && code_info((enum code)code) == NULL) || get_u64(at + AT_SEQ) > SEQ_MAX) {
        return STATUS_INVALID;
    }
    struct answer_head read = {
        .code = (enum code)code,
        .seq = get_u64(at + AT_SEQ),
        .term = get_u64(at + AT_TERM),
        .time_ns = (int64_t)get_u64(at + AT_TIME),
        .cursor = get_u64(at + AT_CURSOR),
        .accounts_count = get_u64(at + AT_ACCOUNTS),
        .payments_count = get_u64(at + AT_PAYMENTS),
        .currencies_count = get_u64(at + AT_CURRENCIES),
        .count = get_u32(at + AT_COUNT),
    };
    memcpy(read.digest.bytes, at + AT_DIGEST, sizeof(read.digest.bytes));
    *head = read;
    return STATUS_OK;
}
