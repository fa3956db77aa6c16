#include "tests/support/check.h"

#include "ledger/outcome.h"
#include "tests/support/forms.h"

#include <string.h>

static struct forms forms;

static int set_up(void **state)
{
    (void)state;
    forms_init(&forms, test_seed());
    return 0;
}

/* One round trip of each kind of view: bytes must come back, and each cut must be refused. */
enum form { FORM_OUTCOME, FORM_ACCOUNT, FORM_CURRENCY, FORM_PAYMENT, FORM_COUNT };

static void form_write(enum form form, struct buffer *out)
{
    struct outcome outcome;
    struct account_view account;
    struct currency_view currency;
    struct payment_view payment;
    if (form == FORM_OUTCOME) {
        const enum command_kind kind = (enum command_kind)(1 + forms_below(&forms, 3));
        forms_outcome(&forms, kind, &outcome);
        outcome_write(out, &outcome);
    } else if (form == FORM_ACCOUNT) {
        forms_account_view(&forms, &account);
        account_view_write(out, &account);
    } else if (form == FORM_CURRENCY) {
        forms_currency_view(&forms, &currency);
        currency_view_write(out, &currency);
    } else {
        forms_payment_view(&forms, &payment);
        payment_view_write(out, &payment);
    }
}

static enum status form_copy(enum form form, struct reader *reader, struct buffer *again)
{
    struct outcome outcome;
    struct account_view account;
    struct currency_view currency;
    struct payment_view payment;
    enum status status;
    if (form == FORM_OUTCOME) {
        status = outcome_read(reader, &outcome);
        if (status == STATUS_OK) {
            outcome_write(again, &outcome);
        }
    } else if (form == FORM_ACCOUNT) {
        status = account_view_read(reader, &account);
        if (status == STATUS_OK) {
            account_view_write(again, &account);
        }
    } else if (form == FORM_CURRENCY) {
        status = currency_view_read(reader, &currency);
        if (status == STATUS_OK) {
            currency_view_write(again, &currency);
        }
    } else {
        status = payment_view_read(reader, &payment);
        if (status == STATUS_OK) {
            payment_view_write(again, &payment);
        }
    }
    return status;
}

static void every_form_comes_back_the_same(void **state)
{
    (void)state;
    struct buffer out;
    struct buffer again;
    buffer_init(&out, ANSWER_BYTES_MAX);
    buffer_init(&again, ANSWER_BYTES_MAX);
    for (int i = 0; i < 4000; i++) {
        const enum form form = (enum form)(i % FORM_COUNT);
        forms_clear(&forms);
        buffer_clear(&out);
        buffer_clear(&again);
        form_write(form, &out);
        struct reader reader = reader_of(out.data, out.size);
        check_ok(form_copy(form, &reader, &again));
        assert_int_equal(reader_left(&reader), 0);
        assert_int_equal(again.size, out.size);
        assert_memory_equal(again.data, out.data, out.size);
        reader = reader_of(out.data, forms_below(&forms, out.size));
        check_status(form_copy(form, &reader, &again), STATUS_INVALID);
    }
    buffer_deinit(&out);
    buffer_deinit(&again);
}

static void damaged_outcomes_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } damages[] = {
        {0, 59},   {0, 255}, /* no such code */
        {1, 0},    {1, 4},   /* no such kind */
        {2, 8},              /* no such flag */
        {29, 129},           /* more rows than accounts can take part */
        {32, 4},             /* no such flag of a row */
        {32, 2},             /* unlimited, but without the rest */
    };
    const struct outcome outcome = {.kind = COMMAND_PAYMENT,
                                    .seq = 7,
                                    .term = 3,
                                    .id = {.bytes = {1}},
                                    .rows_count = 1,
                                    .rows = {{.account = TEXT("a"), .posted = 5}}};
    struct buffer out;
    struct outcome back;
    buffer_init(&out, 1024);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        buffer_clear(&out);
        outcome_write(&out, &outcome);
        assert_int_equal(out.size, 34);
        struct reader reader = reader_of(out.data, out.size);
        check_ok(outcome_read(&reader, &back));
        out.data[damages[i].at] = damages[i].value;
        reader = reader_of(out.data, out.size);
        check_status(outcome_read(&reader, &back), STATUS_INVALID);
    }
    buffer_deinit(&out);
}

static void a_detail_says_something(void **state)
{
    (void)state;
    const struct outcome outcome = {.code = CODE_ALREADY_EXISTS,
                                    .kind = COMMAND_ACCOUNT_OPEN,
                                    .field = FIELD_CURRENCY,
                                    .subject = TEXT("")};
    struct buffer out;
    struct outcome back;
    buffer_init(&out, 1024);
    outcome_write(&out, &outcome);
    assert_int_equal(out.size, 16);
    struct reader reader = reader_of(out.data, out.size);
    check_ok(outcome_read(&reader, &back));
    assert_int_equal(back.field, FIELD_CURRENCY);
    out.data[13] = FIELD_NONE;
    reader = reader_of(out.data, out.size);
    check_status(outcome_read(&reader, &back), STATUS_INVALID);
    out.data[13] = FIELD_COUNT;
    reader = reader_of(out.data, out.size);
    check_status(outcome_read(&reader, &back), STATUS_INVALID);
    buffer_deinit(&out);
}

