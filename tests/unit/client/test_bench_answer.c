/* What a node answers, judged in the short way and in the long one. */
#include "client/bench_message.h"

#include "tests/support/bench_rig.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 8192 };

static struct bench_rig *rig;
static struct message_reader *reader;
static struct bench_errors errors;
static struct bench_batch batch;
static uint32_t posted_items[8];
static uint32_t posted_count;
static char message[TEXT_BYTES];

static int set_up(void **state)
{
    (void)state;
    rig = bench_rig_open(1);
    check_ok(message_reader_open(&reader, MESSAGE_BYTES_MAX));
    errors = (struct bench_errors){.count = 0};
    posted_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    message_reader_close(reader);
    bench_rig_close(rig);
    return 0;
}

static void begin(uint32_t payments)
{
    rig->options.payments = payments;
    bench_rig_begin(rig);
    batch = (struct bench_batch){.plan = &rig->plan, .lane = 1, .request = 5, .ms = 77};
}

static const char *id_of(uint32_t item)
{
    static char text[UUID_TEXT_BYTES];
    const uint64_t number = batch.request * rig->options.payments + item;
    const struct uuid id = bench_plan_id(&rig->plan, batch.lane, number, batch.ms);
    uuid_format(&id, text);
    return text;
}

static void add(const char *text)
{
    assert_true(strlen(message) + strlen(text) < TEXT_BYTES);
    strncat(message, text, TEXT_BYTES - 1 - strlen(message));
}

/* As gateway/render.c writes it. */
static void add_posted(uint32_t item, uint32_t seq, const char *replayed)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "{\"id\":\"%s\",\"status\":\"posted\",\"seq\":%u,\"term\":3,"
                   "\"time\":\"2026-11-23T12:00:00.000000000Z\",\"replayed\":%s,\"balances\":["
                   "{\"account\":\"bench-0000001\",\"posted\":\"-5\"},"
                   "{\"account\":\"bench-0000002\",\"posted\":\"5\"}]}",
                   id_of(item), seq, replayed);
    add(text);
}

static void add_error(const char *code, const char *retryable, const char *recorded,
                      const char *more)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "\"error\":{\"code\":-32014,\"message\":\"no\",\"data\":{\"code\":\"%s\","
                   "\"retryable\":%s,\"recorded\":%s%s}}",
                   code, retryable, recorded, more);
    add(text);
}

static void open_message(const char *member)
{
    (void)snprintf(message, sizeof(message), "{\"jsonrpc\":\"2.0\",\"id\":1007,%s", member);
}

static void on_posted(void *data, uint32_t item)
{
    assert_ptr_equal(data, posted_items);
    posted_items[posted_count] = item;
    posted_count += 1;
}

static struct bench_verdict judge(void)
{
    const struct value *root = NULL;
    struct failure failure;
    struct reply reply;
    const struct bench_answer_sink sink = {
        .posted = on_posted, .data = posted_items, .errors = &errors};
    assert_int_equal(message_parse(reader, text_of(message), &root, &failure), CODE_OK);
    assert_true(reply_read(root, &reply));
    posted_count = 0;
    return bench_answer_read(&batch, &reply, &sink);
}

static void test_slots_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint32_t slot;
    } rows[] = {{"{\"jsonrpc\":\"2.0\",\"id\":1000,\"result\":{}}", true, 0},
                {"{\"jsonrpc\":\"2.0\",\"id\":1042,\"error\":{}}", true, 42},
                {"{\"jsonrpc\":\"2.0\",\"id\":2023,", true, 1023},
                {"{\"jsonrpc\":\"2.0\",\"id\":2024,", false, 0},
                {"{\"jsonrpc\":\"2.0\",\"id\":0999,", false, 0},
                {"{\"jsonrpc\":\"2.0\",\"id\":100,", false, 0},
                {"{\"jsonrpc\":\"2.0\",\"id\":10000,", false, 0},
                {"{\"jsonrpc\":\"2.0\",\"id\":1000", false, 0},
                {"{\"jsonrpc\":\"2.0\",\"id\":null,", false, 0},
                {"{\"id\":1000,\"jsonrpc\":\"2.0\",", false, 0},
                {"", false, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t slot = 0;
        assert_int_equal(bench_answer_slot(text_of(rows[i].text), &slot), rows[i].good);
        assert_int_equal(slot, rows[i].slot);
    }
}

