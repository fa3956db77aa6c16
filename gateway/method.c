/*
 * From one request of a message to a call: the envelope, the method's row, the row's parser.
 */
#include "gateway/method.h"

#include "base/check.h"
#include "gateway/method_table.h"

#include <string.h>

/* Items refused by the parser: index and code, and the failure's texts. */
enum {
    REFUSED_ITEM_BYTES_MAX = 32 + FAILURE_PARAM_BYTES_MAX + FAILURE_MESSAGE_BYTES_MAX,
    REFUSED_BYTES_MAX = BATCH_ITEMS_MAX * REFUSED_ITEM_BYTES_MAX
};

static const struct method *const rows[METHOD_COUNT] = {
    [METHOD_CURRENCY_CREATE] = &method_currency_create,
    [METHOD_CURRENCY_LIST] = &method_currency_list,
    [METHOD_ACCOUNT_OPEN] = &method_account_open,
    [METHOD_ACCOUNT_GET] = &method_account_get,
    [METHOD_ACCOUNT_LIST] = &method_account_list,
    [METHOD_PAYMENT_CREATE] = &method_payment_create,
    [METHOD_PAYMENT_BATCH] = &method_payment_batch,
    [METHOD_PAYMENT_GET] = &method_payment_get,
    [METHOD_PAYMENT_LIST] = &method_payment_list,
    [METHOD_LEDGER_TOTALS] = &method_ledger_totals,
    [METHOD_LEDGER_INFO] = &method_ledger_info,
    [METHOD_LEDGER_DIGEST] = &method_ledger_digest,
    [METHOD_CLUSTER_STATUS] = &method_cluster_status,
    [METHOD_RPC_DISCOVER] = &method_rpc_discover,
};

const struct method *method_row(enum method_kind kind)
{
    assert(kind < METHOD_COUNT);
    assert(rows[kind] != NULL);
    return rows[kind];
}

const char *method_name(enum method_kind method)
{
    return method_row(method)->name;
}

bool method_find(struct text name, enum method_kind *method)
{
    for (uint32_t i = 0; i < METHOD_COUNT; i++) {
        if (text_equal(name, text_of(rows[i]->name))) {
            *method = (enum method_kind)i;
            return true;
        }
    }
    return false;
}

bool method_executes(enum method_kind method)
{
    return method == METHOD_PAYMENT_CREATE || method == METHOD_PAYMENT_BATCH ||
           method == METHOD_ACCOUNT_OPEN || method == METHOD_CURRENCY_CREATE;
}

void rpc_request_init(struct rpc_request *request)
{
    *request = (struct rpc_request){.id = {.kind = REQUEST_ID_NULL}};
    buffer_init(&request->refused, REFUSED_BYTES_MAX);
}

void rpc_request_deinit(struct rpc_request *request)
{
    buffer_deinit(&request->refused);
}

enum prepared method_prepare(const struct value *value, struct rpc_request *request,
                             struct call *call, struct failure *failure)
{
    request->has_method = false;
    request->items_count = 0;
    request->refused_count = 0;
    buffer_clear(&request->refused);
    struct envelope envelope;
    enum code code = envelope_read(value, &envelope, failure);
    request->id = envelope.id;
    if (code != CODE_OK) {
        return PREPARED_FAILURE;
    }
    if (envelope.is_notification) {
        return PREPARED_NOTIFICATION;
    }
    if (!method_find(envelope.method, &request->method)) {
        failure_set(failure, CODE_METHOD_NOT_FOUND, NULL, NULL);
        return PREPARED_FAILURE;
    }
    request->has_method = true;
    buffer_clear(&call->request);
    call->read_mode = READ_LINEARIZABLE;
    call->min_seq = 0;
    bool immediate = false;
    code = rows[request->method]->parse(envelope.params, request, call, &immediate, failure);
    if (code != CODE_OK) {
        return PREPARED_FAILURE;
    }
    if (immediate) {
        return PREPARED_IMMEDIATE;
    }
    if (call->kind == CALL_EXECUTE && call->request.failed) {
        failure_set(failure, CODE_OVERLOADED, NULL, NULL);
        return PREPARED_FAILURE;
    }
    return PREPARED_CALL;
}

void fields_read_mode(struct fields *fields, uint32_t index, struct call *call)
{
    const uint32_t stale_index = index + 1;
    if (fields_has(fields, index) && fields_has(fields, stale_index)) {
        fields_fail(fields, stale_index, CODE_FIELDS_EXCLUSIVE,
                    "min_seq and stale exclude each other");
        return;
    }
    int64_t min_seq = 0;
    bool stale = false;
    fields_integer(fields, index, 0, JSON_INTEGER_MAX, &min_seq);
    fields_boolean(fields, stale_index, &stale);
    if (fields_has(fields, index)) {
        call->read_mode = READ_MIN_SEQ;
        call->min_seq = (uint64_t)min_seq;
    } else if (stale) {
        call->read_mode = READ_STALE;
    }
}

void call_set_query(struct call *call, enum query_kind kind)
{
    call->query = (struct query){.kind = kind, .limit = LIST_ITEMS_DEFAULT};
    call->kind = query_is_scan(&call->query) ? CALL_SCAN : CALL_READ;
}

void refused_item_write(struct buffer *out, uint32_t index, const struct failure *failure)
{
    assert(index < BATCH_ITEMS_MAX);
    write_u32(out, index);
    write_u32(out, failure->code);
    write_text(out, text_of(failure->param));
    write_text(out, text_of(failure->message));
}

bool refused_item_read(struct reader *reader, struct refused_item *item)
{
    if (reader_left(reader) == 0) {
        return false;
    }
    item->index = read_u32(reader);
    item->code = (enum code)read_u32(reader);
    item->param = read_text(reader, FAILURE_PARAM_BYTES_MAX);
    item->message = read_text(reader, FAILURE_MESSAGE_BYTES_MAX);
    assert(!reader->failed); /* our own bytes */
    return true;
}
