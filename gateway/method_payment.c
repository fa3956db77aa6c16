/*
 * payment.create, payment.get, payment.list, and the fields of a payment (payment.batch uses them
 * too).
 */
#include "base/check.h"
#include "gateway/method_table.h"

#include <string.h>

enum {
    PAYMENT_ID,
    PAYMENT_DEBIT,
    PAYMENT_CREDIT,
    PAYMENT_AMOUNT,
    PAYMENT_CURRENCY,
    PAYMENT_LEGS,
    PAYMENT_VALID_UNTIL,
    PAYMENT_EFFECTIVE_AT,
    PAYMENT_REFERENCE,
    PAYMENT_METADATA
};

const struct field_spec payment_specs[] = {
    [PAYMENT_ID] = {"id", TYPE_UUID, true, "id of the payment and its idempotency key"},
    [PAYMENT_DEBIT] = {"debit", TYPE_ACCOUNT_ID, false, "short form: account to debit"},
    [PAYMENT_CREDIT] = {"credit", TYPE_ACCOUNT_ID, false, "short form: account to credit"},
    [PAYMENT_AMOUNT] = {"amount", TYPE_AMOUNT, false, "short form: minor units"},
    [PAYMENT_CURRENCY] = {"currency", TYPE_CURRENCY_CODE, false,
                          "short form: must be the currency of both accounts"},
    [PAYMENT_LEGS] = {"legs", TYPE_LEGS, false, "1 to 64 legs instead of the short form"},
    [PAYMENT_VALID_UNTIL] = {"valid_until", TYPE_TIME, false, "refused once log time is past it"},
    [PAYMENT_EFFECTIVE_AT] = {"effective_at", TYPE_TIME, false, "business time, only kept"},
    [PAYMENT_REFERENCE] = {"reference", TYPE_REFERENCE, false, "unique in the cluster when given"},
    [PAYMENT_METADATA] = {"metadata", TYPE_METADATA, false, "any object, kept byte for byte"},
};
const uint32_t payment_specs_count = ARRAY_COUNT(payment_specs);

enum { LEG_DEBIT, LEG_CREDIT, LEG_AMOUNT, LEG_CURRENCY };

const struct field_spec leg_specs[] = {
    [LEG_DEBIT] = {"debit", TYPE_ACCOUNT_ID, true, "account to debit"},
    [LEG_CREDIT] = {"credit", TYPE_ACCOUNT_ID, true, "account to credit"},
    [LEG_AMOUNT] = {"amount", TYPE_AMOUNT, true, "minor units"},
    [LEG_CURRENCY] = {"currency", TYPE_CURRENCY_CODE, false,
                      "must be the currency of both accounts"},
};
const uint32_t leg_specs_count = ARRAY_COUNT(leg_specs);

/* ---- one payment ---------------------------------------------------------------------------- */

/* Either legs or the short form, whole. */
static void form_check(struct fields *fields)
{
    static const uint32_t shorts[] = {PAYMENT_DEBIT, PAYMENT_CREDIT, PAYMENT_AMOUNT};
    if (fields->code != CODE_OK) {
        return;
    }
    if (!fields_has(fields, PAYMENT_LEGS)) {
        for (size_t i = 0; i < ARRAY_COUNT(shorts); i++) {
            if (!fields_has(fields, shorts[i])) {
                fields_fail(fields, shorts[i], CODE_MISSING_FIELD, NULL);
            }
        }
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(shorts); i++) {
        if (fields_has(fields, shorts[i])) {
            fields_fail(fields, PAYMENT_LEGS, CODE_FIELDS_EXCLUSIVE,
                        "legs exclude debit, credit and amount");
        }
    }
    if (fields_has(fields, PAYMENT_CURRENCY)) {
        fields_fail(fields, PAYMENT_CURRENCY, CODE_FIELDS_EXCLUSIVE,
                    "with legs the currency stands in each leg");
    }
}

static enum code leg_parse(const struct value *object, struct place place, struct leg *leg,
                           struct failure *failure)
{
    struct fields fields = fields_read(object, leg_specs, leg_specs_count, place, failure);
    leg->currency = TEXT("");
    fields_account_id(&fields, LEG_DEBIT, &leg->debit);
    fields_account_id(&fields, LEG_CREDIT, &leg->credit);
    fields_amount(&fields, LEG_AMOUNT, &leg->amount);
    fields_currency_code(&fields, LEG_CURRENCY, &leg->currency);
    return fields.code;
}

