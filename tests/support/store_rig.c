#include "tests/support/store_rig.h"

#include <string.h>

struct store *store_rig_open(const char *dir, uint64_t map_bytes, bool read_only)
{
    const struct store_options options = {
        .path = dir, .map_bytes = map_bytes, .read_only = read_only};
    struct store *store = NULL;
    char error[256] = "";
    const enum status status = store_open(&store, &options, error, sizeof(error));
    if (status != STATUS_OK) {
        fail_msg("%s: %s", status_name(status), error);
    }
    return store;
}

int store_rig_set_up(void **state)
{
    struct store_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig->dir = test_dir_make();
    rig->store = store_rig_open(rig->dir, STORE_RIG_MAP_BYTES, false);
    *state = rig;
    return 0;
}

int store_rig_tear_down(void **state)
{
    struct store_rig *rig = *state;
    store_close(rig->store);
    test_dir_remove(rig->dir);
    free(rig);
    return 0;
}

struct currency store_rig_euro(void)
{
    return (struct currency){.number = 1,
                             .code = "EUR",
                             .scale = 2,
                             .seq = 1,
                             .term = 2,
                             .time_ns = 3,
                             .debits_posted = 4,
                             .credits_posted = AMOUNT_LIMIT - 1,
                             .debits_held = 6,
                             .credits_held = 7,
                             .accounts_count = 8};
}

struct account store_rig_account(uint64_t number, const char *id)
{
    struct account account = {.number = number,
                              .id_size = (uint8_t)strlen(id),
                              .debit_normal = number % 2 == 0,
                              .overdraft_kind = OVERDRAFT_LIMIT,
                              .currency = 1,
                              .overdraft_limit = 9,
                              .seq = 10 + number,
                              .term = 2,
                              .time_ns = -4,
                              .debits_posted = AMOUNT_LIMIT - 1,
                              .credits_posted = (u128)1 << 100,
                              .debits_held = 12,
                              .credits_held = 13,
                              .entries_count = 14,
                              .history_seq = {9, 8, 7, 6, 5, 4}};
    memcpy(account.id, id, account.id_size);
    return account;
}

void store_rig_record(struct store_view *view, uint64_t seq, struct uuid *id)
{
    struct entry_command command = {.kind = COMMAND_PAYMENT};
    struct buffer form;
    buffer_init(&form, 1024);
    memcpy(id->bytes, &seq, sizeof(seq));
    id->bytes[15] = 1;
    command.payment.id = *id;
    command.payment.legs_count = 1;
    command.payment.legs[0] = (struct entry_leg){
        .debit = {.text = TEXT("alice")}, .credit = {.text = TEXT("bob")}, .amount = seq};
    entry_command_write(&form, &command);
    const struct decision decision = {.code = CODE_ACCOUNT_NOT_FOUND,
                                      .seq = seq,
                                      .term = 2,
                                      .time_ns = 3,
                                      .kind = COMMAND_PAYMENT,
                                      .field = FIELD_DEBIT};
    const struct text text = {.data = (const char *)form.data, .size = form.size};
    view->view.functions->record_put(&view->view, id, text, &decision);
    buffer_deinit(&form);
}

void store_rig_check_account(const struct account *found, const struct account *wanted)
{
    assert_true(found->number == wanted->number && found->id_size == wanted->id_size);
    assert_string_equal(found->id, wanted->id);
    assert_int_equal(found->debit_normal, wanted->debit_normal);
    assert_int_equal(found->overdraft_kind, wanted->overdraft_kind);
    assert_int_equal(found->currency, wanted->currency);
    assert_true(found->overdraft_limit == wanted->overdraft_limit);
    assert_true(found->seq == wanted->seq && found->term == wanted->term);
    assert_true(found->time_ns == wanted->time_ns);
    assert_true(found->debits_posted == wanted->debits_posted);
    assert_true(found->credits_posted == wanted->credits_posted);
    assert_true(found->debits_held == wanted->debits_held);
    assert_true(found->credits_held == wanted->credits_held);
    assert_true(found->entries_count == wanted->entries_count);
    assert_memory_equal(found->history_seq, wanted->history_seq, sizeof(wanted->history_seq));
}
