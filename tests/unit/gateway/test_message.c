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

static void tree_keeps_source_texts(void **state)
{
    (void)state;
    const struct value *root = parse("{\"n\":9007199254740992,\"f\":7.0,\"e\":1e3,"
                                     "\"big\":9007199254740993,\"o\":{ \"x\" : [1, 2.50] },"
                                     "\"s\":\"\\u00e9\\/\",\"t\":true,\"z\":null,\"N\":1}");
    int64_t integer = 0;
    assert_true(value_integer(value_member(root, "n"), &integer));
    assert_true(integer == 9007199254740992);
    assert_false(value_integer(value_member(root, "f"), &integer));
    assert_false(value_integer(value_member(root, "e"), &integer));
    assert_false(value_integer(value_member(root, "big"), &integer));
    assert_false(value_integer(value_member(root, "s"), &integer));
    assert_text(value_source(value_member(root, "o")), "{ \"x\" : [1, 2.50] }");
    assert_text(value_source(value_member(root, "f")), "7.0");
    assert_text(value_text(value_member(root, "s")), "\xC3\xA9/");
    assert_text(value_text(value_member(root, "n")), "");
    bool boolean = false;
    assert_true(value_boolean(value_member(root, "t"), &boolean) && boolean);
    assert_false(value_boolean(value_member(root, "z"), &boolean));
    assert_int_equal(value_kind(value_member(root, "z")), VALUE_NULL);
    assert_null(value_member(root, "S"));
    assert_int_equal(value_count(root), 9);
}

static void numbers_stay_with_their_nodes(void **state)
{
    (void)state;
    const struct value *root = parse("[1,[2,{\"a\":3,\"b\":[4,{}]},5],{},[],6]");
    static const char *const wanted[] = {"1", "", "{}", "", "6"};
    size_t i = 0;
    for (const struct value *v = value_first(root); v != NULL; v = value_next(v)) {
        assert_text(value_source(v), wanted[i++]);
    }
    const struct value *inner = value_next(value_first(root));
    assert_text(value_source(value_first(inner)), "2");
    assert_text(value_source(value_next(value_first(inner))), "{\"a\":3,\"b\":[4,{}]}");
    assert_text(value_source(value_next(value_next(value_first(inner)))), "5");
}

static void large_messages_are_taken_and_forgotten(void **state)
{
    (void)state;
    struct buffer json;
    buffer_init(&json, MESSAGE_BYTES_MAX);
    write_u8(&json, '[');
    for (int i = 0; i < 200000; i++) {
        write_format(&json, "%s\"item %d\"", i > 0 ? "," : "", i);
    }
    write_u8(&json, ']');
    assert_false(json.failed);
    struct failure failure;
    const struct value *root = NULL;
    for (int round = 0; round < 3; round++) {
        struct text text = {(const char *)json.data, json.size};
        assert_int_equal(message_parse(reader, text, &root, &failure), CODE_OK);
        assert_int_equal(value_count(root), 200000);
    }
    buffer_deinit(&json);
}

static void refusals_name_code_and_byte(void **state)
{
    (void)state;
    const struct value *root = NULL;
    struct failure failure;
    assert_int_equal(message_parse(reader, TEXT("{\"a\":01}"), &root, &failure),
                     CODE_MALFORMED_JSON);
    assert_non_null(strstr(failure.message, "(at byte 6)"));
    assert_string_equal(failure.param, "");
    assert_int_equal(message_parse(reader, TEXT("{\"a\":1,\"a\":1}"), &root, &failure),
                     CODE_DUPLICATE_KEY);
    assert_non_null(strstr(failure.message, "(at byte 7)"));
    struct buffer json;
    buffer_init(&json, MESSAGE_BYTES_MAX);
    write_format(&json, "[1");
    for (int i = 0; i < MESSAGE_BYTES_MAX / JSON_BYTES_PER_VALUE; i++) {
        write_format(&json, ",1");
    }
    write_format(&json, "]");
    struct text text = {(const char *)json.data, json.size};
    assert_int_equal(message_parse(reader, text, &root, &failure), CODE_INVALID_REQUEST);
    buffer_deinit(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_keeps_source_texts),
        cmocka_unit_test(numbers_stay_with_their_nodes),
        cmocka_unit_test(large_messages_are_taken_and_forgotten),
        cmocka_unit_test(refusals_name_code_and_byte),
    };
    return cmocka_run_group_tests(tests, open_reader, close_reader);
}
