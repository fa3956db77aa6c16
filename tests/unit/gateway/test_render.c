#include "gateway/render.h"

#include "base/check.h"
#include "ledger/outcome.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#define UUID "0198d2c4-a0f0-7c3e-9b1f-5a1122334455"
#define TIME "\"2026-11-23T10:15:30.201000001Z\""

static struct message_reader *reader;
static struct rpc_request request;
static struct call call;
static struct buffer out;

static int open_all(void **state)
{
    (void)state;
    rpc_request_init(&request);
    buffer_init(&call.request, REQUEST_BYTES_MAX);
    buffer_init(&call.answer, ANSWER_BYTES_MAX);
    buffer_init(&out, SESSION_WRITE_BYTES_MAX);
    return message_reader_open(&reader, SESSION_WRITE_BYTES_MAX) == STATUS_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    message_reader_close(reader);
    rpc_request_deinit(&request);
    buffer_deinit(&call.request);
    buffer_deinit(&call.answer);
    buffer_deinit(&out);
    return 0;
}

static int64_t the_time(void)
{
    int64_t time_ns = 0;
    assert_true(time_parse(TEXT("2026-11-23T10:15:30.201000001Z"), &time_ns));
    return time_ns;
}

/* Starts a call as the worker does: the request as text, then an empty answer. */
static enum prepared begin(const char *json)
{
    struct message message;
    struct failure failure;
    assert_int_equal(message_read(reader, text_of(json), &message, &failure), CODE_OK);
    enum prepared prepared = method_prepare(message.first, &request, &call, &failure);
    if (prepared == PREPARED_FAILURE) {
        fail_msg("%s: %s", json, failure.message);
    }
    call.code = CODE_OK;
    call.seq = 900;
    call.term = 12;
    call.time_ns = the_time();
    call.retry_after_ms = 0;
    buffer_clear(&call.answer);
    buffer_clear(&out);
    return prepared;
}

static void assert_out(const char *wanted)
{
    assert_false(out.failed);
    struct text text = {(const char *)out.data, out.size};
    if (!text_equal(text, text_of(wanted))) {
        fail_msg("\n%.*s\nwanted\n%s", (int)text.size, text.data, wanted);
    }
    const struct value *root = NULL;
    struct failure failure;
    struct reply reply;
    assert_int_equal(message_parse(reader, text, &root, &failure), CODE_OK);
    assert_true(reply_read(root, &reply));
}

/* The reply so far contains this text. */
static void assert_has(const char *part)
{
    assert_false(out.failed);
    if (memmem(out.data, out.size, part, strlen(part)) == NULL) {
        fail_msg("\n%.*s\nhas no\n%s", (int)out.size, (const char *)out.data, part);
    }
}

static struct outcome an_outcome(enum code code)
{
    struct outcome outcome = {.code = code,
                              .kind = COMMAND_PAYMENT,
                              .short_form = true,
                              .seq = 918274,
                              .term = 12,
                              .time_ns = the_time()};
    assert_true(uuid_parse(TEXT(UUID), &outcome.id));
    return outcome;
}

static void begin_payment(void)
{
    assert_int_equal(
        begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"payment.create\",\"params\":{"
              "\"id\":\"" UUID "\",\"debit\":\"alice\",\"credit\":\"shop\","
              "\"amount\":\"1999\"}}"),
        PREPARED_CALL);
}

/* ---- errors --------------------------------------------------------------------------------- */

static void failures_carry_code_param_and_id(void **state)
{
    (void)state;
    struct failure failure;
    buffer_clear(&out);
    failure_set(&failure, CODE_MALFORMED_JSON, NULL, "no (at byte 3)");
    render_failure(NULL, &failure, &out);
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
               "\"message\":\"no (at byte 3)\",\"data\":{\"code\":\"malformed_json\","
               "\"retryable\":false,\"recorded\":false}}}");
    begin_payment();
    failure_set(&failure, CODE_AMOUNT_ZERO, "legs[0].amount", NULL);
    render_failure(&request, &failure, &out);
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32602,"
               "\"message\":\"an amount is never zero\",\"data\":{\"code\":\"amount_zero\","
               "\"param\":\"legs[0].amount\",\"retryable\":false,\"recorded\":false}}}");
}

