/*
 * All accounts and currencies of a payment are loaded once, changed in a copy, and written back
 * only when every check has passed; a refusal leaves the view as it was.
 */
#include "ledger/payment.h"

#include "base/check.h"
#include "base/mutant.h"
#include "ledger/history.h"

static_assert(2 * LEGS_MAX <= UINT8_MAX + 1, "indexes of accounts fit a byte");

/* The accounts and currencies that a payment touches, each once, in the order of the legs. */
struct work {
    uint32_t accounts_count;
    uint32_t currencies_count;
    uint8_t side_account[2 * LEGS_MAX]; /* index into accounts */
    uint8_t leg_currency[LEGS_MAX];     /* index into currencies */
    i128 posted_before[2 * LEGS_MAX];
    struct account accounts[2 * LEGS_MAX];
    struct currency currencies[LEGS_MAX];
};

static void refuse(struct decision *decision, enum code code, enum field field, uint32_t leg)
{
    assert(code != CODE_OK);
    decision->code = code;
    decision->field = field;
    decision->leg = leg;
}

static bool load_account(struct view *view, struct work *work, const struct entry_ref *ref,
                         uint32_t side)
{
    if (ref->number == 0) {
        return false; /* the leader found none: the log keeps the text */
    }
    for (uint32_t i = 0; i < work->accounts_count; i++) {
        if (work->accounts[i].number == ref->number) {
            work->side_account[side] = (uint8_t)i;
            return true;
        }
    }
    const uint32_t index = work->accounts_count;
    if (!view->functions->account_get(view, ref->number, &work->accounts[index])) {
        return false;
    }
    work->posted_before[index] = account_posted(&work->accounts[index]);
    work->side_account[side] = (uint8_t)index;
    work->accounts_count++;
    return true;
}

static bool accounts_exist(struct view *view, const struct entry_payment *payment,
                           struct work *work, struct decision *decision)
{
    for (uint32_t leg = 0; leg < payment->legs_count; leg++) {
        if (!load_account(view, work, &payment->legs[leg].debit, 2 * leg)) {
            refuse(decision, CODE_ACCOUNT_NOT_FOUND, FIELD_DEBIT, leg);
            return false;
        }
        if (!load_account(view, work, &payment->legs[leg].credit, 2 * leg + 1)) {
            refuse(decision, CODE_ACCOUNT_NOT_FOUND, FIELD_CREDIT, leg);
            return false;
        }
    }
    return true;
}

static struct account *debit_of(struct work *work, uint32_t leg)
{
    return &work->accounts[work->side_account[2 * leg]];
}

static struct account *credit_of(struct work *work, uint32_t leg)
{
    return &work->accounts[work->side_account[2 * leg + 1]];
}

static bool currencies_match(const struct entry_payment *payment, struct work *work,
                             struct decision *decision)
{
    for (uint32_t leg = 0; leg < payment->legs_count; leg++) {
        const struct entry_ref *given = &payment->legs[leg].currency;
        const uint32_t debit = debit_of(work, leg)->currency;
        const uint32_t credit = credit_of(work, leg)->currency;
        if (given->number == 0 && given->text.size == 0) {
            if (debit != credit) {
                refuse(decision, CODE_CURRENCY_MISMATCH, FIELD_CREDIT, leg);
                return false;
            }
            continue;
        }
        if (debit != given->number || credit != given->number) {
            refuse(decision, CODE_CURRENCY_MISMATCH, FIELD_CURRENCY, leg);
            return false;
        }
    }
    return true;
}

static bool accounts_differ(const struct entry_payment *payment, struct work *work,
                            struct decision *decision)
{
    for (uint32_t leg = 0; leg < payment->legs_count; leg++) {
        if (debit_of(work, leg) == credit_of(work, leg)) {
            refuse(decision, CODE_SAME_ACCOUNT, FIELD_CREDIT, leg);
            return false;
        }
    }
    return true;
}

/*
 * Only a posted payment owns its reference. A refused one moved no money, and its sender must be
 * able to try again under a new id with the same reference.
 */
static bool reference_free(struct view *view, const struct entry_payment *payment,
                           struct decision *decision)
{
    uint64_t owner = 0;
    if (payment->has_reference &&
        view->functions->reference_find(view, payment->reference, &owner)) {
        refuse(decision, CODE_REFERENCE_CONFLICT, FIELD_REFERENCE, 0);
        return false;
    }
    return true;
}

static bool in_time(const struct entry_payment *payment, struct decision *decision)
{
    if (payment->has_valid_until && decision->time_ns >= payment->valid_until_ns) {
        refuse(decision, CODE_PAYMENT_EXPIRED, FIELD_VALID_UNTIL, 0);
        return false;
    }
    return true;
}

/* Every payment adds the same to both sides: books that do not balance were damaged outside. */
static bool books_balance(const struct currency *currency)
{
    return currency->debits_posted == currency->credits_posted &&
           currency->debits_held == currency->credits_held;
}

