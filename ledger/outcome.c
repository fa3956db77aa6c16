/*
 * Outcomes and views as bytes (docs/format.md), and as words for people. They come from this node
 * or from the leader over the peer link, and are checked like everything that arrives.
 */
#include "ledger/outcome.h"

#include "base/check.h"
#include "ledger/codec.h"
#include "ledger/command_parts.h"

enum {
    OUTCOME_REPLAYED = 1,
    OUTCOME_SHORT_FORM = 2,
    OUTCOME_HAS_DETAIL = 4,
    OUTCOME_FLAGS_ALL = 7
};

enum { ROW_HAS_REST = 1, ROW_UNLIMITED = 2, ROW_FLAGS_ALL = 3 };

/* An account id, a currency code, or a reference. */
enum { SUBJECT_BYTES_MAX = REFERENCE_BYTES_MAX };
static_assert((int)SUBJECT_BYTES_MAX >= (int)ACCOUNT_ID_BYTES_MAX, "an account id is a subject");

static bool has_detail(const struct outcome *outcome)
{
    return outcome->field != FIELD_NONE || outcome->leg != 0 || outcome->subject.size > 0;
}

static bool is_posted(const struct outcome *outcome)
{
    return outcome->kind == COMMAND_PAYMENT && outcome->code == CODE_OK;
}

static void row_write(struct buffer *out, const struct outcome_row *row)
{
    assert(account_id_valid(row->account));
    assert(IMPLIES(row->unlimited, row->has_rest));
    write_text(out, row->account);
    write_u8(out,
             (uint8_t)((row->has_rest ? ROW_HAS_REST : 0) | (row->unlimited ? ROW_UNLIMITED : 0)));
    write_zigzag128(out, row->posted);
    if (row->has_rest) {
        write_varint128(out, row->held);
    }
    if (row->has_rest && !row->unlimited) {
        write_zigzag128(out, row->available);
    }
}

static bool row_read(struct reader *reader, struct outcome_row *row)
{
    *row = (struct outcome_row){0};
    if (!read_account_id(reader, &row->account)) {
        return false;
    }
    const uint8_t flags = read_u8(reader);
    row->has_rest = (flags & ROW_HAS_REST) != 0;
    row->unlimited = (flags & ROW_UNLIMITED) != 0;
    row->posted = read_zigzag128(reader);
    if (flags > ROW_FLAGS_ALL || (row->unlimited && !row->has_rest)) {
        return false;
    }
    if (row->has_rest && !read_counter(reader, &row->held)) {
        return false;
    }
    if (row->has_rest && !row->unlimited) {
        row->available = read_zigzag128(reader);
    }
    return !reader->failed;
}

/* A code, or nothing where it is not known. */
static void currency_write(struct buffer *out, struct text code)
{
    assert(code.size <= CURRENCY_CODE_BYTES_MAX);
    write_text(out, code);
}

void outcome_write(struct buffer *out, const struct outcome *outcome)
{
    assert(out != NULL && outcome != NULL);
    assert(outcome->seq <= SEQ_MAX && outcome->leg < LEGS_MAX);
    assert(IMPLIES(outcome->rows_count > 0, is_posted(outcome)));
    const bool detail = has_detail(outcome);
    write_u8(out, (uint8_t)outcome->code);
    write_u8(out, (uint8_t)outcome->kind);
    write_u8(out, (uint8_t)((outcome->replayed ? OUTCOME_REPLAYED : 0) |
                            (outcome->short_form ? OUTCOME_SHORT_FORM : 0) |
                            (detail ? OUTCOME_HAS_DETAIL : 0)));
    write_varint(out, outcome->seq);
    write_varint(out, outcome->term);
    write_time(out, outcome->time_ns);
    if (outcome->kind == COMMAND_PAYMENT) {
        write_uuid(out, &outcome->id);
    }
    if (detail) {
        assert(outcome->subject.size <= SUBJECT_BYTES_MAX);
        write_u8(out, (uint8_t)outcome->field);
        write_u8(out, (uint8_t)outcome->leg);
        write_text(out, outcome->subject);
    }
    if (outcome->code == CODE_INSUFFICIENT_FUNDS) {
        write_zigzag128(out, outcome->available);
        write_varint128(out, outcome->needed);
        currency_write(out, outcome->currency);
    }
    if (outcome->code == CODE_CURRENCY_MISMATCH) {
        currency_write(out, outcome->currency);
        currency_write(out, outcome->wanted);
    }
    if (is_posted(outcome)) {
        assert(outcome->rows_count <= OUTCOME_ROWS_MAX);
        write_u8(out, (uint8_t)outcome->rows_count);
        for (uint32_t i = 0; i < outcome->rows_count; i++) {
            row_write(out, &outcome->rows[i]);
        }
    }
}

