/*
 * Ids of payments. A payment's id is its idempotency key: whoever may send again must know it
 * before sending first.
 */
#ifndef CLIENT_IDENTIFIER_H
#define CLIENT_IDENTIFIER_H

#include "ledger/types.h"

/* A fresh UUIDv7 (RFC 9562, 5.7): milliseconds since 1970, then random bits. */
struct uuid identifier_fresh(int64_t wall_ns);

/*
 * A UUIDv8 (RFC 9562, 5.8) from the name of a batch, the number of a line and its bytes: the same
 * line of the same batch has the same id whenever it is sent.
 */
struct uuid identifier_derived(struct text batch, uint64_t line, struct text bytes);

#endif
