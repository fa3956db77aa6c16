#include "tests/support/forms.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <string.h>

void forms_init(struct forms *forms, uint64_t seed)
{
    forms->state = seed != 0 ? seed : 1;
    forms->legs_max = LEGS_MAX;
    forms->texts_size = 0;
}

void forms_clear(struct forms *forms)
{
    forms->texts_size = 0;
}

uint64_t forms_below(struct forms *forms, uint64_t limit)
{
    assert(limit > 0);
    return test_random(&forms->state) % limit;
}

bool forms_coin(struct forms *forms)
{
    return (test_random(&forms->state) >> 40 & 1) != 0;
}

u128 forms_counter(struct forms *forms)
{
    const u128 wide = (u128)test_random(&forms->state) << 64 | test_random(&forms->state);
    return (wide % AMOUNT_LIMIT) >> forms_below(forms, 127);
}

u128 forms_amount(struct forms *forms)
{
    const u128 amount = forms_counter(forms);
    return amount > 0 ? amount : 1;
}

i128 forms_balance(struct forms *forms)
{
    const i128 balance = (i128)forms_counter(forms);
    return forms_coin(forms) ? balance : -balance;
}

static int64_t forms_time(struct forms *forms)
{
    return (int64_t)test_random(&forms->state);
}

struct uuid forms_uuid(struct forms *forms)
{
    struct uuid uuid;
    for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
        uuid.bytes[i] = (uint8_t)forms_below(forms, 256);
    }
    uuid.bytes[0] = (uint8_t)(1 + forms_below(forms, 254));
    return uuid;
}

/* size characters of the alphabet, kept in the maker. */
static struct text forms_text(struct forms *forms, const char *alphabet, size_t size)
{
    assert(forms->texts_size + size <= sizeof(forms->texts));
    char *text = forms->texts + forms->texts_size;
    for (size_t i = 0; i < size; i++) {
        text[i] = alphabet[forms_below(forms, strlen(alphabet))];
    }
    forms->texts_size += size;
    return (struct text){.data = text, .size = size};
}

struct text forms_account_id(struct forms *forms)
{
    return forms_text(forms, "abcXYZ0189:._-", 1 + forms_below(forms, ACCOUNT_ID_BYTES_MAX));
}

struct text forms_currency_code(struct forms *forms)
{
    return forms_text(forms, "ABCXYZ", 2 + forms_below(forms, CURRENCY_CODE_BYTES_MAX - 1));
}

static struct text forms_currency_or_none(struct forms *forms)
{
    return forms_coin(forms) ? forms_currency_code(forms) : TEXT("");
}

static void forms_overdraft(struct forms *forms, enum overdraft_kind *kind, u128 *limit)
{
    *kind = forms_coin(forms) ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT;
    *limit = *kind == OVERDRAFT_LIMIT ? forms_counter(forms) : 0;
}

static void forms_reference(struct forms *forms, bool *has, struct text *reference)
{
    *has = forms_coin(forms);
    *reference =
        *has ? forms_text(forms, "RF 018/", 1 + forms_below(forms, REFERENCE_BYTES_MAX)) : TEXT("");
}

static void forms_metadata(struct forms *forms, bool *has, struct text *metadata)
{
    *has = forms_below(forms, 4) == 0;
    *metadata = *has ? forms_text(forms, "{}[]\":,x", 2 + forms_below(forms, 100)) : TEXT("");
}

static void forms_optional_time(struct forms *forms, bool *has, int64_t *time_ns)
{
    *has = forms_coin(forms);
    *time_ns = *has ? forms_time(forms) : 0;
}

static uint32_t forms_legs_count(struct forms *forms)
{
    return forms_coin(forms) ? 1 : 1 + (uint32_t)forms_below(forms, forms->legs_max);
}

static enum command_kind forms_kind(struct forms *forms)
{
    return forms_below(forms, 4) > 1 ? COMMAND_PAYMENT
           : forms_coin(forms)       ? COMMAND_ACCOUNT_OPEN
                                     : COMMAND_CURRENCY_CREATE;
}

