#include "gateway/json.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

enum { TEST_BYTES_MAX = 1 << 22, TEST_VALUES_MAX = 1 << 19 };

static enum code check_text(struct text text, size_t *offset)
{
    struct json_scan scan;
    json_scan_init(&scan, TEST_BYTES_MAX, TEST_VALUES_MAX);
    enum code code = json_check(&scan, text);
    *offset = scan.error_offset;
    json_scan_deinit(&scan);
    return code;
}

static void expect(const char *json, enum code wanted)
{
    size_t offset = 0;
    enum code code = check_text(text_of(json), &offset);
    if (code != wanted) {
        fail_msg("%s: code %d, wanted %d", json, (int)code, (int)wanted);
    }
}

static void valid_texts_pass(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        " \t\r\n[1 , 2]\n",
        "0",
        "-0",
        "1.5e-10",
        "1E+3",
        "\"\"",
        "\"\\u00e9\\n\\\"\\\\\\/\\b\\f\\r\\t\"",
        "\"\\ud83d\\ude00\"",
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x7F\"",
        "true",
        "false",
        "null",
        "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}",
        "{\"\":1}",
        "{\"a\":1,\"A\":2}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        expect(texts[i], CODE_OK);
    }
}

static const char *const lax_texts[] = {
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{1:1}",
    "[1}",
    "{\"a\":1]",
    "01",
    "-",
    "-01",
    "1.",
    ".5",
    "+1",
    "1e",
    "1e+",
    "0x10",
    "NaN",
    "Infinity",
    "tru",
    "nul",
    "True",
    "truefalse",
    "1 1",
    "{} x",
    "[] []",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12G4\"",
    "\"\t\"",
    "\"\n\"",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83d\\u0041\"",
    "\"\\ud83dx\"",
    "'a'",
    "// c\n1",
    "/* */1",
    "\xEF\xBB\xBF{}",
    "\"\x80\"",
    "\"\xC0\xAF\"",
    "\"\xE0\x80\xAF\"",
    "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xF5\x80\x80\x80\"",
    "\"\xC3\"",
    "\"\xE2\x82\"",
    "\"\xC3(\"",
    "\xC2\xA0[]",
    "\f1",
    "[1,2",
    /* longer than the tree's parser takes */
    "1234567890123456789012345678901234567890123456789012345678901234",
};

static void lax_texts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lax_texts); i++) {
        expect(lax_texts[i], CODE_MALFORMED_JSON);
    }
    size_t offset = 0;
    assert_int_equal(check_text((struct text){"\"a\0b\"", 5}, &offset), CODE_MALFORMED_JSON);
    assert_int_equal(offset, 2);
    assert_int_equal(check_text((struct text){"1\0", 2}, &offset), CODE_MALFORMED_JSON);
    assert_int_equal(check_text(TEXT("[1,\"a\x01\"]"), &offset), CODE_MALFORMED_JSON);
    assert_int_equal(offset, 5);
}

static void duplicate_keys_are_refused(void **state)
{
    (void)state;
    expect("{\"a\":1,\"a\":2}", CODE_DUPLICATE_KEY);
    expect("{\"a\":1,\"\\u0061\":2}", CODE_DUPLICATE_KEY);
    expect("{\"\\u00e9\":1,\"\xC3\xA9\":2}", CODE_DUPLICATE_KEY);
    expect("{\"\\ud83d\\ude00\":1,\"x\":0,\"\xF0\x9F\x98\x80\":2}", CODE_DUPLICATE_KEY);
    expect("{\"\":1,\"\":2}", CODE_DUPLICATE_KEY);
    expect("[{\"x\":{\"b\":1,\"c\":{\"b\":1},\"b\":1}}]", CODE_DUPLICATE_KEY);
    expect("{\"\\\\\":1,\"\\u005c\":2}", CODE_DUPLICATE_KEY);
    expect("{\"\\u0061\":1,\"\\u0062\":2,\"\\u0063\":3}", CODE_OK);
}

/* Objects with many keys: found by sorting, in n log n. */
static void duplicates_among_many_keys_are_found(void **state)
{
    (void)state;
    for (int duplicate = 0; duplicate < 2; duplicate++) {
        struct buffer json;
        buffer_init(&json, TEST_BYTES_MAX);
        write_format(&json, "{");
        for (int i = 0; i < 100000; i++) {
            write_format(&json, "\"key%d\":%d,", i, i);
        }
        write_format(&json, "\"%s\":0}", duplicate ? "key7\\u0037" : "last");
        size_t offset = 0;
        struct text text = {(const char *)json.data, json.size};
        enum code wanted = duplicate ? CODE_DUPLICATE_KEY : CODE_OK;
        assert_int_equal(check_text(text, &offset), wanted);
        buffer_deinit(&json);
    }
    expect("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
           "\"k\":1,\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1,\"a\":1}",
           CODE_DUPLICATE_KEY);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char json[2 * 10000 + 1];
    for (size_t depth = 15; depth <= 17; depth++) {
        memset(json, '[', depth);
        memset(json + depth, ']', depth);
        json[2 * depth] = '\0';
        expect(json, depth <= JSON_DEPTH_MAX ? CODE_OK : CODE_NESTING_TOO_DEEP);
    }
    memset(json, '[', 10000);
    json[10000] = '\0';
    expect(json, CODE_NESTING_TOO_DEEP);
    expect("[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]", CODE_NESTING_TOO_DEEP);
}

