/*
 * JSON-RPC 2.0 envelopes over values: requests and replies, and why a request was refused.
 */
#include "base/check.h"
#include "gateway/message.h"

#include <string.h>

/* ---- failures ------------------------------------------------------------------------------- */

static void text_cut(char *target, size_t target_size, const char *source)
{
    size_t size = source == NULL ? 0 : strlen(source);
    if (size >= target_size) {
        size = target_size - 1;
        while (size > 0 && ((unsigned char)source[size] & 0xC0) == 0x80) {
            size--;
        }
    }
    if (size > 0) {
        memcpy(target, source, size);
    }
    target[size] = '\0';
}

void failure_set(struct failure *failure, enum code code, const char *param, const char *message)
{
    assert(code != CODE_OK);
    failure->code = code;
    text_cut(failure->param, sizeof failure->param, param);
    text_cut(failure->message, sizeof failure->message, message);
}

static enum code fail(struct failure *failure, enum code code, const char *param,
                      const char *message)
{
    failure_set(failure, code, param, message);
    return code;
}

/* ---- requests ------------------------------------------------------------------------------- */

enum code message_read(struct message_reader *reader, struct text text, struct message *message,
                       struct failure *failure)
{
    const struct value *root = NULL;
    enum code code = message_parse(reader, text, &root, failure);
    if (code != CODE_OK) {
        return code;
    }
    if (value_kind(root) != VALUE_ARRAY) {
        *message = (struct message){.count = 1, .first = root};
        return CODE_OK;
    }
    uint32_t count = value_count(root);
    if (count == 0 || count > ENVELOPES_MAX) {
        return fail(failure, CODE_INVALID_REQUEST, NULL, "an array has 1 to 64 requests");
    }
    *message = (struct message){.is_array = true, .count = count, .first = value_first(root)};
    return CODE_OK;
}

const struct value *message_next(const struct message *message, const struct value *value)
{
    assert(message->count > 0);
    return message->is_array ? value_next(value) : NULL;
}

/* False where the value may not be an id. */
static bool request_id_read(const struct value *value, struct request_id *id)
{
    int64_t integer = 0;
    struct text text;
    if (value_kind(value) == VALUE_STRING) {
        text = value_text(value);
        id->kind = REQUEST_ID_STRING;
    } else if (value_integer(value, &integer)) {
        text = value_source(value);
        id->kind = REQUEST_ID_INTEGER;
    } else {
        return false;
    }
    if (text.size > REQUEST_ID_BYTES_MAX) {
        id->kind = REQUEST_ID_NULL;
        return false;
    }
    memcpy(id->text, text.data, text.size);
    id->size = (uint8_t)text.size;
    return true;
}

enum code envelope_read(const struct value *value, struct envelope *envelope,
                        struct failure *failure)
{
    *envelope = (struct envelope){.id = {.kind = REQUEST_ID_NULL}};
    if (value_kind(value) != VALUE_OBJECT) {
        return fail(failure, CODE_INVALID_REQUEST, NULL, "a request is an object");
    }
    const struct value *version = NULL, *id = NULL, *method = NULL, *unknown = NULL;
    for (const struct value *v = value_first(value); v != NULL; v = value_next(v)) {
        const char *name = value_name(v);
        if (strcmp(name, "jsonrpc") == 0) {
            version = v;
        } else if (strcmp(name, "id") == 0) {
            id = v;
        } else if (strcmp(name, "method") == 0) {
            method = v;
        } else if (strcmp(name, "params") == 0) {
            envelope->params = v;
        } else if (unknown == NULL) {
            unknown = v;
        }
    }
    if (id != NULL && !request_id_read(id, &envelope->id)) {
        return fail(failure, CODE_INVALID_REQUEST, "id",
                    "an id is a string of at most 64 bytes or an integer within 2^53");
    }
    if (version == NULL || !text_equal(value_text(version), TEXT("2.0"))) {
        return fail(failure, CODE_INVALID_REQUEST, "jsonrpc", "jsonrpc must be \"2.0\"");
    }
    if (method == NULL || value_kind(method) != VALUE_STRING) {
        return fail(failure, CODE_INVALID_REQUEST, "method", "method must be a string");
    }
    envelope->method = value_text(method);
    envelope->is_notification = id == NULL;
    if (envelope->is_notification) {
        return CODE_OK;
    }
    if (unknown != NULL) {
        return fail(failure, CODE_UNKNOWN_FIELD, value_name(unknown), NULL);
    }
    if (envelope->params != NULL && value_kind(envelope->params) != VALUE_OBJECT) {
        return fail(failure, CODE_FIELD_INVALID, "params", "params is an object of named fields");
    }
    return CODE_OK;
}