static void every_code_has_an_error_object(void **state)
{
    (void)state;
    uint32_t count = 0;
    const struct code_info *infos = code_table(&count);
    assert_true(count > 40);
    for (uint32_t i = 0; i < count; i++) {
        buffer_clear(&out);
        render_code(NULL, infos[i].code, 0, &out);
        const struct value *root = NULL;
        struct failure failure;
        struct reply reply;
        struct text text = {(const char *)out.data, out.size};
        assert_int_equal(message_parse(reader, text, &root, &failure), CODE_OK);
        assert_true(reply_read(root, &reply));
        assert_true(text_equal(reply.code, text_of(infos[i].name)));
        assert_true(text_equal(reply.message, text_of(infos[i].text)));
        assert_int_equal(reply.rpc_number, infos[i].rpc_number);
        assert_int_equal(reply.retryable, infos[i].retryable == YES);
        assert_int_equal(reply.recorded, infos[i].recorded);
        assert_int_equal(reply.retry_after_ms,
                         infos[i].code == CODE_OVERLOADED ? REQUEST_RETRY_AFTER_MS : 0);
    }
}

static void calls_that_failed_are_errors(void **state)
{
    (void)state;
    begin_payment();
    call.code = CODE_OVERLOADED;
    call.retry_after_ms = 250;
    assert_false(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32014,"
               "\"message\":\"too many requests in flight\",\"data\":{\"code\":\"overloaded\","
               "\"retryable\":true,\"recorded\":false,\"retry_after_ms\":250}}}");
    begin_payment();
    call.code = CODE_UNKNOWN;
    assert_false(render_answer(&request, &call, &out));
    assert_has("\"recorded\":null");
    begin_payment();
    call.code = CODE_BATCH_TOO_LARGE;
    assert_false(render_answer(&request, &call, &out));
    assert_has("\"param\":\"items\"");
}

static void damaged_answers_are_unknown_or_internal(void **state)
{
    (void)state;
    begin_payment();
    write_bytes(&call.answer, "\xFF\xFF", 2);
    assert_false(render_answer(&request, &call, &out));
    assert_has("\"unknown\"");
    begin_payment();
    assert_false(render_answer(&request, &call, &out)); /* no outcome at all */
    assert_has("\"unknown\"");
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ledger.totals\"}");
    assert_false(render_answer(&request, &call, &out));
    assert_has("\"internal\"");
}

static void ids_are_echoed_as_sent(void **state)
{
    (void)state;
    static const char *const ids[] = {"0", "-0", "9007199254740992", "\"\"",
                                      "\"a\\\"\\\\b\xC3\xA9\""};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        char json[256];
        (void)snprintf(json, sizeof json,
                       "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"ledger.totals\"}", ids[i]);
        begin(json);
        render_code(&request, CODE_NO_LEADER, 0, &out);
        char wanted[256];
        (void)snprintf(wanted, sizeof wanted, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\"", ids[i]);
        assert_memory_equal(out.data, wanted, strlen(wanted));
    }
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static void posted_payments_show_balances(void **state)
{
    (void)state;
    begin_payment();
    struct outcome outcome = an_outcome(CODE_OK);
    outcome.rows_count = 2;
    outcome.rows[0] = (struct outcome_row){
        .account = TEXT("alice"), .posted = -80001, .has_rest = true, .held = 5, .available = -6};
    outcome.rows[1] = (struct outcome_row){
        .account = TEXT("shop"), .posted = 1999, .has_rest = true, .unlimited = true};
    outcome_write(&call.answer, &outcome);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"id\":\"" UUID
               "\",\"status\":\"posted\",\"seq\":918274,\"term\":12,\"time\":" TIME
               ",\"replayed\":false,\"balances\":[{\"account\":\"alice\",\"posted\":\"-80001\","
               "\"held\":\"5\",\"available\":\"-6\"},{\"account\":\"shop\",\"posted\":\"1999\","
               "\"held\":\"0\",\"available\":null}]}}");
}

