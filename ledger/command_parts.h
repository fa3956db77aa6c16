/*
 * What the request form and the entry form of a command have in common: all but the way in which
 * accounts and currencies are named. Reads give false on damage.
 */
#ifndef LEDGER_COMMAND_PARTS_H
#define LEDGER_COMMAND_PARTS_H

#include "ledger/command.h"

void currency_create_write(struct buffer *out, const struct currency_create *create);
bool currency_create_read(struct reader *reader, struct currency_create *create);

/* What an account is opened with, beside its names. */
struct account_terms {
    bool debit_normal;
    enum overdraft_kind overdraft_kind;
    u128 overdraft_limit; /* 0 where unlimited */
};

void account_terms_write(struct buffer *out, const struct account_terms *terms);
bool account_terms_read(struct reader *reader, struct account_terms *terms);

/* A payment but for its id and its legs. */
struct payment_options {
    bool short_form; /* exactly one leg */
    bool has_valid_until, has_effective_at, has_reference, has_metadata;
    int64_t valid_until_ns, effective_at_ns;
    struct text reference, metadata;
    uint32_t legs_count;
};

void payment_options_write(struct buffer *out, const struct payment_options *options);
/* Fields that are not there come out as zero and empty. */
bool payment_options_read(struct reader *reader, struct payment_options *options);

/* The id, then the options. */
void payment_head_write(struct buffer *out, const struct uuid *id,
                        const struct payment_options *options);
bool payment_head_read(struct reader *reader, struct uuid *id, struct payment_options *options);

#endif