static void size_and_values_are_bounded(void **state)
{
    (void)state;
    struct json_scan scan;
    json_scan_init(&scan, 16, 3);
    assert_int_equal(json_check(&scan, TEXT("[1,2]")), CODE_OK);
    assert_int_equal(json_check(&scan, TEXT("[1,2,3]")), CODE_INVALID_REQUEST);
    assert_int_equal(json_check(&scan, TEXT("               1")), CODE_OK);
    assert_int_equal(json_check(&scan, TEXT("                1")), CODE_INVALID_REQUEST);
    json_scan_deinit(&scan);
}

static void spans_name_numbers_and_objects_in_order(void **state)
{
    (void)state;
    struct json_scan scan;
    json_scan_init(&scan, 1024, 128);
    struct text text = TEXT("{\"a\":[ 12 ,{\"b\":-3.5}], \"c\":{ } }");
    assert_int_equal(json_check(&scan, text), CODE_OK);
    static const char *const wanted[] = {"{\"a\":[ 12 ,{\"b\":-3.5}], \"c\":{ } }", "12",
                                         "{\"b\":-3.5}", "-3.5", "{ }"};
    assert_int_equal(scan.spans_count, ARRAY_COUNT(wanted));
    for (uint32_t i = 0; i < scan.spans_count; i++) {
        struct text span = {text.data + scan.spans[i].offset, scan.spans[i].size};
        assert_true(text_equal(span, text_of(wanted[i])));
    }
    json_scan_deinit(&scan);
}

static void integers_come_from_the_source_text(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0", "-0", "7", "-12", "9007199254740992", "-9007199254740992"};
    static const int64_t values[] = {0, 0, 7, -12, 9007199254740992, -9007199254740992};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        int64_t value = 1;
        assert_true(json_integer_parse(text_of(good[i]), &value));
        assert_true(value == values[i]);
    }
    static const char *const bad[] = {"",
                                      "-",
                                      "01",
                                      "7.0",
                                      "1e3",
                                      "+1",
                                      "9007199254740993",
                                      "-9007199254740993",
                                      "99999999999999999",
                                      " 1",
                                      "1 "};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        int64_t value = 42;
        assert_false(json_integer_parse(text_of(bad[i]), &value));
        assert_true(value == 42);
    }
}

static void utf8_is_judged_alone_too(void **state)
{
    (void)state;
    assert_true(json_utf8_valid(TEXT("")));
    assert_true(json_utf8_valid(TEXT("a\xC3\xA9\xF4\x8F\xBF\xBF")));
    assert_false(json_utf8_valid(TEXT("a\xC3")));
    assert_false(json_utf8_valid(TEXT("\xFF")));
}

static void writer_puts_commas_and_escapes(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct json_writer writer = json_writer_of(&out);
    json_object_open(&writer);
    json_field_text(&writer, "a", TEXT("q\"b\\n\nr\rt\tu\x01 \xC3\xA9"));
    json_key(&writer, "b");
    json_array_open(&writer);
    json_null(&writer);
    json_boolean(&writer, true);
    json_object_open(&writer);
    json_object_close(&writer);
    json_signed(&writer, INT64_MIN);
    json_unsigned(&writer, UINT64_MAX);
    json_u128(&writer, AMOUNT_LIMIT);
    json_i128(&writer, -1);
    json_array_close(&writer);
    json_field_boolean(&writer, "c", false);
    json_field_string(&writer, "d", "");
    json_field_time(&writer, "e", 1);
    json_object_close(&writer);
    struct text text = {(const char *)out.data, out.size};
    assert_true(text_equal(
        text, TEXT("{\"a\":\"q\\\"b\\\\n\\nr\\rt\\tu\\u0001 \xC3\xA9\",\"b\":[null,true,{},"
                   "-9223372036854775808,18446744073709551615,"
                   "\"85070591730234615865843651857942052864\",\"-1\"],\"c\":false,\"d\":\"\","
                   "\"e\":\"1970-01-01T00:00:00.000000001Z\"}")));
    size_t offset = 0;
    assert_int_equal(check_text(text, &offset), CODE_OK);
    buffer_deinit(&out);
}

static void writer_remembers_a_full_buffer(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4);
    struct json_writer writer = json_writer_of(&out);
    json_object_open(&writer);
    json_field_string(&writer, "key", "value");
    json_object_close(&writer);
    assert_true(out.failed);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_pass),
        cmocka_unit_test(lax_texts_are_refused),
        cmocka_unit_test(duplicate_keys_are_refused),
        cmocka_unit_test(duplicates_among_many_keys_are_found),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(size_and_values_are_bounded),
        cmocka_unit_test(spans_name_numbers_and_objects_in_order),
        cmocka_unit_test(integers_come_from_the_source_text),
        cmocka_unit_test(utf8_is_judged_alone_too),
        cmocka_unit_test(writer_puts_commas_and_escapes),
        cmocka_unit_test(writer_remembers_a_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
