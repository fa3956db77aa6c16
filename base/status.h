/*
 * The two vocabularies of failure that leave a function. (The third, programmer error, is an
 * assertion: base/check.h.)
 *
 * enum status  an operating error: 0 is success, everything else must be handled or returned.
 * enum code    what a client is told: one table, base/errors.def. Business outcomes are codes; they
 *              are recorded in the log and are the same on every replica.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* STATUS(NAME, "name", "text") */
#define STATUS_TABLE(STATUS)                                                                       \
    STATUS(OK, "ok", "success")                                                                    \
    STATUS(NO_MEMORY, "no_memory", "out of memory")                                                \
    STATUS(INVALID, "invalid", "invalid argument or input")                                        \
    STATUS(LIMIT, "limit", "a named limit was reached")                                            \
    STATUS(FULL, "full", "a queue, buffer or disk is full")                                        \
    STATUS(NOT_FOUND, "not_found", "no such thing")                                                \
    STATUS(EXISTS, "exists", "exists already")                                                     \
    STATUS(IO, "io", "a disk operation failed")                                                    \
    STATUS(CORRUPT, "corrupt", "stored data is damaged")                                           \
    STATUS(DIVERGED, "diverged", "this replica differs from the log")                              \
    STATUS(FOREIGN, "foreign", "data of another cluster, node or incarnation")                     \
    STATUS(LOCKED, "locked", "in use by another process")                                          \
    STATUS(NETWORK, "network", "a network operation failed")                                       \
    STATUS(TLS, "tls", "a TLS operation failed")                                                   \
    STATUS(PROTOCOL, "protocol", "the peer broke the protocol")                                    \
    STATUS(TIMEOUT, "timeout", "a deadline passed")                                                \
    STATUS(CLOSED, "closed", "closed")                                                             \
    STATUS(NOT_LEADER, "not_leader", "this node does not lead")                                    \
    STATUS(AGAIN, "again", "not now: try again later")

enum status {
#define STATUS_ENUM(name, text_name, text) STATUS_##name,
    STATUS_TABLE(STATUS_ENUM)
#undef STATUS_ENUM
        STATUS_COUNT
};

enum code {
    CODE_OK = 0,
#define CODE(value, name, text_name, class, retryable, recorded, text) CODE_##name = value,
#include "base/errors.def"
#undef CODE
    CODE_VALUE_MAX = 87
};

enum certainty { NO = 0, YES = 1, UNSURE = 2 };

struct code_info {
    enum code code;
    const char *name;
    const char *text;
    int32_t rpc_number;
    enum certainty retryable;
    enum certainty recorded;
};

/* The short name ("io") and the sentence of a status. Never NULL. */
const char *status_name(enum status status);
const char *status_text(enum status status);

/* The row of a code; NULL where there is no such code (also for CODE_OK). */
const struct code_info *code_info(enum code code);

/* All rows, in the table's order; count is set. */
const struct code_info *code_table(uint32_t *count);

#endif
