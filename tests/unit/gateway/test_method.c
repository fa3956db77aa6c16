#include "gateway/method.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#define UUID  "\"0198d2c4-a0f0-7c3e-9b1f-5a1122334455\""
#define SHORT "\"id\":" UUID ",\"debit\":\"alice\",\"credit\":\"shop\",\"amount\":\"1999\""
#define BASE  "\"id\":" UUID

static struct message_reader *reader;
static struct rpc_request request;
static struct call call;
static struct failure failure;

static int open_all(void **state)
{
    (void)state;
    rpc_request_init(&request);
    buffer_init(&call.request, REQUEST_BYTES_MAX);
    return message_reader_open(&reader, MESSAGE_BYTES_MAX) == STATUS_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    message_reader_close(reader);
    rpc_request_deinit(&request);
    buffer_deinit(&call.request);
    return 0;
}

static enum prepared prepare_text(struct text text)
{
    struct message message;
    failure = (struct failure){.code = CODE_OK};
    assert_int_equal(message_read(reader, text, &message, &failure), CODE_OK);
    return method_prepare(message.first, &request, &call, &failure);
}

/* params: the inside of the object, printf style. */
static enum prepared prepare(const char *method, const char *params)
{
    struct buffer json;
    buffer_init(&json, MESSAGE_BYTES_MAX);
    write_format(&json, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{%s}}", method,
                 params);
    assert_false(json.failed);
    enum prepared prepared = prepare_text((struct text){(const char *)json.data, json.size});
    buffer_deinit(&json);
    return prepared;
}

static void expect_refused(const char *method, const char *params, enum code code,
                           const char *param)
{
    enum prepared prepared = prepare(method, params);
    if (prepared != PREPARED_FAILURE || failure.code != code || strcmp(failure.param, param) != 0) {
        fail_msg("%s {%s}: prepared %d, code %d '%s', wanted %d '%s'", method, params,
                 (int)prepared, (int)failure.code, failure.param, (int)code, param);
    }
}

static void expect_call(const char *method, const char *params, enum call_kind kind)
{
    enum prepared prepared = prepare(method, params);
    if (prepared != PREPARED_CALL || call.kind != kind) {
        fail_msg("%s {%s}: prepared %d, code %d '%s' %s", method, params, (int)prepared,
                 (int)failure.code, failure.param, failure.message);
    }
}

/* Reads the call's request form; the commands' texts stay borrowed from it. */
static struct reader request_form(enum request_mode mode, uint32_t count)
{
    struct reader form = reader_of(call.request.data, call.request.size);
    enum request_mode read_mode;
    uint32_t read_count;
    check_ok(request_read_head(&form, &read_mode, &read_count));
    assert_int_equal(read_mode, mode);
    assert_int_equal(read_count, count);
    return form;
}

static void assert_text(struct text text, const char *wanted)
{
    if (!text_equal(text, text_of(wanted))) {
        fail_msg("'%.*s', wanted '%s'", (int)text.size, text.data, wanted);
    }
}

/* ---- envelopes and the table ---------------------------------------------------------------- */

static void unknown_methods_are_refused(void **state)
{
    (void)state;
    expect_refused("payment.steal", "", CODE_METHOD_NOT_FOUND, "");
    expect_refused("Payment.create", "", CODE_METHOD_NOT_FOUND, "");
    expect_refused("", "", CODE_METHOD_NOT_FOUND, "");
    assert_false(request.has_method);
    enum method_kind kind;
    for (int i = 0; i < METHOD_COUNT; i++) {
        assert_true(method_find(text_of(method_name((enum method_kind)i)), &kind));
        assert_int_equal(kind, i);
    }
}

static void notifications_are_not_executed(void **state)
{
    (void)state;
    assert_int_equal(prepare_text(TEXT("{\"jsonrpc\":\"2.0\",\"method\":\"payment.create\"}")),
                     PREPARED_NOTIFICATION);
    assert_int_equal(prepare_text(TEXT("{\"method\":\"payment.create\"}")), PREPARED_FAILURE);
    assert_int_equal(failure.code, CODE_INVALID_REQUEST);
}

