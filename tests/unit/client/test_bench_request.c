/* What is sent: whole requests, byte by byte, and as the node's own parser reads them. */
#include "client/bench_message.h"

#include "tests/support/bench_rig.h"
#include "tests/support/check.h"

#include <string.h>

static struct buffer out;
static struct bench_rig *rig;
static struct message_reader *reader;

static int set_up(void **state)
{
    (void)state;
    buffer_init(&out, SESSION_WRITE_BYTES_MAX);
    rig = bench_rig_open(1);
    check_ok(message_reader_open(&reader, MESSAGE_BYTES_MAX));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    message_reader_close(reader);
    buffer_deinit(&out);
    bench_rig_close(rig);
    return 0;
}

static void assert_out(const char *wanted)
{
    assert_false(out.failed);
    write_u8(&out, '\0');
    assert_string_equal((const char *)out.data, wanted);
    buffer_clear(&out);
}

/* The id of a payment, as text. */
static const char *id_of(const struct bench_batch *batch, uint32_t item)
{
    static char text[UUID_TEXT_BYTES];
    const uint64_t number = batch->request * rig->options.payments + item;
    const struct uuid id = bench_plan_id(&rig->plan, batch->lane, number, batch->ms);
    uuid_format(&id, text);
    return text;
}

static void test_names_have_seven_digits(void **state)
{
    (void)state;
    char name[BENCH_ACCOUNT_BYTES];
    bench_account_name(0, name);
    assert_string_equal(name, "bench-0000000");
    bench_account_name(42, name);
    assert_string_equal(name, "bench-0000042");
    bench_account_name(BENCH_ACCOUNTS_MAX - 1, name);
    assert_string_equal(name, "bench-9999999");
}

static void test_one_payment_is_a_payment_create(void **state)
{
    (void)state;
    bench_rig_begin(rig);
    const struct bench_batch batch = {.plan = &rig->plan, .lane = 3, .request = 11, .ms = 250};
    uint32_t debit = 0;
    uint32_t credit = 0;
    char wanted[512];
    bench_plan_accounts(&rig->plan, 3, 11, &debit, &credit);
    assert_true(debit != credit && debit < 10 && credit < 10);
    (void)snprintf(wanted, sizeof(wanted),
                   "{\"jsonrpc\":\"2.0\",\"id\":1007,\"method\":\"payment.create\",\"params\":{"
                   "\"id\":\"%s\",\"debit\":\"bench-%07u\",\"credit\":\"bench-%07u\","
                   "\"amount\":\"100\"}}",
                   id_of(&batch, 0), debit, credit);
    bench_request_pay(&batch, 7, &out);
    assert_out(wanted);
    /* Made again, it is the same. */
    bench_request_pay(&batch, 7, &out);
    assert_out(wanted);
}

static void test_several_payments_are_a_batch(void **state)
{
    (void)state;
    rig->options.payments = 3;
    bench_rig_begin(rig);
    const struct bench_batch batch = {.plan = &rig->plan, .request = 2, .ms = 9};
    bench_request_pay(&batch, 0, &out);
    const struct value *root = NULL;
    struct failure failure;
    const struct text text = {(const char *)out.data, out.size};
    assert_int_equal(message_parse(reader, text, &root, &failure), CODE_OK);
    assert_true(text_equal(value_text(value_member(root, "method")), TEXT("payment.batch")));
    const struct value *params = value_member(root, "params");
    const struct value *items = value_member(params, "items");
    assert_true(text_equal(value_text(value_member(params, "mode")), TEXT("independent")));
    assert_int_equal(value_count(items), 3);
    uint32_t index = 0;
    for (const struct value *item = value_first(items); item != NULL; item = value_next(item)) {
        uint32_t debit = 0;
        uint32_t credit = 0;
        char name[BENCH_ACCOUNT_BYTES];
        bench_plan_accounts(&rig->plan, 0, 6 + index, &debit, &credit);
        assert_true(
            text_equal(value_text(value_member(item, "id")), text_of(id_of(&batch, index))));
        bench_account_name(debit, name);
        assert_true(text_equal(value_text(value_member(item, "debit")), text_of(name)));
        bench_account_name(credit, name);
        assert_true(text_equal(value_text(value_member(item, "credit")), text_of(name)));
        index += 1;
    }
}

static void test_the_largest_request_is_one_message(void **state)
{
    (void)state;
    rig->options.payments = BATCH_ITEMS_MAX;
    bench_rig_begin(rig);
    const struct bench_batch batch = {.plan = &rig->plan};
    bench_request_pay(&batch, 1, &out);
    assert_false(out.failed);
    assert_true(out.size <= MESSAGE_BYTES_MAX);
    assert_true(out.size <= (size_t)BATCH_ITEMS_MAX * BENCH_PAYMENT_BYTES_MAX);
}

static void test_reads(void **state)
{
    (void)state;
    const struct uuid id = {.bytes = {0x01, 0x98}};
    bench_request_account(42, 0, false, &out);
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":1000,\"method\":\"account.get\",\"params\":"
               "{\"id\":\"bench-0000042\"}}");
    bench_request_account(1, SESSION_REQUESTS_MAX - 1, true, &out);
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":2023,\"method\":\"account.get\",\"params\":"
               "{\"id\":\"bench-0000001\",\"stale\":true}}");
    bench_request_payment(&id, 5, false, &out);
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":1005,\"method\":\"payment.get\",\"params\":"
               "{\"id\":\"01980000-0000-0000-0000-000000000000\"}}");
    bench_request_payment(&id, 5, true, &out);
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":1005,\"method\":\"payment.get\",\"params\":"
               "{\"id\":\"01980000-0000-0000-0000-000000000000\",\"stale\":true}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_have_seven_digits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_payment_is_a_payment_create, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_payments_are_a_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_largest_request_is_one_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
