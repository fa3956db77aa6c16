/*
 * An account's history: entries numbered from 1 without gaps, linked through the payments that made
 * them. Each entry names the payment of the entry before it and of one jump target further back, so
 * that "as of" look-ups take a number of steps that grows with the logarithm of the history.
 *
 * The level of entry n is the number of trailing zero hexadecimal digits of n, at most
 * HISTORY_LEVELS - 2; its jump target is the newest entry before it whose number is a multiple of
 * 16^(level + 1). From a level-0 entry one jump leads to a multiple of 16, from there one to a
 * multiple of 256, and so on; in between one walks back entry by entry, at most 15 of each level.
 */
#ifndef LEDGER_HISTORY_H
#define LEDGER_HISTORY_H

#include "ledger/view.h"

/* The number of the entry that jump_seq of entry `number` leads to; 0: none. */
uint64_t history_jump_number(uint64_t number);

/*
 * Adds the entry of payment `seq` to the account, whose counters already contain it, and describes
 * it in *side.
 */
void history_append(struct account *account, uint64_t seq, struct entry_side *side);

#endif