static void test_a_read_has_a_result_or_not(void **state)
{
    (void)state;
    open_message("\"result\":{\"id\":\"a\"}}");
    assert_true(bench_answer_has_result(text_of(message)));
    open_message("\"error\":{\"code\":1}}");
    assert_false(bench_answer_has_result(text_of(message)));
    assert_false(bench_answer_has_result(TEXT("{\"jsonrpc\"")));
}

static void test_one_posted_payment(void **state)
{
    (void)state;
    uint64_t seq = 0;
    begin(1);
    open_message("\"result\":");
    add_posted(0, 918, "false");
    add("}");
    assert_true(bench_answer_scan(&batch, text_of(message), &seq));
    assert_int_equal(seq, 918);
    const struct bench_verdict verdict = judge();
    assert_true(verdict.understood);
    assert_int_equal(verdict.posted, 1);
    assert_int_equal(verdict.seq, 918);
    assert_int_equal(errors.count, 0);
}

static void test_a_batch_of_posted_payments(void **state)
{
    (void)state;
    uint64_t seq = 0;
    begin(3);
    open_message("\"result\":{\"results\":[{\"result\":");
    add_posted(0, 7, "false");
    add("},{\"result\":");
    add_posted(1, 9, "false");
    add("},{\"result\":");
    add_posted(2, 8, "false");
    add("}]}}");
    assert_true(bench_answer_scan(&batch, text_of(message), &seq));
    assert_int_equal(seq, 9);
    const struct bench_verdict verdict = judge();
    assert_int_equal(verdict.posted, 3);
    assert_int_equal(verdict.seq, 9);
    assert_int_equal(posted_count, 3);
    assert_int_equal(posted_items[2], 2);
}

/* Each byte of a good answer is changed once: the short way takes none of these for the good one,
 * but for those in numbers, in the time and in balances, which it does not know beforehand. */
static void test_the_short_way_takes_no_other_text(void **state)
{
    (void)state;
    uint64_t seq = 0;
    begin(1);
    open_message("\"result\":");
    add_posted(0, 918, "false");
    add("}");
    const size_t size = strlen(message);
    const size_t head = strlen("{\"jsonrpc\":\"2.0\",\"id\":1007");
    const size_t seq_at = (size_t)(strstr(message, "\"seq\":") + 6 - message);
    const size_t term_at = (size_t)(strstr(message, "\"term\":") + 7 - message);
    const size_t time_at = (size_t)(strstr(message, "\"time\":\"") + 8 - message);
    const size_t rows_at = (size_t)(strstr(message, "\"balances\":[") + 12 - message);
    for (size_t i = head; i < size; i++) {
        const bool free_text = (i >= seq_at && i < seq_at + 3) || i == term_at ||
                               (i >= time_at && i < time_at + 30) || (i >= rows_at && i < size - 3);
        const char kept = message[i];
        message[i] = 'x';
        if (!free_text || i < time_at) {
            assert_false(bench_answer_scan(&batch, text_of(message), &seq));
        }
        message[i] = kept;
        assert_false(bench_answer_scan(&batch, (struct text){message, i}, &seq));
    }
    assert_int_equal(seq, 0);
    add(" ");
    assert_false(bench_answer_scan(&batch, text_of(message), &seq));
}

static void test_a_replayed_payment_goes_the_long_way(void **state)
{
    (void)state;
    uint64_t seq = 0;
    begin(1);
    open_message("\"result\":");
    add_posted(0, 918, "true");
    add("}");
    assert_false(bench_answer_scan(&batch, text_of(message), &seq));
    assert_int_equal(judge().posted, 1);
}