static void absent_params_are_empty(void **state)
{
    (void)state;
    assert_int_equal(
        prepare_text(TEXT("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.totals\"}")),
        PREPARED_CALL);
    assert_int_equal(
        prepare_text(TEXT("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"payment.get\"}")),
        PREPARED_FAILURE);
    assert_int_equal(failure.code, CODE_MISSING_FIELD);
    assert_string_equal(failure.param, "id");
}

/* ---- currencies and accounts ---------------------------------------------------------------- */

static void currencies_are_created(void **state)
{
    (void)state;
    expect_call("currency.create", "\"code\":\"EUR\",\"scale\":2", CALL_EXECUTE);
    struct reader form = request_form(REQUEST_SINGLE, 1);
    struct command command;
    check_ok(command_read(&form, &command));
    assert_int_equal(command.kind, COMMAND_CURRENCY_CREATE);
    assert_text(command.currency_create.code, "EUR");
    assert_int_equal(command.currency_create.scale, 2);
    expect_refused("currency.create", "\"code\":\"eur\",\"scale\":2", CODE_ID_INVALID, "code");
    expect_refused("currency.create", "\"code\":7,\"scale\":2", CODE_ID_INVALID, "code");
    expect_refused("currency.create", "\"code\":\"EUR\"", CODE_MISSING_FIELD, "scale");
    static const char *const scales[] = {"19", "-1", "2.0", "\"2\"", "null", "1e1", "true"};
    for (size_t i = 0; i < ARRAY_COUNT(scales); i++) {
        char params[64];
        (void)snprintf(params, sizeof params, "\"code\":\"EUR\",\"scale\":%s", scales[i]);
        expect_refused("currency.create", params, CODE_FIELD_INVALID, "scale");
    }
}

static void accounts_are_opened(void **state)
{
    (void)state;
    expect_call("account.open", "\"id\":\"alice\",\"currency\":\"EUR\"", CALL_EXECUTE);
    struct reader form = request_form(REQUEST_SINGLE, 1);
    struct command command;
    check_ok(command_read(&form, &command));
    assert_text(command.account_open.id, "alice");
    assert_false(command.account_open.debit_normal);
    assert_int_equal(command.account_open.overdraft_kind, OVERDRAFT_LIMIT);
    assert_true(command.account_open.overdraft_limit == 0);
    expect_call("account.open",
                "\"id\":\"a\",\"currency\":\"EUR\",\"normal\":\"debit\",\"overdraft\":\"500\"",
                CALL_EXECUTE);
    form = request_form(REQUEST_SINGLE, 1);
    check_ok(command_read(&form, &command));
    assert_true(command.account_open.debit_normal);
    assert_true(command.account_open.overdraft_limit == 500);
    expect_call("account.open", "\"id\":\"a\",\"currency\":\"EUR\",\"overdraft\":\"unlimited\"",
                CALL_EXECUTE);
    form = request_form(REQUEST_SINGLE, 1);
    check_ok(command_read(&form, &command));
    assert_int_equal(command.account_open.overdraft_kind, OVERDRAFT_UNLIMITED);
    expect_call("account.open", "\"id\":\"a\",\"currency\":\"EUR\",\"overdraft\":\"0\"",
                CALL_EXECUTE);
}

