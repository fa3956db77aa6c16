/*
 * currency.create, currency.list, account.open, account.get, account.list.
 */
#include "base/check.h"
#include "gateway/method_table.h"

#include <string.h>

static void command_request(struct call *call, const struct command *command)
{
    call->kind = CALL_EXECUTE;
    request_write_head(&call->request, REQUEST_SINGLE, 1);
    command_write(&call->request, command);
}

/* ---- currencies ----------------------------------------------------------------------------- */

enum { CREATE_CODE, CREATE_SCALE };

static const struct field_spec create_specs[] = {
    [CREATE_CODE] = {"code", TYPE_CURRENCY_CODE, true, "code of the currency"},
    [CREATE_SCALE] = {"scale", TYPE_SCALE, true, "decimals of its minor unit"},
};

static const struct field_spec create_results[] = {
    {"code", TYPE_CURRENCY_CODE, true, "code of the currency"},
    {"scale", TYPE_SCALE, true, "decimals of its minor unit"},
    FIELDS_POSITION,
    {"replayed", TYPE_BOOLEAN, true, "it existed already with the same fields"},
};

static enum code create_parse(const struct value *params, struct rpc_request *request,
                              struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    struct fields fields =
        fields_read(params, create_specs, ARRAY_COUNT(create_specs), PLACE_TOP, failure);
    struct command command = {.kind = COMMAND_CURRENCY_CREATE};
    int64_t scale = 0;
    fields_currency_code(&fields, CREATE_CODE, &command.currency_create.code);
    fields_integer(&fields, CREATE_SCALE, 0, CURRENCY_SCALE_MAX, &scale);
    if (fields.code != CODE_OK) {
        return fields.code;
    }
    command.currency_create.scale = (uint8_t)scale;
    command_request(call, &command);
    return CODE_OK;
}

const struct method method_currency_create = {
    .name = "currency.create",
    .summary = "Creates a currency; the same fields again give the same answer",
    .parse = create_parse,
    .params = create_specs,
    .params_count = ARRAY_COUNT(create_specs),
    .results = create_results,
    .results_count = ARRAY_COUNT(create_results),
};

/* ---- accounts ------------------------------------------------------------------------------- */

enum { OPEN_ID, OPEN_CURRENCY, OPEN_NORMAL, OPEN_OVERDRAFT };

static const struct field_spec open_specs[] = {
    [OPEN_ID] = {"id", TYPE_ACCOUNT_ID, true, "id of the new account"},
    [OPEN_CURRENCY] = {"currency", TYPE_CURRENCY_CODE, true, "its one currency"},
    [OPEN_NORMAL] = {"normal", TYPE_NORMAL, false, "the side on which it grows; default credit"},
    [OPEN_OVERDRAFT] = {"overdraft", TYPE_OVERDRAFT, false,
                        "how far available may reach below zero; default \"0\""},
};

#define FIELDS_ACCOUNT                                                                             \
    {"id", TYPE_ACCOUNT_ID, true, "id of the account"},                                            \
        {"currency", TYPE_CURRENCY_CODE, true, "its currency"},                                    \
        {"scale", TYPE_SCALE, true, "decimals of the currency"},                                   \
        {"normal", TYPE_NORMAL, true, "the side on which it grows"},                               \
        {"overdraft", TYPE_OVERDRAFT, true, "overdraft limit"},                                    \
        {"posted", TYPE_BALANCE, true, "balance on the normal side"},                              \
        {"held", TYPE_BALANCE, true, "outgoing holds"},                                            \
        {"available", TYPE_BALANCE_NULL, true, "posted - held + overdraft; null: unlimited"},      \
        {"debits_posted", TYPE_BALANCE, true, "sum of all debits"},                                \
        {"credits_posted", TYPE_BALANCE, true, "sum of all credits"},                              \
        {"debits_held", TYPE_BALANCE, true, "debits on hold"},                                     \
        {"credits_held", TYPE_BALANCE, true, "credits on hold"},                                   \
        {"entries", TYPE_INTEGER, true, "entries of its history"},                                 \
        {"opened_seq", TYPE_INTEGER, true, "seq of its opening"},                                  \
    {                                                                                              \
        "opened_at", TYPE_TIME, true, "log time of its opening"                                    \
    }

static const struct field_spec open_results[] = {
    FIELDS_ACCOUNT,
    FIELDS_POSITION,
    {"replayed", TYPE_BOOLEAN, true, "it was open already with the same fields"},
};

/* "0", a positive amount, or "unlimited". */
static void overdraft_read(struct fields *fields, struct account_open *open)
{
    if (fields->code != CODE_OK || !fields_has(fields, OPEN_OVERDRAFT)) {
        return;
    }
    const struct value *value = fields->values[OPEN_OVERDRAFT];
    if (text_equal(value_text(value), TEXT("unlimited"))) {
        open->overdraft_kind = OVERDRAFT_UNLIMITED;
        return;
    }
    enum code code = amount_read(value, &open->overdraft_limit);
    if (code != CODE_OK && code != CODE_AMOUNT_ZERO) {
        const char *message = code == CODE_AMOUNT_INVALID
                                  ? "an overdraft is \"0\", an amount, or \"unlimited\""
                                  : NULL;
        fields_fail(fields, OPEN_OVERDRAFT, code, message);
    }
}

