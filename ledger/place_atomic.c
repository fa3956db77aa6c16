/*
 * An atomic batch goes into one entry as a group. First each payment is classified, on the trial
 * overlay, which learns the ids of the batch as it goes: an id that comes twice is a replay of its
 * first payment. Then the group is written, and executed by the code that apply uses.
 */
#include "ledger/internal.h"

#include "base/check.h"
#include "ledger/group.h"

/* What classifying a batch found. */
struct survey {
    uint32_t count; /* payments that go into the entry */
    uint32_t sides; /* of their legs */
    bool aborted;   /* a mismatch, or a replay of a refused payment */
    bool too_large;
};

/* Encodes a new payment into scratch and makes its id known to the trial overlay. */
static bool survey_new(struct ledger *ledger, const struct execution *execution,
                       const struct entry_command *command, struct survey *survey)
{
    const struct entry_item head = {.kind = ENTRY_ITEM_COMMAND, .expected = CODE_OK};
    struct buffer *scratch = &ledger->scratch;
    ledger->group_offsets[survey->count] = (uint32_t)scratch->size;
    entry_item_write(scratch, &head);
    const size_t form_at = scratch->size;
    entry_command_write(scratch, command);
    if (scratch->failed) {
        return false;
    }
    const struct text form = {.data = (const char *)scratch->data + form_at,
                              .size = scratch->size - form_at};
    struct decision ignored;
    ledger_refuse(&ledger->trial.view, execution, ledger->next_seq + survey->count, command, form,
                  CODE_BATCH_ABORTED, &ignored);
    survey->count++;
    survey->sides += 2 * command->payment.legs_count;
    survey->too_large = scratch->size > ENTRY_BYTES_MAX;
    return true;
}

/* Adds an item for each payment of the batch. False: no memory, or the view's error. */
static bool survey_batch(struct ledger *ledger, struct pending *pending,
                         const struct execution *execution, struct ledger_request *request,
                         struct survey *survey)
{
    struct reader rest = request->rest;
    struct view *view = &ledger->trial.view;
    for (uint32_t i = 0; i < request->count && !survey->too_large; i++) {
        struct item *item = pending_add(pending, request);
        if (item == NULL) {
            return false;
        }
        struct command command;
        const enum status status = command_read(&rest, &command);
        assert(status == STATUS_OK && command.kind == COMMAND_PAYMENT); /* see ledger_submit */
        struct entry_command entry_command;
        struct payment_seen seen;
        classify(view, &command, item, &entry_command, &seen);
        if (view->error != STATUS_OK) {
            return false;
        }
        item->last = i + 1 == request->count;
        if (item->disposition == ITEM_FIXED) {
            survey->aborted = true;
        } else if (item->disposition == ITEM_REPLAY) {
            /* A payment of this very batch shares the batch's fate. */
            const bool before = seen.seq < ledger->next_seq;
            survey->aborted = survey->aborted || (before && seen.code != CODE_OK);
        } else if (!survey_new(ledger, execution, &entry_command, survey)) {
            return false;
        }
    }
    return true;
}

struct expectation {
    struct buffer *bytes;
    size_t base; /* of the group's first item in bytes */
    const uint32_t *offsets;
};

static void note_expected(void *data, uint32_t number, const struct entry_item *item,
                          const struct entry_command *command, const struct decision *decision)
{
    (void)item;
    (void)command;
    const struct expectation *expectation = data;
    entry_item_set_expected(expectation->bytes, expectation->base + expectation->offsets[number],
                            decision->code);
}

/* Writes the group in scratch to the entry, which has room, and executes it on the overlay. */
static enum place append_group(struct ledger *ledger, struct pending *pending,
                               const struct execution *execution, const struct survey *survey)
{
    struct buffer *bytes = &pending->entry.bytes;
    const struct entry_item head = {
        .kind = ENTRY_ITEM_GROUP, .group_count = survey->count, .group_aborted = survey->aborted};
    entry_item_write(bytes, &head);
    struct expectation expectation = {
        .bytes = bytes, .base = bytes->size, .offsets = ledger->group_offsets};
    write_bytes(bytes, ledger->scratch.data, ledger->scratch.size);
    if (bytes->failed) {
        return PLACE_FAILED;
    }
    const struct group group = {.view = &ledger->overlay.view,
                                .trial = &ledger->trial,
                                .execution = *execution,
                                .first_seq = ledger->next_seq,
                                .count = survey->count,
                                .aborted = survey->aborted};
    struct reader items = reader_of(bytes->data + expectation.base, bytes->size - expectation.base);
    if (group_execute(&group, &items, note_expected, &expectation) != STATUS_OK) {
        return PLACE_FAILED;
    }
    ledger->next_seq += survey->count;
    pending->count += survey->count;
    return PLACE_DONE;
}

enum place place_atomic(struct ledger *ledger, struct pending *pending,
                        const struct execution *execution, struct ledger_request *request)
{
    enum { HEAD_BYTES_MAX = 4 };
    assert(request->next == 0 && request->count <= BATCH_ITEMS_MAX);
    const uint32_t items_before = pending->items_count;
    if (request->count > ENTRY_COMMANDS_MAX - items_before) {
        return PLACE_FULL;
    }
    struct survey survey = {0};
    buffer_clear(&ledger->scratch);
    overlay_clear(&ledger->trial, &ledger->overlay.view);
    const bool surveyed = survey_batch(ledger, pending, execution, request, &survey);
    overlay_clear(&ledger->trial, &ledger->overlay.view);
    if (!surveyed) {
        return PLACE_FAILED;
    }
    const size_t size = ledger->scratch.size + HEAD_BYTES_MAX;
    if (survey.too_large || size > ENTRY_BYTES_MAX - ENTRY_HEADER_BYTES) {
        pending->items_count = items_before;
        request->code = CODE_BATCH_TOO_LARGE;
        return PLACE_REFUSED;
    }
    const bool overlay_full =
        survey.sides > OVERLAY_KEYS_MAX - overlay_accounts_held(&ledger->overlay);
    if (overlay_full || size > ENTRY_BYTES_MAX - pending->entry.bytes.size) {
        ledger->overlay_full = ledger->overlay_full || overlay_full;
        pending->items_count = items_before;
        return PLACE_FULL;
    }
    request->next = request->count;
    return survey.count == 0 ? PLACE_DONE : append_group(ledger, pending, execution, &survey);
}