static void forms_currency_create(struct forms *forms, struct currency_create *create)
{
    create->code = forms_currency_code(forms);
    create->scale = (uint8_t)forms_below(forms, CURRENCY_SCALE_MAX + 1);
}

static void forms_payment(struct forms *forms, struct payment *payment)
{
    payment->id = forms_uuid(forms);
    payment->legs_count = forms_legs_count(forms);
    payment->short_form = payment->legs_count == 1 && forms_coin(forms);
    forms_optional_time(forms, &payment->has_valid_until, &payment->valid_until_ns);
    forms_optional_time(forms, &payment->has_effective_at, &payment->effective_at_ns);
    forms_reference(forms, &payment->has_reference, &payment->reference);
    forms_metadata(forms, &payment->has_metadata, &payment->metadata);
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        payment->legs[i] = (struct leg){.debit = forms_account_id(forms),
                                        .credit = forms_account_id(forms),
                                        .currency = forms_currency_or_none(forms),
                                        .amount = forms_amount(forms)};
    }
}

void forms_command(struct forms *forms, struct command *command)
{
    command->kind = forms_kind(forms);
    if (command->kind == COMMAND_CURRENCY_CREATE) {
        forms_currency_create(forms, &command->currency_create);
    } else if (command->kind == COMMAND_ACCOUNT_OPEN) {
        struct account_open *open = &command->account_open;
        open->id = forms_account_id(forms);
        open->currency = forms_currency_code(forms);
        open->debit_normal = forms_coin(forms);
        forms_overdraft(forms, &open->overdraft_kind, &open->overdraft_limit);
    } else {
        forms_payment(forms, &command->payment);
    }
}

static struct entry_ref forms_account_ref(struct forms *forms)
{
    struct entry_ref ref = {.number = 0, .text = TEXT("")};
    if (forms_below(forms, 4) == 0) {
        ref.text = forms_account_id(forms);
    } else {
        ref.number = 1 + forms_below(forms, (uint64_t)1 << (1 + forms_below(forms, 40)));
    }
    return ref;
}

static struct entry_ref forms_currency_ref(struct forms *forms)
{
    struct entry_ref ref = {.number = 0, .text = forms_currency_or_none(forms)};
    if (forms_coin(forms)) {
        ref = (struct entry_ref){.number = 1 + forms_below(forms, CURRENCIES_MAX)};
    }
    return ref;
}

void forms_entry_command(struct forms *forms, struct entry_command *command)
{
    command->kind = forms_kind(forms);
    if (command->kind == COMMAND_CURRENCY_CREATE) {
        forms_currency_create(forms, &command->currency_create);
        return;
    }
    if (command->kind == COMMAND_ACCOUNT_OPEN) {
        struct entry_account_open *open = &command->account_open;
        open->id = forms_account_id(forms);
        open->currency = (struct entry_ref){.number = 1 + forms_below(forms, CURRENCIES_MAX)};
        open->debit_normal = forms_coin(forms);
        forms_overdraft(forms, &open->overdraft_kind, &open->overdraft_limit);
        return;
    }
    struct payment source;
    struct entry_payment *payment = &command->payment;
    forms_payment(forms, &source);
    payment->id = source.id;
    payment->short_form = source.short_form;
    payment->has_valid_until = source.has_valid_until;
    payment->has_effective_at = source.has_effective_at;
    payment->has_reference = source.has_reference;
    payment->has_metadata = source.has_metadata;
    payment->valid_until_ns = source.valid_until_ns;
    payment->effective_at_ns = source.effective_at_ns;
    payment->reference = source.reference;
    payment->metadata = source.metadata;
    payment->legs_count = source.legs_count;
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        payment->legs[i] = (struct entry_leg){.debit = forms_account_ref(forms),
                                              .credit = forms_account_ref(forms),
                                              .currency = forms_currency_ref(forms),
                                              .amount = source.legs[i].amount};
    }
}