static bool detail_read(struct reader *reader, struct outcome *outcome)
{
    const uint8_t field = read_u8(reader);
    outcome->leg = read_u8(reader);
    outcome->subject = read_text(reader, SUBJECT_BYTES_MAX);
    if (reader->failed || field >= FIELD_COUNT || outcome->leg >= LEGS_MAX) {
        return false;
    }
    outcome->field = (enum field)field;
    return has_detail(outcome);
}

static bool rows_read(struct reader *reader, struct outcome *outcome)
{
    const uint8_t count = read_u8(reader);
    if (reader->failed || count > OUTCOME_ROWS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!row_read(reader, &outcome->rows[i])) {
            return false;
        }
    }
    outcome->rows_count = count;
    return true;
}

/* All fields but the rows, which are set as far as they are used. */
static void outcome_clear(struct outcome *outcome)
{
    outcome->field = FIELD_NONE;
    outcome->leg = 0;
    outcome->subject = (struct text){.data = "", .size = 0};
    outcome->available = 0;
    outcome->needed = 0;
    outcome->currency = (struct text){.data = "", .size = 0};
    outcome->wanted = (struct text){.data = "", .size = 0};
    outcome->rows_count = 0;
    outcome->id = (struct uuid){0};
}

enum status outcome_read(struct reader *reader, struct outcome *outcome)
{
    assert(reader != NULL && outcome != NULL);
    outcome_clear(outcome);
    const uint8_t code = read_u8(reader);
    const uint8_t kind = read_u8(reader);
    const uint8_t flags = read_u8(reader);
    if (reader->failed || (code != CODE_OK && code_info((enum code)code) == NULL) ||
        kind < COMMAND_CURRENCY_CREATE || kind > COMMAND_PAYMENT || flags > OUTCOME_FLAGS_ALL) {
        return STATUS_INVALID;
    }
    outcome->code = (enum code)code;
    outcome->kind = (enum command_kind)kind;
    outcome->replayed = (flags & OUTCOME_REPLAYED) != 0;
    outcome->short_form = (flags & OUTCOME_SHORT_FORM) != 0;
    if (!read_number(reader, SEQ_MAX, &outcome->seq)) {
        return STATUS_INVALID;
    }
    outcome->term = read_varint(reader);
    outcome->time_ns = read_time(reader);
    if (outcome->kind == COMMAND_PAYMENT && !read_uuid(reader, &outcome->id)) {
        return STATUS_INVALID;
    }
    if ((flags & OUTCOME_HAS_DETAIL) != 0 && !detail_read(reader, outcome)) {
        return STATUS_INVALID;
    }
    if (outcome->code == CODE_INSUFFICIENT_FUNDS) {
        outcome->available = read_zigzag128(reader);
        outcome->needed = read_varint128(reader);
        outcome->currency = read_text(reader, CURRENCY_CODE_BYTES_MAX);
    }
    if (outcome->code == CODE_CURRENCY_MISMATCH) {
        outcome->currency = read_text(reader, CURRENCY_CODE_BYTES_MAX);
        outcome->wanted = read_text(reader, CURRENCY_CODE_BYTES_MAX);
    }
    if (is_posted(outcome) && !rows_read(reader, outcome)) {
        return STATUS_INVALID;
    }
    return reader->failed ? STATUS_INVALID : STATUS_OK;
}

