#include "tests/support/check.h"

#include "ledger/command.h"
#include "tests/support/forms.h"

#include <string.h>

static struct forms forms;

static struct command plain_payment(void)
{
    struct command command = {.kind = COMMAND_PAYMENT};
    command.payment = (struct payment){.id = {.bytes = {1, 2, 3}}, .short_form = true};
    command.payment.legs_count = 1;
    command.payment.legs[0] =
        (struct leg){.debit = TEXT("alice"), .credit = TEXT("shop"), .amount = 1999};
    return command;
}

static enum status read_back(const struct buffer *bytes, size_t size, struct command *command)
{
    /* In memory of its own, so that a read past the end is noticed. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0) {
        memcpy(copy, bytes->data, size);
    }
    struct reader reader = reader_of(copy, size);
    const enum status status = command_read(&reader, command);
    free(copy);
    return status;
}

static void a_plain_payment_has_documented_bytes(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {3,   1,   2,   3, 0,   0,   0,   0,   0, 0,    0,
                                     0,   0,   0,   0, 0,   0,   16,  1,   5, 'a',  'l',
                                     'i', 'c', 'e', 4, 's', 'h', 'o', 'p', 0, 0xcf, 0x0f};
    struct buffer out;
    buffer_init(&out, 1024);
    const struct command command = plain_payment();
    command_write(&out, &command);
    assert_int_equal(out.size, sizeof(wanted));
    assert_memory_equal(out.data, wanted, sizeof(wanted));
    buffer_deinit(&out);
}

static void every_command_comes_back_the_same(void **state)
{
    (void)state;
    struct buffer out;
    struct buffer again;
    buffer_init(&out, REQUEST_BYTES_MAX);
    buffer_init(&again, REQUEST_BYTES_MAX);
    forms_init(&forms, test_seed());
    for (int i = 0; i < 3000; i++) {
        struct command command;
        struct command back;
        forms_clear(&forms);
        buffer_clear(&out);
        buffer_clear(&again);
        forms_command(&forms, &command);
        command_write(&out, &command);
        struct reader reader = reader_of(out.data, out.size);
        check_ok(command_read(&reader, &back));
        assert_int_equal(reader_left(&reader), 0);
        assert_int_equal(back.kind, command.kind);
        command_write(&again, &back);
        assert_int_equal(again.size, out.size);
        assert_memory_equal(again.data, out.data, out.size);
    }
    buffer_deinit(&out);
    buffer_deinit(&again);
}

static void a_payment_keeps_every_field(void **state)
{
    (void)state;
    struct command command = plain_payment();
    struct payment *payment = &command.payment;
    payment->short_form = false;
    payment->has_valid_until = payment->has_effective_at = true;
    payment->has_reference = payment->has_metadata = true;
    payment->valid_until_ns = INT64_MAX;
    payment->effective_at_ns = -5;
    payment->reference = TEXT("invoice 7");
    payment->metadata = TEXT("{\"a\": 1}");
    payment->legs_count = 2;
    payment->legs[1] = (struct leg){.debit = TEXT("b"),
                                    .credit = TEXT("c"),
                                    .currency = TEXT("EUR"),
                                    .amount = AMOUNT_LIMIT - 1};
    struct buffer out;
    buffer_init(&out, 1024);
    command_write(&out, &command);
    struct reader reader = reader_of(out.data, out.size);
    struct command back;
    check_ok(command_read(&reader, &back));
    assert_true(uuid_equal(&back.payment.id, &payment->id));
    assert_false(back.payment.short_form);
    assert_true(back.payment.has_valid_until && back.payment.has_effective_at);
    assert_true(back.payment.has_reference && back.payment.has_metadata);
    assert_true(back.payment.valid_until_ns == INT64_MAX);
    assert_true(back.payment.effective_at_ns == -5);
    assert_true(text_equal(back.payment.reference, payment->reference));
    assert_true(text_equal(back.payment.metadata, payment->metadata));
    assert_int_equal(back.payment.legs_count, 2);
    assert_int_equal(back.payment.legs[0].currency.size, 0);
    assert_true(text_equal(back.payment.legs[1].currency, TEXT("EUR")));
    assert_true(back.payment.legs[1].amount == AMOUNT_LIMIT - 1);
    buffer_deinit(&out);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, REQUEST_BYTES_MAX);
    forms_init(&forms, test_seed());
    forms.legs_max = 3;
    for (int i = 0; i < 100; i++) {
        struct command command;
        forms_clear(&forms);
        buffer_clear(&out);
        forms_command(&forms, &command);
        command_write(&out, &command);
        for (size_t size = 0; size < out.size; size++) {
            check_status(read_back(&out, size, &command), STATUS_INVALID);
        }
    }
    buffer_deinit(&out);
}

/* Offsets in the plain payment: kind 0, id 1-16, flags 17, legs 18, debit 19-24, credit 25-29,
 * currency 30, amount 31-32. */
static void damage_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } damages[] = {
        {0, 0},    {0, 4},    /* no such kind */
        {17, 32},  {17, 255}, /* no such flag */
        {18, 0},   {18, 2},   /* no leg; two in the short form */
        {18, 65},             /* more than LEGS_MAX */
        {19, 0},   {19, 65},  /* an empty and a long account id */
        {20, ' '},            /* not in the alphabet */
        {30, 1},              /* a currency of one character */
        {32, 0},              /* not the shortest varint */
    };
    struct buffer out;
    buffer_init(&out, 1024);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct command command = plain_payment();
        buffer_clear(&out);
        command_write(&out, &command);
        check_ok(read_back(&out, out.size, &command));
        out.data[damages[i].at] = damages[i].value;
        check_status(read_back(&out, out.size, &command), STATUS_INVALID);
    }
    struct command command;
    memset(out.data + 1, 0, 16); /* the nil id */
    check_status(read_back(&out, out.size, &command), STATUS_INVALID);
    buffer_deinit(&out);
}

