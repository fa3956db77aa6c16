/* Requests through real sockets to a gateway whose node is pretended. */
#include "client/call.h"

#include "base/clock.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

#define PAYMENT                                                                                    \
    "{\"id\":\"0198d2c4-a0f0-7c3e-9b1f-5a1122334455\",\"debit\":\"a\",\"credit\":\"b\","           \
    "\"amount\":\"5\"}"

/* A port on which nobody listens. */
enum { DEAD_PORT = 1 };

static struct client_options options_of(uint16_t first, uint16_t second, uint32_t timeout_ms)
{
    struct client_options options = {.nodes_count = second == 0 ? 1 : 2, .timeout_ms = timeout_ms};
    (void)snprintf(options.nodes[0].host, sizeof(options.nodes[0].host), "127.0.0.1");
    (void)snprintf(options.nodes[1].host, sizeof(options.nodes[1].host), "127.0.0.1");
    options.nodes[0].port = first;
    options.nodes[1].port = second;
    return options;
}

static struct caller *caller_of(const struct client_options *options)
{
    struct caller *caller = NULL;
    char error[256] = "";
    check_ok(caller_open(&caller, options, error, sizeof(error)));
    return caller;
}

static void test_a_payment_is_answered(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const struct client_options options = options_of(rig->port, 0, 5000);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_DONE);
        assert_non_null(value_member(reply.result, "status"));
        assert_true(caller_text(caller).size > 0);
    }
    char address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)rig->port);
    assert_string_equal(caller_node(caller), address);
    assert_int_equal(atomic_load(&rig->node.submitted), 3);
    caller_close(caller);
    rig_close(rig);
}

static void test_the_next_node_is_tried(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const struct client_options options = options_of(DEAD_PORT, rig->port, 5000);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_DONE);
    caller_pin(caller, 0);
    caller_close(caller);
    rig_close(rig);
}

static void test_a_final_refusal_ends_it(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const struct client_options options = options_of(rig->port, 0, 5000);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT("{}"), &reply), CALL_REFUSED);
    assert_true(text_equal(reply.code, TEXT("missing_field")));
    assert_int_equal(caller_call(caller, "no.such", TEXT("{}"), &reply), CALL_REFUSED);
    assert_true(text_equal(reply.code, TEXT("method_not_found")));
    assert_int_equal(atomic_load(&rig->node.submitted), 0);
    caller_close(caller);
    rig_close(rig);
}

static void test_a_retryable_refusal_is_tried_again(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    atomic_store(&rig->node.code, CODE_NO_LEADER);
    const struct client_options options = options_of(rig->port, 0, 700);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply),
                     CALL_UNREACHABLE);
    assert_true(atomic_load(&rig->node.submitted) > 1);
    assert_non_null(strstr(caller_reason(caller), "leader"));
    atomic_store(&rig->node.code, CODE_OK);
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_DONE);
    caller_close(caller);
    rig_close(rig);
}

static void test_unknown_stays_unknown_until_answered(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    atomic_store(&rig->node.code, CODE_UNKNOWN);
    const struct client_options options = options_of(rig->port, 0, 700);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_UNKNOWN);
    assert_true(atomic_load(&rig->node.submitted) > 1);
    assert_null(reply.result);
    caller_close(caller);
    rig_close(rig);
}

/* What the second node refuses says nothing about the first one's attempt. */
static void test_unknown_is_not_ended_by_a_refusal_that_is_not_recorded(void **state)
{
    (void)state;
    struct rig *first = rig_open();
    struct rig *second = rig_open();
    rig_start(first);
    rig_start(second);
    atomic_store(&first->node.code, CODE_UNKNOWN);
    atomic_store(&second->node.code, CODE_INTERNAL);
    const struct client_options options = options_of(first->port, second->port, 5000);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_UNKNOWN);
    assert_null(reply.result);
    assert_int_equal(atomic_load(&second->node.submitted), 1);
    assert_non_null(strstr(caller_reason(caller), "internal error"));
    /* Asked first, it is believed. */
    atomic_store(&first->node.code, CODE_INTERNAL);
    caller_pin(caller, 0);
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_REFUSED);
    caller_close(caller);
    rig_close(second);
    rig_close(first);
}

