/*
 * Outcomes of a request's commands, in the order of the commands, and the end of a request. They
 * are made from the store that has just executed the command.
 */
#include "ledger/internal.h"

#include "base/check.h"
#include "ledger/read.h"

/* Everything but the rows, which count nothing until they are filled in. */
static void outcome_begin(struct outcome *outcome, const struct item *item)
{
    outcome->code = CODE_OK;
    outcome->kind = item->kind;
    outcome->replayed = false;
    outcome->short_form = item->short_form;
    outcome->seq = 0;
    outcome->term = 0;
    outcome->time_ns = 0;
    outcome->id = item->id;
    outcome->field = FIELD_NONE;
    outcome->leg = 0;
    outcome->subject = (struct text){0};
    outcome->available = 0;
    outcome->needed = 0;
    outcome->currency = (struct text){0};
    outcome->wanted = (struct text){0};
    outcome->rows_count = 0;
}

static void outcome_add(struct ledger_request *request, const struct outcome *outcome)
{
    outcome_write(&request->outcomes, outcome);
    request->outcomes_count++;
}

static enum status answer_currency(struct ledger *ledger, const struct item *item, uint32_t number,
                                   bool replayed)
{
    struct currency currency;
    struct view *view = &ledger->store_view.view;
    if (!view->functions->currency_get(view, number, &currency)) {
        return view->error != STATUS_OK ? view->error : STATUS_CORRUPT;
    }
    struct outcome outcome;
    outcome_begin(&outcome, item);
    outcome.replayed = replayed;
    outcome.seq = currency.seq;
    outcome.term = currency.term;
    outcome.time_ns = currency.time_ns;
    outcome_add(item->request, &outcome);
    struct currency_view currency_view;
    view_of_currency(&currency, &currency_view);
    currency_view_write(&item->request->outcomes, &currency_view);
    return STATUS_OK;
}

static enum status answer_account(struct ledger *ledger, const struct item *item, uint64_t number,
                                  bool replayed)
{
    struct account account;
    struct currency currency;
    struct view *view = &ledger->store_view.view;
    if (!view->functions->account_get(view, number, &account) ||
        !view->functions->currency_get(view, account.currency, &currency)) {
        return view->error != STATUS_OK ? view->error : STATUS_CORRUPT;
    }
    struct outcome outcome;
    outcome_begin(&outcome, item);
    outcome.replayed = replayed;
    outcome.seq = account.seq;
    outcome.term = account.term;
    outcome.time_ns = account.time_ns;
    outcome_add(item->request, &outcome);
    struct account_view account_view;
    view_of_account(&account, &currency, &account_view);
    account_view_write(&item->request->outcomes, &account_view);
    return STATUS_OK;
}

/*
 * One row for each account that took part, in the order of first appearance. The rows borrow the
 * ids of `accounts`.
 */
static enum status fill_rows(struct view *view, const struct decision *decision,
                             struct account accounts[OUTCOME_ROWS_MAX], struct outcome *outcome)
{
    uint32_t count = 0;
    for (uint32_t side = 0; side < decision->sides_count; side++) {
        const uint64_t number = decision->sides[side].account;
        uint32_t row = 0;
        while (row < count && accounts[row].number != number) {
            row++;
        }
        if (row < count) {
            continue;
        }
        struct account *account = &accounts[count];
        if (!view->functions->account_get(view, number, account)) {
            return view->error != STATUS_OK ? view->error : STATUS_CORRUPT;
        }
        const bool unlimited = account->overdraft_kind == OVERDRAFT_UNLIMITED;
        outcome->rows[count] =
            (struct outcome_row){.account = {.data = account->id, .size = account->id_size},
                                 .posted = account_posted(account),
                                 .has_rest = true,
                                 .unlimited = unlimited,
                                 .held = account_held(account),
                                 .available = unlimited ? 0 : account_available(account)};
        count++;
    }
    outcome->rows_count = count;
    return STATUS_OK;
}

static enum status answer_posted(struct ledger *ledger, const struct item *item,
                                 const struct decision *decision)
{
    struct account accounts[OUTCOME_ROWS_MAX];
    struct outcome outcome;
    outcome_begin(&outcome, item);
    outcome.seq = decision->seq;
    outcome.term = decision->term;
    outcome.time_ns = decision->time_ns;
    const enum status status = fill_rows(&ledger->store_view.view, decision, accounts, &outcome);
    if (status != STATUS_OK) {
        return status;
    }
    outcome_add(item->request, &outcome);
    return STATUS_OK;
}

