#include "tests/support/model.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 16 };

/* Far from 2^126 in this file's own words: the limit is compared by subtraction. */
static const u128 model_limit = (u128)1 << 126;

const char *model_account_name(int account)
{
    static char names[MODEL_ACCOUNTS][NAME_BYTES];
    assert_in_range(account, 0, MODEL_ACCOUNTS - 1);
    (void)snprintf(names[account], NAME_BYTES, "acct:%02d", account % 100);
    return names[account];
}

const char *model_currency_name(int currency)
{
    static const char *const names[MODEL_CURRENCIES] = {"EUR", "USD", "BIG", "LATE", "NEVER"};
    return names[currency];
}

const char *model_reference_name(int reference)
{
    static char names[MODEL_REFERENCES][NAME_BYTES];
    (void)snprintf(names[reference], NAME_BYTES, "ref-%05d", reference % 100000);
    return names[reference];
}

void model_init(struct model *model, uint64_t ids_max)
{
    memset(model, 0, sizeof(*model));
    model->records = calloc(ids_max, sizeof(*model->records));
    model->records_count = ids_max;
    assert_non_null(model->records);
}

void model_deinit(struct model *model)
{
    for (uint64_t i = 0; i < model->records_count; i++) {
        model_outcome_free(&model->records[i].outcome);
    }
    free(model->records);
}

void model_outcome_free(struct model_outcome *outcome)
{
    free(outcome->rows);
    outcome->rows = NULL;
}

i128 model_posted(const struct model_account *account)
{
    const i128 balance = (i128)account->credits - (i128)account->debits;
    return account->debit_normal ? -balance : balance;
}

static bool would_overflow(u128 counter, u128 amount)
{
    return amount >= model_limit - counter;
}

/* Money that leaves the account on its normal side, minus money that comes in. */
static i128 net_fall(const struct model_books *books, const struct model_payment *payment,
                     int account)
{
    i128 fall = 0;
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        const i128 amount = (i128)payment->legs[i].amount;
        if (payment->legs[i].debit == account) {
            fall += amount;
        }
        if (payment->legs[i].credit == account) {
            fall -= amount;
        }
    }
    return books->accounts[account].debit_normal ? -fall : fall;
}

static bool refuse(struct model_outcome *outcome, enum code code, enum field field, uint32_t leg)
{
    outcome->code = code;
    outcome->field = field;
    outcome->leg = leg;
    return false;
}

static bool check_names(const struct model_books *books, const struct model_payment *payment,
                        struct model_outcome *outcome)
{
    const struct model_leg *legs = payment->legs;
    const struct model_account *accounts = books->accounts;
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        if (!accounts[legs[i].debit].exists) {
            return refuse(outcome, CODE_ACCOUNT_NOT_FOUND, FIELD_DEBIT, i);
        }
        if (!accounts[legs[i].credit].exists) {
            return refuse(outcome, CODE_ACCOUNT_NOT_FOUND, FIELD_CREDIT, i);
        }
    }
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        const int debit = accounts[legs[i].debit].currency;
        const int credit = accounts[legs[i].credit].currency;
        const int given = legs[i].currency;
        if (given != MODEL_NONE && (given != debit || given != credit)) {
            return refuse(outcome, CODE_CURRENCY_MISMATCH, FIELD_CURRENCY, i);
        }
        if (debit != credit) {
            return refuse(outcome, CODE_CURRENCY_MISMATCH, FIELD_CREDIT, i);
        }
    }
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        if (legs[i].debit == legs[i].credit) {
            return refuse(outcome, CODE_SAME_ACCOUNT, FIELD_CREDIT, i);
        }
    }
    return true;
}

/* Adds the legs up on a copy, so that the first that does not fit can be named. */
static bool check_overflow(const struct model_books *books, const struct model_payment *payment,
                           struct model_outcome *outcome)
{
    struct model_books *sum = malloc(sizeof(*sum));
    assert_non_null(sum);
    *sum = *books;
    bool fine = true;
    for (uint32_t i = 0; fine && i < payment->legs_count; i++) {
        const u128 amount = payment->legs[i].amount;
        struct model_account *debit = &sum->accounts[payment->legs[i].debit];
        struct model_account *credit = &sum->accounts[payment->legs[i].credit];
        struct model_currency *currency = &sum->currencies[debit->currency];
        if (would_overflow(debit->debits, amount) || would_overflow(credit->credits, amount) ||
            would_overflow(currency->debits, amount) || would_overflow(currency->credits, amount)) {
            fine = refuse(outcome, CODE_OVERFLOW, FIELD_AMOUNT, i);
        } else {
            debit->debits += amount;
            credit->credits += amount;
            currency->debits += amount;
            currency->credits += amount;
        }
    }
    free(sum);
    return fine;
}

