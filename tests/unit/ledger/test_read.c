#include "tests/support/check.h"

#include "base/check.h"
#include "ledger/execute.h"
#include "ledger/read.h"

#include <string.h>

enum { MAP_BYTES = 64 * 1024 * 1024, PARTS_MAX = 8 };

/* A store with its write transaction open, filled through ledger_execute. */
struct fixture {
    char *dir;
    struct store *store;
    struct store_txn *txn;
    struct store_view view;
    struct position position;
    struct buffer form;
    struct buffer answer;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->dir = test_dir_make();
    const struct store_options options = {.path = fixture->dir, .map_bytes = MAP_BYTES};
    char error[256];
    check_ok(store_open(&fixture->store, &options, error, sizeof(error)));
    check_ok(store_write_begin(fixture->store, &fixture->txn));
    store_view_init(&fixture->view, fixture->txn, &fixture->position, NULL);
    buffer_init(&fixture->form, 64 * 1024);
    buffer_init(&fixture->answer, ANSWER_BYTES_MAX);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_view_deinit(&fixture->view);
    buffer_deinit(&fixture->form);
    buffer_deinit(&fixture->answer);
    store_close(fixture->store);
    test_dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

/* Executes a command as apply does; its outcome code. */
static enum code execute(struct fixture *fixture, const struct entry_command *command)
{
    struct position *position = &fixture->position;
    struct decision decision;
    position->seq++;
    position->term = 7;
    position->time_ns += 1000;
    const struct execution execution = {.term = position->term, .time_ns = position->time_ns};
    buffer_clear(&fixture->form);
    entry_command_write(&fixture->form, command);
    const struct text form = {.data = (const char *)fixture->form.data, .size = fixture->form.size};
    ledger_execute(&fixture->view.view, &execution, position->seq, command, form, &decision);
    check_ok(fixture->view.view.error);
    position->accounts_count = fixture->view.view.accounts_count;
    position->currencies_count = fixture->view.view.currencies_count;
    position->payments_count += command->kind == COMMAND_PAYMENT;
    return decision.code;
}

static void create_currency(struct fixture *fixture, const char *code)
{
    struct entry_command command = {.kind = COMMAND_CURRENCY_CREATE};
    command.currency_create = (struct currency_create){.code = text_of(code), .scale = 2};
    assert_int_equal(execute(fixture, &command), CODE_OK);
}

static void open_account(struct fixture *fixture, const char *id, uint32_t currency, bool unlimited)
{
    struct entry_command command = {.kind = COMMAND_ACCOUNT_OPEN};
    command.account_open = (struct entry_account_open){
        .id = text_of(id),
        .currency = {.number = currency},
        .overdraft_kind = unlimited ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT};
    assert_int_equal(execute(fixture, &command), CODE_OK);
}

static struct entry_ref account_ref(struct fixture *fixture, const char *id)
{
    struct entry_ref ref = {.number = 0, .text = text_of(id)};
    uint64_t number;
    if (store_account_number(fixture->txn, ref.text, &number) == STATUS_OK) {
        ref.number = number;
    }
    return ref;
}

/* One leg of a payment in a test. */
struct part {
    const char *debit, *credit;
    uint64_t amount;
};

static struct uuid id_of(uint64_t number)
{
    struct uuid id = {.bytes = {[15] = 1}};
    memcpy(id.bytes, &number, sizeof(number));
    return id;
}

/* The payment's id is made from its seq. */
static enum code pay(struct fixture *fixture, const struct part *parts, uint32_t count)
{
    struct entry_command command = {.kind = COMMAND_PAYMENT};
    assert_true(count <= PARTS_MAX);
    command.payment.id = id_of(fixture->position.seq + 1);
    command.payment.short_form = count == 1;
    command.payment.legs_count = count;
    for (uint32_t i = 0; i < count; i++) {
        command.payment.legs[i] =
            (struct entry_leg){.debit = account_ref(fixture, parts[i].debit),
                               .credit = account_ref(fixture, parts[i].credit),
                               .amount = parts[i].amount};
    }
    return execute(fixture, &command);
}

static enum code pay_one(struct fixture *fixture, const char *debit, const char *credit,
                         uint64_t amount)
{
    return pay(fixture, &(struct part){debit, credit, amount}, 1);
}

/* EUR; bank (unlimited), alice, bob, carol: seqs 1 to 5. */
static void fill(struct fixture *fixture)
{
    create_currency(fixture, "EUR");
    open_account(fixture, "bank", 1, true);
    open_account(fixture, "alice", 1, false);
    open_account(fixture, "bob", 1, false);
    open_account(fixture, "carol", 1, false);
}

static struct query query_for(enum query_kind kind, const char *account)
{
    struct query query = {.kind = kind, .limit = LIST_ITEMS_MAX};
    query.account_size = (uint8_t)strlen(account);
    memcpy(query.account, account, query.account_size);
    return query;
}

/* Runs the query; the reader then stands behind the head. */
static struct reader ask(struct fixture *fixture, const struct query *query,
                         struct answer_head *head)
{
    buffer_clear(&fixture->answer);
    check_ok(query_run(fixture->txn, &fixture->position, query, &fixture->answer));
    struct reader reader = reader_of(fixture->answer.data, fixture->answer.size);
    check_ok(answer_head_read(&reader, head));
    assert_true(head->seq == fixture->position.seq && head->term == fixture->position.term);
    assert_true(head->time_ns == fixture->position.time_ns);
    return reader;
}

static void check_text(struct text found, const char *wanted)
{
    assert_int_equal(found.size, strlen(wanted));
    assert_memory_equal(found.data, wanted, found.size);
}

static void an_account_is_shown_with_its_balances(void **state)
{
    struct fixture *fixture = *state;
    struct answer_head head;
    struct account_view view;
    fill(fixture);
    assert_int_equal(pay_one(fixture, "bank", "alice", 500), CODE_OK);
    assert_int_equal(pay_one(fixture, "alice", "bob", 120), CODE_OK);
    struct query query = query_for(QUERY_ACCOUNT_GET, "alice");
    struct reader reader = ask(fixture, &query, &head);
    assert_int_equal(head.code, CODE_OK);
    assert_int_equal(head.count, 1);
    check_ok(account_view_read(&reader, &view));
    assert_int_equal(reader_left(&reader), 0);
    check_text(view.id, "alice");
    check_text(view.currency, "EUR");
    assert_int_equal(view.scale, 2);
    assert_true(view.posted == 380 && view.available == 380 && view.held == 0);
    assert_true(view.debits_posted == 120 && view.credits_posted == 500);
    assert_int_equal(view.entries, 2);
    assert_int_equal(view.seq, 3);

    query = query_for(QUERY_ACCOUNT_GET, "bank");
    reader = ask(fixture, &query, &head);
    check_ok(account_view_read(&reader, &view));
    assert_int_equal(view.overdraft_kind, OVERDRAFT_UNLIMITED);
    assert_true(view.posted == -500);

    query = query_for(QUERY_ACCOUNT_GET, "nobody");
    reader = ask(fixture, &query, &head);
    assert_int_equal(head.code, CODE_NOT_FOUND);
    assert_int_equal(head.count, 0);
    assert_int_equal(reader_left(&reader), 0);
}

static void a_posted_payment_is_shown_with_its_entries(void **state)
{
    struct fixture *fixture = *state;
    struct answer_head head;
    struct payment_view view;
    fill(fixture);
    /* alice takes part three times: her row has the balance after the whole payment. */
    const struct part parts[] = {
        {"bank", "alice", 100}, {"alice", "bob", 30}, {"alice", "carol", 20}};
    assert_int_equal(pay(fixture, parts, 3), CODE_OK);
    struct query query = query_for(QUERY_PAYMENT_GET, "");
    query.id = id_of(6);
    struct reader reader = ask(fixture, &query, &head);
    assert_int_equal(head.count, 1);
    check_ok(payment_view_read(&reader, &view));
    assert_int_equal(reader_left(&reader), 0);
    const struct outcome *outcome = &view.outcome;
    assert_int_equal(outcome->code, CODE_OK);
    assert_false(outcome->replayed);
    assert_false(outcome->short_form);
    assert_true(uuid_equal(&outcome->id, &query.id));
    assert_true(outcome->seq == 6 && outcome->term == 7 && outcome->time_ns == 6000);
    assert_int_equal(outcome->rows_count, 4);
    static const char *const names[] = {"bank", "alice", "bob", "carol"};
    static const int balances[] = {-100, 50, 30, 20};
    for (uint32_t i = 0; i < 4; i++) {
        check_text(outcome->rows[i].account, names[i]);
        assert_true(outcome->rows[i].posted == balances[i]);
        assert_false(outcome->rows[i].has_rest);
    }
    assert_int_equal(view.legs_count, 3);
    check_text(view.legs[2].debit, "alice");
    check_text(view.legs[2].credit, "carol");
    check_text(view.legs[2].currency, "EUR");
    assert_true(view.legs[2].amount == 20 && view.legs[2].has_entries);
    assert_true(view.legs[0].credit_balance == 100 && view.legs[0].credit_entry == 1);
    assert_true(view.legs[1].debit_balance == 70 && view.legs[1].debit_entry == 2);
    assert_true(view.legs[2].debit_balance == 50 && view.legs[2].debit_entry == 3);

    query.id = id_of(1000);
    reader = ask(fixture, &query, &head);
    assert_int_equal(head.code, CODE_NOT_FOUND);
    assert_int_equal(reader_left(&reader), 0);
}

static void a_refused_payment_is_shown_whole(void **state)
{
    struct fixture *fixture = *state;
    struct payment_view view;
    fill(fixture);
    assert_int_equal(pay_one(fixture, "alice", "bob", 5), CODE_INSUFFICIENT_FUNDS);
    check_ok(read_payment(fixture->txn, 6, &view));
    assert_int_equal(view.outcome.code, CODE_INSUFFICIENT_FUNDS);
    check_text(view.outcome.subject, "alice");
    assert_true(view.outcome.available == 0 && view.outcome.needed == 5);
    check_text(view.outcome.currency, "EUR");
    assert_int_equal(view.outcome.rows_count, 0);
    assert_false(view.legs[0].has_entries);
    check_text(view.legs[0].currency, "EUR");

    assert_int_equal(pay_one(fixture, "alice", "nobody", 5), CODE_ACCOUNT_NOT_FOUND);
    check_ok(read_payment(fixture->txn, 7, &view));
    check_text(view.outcome.subject, "nobody");
    assert_int_equal(view.outcome.field, FIELD_CREDIT);
    check_text(view.legs[0].debit, "alice");
    check_text(view.legs[0].credit, "nobody");

    assert_int_equal(pay_one(fixture, "no-one", "alice", 5), CODE_ACCOUNT_NOT_FOUND);
    check_ok(read_payment(fixture->txn, 8, &view));
    check_text(view.outcome.subject, "no-one");
    assert_int_equal(view.legs[0].currency.size, 0);
}

static void a_wrong_currency_is_named_as_it_was_given(void **state)
{
    struct fixture *fixture = *state;
    struct payment_view view;
    fill(fixture);
    create_currency(fixture, "USD");
    const struct entry_ref refs[] = {{.number = 2}, {.number = 0, .text = TEXT("XYZ")}};
    static const char *const names[] = {"USD", "XYZ"};
    for (uint32_t i = 0; i < 2; i++) {
        struct entry_command command = {.kind = COMMAND_PAYMENT};
        command.payment.id = id_of(fixture->position.seq + 1);
        command.payment.legs_count = 1;
        command.payment.legs[0] = (struct entry_leg){.debit = account_ref(fixture, "bank"),
                                                     .credit = account_ref(fixture, "alice"),
                                                     .currency = refs[i],
                                                     .amount = 1};
        assert_int_equal(execute(fixture, &command), CODE_CURRENCY_MISMATCH);
        check_ok(read_payment(fixture->txn, fixture->position.seq, &view));
        check_text(view.legs[0].currency, names[i]);
        check_text(view.outcome.subject, "bank");
        check_text(view.outcome.currency, "EUR");
        check_text(view.outcome.wanted, names[i]);
    }
}

static void a_replay_repeats_the_recorded_outcome(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    fill(fixture);
    assert_int_equal(pay_one(fixture, "bank", "alice", 500), CODE_OK);
    assert_int_equal(pay_one(fixture, "bank", "alice", 500), CODE_OK);
    check_ok(read_outcome(fixture->txn, 6, false, &outcome));
    assert_true(outcome.replayed && !outcome.short_form);
    assert_int_equal(outcome.code, CODE_OK);
    assert_int_equal(outcome.seq, 6);
    assert_int_equal(outcome.rows_count, 2);
    assert_true(outcome.rows[1].posted == 500); /* as it was then */
    check_ok(read_outcome(fixture->txn, 6, true, &outcome));
    assert_true(outcome.short_form);
    check_status(read_outcome(fixture->txn, 99, true, &outcome), STATUS_NOT_FOUND);
    check_status(read_outcome(fixture->txn, 1, true, &outcome), STATUS_NOT_FOUND);
}

static void accounts_and_currencies_are_listed_in_pages(void **state)
{
    struct fixture *fixture = *state;
    struct answer_head head;
    struct account_view account;
    struct currency_view currency;
    fill(fixture);
    create_currency(fixture, "USD");
    struct query query = query_for(QUERY_ACCOUNT_LIST, "");
    query.limit = 3;
    struct reader reader = ask(fixture, &query, &head);
    assert_int_equal(head.count, 3);
    assert_int_equal(head.cursor, 3);
    check_ok(account_view_read(&reader, &account));
    check_text(account.id, "bank");
    query.cursor = head.cursor;
    open_account(fixture, "dave", 2, false);
    reader = ask(fixture, &query, &head);
    assert_int_equal(head.count, 2);
    assert_int_equal(head.cursor, 0);
    check_ok(account_view_read(&reader, &account));
    check_text(account.id, "carol");
    check_ok(account_view_read(&reader, &account));
    check_text(account.id, "dave");
    check_text(account.currency, "USD");
    query.cursor = 6;
    (void)ask(fixture, &query, &head);
    assert_int_equal(head.code, CODE_CURSOR_INVALID);

    query = query_for(QUERY_CURRENCY_LIST, "");
    query.limit = 1;
    query.cursor = 1;
    reader = ask(fixture, &query, &head);
    assert_int_equal(head.count, 1);
    assert_int_equal(head.cursor, 0);
    check_ok(currency_view_read(&reader, &currency));
    check_text(currency.code, "USD");
    assert_int_equal(currency.accounts_count, 1);
}

static void totals_balance(void **state)
{
    struct fixture *fixture = *state;
    struct answer_head head;
    struct currency_view view;
    fill(fixture);
    assert_int_equal(pay_one(fixture, "bank", "alice", 500), CODE_OK);
    assert_int_equal(pay_one(fixture, "alice", "bob", 50), CODE_OK);
    const struct query query = query_for(QUERY_TOTALS, "");
    struct reader reader = ask(fixture, &query, &head);
    assert_int_equal(head.count, 1);
    check_ok(currency_view_read(&reader, &view));
    check_text(view.code, "EUR");
    assert_true(view.debits_posted == 550 && view.credits_posted == 550);
    assert_int_equal(view.accounts_count, 4);
}

static void info_and_digest_are_the_position(void **state)
{
    struct fixture *fixture = *state;
    struct answer_head head;
    fill(fixture);
    assert_int_equal(pay_one(fixture, "alice", "bob", 50), CODE_INSUFFICIENT_FUNDS);
    fixture->position.digest.bytes[3] = 77;
    static const enum query_kind kinds[] = {QUERY_INFO, QUERY_DIGEST};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        const struct query query = query_for(kinds[i], "");
        const struct reader reader = ask(fixture, &query, &head);
        assert_int_equal(reader_left(&reader), 0);
        assert_true(head.accounts_count == 4 && head.currencies_count == 1);
        assert_int_equal(head.payments_count, 1);
        assert_int_equal(head.digest.bytes[3], 77);
    }
}

