/*
 * A record of table payments (docs/format.md): what a command was and what was decided about it.
 * The accounts of the entries are not repeated: they are those of the legs in the command's own
 * form.
 */
#include "ledger/record.h"

#include "base/check.h"
#include "ledger/codec.h"

/* Low bits of the second byte: the command's kind. */
enum { RECORD_KIND_MASK = 0x0f, RECORD_HAS_FIELD = 0x10, RECORD_FLAGS_ALL = 0x1f };

/* The longest entry form: head, reference, metadata, 64 legs with texts. */
enum {
    FORM_LEG_BYTES_MAX = 2 * (2 + ACCOUNT_ID_BYTES_MAX) + (2 + CURRENCY_CODE_BYTES_MAX) + 19,
    FORM_BYTES_MAX =
        64 + REFERENCE_BYTES_MAX + METADATA_BYTES_MAX + LEGS_MAX * (int)FORM_LEG_BYTES_MAX
};

/* A balance takes up to 19 bytes, the three numbers up to 10 each; the head less than 64. */
enum { SIDE_BYTES_MAX = 49 };
static_assert(FORM_BYTES_MAX + 2 * LEGS_MAX * SIDE_BYTES_MAX + 64 <= RECORD_BYTES_MAX,
              "every record fits its buffer");

/* A seq as its distance from the record's own: 0 for none, else 1 + distance. */
static void distance_write(struct buffer *out, uint64_t seq, uint64_t earlier_seq)
{
    assert(earlier_seq <= seq);
    write_varint(out, earlier_seq == 0 ? 0 : seq - earlier_seq + 1);
}

static bool distance_read(struct reader *reader, uint64_t seq, uint64_t *earlier_seq)
{
    uint64_t coded;
    if (!read_number(reader, seq, &coded)) {
        return false;
    }
    *earlier_seq = coded == 0 ? 0 : seq - (coded - 1);
    return true;
}

void record_write(struct buffer *out, const struct uuid *id, struct text form,
                  const struct decision *decision)
{
    assert(out != NULL && decision != NULL);
    assert(IMPLIES(decision->kind == COMMAND_PAYMENT, id != NULL));
    assert(form.size > 0 && form.size <= FORM_BYTES_MAX);
    assert(IMPLIES(decision->sides_count > 0, decision->code == CODE_OK));
    const bool has_field = decision->field != FIELD_NONE;
    assert(IMPLIES(!has_field, decision->leg == 0));

    write_u8(out, (uint8_t)decision->code);
    write_u8(out, (uint8_t)((unsigned)decision->kind | (has_field ? RECORD_HAS_FIELD : 0)));
    write_varint(out, decision->term);
    write_time(out, decision->time_ns);
    if (has_field) {
        write_u8(out, (uint8_t)decision->field);
        write_u8(out, (uint8_t)decision->leg);
    }
    if (decision->code == CODE_INSUFFICIENT_FUNDS) {
        write_zigzag128(out, decision->available);
        write_varint128(out, decision->needed);
    }
    write_text(out, form);
    for (uint32_t i = 0; i < decision->sides_count; i++) {
        const struct entry_side *side = &decision->sides[i];
        assert(side->account > 0 && side->number > 0);
        write_zigzag128(out, side->balance_after);
        write_varint(out, side->number);
        distance_write(out, decision->seq, side->previous_seq);
        distance_write(out, decision->seq, side->jump_seq);
    }
}

static bool code_valid(uint8_t code)
{
    if (code == CODE_OK) {
        return true;
    }
    const struct code_info *info = code_info((enum code)code);
    return info != NULL && info->recorded == YES;
}

bool record_head_read(struct reader *reader, uint64_t seq, struct decision *decision,
                      struct text *form)
{
    const uint8_t code = read_u8(reader);
    const uint8_t flags = read_u8(reader);
    const uint8_t kind = flags & RECORD_KIND_MASK;
    if (reader->failed || !code_valid(code) || flags > RECORD_FLAGS_ALL ||
        kind < COMMAND_CURRENCY_CREATE || kind > COMMAND_PAYMENT) {
        return false;
    }
    decision->code = (enum code)code;
    decision->kind = (enum command_kind)kind;
    decision->seq = seq;
    decision->term = read_varint(reader);
    decision->time_ns = read_time(reader);
    decision->field = FIELD_NONE;
    decision->leg = 0;
    decision->available = 0;
    decision->needed = 0;
    decision->sides_count = 0;
    if ((flags & RECORD_HAS_FIELD) != 0) {
        const uint8_t field = read_u8(reader);
        decision->leg = read_u8(reader);
        if (field == FIELD_NONE || field >= FIELD_COUNT || decision->leg >= LEGS_MAX) {
            return false;
        }
        decision->field = (enum field)field;
    }
    if (decision->code == CODE_INSUFFICIENT_FUNDS) {
        decision->available = read_zigzag128(reader);
        decision->needed = read_varint128(reader);
    }
    *form = read_text(reader, FORM_BYTES_MAX);
    return !reader->failed && form->size > 0;
}

static bool side_read(struct reader *reader, uint64_t seq, uint64_t account,
                      struct entry_side *side)
{
    side->account = account;
    side->balance_after = read_zigzag128(reader);
    side->number = read_varint(reader);
    const i128 limit = (i128)AMOUNT_LIMIT;
    if (reader->failed || account == 0 || side->number == 0 || side->balance_after <= -limit ||
        side->balance_after >= limit) {
        return false;
    }
    return distance_read(reader, seq, &side->previous_seq) &&
           distance_read(reader, seq, &side->jump_seq);
}

enum status record_read_full(struct text bytes, uint64_t seq, struct record *record,
                             struct entry_command *command)
{
    assert(record != NULL && command != NULL && seq > 0);
    struct reader reader = reader_of(bytes.data, bytes.size);
    struct decision *decision = &record->decision;
    if (!record_head_read(&reader, seq, decision, &record->form)) {
        return STATUS_INVALID;
    }
    struct reader form_reader = reader_of(record->form.data, record->form.size);
    struct text form;
    if (entry_command_read(&form_reader, command, &form) != STATUS_OK ||
        reader_left(&form_reader) != 0 || command->kind != decision->kind) {
        return STATUS_INVALID;
    }
    if (decision->kind != COMMAND_PAYMENT) {
        record->id = (struct uuid){0};
    } else {
        record->id = command->payment.id;
        if (decision->leg >= command->payment.legs_count) {
            return STATUS_INVALID;
        }
    }
    if (decision->kind == COMMAND_PAYMENT && decision->code == CODE_OK) {
        for (uint32_t i = 0; i < command->payment.legs_count; i++) {
            const struct entry_leg *leg = &command->payment.legs[i];
            if (!side_read(&reader, seq, leg->debit.number, &decision->sides[2 * i]) ||
                !side_read(&reader, seq, leg->credit.number, &decision->sides[2 * i + 1])) {
                return STATUS_INVALID;
            }
        }
        decision->sides_count = 2 * command->payment.legs_count;
    }
    return reader_left(&reader) == 0 && !reader.failed ? STATUS_OK : STATUS_INVALID;
}

enum status record_read(struct text bytes, uint64_t seq, struct record *record)
{
    struct entry_command command;
    return record_read_full(bytes, seq, record, &command);
}