/* The account of this side pays through it, and can not afford what the payment takes in all. */
static bool side_is_short(const struct model_books *books, const struct model_payment *payment,
                          int index, bool debited, struct model_outcome *outcome)
{
    const struct model_account *account = &books->accounts[index];
    if (account->unlimited || account->debit_normal == debited) {
        return false;
    }
    const i128 fall = net_fall(books, payment, index);
    const i128 available = model_posted(account) + (i128)account->limit;
    if (fall <= 0 || available >= fall) {
        return false;
    }
    outcome->available = available;
    outcome->needed = (u128)fall;
    return true;
}

static bool check_limits(const struct model_books *books, const struct model_payment *payment,
                         struct model_outcome *outcome)
{
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        if (side_is_short(books, payment, payment->legs[i].debit, true, outcome)) {
            return refuse(outcome, CODE_INSUFFICIENT_FUNDS, FIELD_DEBIT, i);
        }
        if (side_is_short(books, payment, payment->legs[i].credit, false, outcome)) {
            return refuse(outcome, CODE_INSUFFICIENT_FUNDS, FIELD_CREDIT, i);
        }
    }
    return true;
}

static void add_row(const struct model_books *books, int account, struct model_outcome *outcome)
{
    for (uint32_t i = 0; i < outcome->rows_count; i++) {
        if (outcome->rows[i].account == account) {
            return;
        }
    }
    const struct model_account *state = &books->accounts[account];
    const i128 posted = model_posted(state);
    outcome->rows[outcome->rows_count] =
        (struct model_row){.account = account,
                           .posted = posted,
                           .available = state->unlimited ? 0 : posted + (i128)state->limit,
                           .has_rest = true,
                           .unlimited = state->unlimited};
    outcome->rows_count++;
}

static void post(struct model_books *books, const struct model_payment *payment,
                 struct model_outcome *outcome)
{
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        const struct model_leg *leg = &payment->legs[i];
        struct model_currency *currency = &books->currencies[books->accounts[leg->debit].currency];
        books->accounts[leg->debit].debits += leg->amount;
        books->accounts[leg->debit].entries++;
        books->accounts[leg->credit].credits += leg->amount;
        books->accounts[leg->credit].entries++;
        currency->debits += leg->amount;
        currency->credits += leg->amount;
    }
    if (payment->reference != MODEL_NONE) {
        books->references[payment->reference] = true;
    }
    outcome->rows = calloc((size_t)2 * payment->legs_count, sizeof(*outcome->rows));
    assert_non_null(outcome->rows);
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        add_row(books, payment->legs[i].debit, outcome);
        add_row(books, payment->legs[i].credit, outcome);
    }
}

/* outcome has seq, term and time. */
static void judge(struct model_books *books, const struct model_payment *payment,
                  struct model_outcome *outcome)
{
    outcome->code = CODE_OK;
    if (!check_names(books, payment, outcome)) {
        return;
    }
    if (payment->reference != MODEL_NONE && books->references[payment->reference]) {
        (void)refuse(outcome, CODE_REFERENCE_CONFLICT, FIELD_REFERENCE, 0);
        return;
    }
    if (payment->valid_until_ns != 0 && outcome->time_ns >= payment->valid_until_ns) {
        (void)refuse(outcome, CODE_PAYMENT_EXPIRED, FIELD_VALID_UNTIL, 0);
        return;
    }
    if (check_overflow(books, payment, outcome) && check_limits(books, payment, outcome)) {
        post(books, payment, outcome);
    }
}

/* What a leg's currency means: the given one, else that of both accounts, else nothing. */
static int meant_currency(const struct model_books *books, const struct model_leg *leg, int given)
{
    const struct model_account *debit = &books->accounts[leg->debit];
    const struct model_account *credit = &books->accounts[leg->credit];
    if (given != MODEL_NONE) {
        return given;
    }
    const bool own = debit->exists && credit->exists && debit->currency == credit->currency;
    return own ? debit->currency : MODEL_NONE;
}

