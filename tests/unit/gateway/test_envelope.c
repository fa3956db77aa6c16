#include "gateway/message.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <string.h>

static struct message_reader *reader;

static int open_reader(void **state)
{
    (void)state;
    return message_reader_open(&reader, MESSAGE_BYTES_MAX) == STATUS_OK ? 0 : -1;
}

static int close_reader(void **state)
{
    (void)state;
    message_reader_close(reader);
    return 0;
}

static const struct value *parse(const char *json)
{
    const struct value *root = NULL;
    struct failure failure;
    enum code code = message_parse(reader, text_of(json), &root, &failure);
    if (code != CODE_OK) {
        fail_msg("%s: %s", json, failure.message);
    }
    return root;
}

static void assert_text(struct text text, const char *wanted)
{
    if (!text_equal(text, text_of(wanted))) {
        fail_msg("'%.*s', wanted '%s'", (int)text.size, text.data, wanted);
    }
}

static void failures_are_cut_between_characters(void **state)
{
    (void)state;
    char param[FAILURE_PARAM_BYTES_MAX + 10];
    memset(param, 'a', sizeof param);
    memcpy(param + FAILURE_PARAM_BYTES_MAX - 2, "\xC3\xA9", 2);
    param[sizeof param - 1] = '\0';
    struct failure failure;
    failure_set(&failure, CODE_UNKNOWN_FIELD, param, NULL);
    assert_int_equal(strlen(failure.param), FAILURE_PARAM_BYTES_MAX - 2);
    assert_true(json_utf8_valid(text_of(failure.param)));
}

static enum code read_one(const char *json, struct envelope *envelope, struct failure *failure)
{
    struct message message;
    assert_int_equal(message_read(reader, text_of(json), &message, failure), CODE_OK);
    assert_false(message.is_array);
    assert_null(message_next(&message, message.first));
    return envelope_read(message.first, envelope, failure);
}

static void requests_are_read(void **state)
{
    (void)state;
    struct envelope envelope;
    struct failure failure;
    const char *json = "{\"params\":{\"a\":1},\"method\":\"m\",\"id\":-7,\"jsonrpc\":\"2.0\"}";
    assert_int_equal(read_one(json, &envelope, &failure), CODE_OK);
    assert_int_equal(envelope.id.kind, REQUEST_ID_INTEGER);
    assert_memory_equal(envelope.id.text, "-7", 2);
    assert_text(envelope.method, "m");
    assert_false(envelope.is_notification);
    assert_int_equal(value_count(envelope.params), 1);
    assert_int_equal(
        read_one("{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"m\"}", &envelope, &failure),
        CODE_OK);
    assert_int_equal(envelope.id.kind, REQUEST_ID_STRING);
    assert_null(envelope.params);
}

static void ids_are_short_strings_or_exact_integers(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "null",
        "true",
        "7.0",
        "1e3",
        "9007199254740993",
        "-9007199254740993",
        "[]",
        "{}",
        "1.5",
        "\"12345678901234567890123456789012345678901234567890123456789012345\"",
        "1e400",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct buffer json;
        struct envelope envelope;
        struct failure failure;
        buffer_init(&json, 1024);
        write_format(&json, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}%c", bad[i], 0);
        assert_int_equal(read_one((const char *)json.data, &envelope, &failure),
                         CODE_INVALID_REQUEST);
        assert_int_equal(envelope.id.kind, REQUEST_ID_NULL);
        assert_string_equal(failure.param, "id");
        buffer_deinit(&json);
    }
}

