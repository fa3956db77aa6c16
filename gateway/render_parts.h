/*
 * Pieces of replies that several files write. Private to gateway/render*.c.
 */
#ifndef GATEWAY_RENDER_PARTS_H
#define GATEWAY_RENDER_PARTS_H

#include "gateway/json.h"
#include "gateway/render.h"
#include "ledger/outcome.h"

/* Where in the ledger's history an answer stands. */
struct position_shown {
    uint64_t seq; /* 0: none, nothing is shown */
    uint64_t term;
    int64_t time_ns;
};

/* What an error object says. */
struct error_shown {
    enum code code;
    struct text message; /* empty: the code's own text */
    struct text param;   /* empty: left out */
    struct text account; /* insufficient_funds: whose, and how much; empty: left out */
    struct text currency;
    i128 available;
    u128 needed;
    bool has_position;
    struct position_shown position;
    bool has_replayed;
    bool replayed;
    uint32_t retry_after_ms; /* 0: left out */
};

/* {"jsonrpc":"2.0","id":... ; the caller goes on with a result or error and reply_end. */
struct json_writer reply_begin(const struct rpc_request *request, struct buffer *out);
void reply_end(struct json_writer *writer);

/* "error":{...} as a field. */
void error_write(struct json_writer *writer, const struct error_shown *error);
/* A whole reply that is an error. */
void error_reply(const struct rpc_request *request, const struct error_shown *error,
                 struct buffer *out);

/* seq, term, time as fields. */
void position_write(struct json_writer *writer, const struct position_shown *position);

/*
 * "error":{...} of a refused outcome. prefix: of the path ("items[3]."). state: shown by refusals
 * that rest on the ledger without a seq of their own.
 */
void outcome_error_write(struct json_writer *writer, const struct outcome *outcome,
                         const char *prefix, const struct position_shown *state);

/* Fields of an account, without braces: the rest of its object is the caller's. */
void account_write(struct json_writer *writer, const struct account_view *view);
/* "balances":[...] */
void balances_write(struct json_writer *writer, const struct outcome *outcome);

/* One reply each; false where the answer's bytes are damaged (out is then to be cut back). */
bool execute_write(const struct rpc_request *request, const struct call *call, struct buffer *out,
                   bool *is_error);
bool read_write(const struct rpc_request *request, const struct call *call, struct buffer *out,
                bool *is_error);

/* {"results":[...]} of a batch as one value, from outcomes and refused items. */
bool batch_write(struct json_writer *writer, const struct rpc_request *request,
                 const struct call *call);

/* The result of cluster.status as one value. */
void status_write(struct json_writer *writer, const struct cluster_status *status);

#endif