/* The seqs of one page of alice's history; the cursor that follows. */
static uint64_t history_page(struct fixture *fixture, uint64_t cursor, uint32_t limit,
                             uint64_t *seqs, uint32_t *count)
{
    struct answer_head head;
    struct query query = query_for(QUERY_PAYMENT_LIST, "alice");
    query.cursor = cursor;
    query.limit = limit;
    struct reader reader = ask(fixture, &query, &head);
    assert_int_equal(head.code, CODE_OK);
    for (uint32_t i = 0; i < head.count; i++) {
        struct payment_view view;
        check_ok(payment_view_read(&reader, &view));
        seqs[i] = view.outcome.seq;
    }
    assert_int_equal(reader_left(&reader), 0);
    *count = head.count;
    return head.cursor;
}

static void a_history_is_listed_newest_first(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seqs[16];
    uint32_t count;
    fill(fixture);
    assert_true(history_page(fixture, 0, 10, seqs, &count) == 0);
    assert_int_equal(count, 0);
    assert_int_equal(pay_one(fixture, "bank", "alice", 100), CODE_OK); /* 6 */
    assert_int_equal(pay_one(fixture, "bank", "bob", 100), CODE_OK);
    const struct part parts[] = {{"alice", "bob", 30}, {"alice", "carol", 20}, {"bob", "alice", 5}};
    assert_int_equal(pay(fixture, parts, 3), CODE_OK); /* 8: three entries, listed once */
    assert_int_equal(pay_one(fixture, "alice", "bob", 1000), CODE_INSUFFICIENT_FUNDS);
    assert_int_equal(pay_one(fixture, "alice", "bob", 1), CODE_OK); /* 10 */
    assert_true(history_page(fixture, 0, 10, seqs, &count) == 0);
    assert_int_equal(count, 3);
    assert_true(seqs[0] == 10 && seqs[1] == 8 && seqs[2] == 6);
    assert_true(history_page(fixture, 0, 3, seqs, &count) == 0);
    assert_int_equal(count, 3);
}