static void replays_show_posted_balances_only(void **state)
{
    (void)state;
    begin_payment();
    struct outcome outcome = an_outcome(CODE_OK);
    outcome.replayed = true;
    outcome.rows_count = 1;
    outcome.rows[0] = (struct outcome_row){.account = TEXT("alice"), .posted = 3};
    outcome_write(&call.answer, &outcome);
    assert_true(render_answer(&request, &call, &out));
    assert_has("\"replayed\":true");
    assert_has("[{\"account\":\"alice\",\"posted\":\"3\"}]");
}

static void recorded_refusals_show_their_seq(void **state)
{
    (void)state;
    begin_payment();
    struct outcome outcome = an_outcome(CODE_INSUFFICIENT_FUNDS);
    outcome.field = FIELD_DEBIT;
    outcome.subject = TEXT("alice");
    outcome.available = 500;
    outcome.needed = 1999;
    outcome.currency = TEXT("EUR");
    outcome_write(&call.answer, &outcome);
    assert_false(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32010,"
               "\"message\":\"alice has 500 available, 1999 needed\",\"data\":{"
               "\"code\":\"insufficient_funds\",\"param\":\"debit\",\"retryable\":false,"
               "\"recorded\":true,\"account\":\"alice\",\"currency\":\"EUR\","
               "\"available\":\"500\",\"needed\":\"1999\",\"seq\":918274,\"term\":12,\"time\":" TIME
               ",\"replayed\":false}}}");
}

static void mismatches_show_the_state(void **state)
{
    (void)state;
    begin_payment();
    struct outcome outcome = an_outcome(CODE_IDEMPOTENCY_MISMATCH);
    outcome.seq = 0;
    outcome.term = 0;
    outcome.time_ns = 0;
    outcome.field = FIELD_AMOUNT;
    outcome_write(&call.answer, &outcome);
    assert_false(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32011,"
               "\"message\":\"the id was used before with other fields\",\"data\":{"
               "\"code\":\"idempotency_mismatch\",\"param\":\"amount\",\"retryable\":false,"
               "\"recorded\":false,\"seq\":900,\"term\":12,\"time\":" TIME "}}}");
}

static struct account_view an_account(void)
{
    return (struct account_view){.id = TEXT("alice"),
                                 .currency = TEXT("EUR"),
                                 .scale = 2,
                                 .overdraft_limit = 100,
                                 .posted = 7,
                                 .held = 1,
                                 .available = 106,
                                 .debits_posted = 3,
                                 .credits_posted = 10,
                                 .debits_held = 1,
                                 .entries = 2,
                                 .seq = 5,
                                 .term = 1,
                                 .time_ns = the_time()};
}

#define ACCOUNT                                                                                    \
    "\"id\":\"alice\",\"currency\":\"EUR\",\"scale\":2,\"normal\":\"credit\","                     \
    "\"overdraft\":\"100\",\"posted\":\"7\",\"held\":\"1\",\"available\":\"106\","                 \
    "\"debits_posted\":\"3\",\"credits_posted\":\"10\",\"debits_held\":\"1\","                     \
    "\"credits_held\":\"0\",\"entries\":2,\"opened_seq\":5,\"opened_at\":" TIME

static void opened_accounts_and_currencies_show_themselves(void **state)
{
    (void)state;
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"account.open\",\"params\":{"
          "\"id\":\"alice\",\"currency\":\"EUR\",\"overdraft\":\"100\"}}");
    struct outcome outcome = an_outcome(CODE_OK);
    struct account_view view = an_account();
    outcome.kind = COMMAND_ACCOUNT_OPEN;
    outcome_write(&call.answer, &outcome);
    account_view_write(&call.answer, &view);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{" ACCOUNT
               ",\"seq\":918274,\"term\":12,\"time\":" TIME ",\"replayed\":false}}");
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"currency.create\",\"params\":{"
          "\"code\":\"EUR\",\"scale\":2}}");
    struct currency_view currency = {.code = TEXT("EUR"), .scale = 2, .seq = 1};
    outcome.kind = COMMAND_CURRENCY_CREATE;
    outcome.replayed = true;
    outcome_write(&call.answer, &outcome);
    currency_view_write(&call.answer, &currency);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"code\":\"EUR\",\"scale\":2,"
               "\"seq\":918274,\"term\":12,\"time\":" TIME ",\"replayed\":true}}");
}