static bool all_numbers(const struct entry_payment *payment)
{
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        if (payment->legs[i].debit.number == 0 || payment->legs[i].credit.number == 0) {
            return false;
        }
    }
    return true;
}

/* Some seq up to this one, or none. */
static uint64_t forms_earlier_seq(struct forms *forms, uint64_t seq)
{
    return forms_coin(forms) ? 0 : 1 + forms_below(forms, seq);
}

static void forms_side(struct forms *forms, uint64_t seq, uint64_t account, struct entry_side *side)
{
    *side = (struct entry_side){.account = account,
                                .balance_after = forms_balance(forms),
                                .number = 1 + forms_below(forms, 1000000),
                                .previous_seq = forms_earlier_seq(forms, seq),
                                .jump_seq = forms_earlier_seq(forms, seq)};
}

void forms_decision(struct forms *forms, uint64_t seq, const struct entry_command *command,
                    struct decision *decision)
{
    decision->code = CODE_OK;
    decision->seq = seq;
    decision->term = forms_below(forms, 1000);
    decision->time_ns = forms_time(forms);
    decision->kind = command->kind;
    decision->field = FIELD_NONE;
    decision->leg = 0;
    decision->available = 0;
    decision->needed = 0;
    decision->sides_count = 0;
    if (command->kind != COMMAND_PAYMENT) {
        return;
    }
    const struct entry_payment *payment = &command->payment;
    if (all_numbers(payment)) {
        for (uint32_t i = 0; i < payment->legs_count; i++) {
            forms_side(forms, seq, payment->legs[i].debit.number, &decision->sides[2 * i]);
            forms_side(forms, seq, payment->legs[i].credit.number, &decision->sides[2 * i + 1]);
        }
        decision->sides_count = 2 * payment->legs_count;
        return;
    }
    decision->field = FIELD_DEBIT;
    decision->leg = (uint32_t)forms_below(forms, payment->legs_count);
    decision->code = CODE_ACCOUNT_NOT_FOUND;
    if (forms_coin(forms)) {
        decision->code = CODE_INSUFFICIENT_FUNDS;
        decision->available = forms_balance(forms);
        decision->needed = forms_amount(forms);
    }
}

void forms_outcome(struct forms *forms, enum command_kind kind, struct outcome *outcome)
{
    static const enum code codes[] = {CODE_OK,
                                      CODE_ACCOUNT_NOT_FOUND,
                                      CODE_INSUFFICIENT_FUNDS,
                                      CODE_CURRENCY_MISMATCH,
                                      CODE_IDEMPOTENCY_MISMATCH,
                                      CODE_UNKNOWN};
    outcome->code = forms_coin(forms) ? CODE_OK : codes[forms_below(forms, ARRAY_COUNT(codes))];
    outcome->kind = kind;
    outcome->replayed = forms_coin(forms);
    outcome->short_form = forms_coin(forms);
    outcome->seq = forms_below(forms, SEQ_MAX + 1);
    outcome->term = forms_below(forms, 1000);
    outcome->time_ns = forms_time(forms);
    outcome->id = kind == COMMAND_PAYMENT ? forms_uuid(forms) : (struct uuid){0};
    outcome->field = FIELD_NONE;
    outcome->leg = 0;
    outcome->subject = TEXT("");
    outcome->available = 0;
    outcome->needed = 0;
    outcome->currency = TEXT("");
    outcome->wanted = TEXT("");
    outcome->rows_count = 0;
    if (outcome->code != CODE_OK && forms_coin(forms)) {
        outcome->field = (enum field)(1 + forms_below(forms, FIELD_COUNT - 1));
        outcome->leg = (uint32_t)forms_below(forms, LEGS_MAX);
        outcome->subject = forms_account_id(forms);
    }
    if (outcome->code == CODE_INSUFFICIENT_FUNDS) {
        outcome->available = forms_balance(forms);
        outcome->needed = forms_amount(forms);
    }
    if (outcome->code == CODE_INSUFFICIENT_FUNDS) {
        outcome->currency = forms_currency_code(forms);
    }
    if (outcome->code == CODE_CURRENCY_MISMATCH) {
        outcome->currency = forms_currency_code(forms);
        outcome->wanted = forms_currency_code(forms);
    }
    if (outcome->code != CODE_OK || kind != COMMAND_PAYMENT) {
        return;
    }
    outcome->rows_count = 2 * forms_legs_count(forms);
    for (uint32_t i = 0; i < outcome->rows_count; i++) {
        struct outcome_row *row = &outcome->rows[i];
        *row = (struct outcome_row){.account = forms_account_id(forms),
                                    .posted = forms_balance(forms),
                                    .has_rest = forms_coin(forms)};
        row->unlimited = row->has_rest && forms_coin(forms);
        row->held = row->has_rest ? forms_counter(forms) : 0;
        row->available = row->has_rest && !row->unlimited ? forms_balance(forms) : 0;
    }
}

