#include "tests/support/check.h"

#include "ledger/entry.h"
#include "tests/support/forms.h"

#include <string.h>

static struct forms forms;

static struct entry_command plain_payment(void)
{
    struct entry_command command = {.kind = COMMAND_PAYMENT};
    command.payment = (struct entry_payment){.id = {.bytes = {1, 2, 3}}, .short_form = true};
    command.payment.legs_count = 1;
    command.payment.legs[0] =
        (struct entry_leg){.debit = {.number = 70000}, .credit = {.number = 80000}, .amount = 1999};
    return command;
}

static struct entry_header plain_header(void)
{
    return (struct entry_header){.term = 12,
                                 .first_seq = 918274,
                                 .count = 1,
                                 .time_ns = 1795515330201000001,
                                 .id = {.bytes = {9, 8, 7}},
                                 .digest_seq = 918270,
                                 .digest = {.bytes = {5, 5, 5}}};
}

static void write_plain(struct buffer *out)
{
    const struct entry_command command = plain_payment();
    const struct entry_header header = plain_header();
    buffer_clear(out);
    entry_begin(out);
    entry_item_write(out, &(struct entry_item){.kind = ENTRY_ITEM_COMMAND});
    entry_command_write(out, &command);
    entry_finish(out, &header);
    assert_false(out->failed);
}

static enum status read_header(const void *data, size_t size)
{
    struct entry_header header;
    struct reader items;
    return entry_read(data, size, &header, &items);
}

static void a_plain_payment_takes_thirty_bytes(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {0, 3, 1, 2,  3, 0,    0,    0, 0,    0,    0, 0, 0,    0,   0,
                                     0, 0, 0, 16, 1, 0xf0, 0xa2, 4, 0x80, 0xf1, 4, 0, 0xcf, 0x0f};
    struct buffer out;
    buffer_init(&out, ENTRY_BYTES_MAX);
    write_plain(&out);
    assert_in_range(sizeof(wanted), 25, 40);
    assert_memory_equal(out.data + ENTRY_HEADER_BYTES, wanted, sizeof(wanted));
    assert_int_equal(out.size, ENTRY_HEADER_BYTES + 32);
    buffer_deinit(&out);
}

static void the_header_comes_back(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, ENTRY_BYTES_MAX);
    write_plain(&out);
    struct entry_header header;
    struct reader items;
    struct entry_item item;
    struct entry_command command;
    struct text form;
    check_ok(entry_read(out.data, out.size, &header, &items));
    const struct entry_header wanted = plain_header();
    assert_true(header.term == wanted.term && header.first_seq == wanted.first_seq);
    assert_int_equal(header.count, 1);
    assert_true(header.time_ns == wanted.time_ns);
    assert_true(uuid_equal(&header.id, &wanted.id));
    assert_true(header.digest_seq == wanted.digest_seq);
    assert_true(digest_equal(&header.digest, &wanted.digest));
    check_ok(entry_item_read(&items, &item));
    assert_int_equal(item.kind, ENTRY_ITEM_COMMAND);
    assert_int_equal(item.expected, CODE_OK);
    check_ok(entry_command_read(&items, &command, &form));
    assert_int_equal(form.size, 28);
    assert_int_equal(reader_left(&items), 0);
    assert_true(command.payment.legs[0].credit.number == 80000);
    assert_true(command.payment.legs[0].amount == 1999);
    struct uuid id;
    assert_true(entry_id(out.data, out.size, &id));
    assert_true(uuid_equal(&id, &wanted.id));
    buffer_deinit(&out);
}