static void a_history_cursor_is_stable(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seqs[16];
    uint32_t count;
    fill(fixture);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pay_one(fixture, "bank", "alice", 100), CODE_OK); /* 6 to 10 */
    }
    uint64_t cursor = history_page(fixture, 0, 2, seqs, &count);
    assert_true(count == 2 && seqs[0] == 10 && seqs[1] == 9 && cursor == 9);
    assert_int_equal(pay_one(fixture, "bank", "alice", 100), CODE_OK);
    cursor = history_page(fixture, cursor, 2, seqs, &count);
    assert_true(count == 2 && seqs[0] == 8 && seqs[1] == 7 && cursor == 7);
    cursor = history_page(fixture, cursor, 2, seqs, &count);
    assert_true(count == 1 && seqs[0] == 6 && cursor == 0);
    cursor = history_page(fixture, 6, 2, seqs, &count);
    assert_true(count == 0 && cursor == 0);
}

static void foreign_cursors_are_refused(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    assert_int_equal(pay_one(fixture, "bank", "bob", 100), CODE_OK);                /* 6 */
    assert_int_equal(pay_one(fixture, "alice", "bob", 1), CODE_INSUFFICIENT_FUNDS); /* 7 */
    const uint64_t cursors[] = {1, 3, 6, 7, 8, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(cursors); i++) {
        struct answer_head head;
        struct query query = query_for(QUERY_PAYMENT_LIST, "alice");
        query.cursor = cursors[i];
        (void)ask(fixture, &query, &head);
        assert_int_equal(head.code, CODE_CURSOR_INVALID);
        assert_int_equal(head.count, 0);
    }
    struct answer_head head;
    const struct query query = query_for(QUERY_PAYMENT_LIST, "nobody");
    (void)ask(fixture, &query, &head);
    assert_int_equal(head.code, CODE_NOT_FOUND);
}