static void batches_merge_outcomes_and_refused_items(void **state)
{
    (void)state;
    assert_int_equal(
        begin("{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"payment.batch\",\"params\":{"
              "\"mode\":\"independent\",\"items\":[7,{\"id\":\"" UUID "\",\"debit\":\"a\","
              "\"credit\":\"b\",\"amount\":\"1\"},{\"id\":\"" UUID "\",\"legs\":[{"
              "\"debit\":\"a\",\"credit\":\"b\",\"amount\":1}]},{\"id\":\"" UUID
              "\",\"legs\":[{\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"}]}]}}"),
        PREPARED_CALL);
    struct outcome outcome = an_outcome(CODE_OK);
    outcome_write(&call.answer, &outcome);
    outcome = an_outcome(CODE_SAME_ACCOUNT);
    outcome.short_form = false;
    outcome.field = FIELD_CREDIT;
    outcome_write(&call.answer, &outcome);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"result\":{\"results\":["
               "{\"error\":{\"code\":-32602,\"message\":\"must be an object\",\"data\":{"
               "\"code\":\"field_invalid\",\"param\":\"items[0]\",\"retryable\":false,"
               "\"recorded\":false}}},"
               "{\"result\":{\"id\":\"" UUID "\",\"status\":\"posted\",\"seq\":918274,\"term\":12,"
               "\"time\":" TIME ",\"replayed\":false,\"balances\":[]}},"
               "{\"error\":{\"code\":-32602,\"message\":\"an amount is a string of minor units\","
               "\"data\":{\"code\":\"amount_not_string\",\"param\":\"items[2].legs[0].amount\","
               "\"retryable\":false,\"recorded\":false}}},"
               "{\"error\":{\"code\":-32010,\"message\":\"debit and credit are the same account\","
               "\"data\":{\"code\":\"same_account\",\"param\":\"items[3].legs[0].credit\","
               "\"retryable\":false,\"recorded\":true,\"seq\":918274,\"term\":12,\"time\":" TIME
               ",\"replayed\":false}}}],\"seq\":900,\"term\":12,\"time\":" TIME "}}");
    /* Too few outcomes: nobody may say that the rest was not executed. */
    begin("{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"payment.batch\",\"params\":{"
          "\"mode\":\"atomic\",\"items\":[{\"id\":\"" UUID "\",\"debit\":\"a\",\"credit\":\"b\","
          "\"amount\":\"1\"}]}}");
    assert_false(render_answer(&request, &call, &out));
    assert_has("\"unknown\"");
}

static void batches_of_bad_items_are_answered_at_once(void **state)
{
    (void)state;
    assert_int_equal(begin("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"payment.batch\",\"params\":{"
                           "\"mode\":\"independent\",\"items\":[7]}}"),
                     PREPARED_IMMEDIATE);
    render_immediate(&request, NULL, &out);
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"results\":[{\"error\":{"
               "\"code\":-32602,\"message\":\"must be an object\",\"data\":{"
               "\"code\":\"field_invalid\",\"param\":\"items[0]\",\"retryable\":false,"
               "\"recorded\":false}}}]}}");
}

/* ---- reads ---------------------------------------------------------------------------------- */

static struct answer_head a_head(uint32_t count)
{
    return (struct answer_head){
        .code = CODE_OK, .seq = 42, .term = 3, .time_ns = the_time(), .count = count};
}

#define STATE "\"seq\":42,\"term\":3,\"time\":" TIME

