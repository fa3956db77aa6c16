/*
 * payment.batch: up to 8,192 payments in one request.
 *
 * Atomic: a malformed item refuses the whole call. Independent: it gets its own error, which is
 * kept beside the call (rpc_request.refused), and the rest is executed; the answer puts both
 * together in item order.
 */
#include "base/check.h"
#include "gateway/method_table.h"

enum { BATCH_MODE, BATCH_ITEMS };

static const struct field_spec batch_specs[] = {
    [BATCH_MODE] = {"mode", TYPE_MODE, true, "independent: each item alone; atomic: all or none"},
    [BATCH_ITEMS] = {"items", TYPE_ITEMS, true, "1 to 8192 payments"},
};

static const struct field_spec batch_results[] = {
    {"results", TYPE_ARRAY, true, "per item, in order: {result} as of payment.create, or {error}"},
    {"seq", TYPE_INTEGER, false, "of the state after the batch"},
    {"term", TYPE_INTEGER, false, "raft term"},
    {"time", TYPE_TIME, false, "log time"},
};

/* The head was written for all items; some were refused: write it anew for the others. */
static void head_correct(struct buffer *out, size_t head_size, uint32_t count)
{
    struct buffer corrected;
    buffer_init(&corrected, out->size_max);
    request_write_head(&corrected, REQUEST_INDEPENDENT, count);
    write_bytes(&corrected, out->data + head_size, out->size - head_size);
    buffer_swap(out, &corrected);
    buffer_deinit(&corrected);
}

static enum code items_parse(const struct value *items, bool atomic, struct rpc_request *request,
                             struct call *call, struct failure *failure)
{
    struct buffer *out = &call->request;
    assert(out->size == 0);
    request_write_head(out, atomic ? REQUEST_ATOMIC : REQUEST_INDEPENDENT, request->items_count);
    size_t head_size = out->size;
    struct command command; /* payment_parse sets all that is used */
    command.kind = COMMAND_PAYMENT;
    int32_t index = 0;
    for (const struct value *v = value_first(items); v != NULL; v = value_next(v)) {
        enum code code = payment_parse(v, index, &command.payment, failure);
        if (code == CODE_OK) {
            command_write(out, &command);
        } else if (atomic) {
            return code;
        } else {
            refused_item_write(&request->refused, (uint32_t)index, failure);
            request->refused_count++;
        }
        index++;
    }
    assert((uint32_t)index == request->items_count);
    if (out->failed || request->refused.failed) {
        failure_set(failure, CODE_OVERLOADED, NULL, NULL);
        return CODE_OVERLOADED;
    }
    if (request->refused_count > 0 && request->refused_count < request->items_count) {
        head_correct(out, head_size, request->items_count - request->refused_count);
    }
    return CODE_OK;
}

static enum code batch_parse(const struct value *params, struct rpc_request *request,
                             struct call *call, bool *immediate, struct failure *failure)
{
    static const char *const modes[] = {"independent", "atomic"};
    struct fields fields =
        fields_read(params, batch_specs, ARRAY_COUNT(batch_specs), PLACE_TOP, failure);
    uint32_t mode = 0;
    fields_choice(&fields, BATCH_MODE, modes, ARRAY_COUNT(modes),
                  "must be \"independent\" or \"atomic\"", &mode);
    if (fields.code != CODE_OK) {
        return fields.code;
    }
    const struct value *items = fields.values[BATCH_ITEMS];
    if (value_kind(items) != VALUE_ARRAY) {
        fields_fail(&fields, BATCH_ITEMS, CODE_FIELD_INVALID, "must be an array");
        return fields.code;
    }
    uint32_t count = value_count(items);
    if (count == 0 || count > BATCH_ITEMS_MAX) {
        fields_fail(&fields, BATCH_ITEMS, CODE_TOO_MANY_ITEMS, NULL);
        return fields.code;
    }
    request->items_count = count;
    call->kind = CALL_EXECUTE;
    enum code code = items_parse(items, mode == 1, request, call, failure);
    if (code == CODE_OK && request->refused_count == count) {
        *immediate = true; /* nothing is left to execute */
    }
    return code;
}

const struct method method_payment_batch = {
    .name = "payment.batch",
    .summary = "Posts many payments in one request",
    .parse = batch_parse,
    .params = batch_specs,
    .params_count = ARRAY_COUNT(batch_specs),
    .results = batch_results,
    .results_count = ARRAY_COUNT(batch_results),
};
