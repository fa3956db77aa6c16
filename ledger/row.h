/*
 * The values of LMDB's tables but payments (docs/format.md): accounts, currencies, the position.
 * Accounts are as short as their numbers let them be, since a commit writes each page that one of
 * them changed on. Their size changes seldom, so that LMDB mostly overwrites them in place.
 */
#ifndef LEDGER_ROW_H
#define LEDGER_ROW_H

#include "ledger/store.h"

enum {
    ACCOUNT_ROW_BYTES_MAX = 164 + ACCOUNT_ID_BYTES_MAX, /* everything wide; the id is at the end */
    CURRENCY_ROW_FIXED_BYTES = 104,                     /* then the code */
    CURRENCY_ROW_BYTES_MAX = CURRENCY_ROW_FIXED_BYTES + CURRENCY_CODE_BYTES_MAX,
    POSITION_ROW_BYTES = 88
};

/* Gives the size of the row. */
size_t account_row_write(uint8_t row[ACCOUNT_ROW_BYTES_MAX], const struct account *account);
/* The number is the key. STATUS_CORRUPT on any damage. */
enum status MUST_CHECK account_row_read(struct text row, uint64_t number, struct account *account);
/* The same of a row that was checked before, or written here. */
void account_row_decode(struct text row, uint64_t number, struct account *account);
/* The id within such a row. */
struct text account_row_id(struct text row);

size_t currency_row_size(const struct currency *currency);
void currency_row_write(uint8_t *at, const struct currency *currency);
enum status MUST_CHECK currency_row_read(struct text row, uint32_t number,
                                         struct currency *currency);

void position_row_write(uint8_t at[POSITION_ROW_BYTES], const struct position *position);
enum status MUST_CHECK position_row_read(struct text row, struct position *position);

#endif
