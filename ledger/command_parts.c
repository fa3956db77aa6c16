#include "ledger/command_parts.h"

#include "base/check.h"
#include "ledger/codec.h"

enum {
    HAS_VALID_UNTIL = 1,
    HAS_EFFECTIVE_AT = 2,
    HAS_REFERENCE = 4,
    HAS_METADATA = 8,
    SHORT_FORM = 16,
    FLAGS_ALL = 31
};

enum { ACCOUNT_DEBIT_NORMAL = 1, ACCOUNT_UNLIMITED = 2, ACCOUNT_FLAGS_ALL = 3 };

/* "{}" */
enum { METADATA_BYTES_MIN = 2 };

void currency_create_write(struct buffer *out, const struct currency_create *create)
{
    assert(currency_code_valid(create->code));
    assert(create->scale <= CURRENCY_SCALE_MAX);
    write_text(out, create->code);
    write_u8(out, create->scale);
}

bool currency_create_read(struct reader *reader, struct currency_create *create)
{
    if (!read_currency_code(reader, &create->code)) {
        return false;
    }
    create->scale = read_u8(reader);
    return !reader->failed && create->scale <= CURRENCY_SCALE_MAX;
}

void account_terms_write(struct buffer *out, const struct account_terms *terms)
{
    const bool unlimited = terms->overdraft_kind == OVERDRAFT_UNLIMITED;
    write_u8(out, (uint8_t)((terms->debit_normal ? ACCOUNT_DEBIT_NORMAL : 0) |
                            (unlimited ? ACCOUNT_UNLIMITED : 0)));
    if (!unlimited) {
        assert(terms->overdraft_limit < AMOUNT_LIMIT);
        write_varint128(out, terms->overdraft_limit);
    }
}

bool account_terms_read(struct reader *reader, struct account_terms *terms)
{
    const uint8_t flags = read_u8(reader);
    if (reader->failed || flags > ACCOUNT_FLAGS_ALL) {
        return false;
    }
    *terms = (struct account_terms){
        .debit_normal = (flags & ACCOUNT_DEBIT_NORMAL) != 0,
        .overdraft_kind = (flags & ACCOUNT_UNLIMITED) != 0 ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT,
    };
    return terms->overdraft_kind == OVERDRAFT_UNLIMITED ||
           read_counter(reader, &terms->overdraft_limit);
}

void payment_options_write(struct buffer *out, const struct payment_options *options)
{
    assert(options->legs_count >= 1 && options->legs_count <= LEGS_MAX);
    assert(IMPLIES(options->short_form, options->legs_count == 1));
    write_u8(out, (uint8_t)((options->has_valid_until ? HAS_VALID_UNTIL : 0) |
                            (options->has_effective_at ? HAS_EFFECTIVE_AT : 0) |
                            (options->has_reference ? HAS_REFERENCE : 0) |
                            (options->has_metadata ? HAS_METADATA : 0) |
                            (options->short_form ? SHORT_FORM : 0)));
    write_u8(out, (uint8_t)options->legs_count);
    if (options->has_valid_until) {
        write_time(out, options->valid_until_ns);
    }
    if (options->has_effective_at) {
        write_time(out, options->effective_at_ns);
    }
    if (options->has_reference) {
        assert(options->reference.size >= 1 && options->reference.size <= REFERENCE_BYTES_MAX);
        write_text(out, options->reference);
    }
    if (options->has_metadata) {
        assert(options->metadata.size >= METADATA_BYTES_MIN);
        assert(options->metadata.size <= METADATA_BYTES_MAX);
        write_text(out, options->metadata);
    }
}

bool payment_options_read(struct reader *reader, struct payment_options *options)
{
    const uint8_t flags = read_u8(reader);
    const uint8_t legs_count = read_u8(reader);
    if (reader->failed || flags > FLAGS_ALL || legs_count < 1 || legs_count > LEGS_MAX) {
        return false;
    }
    *options = (struct payment_options){
        .short_form = (flags & SHORT_FORM) != 0,
        .has_valid_until = (flags & HAS_VALID_UNTIL) != 0,
        .has_effective_at = (flags & HAS_EFFECTIVE_AT) != 0,
        .has_reference = (flags & HAS_REFERENCE) != 0,
        .has_metadata = (flags & HAS_METADATA) != 0,
        .legs_count = legs_count,
    };
    if (options->short_form && legs_count != 1) {
        return false;
    }
    if (options->has_valid_until) {
        options->valid_until_ns = read_time(reader);
    }
    if (options->has_effective_at) {
        options->effective_at_ns = read_time(reader);
    }
    if (options->has_reference) {
        options->reference = read_text(reader, REFERENCE_BYTES_MAX);
        if (options->reference.size < 1) {
            return false;
        }
    }
    if (options->has_metadata) {
        options->metadata = read_text(reader, METADATA_BYTES_MAX);
        if (options->metadata.size < METADATA_BYTES_MIN) {
            return false;
        }
    }
    return !reader->failed;
}

void payment_head_write(struct buffer *out, const struct uuid *id,
                        const struct payment_options *options)
{
    write_uuid(out, id);
    payment_options_write(out, options);
}

bool payment_head_read(struct reader *reader, struct uuid *id, struct payment_options *options)
{
    return read_uuid(reader, id) && payment_options_read(reader, options);
}
