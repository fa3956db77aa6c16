/*
 * docs/protocol.md against the program: its tables are complete, its requests are what the parsers
 * take, and the refusals that need no ledger are the ones it shows.
 */
#include "gateway/render.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENT_BYTES_MAX = 1 << 20, PATH_BYTES = 4096 };

static struct buffer document;
static struct message_reader *request_reader;
static struct message_reader *reply_reader;

/* The document lies beside this file: tests/unit/gateway -> docs. */
static int open_all(void **state)
{
    (void)state;
    char path[PATH_BYTES];
    const char *slash = strrchr(__FILE__, '/');
    int length = slash == NULL ? 0 : (int)(slash - __FILE__);
    (void)snprintf(path, sizeof path, "%.*s/../../../docs/protocol.md", length, __FILE__);
    buffer_init(&document, DOCUMENT_BYTES_MAX);
    FILE *file = fopen(path, "rb");
    if (file == NULL || !buffer_reserve(&document, DOCUMENT_BYTES_MAX)) {
        return -1;
    }
    document.size = fread(document.data, 1, DOCUMENT_BYTES_MAX - 1, file);
    document.data[document.size++] = '\0';
    (void)fclose(file);
    return message_reader_open(&request_reader, MESSAGE_BYTES_MAX) == STATUS_OK &&
                   message_reader_open(&reply_reader, MESSAGE_BYTES_MAX) == STATUS_OK
               ? 0
               : -1;
}

static int close_all(void **state)
{
    (void)state;
    message_reader_close(request_reader);
    message_reader_close(reply_reader);
    buffer_deinit(&document);
    return 0;
}

static const char *certainty_text(enum certainty certainty)
{
    return certainty == YES ? "yes" : certainty == NO ? "no" : "null";
}

static void every_code_has_its_row(void **state)
{
    (void)state;
    uint32_t count = 0;
    const struct code_info *infos = code_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        char row[512];
        (void)snprintf(row, sizeof row, "\n| `%s` | %d | %s | %s | %s |\n", infos[i].name,
                       (int)infos[i].rpc_number, certainty_text(infos[i].retryable),
                       certainty_text(infos[i].recorded), infos[i].text);
        if (strstr((const char *)document.data, row) == NULL) {
            fail_msg("docs/protocol.md has no row %s", row);
        }
    }
}

static void every_method_has_its_section(void **state)
{
    (void)state;
    for (int i = 0; i < METHOD_COUNT; i++) {
        char heading[128];
        (void)snprintf(heading, sizeof heading, "\n### `%s`\n", method_name((enum method_kind)i));
        if (strstr((const char *)document.data, heading) == NULL) {
            fail_msg("docs/protocol.md has no section %s", heading);
        }
    }
}

/* The text between the fence line and the next fence; *at moves behind it. False at the end. */
static bool fenced(const char *fence, const char **at, struct text *text)
{
    const char *begin = strstr(*at, fence);
    if (begin == NULL) {
        return false;
    }
    begin += strlen(fence);
    const char *end = strstr(begin, "\n```");
    assert_non_null(end);
    *text = (struct text){begin, (size_t)(end - begin)};
    *at = end + 4;
    return true;
}

/* The refusal that the parsers give must be the one in the document. */
static void refusal_compare(const struct rpc_request *request, const struct failure *failure,
                            const struct reply *reply)
{
    assert_null(reply->result);
    assert_int_equal(reply->rpc_number, code_info(failure->code)->rpc_number);
    assert_true(text_equal(reply->code, text_of(code_info(failure->code)->name)));
    assert_true(text_equal(reply->param, text_of(failure->param)));
    assert_int_equal(reply->id.kind, request->id.kind);
    assert_int_equal(reply->id.size, request->id.size);
    assert_memory_equal(reply->id.text, request->id.text, request->id.size);
}

static uint32_t example_check(struct text request_text, struct text reply_text)
{
    struct message message;
    struct failure failure;
    const struct value *answer = NULL;
    if (message_read(request_reader, request_text, &message, &failure) != CODE_OK ||
        message_parse(reply_reader, reply_text, &answer, &failure) != CODE_OK) {
        fail_msg("%.*s: %s", (int)request_text.size, request_text.data, failure.message);
    }
    const struct value *reply_value = message.is_array ? value_first(answer) : answer;
    static struct call call;
    struct rpc_request request;
    rpc_request_init(&request);
    buffer_init(&call.request, REQUEST_BYTES_MAX);
    uint32_t refused = 0;
    for (const struct value *v = message.first; v != NULL; v = message_next(&message, v)) {
        struct reply reply;
        assert_non_null(reply_value);
        assert_true(reply_read(reply_value, &reply));
        if (method_prepare(v, &request, &call, &failure) == PREPARED_FAILURE) {
            refusal_compare(&request, &failure, &reply);
            refused++;
        } else if (reply.result == NULL) {
            assert_true(value_member(reply.data, "seq") != NULL); /* refused by the ledger */
        }
        reply_value = message.is_array ? value_next(reply_value) : NULL;
    }
    assert_null(reply_value);
    rpc_request_deinit(&request);
    buffer_deinit(&call.request);
    return refused;
}

static void every_example_is_valid(void **state)
{
    (void)state;
    const char *at = (const char *)document.data;
    struct text request_text, reply_text;
    uint32_t examples = 0;
    uint32_t refused = 0;
    while (fenced("\n```json request\n", &at, &request_text)) {
        assert_memory_equal(at, "\n```json reply\n", 15);
        assert_true(fenced("\n```json reply\n", &at, &reply_text));
        refused += example_check(request_text, reply_text);
        examples++;
    }
    assert_true(examples >= 30);
    assert_true(refused >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_row),
        cmocka_unit_test(every_method_has_its_section),
        cmocka_unit_test(every_example_is_valid),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
