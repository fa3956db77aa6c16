/*
 * ledger.totals, ledger.info, ledger.digest, cluster.status, rpc.discover: questions about the
 * whole.
 */
#include "base/check.h"
#include "gateway/method_table.h"

enum { READ_MIN_SEQ_INDEX = 0 };

static const struct field_spec read_specs[] = {FIELDS_READ_MODE};

static enum code read_parse(const struct value *params, enum query_kind kind, struct call *call,
                            struct failure *failure)
{
    struct fields fields =
        fields_read(params, read_specs, ARRAY_COUNT(read_specs), PLACE_TOP, failure);
    call_set_query(call, kind);
    fields_read_mode(&fields, READ_MIN_SEQ_INDEX, call);
    return fields.code;
}

static enum code totals_parse(const struct value *params, struct rpc_request *request,
                              struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    return read_parse(params, QUERY_TOTALS, call, failure);
}

static const struct field_spec totals_results[] = {
    {"totals", TYPE_ARRAY, true,
     "per currency: currency, scale, debits_posted, credits_posted, debits_held, credits_held, "
     "accounts"},
    FIELDS_POSITION,
};

const struct method method_ledger_totals = {
    .name = "ledger.totals",
    .summary = "Sums over all accounts of each currency; debits equal credits",
    .parse = totals_parse,
    .params = read_specs,
    .params_count = ARRAY_COUNT(read_specs),
    .results = totals_results,
    .results_count = ARRAY_COUNT(totals_results),
};

static enum code info_parse(const struct value *params, struct rpc_request *request,
                            struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    return read_parse(params, QUERY_INFO, call, failure);
}

static const struct field_spec info_results[] = {
    {"accounts", TYPE_INTEGER, true, "accounts opened"},
    {"payments", TYPE_INTEGER, true, "payments recorded, refused ones included"},
    {"currencies", TYPE_INTEGER, true, "currencies created"},
    {"digest", TYPE_DIGEST, true, "digest of the state at seq"},
    FIELDS_POSITION,
};

const struct method method_ledger_info = {
    .name = "ledger.info",
    .summary = "Counts of what the ledger holds",
    .parse = info_parse,
    .params = read_specs,
    .params_count = ARRAY_COUNT(read_specs),
    .results = info_results,
    .results_count = ARRAY_COUNT(info_results),
};

static enum code digest_parse(const struct value *params, struct rpc_request *request,
                              struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)immediate;
    return read_parse(params, QUERY_DIGEST, call, failure);
}

static const struct field_spec digest_results[] = {
    {"digest", TYPE_DIGEST, true, "the asked node's own digest of the state at seq"},
    FIELDS_POSITION,
};

const struct method method_ledger_digest = {
    .name = "ledger.digest",
    .summary = "The asked node's digest; equal on all nodes at the same seq",
    .parse = digest_parse,
    .params = read_specs,
    .params_count = ARRAY_COUNT(read_specs),
    .results = digest_results,
    .results_count = ARRAY_COUNT(digest_results),
};

/* ---- answered without a call ---------------------------------------------------------------- */

static enum code nothing_parse(const struct value *params, struct rpc_request *request,
                               struct call *call, bool *immediate, struct failure *failure)
{
    (void)request;
    (void)call;
    struct fields fields = fields_read(params, NULL, 0, PLACE_TOP, failure);
    *immediate = true;
    return fields.code;
}

static const struct field_spec status_results[] = {
    {"cluster", TYPE_STRING, true, "name of the cluster"},
    {"cluster_id", TYPE_DIGEST, true, "id of the cluster"},
    {"node", TYPE_INTEGER, true, "the asked node"},
    {"leader", TYPE_INTEGER_NULL, true, "the leader it knows; null: none"},
    {"term", TYPE_INTEGER, true, "the term of that leader"},
    {"ready", TYPE_BOOLEAN, true, "the asked node can serve"},
    {"reason", TYPE_STRING, true, "why it is not ready; empty where it is"},
    {"nodes", TYPE_ARRAY, true,
     "per node: id, role, term, seq, index, digest, reachable, clock_offset_ns, client, counters"},
    {"counters", TYPE_OBJECT, true, "counters of the asked node"},
};

const struct method method_cluster_status = {
    .name = "cluster.status",
    .summary = "The cluster as the asked node sees it",
    .parse = nothing_parse,
    .results = status_results,
    .results_count = ARRAY_COUNT(status_results),
};

static const struct field_spec discover_results[] = {
    {"openrpc", TYPE_STRING, true, "version of the OpenRPC specification"},
    {"info", TYPE_OBJECT, true, "title and version"},
    {"methods", TYPE_ARRAY, true, "all methods with their params and results"},
    {"components", TYPE_OBJECT, true, "schemas and errors"},
};

const struct method method_rpc_discover = {
    .name = "rpc.discover",
    .summary = "This document",
    .parse = nothing_parse,
    .results = discover_results,
    .results_count = ARRAY_COUNT(discover_results),
};