static void accounts_are_shown(void **state)
{
    (void)state;
    begin(
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"account.get\",\"params\":{\"id\":\"alice\"}}");
    struct answer_head head = a_head(1);
    struct account_view view = an_account();
    answer_head_write(&call.answer, &head);
    account_view_write(&call.answer, &view);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{" ACCOUNT "," STATE "}}");
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"account.list\"}");
    head.cursor = 17;
    view.overdraft_kind = OVERDRAFT_UNLIMITED;
    view.overdraft_limit = 0;
    answer_head_write(&call.answer, &head);
    account_view_write(&call.answer, &view);
    assert_true(render_answer(&request, &call, &out));
    assert_has("\"overdraft\":\"unlimited\"");
    assert_has("\"available\":null");
    assert_has("],\"cursor\":\"17\"," STATE "}}");
}

static void absent_objects_show_the_state(void **state)
{
    (void)state;
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"payment.list\",\"params\":{"
          "\"account\":\"alice\"}}");
    struct answer_head head = a_head(0);
    head.code = CODE_NOT_FOUND;
    answer_head_write(&call.answer, &head);
    assert_false(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32012,"
               "\"message\":\"there is no such account: alice\",\"data\":{\"code\":\"not_found\","
               "\"param\":\"account\",\"retryable\":false,\"recorded\":false," STATE "}}}");
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"account.list\"}");
    head.code = CODE_CURSOR_INVALID;
    answer_head_write(&call.answer, &head);
    assert_false(render_answer(&request, &call, &out));
    assert_has("\"param\":\"cursor\"");
}

static void begin_payment_get(void)
{
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"payment.get\",\"params\":{\"id\":\"" UUID
          "\"}}");
    struct answer_head head = a_head(1);
    answer_head_write(&call.answer, &head);
}

static void payments_show_legs_and_their_own_seq(void **state)
{
    (void)state;
    begin_payment_get();
    static struct payment_view view;
    view = (struct payment_view){.outcome = an_outcome(CODE_OK),
                                 .has_valid_until = true,
                                 .valid_until_ns = the_time(),
                                 .has_effective_at = true,
                                 .effective_at_ns = the_time(),
                                 .has_reference = true,
                                 .reference = TEXT("inv \"1\""),
                                 .has_metadata = true,
                                 .metadata = TEXT("{ \"a\" : 1.50 }"),
                                 .legs_count = 1};
    view.outcome.rows_count = 1;
    view.outcome.rows[0] = (struct outcome_row){.account = TEXT("a"), .posted = -5};
    view.legs[0] = (struct payment_view_leg){.debit = TEXT("a"),
                                             .credit = TEXT("b"),
                                             .currency = TEXT("EUR"),
                                             .amount = 5,
                                             .has_entries = true,
                                             .debit_balance = -5,
                                             .credit_balance = 5,
                                             .debit_entry = 1,
                                             .credit_entry = 2};
    payment_view_write(&call.answer, &view);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"id\":\"" UUID
               "\",\"status\":\"posted\",\"seq\":918274,\"term\":12,\"time\":" TIME
               ",\"legs\":[{\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"5\","
               "\"currency\":\"EUR\",\"debit_balance\":\"-5\",\"credit_balance\":\"5\","
               "\"debit_entry\":1,\"credit_entry\":2}],"
               "\"balances\":[{\"account\":\"a\",\"posted\":\"-5\"}],\"valid_until\":" TIME
               ",\"effective_at\":" TIME
               ",\"reference\":\"inv \\\"1\\\"\",\"metadata\":{ \"a\" : 1.50 }}}");
}

static void refused_payments_show_their_error(void **state)
{
    (void)state;
    begin_payment_get();
    static struct payment_view view;
    view = (struct payment_view){.outcome = an_outcome(CODE_ACCOUNT_NOT_FOUND), .legs_count = 1};
    view.outcome.field = FIELD_CREDIT;
    view.outcome.subject = TEXT("b");
    view.legs[0] = (struct payment_view_leg){.debit = TEXT("a"), .credit = TEXT("b"), .amount = 5};
    payment_view_write(&call.answer, &view);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"id\":\"" UUID
               "\",\"status\":\"refused\",\"seq\":918274,\"term\":12,\"time\":" TIME
               ",\"legs\":[{\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"5\"}],"
               "\"error\":{\"code\":-32010,\"message\":\"there is no such account: b\","
               "\"data\":{\"code\":\"account_not_found\",\"param\":\"credit\","
               "\"retryable\":false,\"recorded\":true,\"seq\":918274,\"term\":12,\"time\":" TIME
               ",\"replayed\":false}}}}");
}