static void rows_show_the_rest_where_it_is_known(void **state)
{
    (void)state;
    struct outcome outcome = {.kind = COMMAND_PAYMENT, .id = {.bytes = {1}}, .rows_count = 3};
    outcome.rows[0] = (struct outcome_row){.account = TEXT("a"), .posted = -5};
    outcome.rows[1] = (struct outcome_row){
        .account = TEXT("b"), .posted = 6, .has_rest = true, .held = 2, .available = 4};
    outcome.rows[2] = (struct outcome_row){
        .account = TEXT("c"), .posted = 7, .has_rest = true, .unlimited = true, .held = 1};
    struct buffer out;
    struct outcome back;
    buffer_init(&out, 1024);
    outcome_write(&out, &outcome);
    struct reader reader = reader_of(out.data, out.size);
    check_ok(outcome_read(&reader, &back));
    assert_int_equal(back.rows_count, 3);
    assert_true(back.rows[0].posted == -5 && !back.rows[0].has_rest);
    assert_true(back.rows[1].has_rest && !back.rows[1].unlimited);
    assert_true(back.rows[1].held == 2 && back.rows[1].available == 4);
    assert_true(back.rows[2].unlimited && back.rows[2].held == 1);
    assert_true(text_equal(back.rows[2].account, TEXT("c")));
    buffer_deinit(&out);
}

static void check_message(const struct outcome *outcome, const char *wanted)
{
    struct buffer out;
    buffer_init(&out, 1024);
    outcome_message(outcome, &out);
    write_u8(&out, 0);
    assert_string_equal((const char *)out.data, wanted);
    buffer_deinit(&out);
}

static void messages_are_sentences(void **state)
{
    (void)state;
    check_message(&(struct outcome){.code = CODE_INSUFFICIENT_FUNDS,
                                    .subject = TEXT("alice"),
                                    .available = 500,
                                    .needed = 1999},
                  "alice has 500 available, 1999 needed");
    check_message(&(struct outcome){.code = CODE_INSUFFICIENT_FUNDS,
                                    .subject = TEXT("alice"),
                                    .available = -20,
                                    .needed = AMOUNT_LIMIT},
                  "alice has -20 available, 85070591730234615865843651857942052864 needed");
    check_message(&(struct outcome){.code = CODE_ACCOUNT_NOT_FOUND, .subject = TEXT("bob")},
                  "there is no such account: bob");
    check_message(&(struct outcome){.code = CODE_CURRENCY_MISMATCH,
                                    .subject = TEXT("bob"),
                                    .currency = TEXT("USD"),
                                    .wanted = TEXT("EUR")},
                  "bob is in USD, not EUR");
    check_message(&(struct outcome){.code = CODE_PAYMENT_EXPIRED}, "valid_until has passed");
    check_message(&(struct outcome){.code = CODE_IDEMPOTENCY_MISMATCH, .subject = TEXT("bob")},
                  "the id was used before with other fields");
}

static void check_path(enum command_kind kind, bool short_form, enum field field, uint32_t leg,
                       const char *prefix, const char *wanted)
{
    const struct outcome outcome = {
        .kind = kind, .short_form = short_form, .field = field, .leg = leg};
    struct buffer out;
    buffer_init(&out, 1024);
    outcome_path(&outcome, prefix, &out);
    write_u8(&out, 0);
    assert_string_equal((const char *)out.data, wanted);
    buffer_deinit(&out);
}

static void paths_are_as_the_client_wrote_them(void **state)
{
    (void)state;
    const enum command_kind payment = COMMAND_PAYMENT;
    check_path(payment, true, FIELD_DEBIT, 0, "", "debit");
    check_path(payment, true, FIELD_CURRENCY, 0, "", "currency");
    check_path(payment, false, FIELD_DEBIT, 2, "", "legs[2].debit");
    check_path(payment, false, FIELD_CREDIT, 63, "items[3].", "items[3].legs[63].credit");
    check_path(payment, false, FIELD_AMOUNT, 0, "", "legs[0].amount");
    check_path(payment, false, FIELD_CURRENCY, 1, "", "legs[1].currency");
    check_path(payment, false, FIELD_REFERENCE, 0, "items[0].", "items[0].reference");
    check_path(payment, false, FIELD_LEGS, 0, "", "legs");
    check_path(payment, true, FIELD_VALID_UNTIL, 0, "", "valid_until");
    check_path(payment, true, FIELD_NONE, 0, "items[0].", "");
    check_path(COMMAND_ACCOUNT_OPEN, false, FIELD_CURRENCY, 0, "", "currency");
    check_path(COMMAND_CURRENCY_CREATE, false, FIELD_SCALE, 0, "", "scale");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_comes_back_the_same),
        cmocka_unit_test(damaged_outcomes_are_refused),
        cmocka_unit_test(a_detail_says_something),
        cmocka_unit_test(rows_show_the_rest_where_it_is_known),
        cmocka_unit_test(messages_are_sentences),
        cmocka_unit_test(paths_are_as_the_client_wrote_them),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
