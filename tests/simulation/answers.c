#include "tests/simulation/answers.h"

#include "base/check.h"
#include "tests/simulation/oracle.h"

#include <stdlib.h>
#include <string.h>

static uint64_t acknowledged;

uint64_t answers_acknowledged(void)
{
    return acknowledged;
}

static uint64_t integer_of(const struct value *object, const char *name)
{
    int64_t integer = 0;
    const struct value *member = value_member(object, name);
    if (member == NULL || !value_integer(member, &integer) || integer < 0) {
        world_fail("an answer has no number \"%s\"", name);
    }
    return (uint64_t)integer;
}

static bool text_is(const struct value *object, const char *name, const char *text)
{
    return text_equal(value_text(value_member(object, name)), text_of(text));
}

/* Balances of the simulation fit 64 bits. */
static int64_t money_of(const struct value *object, const char *name)
{
    struct text text = value_text(value_member(object, name));
    char digits[32];
    if (text.size == 0 || text.size >= sizeof(digits)) {
        world_fail("an answer has no amount \"%s\"", name);
    }
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    return strtoll(digits, NULL, 10);
}

static int account_of(const struct value *object, const char *name)
{
    for (int i = 0; i < MODEL_ACCOUNTS; i++) {
        if (text_is(object, name, model_account_name(i))) {
            return i;
        }
    }
    world_fail("an answer names an unknown account");
}

/* ---- payments ------------------------------------------------------------------------------ */

static const struct model_outcome *recorded(uint64_t number, uint64_t seq)
{
    const struct model_outcome *outcome = oracle_payment(number);
    if (outcome == NULL || outcome->seq != seq) {
        world_fail("payment %llu is answered with seq %llu, the log says %llu",
                   (unsigned long long)number, (unsigned long long)seq,
                   (unsigned long long)(outcome == NULL ? 0 : outcome->seq));
    }
    return outcome;
}

/* A new outcome is later than all that anyone knew when it was asked for. */
static void judge_order(const struct attempt *attempt, uint64_t seq, bool replayed)
{
    if (!replayed && seq <= attempt->acknowledged) {
        world_fail("seq %llu is answered as new after %llu was told", (unsigned long long)seq,
                   (unsigned long long)attempt->acknowledged);
    }
    acknowledged = seq > acknowledged ? seq : acknowledged;
}

static void judge_rows(const struct value *result, const struct model_outcome *outcome)
{
    const struct value *rows = value_member(result, "balances");
    if (rows == NULL || value_count(rows) != outcome->rows_count) {
        world_fail("seq %llu: wrong number of balances", (unsigned long long)outcome->seq);
    }
    for (const struct value *row = value_first(rows); row != NULL; row = value_next(row)) {
        int account = account_of(row, "account");
        bool same = false;
        for (uint32_t i = 0; i < outcome->rows_count; i++) {
            same = same || (outcome->rows[i].account == account &&
                            outcome->rows[i].posted == money_of(row, "posted"));
        }
        if (!same) {
            world_fail("seq %llu: the balance of %s is wrong", (unsigned long long)outcome->seq,
                       model_account_name(account));
        }
    }
}

static void judge_posted(const struct attempt *attempt, const struct value *result, uint64_t number)
{
    uint64_t seq = integer_of(result, "seq");
    const struct model_outcome *outcome = recorded(number, seq);
    bool replayed = false;
    if (outcome->code != CODE_OK || !text_is(result, "status", "posted") ||
        !value_boolean(value_member(result, "replayed"), &replayed)) {
        world_fail("payment %llu is answered as posted, and was not", (unsigned long long)number);
    }
    judge_rows(result, outcome);
    judge_order(attempt, seq, replayed);
}

static void judge_refused(const struct attempt *attempt, const struct value *data, struct text code,
                          uint64_t number)
{
    uint64_t seq = integer_of(data, "seq");
    const struct model_outcome *outcome = recorded(number, seq);
    const struct code_info *info = code_info(outcome->code);
    if (info == NULL || !text_equal(code, text_of(info->name))) {
        world_fail("payment %llu is answered with another code than the model's %d",
                   (unsigned long long)number, (int)outcome->code);
    }
    bool replayed = false;
    if (!value_boolean(value_member(data, "replayed"), &replayed)) {
        world_fail("a refusal does not say whether it is a replay");
    }
    judge_order(attempt, seq, replayed);
}