static enum code open_parse(const struct value *params, struct rpc_request *request,
                            struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    static const char *const normals[] = {"credit", "debit"};
    struct fields fields =
        fields_read(params, open_specs, ARRAY_COUNT(open_specs), PLACE_TOP, failure);
    struct command command = {.kind = COMMAND_ACCOUNT_OPEN};
    struct account_open *open = &command.account_open;
    uint32_t normal = 0;
    fields_account_id(&fields, OPEN_ID, &open->id);
    fields_currency_code(&fields, OPEN_CURRENCY, &open->currency);
    fields_choice(&fields, OPEN_NORMAL, normals, ARRAY_COUNT(normals),
                  "must be \"credit\" or \"debit\"", &normal);
    overdraft_read(&fields, open);
    if (fields.code != CODE_OK) {
        return fields.code;
    }
    open->debit_normal = normal == 1;
    command_request(call, &command);
    return CODE_OK;
}

const struct method method_account_open = {
    .name = "account.open",
    .summary = "Opens an account; the same fields again give the same answer",
    .parse = open_parse,
    .params = open_specs,
    .params_count = ARRAY_COUNT(open_specs),
    .results = open_results,
    .results_count = ARRAY_COUNT(open_results),
};

enum { GET_ID, GET_MIN_SEQ };

static const struct field_spec get_specs[] = {
    {"id", TYPE_ACCOUNT_ID, true, "id of the account"},
    FIELDS_READ_MODE,
};

static const struct field_spec get_results[] = {FIELDS_ACCOUNT, FIELDS_POSITION};

static enum code get_parse(const struct value *params, struct rpc_request *request,
                           struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    struct fields fields =
        fields_read(params, get_specs, ARRAY_COUNT(get_specs), PLACE_TOP, failure);
    struct text id = TEXT("");
    call_set_query(call, QUERY_ACCOUNT_GET);
    fields_account_id(&fields, GET_ID, &id);
    fields_read_mode(&fields, GET_MIN_SEQ, call);
    if (fields.code != CODE_OK) {
        return fields.code;
    }
    assert(id.size > 0 && id.size <= ACCOUNT_ID_BYTES_MAX);
    memcpy(call->query.account, id.data, id.size);
    call->query.account_size = (uint8_t)id.size;
    return CODE_OK;
}

const struct method method_account_get = {
    .name = "account.get",
    .summary = "One account with its balances",
    .parse = get_parse,
    .params = get_specs,
    .params_count = ARRAY_COUNT(get_specs),
    .results = get_results,
    .results_count = ARRAY_COUNT(get_results),
};

/* ---- lists ---------------------------------------------------------------------------------- */

enum { LIST_LIMIT, LIST_CURSOR, LIST_MIN_SEQ };

static const struct field_spec list_specs[] = {
    {"limit", TYPE_LIMIT, false, "rows of one answer; default 100"},
    {"cursor", TYPE_CURSOR, false, "where an earlier answer ended; null: from the start"},
    FIELDS_READ_MODE,
};

static enum code list_parse(const struct value *params, enum query_kind kind, struct call *call,
                            struct failure *failure)
{
    struct fields fields =
        fields_read(params, list_specs, ARRAY_COUNT(list_specs), PLACE_TOP, failure);
    int64_t limit = LIST_ITEMS_DEFAULT;
    call_set_query(call, kind);
    fields_integer(&fields, LIST_LIMIT, 1, LIST_ITEMS_MAX, &limit);
    fields_cursor(&fields, LIST_CURSOR, &call->query.cursor);
    fields_read_mode(&fields, LIST_MIN_SEQ, call);
    call->query.limit = (uint32_t)limit;
    return fields.code;
}

static enum code account_list_parse(const struct value *params, struct rpc_request *request,
                                    struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    return list_parse(params, QUERY_ACCOUNT_LIST, call, failure);
}

static const struct field_spec account_list_results[] = {
    {"accounts", TYPE_ARRAY, true, "accounts as account.get shows them, in order of opening"},
    {"cursor", TYPE_CURSOR, true, "where the next answer goes on; null at the end"},
    FIELDS_POSITION,
};

const struct method method_account_list = {
    .name = "account.list",
    .summary = "All accounts, page by page",
    .parse = account_list_parse,
    .params = list_specs,
    .params_count = ARRAY_COUNT(list_specs),
    .results = account_list_results,
    .results_count = ARRAY_COUNT(account_list_results),
};

static enum code currency_list_parse(const struct value *params, struct rpc_request *request,
                                     struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    return list_parse(params, QUERY_CURRENCY_LIST, call, failure);
}

static const struct field_spec currency_list_results[] = {
    {"currencies", TYPE_ARRAY, true,
     "currencies with code, scale, accounts, created_seq, created_at"},
    {"cursor", TYPE_CURSOR, true, "where the next answer goes on; null at the end"},
    FIELDS_POSITION,
};

const struct method method_currency_list = {
    .name = "currency.list",
    .summary = "All currencies, page by page",
    .parse = currency_list_parse,
    .params = list_specs,
    .params_count = ARRAY_COUNT(list_specs),
    .results = currency_list_results,
    .results_count = ARRAY_COUNT(currency_list_results),
};
