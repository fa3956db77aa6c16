#include "gateway/glance.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

static void expect_seen(const char *json, enum request_id_kind kind, const char *id,
                        const char *method)
{
    struct request_id seen_id = {.kind = REQUEST_ID_NULL};
    struct text seen_method;
    if (!glance(text_of(json), &seen_id, &seen_method)) {
        fail_msg("not seen: %s", json);
    }
    assert_int_equal(seen_id.kind, kind);
    assert_true(text_equal((struct text){.data = seen_id.text, .size = seen_id.size}, text_of(id)));
    assert_true(text_equal(seen_method, text_of(method)));
}

static void plain_requests_are_seen(void **state)
{
    (void)state;
    expect_seen("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"payment.create\",\"params\":{\"id\":"
                "\"x\",\"method\":\"y\",\"legs\":[{\"a\":[1,2]}]}}",
                REQUEST_ID_INTEGER, "7", "payment.create");
    expect_seen(
        " {\n\"params\" : {\"memo\":\"a } \\\" , b \\\\\",\"b\":[{}]} , \"method\" : \"m\"\t,"
        "\"id\" : \"a1\" , \"jsonrpc\" : \"2.0\" } ",
        REQUEST_ID_STRING, "a1", "m");
    expect_seen("{\"id\":-9007199254740992,\"more\":null,\"jsonrpc\":\"2.0\",\"method\":\"\"}",
                REQUEST_ID_INTEGER, "-9007199254740992", "");
    expect_seen("{\"id\":\"\",\"params\":\"\xC3\xA9\",\"jsonrpc\":\"2.0\",\"method\":\"m\"}",
                REQUEST_ID_STRING, "", "m");
}

static void everything_else_is_left_to_the_parser(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "{}",
        "7",
        "[{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\"}]",
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7}",
        "{\"id\":7,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.1\",\"id\":7,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"id\":8,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"method\":\"n\"}",
        "{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"i\\u0064\":7,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\\n\",\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"\xC3\xA9\",\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"\x01\",\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":07,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":9007199254740993,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":,\"method\":\"m\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":3}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\"",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":{]}}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":]",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":{\"a\":\"b",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":{\"a\":\"b\\",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":{\"a\":1",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct request_id id;
        struct text method;
        if (glance(text_of(texts[i]), &id, &method)) {
            fail_msg("seen: %s", texts[i]);
        }
    }
}

static void ids_of_any_length_are_kept_or_left(void **state)
{
    (void)state;
    for (int length = REQUEST_ID_BYTES_MAX - 1; length <= REQUEST_ID_BYTES_MAX + 1; length++) {
        char json[256];
        (void)snprintf(json, sizeof json, "{\"jsonrpc\":\"2.0\",\"id\":\"%0*d\",\"method\":\"m\"}",
                       length, 0);
        struct request_id id;
        struct text method;
        assert_true(glance(text_of(json), &id, &method) == (length <= REQUEST_ID_BYTES_MAX));
    }
}

/* Whatever follows the end of the text is not read (asan looks). */
static void a_text_cut_anywhere_is_not_seen(void **state)
{
    (void)state;
    static const char json[] =
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"m\",\"params\":{\"a\":"
        "\"\\\\\\\"b\",\"c\":[1,{\"d\":true}]}}";
    for (size_t size = 0; size < sizeof json - 1; size++) {
        char *cut = malloc(size + 1);
        assert_non_null(cut);
        memcpy(cut + 1, json, size);
        struct request_id id;
        struct text method;
        assert_false(glance((struct text){.data = cut + 1, .size = size}, &id, &method));
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_requests_are_seen),
        cmocka_unit_test(everything_else_is_left_to_the_parser),
        cmocka_unit_test(ids_of_any_length_are_kept_or_left),
        cmocka_unit_test(a_text_cut_anywhere_is_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
