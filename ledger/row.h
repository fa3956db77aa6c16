/*
 * The values of LMDB's tables but payments (docs/format.md): accounts, currencies, the position.
 * Accounts and currencies are of fixed size for their whole life, so that LMDB overwrites them in
 * place; they are written for every payment.
 */
#ifndef LEDGER_ROW_H
#define LEDGER_ROW_H

#include "ledger/store.h"

enum {
    ACCOUNT_ROW_FIXED_BYTES = 168, /* then the id */
    ACCOUNT_ROW_BYTES_MAX = ACCOUNT_ROW_FIXED_BYTES + ACCOUNT_ID_BYTES_MAX,
    CURRENCY_ROW_FIXED_BYTES = 104, /* then the code */
    CURRENCY_ROW_BYTES_MAX = CURRENCY_ROW_FIXED_BYTES + CURRENCY_CODE_BYTES_MAX,
    POSITION_ROW_BYTES = 88
};

size_t account_row_size(const struct account *account);
/* `at` has room for account_row_size bytes. */
void account_row_write(uint8_t *at, const struct account *account);
/* The number is the key. STATUS_CORRUPT on any damage. */
enum status MUST_CHECK account_row_read(struct text row, uint64_t number, struct account *account);

size_t currency_row_size(const struct currency *currency);
void currency_row_write(uint8_t *at, const struct currency *currency);
enum status MUST_CHECK currency_row_read(struct text row, uint32_t number,
                                         struct currency *currency);

void position_row_write(uint8_t at[POSITION_ROW_BYTES], const struct position *position);
enum status MUST_CHECK position_row_read(struct text row, struct position *position);

#endif
