/*
 * The request form (docs/format.md). Decoding checks everything that needs no ledger state, so that
 * damaged or forged bytes stop here; the gateway has checked the same before, with better messages.
 */
#include "ledger/command.h"

#include "base/check.h"
#include "ledger/codec.h"
#include "ledger/command_parts.h"

enum { REQUEST_VERSION = 1 };

static bool request_count_fits(enum request_mode mode, uint64_t count)
{
    switch (mode) {
    case REQUEST_BARRIER:
        return count == 0;
    case REQUEST_SINGLE:
        return count == 1;
    case REQUEST_INDEPENDENT:
    case REQUEST_ATOMIC:
        return count >= 1 && count <= BATCH_ITEMS_MAX;
    }
    return false;
}

void request_write_head(struct buffer *out, enum request_mode mode, uint32_t count)
{
    assert(request_count_fits(mode, count));
    write_u8(out, REQUEST_VERSION);
    write_u8(out, (uint8_t)mode);
    write_varint(out, count);
}

enum status request_read_head(struct reader *reader, enum request_mode *mode, uint32_t *count)
{
    assert(mode != NULL && count != NULL);
    const uint8_t version = read_u8(reader);
    const uint8_t mode_read = read_u8(reader);
    const uint64_t count_read = read_varint(reader);
    if (reader->failed || version != REQUEST_VERSION || mode_read > REQUEST_ATOMIC ||
        !request_count_fits((enum request_mode)mode_read, count_read)) {
        return STATUS_INVALID;
    }
    *mode = (enum request_mode)mode_read;
    *count = (uint32_t)count_read;
    return STATUS_OK;
}

static void account_open_write(struct buffer *out, const struct account_open *open)
{
    assert(account_id_valid(open->id));
    assert(currency_code_valid(open->currency));
    const struct account_terms terms = {.debit_normal = open->debit_normal,
                                        .overdraft_kind = open->overdraft_kind,
                                        .overdraft_limit = open->overdraft_limit};
    write_text(out, open->id);
    write_text(out, open->currency);
    account_terms_write(out, &terms);
}

static bool account_open_read(struct reader *reader, struct account_open *open)
{
    struct account_terms terms;
    if (!read_account_id(reader, &open->id) || !read_currency_code(reader, &open->currency) ||
        !account_terms_read(reader, &terms)) {
        return false;
    }
    open->debit_normal = terms.debit_normal;
    open->overdraft_kind = terms.overdraft_kind;
    open->overdraft_limit = terms.overdraft_limit;
    return true;
}

static void leg_write(struct buffer *out, const struct leg *leg)
{
    assert(account_id_valid(leg->debit) && account_id_valid(leg->credit));
    assert(leg->currency.size == 0 || currency_code_valid(leg->currency));
    assert(leg->amount > 0 && leg->amount < AMOUNT_LIMIT);
    write_text(out, leg->debit);
    write_text(out, leg->credit);
    write_text(out, leg->currency);
    write_varint128(out, leg->amount);
}

static bool leg_read(struct reader *reader, struct leg *leg)
{
    if (!read_account_id(reader, &leg->debit) || !read_account_id(reader, &leg->credit)) {
        return false;
    }
    leg->currency = read_text(reader, CURRENCY_CODE_BYTES_MAX);
    if (reader->failed || (leg->currency.size > 0 && !currency_code_valid(leg->currency))) {
        return false;
    }
    return read_amount(reader, &leg->amount);
}

static void payment_write(struct buffer *out, const struct payment *payment)
{
    assert(payment->legs_count >= 1 && payment->legs_count <= LEGS_MAX);
    const struct payment_options options = {
        .short_form = payment->short_form,
        .has_valid_until = payment->has_valid_until,
        .has_effective_at = payment->has_effective_at,
        .has_reference = payment->has_reference,
        .has_metadata = payment->has_metadata,
        .valid_until_ns = payment->valid_until_ns,
        .effective_at_ns = payment->effective_at_ns,
        .reference = payment->reference,
        .metadata = payment->metadata,
        .legs_count = payment->legs_count,
    };
    payment_head_write(out, &payment->id, &options);
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        leg_write(out, &payment->legs[i]);
    }
}

static bool payment_read(struct reader *reader, struct payment *payment)
{
    struct payment_options options;
    if (!payment_head_read(reader, &payment->id, &options)) {
        return false;
    }
    payment->short_form = options.short_form;
    payment->has_valid_until = options.has_valid_until;
    payment->has_effective_at = options.has_effective_at;
    payment->has_reference = options.has_reference;
    payment->has_metadata = options.has_metadata;
    payment->valid_until_ns = options.valid_until_ns;
    payment->effective_at_ns = options.effective_at_ns;
    payment->reference = options.reference;
    payment->metadata = options.metadata;
    payment->legs_count = options.legs_count;
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        if (!leg_read(reader, &payment->legs[i])) {
            return false;
        }
    }
    return true;
}

void command_write(struct buffer *out, const struct command *command)
{
    assert(out != NULL && command != NULL);
    write_u8(out, (uint8_t)command->kind);
    switch (command->kind) {
    case COMMAND_CURRENCY_CREATE:
        currency_create_write(out, &command->currency_create);
        return;
    case COMMAND_ACCOUNT_OPEN:
        account_open_write(out, &command->account_open);
        return;
    case COMMAND_PAYMENT:
        payment_write(out, &command->payment);
        return;
    }
    assert(false);
}

enum status command_read(struct reader *reader, struct command *command)
{
    assert(reader != NULL && command != NULL);
    bool valid = false;
    const uint8_t kind = read_u8(reader);
    switch (kind) {
    case COMMAND_CURRENCY_CREATE:
        valid = currency_create_read(reader, &command->currency_create);
        break;
    case COMMAND_ACCOUNT_OPEN:
        valid = account_open_read(reader, &command->account_open);
        break;
    case COMMAND_PAYMENT:
        valid = payment_read(reader, &command->payment);
        break;
    default:
        break;
    }
    if (!valid || reader->failed) {
        return STATUS_INVALID;
    }
    command->kind = (enum command_kind)kind;
    return STATUS_OK;
}