static bool differ(const struct model_books *books, const struct model_payment *now,
                   const struct model_payment *then, struct model_outcome *outcome)
{
    outcome->code = CODE_IDEMPOTENCY_MISMATCH;
    if (now->legs_count != then->legs_count) {
        outcome->field = FIELD_LEGS;
        return true;
    }
    for (uint32_t i = 0; i < now->legs_count; i++) {
        const struct model_leg *a = &now->legs[i];
        const struct model_leg *b = &then->legs[i];
        outcome->leg = i;
        if (a->debit != b->debit) {
            outcome->field = FIELD_DEBIT;
            return true;
        }
        if (a->credit != b->credit) {
            outcome->field = FIELD_CREDIT;
            return true;
        }
        if (a->amount != b->amount) {
            outcome->field = FIELD_AMOUNT;
            return true;
        }
        if (meant_currency(books, a, a->currency) != meant_currency(books, a, b->currency)) {
            outcome->field = FIELD_CURRENCY;
            return true;
        }
    }
    outcome->leg = 0;
    if (now->valid_until_ns != then->valid_until_ns) {
        outcome->field = FIELD_VALID_UNTIL;
        return true;
    }
    if (now->effective_at_ns != then->effective_at_ns) {
        outcome->field = FIELD_EFFECTIVE_AT;
        return true;
    }
    if (now->reference != then->reference) {
        outcome->field = FIELD_REFERENCE;
        return true;
    }
    const bool same_metadata =
        (now->metadata == NULL) == (then->metadata == NULL) &&
        (now->metadata == NULL || strcmp(now->metadata, then->metadata) == 0);
    if (!same_metadata) {
        outcome->field = FIELD_METADATA;
        return true;
    }
    outcome->code = CODE_OK;
    return false;
}

static void replay(const struct model_outcome *recorded, struct model_outcome *outcome)
{
    *outcome = *recorded;
    outcome->replayed = true;
    outcome->rows = NULL;
    if (recorded->rows_count > 0) {
        outcome->rows = calloc(recorded->rows_count, sizeof(*outcome->rows));
        assert_non_null(outcome->rows);
    }
    for (uint32_t i = 0; i < recorded->rows_count; i++) {
        outcome->rows[i] = (struct model_row){.account = recorded->rows[i].account,
                                              .posted = recorded->rows[i].posted};
    }
}

static void begin(struct model *model, uint64_t term, int64_t time_ns,
                  struct model_outcome *outcome)
{
    model->seq++;
    outcome->seq = model->seq;
    outcome->term = term;
    outcome->time_ns = time_ns;
}

static void record(struct model *model, const struct model_payment *payment,
                   const struct model_outcome *outcome)
{
    struct model_record *kept = &model->records[payment->id];
    assert_null(kept->payment);
    kept->payment = payment;
    kept->outcome = *outcome;
    kept->outcome.rows = NULL;
    if (outcome->rows_count > 0) {
        kept->outcome.rows = calloc(outcome->rows_count, sizeof(*outcome->rows));
        assert_non_null(kept->outcome.rows);
        memcpy(kept->outcome.rows, outcome->rows, outcome->rows_count * sizeof(*outcome->rows));
    }
    if (outcome->code == CODE_OK) {
        model->posted++;
    } else {
        model->refused++;
    }
}

static void run_currency(struct model *model, const struct model_command *command, uint64_t term,
                         int64_t time_ns, struct model_outcome *outcome)
{
    struct model_currency *currency = &model->books.currencies[command->currency];
    if (currency->exists && currency->scale != command->scale) {
        outcome->code = CODE_ALREADY_EXISTS;
        outcome->field = FIELD_SCALE;
        return;
    }
    outcome->replayed = currency->exists;
    if (!currency->exists) {
        begin(model, term, time_ns, outcome);
        *currency = (struct model_currency){.exists = true,
                                            .scale = command->scale,
                                            .seq = outcome->seq,
                                            .term = term,
                                            .time_ns = time_ns};
    }
    outcome->seq = currency->seq;
    outcome->term = currency->term;
    outcome->time_ns = currency->time_ns;
}

static void run_account(struct model *model, const struct model_command *command, uint64_t term,
                        int64_t time_ns, struct model_outcome *outcome)
{
    struct model_account *account = &model->books.accounts[command->account];
    struct model_currency *currency = &model->books.currencies[command->currency];
    if (account->exists) {
        outcome->code = CODE_ALREADY_EXISTS;
        if (account->currency != command->currency) {
            outcome->field = FIELD_CURRENCY;
            return;
        }
        if (account->debit_normal != command->debit_normal) {
            outcome->field = FIELD_NORMAL;
            return;
        }
        if (account->unlimited != command->unlimited ||
            (!account->unlimited && account->limit != command->limit)) {
            outcome->field = FIELD_OVERDRAFT;
            return;
        }
        outcome->code = CODE_OK;
        outcome->replayed = true;
    } else if (!currency->exists) {
        outcome->code = CODE_CURRENCY_NOT_FOUND;
        outcome->field = FIELD_CURRENCY;
        return;
    } else {
        begin(model, term, time_ns, outcome);
        *account = (struct model_account){.exists = true,
                                          .debit_normal = command->debit_normal,
                                          .unlimited = command->unlimited,
                                          .currency = command->currency,
                                          .limit = command->unlimited ? 0 : command->limit,
                                          .seq = outcome->seq,
                                          .term = term,
                                          .time_ns = time_ns};
        currency->accounts++;
    }
    outcome->seq = account->seq;
    outcome->term = account->term;
    outcome->time_ns = account->time_ns;
    outcome->posted = model_posted(account);
    outcome->entries = account->entries;
}