static void legs_parse(struct fields *fields, struct payment *payment)
{
    if (fields->code != CODE_OK) {
        return;
    }
    const struct value *legs = fields->values[PAYMENT_LEGS];
    if (value_kind(legs) != VALUE_ARRAY) {
        fields_fail(fields, PAYMENT_LEGS, CODE_FIELD_INVALID, "must be an array");
        return;
    }
    uint32_t count = value_count(legs);
    if (count == 0 || count > LEGS_MAX) {
        fields_fail(fields, PAYMENT_LEGS, CODE_TOO_MANY_LEGS, NULL);
        return;
    }
    struct place place = fields->place;
    payment->legs_count = count;
    place.leg = 0;
    for (const struct value *v = value_first(legs); v != NULL; v = value_next(v)) {
        fields->code = leg_parse(v, place, &payment->legs[place.leg], fields->failure);
        if (fields->code != CODE_OK) {
            return;
        }
        place.leg++;
    }
}

enum code payment_parse(const struct value *object, int32_t item, struct payment *payment,
                        struct failure *failure)
{
    struct fields fields = fields_read(object, payment_specs, payment_specs_count,
                                       (struct place){.item = item, .leg = -1}, failure);
    form_check(&fields);
    fields_uuid(&fields, PAYMENT_ID, &payment->id);
    payment->short_form = !fields_has(&fields, PAYMENT_LEGS);
    if (payment->short_form) {
        struct leg *leg = &payment->legs[0];
        payment->legs_count = 1;
        leg->currency = TEXT("");
        fields_account_id(&fields, PAYMENT_DEBIT, &leg->debit);
        fields_account_id(&fields, PAYMENT_CREDIT, &leg->credit);
        fields_amount(&fields, PAYMENT_AMOUNT, &leg->amount);
        fields_currency_code(&fields, PAYMENT_CURRENCY, &leg->currency);
    } else {
        legs_parse(&fields, payment);
    }
    payment->has_valid_until = fields_has(&fields, PAYMENT_VALID_UNTIL);
    payment->has_effective_at = fields_has(&fields, PAYMENT_EFFECTIVE_AT);
    payment->has_reference = fields_has(&fields, PAYMENT_REFERENCE);
    payment->has_metadata = fields_has(&fields, PAYMENT_METADATA);
    payment->valid_until_ns = 0;
    payment->effective_at_ns = 0;
    payment->reference = TEXT("");
    payment->metadata = TEXT("");
    fields_time(&fields, PAYMENT_VALID_UNTIL, &payment->valid_until_ns);
    fields_time(&fields, PAYMENT_EFFECTIVE_AT, &payment->effective_at_ns);
    fields_string(&fields, PAYMENT_REFERENCE, REFERENCE_BYTES_MAX, &payment->reference);
    fields_metadata(&fields, PAYMENT_METADATA, &payment->metadata);
    return fields.code;
}

/* ---- payment.create ------------------------------------------------------------------------- */

static enum code create_parse(const struct value *params, struct rpc_request *request,
                              struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    /* Not zeroed: 64 legs are 4 KiB, and payment_parse sets all that is used. */
    struct command command;
    command.kind = COMMAND_PAYMENT;
    enum code code = payment_parse(params, -1, &command.payment, failure);
    if (code != CODE_OK) {
        return code;
    }
    call->kind = CALL_EXECUTE;
    request_write_head(&call->request, REQUEST_SINGLE, 1);
    command_write(&call->request, &command);
    return CODE_OK;
}

static const struct field_spec create_results[] = {
    {"id", TYPE_UUID, true, "id of the payment"},
    {"status", TYPE_STRING, true, "posted"},
    FIELDS_POSITION,
    {"replayed", TYPE_BOOLEAN, true, "the outcome was recorded before"},
    {"balances", TYPE_ARRAY, true,
     "per account: account, posted, held, available; a replay has no held and available"},
};

