#include "client/bench_accounts.h"

#include "tests/support/bench_rig.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

static char errors[2048];

static enum client_exit open_accounts(struct bench_rig *bench)
{
    memset(errors, 0, sizeof(errors));
    struct console console = {.options = bench->client,
                              .out = stdout,
                              .errors = fmemopen(errors, sizeof(errors) - 1, "w")};
    assert_non_null(console.errors);
    buffer_init(&console.params, MESSAGE_BYTES_MAX);
    buffer_init(&console.currencies, 1024);
    const enum client_exit end = bench_accounts_open(&console, &bench->options);
    console_close(&console);
    assert_int_equal(fclose(console.errors), 0);
    return end;
}

static void test_each_account_is_opened_once(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.opens, true);
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.accounts = 5000;
    bench->options.progress = true;
    assert_int_equal(open_accounts(bench), CLIENT_DONE);
    /* And the one that says so. */
    assert_int_equal(atomic_load(&rig->node.opened), 5001);
    assert_non_null(strstr(errors, "opening 5000 accounts\n"));
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_where_all_are_open_nothing_is_done(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.opens, true);
    atomic_store(&rig->node.finds, true);
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    assert_int_equal(open_accounts(bench), CLIENT_DONE);
    assert_int_equal(atomic_load(&rig->node.opened), 0);
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_a_currency_of_another_kind_is_told(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    assert_int_equal(open_accounts(bench), CLIENT_REFUSED);
    assert_non_null(strstr(errors, "already_exists"));
    bench_rig_close(bench);
    rig_close(rig);
}

/* Refuses the accounts that are still to come. */
static void *refuser(void *data)
{
    struct fake_node *node = data;
    const uint64_t begin_ms = test_now_ms();
    while (atomic_load(&node->opened) < 100 && test_now_ms() - begin_ms < 10000) {
        test_sleep_ms(1);
    }
    atomic_store(&node->opens, false);
    return NULL;
}

static void test_a_refused_account_ends_it(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    pthread_t thread;
    atomic_store(&rig->node.opens, true);
    rig_start(rig);
    struct bench_rig *bench = bench_rig_open(rig->port);
    bench->options.accounts = BENCH_ACCOUNTS_MAX;
    assert_int_equal(pthread_create(&thread, NULL, refuser, &rig->node), 0);
    assert_int_equal(open_accounts(bench), CLIENT_REFUSED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(strstr(errors, "accounts could not be opened: already_exists"));
    bench_rig_close(bench);
    rig_close(rig);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct bench_rig *bench = bench_rig_open(1);
    bench->client.timeout_ms = 200;
    assert_int_equal(open_accounts(bench), CLIENT_UNREACHABLE);
    assert_non_null(strstr(errors, "unreachable"));
    bench_rig_close(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_account_is_opened_once),
        cmocka_unit_test(test_where_all_are_open_nothing_is_done),
        cmocka_unit_test(test_a_currency_of_another_kind_is_told),
        cmocka_unit_test(test_a_refused_account_ends_it),
        cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
