/* Atomic batches as an entry holds them, on a state in memory. */
#include "ledger/group.h"

#include "base/check.h"
#include "ledger/resolve.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"
#include "tests/support/view_rig.h"

enum { FIRST_SEQ = 100, VISITS_MAX = 8 };

static struct view_rig rig;
static struct overlay trial;
static struct buffer items;

static struct {
    uint32_t count;
    enum code codes[VISITS_MAX];
    i128 available;
} visits;

/* alice has 100 from bank; bob and shop have nothing. */
static int set_up(void **state)
{
    (void)state;
    view_rig_open(&rig);
    overlay_init(&trial, rig.view);
    buffer_init(&items, ENTRY_BYTES_MAX);
    visits.count = 0;
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_account("alice", "EUR", false, 0),
        make_account("bob", "EUR", false, 0),
        make_account("shop", "EUR", false, 0),
        make_account("bank", "EUR", false, -1),
        make_payment(1, "bank", "alice", 100),
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(commands); i++) {
        assert_int_equal(view_rig_do(&rig, &commands[i]), CODE_OK);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    overlay_deinit(&trial);
    buffer_deinit(&items);
    view_rig_close(&rig);
    return 0;
}

static void add_item(const struct command *command)
{
    static struct entry_command entry;
    const struct entry_item head = {.kind = ENTRY_ITEM_COMMAND, .expected = CODE_OK};
    entry.kind = COMMAND_PAYMENT;
    resolve_payment(rig.view, &command->payment, &entry.payment);
    entry_item_write(&items, &head);
    entry_command_write(&items, &entry);
}

static void visit(void *data, uint32_t number, const struct entry_item *item,
                  const struct entry_command *command, const struct decision *decision)
{
    (void)data;
    assert_int_equal(number, visits.count);
    assert_true(number < VISITS_MAX);
    assert_int_equal(item->kind, ENTRY_ITEM_COMMAND);
    assert_true(command->payment.legs_count == 1);
    assert_true(decision->seq == FIRST_SEQ + number && decision->term == 3);
    assert_true(decision->time_ns == 5000);
    visits.codes[number] = decision->code;
    if (decision->code == CODE_INSUFFICIENT_FUNDS) {
        visits.available = decision->available;
    }
    visits.count++;
}

static enum status execute(uint32_t count, bool aborted, struct reader *reader)
{
    const struct group group = {.view = rig.view,
                                .trial = &trial,
                                .execution = {.term = 3, .time_ns = 5000},
                                .first_seq = FIRST_SEQ,
                                .count = count,
                                .aborted = aborted};
    assert_false(items.failed);
    *reader = reader_of(items.data, items.size);
    const enum status status = group_execute(&group, reader, visit, NULL);
    assert_true(overlay_empty(&trial));
    return status;
}

static i128 posted(const char *id)
{
    const struct account account = view_rig_account(&rig, id);
    return account_posted(&account);
}

static void add_three(u128 last_amount)
{
    const struct command commands[] = {make_payment(10, "alice", "bob", 100),
                                       make_payment(11, "bob", "shop", 100),
                                       make_payment(12, "shop", "alice", last_amount)};
    for (uint32_t i = 0; i < 3; i++) {
        add_item(&commands[i]);
    }
}

static void expect_recorded(uint64_t id, enum code code)
{
    struct payment_seen seen;
    const struct uuid uuid = uuid_of(id);
    assert_true(rig.view->functions->payment_find(rig.view, &uuid, &seen));
    assert_int_equal(seen.code, code);
    assert_true(seen.seq == FIRST_SEQ + id - 10);
}

static void all_are_posted_each_after_the_others(void **state)
{
    (void)state;
    struct reader reader;
    add_three(100);
    check_ok(execute(3, false, &reader));
    assert_int_equal(visits.count, 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(visits.codes[i], CODE_OK);
        expect_recorded(10 + i, CODE_OK);
    }
    assert_true(posted("alice") == 100 && posted("bob") == 0 && posted("shop") == 0);
    assert_int_equal(view_rig_account(&rig, "bob").entries_count, 2);
    assert_int_equal(reader_left(&reader), 0);
}

static void one_refusal_moves_no_money_and_all_are_recorded(void **state)
{
    (void)state;
    struct reader reader;
    add_three(101);
    check_ok(execute(3, false, &reader));
    assert_int_equal(visits.count, 3);
    assert_int_equal(visits.codes[0], CODE_BATCH_ABORTED);
    assert_int_equal(visits.codes[1], CODE_BATCH_ABORTED);
    assert_int_equal(visits.codes[2], CODE_INSUFFICIENT_FUNDS);
    assert_true(visits.available == 100); /* shop had bob's money in the trial */
    expect_recorded(10, CODE_BATCH_ABORTED);
    expect_recorded(12, CODE_INSUFFICIENT_FUNDS);
    assert_true(posted("alice") == 100 && posted("bob") == 0 && posted("shop") == 0);
    assert_int_equal(view_rig_account(&rig, "bob").entries_count, 0);
    assert_int_equal(reader_left(&reader), 0);
}

static void a_group_that_was_aborted_before_is_not_judged(void **state)
{
    (void)state;
    struct reader reader;
    add_three(101);
    check_ok(execute(3, true, &reader));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(visits.codes[i], CODE_BATCH_ABORTED);
    }
    assert_true(posted("alice") == 100);
}

static void the_reader_stops_behind_the_group(void **state)
{
    (void)state;
    struct reader reader;
    add_three(100);
    const struct command next = make_payment(13, "alice", "bob", 1);
    const size_t size = items.size;
    add_item(&next);
    check_ok(execute(3, false, &reader));
    assert_int_equal(reader_left(&reader), items.size - size);
    assert_int_equal(visits.count, 3);
}

static void bytes_that_are_no_group_are_corrupt(void **state)
{
    (void)state;
    struct reader reader;
    add_three(100);
    check_status(execute(4, false, &reader), STATUS_CORRUPT); /* one is missing */
    assert_true(posted("alice") == 100 && posted("shop") == 0 && visits.count == 0);
    buffer_clear(&items);
    const struct entry_item head = {.kind = ENTRY_ITEM_GROUP, .group_count = 1};
    entry_item_write(&items, &head); /* groups do not nest */
    add_three(100);
    check_status(execute(1, false, &reader), STATUS_CORRUPT);
    buffer_clear(&items);
    const struct entry_item command = {.kind = ENTRY_ITEM_COMMAND, .expected = CODE_OK};
    const struct entry_command currency = {.kind = COMMAND_CURRENCY_CREATE,
                                           .currency_create = {.code = TEXT("USD"), .scale = 2}};
    entry_item_write(&items, &command);
    entry_command_write(&items, &currency);
    check_status(execute(1, false, &reader), STATUS_CORRUPT);
    check_status(execute(1, true, &reader), STATUS_CORRUPT);
    assert_int_equal(visits.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_are_posted_each_after_the_others),
        TEST(one_refusal_moves_no_money_and_all_are_recorded),
        TEST(a_group_that_was_aborted_before_is_not_judged),
        TEST(the_reader_stops_behind_the_group),
        TEST(bytes_that_are_no_group_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
