/*
 * The log entry and the entry form of a command (docs/format.md). A reader of the log checks as
 * much as a reader of the network: an entry that is not of this form stops the node, and must not
 * be able to do worse.
 */
#include "ledger/entry.h"

#include "base/check.h"
#include "ledger/codec.h"
#include "ledger/command_parts.h"

#include <string.h>

/* Where the header's fields stand. */
enum {
    AT_VERSION = 0,
    AT_FLAGS = 1,
    AT_ZERO_16 = 2,
    AT_COUNT = 4,
    AT_TERM = 8,
    AT_FIRST_SEQ = 16,
    AT_TIME = 24,
    AT_ID = 32,
    AT_DIGEST_SEQ = 48,
    AT_DIGEST = 56,
    AT_COMMANDS_BYTES = 88,
    AT_ZERO_32 = 92
};
static_assert(AT_ZERO_32 + 4 == ENTRY_HEADER_BYTES, "the header is as long as its fields");
static_assert(ENTRY_HEADER_BYTES % ENTRY_ALIGN_BYTES == 0, "an entry without commands is aligned");

/*
 * The head of an item is one byte: the expected code of a command (below ITEM_GROUP), or a group's,
 * then followed by its count.
 */
enum { ITEM_GROUP = 0x80, ITEM_GROUP_ABORTED = 0x81 };
static_assert((int)CODE_VALUE_MAX < (int)ITEM_GROUP, "codes and group heads are told apart");

/* A currency: 0 for the accounts' own, 1 for a text that follows, else the number + 1. */
enum { CURRENCY_OWN = 0, CURRENCY_TEXT = 1 };

static size_t entry_aligned(size_t size)
{
    return (size + ENTRY_ALIGN_BYTES - 1) / ENTRY_ALIGN_BYTES * ENTRY_ALIGN_BYTES;
}

/* What a command may be expected to give: success, or a refusal that is recorded. */
static bool expected_valid(enum code code)
{
    if (code == CODE_OK) {
        return true;
    }
    const struct code_info *info = code_info(code);
    return info != NULL && info->recorded == YES;
}

void entry_begin(struct buffer *out)
{
    assert(out != NULL && out->size == 0);
    static const uint8_t zeros[ENTRY_HEADER_BYTES];
    write_bytes(out, zeros, sizeof(zeros));
}

void entry_item_write(struct buffer *out, const struct entry_item *item)
{
    assert(out != NULL && item != NULL);
    if (item->kind == ENTRY_ITEM_GROUP) {
        assert(item->group_count >= 1 && item->group_count <= BATCH_ITEMS_MAX);
        write_u8(out, item->group_aborted ? ITEM_GROUP_ABORTED : ITEM_GROUP);
        write_varint(out, item->group_count);
        return;
    }
    assert(expected_valid(item->expected));
    write_u8(out, (uint8_t)item->expected);
}

enum status entry_item_read(struct reader *items, struct entry_item *item)
{
    assert(items != NULL && item != NULL);
    const uint8_t head = read_u8(items);
    if (items->failed) {
        return STATUS_INVALID;
    }
    if (head < ITEM_GROUP) {
        if (!expected_valid((enum code)head)) {
            return STATUS_INVALID;
        }
        *item = (struct entry_item){.kind = ENTRY_ITEM_COMMAND, .expected = (enum code)head};
        return STATUS_OK;
    }
    uint64_t count;
    if (head > ITEM_GROUP_ABORTED || !read_number(items, BATCH_ITEMS_MAX, &count) || count < 1) {
        return STATUS_INVALID;
    }
    *item = (struct entry_item){.kind = ENTRY_ITEM_GROUP,
                                .group_count = (uint32_t)count,
                                .group_aborted = head == ITEM_GROUP_ABORTED};
    return STATUS_OK;
}

void entry_item_set_expected(struct buffer *out, size_t offset, enum code expected)
{
    if (out->failed) {
        return;
    }
    assert(offset < out->size && out->data[offset] < ITEM_GROUP);
    assert(expected_valid(expected));
    out->data[offset] = (uint8_t)expected;
}

static void account_ref_write(struct buffer *out, const struct entry_ref *ref)
{
    assert(ref->number != 0 || account_id_valid(ref->text));
    write_varint(out, ref->number);
    if (ref->number == 0) {
        write_text(out, ref->text);
    }
}