static void load_currencies(struct view *view, const struct entry_payment *payment,
                            struct work *work)
{
    for (uint32_t leg = 0; leg < payment->legs_count; leg++) {
        const uint32_t number = debit_of(work, leg)->currency;
        uint32_t index = 0;
        while (index < work->currencies_count && work->currencies[index].number != number) {
            index++;
        }
        if (index == work->currencies_count) {
            if (!view->functions->currency_get(view, number, &work->currencies[index])) {
                /* An account always has its currency: only an operating error can hide it, and the
                 * whole entry is then dropped with the view's error. */
                assert(view->error != STATUS_OK);
                work->currencies[index] = (struct currency){.number = number};
            }
            if (!books_balance(&work->currencies[index]) && view->error == STATUS_OK) {
                view->error = STATUS_CORRUPT;
            }
            work->currencies_count++;
        }
        work->leg_currency[leg] = (uint8_t)index;
    }
}

/* Adds to a counter; false where counter + also would reach the limit. All are below 2^126, so that
 * sums of two do not wrap, and three stay below 2^128. */
static bool add(u128 *counter, u128 amount, u128 also)
{
    assert(*counter < AMOUNT_LIMIT && also < AMOUNT_LIMIT);
    assert(amount < AMOUNT_LIMIT);
    *counter += amount;
    return *counter < AMOUNT_LIMIT && *counter + also < AMOUNT_LIMIT;
}

/* Posts all legs to the copies, which makes the sides; stops at the first counter that overflows.
 */
static bool add_up(const struct entry_payment *payment, struct work *work,
                   struct decision *decision)
{
    for (uint32_t leg = 0; leg < payment->legs_count; leg++) {
        const u128 amount = payment->legs[leg].amount;
        struct account *debit = debit_of(work, leg);
        struct account *credit = credit_of(work, leg);
        struct currency *totals = &work->currencies[work->leg_currency[leg]];
        if (!add(&debit->debits_posted, amount, debit->debits_held) ||
            !add(&credit->credits_posted, amount, credit->credits_held) ||
            !add(&totals->debits_posted, amount, totals->debits_held) ||
            !add(&totals->credits_posted, amount, totals->credits_held)) {
            refuse(decision, CODE_OVERFLOW, FIELD_AMOUNT, leg);
            return false;
        }
        history_append(debit, decision->seq, &decision->sides[2 * leg]);
        history_append(credit, decision->seq, &decision->sides[2 * leg + 1]);
    }
    return true;
}

/*
 * A limit binds only accounts whose balance falls by the payment's net effect: what comes in is
 * never refused, even below the limit. The side reported is the first in which such an account
 * pays.
 */
static bool within_limits(const struct entry_payment *payment, const struct work *work,
                          struct decision *decision)
{
    for (uint32_t side = 0; side < 2 * payment->legs_count; side++) {
        const uint32_t index = work->side_account[side];
        const struct account *account = &work->accounts[index];
        const bool is_credit = side % 2 == 1;
        if (is_credit != account->debit_normal || account->overdraft_kind == OVERDRAFT_UNLIMITED) {
            continue;
        }
        const i128 change = account_posted(account) - work->posted_before[index];
        const i128 available = account_available(account);
        if (MUTANT("limits-forgotten") && payment->id.bytes[15] < 16) {
            continue;
        }
        if (change < 0 && available < 0) {
            refuse(decision, CODE_INSUFFICIENT_FUNDS, is_credit ? FIELD_CREDIT : FIELD_DEBIT,
                   side / 2);
            decision->available = available - change;
            decision->needed = (u128)-change;
            return false;
        }
    }
    return true;
}

static void write_back(struct view *view, const struct entry_payment *payment,
                       const struct work *work, struct decision *decision)
{
    for (uint32_t i = 0; i < work->accounts_count; i++) {
        if (MUTANT("credit-forgotten") && i > 0 && payment->id.bytes[15] == 7) {
            continue;
        }
        view->functions->account_put(view, &work->accounts[i]);
    }
    for (uint32_t i = 0; i < work->currencies_count; i++) {
        view->functions->currency_put(view, &work->currencies[i]);
    }
    if (payment->has_reference) {
        view->functions->reference_put(view, payment->reference, decision->seq);
    }
    decision->code = CODE_OK;
    decision->sides_count = 2 * payment->legs_count;
}

void payment_execute(struct view *view, const struct entry_payment *payment,
                     struct decision *decision)
{
    assert(payment->legs_count > 0 && payment->legs_count <= LEGS_MAX);
    assert(decision->seq > 0 && decision->sides_count == 0);
    struct work work;
    work.accounts_count = 0;
    work.currencies_count = 0;
    if (!accounts_exist(view, payment, &work, decision) ||
        !currencies_match(payment, &work, decision) || !accounts_differ(payment, &work, decision) ||
        !reference_free(view, payment, decision) || !in_time(payment, decision)) {
        return;
    }
    load_currencies(view, payment, &work);
    if (!add_up(payment, &work, decision) || !within_limits(payment, &work, decision)) {
        return;
    }
    write_back(view, payment, &work, decision);
}