static enum verdict judge_error(const struct attempt *attempt, const struct reply *error,
                                uint64_t number, struct clients_figures *figures)
{
    if (error->recorded == YES) {
        judge_refused(attempt, error->data, error->code, number);
        figures->refused++;
        return VERDICT_DEFINITE;
    }
    if (error->recorded == UNSURE) {
        return VERDICT_UNSURE;
    }
    if (error->retryable) {
        return VERDICT_NOT_EXECUTED;
    }
    world_fail("payment %llu: unexpected error %.*s", (unsigned long long)number,
               (int)error->code.size, error->code.data);
}

static enum verdict judge_batch(const struct attempt *attempt, const struct value *result,
                                struct clients_figures *figures)
{
    const struct value *results = value_member(result, "results");
    const struct operation *operation = attempt->operation;
    if (results == NULL || value_count(results) != operation->count) {
        world_fail("a batch of %u has another number of results", operation->count);
    }
    enum verdict verdict = VERDICT_DEFINITE;
    uint64_t number = operation->number;
    for (const struct value *item = value_first(results); item != NULL;
         item = value_next(item), number++) {
        const struct value *inner = value_member(item, "result");
        if (inner != NULL) {
            judge_posted(attempt, inner, number);
            figures->posted++;
            continue;
        }
        const struct value *error = value_member(item, "error");
        const struct value *data = value_member(error, "data");
        struct reply reply = {.data = data, .code = value_text(value_member(data, "code"))};
        bool flag = false;
        const struct value *recorded_value = value_member(data, "recorded");
        reply.recorded = !value_boolean(recorded_value, &flag) ? UNSURE : flag ? YES : NO;
        (void)value_boolean(value_member(data, "retryable"), &reply.retryable);
        enum verdict one = judge_error(attempt, &reply, number, figures);
        verdict = one == VERDICT_DEFINITE ? verdict : VERDICT_UNSURE;
    }
    return verdict;
}

/* ---- reads --------------------------------------------------------------------------------- */

static void judge_fresh(const struct attempt *attempt, uint64_t seq, enum read_mode mode)
{
    if (mode == READ_LINEARIZABLE && seq < attempt->acknowledged) {
        world_fail("a read gives the state at seq %llu after %llu was told",
                   (unsigned long long)seq, (unsigned long long)attempt->acknowledged);
    }
    if (mode == READ_MIN_SEQ && seq < attempt->operation->min_seq) {
        world_fail("a read gives the state at seq %llu, at least %llu was wanted",
                   (unsigned long long)seq, (unsigned long long)attempt->operation->min_seq);
    }
    if (seq > oracle_seq()) {
        world_fail("a read gives a state that no node has reached");
    }
    /* A read that waits for its state tells the others as well; a stale one may be anything. */
    if (mode == READ_LINEARIZABLE) {
        acknowledged = seq > acknowledged ? seq : acknowledged;
    }
}

static void judge_account(const struct value *view, uint64_t seq)
{
    int account = account_of(view, "id");
    i128 posted = 0;
    uint64_t entries = 0;
    if (!oracle_balance(account, seq, &posted, &entries) || posted != money_of(view, "posted") ||
        entries != integer_of(view, "entries")) {
        world_fail("%s at seq %llu is not what the model has", model_account_name(account),
                   (unsigned long long)seq);
    }
}

static void judge_found(const struct value *result, uint64_t number)
{
    uint64_t seq = integer_of(result, "seq");
    const struct model_outcome *outcome = recorded(number, seq);
    bool posted = text_is(result, "status", "posted");
    if (posted != (outcome->code == CODE_OK)) {
        world_fail("payment %llu is shown with another status than the log's",
                   (unsigned long long)number);
    }
    acknowledged = seq > acknowledged ? seq : acknowledged;
}

static void judge_list(const struct value *result, uint64_t seq)
{
    const struct value *accounts = value_member(result, "accounts");
    for (const struct value *view = value_first(accounts); view != NULL; view = value_next(view)) {
        judge_account(view, seq);
    }
}

static void judge_totals(const struct value *result)
{
    const struct value *totals = value_member(result, "totals");
    for (const struct value *row = value_first(totals); row != NULL; row = value_next(row)) {
        if (money_of(row, "debits_posted") != money_of(row, "credits_posted")) {
            world_fail("the totals of a currency differ");
        }
    }
}

