/* What the ledger answered and holds, against what the model says. */
#include "tests/support/model_world.h"

#include "tests/support/check.h"

#include <string.h>

static void compare_rows(const struct model_outcome *expected, const struct outcome *outcome)
{
    assert_int_equal(outcome->rows_count, expected->rows_count);
    for (uint32_t i = 0; i < expected->rows_count; i++) {
        const struct model_row *row = &expected->rows[i];
        const struct outcome_row *real = &outcome->rows[i];
        assert_true(text_equal(real->account, text_of(model_account_name(row->account))));
        assert_true(real->posted == row->posted);
        assert_true(real->has_rest == row->has_rest);
        assert_true(real->unlimited == row->unlimited);
        assert_true(real->held == 0);
        assert_true(real->unlimited || real->available == row->available);
    }
}

static void compare_outcome(struct model_world *world, const struct model_command *command,
                            const struct model_outcome *expected, const struct outcome *outcome)
{
    if (outcome->code != expected->code || outcome->field != expected->field ||
        outcome->leg != expected->leg || outcome->seq != expected->seq ||
        outcome->replayed != expected->replayed) {
        fail_msg("code %d field %d leg %u seq %llu replayed %d, the model says "
                 "code %d field %d leg %u seq %llu replayed %d",
                 (int)outcome->code, (int)outcome->field, outcome->leg,
                 (unsigned long long)outcome->seq, outcome->replayed, (int)expected->code,
                 (int)expected->field, expected->leg, (unsigned long long)expected->seq,
                 expected->replayed);
    }
    assert_int_equal(outcome->kind, command->kind);
    assert_true(outcome->term == expected->term);
    assert_true(outcome->time_ns == expected->time_ns);
    assert_true(outcome->available == expected->available);
    assert_true(outcome->needed == expected->needed);
    compare_rows(expected, outcome);
    if (command->kind == COMMAND_PAYMENT) {
        const struct uuid id = uuid_of(command->payment->id + 1);
        assert_true(uuid_equal(&outcome->id, &id));
        assert_true(outcome->short_form == command->payment->short_form);
    }
    world->compared++;
    world->by_code[outcome->code]++;
}

static void compare_views(const struct model_command *command, const struct model_outcome *expected,
                          struct reader *reader)
{
    if (expected->code != CODE_OK) {
        return;
    }
    if (command->kind == COMMAND_ACCOUNT_OPEN) {
        struct account_view view;
        check_ok(account_view_read(reader, &view));
        assert_true(text_equal(view.id, text_of(model_account_name(command->account))));
        assert_true(view.posted == expected->posted);
        assert_true(view.entries == expected->entries);
        assert_true(view.seq == expected->seq);
    }
    if (command->kind == COMMAND_CURRENCY_CREATE) {
        struct currency_view view;
        check_ok(currency_view_read(reader, &view));
        assert_true(text_equal(view.code, text_of(model_currency_name(command->currency))));
        assert_int_equal(view.scale, command->scale);
        assert_true(view.seq == expected->seq);
    }
}

/* The code of the whole request where all its commands met the same loss, else CODE_OK. */
static enum code whole_code(const struct model_trial *trial)
{
    if (trial->mode == REQUEST_BARRIER) {
        return trial->known[0] == FATE_APPLIED ? CODE_OK : CODE_LEADERSHIP_LOST;
    }
    for (uint32_t i = 0; i < trial->count; i++) {
        if (trial->known[i] == FATE_APPLIED || trial->known[i] != trial->known[0]) {
            return CODE_OK;
        }
    }
    return trial->known[0] == FATE_UNKNOWN ? CODE_UNKNOWN : CODE_LEADERSHIP_LOST;
}

void model_compare_answer(struct model_world *world, const struct model_trial *trial)
{
    const struct ledger_request *request = &trial->call->request;
    assert_int_equal(request->code, whole_code(trial));
    if (request->code != CODE_OK) {
        world->lost++;
        assert_int_equal(request->outcomes_count, 0);
        return;
    }
    assert_true(request->seq == ledger_position(world->leader.ledger).seq);
    assert_int_equal(request->outcomes_count, trial->count);
    struct reader reader = reader_of(request->outcomes.data, request->outcomes.size);
    static struct outcome outcome;
    for (uint32_t i = 0; i < trial->count; i++) {
        check_ok(outcome_read(&reader, &outcome));
        if (trial->known[i] == FATE_APPLIED) {
            compare_outcome(world, &trial->commands[i], &trial->expected[i], &outcome);
            compare_views(&trial->commands[i], &trial->expected[i], &reader);
            continue;
        }
        world->unknown++;
        assert_int_equal(outcome.code,
                         trial->known[i] == FATE_UNKNOWN ? CODE_UNKNOWN : CODE_LEADERSHIP_LOST);
        assert_true(outcome.seq == 0);
    }
    assert_int_equal(reader_left(&reader), 0);
}