static void every_command_comes_back_the_same(void **state)
{
    (void)state;
    struct buffer out;
    struct buffer again;
    buffer_init(&out, ENTRY_BYTES_MAX);
    buffer_init(&again, ENTRY_BYTES_MAX);
    forms_init(&forms, test_seed());
    for (int i = 0; i < 3000; i++) {
        struct entry_command command;
        struct entry_command back;
        struct text form;
        forms_clear(&forms);
        buffer_clear(&out);
        buffer_clear(&again);
        forms_entry_command(&forms, &command);
        entry_command_write(&out, &command);
        struct reader reader = reader_of(out.data, out.size);
        check_ok(entry_command_read(&reader, &back, &form));
        assert_int_equal(form.size, out.size);
        entry_command_write(&again, &back);
        assert_int_equal(again.size, out.size);
        assert_memory_equal(again.data, out.data, out.size);
        const size_t cut = forms_below(&forms, out.size);
        reader = reader_of(out.data, cut);
        check_status(entry_command_read(&reader, &back, &form), STATUS_INVALID);
    }
    buffer_deinit(&out);
    buffer_deinit(&again);
}

static void a_currency_is_own_given_or_unknown(void **state)
{
    (void)state;
    static const struct entry_ref refs[] = {
        {.number = 0, .text = {"", 0}},
        {.number = 0, .text = {"XXX", 3}},
        {.number = 1, .text = {"", 0}},
        {.number = CURRENCIES_MAX, .text = {"", 0}},
    };
    struct buffer out;
    buffer_init(&out, 1024);
    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        struct entry_command command = plain_payment();
        struct text form;
        command.payment.legs[0].currency = refs[i];
        buffer_clear(&out);
        entry_command_write(&out, &command);
        struct reader reader = reader_of(out.data, out.size);
        check_ok(entry_command_read(&reader, &command, &form));
        const struct entry_ref *back = &command.payment.legs[0].currency;
        assert_true(back->number == refs[i].number);
        assert_int_equal(back->text.size, refs[i].text.size);
    }
    buffer_deinit(&out);
}

static void a_number_is_written_without_its_text(void **state)
{
    (void)state;
    struct entry_command command = plain_payment();
    struct text form;
    struct buffer out;
    buffer_init(&out, 1024);
    command.payment.legs[0].debit.text = TEXT("alice");
    entry_command_write(&out, &command);
    struct reader reader = reader_of(out.data, out.size);
    check_ok(entry_command_read(&reader, &command, &form));
    assert_true(command.payment.legs[0].debit.number == 70000);
    assert_int_equal(command.payment.legs[0].debit.text.size, 0);
    buffer_deinit(&out);
}

static void items_carry_codes_and_groups(void **state)
{
    (void)state;
    struct buffer out;
    struct entry_item item;
    buffer_init(&out, 1024);
    entry_item_write(&out, &(struct entry_item){.kind = ENTRY_ITEM_GROUP,
                                                .group_count = BATCH_ITEMS_MAX,
                                                .group_aborted = true});
    const size_t at = out.size;
    entry_item_write(&out, &(struct entry_item){.kind = ENTRY_ITEM_COMMAND});
    entry_item_set_expected(&out, at, CODE_INSUFFICIENT_FUNDS);
    struct reader reader = reader_of(out.data, out.size);
    check_ok(entry_item_read(&reader, &item));
    assert_int_equal(item.kind, ENTRY_ITEM_GROUP);
    assert_int_equal(item.group_count, BATCH_ITEMS_MAX);
    assert_true(item.group_aborted);
    check_ok(entry_item_read(&reader, &item));
    assert_int_equal(item.kind, ENTRY_ITEM_COMMAND);
    assert_int_equal(item.expected, CODE_INSUFFICIENT_FUNDS);
    check_status(entry_item_read(&reader, &item), STATUS_INVALID);
    buffer_deinit(&out);
}

static void damaged_items_are_refused(void **state)
{
    (void)state;
    static const uint8_t items[][3] = {
        {CODE_UNKNOWN, 0, 0}, /* a code that is never recorded */
        {59, 0, 0},           /* no code at all */
        {0x80, 0, 0},         /* a group of none */
        {0x80, 0x81, 0x40},   /* a group of 8193 */
        {0x82, 1, 0},         /* no such head */
        {0xff, 1, 0},
    };
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        struct reader reader = reader_of(items[i], sizeof(items[i]));
        struct entry_item item;
        check_status(entry_item_read(&reader, &item), STATUS_INVALID);
    }
}