const struct method method_payment_create = {
    .name = "payment.create",
    .summary = "Posts a payment: all its legs or none",
    .parse = create_parse,
    .params = payment_specs,
    .params_count = ARRAY_COUNT(payment_specs),
    .results = create_results,
    .results_count = ARRAY_COUNT(create_results),
};

/* ---- payment.get ---------------------------------------------------------------------------- */

enum { GET_ID, GET_MIN_SEQ };

static const struct field_spec get_specs[] = {
    {"id", TYPE_UUID, true, "id of the payment"},
    FIELDS_READ_MODE,
};

static const struct field_spec get_results[] = {
    {"id", TYPE_UUID, true, "id of the payment"},
    {"status", TYPE_STRING, true, "posted or refused"},
    FIELDS_POSITION,
    {"legs", TYPE_ARRAY, true,
     "per leg: debit, credit, amount, currency; posted: debit_balance, credit_balance, "
     "debit_entry, "
     "credit_entry"},
    {"balances", TYPE_ARRAY, false, "posted: per account: account, posted"},
    {"error", TYPE_OBJECT, false, "refused: the recorded error"},
    {"valid_until", TYPE_TIME, false, "as given"},
    {"effective_at", TYPE_TIME, false, "as given"},
    {"reference", TYPE_REFERENCE, false, "as given"},
    {"metadata", TYPE_METADATA, false, "as given"},
};

static enum code get_parse(const struct value *params, struct rpc_request *request,
                           struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    struct fields fields =
        fields_read(params, get_specs, ARRAY_COUNT(get_specs), PLACE_TOP, failure);
    call_set_query(call, QUERY_PAYMENT_GET);
    fields_uuid(&fields, GET_ID, &call->query.id);
    fields_read_mode(&fields, GET_MIN_SEQ, call);
    return fields.code;
}

const struct method method_payment_get = {
    .name = "payment.get",
    .summary = "One payment, posted or refused",
    .parse = get_parse,
    .params = get_specs,
    .params_count = ARRAY_COUNT(get_specs),
    .results = get_results,
    .results_count = ARRAY_COUNT(get_results),
};

/* ---- payment.list --------------------------------------------------------------------------- */

enum { LIST_ACCOUNT, LIST_LIMIT, LIST_CURSOR, LIST_MIN_SEQ };

static const struct field_spec list_specs[] = {
    {"account", TYPE_ACCOUNT_ID, true, "whose history"},
    {"limit", TYPE_LIMIT, false, "payments of one answer; default 100"},
    {"cursor", TYPE_CURSOR, false, "where an earlier answer ended; null: from the newest"},
    FIELDS_READ_MODE,
};

static enum code list_parse(const struct value *params, struct rpc_request *request,
                            struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    struct fields fields =
        fields_read(params, list_specs, ARRAY_COUNT(list_specs), PLACE_TOP, failure);
    struct text account = TEXT("");
    int64_t limit = LIST_ITEMS_DEFAULT;
    call_set_query(call, QUERY_PAYMENT_LIST);
    fields_account_id(&fields, LIST_ACCOUNT, &account);
    fields_integer(&fields, LIST_LIMIT, 1, LIST_ITEMS_MAX, &limit);
    fields_cursor(&fields, LIST_CURSOR, &call->query.cursor);
    fields_read_mode(&fields, LIST_MIN_SEQ, call);
    if (fields.code != CODE_OK) {
        return fields.code;
    }
    assert(account.size > 0 && account.size <= ACCOUNT_ID_BYTES_MAX);
    memcpy(call->query.account, account.data, account.size);
    call->query.account_size = (uint8_t)account.size;
    call->query.limit = (uint32_t)limit;
    return CODE_OK;
}

static const struct field_spec list_results[] = {
    {"payments", TYPE_ARRAY, true, "payments as payment.get shows them, newest first"},
    {"cursor", TYPE_CURSOR, true, "where the next answer goes on; null at the end"},
    FIELDS_POSITION,
};

const struct method method_payment_list = {
    .name = "payment.list",
    .summary = "An account's history, newest first, page by page",
    .parse = list_parse,
    .params = list_specs,
    .params_count = ARRAY_COUNT(list_specs),
    .results = list_results,
    .results_count = ARRAY_COUNT(list_results),
};
