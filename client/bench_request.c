#include "base/check.h"
#include "client/bench_message.h"

#include <string.h>

enum { ACCOUNT_DIGITS = 7, SLOT_DIGITS = 4, UUID_CHARACTERS = UUID_TEXT_BYTES - 1 };

static_assert(BENCH_ACCOUNTS_MAX <= 10000000, "seven digits name an account");

static void digits_put(char *at, uint32_t value, uint32_t count)
{
    for (uint32_t i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    assert(value == 0);
}

void bench_account_name(uint32_t account, char name[BENCH_ACCOUNT_BYTES])
{
    memcpy(name, "bench-0000000", BENCH_ACCOUNT_BYTES);
    digits_put(name + BENCH_ACCOUNT_BYTES - 1 - ACCOUNT_DIGITS, account, ACCOUNT_DIGITS);
}

/* Where each piece stands in the text of a payment. */
#define PAYMENT_TEXT                                                                               \
    "{\"id\":\"00000000-0000-0000-0000-000000000000\",\"debit\":\"bench-0000000\","                \
    "\"credit\":\"bench-0000000\",\"amount\":\"100\"}"
enum {
    PAYMENT_BYTES = sizeof(PAYMENT_TEXT) - 1,
    PAYMENT_ID_AT = sizeof("{\"id\":\"") - 1,
    PAYMENT_DEBIT_AT = PAYMENT_ID_AT + UUID_CHARACTERS + sizeof("\",\"debit\":\"bench-") - 1,
    PAYMENT_CREDIT_AT = PAYMENT_DEBIT_AT + ACCOUNT_DIGITS + sizeof("\",\"credit\":\"bench-") - 1
};
static_assert(PAYMENT_BYTES + 128 < BENCH_PAYMENT_BYTES_MAX, "a head has less than 128 bytes");
static_assert(BENCH_AMOUNT_MINOR == 100, "as the text says");

static void payment_put(const struct bench_batch *batch, uint32_t item, char *at)
{
    const uint64_t number = batch->request * batch->plan->options->payments + item;
    uint32_t debit = 0;
    uint32_t credit = 0;
    char id_text[UUID_TEXT_BYTES];
    bench_plan_accounts(batch->plan, batch->lane, number, &debit, &credit);
    const struct uuid id = bench_plan_id(batch->plan, batch->lane, number, batch->ms);
    uuid_format(&id, id_text);
    memcpy(at, PAYMENT_TEXT, PAYMENT_BYTES);
    memcpy(at + PAYMENT_ID_AT, id_text, UUID_CHARACTERS);
    digits_put(at + PAYMENT_DEBIT_AT, debit, ACCOUNT_DIGITS);
    digits_put(at + PAYMENT_CREDIT_AT, credit, ACCOUNT_DIGITS);
}

static void literal(struct buffer *out, struct text text)
{
    write_bytes(out, text.data, text.size);
}

static void envelope_open(uint32_t slot, struct text method, struct buffer *out)
{
    char digits[SLOT_DIGITS];
    assert(slot < SESSION_REQUESTS_MAX);
    digits_put(digits, BENCH_WIRE_ID_FIRST + slot, SLOT_DIGITS);
    literal(out, TEXT("{\"jsonrpc\":\"2.0\",\"id\":"));
    write_bytes(out, digits, SLOT_DIGITS);
    literal(out, TEXT(",\"method\":\""));
    literal(out, method);
    literal(out, TEXT("\",\"params\":"));
}

void bench_request_pay(const struct bench_batch *batch, uint32_t slot, struct buffer *out)
{
    const uint32_t payments = batch->plan->options->payments;
    envelope_open(slot, payments == 1 ? TEXT("payment.create") : TEXT("payment.batch"), out);
    if (payments > 1) {
        literal(out, TEXT("{\"mode\":\"independent\",\"items\":["));
    }
    const size_t bytes = (size_t)payments * (PAYMENT_BYTES + 1);
    if (!buffer_reserve(out, bytes)) {
        return;
    }
    char *at = (char *)out->data + out->size;
    for (uint32_t i = 0; i < payments; i++) {
        payment_put(batch, i, at);
        at[PAYMENT_BYTES] = ',';
        at += PAYMENT_BYTES + 1;
    }
    out->size += bytes - 1; /* no comma behind the last */
    literal(out, payments == 1 ? TEXT("}") : TEXT("]}}"));
}

void bench_request_account(uint32_t account, uint32_t slot, bool stale, struct buffer *out)
{
    char name[BENCH_ACCOUNT_BYTES];
    bench_account_name(account, name);
    envelope_open(slot, TEXT("account.get"), out);
    literal(out, TEXT("{\"id\":\""));
    write_bytes(out, name, BENCH_ACCOUNT_BYTES - 1);
    literal(out, stale ? TEXT("\",\"stale\":true}}") : TEXT("\"}}"));
}

void bench_request_payment(const struct uuid *id, uint32_t slot, bool stale, struct buffer *out)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(id, text);
    envelope_open(slot, TEXT("payment.get"), out);
    literal(out, TEXT("{\"id\":\""));
    write_bytes(out, text, UUID_CHARACTERS);
    literal(out, stale ? TEXT("\",\"stale\":true}}") : TEXT("\"}}"));
}