static void a_list_of_many_bytes_ends_early(void **state)
{
    struct fixture *fixture = *state;
    static char metadata[METADATA_BYTES_MAX];
    memset(metadata, ' ', sizeof(metadata));
    fill(fixture);
    struct entry_command command = {.kind = COMMAND_PAYMENT};
    command.payment.legs_count = LEGS_MAX;
    command.payment.has_metadata = true;
    command.payment.metadata = (struct text){metadata, sizeof(metadata)};
    for (uint32_t i = 0; i < LEGS_MAX; i++) {
        command.payment.legs[i] = (struct entry_leg){.debit = account_ref(fixture, "bank"),
                                                     .credit = account_ref(fixture, "alice"),
                                                     .amount = 1};
    }
    enum { PAYMENTS = 900 };
    for (int i = 0; i < PAYMENTS; i++) {
        command.payment.id = id_of(fixture->position.seq + 1);
        assert_int_equal(execute(fixture, &command), CODE_OK);
    }
    uint32_t listed = 0;
    uint32_t pages = 0;
    struct query query = query_for(QUERY_PAYMENT_LIST, "alice");
    do {
        struct answer_head head;
        (void)ask(fixture, &query, &head);
        assert_true(fixture->answer.size < 2 * LIST_BYTES_MAX);
        assert_true(head.count > 0);
        listed += head.count;
        query.cursor = head.cursor;
        pages++;
    } while (query.cursor != 0 && pages < 100);
    assert_int_equal(listed, PAYMENTS);
    assert_true(pages > 1);
}

