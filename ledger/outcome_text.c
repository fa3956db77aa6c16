/*
 * Outcomes in words: the message for people, and the path of the field that it is about.
 */
#include "ledger/outcome.h"

#include "base/check.h"

void outcome_message(const struct outcome *outcome, struct buffer *out)
{
    assert(outcome != NULL && out != NULL);
    const struct code_info *info = code_info(outcome->code);
    assert(info != NULL);
    if (outcome->code == CODE_INSUFFICIENT_FUNDS && outcome->subject.size > 0) {
        char available[U128_TEXT_BYTES];
        char needed[U128_TEXT_BYTES];
        i128_format(outcome->available, available);
        u128_format(outcome->needed, needed);
        write_bytes(out, outcome->subject.data, outcome->subject.size);
        write_format(out, " has %s available, %s needed", available, needed);
        return;
    }
    if (outcome->code == CODE_CURRENCY_MISMATCH && outcome->currency.size > 0) {
        write_bytes(out, outcome->subject.data, outcome->subject.size);
        write_format(out, " is in %.*s, not %.*s", (int)outcome->currency.size,
                     outcome->currency.data, (int)outcome->wanted.size, outcome->wanted.data);
        return;
    }
    write_format(out, "%s", info->text);
    /* A mismatch is about a field, whose path stands beside the message. */
    if (outcome->subject.size > 0 && outcome->code != CODE_IDEMPOTENCY_MISMATCH) {
        write_format(out, ": ");
        write_bytes(out, outcome->subject.data, outcome->subject.size);
    }
}

static bool belongs_to_leg(const struct outcome *outcome)
{
    return outcome->kind == COMMAND_PAYMENT &&
           (outcome->field == FIELD_DEBIT || outcome->field == FIELD_CREDIT ||
            outcome->field == FIELD_AMOUNT || outcome->field == FIELD_CURRENCY);
}

void outcome_path(const struct outcome *outcome, const char *prefix, struct buffer *out)
{
    assert(outcome != NULL && prefix != NULL && out != NULL);
    if (outcome->field == FIELD_NONE) {
        return;
    }
    write_format(out, "%s", prefix);
    if (belongs_to_leg(outcome) && !outcome->short_form) {
        write_format(out, "legs[%u].", outcome->leg);
    }
    write_format(out, "%s", field_name(outcome->field));
}
