#include "ledger/group.h"

#include "base/check.h"

/* The next payment of a group. Groups do not nest, and hold nothing but payments. */
static enum status read_payment(struct reader *items, struct entry_item *item,
                                struct entry_command *command, struct text *form)
{
    if (entry_item_read(items, item) != STATUS_OK || item->kind != ENTRY_ITEM_COMMAND) {
        return STATUS_CORRUPT;
    }
    if (entry_command_read(items, command, form) != STATUS_OK || command->kind != COMMAND_PAYMENT) {
        return STATUS_CORRUPT;
    }
    return STATUS_OK;
}

/* Finds the first payment that is refused after those before it; group->count where there is none.
 */
static enum status run_trial(const struct group *group, struct reader items, uint32_t *culprit,
                             struct decision *decision)
{
    struct overlay *trial = group->trial;
    overlay_clear(trial, group->view);
    enum status status = STATUS_OK;
    uint32_t number = 0;
    for (; number < group->count; number++) {
        struct entry_item item;
        struct entry_command command;
        struct text form;
        status = read_payment(&items, &item, &command, &form);
        if (status != STATUS_OK) {
            break;
        }
        ledger_execute(&trial->view, &group->execution, group->first_seq + number, &command, form,
                       decision);
        if (decision->code != CODE_OK) {
            break;
        }
    }
    if (trial->view.error != STATUS_OK && group->view->error == STATUS_OK) {
        group->view->error = trial->view.error;
    }
    overlay_clear(trial, group->view);
    *culprit = number;
    return status;
}

enum status group_execute(const struct group *group, struct reader *items, group_visit visit,
                          void *visit_data)
{
    assert(group->count > 0 && group->count <= ENTRY_COMMANDS_MAX);
    assert(group->view != &group->trial->view);
    uint32_t culprit = group->count;
    struct decision refusal;
    if (!group->aborted) {
        const enum status status = run_trial(group, *items, &culprit, &refusal);
        if (status != STATUS_OK) {
            return status;
        }
    }
    const bool all_fine = !group->aborted && culprit == group->count;
    for (uint32_t number = 0; number < group->count; number++) {
        struct entry_item item;
        struct entry_command command;
        struct text form;
        const enum status status = read_payment(items, &item, &command, &form);
        if (status != STATUS_OK) {
            return status;
        }
        const uint64_t seq = group->first_seq + number;
        struct decision decision;
        if (all_fine) {
            ledger_execute(group->view, &group->execution, seq, &command, form, &decision);
        } else if (number == culprit) {
            /* Judged on the trial, where it saw the payments before it. */
            ledger_record(group->view, &command, form, &refusal);
            visit(visit_data, number, &item, &command, &refusal);
            continue;
        } else {
            ledger_refuse(group->view, &group->execution, seq, &command, form, CODE_BATCH_ABORTED,
                          &decision);
        }
        assert(decision.code == (all_fine ? CODE_OK : CODE_BATCH_ABORTED) ||
               group->view->error != STATUS_OK);
        visit(visit_data, number, &item, &command, &decision);
    }
    return STATUS_OK;
}
