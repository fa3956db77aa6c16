#include "ledger/row.h"

#include "base/check.h"
#include "tests/support/check.h"
#include "tests/support/store_rig.h"

#include <string.h>

static struct text text_at(const uint8_t *row, size_t size)
{
    return (struct text){.data = (const char *)row, .size = size};
}

static void accounts_come_back_the_same(void **state)
{
    (void)state;
    char longest[ACCOUNT_ID_BYTES_MAX + 1];
    memset(longest, 'z', ACCOUNT_ID_BYTES_MAX);
    longest[ACCOUNT_ID_BYTES_MAX] = '\0';
    struct account accounts[] = {store_rig_account(1, "alice"), store_rig_account(2, "b"),
                                 store_rig_account(3, longest)};
    accounts[1].overdraft_kind = OVERDRAFT_UNLIMITED;
    accounts[1].overdraft_limit = 0;
    accounts[2].flags = 3;
    for (size_t i = 0; i < ARRAY_COUNT(accounts); i++) {
        uint8_t row[ACCOUNT_ROW_BYTES_MAX];
        struct account found = {0};
        const size_t size = account_row_size(&accounts[i]);
        assert_int_equal(size, ACCOUNT_ROW_FIXED_BYTES + accounts[i].id_size);
        account_row_write(row, &accounts[i]);
        check_ok(account_row_read(text_at(row, size), accounts[i].number, &found));
        store_rig_check_account(&found, &accounts[i]);
        assert_int_equal(found.flags, accounts[i].flags);
    }
}

static void damaged_accounts_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {0, 4},      /* a flag that does not exist */
        {1, 4},      /* another size of the id */
        {3, 1},      /* the zero byte */
        {4, 0},      /* no currency */
        {6, 1},      /* a currency beyond the last one */
        {23, 0x40},  /* an overdraft of 2^126 */
        {63, 0x40},  /* debits posted of 2^126 */
        {111, 0x80}, /* credits held of 2^127 */
        {168, ' '},  /* an id that is none */
    };
    const struct account alice = store_rig_account(1, "alice");
    const size_t size = account_row_size(&alice);
    uint8_t row[ACCOUNT_ROW_BYTES_MAX + 1] = {0};
    struct account found;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        account_row_write(row, &alice);
        row[cases[i].at] = cases[i].value;
        if (account_row_read(text_at(row, size), 1, &found) != STATUS_CORRUPT) {
            fail_msg("byte %zu", cases[i].at);
        }
    }
    account_row_write(row, &alice);
    check_status(account_row_read(text_at(row, size - 1), 1, &found), STATUS_CORRUPT);
    check_status(account_row_read(text_at(row, size + 1), 1, &found), STATUS_CORRUPT);
    check_status(account_row_read(text_at(row, 0), 1, &found), STATUS_CORRUPT);
    check_ok(account_row_read(text_at(row, size), 1, &found));
}

static void currencies_come_back_the_same(void **state)
{
    (void)state;
    const struct currency wanted = store_rig_euro();
    uint8_t row[CURRENCY_ROW_BYTES_MAX];
    struct currency found;
    memset(row, 0xee, sizeof(row));
    const size_t size = currency_row_size(&wanted);
    assert_int_equal(size, CURRENCY_ROW_FIXED_BYTES + 3);
    currency_row_write(row, &wanted);
    check_ok(currency_row_read(text_at(row, size), 1, &found));
    assert_string_equal(found.code, "EUR");
    assert_true(found.number == 1 && found.scale == 2);
    assert_true(found.seq == 1 && found.term == 2 && found.time_ns == 3);
    assert_true(found.debits_posted == 4 && found.credits_posted == AMOUNT_LIMIT - 1);
    assert_true(found.debits_held == 6 && found.credits_held == 7);
    assert_true(found.accounts_count == 8);
}

static void damaged_currencies_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {0, CURRENCY_SCALE_MAX + 1},
        {1, 2}, /* another size of the code */
        {2, 1}, /* the zero bytes */
        {7, 1},
        {47, 0x40}, /* debits posted of 2^126 */
        {95, 0x40}, /* credits held */
        {104, 'e'}, /* a code that is none */
    };
    const struct currency euro = store_rig_euro();
    const size_t size = currency_row_size(&euro);
    uint8_t row[CURRENCY_ROW_BYTES_MAX + 1] = {0};
    struct currency found;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        currency_row_write(row, &euro);
        row[cases[i].at] = cases[i].value;
        if (currency_row_read(text_at(row, size), 1, &found) != STATUS_CORRUPT) {
            fail_msg("byte %zu", cases[i].at);
        }
    }
    currency_row_write(row, &euro);
    check_status(currency_row_read(text_at(row, size - 1), 1, &found), STATUS_CORRUPT);
    check_status(currency_row_read(text_at(row, size + 1), 1, &found), STATUS_CORRUPT);
    check_status(currency_row_read(text_at(row, 0), 1, &found), STATUS_CORRUPT);
    check_ok(currency_row_read(text_at(row, size), 1, &found));
}

static const struct position wanted_position = {.index = 1,
                                                .seq = SEQ_MAX,
                                                .term = UINT64_MAX,
                                                .time_ns = -4,
                                                .digest = {.bytes = {5, [31] = 6}},
                                                .accounts_count = 7,
                                                .payments_count = 8,
                                                .currencies_count = CURRENCIES_MAX};

static void the_position_comes_back_the_same(void **state)
{
    (void)state;
    uint8_t row[POSITION_ROW_BYTES];
    struct position found;
    position_row_write(row, &wanted_position);
    check_ok(position_row_read(text_at(row, sizeof(row)), &found));
    assert_true(found.index == 1 && found.seq == SEQ_MAX && found.term == UINT64_MAX);
    assert_true(found.time_ns == -4 && digest_equal(&found.digest, &wanted_position.digest));
    assert_true(found.accounts_count == 7 && found.payments_count == 8);
    assert_true(found.currencies_count == CURRENCIES_MAX);
}

static void a_damaged_position_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {15, 1}, /* a seq beyond the last one */
        {83, 1}, /* more currencies than there may be */
        {84, 1}, /* the zero bytes */
        {87, 1},
    };
    uint8_t row[POSITION_ROW_BYTES];
    struct position found = {.seq = 99};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        position_row_write(row, &wanted_position);
        row[cases[i].at] = cases[i].value;
        if (position_row_read(text_at(row, sizeof(row)), &found) != STATUS_CORRUPT) {
            fail_msg("byte %zu", cases[i].at);
        }
    }
    check_status(position_row_read(text_at(row, sizeof(row) - 1), &found), STATUS_CORRUPT);
    assert_int_equal(found.seq, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounts_come_back_the_same),
        cmocka_unit_test(damaged_accounts_are_refused),
        cmocka_unit_test(currencies_come_back_the_same),
        cmocka_unit_test(damaged_currencies_are_refused),
        cmocka_unit_test(the_position_comes_back_the_same),
        cmocka_unit_test(a_damaged_position_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