static void wrong_accounts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        enum code code;
        const char *param;
    } cases[] = {
        {"\"currency\":\"EUR\"", CODE_MISSING_FIELD, "id"},
        {"\"id\":\"a b\",\"currency\":\"EUR\"", CODE_ID_INVALID, "id"},
        {"\"id\":\"\",\"currency\":\"EUR\"", CODE_ID_INVALID, "id"},
        {"\"id\":\"a\",\"currency\":\"E\"", CODE_ID_INVALID, "currency"},
        {"\"id\":\"a\",\"currency\":\"EUR\",\"normal\":\"left\"", CODE_FIELD_INVALID, "normal"},
        {"\"id\":\"a\",\"currency\":\"EUR\",\"normal\":null", CODE_FIELD_INVALID, "normal"},
        {"\"id\":\"a\",\"currency\":\"EUR\",\"overdraft\":0", CODE_AMOUNT_NOT_STRING, "overdraft"},
        {"\"id\":\"a\",\"currency\":\"EUR\",\"overdraft\":\"-1\"", CODE_AMOUNT_INVALID,
         "overdraft"},
        {"\"id\":\"a\",\"currency\":\"EUR\",\"overdraft\":\"00\"", CODE_AMOUNT_INVALID,
         "overdraft"},
        {"\"id\":\"a\",\"currency\":\"EUR\","
         "\"overdraft\":\"85070591730234615865843651857942052864\"",
         CODE_AMOUNT_OUT_OF_RANGE, "overdraft"},
        {"\"id\":\"a\",\"currency\":\"EUR\",\"frozen\":true", CODE_UNKNOWN_FIELD, "frozen"},
        {"\"id\":\"a\",\"currency\":\"EUR\",\"Normal\":\"debit\"", CODE_UNKNOWN_FIELD, "Normal"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        expect_refused("account.open", cases[i].params, cases[i].code, cases[i].param);
    }
}

/* ---- payments ------------------------------------------------------------------------------- */

static void short_payments_become_one_leg(void **state)
{
    (void)state;
    expect_call("payment.create", SHORT ",\"currency\":\"EUR\"", CALL_EXECUTE);
    struct reader form = request_form(REQUEST_SINGLE, 1);
    struct command command;
    check_ok(command_read(&form, &command));
    assert_int_equal(command.kind, COMMAND_PAYMENT);
    assert_true(command.payment.short_form);
    assert_int_equal(command.payment.legs_count, 1);
    assert_text(command.payment.legs[0].debit, "alice");
    assert_text(command.payment.legs[0].credit, "shop");
    assert_text(command.payment.legs[0].currency, "EUR");
    assert_true(command.payment.legs[0].amount == 1999);
    assert_false(command.payment.has_valid_until || command.payment.has_effective_at ||
                 command.payment.has_reference || command.payment.has_metadata);
    assert_int_equal(reader_left(&form), 0);
}

static void long_payments_keep_all_fields(void **state)
{
    (void)state;
    expect_call("payment.create",
                BASE ",\"legs\":[{\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"},"
                     "{\"debit\":\"c\",\"credit\":\"d\","
                     "\"amount\":\"85070591730234615865843651857942052863\","
                     "\"currency\":\"USD\"}],"
                     "\"valid_until\":\"2026-11-23T10:15:30Z\","
                     "\"effective_at\":\"1970-01-01T00:00:00.000000001Z\","
                     "\"reference\":\"inv \\u00e9\",\"metadata\":{ \"n\" : 1.50, \"a\":[] }",
                CALL_EXECUTE);
    struct reader form = request_form(REQUEST_SINGLE, 1);
    struct command command;
    check_ok(command_read(&form, &command));
    const struct payment *payment = &command.payment;
    assert_false(payment->short_form);
    assert_int_equal(payment->legs_count, 2);
    assert_text(payment->legs[0].currency, "");
    assert_text(payment->legs[1].currency, "USD");
    assert_true(payment->legs[1].amount == AMOUNT_LIMIT - 1);
    assert_true(payment->has_valid_until && payment->has_effective_at);
    assert_true(payment->effective_at_ns == 1);
    assert_text(payment->reference, "inv \xC3\xA9");
    assert_text(payment->metadata, "{ \"n\" : 1.50, \"a\":[] }");
}

