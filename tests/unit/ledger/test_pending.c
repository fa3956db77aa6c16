#include "ledger/internal.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

static struct driver driver;

static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static void an_entry_begins_empty_also_when_it_was_used_before(void **state)
{
    (void)state;
    struct ledger_request request = {.count = 1};
    struct pending *first = pending_take(driver.ledger);
    assert_non_null(first);
    assert_true(first->items_count == 0 && first->count == 0);
    assert_true(first->entry.bytes.size == 0 && !first->entry.proposed);
    assert_non_null(pending_add(first, &request));
    write_u8(&first->entry.bytes, 1);
    first->entry.proposed = true;
    first->count = 1;
    pending_give_back(driver.ledger, first);

    struct pending *again = pending_take(driver.ledger);
    assert_ptr_equal(again, first); /* with its memory */
    assert_true(again->items_count == 0 && again->count == 0);
    assert_true(again->entry.bytes.size == 0 && !again->entry.proposed);
    struct pending *other = pending_take(driver.ledger);
    assert_ptr_not_equal(other, again);
    pending_free(other);
    pending_give_back(driver.ledger, again); /* the ledger frees it */
}

static void items_are_zeroed_and_keep_their_order(void **state)
{
    (void)state;
    static struct ledger_request requests[ENTRY_COMMANDS_MAX];
    struct pending *pending = pending_take(driver.ledger);
    assert_non_null(pending);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < ENTRY_COMMANDS_MAX; i++) {
            struct item *item = pending_add(pending, &requests[i]);
            assert_non_null(item);
            assert_ptr_equal(item->request, &requests[i]);
            assert_true(item->replay == 0 && !item->last && item->code == CODE_OK);
            item->replay = i + 1; /* seen again in the second round, if it were not zeroed */
            item->last = true;
        }
        assert_int_equal(pending->items_count, ENTRY_COMMANDS_MAX);
        for (uint32_t i = 0; i < ENTRY_COMMANDS_MAX; i++) {
            assert_ptr_equal(pending->items[i].request, &requests[i]);
            assert_true(pending->items[i].replay == i + 1);
        }
        pending_give_back(driver.ledger, pending);
        assert_ptr_equal(pending_take(driver.ledger), pending);
    }
    pending_free(pending);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_begins_empty_also_when_it_was_used_before),
        TEST(items_are_zeroed_and_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
