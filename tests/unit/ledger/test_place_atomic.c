/* Atomic batches on the leader: all of one is posted, or none, in one entry. */
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

static struct driver driver;

static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    driver_lead(&driver);
    driver_make_bank(&driver);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static void expect_items(const struct command *commands, uint32_t count, const enum code *codes)
{
    struct call *call = call_make(REQUEST_ATOMIC, commands, count);
    driver_call(&driver, call);
    for (uint32_t i = 0; i < count; i++) {
        if (call_code(call, i) != codes[i]) {
            fail_msg("item %u: %d, wanted %d", i, (int)call_code(call, i), (int)codes[i]);
        }
    }
    call_free(call);
}

static void each_item_sees_the_earlier_ones(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(2, "alice", "bob", 1000),
                                       make_payment(3, "bob", "shop", 1000),
                                       make_payment(4, "shop", "alice", 1000)};
    const uint64_t before = driver_seq(&driver);
    expect_items(commands, 3, (enum code[]){CODE_OK, CODE_OK, CODE_OK});
    assert_true(driver_seq(&driver) == before + 3 && driver_posted(&driver, "alice") == 1000);
}

static void one_refused_item_aborts_all(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(2, "alice", "bob", 1000),
                                       make_payment(3, "bob", "shop", 1001),
                                       make_payment(4, "bob", "ghost", 1)};
    const uint64_t before = driver_seq(&driver);
    const enum code codes[] = {CODE_BATCH_ABORTED, CODE_INSUFFICIENT_FUNDS, CODE_BATCH_ABORTED};
    expect_items(commands, 3, codes);
    assert_true(driver_seq(&driver) == before + 3); /* all are recorded */
    assert_true(driver_posted(&driver, "alice") == 1000 && driver_posted(&driver, "bob") == 0);
    /* The refusal tells what the item saw: bob had alice's 1000. */
    struct outcome outcome;
    assert_int_equal(driver_do(&driver, &commands[1], &outcome), CODE_INSUFFICIENT_FUNDS);
    assert_true(outcome.replayed && outcome.available == 1000 && outcome.needed == 1001);
    assert_int_equal(driver_do(&driver, &commands[0], NULL), CODE_BATCH_ABORTED);
}

static void a_posted_replay_is_fine_in_a_batch(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(1, "bank", "alice", 1000),
                                       make_payment(2, "alice", "bob", 10)};
    expect_items(commands, 2, (enum code[]){CODE_OK, CODE_OK});
    assert_true(driver_posted(&driver, "alice") == 990 && driver_posted(&driver, "bob") == 10);
}

static void a_refused_replay_aborts_the_batch(void **state)
{
    (void)state;
    const struct command refused = make_payment(2, "bob", "alice", 10);
    assert_int_equal(driver_do(&driver, &refused, NULL), CODE_INSUFFICIENT_FUNDS);
    const struct command commands[] = {make_payment(3, "alice", "bob", 10), refused};
    expect_items(commands, 2, (enum code[]){CODE_BATCH_ABORTED, CODE_INSUFFICIENT_FUNDS});
    assert_true(driver_posted(&driver, "bob") == 0);
}

static void a_mismatch_aborts_the_batch(void **state)
{
    (void)state;
    const struct command commands[] = {make_payment(1, "bank", "alice", 999),
                                       make_payment(3, "alice", "bob", 10)};
    expect_items(commands, 2, (enum code[]){CODE_IDEMPOTENCY_MISMATCH, CODE_BATCH_ABORTED});
    assert_true(driver_posted(&driver, "bob") == 0);
}

static void the_same_id_twice_is_a_replay_of_the_first(void **state)
{
    (void)state;
    const struct command pay = make_payment(2, "alice", "bob", 10);
    const struct command twice[] = {pay, pay};
    const uint64_t before = driver_seq(&driver);
    expect_items(twice, 2, (enum code[]){CODE_OK, CODE_OK});
    assert_true(driver_seq(&driver) == before + 1 && driver_posted(&driver, "bob") == 10);
    const struct command poor = make_payment(3, "shop", "bob", 10);
    const struct command refused[] = {poor, poor};
    expect_items(refused, 2, (enum code[]){CODE_INSUFFICIENT_FUNDS, CODE_INSUFFICIENT_FUNDS});
    const struct command other[] = {make_payment(4, "alice", "bob", 1),
                                    make_payment(4, "alice", "bob", 2)};
    expect_items(other, 2, (enum code[]){CODE_BATCH_ABORTED, CODE_IDEMPOTENCY_MISMATCH});
    assert_true(driver_posted(&driver, "bob") == 10);
}