static void amounts_are_strict_strings(void **state)
{
    (void)state;
    static const struct {
        const char *amount;
        enum code code;
    } cases[] = {
        {"1999", CODE_AMOUNT_NOT_STRING},
        {"1e3", CODE_AMOUNT_NOT_STRING},
        {"null", CODE_AMOUNT_NOT_STRING},
        {"\"0\"", CODE_AMOUNT_ZERO},
        {"\"\"", CODE_AMOUNT_INVALID},
        {"\"00\"", CODE_AMOUNT_INVALID},
        {"\"01\"", CODE_AMOUNT_INVALID},
        {"\"-5\"", CODE_AMOUNT_INVALID},
        {"\"+5\"", CODE_AMOUNT_INVALID},
        {"\"1.0\"", CODE_AMOUNT_INVALID},
        {"\"1e3\"", CODE_AMOUNT_INVALID},
        {"\" 1\"", CODE_AMOUNT_INVALID},
        {"\"1 \"", CODE_AMOUNT_INVALID},
        {"\"0x10\"", CODE_AMOUNT_INVALID},
        {"\"\\u0661\"", CODE_AMOUNT_INVALID},
        {"\"340282366920938463463374607431768211456\"", CODE_AMOUNT_INVALID},
        {"\"85070591730234615865843651857942052864\"", CODE_AMOUNT_OUT_OF_RANGE},
        {"\"99999999999999999999999999999999999999\"", CODE_AMOUNT_OUT_OF_RANGE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char params[256];
        (void)snprintf(params, sizeof params,
                       BASE ",\"debit\":\"a\",\"credit\":\"b\",\"amount\":%s", cases[i].amount);
        expect_refused("payment.create", params, cases[i].code, "amount");
    }
    expect_call("payment.create", BASE ",\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"\\u0031\"",
                CALL_EXECUTE);
}

static void wrong_payments_are_refused_by_field(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        enum code code;
        const char *param;
    } cases[] = {
        {"", CODE_MISSING_FIELD, "id"},
        {BASE, CODE_MISSING_FIELD, "debit"},
        {BASE ",\"debit\":\"a\",\"credit\":\"b\"", CODE_MISSING_FIELD, "amount"},
        {SHORT ",\"debits\":1", CODE_UNKNOWN_FIELD, "debits"},
        {SHORT ",\"min_seq\":1", CODE_UNKNOWN_FIELD, "min_seq"},
        {"\"id\":\"7\",\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"", CODE_ID_INVALID, "id"},
        {"\"id\":7,\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"", CODE_ID_INVALID, "id"},
        {BASE ",\"debit\":\"a b\",\"credit\":\"b\",\"amount\":\"1\"", CODE_ID_INVALID, "debit"},
        {BASE ",\"debit\":\"a\",\"credit\":null,\"amount\":\"1\"", CODE_ID_INVALID, "credit"},
        {SHORT ",\"currency\":\"\"", CODE_ID_INVALID, "currency"},
        {SHORT ",\"legs\":[]", CODE_FIELDS_EXCLUSIVE, "legs"},
        {BASE ",\"legs\":[{}],\"amount\":\"1\"", CODE_FIELDS_EXCLUSIVE, "legs"},
        {BASE ",\"legs\":[{}],\"currency\":\"EUR\"", CODE_FIELDS_EXCLUSIVE, "currency"},
        {BASE ",\"legs\":{}", CODE_FIELD_INVALID, "legs"},
        {BASE ",\"legs\":[]", CODE_TOO_MANY_LEGS, "legs"},
        {BASE ",\"legs\":[7]", CODE_FIELD_INVALID, "legs[0]"},
        {BASE ",\"legs\":[{\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"},"
              "{\"debit\":\"a\",\"credit\":\"b\"}]",
         CODE_MISSING_FIELD, "legs[1].amount"},
        {BASE ",\"legs\":[{\"debit\":\"a\",\"credit\":\"b\",\"amount\":5}]", CODE_AMOUNT_NOT_STRING,
         "legs[0].amount"},
        {BASE ",\"legs\":[{\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"5\",\"id\":1}]",
         CODE_UNKNOWN_FIELD, "legs[0].id"},
        {SHORT ",\"valid_until\":\"2026-11-23T10:15:30+01:00\"", CODE_TIMESTAMP_INVALID,
         "valid_until"},
        {SHORT ",\"valid_until\":1764000000", CODE_TIMESTAMP_INVALID, "valid_until"},
        {SHORT ",\"effective_at\":\"2026-02-30T00:00:00Z\"", CODE_TIMESTAMP_INVALID,
         "effective_at"},
        {SHORT ",\"effective_at\":\"2026-11-23T10:15:30.0000000001Z\"", CODE_TIMESTAMP_INVALID,
         "effective_at"},
        {SHORT ",\"reference\":\"\"", CODE_FIELD_INVALID, "reference"},
        {SHORT ",\"reference\":7", CODE_FIELD_INVALID, "reference"},
        {SHORT ",\"metadata\":\"x\"", CODE_FIELD_INVALID, "metadata"},
        {SHORT ",\"metadata\":[]", CODE_FIELD_INVALID, "metadata"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        expect_refused("payment.create", cases[i].params, cases[i].code, cases[i].param);
    }
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    struct buffer params;
    buffer_init(&params, 64 * 1024);
    for (int legs = 64; legs <= 65; legs++) {
        buffer_clear(&params);
        write_format(&params, BASE ",\"legs\":[");
        for (int i = 0; i < legs; i++) {
            write_format(&params, "%s{\"debit\":\"a\",\"credit\":\"b\",\"amount\":\"1\"}",
                         i > 0 ? "," : "");
        }
        write_format(&params, "]%c", 0);
        if (legs == LEGS_MAX) {
            expect_call("payment.create", (const char *)params.data, CALL_EXECUTE);
        } else {
            expect_refused("payment.create", (const char *)params.data, CODE_TOO_MANY_LEGS, "legs");
        }
    }
    for (int size = METADATA_BYTES_MAX; size <= METADATA_BYTES_MAX + 1; size++) {
        buffer_clear(&params);
        write_format(&params, SHORT ",\"metadata\":{\"x\":\"%0*d\"}%c", size - 8, 0, 0);
        if (size == METADATA_BYTES_MAX) {
            expect_call("payment.create", (const char *)params.data, CALL_EXECUTE);
        } else {
            expect_refused("payment.create", (const char *)params.data, CODE_METADATA_TOO_LARGE,
                           "metadata");
        }
    }
    for (int size = REFERENCE_BYTES_MAX; size <= REFERENCE_BYTES_MAX + 1; size++) {
        buffer_clear(&params);
        write_format(&params, SHORT ",\"reference\":\"%0*d\"%c", size, 0, 0);
        if (size == REFERENCE_BYTES_MAX) {
            expect_call("payment.create", (const char *)params.data, CALL_EXECUTE);
        } else {
            expect_refused("payment.create", (const char *)params.data, CODE_FIELD_INVALID,
                           "reference");
        }
    }
    buffer_deinit(&params);
}

/* ---- batches -------------------------------------------------------------------------------- */

#define GOOD "{" SHORT "}"
#define BAD  "{" BASE ",\"legs\":[{\"debit\":\"a b\",\"credit\":\"b\",\"amount\":\"1\"}]}"

static void atomic_batches_are_all_or_nothing(void **state)
{
    (void)state;
    expect_call("payment.batch", "\"mode\":\"atomic\",\"items\":[" GOOD "," GOOD "]", CALL_EXECUTE);
    struct reader form = request_form(REQUEST_ATOMIC, 2);
    struct command command;
    check_ok(command_read(&form, &command));
    check_ok(command_read(&form, &command));
    assert_int_equal(reader_left(&form), 0);
    expect_refused("payment.batch", "\"mode\":\"atomic\",\"items\":[" GOOD "," BAD "]",
                   CODE_ID_INVALID, "items[1].legs[0].debit");
    expect_refused("payment.batch", "\"mode\":\"atomic\",\"items\":[" GOOD ",7]",
                   CODE_FIELD_INVALID, "items[1]");
}

static void independent_batches_lose_only_bad_items(void **state)
{
    (void)state;
    expect_call("payment.batch", "\"mode\":\"independent\",\"items\":[" BAD "," GOOD ",7," GOOD "]",
                CALL_EXECUTE);
    assert_int_equal(request.items_count, 4);
    assert_int_equal(request.refused_count, 2);
    struct reader form = request_form(REQUEST_INDEPENDENT, 2);
    struct command command;
    check_ok(command_read(&form, &command));
    check_ok(command_read(&form, &command));
    assert_int_equal(reader_left(&form), 0);
    assert_int_equal(prepare("payment.batch", "\"mode\":\"independent\",\"items\":[" BAD ",{}]"),
                     PREPARED_IMMEDIATE);
    assert_int_equal(request.refused_count, 2);
    /* Nothing is left over for the next request. */
    expect_call("payment.batch", "\"mode\":\"independent\",\"items\":[" GOOD "]", CALL_EXECUTE);
    assert_int_equal(request.refused_count, 0);
}

static void wrong_batches_are_refused_whole(void **state)
{
    (void)state;
    expect_refused("payment.batch", "\"items\":[" GOOD "]", CODE_MISSING_FIELD, "mode");
    expect_refused("payment.batch", "\"mode\":\"atomic\"", CODE_MISSING_FIELD, "items");
    expect_refused("payment.batch", "\"mode\":\"Atomic\",\"items\":[" GOOD "]", CODE_FIELD_INVALID,
                   "mode");
    expect_refused("payment.batch", "\"mode\":1,\"items\":[" GOOD "]", CODE_FIELD_INVALID, "mode");
    expect_refused("payment.batch", "\"mode\":\"atomic\",\"items\":{}", CODE_FIELD_INVALID,
                   "items");
    expect_refused("payment.batch", "\"mode\":\"atomic\",\"items\":[]", CODE_TOO_MANY_ITEMS,
                   "items");
    expect_refused("payment.batch", "\"mode\":\"atomic\",\"items\":[" GOOD "],\"x\":1",
                   CODE_UNKNOWN_FIELD, "x");
}

static void batches_have_at_most_8192_items(void **state)
{
    (void)state;
    struct buffer params;
    buffer_init(&params, MESSAGE_BYTES_MAX);
    for (int items = BATCH_ITEMS_MAX; items <= BATCH_ITEMS_MAX + 1; items++) {
        buffer_clear(&params);
        write_format(&params, "\"mode\":\"independent\",\"items\":[");
        for (int i = 0; i < items; i++) {
            write_format(&params, "%s" GOOD, i > 0 ? "," : "");
        }
        write_format(&params, "]%c", 0);
        if (items == BATCH_ITEMS_MAX) {
            expect_call("payment.batch", (const char *)params.data, CALL_EXECUTE);
            (void)request_form(REQUEST_INDEPENDENT, BATCH_ITEMS_MAX);
        } else {
            expect_refused("payment.batch", (const char *)params.data, CODE_TOO_MANY_ITEMS,
                           "items");
        }
    }
    buffer_deinit(&params);
}

/* ---- reads ---------------------------------------------------------------------------------- */

static void reads_become_queries(void **state)
{
    (void)state;
    expect_call("account.get", "\"id\":\"alice\"", CALL_READ);
    assert_int_equal(call.query.kind, QUERY_ACCOUNT_GET);
    assert_int_equal(call.read_mode, READ_LINEARIZABLE);
    assert_string_equal(call.query.account, "alice");
    assert_int_equal(call.query.account_size, 5);
    expect_call("payment.get", BASE ",\"stale\":true", CALL_READ);
    assert_int_equal(call.query.kind, QUERY_PAYMENT_GET);
    assert_int_equal(call.read_mode, READ_STALE);
    assert_int_equal(call.query.id.bytes[0], 0x01);
    expect_call("payment.list",
                "\"account\":\"a\",\"limit\":1000,\"cursor\":\"17\",\"min_seq\":9007199254740992",
                CALL_SCAN);
    assert_int_equal(call.query.limit, 1000);
    assert_true(call.query.cursor == 17);
    assert_int_equal(call.read_mode, READ_MIN_SEQ);
    assert_true(call.min_seq == 9007199254740992);
    expect_call("account.list", "\"cursor\":null,\"stale\":false", CALL_SCAN);
    assert_int_equal(call.query.limit, LIST_ITEMS_DEFAULT);
    assert_true(call.query.cursor == 0);
    assert_int_equal(call.read_mode, READ_LINEARIZABLE);
    expect_call("currency.list", "", CALL_SCAN);
    expect_call("ledger.totals", "", CALL_READ);
    assert_int_equal(call.query.kind, QUERY_TOTALS);
    expect_call("ledger.info", "", CALL_READ);
    assert_int_equal(call.query.kind, QUERY_INFO);
    expect_call("ledger.digest", "\"stale\":true", CALL_READ);
    assert_int_equal(call.query.kind, QUERY_DIGEST);
    assert_int_equal(prepare("cluster.status", ""), PREPARED_IMMEDIATE);
    assert_int_equal(prepare("rpc.discover", ""), PREPARED_IMMEDIATE);
}

static void wrong_reads_are_refused(void **state)
{
    (void)state;
    expect_refused("account.get", "\"id\":\"a\",\"min_seq\":1,\"stale\":true",
                   CODE_FIELDS_EXCLUSIVE, "stale");
    expect_refused("account.get", "\"id\":\"a\",\"min_seq\":-1", CODE_FIELD_INVALID, "min_seq");
    expect_refused("account.get", "\"id\":\"a\",\"min_seq\":1.0", CODE_FIELD_INVALID, "min_seq");
    expect_refused("account.get", "\"id\":\"a\",\"min_seq\":9007199254740993", CODE_FIELD_INVALID,
                   "min_seq");
    expect_refused("account.get", "\"id\":\"a\",\"stale\":1", CODE_FIELD_INVALID, "stale");
    expect_refused("account.get", "\"id\":\"\"", CODE_ID_INVALID, "id");
    expect_refused("payment.get", "\"id\":\"00000000-0000-0000-0000-000000000000\"",
                   CODE_ID_INVALID, "id");
    expect_refused("payment.list", "", CODE_MISSING_FIELD, "account");
    static const char *const limits[] = {"0", "1001", "\"5\"", "5.0", "-1", "null"};
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        char params[64];
        (void)snprintf(params, sizeof params, "\"limit\":%s", limits[i]);
        expect_refused("account.list", params, CODE_FIELD_INVALID, "limit");
    }
    static const char *const cursors[] = {"0",      "\"0\"", "\"\"",   "\"abc\"",
                                          "\"-1\"", "17",    "\"01\"", "\"18446744073709551616\"",
                                          "true"};
    for (size_t i = 0; i < ARRAY_COUNT(cursors); i++) {
        char params[64];
        (void)snprintf(params, sizeof params, "\"cursor\":%s", cursors[i]);
        expect_refused("account.list", params, CODE_CURSOR_INVALID, "cursor");
    }
    expect_refused("cluster.status", "\"verbose\":true", CODE_UNKNOWN_FIELD, "verbose");
    expect_refused("ledger.totals", "\"currency\":\"EUR\"", CODE_UNKNOWN_FIELD, "currency");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_methods_are_refused),
        cmocka_unit_test(notifications_are_not_executed),
        cmocka_unit_test(absent_params_are_empty),
        cmocka_unit_test(currencies_are_created),
        cmocka_unit_test(accounts_are_opened),
        cmocka_unit_test(wrong_accounts_are_refused),
        cmocka_unit_test(short_payments_become_one_leg),
        cmocka_unit_test(long_payments_keep_all_fields),
        cmocka_unit_test(amounts_are_strict_strings),
        cmocka_unit_test(wrong_payments_are_refused_by_field),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(atomic_batches_are_all_or_nothing),
        cmocka_unit_test(independent_batches_lose_only_bad_items),
        cmocka_unit_test(wrong_batches_are_refused_whole),
        cmocka_unit_test(batches_have_at_most_8192_items),
        cmocka_unit_test(reads_become_queries),
        cmocka_unit_test(wrong_reads_are_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