static void counters_write(struct buffer *out, u128 debits_posted, u128 credits_posted,
                           u128 debits_held, u128 credits_held)
{
    write_varint128(out, debits_posted);
    write_varint128(out, credits_posted);
    write_varint128(out, debits_held);
    write_varint128(out, credits_held);
}

void account_view_write(struct buffer *out, const struct account_view *view)
{
    assert(account_id_valid(view->id) && currency_code_valid(view->currency));
    assert(view->scale <= CURRENCY_SCALE_MAX);
    const struct account_terms terms = {.debit_normal = view->debit_normal,
                                        .overdraft_kind = view->overdraft_kind,
                                        .overdraft_limit = view->overdraft_limit};
    write_text(out, view->id);
    write_text(out, view->currency);
    write_u8(out, view->scale);
    account_terms_write(out, &terms);
    write_zigzag128(out, view->posted);
    write_varint128(out, view->held);
    if (view->overdraft_kind != OVERDRAFT_UNLIMITED) {
        write_zigzag128(out, view->available);
    }
    counters_write(out, view->debits_posted, view->credits_posted, view->debits_held,
                   view->credits_held);
    write_varint(out, view->entries);
    write_varint(out, view->seq);
    write_varint(out, view->term);
    write_time(out, view->time_ns);
}

enum status account_view_read(struct reader *reader, struct account_view *view)
{
    assert(reader != NULL && view != NULL);
    struct account_view read = {0};
    struct account_terms terms;
    if (!read_account_id(reader, &read.id) || !read_currency_code(reader, &read.currency)) {
        return STATUS_INVALID;
    }
    read.scale = read_u8(reader);
    if (read.scale > CURRENCY_SCALE_MAX || !account_terms_read(reader, &terms)) {
        return STATUS_INVALID;
    }
    read.debit_normal = terms.debit_normal;
    read.overdraft_kind = terms.overdraft_kind;
    read.overdraft_limit = terms.overdraft_limit;
    read.posted = read_zigzag128(reader);
    if (!read_counter(reader, &read.held)) {
        return STATUS_INVALID;
    }
    if (read.overdraft_kind != OVERDRAFT_UNLIMITED) {
        read.available = read_zigzag128(reader);
    }
    if (!read_counter(reader, &read.debits_posted) || !read_counter(reader, &read.credits_posted) ||
        !read_counter(reader, &read.debits_held) || !read_counter(reader, &read.credits_held)) {
        return STATUS_INVALID;
    }
    read.entries = read_varint(reader);
    if (!read_number(reader, SEQ_MAX, &read.seq)) {
        return STATUS_INVALID;
    }
    read.term = read_varint(reader);
    read.time_ns = read_time(reader);
    if (reader->failed) {
        return STATUS_INVALID;
    }
    *view = read;
    return STATUS_OK;
}

void currency_view_write(struct buffer *out, const struct currency_view *view)
{
    assert(currency_code_valid(view->code));
    assert(view->scale <= CURRENCY_SCALE_MAX);
    write_text(out, view->code);
    write_u8(out, view->scale);
    write_varint(out, view->seq);
    write_varint(out, view->term);
    write_time(out, view->time_ns);
    counters_write(out, view->debits_posted, view->credits_posted, view->debits_held,
                   view->credits_held);
    write_varint(out, view->accounts_count);
}

enum status currency_view_read(struct reader *reader, struct currency_view *view)
{
    assert(reader != NULL && view != NULL);
    struct currency_view read = {0};
    if (!read_currency_code(reader, &read.code)) {
        return STATUS_INVALID;
    }
    read.scale = read_u8(reader);
    if (read.scale > CURRENCY_SCALE_MAX || !read_number(reader, SEQ_MAX, &read.seq)) {
        return STATUS_INVALID;
    }
    read.term = read_varint(reader);
    read.time_ns = read_time(reader);
    if (!read_counter(reader, &read.debits_posted) || !read_counter(reader, &read.credits_posted) ||
        !read_counter(reader, &read.debits_held) || !read_counter(reader, &read.credits_held)) {
        return STATUS_INVALID;
    }
    read.accounts_count = read_varint(reader);
    if (reader->failed) {
        return STATUS_INVALID;
    }
    *view = read;
    return STATUS_OK;
}