static void test_unknown_is_ended_by_a_recorded_refusal(void **state)
{
    (void)state;
    struct rig *first = rig_open();
    struct rig *second = rig_open();
    rig_start(first);
    rig_start(second);
    atomic_store(&first->node.code, CODE_UNKNOWN);
    atomic_store(&second->node.refusal, CODE_PAYMENT_EXPIRED);
    const struct client_options options = options_of(first->port, second->port, 5000);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_REFUSED);
    assert_true(text_equal(reply.code, TEXT("payment_expired")));
    assert_int_equal(reply.recorded, YES);
    caller_close(caller);
    rig_close(second);
    rig_close(first);
}

static void test_silence_is_unknown_for_writes_only(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.hold, 1000000);
    rig_start(rig);
    const struct client_options options = options_of(rig->port, 0, 400);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply), CALL_UNKNOWN);
    assert_int_equal(caller_call(caller, "ledger.totals", TEXT("{}"), &reply), CALL_UNREACHABLE);
    caller_close(caller);
    rig_close(rig);
}

static void test_nobody_there(void **state)
{
    (void)state;
    const struct client_options options = options_of(DEAD_PORT, 0, 300);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply),
                     CALL_UNREACHABLE);
    assert_non_null(strstr(caller_reason(caller), "127.0.0.1:1: "));
    caller_close(caller);
    caller_close(NULL);
}

static void test_given_up_early_where_nobody_listens(void **state)
{
    (void)state;
    struct client_options options = options_of(DEAD_PORT, DEAD_PORT + 1, 60000);
    options.refused_ms = 200;
    struct caller *caller = caller_of(&options);
    struct reply reply;
    const uint64_t begin_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(caller_call(caller, "payment.create", TEXT(PAYMENT), &reply),
                     CALL_UNREACHABLE);
    assert_true(clock_monotonic_ms(clock_system()) - begin_ms < 20000);
    assert_string_equal(caller_reason(caller),
                        "127.0.0.1:1: connection refused; 127.0.0.1:2: connection refused");
    caller_close(caller);
}

static void test_a_long_wait_is_explained_once(void **state)
{
    (void)state;
    struct client_options options = options_of(DEAD_PORT, 0, 2500);
    char text[512] = "";
    options.refused_ms = 2500;
    options.notices = fmemopen(text, sizeof(text) - 1, "w");
    assert_non_null(options.notices);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(caller_call(caller, "cluster.status", TEXT("{}"), &reply), CALL_UNREACHABLE);
    assert_string_equal(text, "payledger: no answer yet: 127.0.0.1:1: connection refused; trying "
                              "for up to 2.5 s\n");
    caller_close(caller);
    (void)fclose(options.notices);
}

static void test_a_state_not_reached_is_refused(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    atomic_store(&rig->node.code, CODE_READ_TIMEOUT);
    const struct client_options options = options_of(DEAD_PORT, rig->port, 700);
    struct caller *caller = caller_of(&options);
    struct reply reply;
    assert_int_equal(
        caller_call(caller, "account.get", TEXT("{\"id\":\"a\",\"min_seq\":9}"), &reply),
        CALL_REFUSED);
    assert_true(text_equal(reply.code, TEXT("read_timeout")));
    assert_true(atomic_load(&rig->node.submitted) > 1);
    caller_close(caller);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_payment_is_answered),
        cmocka_unit_test(test_the_next_node_is_tried),
        cmocka_unit_test(test_a_final_refusal_ends_it),
        cmocka_unit_test(test_a_retryable_refusal_is_tried_again),
        cmocka_unit_test(test_unknown_stays_unknown_until_answered),
        cmocka_unit_test(test_unknown_is_not_ended_by_a_refusal_that_is_not_recorded),
        cmocka_unit_test(test_unknown_is_ended_by_a_recorded_refusal),
        cmocka_unit_test(test_silence_is_unknown_for_writes_only),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_given_up_early_where_nobody_listens),
        cmocka_unit_test(test_a_long_wait_is_explained_once),
        cmocka_unit_test(test_a_state_not_reached_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