void forms_account_view(struct forms *forms, struct account_view *view)
{
    *view = (struct account_view){
        .id = forms_account_id(forms),
        .currency = forms_currency_code(forms),
        .scale = (uint8_t)forms_below(forms, CURRENCY_SCALE_MAX + 1),
        .debit_normal = forms_coin(forms),
        .posted = forms_balance(forms),
        .held = forms_counter(forms),
        .debits_posted = forms_counter(forms),
        .credits_posted = forms_counter(forms),
        .debits_held = forms_counter(forms),
        .credits_held = forms_counter(forms),
        .entries = forms_below(forms, 1000000),
        .seq = forms_below(forms, SEQ_MAX + 1),
        .term = forms_below(forms, 1000),
        .time_ns = forms_time(forms),
    };
    forms_overdraft(forms, &view->overdraft_kind, &view->overdraft_limit);
    view->available = view->overdraft_kind == OVERDRAFT_LIMIT ? forms_balance(forms) : 0;
}

void forms_currency_view(struct forms *forms, struct currency_view *view)
{
    *view = (struct currency_view){
        .code = forms_currency_code(forms),
        .scale = (uint8_t)forms_below(forms, CURRENCY_SCALE_MAX + 1),
        .seq = forms_below(forms, SEQ_MAX + 1),
        .term = forms_below(forms, 1000),
        .time_ns = forms_time(forms),
        .debits_posted = forms_counter(forms),
        .credits_posted = forms_counter(forms),
        .debits_held = forms_counter(forms),
        .credits_held = forms_counter(forms),
        .accounts_count = forms_below(forms, 1000000),
    };
}

void forms_payment_view(struct forms *forms, struct payment_view *view)
{
    struct payment source;
    forms_payment(forms, &source);
    forms_outcome(forms, COMMAND_PAYMENT, &view->outcome);
    view->outcome.short_form = source.short_form;
    view->has_valid_until = source.has_valid_until;
    view->has_effective_at = source.has_effective_at;
    view->has_reference = source.has_reference;
    view->has_metadata = source.has_metadata;
    view->valid_until_ns = source.valid_until_ns;
    view->effective_at_ns = source.effective_at_ns;
    view->reference = source.reference;
    view->metadata = source.metadata;
    view->legs_count = source.legs_count;
    for (uint32_t i = 0; i < view->legs_count; i++) {
        struct payment_view_leg *leg = &view->legs[i];
        *leg = (struct payment_view_leg){.debit = source.legs[i].debit,
                                         .credit = source.legs[i].credit,
                                         .currency = source.legs[i].currency,
                                         .amount = source.legs[i].amount,
                                         .has_entries = view->outcome.code == CODE_OK};
        if (leg->has_entries) {
            leg->debit_balance = forms_balance(forms);
            leg->debit_entry = 1 + forms_below(forms, 1000000);
            leg->credit_balance = forms_balance(forms);
            leg->credit_entry = 1 + forms_below(forms, 1000000);
        }
    }
}