/* As recorded: the record knows the names that a refusal is about. */
static enum status answer_refused(struct ledger *ledger, const struct item *item,
                                  const struct decision *decision)
{
    struct outcome outcome;
    const enum status status = read_outcome(ledger->txn, decision->seq, item->short_form, &outcome);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }
    outcome.replayed = false;
    outcome_add(item->request, &outcome);
    return STATUS_OK;
}

enum status answer_executed(struct ledger *ledger, const struct item *item,
                            const struct decision *decision)
{
    assert(item->disposition == ITEM_IN_ENTRY && item->kind == decision->kind);
    struct view *view = &ledger->store_view.view;
    if (view->error != STATUS_OK) {
        return view->error;
    }
    if (decision->kind == COMMAND_PAYMENT) {
        return decision->code == CODE_OK ? answer_posted(ledger, item, decision)
                                         : answer_refused(ledger, item, decision);
    }
    if (decision->code == CODE_OK) {
        /* The newest one: numbers are dense. */
        return decision->kind == COMMAND_ACCOUNT_OPEN
                   ? answer_account(ledger, item, view->accounts_count, false)
                   : answer_currency(ledger, item, view->currencies_count, false);
    }
    struct outcome outcome;
    outcome_begin(&outcome, item);
    outcome.code = decision->code;
    outcome.field = decision->field;
    outcome.subject = item->subject;
    outcome_add(item->request, &outcome);
    return STATUS_OK;
}

static enum status answer_replay(struct ledger *ledger, const struct item *item)
{
    metric_add(ledger->metrics, METRIC_REPLAYS, 1);
    if (item->kind == COMMAND_CURRENCY_CREATE) {
        return answer_currency(ledger, item, (uint32_t)item->replay, true);
    }
    if (item->kind == COMMAND_ACCOUNT_OPEN) {
        return answer_account(ledger, item, item->replay, true);
    }
    struct outcome outcome;
    const enum status status = read_outcome(ledger->txn, item->replay, item->short_form, &outcome);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }
    outcome_add(item->request, &outcome);
    return STATUS_OK;
}

enum status answer_looked_up(struct ledger *ledger, const struct item *item)
{
    assert(item->disposition != ITEM_IN_ENTRY);
    if (item->disposition == ITEM_BARRIER) {
        return STATUS_OK; /* the request's own seq is its answer */
    }
    if (item->disposition == ITEM_REPLAY) {
        return answer_replay(ledger, item);
    }
    struct outcome outcome;
    outcome_begin(&outcome, item);
    outcome.code = item->code;
    outcome.field = item->field;
    outcome.leg = item->leg;
    outcome.subject = item->subject;
    outcome_add(item->request, &outcome);
    return STATUS_OK;
}

/*
 * request->code follows what was added: as long as every command shares the code of the loss, it is
 * the request's own, and answer_finish leaves the outcomes out.
 */
void answer_lost(const struct item *item, enum code code)
{
    assert(code == CODE_UNKNOWN || code == CODE_LEADERSHIP_LOST);
    struct ledger_request *request = item->request;
    if (request->outcomes_count == 0) {
        request->code = code;
    } else if (request->code != code) {
        request->code = CODE_OK;
    }
    if (request->mode == REQUEST_BARRIER) {
        return;
    }
    struct outcome outcome;
    outcome_begin(&outcome, item);
    outcome.code = code;
    outcome_add(request, &outcome);
}

void answer_finish(struct ledger *ledger, struct ledger_request *request, struct list *answered)
{
    if (request->code != CODE_OK) {
        answer_whole(ledger, request, request->code, answered);
        return;
    }
    if (request->outcomes.failed) {
        /* It was executed, but there is no room to say how: the client may ask. */
        answer_whole(ledger, request, CODE_UNKNOWN, answered);
        return;
    }
    assert(request->outcomes_count == request->count);
    request->seq = ledger->position.seq;
    request->term = ledger->position.term;
    request->time_ns = ledger->position.time_ns;
    list_push(answered, &request->node);
}

void answer_whole(struct ledger *ledger, struct ledger_request *request, enum code code,
                  struct list *answered)
{
    assert(code != CODE_OK);
    buffer_clear(&request->outcomes);
    request->outcomes_count = 0;
    request->code = code;
    request->seq = ledger->position.seq;
    request->term = ledger->position.term;
    request->time_ns = ledger->position.time_ns;
    list_remove(&request->node);
    list_push(answered, &request->node);
}
