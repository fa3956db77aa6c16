/*
 * The methods of the protocol: one table, and from a parsed request to a call for the node.
 * Checks here need no ledger state (DESIGN.md section 3, step 4); what fails is never recorded.
 */
#ifndef GATEWAY_METHOD_H
#define GATEWAY_METHOD_H

#include "gateway/gateway.h"
#include "gateway/message.h"

enum method_kind {
    METHOD_CURRENCY_CREATE,
    METHOD_CURRENCY_LIST,
    METHOD_ACCOUNT_OPEN,
    METHOD_ACCOUNT_GET,
    METHOD_ACCOUNT_LIST,
    METHOD_PAYMENT_CREATE,
    METHOD_PAYMENT_BATCH,
    METHOD_PAYMENT_GET,
    METHOD_PAYMENT_LIST,
    METHOD_LEDGER_TOTALS,
    METHOD_LEDGER_INFO,
    METHOD_LEDGER_DIGEST,
    METHOD_CLUSTER_STATUS,
    METHOD_RPC_DISCOVER,
    METHOD_COUNT
};

/* What the answer to a request needs to know of it; the worker keeps it beside the call. */
struct rpc_request {
    struct request_id id;
    bool has_method; /* else it was refused before its method was known */
    enum method_kind method;
    uint32_t items_count;   /* payment.batch: all items, refused ones included */
    uint32_t refused_count; /* payment.batch, independent: items refused by the parser */
    struct buffer refused;  /* and their failures, in item order (private to method and render) */
};

/* Takes no memory. */
void rpc_request_init(struct rpc_request *request);
void rpc_request_deinit(struct rpc_request *request);

enum prepared {
    PREPARED_NOTIFICATION, /* count it, answer nothing */
    PREPARED_FAILURE,      /* render_failure(request, failure) */
    PREPARED_IMMEDIATE,    /* render_immediate(request): no call is needed */
    PREPARED_CALL          /* submit the call, later render_answer(request, call) */
};

/*
 * One request of a message (message->first, message_next): envelope, method, fields. Fills request
 * (an inited one) and, for PREPARED_CALL, of the call only: kind, request (a buffer inited by the
 * caller; cleared first), query, read_mode, min_seq. Borrows nothing from the message afterwards.
 */
enum prepared method_prepare(const struct value *value, struct rpc_request *request,
                             struct call *call, struct failure *failure);

/* Which method has this name; false where there is none. */
bool method_find(struct text name, enum method_kind *method);
const char *method_name(enum method_kind method);
/* True where its calls are CALL_EXECUTE. */
bool method_executes(enum method_kind method);

#endif