static bool account_ref_read(struct reader *reader, struct entry_ref *ref)
{
    *ref = (struct entry_ref){.number = read_varint(reader)};
    if (ref->number == 0) {
        return read_account_id(reader, &ref->text);
    }
    return !reader->failed;
}

static void currency_ref_write(struct buffer *out, const struct entry_ref *ref)
{
    assert(ref->number <= CURRENCIES_MAX);
    if (ref->number != 0) {
        write_varint(out, ref->number + CURRENCY_TEXT);
    } else if (ref->text.size == 0) {
        write_varint(out, CURRENCY_OWN);
    } else {
        assert(currency_code_valid(ref->text));
        write_varint(out, CURRENCY_TEXT);
        write_text(out, ref->text);
    }
}

static bool currency_ref_read(struct reader *reader, struct entry_ref *ref)
{
    uint64_t coded;
    if (!read_number(reader, CURRENCIES_MAX + CURRENCY_TEXT, &coded)) {
        return false;
    }
    *ref = (struct entry_ref){.number = coded > CURRENCY_TEXT ? coded - CURRENCY_TEXT : 0};
    return coded != CURRENCY_TEXT || read_currency_code(reader, &ref->text);
}

static void account_open_write(struct buffer *out, const struct entry_account_open *open)
{
    assert(account_id_valid(open->id));
    assert(open->currency.number >= 1 && open->currency.number <= CURRENCIES_MAX);
    const struct account_terms terms = {.debit_normal = open->debit_normal,
                                        .overdraft_kind = open->overdraft_kind,
                                        .overdraft_limit = open->overdraft_limit};
    write_text(out, open->id);
    write_varint(out, open->currency.number);
    account_terms_write(out, &terms);
}

static bool account_open_read(struct reader *reader, struct entry_account_open *open)
{
    struct account_terms terms;
    *open = (struct entry_account_open){0};
    if (!read_account_id(reader, &open->id) ||
        !read_number(reader, CURRENCIES_MAX, &open->currency.number) ||
        open->currency.number == 0 || !account_terms_read(reader, &terms)) {
        return false;
    }
    open->debit_normal = terms.debit_normal;
    open->overdraft_kind = terms.overdraft_kind;
    open->overdraft_limit = terms.overdraft_limit;
    return true;
}

static void payment_write(struct buffer *out, const struct entry_payment *payment)
{
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
        const struct entry_leg *leg = &payment->legs[i];
        assert(leg->amount > 0 && leg->amount < AMOUNT_LIMIT);
        account_ref_write(out, &leg->debit);
        account_ref_write(out, &leg->credit);
        currency_ref_write(out, &leg->currency);
        write_varint128(out, leg->amount);
    }
}

/* Fills the payment's used legs only: the struct is large, and this runs for every payment. */
static bool payment_read(struct reader *reader, struct entry_payment *payment)
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
        struct entry_leg *leg = &payment->legs[i];
        if (!account_ref_read(reader, &leg->debit) || !account_ref_read(reader, &leg->credit) ||
            !currency_ref_read(reader, &leg->currency) || !read_amount(reader, &leg->amount)) {
            return false;
        }
    }
    return true;
}

void entry_command_write(struct buffer *out, const struct entry_command *command)
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

enum status entry_command_read(struct reader *items, struct entry_command *command,
                               struct text *form)
{
    assert(items != NULL && command != NULL && form != NULL);
    const uint8_t *begin = items->at;
    bool valid = false;
    const uint8_t kind = read_u8(items);
    switch (kind) {
    case COMMAND_CURRENCY_CREATE:
        valid = currency_create_read(items, &command->currency_create);
        break;
    case COMMAND_ACCOUNT_OPEN:
        valid = account_open_read(items, &command->account_open);
        break;
    case COMMAND_PAYMENT:
        valid = payment_read(items, &command->payment);
        break;
    default:
        break;
    }
    if (!valid || items->failed) {
        return STATUS_INVALID;
    }
    command->kind = (enum command_kind)kind;
    *form = (struct text){.data = (const char *)begin, .size = (size_t)(items->at - begin)};
    return STATUS_OK;
}