static void a_query_out_of_bounds_is_invalid(void **state)
{
    struct fixture *fixture = *state;
    struct query query = query_for(QUERY_ACCOUNT_LIST, "");
    buffer_clear(&fixture->answer);
    write_u8(&fixture->answer, 42);
    query.limit = 0;
    check_status(query_run(fixture->txn, &fixture->position, &query, &fixture->answer),
                 STATUS_INVALID);
    query.limit = LIST_ITEMS_MAX + 1;
    check_status(query_run(fixture->txn, &fixture->position, &query, &fixture->answer),
                 STATUS_INVALID);
    query = query_for(QUERY_ACCOUNT_GET, "not an id");
    check_status(query_run(fixture->txn, &fixture->position, &query, &fixture->answer),
                 STATUS_INVALID);
    assert_int_equal(fixture->answer.size, 1);
    struct buffer small;
    buffer_init(&small, ANSWER_HEAD_BYTES - 1);
    query = query_for(QUERY_INFO, "");
    check_status(query_run(fixture->txn, &fixture->position, &query, &small), STATUS_NO_MEMORY);
    assert_int_equal(small.size, 0);
    buffer_deinit(&small);
}

int main(void)
{
#define READ_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        READ_TEST(an_account_is_shown_with_its_balances),
        READ_TEST(a_posted_payment_is_shown_with_its_entries),
        READ_TEST(a_refused_payment_is_shown_whole),
        READ_TEST(a_wrong_currency_is_named_as_it_was_given),
        READ_TEST(a_replay_repeats_the_recorded_outcome),
        READ_TEST(accounts_and_currencies_are_listed_in_pages),
        READ_TEST(totals_balance),
        READ_TEST(info_and_digest_are_the_position),
        READ_TEST(a_history_is_listed_newest_first),
        READ_TEST(a_history_cursor_is_stable),
        READ_TEST(foreign_cursors_are_refused),
        READ_TEST(a_list_of_many_bytes_ends_early),
        READ_TEST(a_query_out_of_bounds_is_invalid),
    };
#undef READ_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