static void a_reference_is_taken_within_the_batch(void **state)
{
    (void)state;
    struct command commands[] = {make_payment(2, "alice", "bob", 1),
                                 make_payment(3, "alice", "bob", 1)};
    for (uint32_t i = 0; i < 2; i++) {
        commands[i].payment.has_reference = true;
        commands[i].payment.reference = TEXT("once");
    }
    expect_items(commands, 2, (enum code[]){CODE_BATCH_ABORTED, CODE_REFERENCE_CONFLICT});
    commands[0].payment.id = uuid_of(5);
    assert_int_equal(driver_do(&driver, &commands[0], NULL), CODE_OK); /* the abort freed it */
}

static void an_entry_is_closed_before_a_batch_that_does_not_fit(void **state)
{
    (void)state;
    struct call *filler = call_make_long(REQUEST_INDEPENDENT, 1000, 200);
    struct call *atomic = call_make_long(REQUEST_ATOMIC, 2000, 100);
    driver_submit(&driver, filler);
    driver_submit(&driver, atomic);
    const struct ledger_entry *one = driver_verify(&driver);
    assert_int_equal(filler->request.next, 200);
    assert_int_equal(atomic->request.next, 0);
    const struct ledger_entry *two = driver_verify(&driver);
    assert_int_equal(atomic->request.next, 100);
    (void)driver_apply_entry(&driver, one);
    assert_true(filler->answered && !atomic->answered);
    assert_int_equal(driver_apply_entry(&driver, two).count, 100);
    assert_int_equal(call_code(atomic, 99), CODE_OK);
    call_free(filler);
    call_free(atomic);
}

static void a_batch_that_never_fits_is_refused_whole(void **state)
{
    (void)state;
    struct call *call = call_make_long(REQUEST_ATOMIC, 1000, 300); /* about 1.2 MB */
    const uint64_t before = driver_seq(&driver);
    driver_submit(&driver, call);
    assert_null(driver_verify(&driver));
    assert_true(call->answered && driver_seq(&driver) == before);
    assert_int_equal(call->request.code, CODE_BATCH_TOO_LARGE);
    assert_int_equal(call->request.outcomes_count, 0);
    call_free(call);
    const struct command command = make_payment(1000, "alice", "bob", 1);
    assert_int_equal(driver_do(&driver, &command, NULL), CODE_OK); /* its ids are not taken */
}

static void a_full_batch_of_small_payments_fits(void **state)
{
    (void)state;
    struct command *commands = calloc(BATCH_ITEMS_MAX, sizeof(*commands));
    assert_non_null(commands);
    for (uint32_t i = 0; i < BATCH_ITEMS_MAX; i++) {
        commands[i] = make_payment(10000 + i, "bank", "bob", 1);
    }
    struct call *call = call_make(REQUEST_ATOMIC, commands, BATCH_ITEMS_MAX);
    driver_call(&driver, call);
    assert_int_equal(call_code(call, BATCH_ITEMS_MAX - 1), CODE_OK);
    assert_true(driver_posted(&driver, "bob") == BATCH_ITEMS_MAX);
    call_free(call);
    free(commands);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_item_sees_the_earlier_ones),
        TEST(one_refused_item_aborts_all),
        TEST(a_posted_replay_is_fine_in_a_batch),
        TEST(a_refused_replay_aborts_the_batch),
        TEST(a_mismatch_aborts_the_batch),
        TEST(the_same_id_twice_is_a_replay_of_the_first),
        TEST(a_reference_is_taken_within_the_batch),
        TEST(an_entry_is_closed_before_a_batch_that_does_not_fit),
        TEST(a_batch_that_never_fits_is_refused_whole),
        TEST(a_full_batch_of_small_payments_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
