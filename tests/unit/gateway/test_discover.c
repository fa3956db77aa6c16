#include "gateway/method_table.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <string.h>

static struct message_reader *reader;
static struct buffer out;

/* The document as the client's own reader sees it. */
static const struct value *document(void)
{
    const struct value *root = NULL;
    struct failure failure;
    struct json_writer writer = json_writer_of(&out);
    discover_write(&writer);
    struct text text = {(const char *)out.data, out.size};
    assert_int_equal(message_parse(reader, text, &root, &failure), CODE_OK);
    return root;
}

static int open_all(void **state)
{
    (void)state;
    buffer_init(&out, MESSAGE_BYTES_MAX);
    return message_reader_open(&reader, MESSAGE_BYTES_MAX) == STATUS_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    message_reader_close(reader);
    buffer_deinit(&out);
    return 0;
}

static void the_document_names_every_method_and_code(void **state)
{
    (void)state;
    buffer_clear(&out);
    const struct value *root = document();
    assert_int_equal(value_count(value_member(root, "methods")), METHOD_COUNT);
    uint32_t count = 0;
    (void)code_table(&count);
    const struct value *components = value_member(root, "components");
    assert_int_equal(value_count(value_member(components, "errors")), count);
}

static void every_reference_has_its_schema(void **state)
{
    (void)state;
    buffer_clear(&out);
    const struct value *components = value_member(document(), "components");
    const struct value *schemas = value_member(components, "schemas");
    static const char prefix[] = "\"$ref\":\"#/components/schemas/";
    const char *at = (const char *)out.data;
    const char *end = at + out.size;
    uint32_t references = 0;
    while ((at = memmem(at, (size_t)(end - at), prefix, sizeof prefix - 1)) != NULL) {
        at += sizeof prefix - 1;
        const char *quote = memchr(at, '"', (size_t)(end - at));
        char name[64];
        assert_non_null(quote);
        assert_true((size_t)(quote - at) < sizeof name);
        memcpy(name, at, (size_t)(quote - at));
        name[quote - at] = '\0';
        assert_non_null(value_member(schemas, name));
        references++;
    }
    assert_true(references > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_names_every_method_and_code),
        cmocka_unit_test(every_reference_has_its_schema),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