static void test_an_answer_about_another_id_is_not_understood(void **state)
{
    (void)state;
    uint64_t seq = 0;
    begin(1);
    open_message("\"result\":");
    add_posted(1, 918, "false");
    add("}");
    assert_false(bench_answer_scan(&batch, text_of(message), &seq));
    assert_false(judge().understood);
    begin(2);
    open_message("\"result\":{\"results\":[{\"result\":");
    add_posted(1, 7, "false");
    add("},{\"result\":");
    add_posted(0, 9, "false");
    add("}]}}");
    assert_false(bench_answer_scan(&batch, text_of(message), &seq));
    assert_false(judge().understood);
}

static void test_too_few_or_too_many_results_are_not_understood(void **state)
{
    (void)state;
    uint64_t seq = 0;
    begin(2);
    open_message("\"result\":{\"results\":[{\"result\":");
    add_posted(0, 7, "false");
    add("}]}}");
    assert_false(bench_answer_scan(&batch, text_of(message), &seq));
    assert_false(judge().understood);
    open_message("\"result\":{\"results\":[{\"result\":");
    add_posted(0, 7, "false");
    add("},{\"result\":");
    add_posted(1, 8, "false");
    add("},{\"result\":");
    add_posted(2, 9, "false");
    add("}]}}");
    assert_false(bench_answer_scan(&batch, text_of(message), &seq));
    assert_false(judge().understood);
    begin(1);
    open_message("\"result\":{\"status\":\"posted\"}}");
    assert_false(judge().understood);
}

static void test_an_overloaded_node(void **state)
{
    (void)state;
    begin(3);
    open_message("");
    add_error("overloaded", "true", "false", ",\"retry_after_ms\":40");
    add("}");
    const struct bench_verdict verdict = judge();
    assert_true(verdict.understood && verdict.again && !verdict.doubtful);
    assert_int_equal(verdict.retry_after_ms, 40);
    assert_int_equal(verdict.refused, 3);
    assert_int_equal(verdict.overloaded, 3);
    assert_int_equal(verdict.unrecorded, 3);
    assert_int_equal(verdict.unknown + verdict.posted, 0);
    assert_string_equal(errors.rows[0].code, "overloaded");
    assert_int_equal(errors.rows[0].count, 3);
}

static void test_an_unknown_outcome(void **state)
{
    (void)state;
    begin(2);
    open_message("");
    add_error("unknown", "false", "null", "");
    add("}");
    const struct bench_verdict verdict = judge();
    assert_true(verdict.understood && verdict.doubtful && !verdict.again);
    assert_int_equal(verdict.unknown, 2);
    assert_int_equal(verdict.refused, 0);
}

static void test_recorded_refusals_settle_what_others_do_not(void **state)
{
    (void)state;
    begin(4);
    open_message("\"result\":{\"results\":[{");
    add_error("insufficient_funds", "false", "true", "");
    add("},{\"result\":");
    add_posted(1, 7, "false");
    add("},{");
    add_error("idempotency_mismatch", "false", "false", "");
    add("},{");
    add_error("unknown", "false", "null", "");
    add("}]}}");
    const struct bench_verdict verdict = judge();
    assert_true(verdict.understood && !verdict.again && !verdict.doubtful);
    assert_int_equal(verdict.posted, 1);
    assert_int_equal(posted_items[0], 1);
    assert_int_equal(verdict.refused, 2);
    assert_int_equal(verdict.unrecorded, 1);
    assert_int_equal(verdict.unknown, 1);
    assert_int_equal(errors.count, 3);
    begin(1);
    open_message("");
    add_error("insufficient_funds", "false", "true", "");
    add("}");
    assert_int_equal(judge().unrecorded, 0);
}

static void test_an_error_without_a_code(void **state)
{
    (void)state;
    begin(1);
    open_message("\"error\":{\"code\":-32603,\"message\":\"no\"}}");
    const struct bench_verdict verdict = judge();
    assert_true(verdict.understood && !verdict.again);
    assert_int_equal(verdict.refused, 1);
    assert_string_equal(errors.rows[0].code, "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slots_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_read_has_a_result_or_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_posted_payment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_batch_of_posted_payments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_short_way_takes_no_other_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_replayed_payment_goes_the_long_way, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_about_another_id_is_not_understood, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_too_few_or_too_many_results_are_not_understood, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_overloaded_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_unknown_outcome, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recorded_refusals_settle_what_others_do_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_error_without_a_code, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
