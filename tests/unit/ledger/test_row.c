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
        const size_t size = account_row_write(row, &accounts[i]);
        check_ok(account_row_read(text_at(row, size), accounts[i].number, &found));
        store_rig_check_account(&found, &accounts[i]);
        assert_int_equal(found.flags, accounts[i].flags);
    }
}

/* An account in its shortest form: 53 bytes, "alice" being 5 of them. */
static struct account plain_account(void)
{
    struct account account = store_rig_account(1, "alice");
    account.overdraft_limit = 0;
    account.debits_posted = UINT64_MAX;
    account.credits_posted = 0;
    account.debits_held = 0;
    account.credits_held = 0;
    account.seq = UINT32_MAX;
    memset(account.history_seq, 0, sizeof(account.history_seq));
    return account;
}

/* Writes the account, finds `size` bytes, and the account in them again. */
static void check_size(const struct account *account, size_t wanted)
{
    uint8_t row[ACCOUNT_ROW_BYTES_MAX];
    struct account found = {0};
    assert_int_equal(account_row_write(row, account), wanted);
    check_ok(account_row_read(text_at(row, wanted), account->number, &found));
    store_rig_check_account(&found, account);
    found = (struct account){0};
    account_row_decode(text_at(row, wanted), account->number, &found);
    store_rig_check_account(&found, account);
    const struct text id = account_row_id(text_at(row, wanted));
    assert_true(text_equal(id, (struct text){.data = account->id, .size = account->id_size}));
}

static void accounts_take_what_their_numbers_need(void **state)
{
    (void)state;
    enum { PLAIN_BYTES = 12 + 5 * 4 + 2 * 8 + 5 };
    struct account account = plain_account();
    check_size(&account, PLAIN_BYTES);
    account.history_seq[1] = 7;
    check_size(&account, PLAIN_BYTES);
    account.history_seq[2] = 6;
    check_size(&account, PLAIN_BYTES + 2 * 4);
    account.history_seq[4] = 5;
    check_size(&account, PLAIN_BYTES + 4 * 4);
    account.overdraft_limit = AMOUNT_LIMIT - 1;
    check_size(&account, PLAIN_BYTES + 4 * 4 + 16);
    for (int i = 0; i < 4; i++) {
        account = plain_account();
        u128 *const counters[] = {&account.debits_posted, &account.credits_posted,
                                  &account.debits_held, &account.credits_held};
        *counters[i] = i < 2 ? (u128)UINT64_MAX + 1 : 1;
        check_size(&account, PLAIN_BYTES + 3 * 16);
    }
    for (int i = 0; i < 4; i++) {
        account = plain_account();
        uint64_t *const numbers[] = {&account.seq, &account.term, &account.entries_count,
                                     &account.history_seq[0]};
        *numbers[i] = (uint64_t)UINT32_MAX + 1;
        check_size(&account, PLAIN_BYTES + 5 * 4);
    }
}

static void longer_forms_than_needed_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        size_t size;
    } zeroed[] = {
        {48, 64},  /* counters: 8 bytes are enough */
        {112, 16}, /* the limit need not be there */
        {40, 8},   /* nor the last levels */
    };
    const struct account alice = store_rig_account(1, "alice");
    uint8_t row[ACCOUNT_ROW_BYTES_MAX];
    struct account found;
    for (size_t i = 0; i < ARRAY_COUNT(zeroed); i++) {
        const size_t size = account_row_write(row, &alice);
        memset(row + zeroed[i].at, 0, zeroed[i].size);
        check_status(account_row_read(text_at(row, size), 1, &found), STATUS_CORRUPT);
    }
    struct account late = plain_account();
    late.seq = (uint64_t)1 << 32;
    const size_t size = account_row_write(row, &late);
    check_ok(account_row_read(text_at(row, size), 1, &found));
    row[16] = 0; /* the seq is 0 then: 4 bytes are enough for all numbers */
    check_status(account_row_read(text_at(row, size), 1, &found), STATUS_CORRUPT);
}

static void damaged_accounts_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {0, 0xcc},   /* more levels than there are */
        {0, 0x6c},   /* as many as would be one step more */
        {0, 0x5c},   /* wide numbers: too short for them */
        {0, 0x48},   /* no limit: it would belong to the id */
        {2, 0},      /* no currency */
        {3, 0x11},   /* a currency beyond the last one */
        {63, 0x40},  /* debits posted of 2^126 */
        {79, 0x40},  /* credits posted */
        {95, 0x40},  /* debits held */
        {111, 0x80}, /* credits held of 2^127 */
        {127, 0x40}, /* an overdraft of 2^126 */
        {128, ' '},  /* an id that is none */
    };
    const struct account alice = store_rig_account(1, "alice");
    uint8_t row[ACCOUNT_ROW_BYTES_MAX + 1] = {0};
    struct account found = {.number = 99};
    size_t size = 0;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size = account_row_write(row, &alice);
        assert_true(size == 128 + 5 && row[0] == 0x4c);
        row[cases[i].at] = cases[i].value;
        if (account_row_read(text_at(row, size), 1, &found) != STATUS_CORRUPT) {
            fail_msg("byte %zu", cases[i].at);
        }
    }
    assert_int_equal(found.number, 99);
    size = account_row_write(row, &alice);
    check_status(account_row_read(text_at(row, 128), 1, &found), STATUS_CORRUPT); /* no id */
    check_status(account_row_read(text_at(row, size + 1), 1, &found), STATUS_CORRUPT);
    check_status(account_row_read(text_at(row, 0), 1, &found), STATUS_CORRUPT);
    check_ok(account_row_read(text_at(row, size), 1, &found));
    memset(row, 'a', sizeof(row));
    row[0] = 0;
    row[2] = 1;
    row[3] = 0;
    const size_t fixed = 12 + 5 * 4 + 2 * 8;
    check_ok(account_row_read(text_at(row, fixed + ACCOUNT_ID_BYTES_MAX), 1, &found));
    check_status(account_row_read(text_at(row, fixed + ACCOUNT_ID_BYTES_MAX + 1), 1, &found),
                 STATUS_CORRUPT); /* too long an id */
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
        cmocka_unit_test(accounts_take_what_their_numbers_need),
        cmocka_unit_test(longer_forms_than_needed_are_refused),
        cmocka_unit_test(damaged_accounts_are_refused),
        cmocka_unit_test(currencies_come_back_the_same),
        cmocka_unit_test(damaged_currencies_are_refused),
        cmocka_unit_test(the_position_comes_back_the_same),
        cmocka_unit_test(a_damaged_position_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