void model_compare_totals(struct model_world *world, struct driver *driver)
{
    static const struct query query = {.kind = QUERY_TOTALS};
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    check_ok(ledger_query(driver->ledger, &query, &answer));
    struct reader reader = reader_of(answer.data, answer.size);
    struct answer_head head;
    check_ok(answer_head_read(&reader, &head));
    assert_true(head.seq == world->model.seq);
    uint32_t found = 0;
    for (uint32_t i = 0; i < head.count; i++) {
        struct currency_view view;
        check_ok(currency_view_read(&reader, &view));
        assert_true(view.debits_posted == view.credits_posted);
        for (int c = 0; c < MODEL_CURRENCIES; c++) {
            const struct model_currency *currency = &world->model.books.currencies[c];
            if (currency->exists && text_equal(view.code, text_of(model_currency_name(c)))) {
                found++;
                assert_true(view.debits_posted == currency->debits);
                assert_true(view.credits_posted == currency->credits);
                assert_true(view.accounts_count == currency->accounts);
            }
        }
    }
    assert_int_equal(found, head.count);
    buffer_deinit(&answer);
}

void model_compare_account(struct model_world *world, struct driver *driver, int index)
{
    const struct model_account *account = &world->model.books.accounts[index];
    struct query query = {.kind = QUERY_ACCOUNT_GET};
    const struct text id = text_of(model_account_name(index));
    memcpy(query.account, id.data, id.size);
    query.account_size = (uint8_t)id.size;
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    check_ok(ledger_query(driver->ledger, &query, &answer));
    struct reader reader = reader_of(answer.data, answer.size);
    struct answer_head head;
    check_ok(answer_head_read(&reader, &head));
    assert_int_equal(head.code == CODE_OK, account->exists);
    if (account->exists) {
        struct account_view view;
        check_ok(account_view_read(&reader, &view));
        assert_true(view.debits_posted == account->debits);
        assert_true(view.credits_posted == account->credits);
        assert_true(view.posted == model_posted(account));
        assert_true(view.entries == account->entries);
        assert_true(text_equal(view.currency, text_of(model_currency_name(account->currency))));
        assert_true(account->unlimited ||
                    view.available == model_posted(account) + (i128)account->limit);
    }
    buffer_deinit(&answer);
}

void model_compare_accounts(struct model_world *world, struct driver *driver)
{
    for (int i = 0; i < MODEL_ACCOUNTS; i++) {
        model_compare_account(world, driver, i);
    }
}

void model_compare_follower(struct model_world *world)
{
    const struct position ours = ledger_position(world->leader.ledger);
    const struct position theirs = ledger_position(world->follower.ledger);
    assert_true(ours.index == theirs.index && ours.seq == theirs.seq);
    assert_true(ours.term == theirs.term && ours.time_ns == theirs.time_ns);
    assert_true(digest_equal(&ours.digest, &theirs.digest));
    assert_true(ours.accounts_count == theirs.accounts_count);
    assert_true(ours.payments_count == theirs.payments_count);
    assert_true(ours.payments_count == world->model.posted + world->model.refused);
    assert_true(ours.seq == world->model.seq);
}

void model_check_histories(struct model_world *world)
{
    static struct model_account accounts[MODEL_ACCOUNTS];
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    uint64_t *by_seq = calloc(world->model.seq + 1, sizeof(*by_seq));
    assert_non_null(by_seq);
    for (uint64_t id = 0; id < world->next_id; id++) {
        const struct model_record *record = &world->model.records[id];
        if (record->payment != NULL && record->outcome.code == CODE_OK) {
            by_seq[record->outcome.seq] = id + 1;
        }
    }
    static struct payment_view view;
    for (uint64_t seq = 1; seq <= world->model.seq; seq++) {
        if (by_seq[seq] == 0) {
            continue;
        }
        const struct model_payment *payment = world->model.records[by_seq[seq] - 1].payment;
        const struct query query = {.kind = QUERY_PAYMENT_GET, .id = uuid_of(by_seq[seq])};
        buffer_clear(&answer);
        check_ok(ledger_query(world->leader.ledger, &query, &answer));
        struct reader reader = reader_of(answer.data, answer.size);
        struct answer_head head;
        check_ok(answer_head_read(&reader, &head));
        assert_int_equal(head.code, CODE_OK);
        check_ok(payment_view_read(&reader, &view));
        assert_true(view.outcome.seq == seq && view.legs_count == payment->legs_count);
        for (uint32_t i = 0; i < payment->legs_count; i++) {
            struct model_account *debit = &accounts[payment->legs[i].debit];
            struct model_account *credit = &accounts[payment->legs[i].credit];
            debit->debit_normal = world->model.books.accounts[payment->legs[i].debit].debit_normal;
            credit->debit_normal =
                world->model.books.accounts[payment->legs[i].credit].debit_normal;
            debit->debits += payment->legs[i].amount;
            debit->entries++;
            assert_true(view.legs[i].debit_entry == debit->entries);
            assert_true(view.legs[i].debit_balance == model_posted(debit));
            credit->credits += payment->legs[i].amount;
            credit->entries++;
            assert_true(view.legs[i].credit_entry == credit->entries);
            assert_true(view.legs[i].credit_balance == model_posted(credit));
        }
    }
    for (int i = 0; i < MODEL_ACCOUNTS; i++) {
        assert_true(accounts[i].entries == world->model.books.accounts[i].entries);
    }
    free(by_seq);
    buffer_deinit(&answer);
}