static void wrong_envelopes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum code code;
        const char *param;
        enum request_id_kind id;
    } cases[] = {
        {"7", CODE_INVALID_REQUEST, "", REQUEST_ID_NULL},
        {"\"a\"", CODE_INVALID_REQUEST, "", REQUEST_ID_NULL},
        {"{}", CODE_INVALID_REQUEST, "jsonrpc", REQUEST_ID_NULL},
        {"{\"id\":1,\"method\":\"m\"}", CODE_INVALID_REQUEST, "jsonrpc", REQUEST_ID_INTEGER},
        {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}", CODE_INVALID_REQUEST, "jsonrpc",
         REQUEST_ID_INTEGER},
        {"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"m\"}", CODE_INVALID_REQUEST, "jsonrpc",
         REQUEST_ID_INTEGER},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"x\"}", CODE_INVALID_REQUEST, "method", REQUEST_ID_STRING},
        {"{\"jsonrpc\":\"2.0\",\"method\":7}", CODE_INVALID_REQUEST, "method", REQUEST_ID_NULL},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"Params\":{}}", CODE_UNKNOWN_FIELD,
         "Params", REQUEST_ID_INTEGER},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[]}", CODE_FIELD_INVALID,
         "params", REQUEST_ID_INTEGER},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":null}", CODE_FIELD_INVALID,
         "params", REQUEST_ID_INTEGER},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct envelope envelope;
        struct failure failure;
        assert_int_equal(read_one(cases[i].json, &envelope, &failure), cases[i].code);
        assert_string_equal(failure.param, cases[i].param);
        assert_int_equal(envelope.id.kind, cases[i].id);
    }
}

static void requests_without_id_are_notifications(void **state)
{
    (void)state;
    struct envelope envelope;
    struct failure failure;
    assert_int_equal(
        read_one("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[]}", &envelope, &failure),
        CODE_OK);
    assert_true(envelope.is_notification);
}

static void arrays_have_one_to_64_requests(void **state)
{
    (void)state;
    struct message message;
    struct failure failure;
    for (int count = 0; count <= 65; count++) {
        struct buffer json;
        buffer_init(&json, 4096);
        write_u8(&json, '[');
        for (int i = 0; i < count; i++) {
            write_format(&json, "%s%d", i > 0 ? "," : "", i);
        }
        write_u8(&json, ']');
        bool good = count >= 1 && count <= ENVELOPES_MAX;
        struct text text = {(const char *)json.data, json.size};
        assert_int_equal(message_read(reader, text, &message, &failure),
                         good ? CODE_OK : CODE_INVALID_REQUEST);
        int seen = 0;
        for (const struct value *v = good ? message.first : NULL; v != NULL;
             v = message_next(&message, v)) {
            seen++;
        }
        assert_int_equal(seen, good ? count : 0);
        buffer_deinit(&json);
    }
}

/* ---- client side ---------------------------------------------------------------------------- */

static void client_writes_requests(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1024);
    message_write_request(&out, 9007199254740992, TEXT("payment.get"), TEXT("{\"id\":\"x\"}"));
    message_write_request(&out, 1, TEXT("cluster.status"), TEXT(""));
    assert_text((struct text){(const char *)out.data, out.size},
                "{\"jsonrpc\":\"2.0\",\"id\":9007199254740992,\"method\":\"payment.get\","
                "\"params\":{\"id\":\"x\"}}"
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cluster.status\"}");
    buffer_deinit(&out);
}

static void client_reads_replies(void **state)
{
    (void)state;
    struct reply reply;
    assert_true(reply_read(parse("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"seq\":3}}"), &reply));
    uint64_t number = 0;
    assert_true(request_id_number(&reply.id, &number));
    assert_true(number == 7);
    assert_non_null(value_member(reply.result, "seq"));
    assert_true(reply_read(
        parse("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32015,\"message\":\"m\","
              "\"data\":{\"code\":\"unknown\",\"param\":\"id\",\"retryable\":false,"
              "\"recorded\":null,\"retry_after_ms\":100}}}"),
        &reply));
    assert_null(reply.result);
    assert_false(request_id_number(&reply.id, &number));
    assert_int_equal(reply.rpc_number, -32015);
    assert_text(reply.code, "unknown");
    assert_text(reply.param, "id");
    assert_int_equal(reply.recorded, UNSURE);
    assert_int_equal(reply.retry_after_ms, 100);
    static const char *const bad[] = {
        "7",
        "{}",
        "{\"jsonrpc\":\"2.0\",\"id\":1}",
        "{\"id\":1,\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{\"code\":1}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":true,\"result\":1}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(reply_read(parse(bad[i]), &reply));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_are_cut_between_characters),
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(ids_are_short_strings_or_exact_integers),
        cmocka_unit_test(wrong_envelopes_are_refused),
        cmocka_unit_test(requests_without_id_are_notifications),
        cmocka_unit_test(arrays_have_one_to_64_requests),
        cmocka_unit_test(client_writes_requests),
        cmocka_unit_test(client_reads_replies),
    };
    return cmocka_run_group_tests(tests, open_reader, close_reader);
}
