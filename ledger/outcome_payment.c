/*
 * The view of a payment as bytes: its outcome, then what was asked for.
 */
#include "ledger/outcome.h"

#include "base/check.h"
#include "ledger/codec.h"
#include "ledger/command_parts.h"

static void leg_write(struct buffer *out, const struct payment_view_leg *leg)
{
    assert(account_id_valid(leg->debit) && account_id_valid(leg->credit));
    assert(leg->currency.size == 0 || currency_code_valid(leg->currency));
    assert(leg->amount > 0 && leg->amount < AMOUNT_LIMIT);
    write_text(out, leg->debit);
    write_text(out, leg->credit);
    write_text(out, leg->currency);
    write_varint128(out, leg->amount);
    if (leg->has_entries) {
        write_zigzag128(out, leg->debit_balance);
        write_varint(out, leg->debit_entry);
        write_zigzag128(out, leg->credit_balance);
        write_varint(out, leg->credit_entry);
    }
}

static bool leg_read(struct reader *reader, bool has_entries, struct payment_view_leg *leg)
{
    *leg = (struct payment_view_leg){.has_entries = has_entries};
    if (!read_account_id(reader, &leg->debit) || !read_account_id(reader, &leg->credit)) {
        return false;
    }
    leg->currency = read_text(reader, CURRENCY_CODE_BYTES_MAX);
    if (reader->failed || (leg->currency.size > 0 && !currency_code_valid(leg->currency)) ||
        !read_amount(reader, &leg->amount)) {
        return false;
    }
    if (has_entries) {
        leg->debit_balance = read_zigzag128(reader);
        leg->debit_entry = read_varint(reader);
        leg->credit_balance = read_zigzag128(reader);
        leg->credit_entry = read_varint(reader);
        /* Entries are numbered from 1. */
        return !reader->failed && leg->debit_entry > 0 && leg->credit_entry > 0;
    }
    return true;
}

void payment_view_write(struct buffer *out, const struct payment_view *view)
{
    assert(out != NULL && view != NULL);
    assert(view->outcome.kind == COMMAND_PAYMENT);
    const struct payment_options options = {
        .short_form = view->outcome.short_form,
        .has_valid_until = view->has_valid_until,
        .has_effective_at = view->has_effective_at,
        .has_reference = view->has_reference,
        .has_metadata = view->has_metadata,
        .valid_until_ns = view->valid_until_ns,
        .effective_at_ns = view->effective_at_ns,
        .reference = view->reference,
        .metadata = view->metadata,
        .legs_count = view->legs_count,
    };
    outcome_write(out, &view->outcome);
    payment_options_write(out, &options);
    for (uint32_t i = 0; i < view->legs_count; i++) {
        assert(view->legs[i].has_entries == (view->outcome.code == CODE_OK));
        leg_write(out, &view->legs[i]);
    }
}

enum status payment_view_read(struct reader *reader, struct payment_view *view)
{
    assert(reader != NULL && view != NULL);
    struct payment_options options;
    if (outcome_read(reader, &view->outcome) != STATUS_OK ||
        view->outcome.kind != COMMAND_PAYMENT || !payment_options_read(reader, &options) ||
        options.short_form != view->outcome.short_form) {
        return STATUS_INVALID;
    }
    view->has_valid_until = options.has_valid_until;
    view->has_effective_at = options.has_effective_at;
    view->has_reference = options.has_reference;
    view->has_metadata = options.has_metadata;
    view->valid_until_ns = options.valid_until_ns;
    view->effective_at_ns = options.effective_at_ns;
    view->reference = options.reference;
    view->metadata = options.metadata;
    view->legs_count = options.legs_count;
    for (uint32_t i = 0; i < view->legs_count; i++) {
        if (!leg_read(reader, view->outcome.code == CODE_OK, &view->legs[i])) {
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}
