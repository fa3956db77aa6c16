/*
 * What must be true, whatever happened: looked at after every step of every node.
 *
 * The first node that applies an entry makes it canonical: it is run through a ledger model of its
 * own (tests/support/model.h), and every other node, for ever, must apply the same entry at that
 * index, with the same records, codes, balances and digests.
 */
#ifndef TESTS_SIMULATION_ORACLE_H
#define TESTS_SIMULATION_ORACLE_H

#include "tests/simulation/process.h"
#include "tests/support/model.h"

enum {
    ORACLE_ACCOUNTS = 12, /* opened by the clients; the model knows more names */
    PAYMENTS_MAX = 16384, /* numbers of payments, from 1 */
    SENT_LEGS_MAX = 4
};

void oracle_open(void);

/* on_apply of every node: notes the entry, then the product's own. */
void oracle_on_apply(void *data, uint64_t index, const uint8_t *bytes, size_t size);
/* A ledger was opened. */
void oracle_begin_life(struct process *process);
/* After a step of the ledger: what did it apply? */
void oracle_look(struct process *process);
/* After each event of a node: roles, counters. */
void oracle_watch(struct process *process);
/* A node says that everything up to seq is committed: a majority must have it on disk. */
void oracle_committed(uint64_t seq);
/* The whole state of a node against the model's at the same seq. */
void oracle_compare(struct process *process);

uint64_t oracle_seq(void);
/* What the model made of a payment; NULL: it is not in the log. */
const struct model_outcome *oracle_payment(uint64_t number);
/* An account's balance after seq; false: it was not open then. */
bool oracle_balance(int account, uint64_t seq, i128 *posted, uint64_t *entries);
/* This payment may never appear: it was refused as surely not executed and never sent again. */
void oracle_forbid(uint64_t number);

/* A client is about to send a payment with this leg: what the log has must be the same. */
void oracle_expect(uint64_t number, uint32_t leg, int debit, int credit, uint64_t amount);

struct uuid payment_uuid(uint64_t number);
/* 0: not one of ours. */
uint64_t payment_number(const struct uuid *uuid);

struct oracle_figures {
    uint64_t entries, payments, elections, terms, compared;
};
struct oracle_figures oracle_figures(void);

#endif