/* ---- client side ---------------------------------------------------------------------------- */

void message_write_request(struct buffer *out, uint64_t id, struct text method, struct text params)
{
    assert(id <= (uint64_t)JSON_INTEGER_MAX);
    struct json_writer writer = json_writer_of(out);
    json_object_open(&writer);
    json_field_string(&writer, "jsonrpc", "2.0");
    json_field_unsigned(&writer, "id", id);
    json_field_text(&writer, "method", method);
    if (params.size > 0) {
        json_key(&writer, "params");
        json_raw(&writer, params);
    }
    json_object_close(&writer);
}

static struct text text_member(const struct value *object, const char *name)
{
    const struct value *member = value_member(object, name);
    return member == NULL ? (struct text){.data = "", .size = 0} : value_text(member);
}

static bool reply_error_read(const struct value *error, struct reply *reply)
{
    const struct value *number = value_member(error, "code");
    if (number == NULL || !value_integer(number, &reply->rpc_number)) {
        return false;
    }
    reply->message = text_member(error, "message");
    const struct value *data = value_member(error, "data");
    if (data == NULL || value_kind(data) != VALUE_OBJECT) {
        return true;
    }
    reply->data = data;
    reply->code = text_member(data, "code");
    reply->param = text_member(data, "param");
    const struct value *member = value_member(data, "retryable");
    if (member != NULL) {
        (void)value_boolean(member, &reply->retryable);
    }
    bool recorded = false;
    member = value_member(data, "recorded");
    if (member != NULL && value_boolean(member, &recorded)) {
        reply->recorded = recorded ? YES : NO;
    }
    int64_t retry_after_ms = 0;
    member = value_member(data, "retry_after_ms");
    if (member != NULL && value_integer(member, &retry_after_ms) && retry_after_ms > 0 &&
        retry_after_ms <= UINT32_MAX) {
        reply->retry_after_ms = (uint32_t)retry_after_ms;
    }
    return true;
}

bool reply_read(const struct value *value, struct reply *reply)
{
    if (value_kind(value) != VALUE_OBJECT) {
        return false;
    }
    struct reply read = {.recorded = UNSURE};
    read.message = read.code = read.param = (struct text){.data = "", .size = 0};
    const struct value *id = value_member(value, "id");
    bool id_valid = id != NULL && (value_kind(id) == VALUE_NULL || request_id_read(id, &read.id));
    if (!id_valid || !text_equal(text_member(value, "jsonrpc"), TEXT("2.0"))) {
        return false;
    }
    read.result = value_member(value, "result");
    const struct value *error = value_member(value, "error");
    if ((read.result == NULL) == (error == NULL)) {
        return false;
    }
    if (error != NULL && !reply_error_read(error, &read)) {
        return false;
    }
    *reply = read;
    return true;
}

bool request_id_number(const struct request_id *id, uint64_t *number)
{
    int64_t integer = 0;
    struct text text = {.data = id->text, .size = id->size};
    if (id->kind != REQUEST_ID_INTEGER || !json_integer_parse(text, &integer) || integer < 0) {
        return false;
    }
    *number = (uint64_t)integer;
    return true;
}

void json_request_id(struct json_writer *writer, const struct request_id *id)
{
    struct text text = {.data = id->text, .size = id->size};
    switch ((enum request_id_kind)id->kind) {
    case REQUEST_ID_INTEGER:
        json_raw(writer, text);
        break;
    case REQUEST_ID_STRING:
        json_text(writer, text);
        break;
    case REQUEST_ID_NULL:
        json_null(writer);
        break;
    }
}
