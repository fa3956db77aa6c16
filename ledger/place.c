/*
 * Puts the commands of a request into an entry, one after the other, and executes them on the
 * overlay as they will be executed when the entry is applied.
 */
#include "ledger/internal.h"

#include "base/check.h"

static_assert(ENTRY_COMMANDS_MAX >= BATCH_ITEMS_MAX, "an atomic batch fits an empty entry");

/* Writes a command behind a head with no expectation yet into scratch. */
static bool encode(struct ledger *ledger, const struct entry_command *command)
{
    const struct entry_item head = {.kind = ENTRY_ITEM_COMMAND, .expected = CODE_OK};
    buffer_clear(&ledger->scratch);
    entry_item_write(&ledger->scratch, &head);
    entry_command_write(&ledger->scratch, command);
    return !ledger->scratch.failed;
}

/* Appends the command in scratch to the entry and executes it on the overlay. */
static enum place append(struct ledger *ledger, struct pending *pending,
                         const struct execution *execution, const struct entry_command *command)
{
    struct buffer *bytes = &pending->entry.bytes;
    const size_t offset = bytes->size;
    if (ledger->scratch.size > ENTRY_BYTES_MAX - offset) {
        return PLACE_FULL;
    }
    if (overlay_accounts_held(&ledger->overlay) > OVERLAY_KEYS_MAX - 2 * LEGS_MAX) {
        ledger->overlay_full = true;
        return PLACE_FULL;
    }
    write_bytes(bytes, ledger->scratch.data, ledger->scratch.size);
    if (bytes->failed) {
        return PLACE_FAILED;
    }
    const size_t head_bytes = 1;
    const struct text form = {.data = (const char *)ledger->scratch.data + head_bytes,
                              .size = ledger->scratch.size - head_bytes};
    struct decision decision;
    ledger_execute(&ledger->overlay.view, execution, ledger->next_seq, command, form, &decision);
    entry_item_set_expected(bytes, offset, decision.code);
    ledger->next_seq++;
    pending->count++;
    return PLACE_DONE;
}

/* The next command of the request; request->rest moves only if it found its place. */
static enum place place_command(struct ledger *ledger, struct pending *pending,
                                const struct execution *execution, struct ledger_request *request)
{
    if (pending->items_count == ENTRY_COMMANDS_MAX) {
        return PLACE_FULL;
    }
    struct item *item = pending_add(pending, request);
    if (item == NULL) {
        return PLACE_FAILED;
    }
    struct reader rest = request->rest;
    struct command command;
    const enum status status = command_read(&rest, &command);
    assert(status == STATUS_OK); /* ledger_submit has read it before */
    struct entry_command entry_command;
    struct payment_seen seen;
    classify(&ledger->overlay.view, &command, item, &entry_command, &seen);
    if (ledger->overlay.view.error != STATUS_OK) {
        return PLACE_FAILED;
    }
    if (item->disposition == ITEM_IN_ENTRY) {
        const enum place place = encode(ledger, &entry_command)
                                     ? append(ledger, pending, execution, &entry_command)
                                     : PLACE_FAILED;
        if (place != PLACE_DONE) {
            pending->items_count--;
            return place;
        }
    }
    request->rest = rest;
    request->next++;
    item->last = request->next == request->count;
    return PLACE_DONE;
}

enum place place_request(struct ledger *ledger, struct pending *pending,
                         const struct execution *execution, struct ledger_request *request)
{
    assert(request->next <= request->count);
    if (request->mode == REQUEST_ATOMIC) {
        return place_atomic(ledger, pending, execution, request);
    }
    if (request->mode == REQUEST_BARRIER) {
        if (pending->items_count == ENTRY_COMMANDS_MAX) {
            return PLACE_FULL;
        }
        struct item *item = pending_add(pending, request);
        if (item == NULL) {
            return PLACE_FAILED;
        }
        item->disposition = ITEM_BARRIER;
        item->last = true;
        return PLACE_DONE;
    }
    while (request->next < request->count) {
        const enum place place = place_command(ledger, pending, execution, request);
        if (place != PLACE_DONE) {
            return place;
        }
    }
    return PLACE_DONE;
}