static void damaged_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } damages[] = {
        {0, 0},     {0, 2},             /* version */
        {1, 1},     {2, 1},   {3, 1},   /* flags, zeros */
        {4, 0},     {7, 1},             /* count */
        {8, 0},                         /* term 0 */
        {23, 1},                        /* first seq beyond SEQ_MAX */
        {31, 0x80},                     /* a negative time */
        {54, 1},    {55, 1},            /* a digest from after the entry */
        {88, 28},   {88, 33}, {88, 40}, /* size of the commands */
        {89, 1},    {92, 1},  {95, 1},  /* and the zeros behind it */
        {125, 1},   {127, 1},           /* padding */
    };
    struct buffer out;
    buffer_init(&out, ENTRY_BYTES_MAX);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        write_plain(&out);
        check_ok(read_header(out.data, out.size));
        out.data[damages[i].at] = damages[i].value;
        const enum status status = read_header(out.data, out.size);
        if (damages[i].at == 88 && damages[i].value == 28) {
            /* The last command byte is then padding, and not zero. */
            assert_int_not_equal(out.data[ENTRY_HEADER_BYTES + 28], 0);
        }
        check_status(status, STATUS_INVALID);
    }
    write_plain(&out);
    for (size_t size = 0; size < out.size; size++) {
        check_status(read_header(out.data, size), STATUS_INVALID);
    }
    check_status(read_header(NULL, 0), STATUS_INVALID);
    struct uuid id;
    assert_false(entry_id(out.data, out.size - 8, &id));
    buffer_deinit(&out);
}

static void entries_are_aligned(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, ENTRY_BYTES_MAX);
    for (size_t size = 1; size <= 16; size++) {
        const struct entry_header header = plain_header();
        buffer_clear(&out);
        entry_begin(&out);
        for (size_t i = 0; i < size; i++) {
            write_u8(&out, 0xff);
        }
        entry_finish(&out, &header);
        assert_int_equal(out.size % ENTRY_ALIGN_BYTES, 0);
        struct entry_header back;
        struct reader items;
        check_ok(entry_read(out.data, out.size, &back, &items));
        assert_int_equal(back.commands_bytes, size);
        assert_int_equal(reader_left(&items), size);
    }
    buffer_deinit(&out);
}

static void a_barrier_is_an_entry_without_commands(void **state)
{
    (void)state;
    const struct uuid id = {.bytes = {4, 5, 6}};
    struct buffer out;
    struct entry_header header;
    struct reader items;
    buffer_init(&out, 1024);
    entry_write_barrier(&out, 3, &id);
    assert_int_equal(out.size, ENTRY_HEADER_BYTES);
    check_ok(entry_read(out.data, out.size, &header, &items));
    assert_int_equal(header.count, 0);
    assert_true(header.term == 3 && header.time_ns == 0);
    assert_true(uuid_equal(&header.id, &id));
    assert_int_equal(reader_left(&items), 0);
    buffer_deinit(&out);
}

static void a_full_buffer_is_noticed(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, ENTRY_HEADER_BYTES + 10);
    const struct entry_command command = plain_payment();
    const struct entry_header header = plain_header();
    entry_begin(&out);
    entry_command_write(&out, &command);
    assert_true(out.failed);
    entry_finish(&out, &header);
    assert_true(out.failed);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_payment_takes_thirty_bytes),
        cmocka_unit_test(the_header_comes_back),
        cmocka_unit_test(every_command_comes_back_the_same),
        cmocka_unit_test(a_currency_is_own_given_or_unknown),
        cmocka_unit_test(a_number_is_written_without_its_text),
        cmocka_unit_test(items_carry_codes_and_groups),
        cmocka_unit_test(damaged_items_are_refused),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(entries_are_aligned),
        cmocka_unit_test(a_barrier_is_an_entry_without_commands),
        cmocka_unit_test(a_full_buffer_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