static void the_short_form_has_one_leg(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1024);
    struct command command = plain_payment();
    command.payment.short_form = false;
    command.payment.legs_count = 2;
    command.payment.legs[1] = command.payment.legs[0];
    command_write(&out, &command);
    check_ok(read_back(&out, out.size, &command));
    out.data[17] = 16;
    check_status(read_back(&out, out.size, &command), STATUS_INVALID);
    buffer_deinit(&out);
}

static void amounts_are_in_range(void **state)
{
    (void)state;
    const u128 amounts[] = {0, AMOUNT_LIMIT, ~(u128)0};
    struct buffer out;
    buffer_init(&out, 1024);
    for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        struct command command = plain_payment();
        buffer_clear(&out);
        command_write(&out, &command);
        buffer_truncate(&out, out.size - 2);
        write_varint128(&out, amounts[i]);
        check_status(read_back(&out, out.size, &command), STATUS_INVALID);
    }
    buffer_deinit(&out);
}

static void the_head_says_how_many(void **state)
{
    (void)state;
    static const struct {
        uint8_t version, mode;
        uint32_t count;
        bool valid;
    } heads[] = {
        {1, REQUEST_BARRIER, 0, true},      {1, REQUEST_BARRIER, 1, false},
        {1, REQUEST_SINGLE, 1, true},       {1, REQUEST_SINGLE, 0, false},
        {1, REQUEST_SINGLE, 2, false},      {1, REQUEST_INDEPENDENT, BATCH_ITEMS_MAX, true},
        {1, REQUEST_INDEPENDENT, 0, false}, {1, REQUEST_INDEPENDENT, BATCH_ITEMS_MAX + 1, false},
        {1, REQUEST_ATOMIC, 1, true},       {1, 4, 1, false},
        {0, REQUEST_SINGLE, 1, false},      {2, REQUEST_SINGLE, 1, false},
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct buffer out;
        buffer_init(&out, 64);
        write_u8(&out, heads[i].version);
        write_u8(&out, heads[i].mode);
        write_varint(&out, heads[i].count);
        struct reader reader = reader_of(out.data, out.size);
        enum request_mode mode = REQUEST_BARRIER;
        uint32_t count = 77;
        check_status(request_read_head(&reader, &mode, &count),
                     heads[i].valid ? STATUS_OK : STATUS_INVALID);
        assert_int_equal(count, heads[i].valid ? heads[i].count : 77);
        if (heads[i].valid) {
            struct buffer again;
            buffer_init(&again, 64);
            request_write_head(&again, mode, count);
            assert_int_equal(again.size, out.size);
            assert_memory_equal(again.data, out.data, out.size);
            buffer_deinit(&again);
        }
        buffer_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_payment_has_documented_bytes),
        cmocka_unit_test(every_command_comes_back_the_same),
        cmocka_unit_test(a_payment_keeps_every_field),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(the_short_form_has_one_leg),
        cmocka_unit_test(amounts_are_in_range),
        cmocka_unit_test(the_head_says_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