static bool header_valid(const struct entry_header *header)
{
    if (header->count > ENTRY_COMMANDS_MAX || header->term == 0 || header->time_ns < 0) {
        return false;
    }
    if ((header->count == 0) != (header->commands_bytes == 0)) {
        return false;
    }
    if (header->first_seq > SEQ_MAX - header->count || header->digest_seq > SEQ_MAX) {
        return false;
    }
    if (header->count == 0) {
        return true;
    }
    /* The leader had applied the digest's entry before it gave out this entry's numbers. */
    return header->time_ns > 0 && header->first_seq > header->digest_seq;
}

void entry_finish(struct buffer *out, const struct entry_header *header)
{
    assert(out != NULL && header != NULL);
    if (out->failed) {
        return;
    }
    assert(out->size >= ENTRY_HEADER_BYTES);
    struct entry_header complete = *header;
    complete.commands_bytes = (uint32_t)(out->size - ENTRY_HEADER_BYTES);
    assert(header_valid(&complete));

    uint8_t *at = out->data;
    at[AT_VERSION] = ENTRY_VERSION;
    put_u32(at + AT_COUNT, complete.count);
    put_u64(at + AT_TERM, complete.term);
    put_u64(at + AT_FIRST_SEQ, complete.first_seq);
    put_u64(at + AT_TIME, (uint64_t)complete.time_ns);
    memcpy(at + AT_ID, complete.id.bytes, sizeof(complete.id.bytes));
    put_u64(at + AT_DIGEST_SEQ, complete.digest_seq);
    memcpy(at + AT_DIGEST, complete.digest.bytes, sizeof(complete.digest.bytes));
    put_u32(at + AT_COMMANDS_BYTES, complete.commands_bytes);

    static const uint8_t zeros[ENTRY_ALIGN_BYTES];
    write_bytes(out, zeros, entry_aligned(out->size) - out->size);
    assert(out->failed || out->size % ENTRY_ALIGN_BYTES == 0);
}

enum status entry_read(const void *data, size_t size, struct entry_header *header,
                       struct reader *items)
{
    assert(header != NULL && items != NULL);
    if (data == NULL || size < ENTRY_HEADER_BYTES || size > ENTRY_BYTES_MAX) {
        return STATUS_INVALID;
    }
    const uint8_t *at = data;
    if (at[AT_VERSION] != ENTRY_VERSION || at[AT_FLAGS] != 0 || at[AT_ZERO_16] != 0 ||
        at[AT_ZERO_16 + 1] != 0 || get_u32(at + AT_ZERO_32) != 0) {
        return STATUS_INVALID;
    }
    struct entry_header read = {
        .term = get_u64(at + AT_TERM),
        .first_seq = get_u64(at + AT_FIRST_SEQ),
        .count = get_u32(at + AT_COUNT),
        .time_ns = (int64_t)get_u64(at + AT_TIME),
        .digest_seq = get_u64(at + AT_DIGEST_SEQ),
        .commands_bytes = get_u32(at + AT_COMMANDS_BYTES),
    };
    memcpy(read.id.bytes, at + AT_ID, sizeof(read.id.bytes));
    memcpy(read.digest.bytes, at + AT_DIGEST, sizeof(read.digest.bytes));
    if (!header_valid(&read) || read.commands_bytes > size - ENTRY_HEADER_BYTES) {
        return STATUS_INVALID;
    }
    const size_t used = ENTRY_HEADER_BYTES + (size_t)read.commands_bytes;
    if (entry_aligned(used) != size) {
        return STATUS_INVALID;
    }
    for (size_t i = used; i < size; i++) {
        if (at[i] != 0) {
            return STATUS_INVALID;
        }
    }
    *header = read;
    *items = reader_of(at + ENTRY_HEADER_BYTES, read.commands_bytes);
    return STATUS_OK;
}

void entry_write_barrier(struct buffer *out, uint64_t term, const struct uuid *id)
{
    assert(id != NULL && term > 0);
    const struct entry_header header = {.term = term, .id = *id};
    entry_begin(out);
    entry_finish(out, &header);
}

bool entry_id(const void *data, size_t size, struct uuid *id)
{
    assert(id != NULL);
    struct entry_header header;
    struct reader items;
    if (entry_read(data, size, &header, &items) != STATUS_OK) {
        return false;
    }
    *id = header.id;
    return true;
}
