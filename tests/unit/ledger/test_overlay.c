#include "ledger/overlay.h"

#include "base/check.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"
#include "tests/support/view_rig.h"

#include <string.h>

static struct view_rig rig;
static struct overlay overlay; /* over the rig's state */

static int set_up(void **state)
{
    (void)state;
    view_rig_open(&rig);
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_account("alice", "EUR", false, -1),
        make_account("bob", "EUR", false, -1),
        make_payment(1, "alice", "bob", 10),
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(commands); i++) {
        assert_int_equal(view_rig_do(&rig, &commands[i]), CODE_OK);
    }
    overlay_init(&overlay, rig.view);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    overlay_deinit(&overlay);
    view_rig_close(&rig);
    return 0;
}

static struct account account_of(struct view *view, uint64_t number)
{
    struct account account;
    assert_true(view->functions->account_get(view, number, &account));
    return account;
}

static void write_balance(struct view *view, uint64_t number, u128 credits)
{
    struct account account = account_of(view, number);
    account.credits_posted = credits;
    view->functions->account_put(view, &account);
}

static void shows_what_lies_below(void **state)
{
    (void)state;
    struct view *view = &overlay.view;
    uint64_t number = 0;
    uint32_t currency = 0;
    struct payment_seen seen;
    const struct uuid id = uuid_of(1);
    assert_true(view->functions->account_find(view, TEXT("bob"), &number));
    assert_true(number == 2 && account_of(view, 2).credits_posted == 10);
    assert_true(view->functions->currency_find(view, TEXT("EUR"), &currency));
    assert_true(view->functions->payment_find(view, &id, &seen));
    assert_false(view->functions->account_find(view, TEXT("ghost"), &number));
    assert_int_equal(view->accounts_count, 2);
    assert_true(overlay_empty(&overlay));
}

static void hides_it_where_it_was_written(void **state)
{
    (void)state;
    overlay_begin(&overlay, 1);
    write_balance(&overlay.view, 2, 77);
    assert_true(account_of(&overlay.view, 2).credits_posted == 77);
    assert_true(account_of(rig.view, 2).credits_posted == 10);
    assert_int_equal(overlay_accounts_held(&overlay), 1);
}

static void a_key_leaves_with_the_newest_entry_that_wrote_it(void **state)
{
    (void)state;
    overlay_begin(&overlay, 1);
    write_balance(&overlay.view, 1, 11);
    write_balance(&overlay.view, 2, 12);
    overlay_begin(&overlay, 2);
    write_balance(&overlay.view, 2, 22);
    overlay_release(&overlay, 1);
    assert_true(account_of(&overlay.view, 1).credits_posted == 0); /* as below */
    assert_true(account_of(&overlay.view, 2).credits_posted == 22);
    overlay_release(&overlay, 2);
    assert_true(account_of(&overlay.view, 2).credits_posted == 10);
    assert_true(overlay_empty(&overlay));
}

static void new_accounts_and_currencies_are_found_and_counted(void **state)
{
    (void)state;
    struct view *view = &overlay.view;
    overlay_begin(&overlay, 1);
    struct currency currency = {.number = 2, .code = "USD"};
    view->functions->currency_put(view, &currency);
    struct account account = {.number = 3, .id = "carol", .id_size = 5, .currency = 2};
    view->functions->account_put(view, &account);
    view->functions->reference_put(view, TEXT("ref"), 9);
    uint64_t number = 0;
    uint32_t code = 0;
    uint64_t seq = 0;
    assert_true(view->functions->account_find(view, TEXT("carol"), &number));
    assert_true(view->functions->currency_find(view, TEXT("USD"), &code));
    assert_true(view->functions->reference_find(view, TEXT("ref"), &seq));
    assert_true(number == 3 && code == 2 && seq == 9);
    assert_int_equal(view->accounts_count, 3);
    assert_int_equal(view->currencies_count, 2);
    assert_int_equal(rig.view->accounts_count, 2);
    assert_false(rig.view->functions->account_find(rig.view, TEXT("carol"), &number));
}

static void keeps_the_forms_of_payments(void **state)
{
    (void)state;
    struct view *view = &overlay.view;
    static char form[1000];
    struct decision decision = {.kind = COMMAND_PAYMENT};
    for (uint64_t i = 0; i < 2000; i++) {
        overlay_begin(&overlay, i / 100);
        memset(form, (int)(i % 251), sizeof(form));
        const struct uuid id = uuid_of(100 + i);
        decision.seq = 100 + i;
        decision.code = i % 2 == 0 ? CODE_OK : CODE_OVERFLOW;
        view->functions->record_put(view, &id, (struct text){.data = form, .size = sizeof(form)},
                                    &decision);
    }
    overlay_release(&overlay, 9); /* the first thousand */
    for (uint64_t i = 0; i < 2000; i++) {
        const struct uuid id = uuid_of(100 + i);
        struct payment_seen seen;
        assert_true(view->functions->payment_find(view, &id, &seen) == (i >= 1000));
        if (i >= 1000) {
            assert_true(seen.seq == 100 + i);
            assert_int_equal(seen.code, i % 2 == 0 ? CODE_OK : CODE_OVERFLOW);
            memset(form, (int)(i % 251), sizeof(form));
            assert_true(seen.command.size == sizeof(form));
            assert_memory_equal(seen.command.data, form, sizeof(form));
        }
    }
    check_ok(view->error);
}

static void commands_of_operators_leave_no_record(void **state)
{
    (void)state;
    const struct decision decision = {.kind = COMMAND_ACCOUNT_OPEN, .seq = 5};
    overlay.view.functions->record_put(&overlay.view, NULL, TEXT("form"), &decision);
    assert_true(overlay_empty(&overlay));
}

static void clear_forgets_everything(void **state)
{
    (void)state;
    overlay_begin(&overlay, 3);
    write_balance(&overlay.view, 2, 77);
    struct account account = {.number = 3, .id = "carol", .id_size = 5, .currency = 1};
    overlay.view.functions->account_put(&overlay.view, &account);
    overlay_clear(&overlay, rig.view);
    assert_true(account_of(&overlay.view, 2).credits_posted == 10);
    assert_int_equal(overlay.view.accounts_count, 2);
}

static void an_error_below_is_the_overlays_too(void **state)
{
    (void)state;
    rig.view->error = STATUS_IO;
    struct account account;
    assert_false(overlay.view.functions->account_get(&overlay.view, 1, &account));
    check_status(overlay.view.error, STATUS_IO);
    rig.view->error = STATUS_OK;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shows_what_lies_below),
        TEST(hides_it_where_it_was_written),
        TEST(a_key_leaves_with_the_newest_entry_that_wrote_it),
        TEST(new_accounts_and_currencies_are_found_and_counted),
        TEST(keeps_the_forms_of_payments),
        TEST(commands_of_operators_leave_no_record),
        TEST(clear_forgets_everything),
        TEST(an_error_below_is_the_overlays_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
