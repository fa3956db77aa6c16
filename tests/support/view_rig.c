#include "tests/support/view_rig.h"

#include "ledger/resolve.h"
#include "tests/support/check.h"

static bool no_account(struct view *view, struct text id, uint64_t *number)
{
    (void)view;
    (void)id;
    (void)number;
    return false;
}

static bool no_account_get(struct view *view, uint64_t number, struct account *account)
{
    (void)view;
    (void)number;
    (void)account;
    return false;
}

static bool no_currency(struct view *view, struct text code, uint32_t *number)
{
    (void)view;
    (void)code;
    (void)number;
    return false;
}

static bool no_currency_get(struct view *view, uint32_t number, struct currency *currency)
{
    (void)view;
    (void)number;
    (void)currency;
    return false;
}

static bool no_payment(struct view *view, const struct uuid *id, struct payment_seen *seen)
{
    (void)view;
    (void)id;
    (void)seen;
    return false;
}

static bool no_reference(struct view *view, struct text reference, uint64_t *seq)
{
    (void)view;
    (void)reference;
    (void)seq;
    return false;
}

/* Nothing may be written below an overlay. */
static const struct view_functions nothing_functions = {.account_find = no_account,
                                                        .account_get = no_account_get,
                                                        .currency_find = no_currency,
                                                        .currency_get = no_currency_get,
                                                        .payment_find = no_payment,
                                                        .reference_find = no_reference};

void view_rig_open(struct view_rig *rig)
{
    rig->nothing = (struct view){.functions = &nothing_functions};
    overlay_init(&rig->overlay, &rig->nothing);
    overlay_begin(&rig->overlay, 1);
    rig->view = &rig->overlay.view;
    rig->seq = 0;
    rig->time_ns = 1000;
    buffer_init(&rig->form, ENTRY_BYTES_MAX);
}

void view_rig_close(struct view_rig *rig)
{
    overlay_deinit(&rig->overlay);
    buffer_deinit(&rig->form);
}

enum code view_rig_do(struct view_rig *rig, const struct command *command)
{
    static struct entry_command entry;
    entry.kind = command->kind;
    if (command->kind == COMMAND_CURRENCY_CREATE) {
        entry.currency_create = command->currency_create;
    } else if (command->kind == COMMAND_ACCOUNT_OPEN) {
        resolve_account_open(rig->view, &command->account_open, &entry.account_open);
    } else {
        resolve_payment(rig->view, &command->payment, &entry.payment);
        resolve_drop_own_currencies(rig->view, &entry.payment);
    }
    buffer_clear(&rig->form);
    if (command->kind != COMMAND_ACCOUNT_OPEN || entry.account_open.currency.number != 0) {
        entry_command_write(&rig->form, &entry);
    }
    rig->seq++;
    rig->time_ns++;
    const struct execution execution = {.term = 7, .time_ns = rig->time_ns};
    const struct text form = {.data = (const char *)rig->form.data, .size = rig->form.size};
    ledger_execute(rig->view, &execution, rig->seq, &entry, form, &rig->decision);
    check_ok(rig->view->error);
    assert_true(rig->decision.seq == rig->seq && rig->decision.time_ns == rig->time_ns);
    return rig->decision.code;
}

struct account view_rig_account(struct view_rig *rig, const char *id)
{
    uint64_t number = 0;
    struct account account;
    assert_true(rig->view->functions->account_find(rig->view, text_of(id), &number));
    assert_true(rig->view->functions->account_get(rig->view, number, &account));
    return account;
}

struct currency view_rig_currency(struct view_rig *rig, const char *code)
{
    uint32_t number = 0;
    struct currency currency;
    assert_true(rig->view->functions->currency_find(rig->view, text_of(code), &number));
    assert_true(rig->view->functions->currency_get(rig->view, number, &currency));
    return currency;
}
