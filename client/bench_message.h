/*
 * Requests and answers of the load, without a tree of values: requests are fixed text with ids and
 * accounts put in, answers are compared with what a node writes when all is well. Whatever looks
 * different goes through the real parser (bench_answer_read): the short way is never the judge of
 * a failure.
 */
#ifndef CLIENT_BENCH_MESSAGE_H
#define CLIENT_BENCH_MESSAGE_H

#include "client/bench_plan.h"
#include "client/bench_result.h"

enum { BENCH_AMOUNT_MINOR = 100, BENCH_SCALE = 2, BENCH_ACCOUNT_BYTES = 14 };

/* One request with payments, as it is sent and sent again. */
struct bench_batch {
    const struct bench_plan *plan;
    uint32_t lane;
    uint64_t request; /* its number in the lane */
    uint32_t ms;      /* the time in its ids */
};

/* Slot numbers on the wire; all have four digits. */
enum { BENCH_WIRE_ID_FIRST = 1000 };
static_assert(BENCH_WIRE_ID_FIRST + SESSION_REQUESTS_MAX <= 10000, "four digits");

/* "bench-0000042" and a terminator. */
void bench_account_name(uint32_t account, char name[BENCH_ACCOUNT_BYTES]);

/* Each appends one whole request. */
void bench_request_pay(const struct bench_batch *batch, uint32_t slot, struct buffer *out);
void bench_request_account(uint32_t account, uint32_t slot, bool stale, struct buffer *out);
void bench_request_payment(const struct uuid *id, uint32_t slot, bool stale, struct buffer *out);

/* The slot that an answer names; false where it begins differently from what a node writes. */
bool bench_answer_slot(struct text message, uint32_t *slot);

/* What became of a request. */
struct bench_verdict {
    bool understood; /* false: not an answer to this request at all */
    bool again;      /* refused as a whole, not executed, worth sending again */
    bool doubtful;   /* as a whole: nobody knows */
    uint32_t retry_after_ms;
    uint64_t seq;    /* the highest that was acknowledged; 0: none */
    uint32_t posted; /* items: */
    uint32_t refused;
    uint32_t overloaded; /* of the refused ones */
    uint32_t unrecorded; /* of the refused ones: says nothing about an earlier attempt */
    uint32_t unknown;
};

/* Told which items were acknowledged. */
struct bench_answer_sink {
    void (*posted)(void *data, uint32_t item);
    void *data;
    struct bench_errors *errors;
};

/*
 * Judges the answer to a request with payments: every item, and that it is the item's id that was
 * answered. True: all were posted, found in the short way; *seq is the highest seq.
 */
bool bench_answer_scan(const struct bench_batch *batch, struct text message, uint64_t *seq);

/* The same for every answer, the long way. */
struct bench_verdict bench_answer_read(const struct bench_batch *batch, const struct reply *reply,
                                       const struct bench_answer_sink *sink);

/* A read was answered with a result. */
bool bench_answer_has_result(struct text message);

#endif
