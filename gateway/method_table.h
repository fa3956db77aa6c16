/*
 * One row per method: its name, its fields, its parser. The rows make the dispatch, the strict
 * check of fields, and the OpenRPC document. Private to gateway/method*.c and gateway/discover.c.
 */
#ifndef GATEWAY_METHOD_TABLE_H
#define GATEWAY_METHOD_TABLE_H

#include "gateway/fields.h"
#include "gateway/method.h"

struct method {
    const char *name;
    const char *summary;
    /*
     * Turns params (an object or NULL) into the call's question. Returns CODE_OK or the code of
     * *failure; *immediate is set where no call is needed.
     */
    enum code (*parse)(const struct value *params, struct rpc_request *request, struct call *call,
                       bool *immediate, struct failure *failure);
    const struct field_spec *params;
    uint32_t params_count;
    const struct field_spec *results;
    uint32_t results_count;
};

const struct method *method_row(enum method_kind kind);

/* The rows, in their own files. */
extern const struct method method_currency_create;
extern const struct method method_currency_list;
extern const struct method method_account_open;
extern const struct method method_account_get;
extern const struct method method_account_list;
extern const struct method method_payment_create;
extern const struct method method_payment_batch;
extern const struct method method_payment_get;
extern const struct method method_payment_list;
extern const struct method method_ledger_totals;
extern const struct method method_ledger_info;
extern const struct method method_ledger_digest;
extern const struct method method_cluster_status;
extern const struct method method_rpc_discover;

/* The fields of one payment and of one leg: params of payment.create, items of payment.batch. */
extern const struct field_spec payment_specs[];
extern const uint32_t payment_specs_count;
extern const struct field_spec leg_specs[];
extern const uint32_t leg_specs_count;

/* Reads one payment; texts are borrowed from the message. */
enum code payment_parse(const struct value *object, int32_t item, struct payment *payment,
                        struct failure *failure);

/* Every read takes these two fields, one after the other; `index` is that of the first. */
#define FIELDS_READ_MODE                                                                           \
    {"min_seq", TYPE_INTEGER, false, "the state must include this seq"},                           \
    {                                                                                              \
        "stale", TYPE_BOOLEAN, false, "read this node's state at once"                             \
    }
void fields_read_mode(struct fields *fields, uint32_t index, struct call *call);

/* Fields of the state that was read, or of an outcome's entry. */
#define FIELDS_POSITION                                                                            \
    {"seq", TYPE_INTEGER, true, "sequence number"}, {"term", TYPE_INTEGER, true, "raft term"},     \
    {                                                                                              \
        "time", TYPE_TIME, true, "log time"                                                        \
    }

/* Gives the call a query of this kind. */
void call_set_query(struct call *call, enum query_kind kind);

/* What the parser refused of an independent batch, in item order (rpc_request.refused). */
struct refused_item {
    uint32_t index;
    enum code code;
    struct text param;
    struct text message;
};
void refused_item_write(struct buffer *out, uint32_t index, const struct failure *failure);
/* False where the buffer ends. */
bool refused_item_read(struct reader *reader, struct refused_item *item);

/* ---- the document (discover.c) -------------------------------------------------------------- */

/* Writes the OpenRPC document as one JSON value. */
void discover_write(struct json_writer *writer);

#endif
