/*
 * Is this answer possible? Each reply of a node is compared with the canonical log.
 */
#ifndef TESTS_SIMULATION_ANSWERS_H
#define TESTS_SIMULATION_ANSWERS_H

#include "gateway/message.h"
#include "tests/simulation/clients.h"

enum operation_kind {
    OPERATION_OPEN, /* a currency or account */
    OPERATION_PAYMENT,
    OPERATION_BATCH,
    OPERATION_MISMATCH, /* a known id with other fields */
    OPERATION_ACCOUNT_GET,
    OPERATION_PAYMENT_GET,
    OPERATION_LIST,
    OPERATION_TOTALS
};

/* What a client wants; it may take several attempts. */
struct operation {
    enum operation_kind kind;
    const char *method;
    struct buffer request; /* its params */
    uint64_t number;       /* the first payment */
    uint32_t count;
    int account;
    enum read_mode mode;
    uint64_t min_seq;
    bool once;      /* never sent again after a definite refusal */
    bool uncertain; /* an attempt ended without an answer */
    bool done;
    bool planned; /* another attempt is */
    uint32_t tries;
    uint32_t open; /* attempts */
};

struct attempt {
    struct operation *operation;
    uint32_t place; /* of the node */
    uint32_t life;
    bool open;
    bool asks;             /* payment.get instead of sending it again */
    uint64_t acknowledged; /* highest seq that any client had been told of when it was sent */
};

enum verdict { VERDICT_DEFINITE, VERDICT_UNSURE, VERDICT_NOT_EXECUTED, VERDICT_ABSENT };

/* Fails the run where the answer is impossible. */
enum verdict answers_judge(const struct attempt *attempt, const struct reply *reply,
                           struct clients_figures *figures);

/* The highest seq that any client was told of. */
uint64_t answers_acknowledged(void);

#endif