static enum verdict judge_read(const struct attempt *attempt, const struct value *result)
{
    const struct operation *operation = attempt->operation;
    if (operation->kind == OPERATION_PAYMENT_GET) {
        judge_found(result, operation->number);
        return VERDICT_DEFINITE;
    }
    uint64_t seq = integer_of(result, "seq");
    judge_fresh(attempt, seq, operation->mode);
    if (operation->kind == OPERATION_ACCOUNT_GET) {
        judge_account(result, seq);
    } else if (operation->kind == OPERATION_LIST) {
        judge_list(result, seq);
    } else {
        judge_totals(result);
    }
    return VERDICT_DEFINITE;
}

/* A payment (or account, on a node that lags) is said to be absent at a seq. */
static enum verdict judge_absent(const struct attempt *attempt, const struct reply *reply)
{
    const struct operation *operation = attempt->operation;
    uint64_t seq = integer_of(reply->data, "seq");
    enum read_mode mode = attempt->asks ? READ_LINEARIZABLE : operation->mode;
    judge_fresh(attempt, seq, mode);
    if (operation->kind == OPERATION_ACCOUNT_GET) {
        i128 posted = 0;
        uint64_t entries = 0;
        if (oracle_balance(operation->account, seq, &posted, &entries)) {
            world_fail("an account is said to be absent at seq %llu, and is open",
                       (unsigned long long)seq);
        }
        return VERDICT_DEFINITE;
    }
    const struct model_outcome *outcome = oracle_payment(operation->number);
    if (outcome != NULL && outcome->seq <= seq) {
        world_fail("payment %llu is said to be absent at seq %llu, and has seq %llu",
                   (unsigned long long)operation->number, (unsigned long long)seq,
                   (unsigned long long)outcome->seq);
    }
    return attempt->asks ? VERDICT_ABSENT : VERDICT_DEFINITE;
}

static enum verdict judge_read_error(const struct attempt *attempt, const struct reply *reply)
{
    if (text_equal(reply->code, TEXT("not_found"))) {
        return judge_absent(attempt, reply);
    }
    if (!reply->retryable) {
        world_fail("a read is refused: %.*s", (int)reply->code.size, reply->code.data);
    }
    return VERDICT_ABSENT;
}

/* ---- the door ------------------------------------------------------------------------------ */

static enum verdict judge_open(const struct reply *reply)
{
    if (reply->result != NULL) {
        return VERDICT_DEFINITE;
    }
    if (reply->retryable || reply->recorded == UNSURE ||
        text_equal(reply->code, TEXT("currency_not_found"))) {
        return VERDICT_UNSURE;
    }
    world_fail("a currency or account is refused: %.*s", (int)reply->code.size, reply->code.data);
}

static enum verdict judge_mismatch(const struct reply *reply)
{
    if (reply->result != NULL) {
        world_fail("a known id with other fields is posted");
    }
    bool mismatch = text_equal(reply->code, TEXT("idempotency_mismatch"));
    if (!mismatch && !reply->retryable && reply->recorded != UNSURE) {
        world_fail("a known id with other fields: %.*s", (int)reply->code.size, reply->code.data);
    }
    return VERDICT_DEFINITE;
}

enum verdict answers_judge(const struct attempt *attempt, const struct reply *reply,
                           struct clients_figures *figures)
{
    const struct operation *operation = attempt->operation;
    if (attempt->asks) {
        if (reply->result == NULL) {
            return judge_read_error(attempt, reply);
        }
        judge_found(reply->result, operation->number);
        return VERDICT_DEFINITE;
    }
    switch (operation->kind) {
    case OPERATION_OPEN:
        return judge_open(reply);
    case OPERATION_MISMATCH:
        figures->mismatches++;
        return judge_mismatch(reply);
    case OPERATION_PAYMENT:
    case OPERATION_BATCH:
        if (reply->result == NULL) {
            return judge_error(attempt, reply, operation->number, figures);
        }
        if (operation->kind == OPERATION_BATCH) {
            return judge_batch(attempt, reply->result, figures);
        }
        judge_posted(attempt, reply->result, operation->number);
        figures->posted++;
        return VERDICT_DEFINITE;
    case OPERATION_ACCOUNT_GET:
    case OPERATION_PAYMENT_GET:
    case OPERATION_LIST:
    case OPERATION_TOTALS:
        figures->reads++;
        return reply->result == NULL ? judge_read_error(attempt, reply)
                                     : judge_read(attempt, reply->result);
    }
    return VERDICT_UNSURE;
}
