/*
 * One client message through the whole text half: envelopes, methods, fields. Whatever is accepted
 * gives a request form that the ledger's reader takes; whatever is refused gives a reply that the
 * client's reader takes; and the check never disagrees with the tree's parser about a text.
 */
#include "base/check.h"
#include "gateway/glance.h"
#include "gateway/render.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request_check(const struct call *call)
{
    struct reader form = reader_of(call->request.data, call->request.size);
    enum request_mode mode;
    uint32_t count = 0;
    enum status status = request_read_head(&form, &mode, &count);
    assert(status == STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        static struct command command;
        status = command_read(&form, &command);
        assert(status == STATUS_OK);
    }
    assert(reader_left(&form) == 0);
}

static void reply_check(struct message_reader *reader, const struct buffer *out)
{
    const struct value *root = NULL;
    struct failure failure;
    struct reply reply;
    assert(!out->failed);
    enum code code =
        message_parse(reader, (struct text){(const char *)out->data, out->size}, &root, &failure);
    assert(code == CODE_OK);
    bool is_reply = reply_read(root, &reply);
    assert(is_reply);
}

static void status_none(void *data, struct cluster_status *status)
{
    (void)data;
    *status = (struct cluster_status){.node = 1};
}

/* One request; false where a reply was written (and the message's values are gone). */
static bool request_run(struct message_reader *reply_reader, const struct value *value,
                        struct rpc_request *request, struct call *call, struct buffer *out)
{
    const struct gateway_backend backend = {.status = status_none};
    struct failure failure = {.code = CODE_OK};
    buffer_clear(out);
    switch (method_prepare(value, request, call, &failure)) {
    case PREPARED_NOTIFICATION:
        return true;
    case PREPARED_FAILURE:
        assert(failure.code != CODE_INTERNAL && code_info(failure.code) != NULL);
        render_failure(request, &failure, out);
        break;
    case PREPARED_IMMEDIATE:
        render_immediate(request, &backend, out);
        break;
    case PREPARED_CALL:
        if (call->kind == CALL_EXECUTE) {
            request_check(call);
        }
        return true;
    }
    reply_check(reply_reader, out);
    return false;
}

/* What is seen at a glance is what the parser finds, where that accepts the text at all. */
static void glance_check(struct text text, const struct message *message)
{
    struct request_id id;
    struct text method;
    struct envelope envelope;
    struct failure failure;
    if (!glance(text, &id, &method)) {
        return;
    }
    assert(!message->is_array);
    if (envelope_read(message->first, &envelope, &failure) != CODE_OK) {
        return;
    }
    assert(!envelope.is_notification && text_equal(envelope.method, method));
    assert(envelope.id.kind == id.kind && envelope.id.size == id.size);
    assert(memcmp(envelope.id.text, id.text, id.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct message_reader *reader;
    static struct message_reader *reply_reader;
    if (reader == NULL) {
        enum status status = message_reader_open(&reader, MESSAGE_BYTES_MAX);
        assert(status == STATUS_OK);
        status = message_reader_open(&reply_reader, SESSION_WRITE_BYTES_MAX);
        assert(status == STATUS_OK);
    }
    struct rpc_request request;
    static struct call call;
    struct buffer out;
    rpc_request_init(&request);
    buffer_init(&call.request, REQUEST_BYTES_MAX);
    buffer_init(&out, SESSION_WRITE_BYTES_MAX);
    struct message message;
    struct failure failure;
    struct text text = {(const char *)data, size};
    enum code code = message_read(reader, text, &message, &failure);
    assert(code != CODE_INTERNAL);
    if (code != CODE_OK) {
        render_failure(NULL, &failure, &out);
        reply_check(reply_reader, &out);
    } else {
        glance_check(text, &message);
        for (const struct value *v = message.first; v != NULL; v = message_next(&message, v)) {
            (void)request_run(reply_reader, v, &request, &call, &out);
        }
    }
    rpc_request_deinit(&request);
    buffer_deinit(&call.request);
    buffer_deinit(&out);
    return 0;
}