static void totals_and_digests_are_shown(void **state)
{
    (void)state;
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ledger.totals\"}");
    struct answer_head head = a_head(1);
    struct currency_view view = {.code = TEXT("EUR"),
                                 .scale = 2,
                                 .debits_posted = AMOUNT_LIMIT - 1,
                                 .credits_posted = AMOUNT_LIMIT - 1,
                                 .accounts_count = 3};
    answer_head_write(&call.answer, &head);
    currency_view_write(&call.answer, &view);
    assert_true(render_answer(&request, &call, &out));
    assert_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"totals\":[{\"currency\":\"EUR\","
               "\"scale\":2,\"debits_posted\":\"85070591730234615865843651857942052863\","
               "\"credits_posted\":\"85070591730234615865843651857942052863\","
               "\"debits_held\":\"0\",\"credits_held\":\"0\",\"accounts\":3}]," STATE "}}");
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ledger.digest\"}");
    head = a_head(0);
    head.digest.bytes[0] = 0xAB;
    answer_head_write(&call.answer, &head);
    assert_true(render_answer(&request, &call, &out));
    assert_has("{\"digest\":\"ab0000");
    begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ledger.info\"}");
    head.payments_count = 9;
    answer_head_write(&call.answer, &head);
    assert_true(render_answer(&request, &call, &out));
    assert_has("\"accounts\":0,\"payments\":9,\"curr");
}

static void some_status(void *data, struct cluster_status *status)
{
    (void)data;
    *status = (struct cluster_status){
        .cluster = "demo", .node = 2, .leader = 0, .term = 4, .nodes_count = 1};
    (void)snprintf(status->ready_reason, sizeof status->ready_reason, "no leader");
    status->nodes[0] = (struct cluster_node){
        .id = 2, .role = "candidate", .reachable = true, .clock_offset_ns = -5};
    status->nodes[0].counters[METRIC_ELECTIONS] = 3;
}

static void status_is_shown_at_once(void **state)
{
    (void)state;
    const struct gateway_backend backend = {.status = some_status};
    assert_int_equal(begin("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"cluster.status\"}"),
                     PREPARED_IMMEDIATE);
    render_immediate(&request, &backend, &out);
    static const char *const parts[] = {
        "\"cluster\":\"demo\"",     "\"node\":2,\"leader\":null,\"term\":4,\"ready\":false,",
        "\"reason\":\"no leader\"", "\"role\":\"candidate\"",
        "\"clock_offset_ns\":-5",   "\"elections\":3",
        "\"io_errors\":0",          "}],\"counters\":{",
    };
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        assert_has(parts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_carry_code_param_and_id),
        cmocka_unit_test(every_code_has_an_error_object),
        cmocka_unit_test(calls_that_failed_are_errors),
        cmocka_unit_test(damaged_answers_are_unknown_or_internal),
        cmocka_unit_test(ids_are_echoed_as_sent),
        cmocka_unit_test(posted_payments_show_balances),
        cmocka_unit_test(replays_show_posted_balances_only),
        cmocka_unit_test(recorded_refusals_show_their_seq),
        cmocka_unit_test(mismatches_show_the_state),
        cmocka_unit_test(opened_accounts_and_currencies_show_themselves),
        cmocka_unit_test(batches_merge_outcomes_and_refused_items),
        cmocka_unit_test(batches_of_bad_items_are_answered_at_once),
        cmocka_unit_test(accounts_are_shown),
        cmocka_unit_test(absent_objects_show_the_state),
        cmocka_unit_test(payments_show_legs_and_their_own_seq),
        cmocka_unit_test(refused_payments_show_their_error),
        cmocka_unit_test(totals_and_digests_are_shown),
        cmocka_unit_test(status_is_shown_at_once),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
