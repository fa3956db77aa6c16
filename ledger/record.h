/*
 * Parts of the record codec (record_write and record_read are in ledger/store.h) for readers that
 * need less, or more, than a whole record.
 */
#ifndef LEDGER_RECORD_H
#define LEDGER_RECORD_H

#include "ledger/store.h"

/* All but the sides (sides_count is 0), and the form unread. False on damage. */
bool record_head_read(struct reader *reader, uint64_t seq, struct decision *decision,
                      struct text *form);

/* The record together with its command. STATUS_INVALID on damage; both are then undefined. */
enum status MUST_CHECK record_read_full(struct text bytes, uint64_t seq, struct record *record,
                                        struct entry_command *command);

#endif
