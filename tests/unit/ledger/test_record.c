#include "tests/support/check.h"

#include "ledger/record.h"
#include "tests/support/forms.h"

#include <string.h>

static struct forms forms;

static struct text text_from(const struct buffer *bytes)
{
    return (struct text){.data = (const char *)bytes->data, .size = bytes->size};
}

/* A payment of 19.99 from account 70000 to account 80000, as it is stored. */
static void write_plain(struct buffer *form, struct buffer *out, struct decision *decision)
{
    struct entry_command command = {.kind = COMMAND_PAYMENT};
    command.payment = (struct entry_payment){.id = {.bytes = {1, 2, 3}}, .short_form = true};
    command.payment.legs_count = 1;
    command.payment.legs[0] =
        (struct entry_leg){.debit = {.number = 70000}, .credit = {.number = 80000}, .amount = 1999};
    *decision = (struct decision){.seq = 918274,
                                  .term = 12,
                                  .time_ns = 1795515330201000001,
                                  .kind = COMMAND_PAYMENT,
                                  .sides_count = 2};
    decision->sides[0] = (struct entry_side){.account = 70000,
                                             .balance_after = -80001,
                                             .number = 300,
                                             .previous_seq = 900000,
                                             .jump_seq = 500000};
    decision->sides[1] = (struct entry_side){
        .account = 80000, .balance_after = 1999, .number = 1, .previous_seq = 0, .jump_seq = 0};
    buffer_clear(form);
    buffer_clear(out);
    entry_command_write(form, &command);
    record_write(out, &command.payment.id, text_from(form), decision);
}

static void a_plain_payment_is_small(void **state)
{
    (void)state;
    struct buffer form;
    struct buffer out;
    struct decision decision;
    buffer_init(&form, 1024);
    buffer_init(&out, 1024);
    write_plain(&form, &out, &decision);
    assert_in_range(out.size, 40, 110);
    struct record record;
    check_ok(record_read(text_from(&out), decision.seq, &record));
    assert_int_equal(record.decision.sides_count, 2);
    assert_true(record.decision.time_ns == decision.time_ns);
    assert_true(record.decision.sides[0].account == 70000);
    assert_true(record.decision.sides[0].balance_after == -80001);
    assert_true(record.decision.sides[0].number == 300);
    assert_true(record.decision.sides[0].previous_seq == 900000);
    assert_true(record.decision.sides[0].jump_seq == 500000);
    assert_true(record.decision.sides[1].account == 80000);
    assert_true(record.decision.sides[1].previous_seq == 0);
    assert_int_equal(record.id.bytes[2], 3);
    assert_true(text_equal(record.form, text_from(&form)));
    buffer_deinit(&form);
    buffer_deinit(&out);
}

static void an_entry_may_follow_one_of_the_same_payment(void **state)
{
    (void)state;
    struct buffer form;
    struct buffer out;
    struct decision decision;
    struct record record;
    buffer_init(&form, 1024);
    buffer_init(&out, 1024);
    write_plain(&form, &out, &decision);
    decision.sides[1].previous_seq = decision.seq;
    decision.sides[1].jump_seq = 1;
    buffer_clear(&out);
    record_write(&out, &(struct uuid){.bytes = {1, 2, 3}}, text_from(&form), &decision);
    check_ok(record_read(text_from(&out), decision.seq, &record));
    assert_true(record.decision.sides[1].previous_seq == decision.seq);
    assert_true(record.decision.sides[1].jump_seq == 1);
    buffer_deinit(&form);
    buffer_deinit(&out);
}

static void every_record_comes_back_the_same(void **state)
{
    (void)state;
    struct buffer form;
    struct buffer out;
    struct buffer again;
    buffer_init(&form, 64 * 1024);
    buffer_init(&out, 64 * 1024);
    buffer_init(&again, 64 * 1024);
    forms_init(&forms, test_seed());
    for (int i = 0; i < 3000; i++) {
        struct entry_command command;
        struct decision decision;
        struct record record;
        forms_clear(&forms);
        buffer_clear(&form);
        buffer_clear(&out);
        buffer_clear(&again);
        const uint64_t seq = 1 + forms_below(&forms, SEQ_MAX);
        forms_entry_command(&forms, &command);
        forms_decision(&forms, seq, &command, &decision);
        entry_command_write(&form, &command);
        record_write(&out, &command.payment.id, text_from(&form), &decision);
        check_ok(record_read(text_from(&out), seq, &record));
        assert_int_equal(record.decision.code, decision.code);
        assert_int_equal(record.decision.sides_count, decision.sides_count);
        assert_memory_equal(&record.decision.needed, &decision.needed, sizeof(decision.needed));
        record_write(&again, &record.id, record.form, &record.decision);
        assert_int_equal(again.size, out.size);
        assert_memory_equal(again.data, out.data, out.size);
        const size_t cut = forms_below(&forms, out.size);
        const struct text part = {.data = (const char *)out.data, .size = cut};
        check_status(record_read(part, seq, &record), STATUS_INVALID);
        write_u8(&out, 0);
        check_status(record_read(text_from(&out), seq, &record), STATUS_INVALID);
    }
    buffer_deinit(&form);
    buffer_deinit(&out);
    buffer_deinit(&again);
}

static void damage_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } damages[] = {
        {0, CODE_UNKNOWN},           /* a code that is never recorded */
        {0, 59},                     /* no code at all */
        {0, CODE_ACCOUNT_NOT_FOUND}, /* sides of a refused payment */
        {1, 0},                      /* no kind */
        {1, 2},                      /* another kind than the form's */
        {1, 0x23},                   /* no such flag */
        {11, 5},                     /* size of the form */
        {12, 2},                     /* kind of the form */
    };
    struct buffer form;
    struct buffer out;
    struct decision decision;
    struct record record;
    buffer_init(&form, 1024);
    buffer_init(&out, 1024);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        write_plain(&form, &out, &decision);
        out.data[damages[i].at] = damages[i].value;
        check_status(record_read(text_from(&out), decision.seq, &record), STATUS_INVALID);
    }
    /* A distance that leads before the first payment. */
    write_plain(&form, &out, &decision);
    check_status(record_read(text_from(&out), 100, &record), STATUS_INVALID);
    buffer_deinit(&form);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_payment_is_small),
        cmocka_unit_test(an_entry_may_follow_one_of_the_same_payment),
        cmocka_unit_test(every_record_comes_back_the_same),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
