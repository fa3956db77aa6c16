/*
 * Codec of single values that several forms of the ledger share, on top of base/bytes. Reads leave
 * range checks to the caller where they return false or a value that is outside.
 */
#ifndef LEDGER_CODEC_H
#define LEDGER_CODEC_H

#include "ledger/types.h"

/* Signed 128 bits as a zigzag varint: 0, -1, 1, -2 ... become 0, 1, 2, 3 ... */
void write_zigzag128(struct buffer *out, i128 value);
i128 read_zigzag128(struct reader *reader);

void write_uuid(struct buffer *out, const struct uuid *uuid);
/* Any 16 bytes but nil and max; false and nothing else on damage. */
bool read_uuid(struct reader *reader, struct uuid *uuid);

/* Signed nanoseconds, 8 bytes. */
void write_time(struct buffer *out, int64_t time_ns);
int64_t read_time(struct reader *reader);

/* 0 <= value < 2^126 and 0 < value < 2^126. */
bool read_counter(struct reader *reader, u128 *value);
bool read_amount(struct reader *reader, u128 *value);

/* A varint of at most value_max. */
bool read_number(struct reader *reader, uint64_t value_max, uint64_t *value);

bool read_account_id(struct reader *reader, struct text *id);
bool read_currency_code(struct reader *reader, struct text *code);

#endif