static void run_payment(struct model *model, const struct model_payment *payment, uint64_t term,
                        int64_t time_ns, struct model_outcome *outcome)
{
    const struct model_record *kept = &model->records[payment->id];
    if (kept->payment != NULL) {
        if (!differ(&model->books, payment, kept->payment, outcome)) {
            replay(&kept->outcome, outcome);
        }
        return;
    }
    begin(model, term, time_ns, outcome);
    judge(&model->books, payment, outcome);
    record(model, payment, outcome);
}

/* Is the group aborted by an item that was recorded before, or is none of the recorded ones? */
static bool aborted_from_outside(struct model *model, const struct model_command *commands,
                                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct model_payment *payment = commands[i].payment;
        const struct model_record *kept = &model->records[payment->id];
        const struct model_payment *then = kept->payment;
        for (uint32_t j = 0; then == NULL && j < i; j++) {
            then = commands[j].payment->id == payment->id ? commands[j].payment : NULL;
        }
        struct model_outcome ignored = {0};
        if (then != NULL && differ(&model->books, payment, then, &ignored)) {
            return true;
        }
        if (kept->payment != NULL && kept->outcome.code != CODE_OK) {
            return true;
        }
    }
    return false;
}

/* The first of the new payments that is refused after those before it; count: none. */
static uint32_t find_culprit(const struct model *model, const struct model_command *commands,
                             uint32_t count, uint64_t term, int64_t time_ns,
                             struct model_outcome *refusal)
{
    struct model_books *books = malloc(sizeof(*books));
    assert_non_null(books);
    *books = model->books;
    uint32_t culprit = count;
    uint64_t seq = model->seq;
    for (uint32_t i = 0; i < count && culprit == count; i++) {
        const struct model_payment *payment = commands[i].payment;
        bool is_new = model->records[payment->id].payment == NULL;
        for (uint32_t j = 0; j < i; j++) {
            is_new = is_new && commands[j].payment->id != payment->id;
        }
        if (!is_new) {
            continue;
        }
        seq++;
        struct model_outcome outcome = {.seq = seq, .term = term, .time_ns = time_ns};
        judge(books, payment, &outcome);
        if (outcome.code != CODE_OK) {
            culprit = i;
            *refusal = outcome;
        }
        model_outcome_free(&outcome);
    }
    free(books);
    return culprit;
}

static void run_atomic(struct model *model, const struct model_command *commands, uint32_t count,
                       uint64_t term, int64_t time_ns, struct model_outcome *outcomes)
{
    struct model_outcome refusal = {0};
    const bool aborted = aborted_from_outside(model, commands, count);
    const uint32_t culprit =
        aborted ? count : find_culprit(model, commands, count, term, time_ns, &refusal);
    for (uint32_t i = 0; i < count; i++) {
        const struct model_payment *payment = commands[i].payment;
        const bool is_new = model->records[payment->id].payment == NULL;
        if (!is_new || (!aborted && culprit == count)) {
            run_payment(model, payment, term, time_ns, &outcomes[i]);
            continue;
        }
        begin(model, term, time_ns, &outcomes[i]);
        if (i == culprit) {
            assert_true(outcomes[i].seq == refusal.seq);
            outcomes[i] = refusal;
        } else {
            outcomes[i].code = CODE_BATCH_ABORTED;
        }
        record(model, payment, &outcomes[i]);
    }
}

void model_run(struct model *model, const struct model_command *commands, uint32_t count,
               bool atomic, uint64_t term, int64_t time_ns, struct model_outcome *outcomes)
{
    memset(outcomes, 0, count * sizeof(*outcomes));
    if (atomic) {
        run_atomic(model, commands, count, term, time_ns, outcomes);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (commands[i].kind == COMMAND_CURRENCY_CREATE) {
            run_currency(model, &commands[i], term, time_ns, &outcomes[i]);
        } else if (commands[i].kind == COMMAND_ACCOUNT_OPEN) {
            run_account(model, &commands[i], term, time_ns, &outcomes[i]);
        } else {
            run_payment(model, commands[i].payment, term, time_ns, &outcomes[i]);
        }
    }
}
