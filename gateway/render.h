/*
 * Answers as JSON-RPC replies. Every function appends exactly one reply object to `out`
 * ({"jsonrpc":"2.0","id":...,"result"|"error":...}); no memory or no room stays in out->failed.
 * Replies to an array are joined by the caller: '[' reply ',' reply ']'.
 */
#ifndef GATEWAY_RENDER_H
#define GATEWAY_RENDER_H

#include "gateway/method.h"

/* request NULL: the message as a whole was refused (id null). */
void render_failure(const struct rpc_request *request, const struct failure *failure,
                    struct buffer *out);

/* A code without more to say (overloaded, shutting_down ...). retry_after_ms 0: left out. */
void render_code(const struct rpc_request *request, enum code code, uint32_t retry_after_ms,
                 struct buffer *out);

/* PREPARED_IMMEDIATE: cluster.status, rpc.discover, a batch without one item fit to be sent. */
void render_immediate(const struct rpc_request *request, const struct gateway_backend *backend,
                      struct buffer *out);

/*
 * The answer of a call: outcomes for CALL_EXECUTE, an answer form for CALL_READ and CALL_SCAN
 * (whose answer the worker has put into call->answer by ledger_scan). call->code != CODE_OK gives
 * an error. Damaged bytes give `unknown` (what was executed may stand in the ledger), of a read
 * `internal`. Returns false where the reply is an error (for counting).
 */
bool render_answer(const struct rpc_request *request, const struct call *call, struct buffer *out);

/* The status page of GET /: one self-contained HTML document, UTF-8, never freed. */
struct text page_text(void);

#endif
