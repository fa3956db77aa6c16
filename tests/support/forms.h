/*
 * Random values of every form of the ledger, all of them valid, from a seed: for round trips and
 * for the fuzz corpora. Texts live in the maker, until forms_clear or its end.
 */
#ifndef TESTS_SUPPORT_FORMS_H
#define TESTS_SUPPORT_FORMS_H

#include "ledger/entry.h"
#include "ledger/outcome.h"
#include "ledger/view.h"

enum { FORMS_TEXT_BYTES = 64 * 1024 };

struct forms {
    uint64_t state;    /* of test_random: never 0 */
    uint32_t legs_max; /* how large payments become: 1..LEGS_MAX */
    size_t texts_size;
    char texts[FORMS_TEXT_BYTES];
};

void forms_init(struct forms *forms, uint64_t seed);
void forms_clear(struct forms *forms);

uint64_t forms_below(struct forms *forms, uint64_t limit);
bool forms_coin(struct forms *forms);
/* Of all magnitudes, small ones as often as large ones. */
u128 forms_amount(struct forms *forms);  /* 0 < amount < 2^126 */
u128 forms_counter(struct forms *forms); /* 0 <= counter < 2^126 */
i128 forms_balance(struct forms *forms); /* either sign */
struct uuid forms_uuid(struct forms *forms);
struct text forms_account_id(struct forms *forms);
struct text forms_currency_code(struct forms *forms);

void forms_command(struct forms *forms, struct command *command);
void forms_entry_command(struct forms *forms, struct entry_command *command);
/* A decision about a command in entry form, as execution could have made it. */
void forms_decision(struct forms *forms, uint64_t seq, const struct entry_command *command,
                    struct decision *decision);
void forms_outcome(struct forms *forms, enum command_kind kind, struct outcome *outcome);
void forms_account_view(struct forms *forms, struct account_view *view);
void forms_currency_view(struct forms *forms, struct currency_view *view);
void forms_payment_view(struct forms *forms, struct payment_view *view);

#endif
