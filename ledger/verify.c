/*
 * The leader's half: requests become entries. Every answer of a request, also a replay, a mismatch
 * or a barrier, waits until the entry that was made for it is applied, so that no answer rests on
 * an entry that may still be lost, nor on the word of a leader that no longer is one.
 */
#include "ledger/internal.h"

#include "base/check.h"
#include "base/mutant.h"

#include <string.h>

void ledger_epoch_begin(struct ledger *ledger, uint64_t epoch, uint64_t term)
{
    assert(!ledger->in_epoch && overlay_empty(&ledger->overlay));
    assert(list_empty(&ledger->in_flight) && list_empty(&ledger->waiting));
    assert(epoch > ledger->epoch && term > 0);
    /* The store's view may be closed between two transactions: the position knows its counts. */
    ledger->overlay.view.accounts_count = ledger->position.accounts_count;
    ledger->overlay.view.currencies_count = ledger->position.currencies_count;
    ledger->in_epoch = true;
    ledger->overlay_full = false;
    ledger->epoch = epoch;
    ledger->term = term;
    ledger->next_seq = ledger->position.seq + 1;
    ledger->last_time_ns = ledger->position.time_ns;
}

/*
 * Commands in proposed entries may be applied yet. That holds for replays too: their originals may
 * be in flight themselves. A barrier only wanted to read.
 */
static void lose_pending(struct ledger *ledger, const struct pending *pending,
                         struct list *answered)
{
    for (uint32_t i = 0; i < pending->items_count; i++) {
        const struct item *item = &pending->items[i];
        const bool unknown = pending->entry.proposed && item->disposition != ITEM_BARRIER &&
                             !MUTANT("unknown-as-failed");
        answer_lost(item, unknown ? CODE_UNKNOWN : CODE_LEADERSHIP_LOST);
        if (item->last) {
            answer_finish(ledger, item->request, answered);
        }
    }
}

/* What is left of a request was never put into any entry. */
static void lose_rest(struct ledger *ledger, struct ledger_request *request, struct list *answered)
{
    if (request->next == 0) {
        answer_whole(ledger, request, CODE_LEADERSHIP_LOST, answered);
        return;
    }
    for (; request->next < request->count; request->next++) {
        struct command command;
        const enum status status = command_read(&request->rest, &command);
        assert(status == STATUS_OK); /* see ledger_submit */
        struct item item = {.request = request, .kind = command.kind};
        if (command.kind == COMMAND_PAYMENT) {
            item.id = command.payment.id;
            item.short_form = command.payment.short_form;
        }
        answer_lost(&item, CODE_LEADERSHIP_LOST);
    }
    answer_finish(ledger, request, answered);
}

void ledger_epoch_end(struct ledger *ledger, struct list *answered)
{
    if (!ledger->in_epoch) {
        return;
    }
    ledger->in_epoch = false;
    for (struct list *node = list_pop(&ledger->in_flight); node != NULL;
         node = list_pop(&ledger->in_flight)) {
        struct pending *pending = CONTAINER_OF(node, struct pending, node);
        lose_pending(ledger, pending, answered);
        pending_give_back(ledger, pending);
    }
    ledger->in_flight_count = 0;
    for (struct list *node = list_pop(&ledger->waiting); node != NULL;
         node = list_pop(&ledger->waiting)) {
        lose_rest(ledger, CONTAINER_OF(node, struct ledger_request, node), answered);
    }
    ledger->waiting_commands = 0;
    overlay_clear(&ledger->overlay, &ledger->store_view.view);
}

/* Reads the whole request once, so that damage is found before any part of it is executed. */
static bool request_valid(struct ledger_request *request)
{
    struct reader reader = reader_of(request->bytes.data, request->bytes.size);
    if (request_read_head(&reader, &request->mode, &request->count) != STATUS_OK ||
        request->count > BATCH_ITEMS_MAX) {
        return false;
    }
    request->next = 0;
    request->rest = reader;
    for (uint32_t i = 0; i < request->count; i++) {
        struct command command;
        if (command_read(&reader, &command) != STATUS_OK ||
            (request->mode == REQUEST_ATOMIC && command.kind != COMMAND_PAYMENT)) {
            return false;
        }
    }
    return reader_left(&reader) == 0;
}

void ledger_submit(struct ledger *ledger, struct ledger_request *request, struct list *answered)
{
    list_init(&request->node);
    buffer_init(&request->outcomes, ANSWER_BYTES_MAX);
    request->code = CODE_OK;
    request->outcomes_count = 0;
    if (!ledger->in_epoch) {
        answer_whole(ledger, request, CODE_LEADERSHIP_LOST, answered);
        return;
    }
    if (!request_valid(request)) {
        answer_whole(ledger, request, CODE_INVALID_REQUEST, answered);
        return;
    }
    list_push(&ledger->waiting, &request->node);
    ledger->waiting_commands += request->count;
}

bool ledger_waiting(const struct ledger *ledger)
{
    return ledger->in_epoch && !list_empty(&ledger->waiting) && !ledger->overlay_full &&
           ledger->in_flight_count < ENTRIES_IN_FLIGHT_MAX;
}

struct ledger_backlog ledger_backlog(const struct ledger *ledger)
{
    struct ledger_backlog backlog = {.commands = ledger->waiting_commands};
    assert(IMPLIES(backlog.commands > 0, !list_empty(&ledger->waiting)));
    if (!list_empty(&ledger->waiting)) {
        backlog.oldest = CONTAINER_OF(ledger->waiting.next, struct ledger_request, node);
    }
    return backlog;
}

/* Unique without any randomness: a term has one leader, and a leader counts its entries. */
static struct uuid entry_id_make(uint64_t term, uint64_t tag)
{
    struct uuid id;
    put_u64(id.bytes, term);
    put_u64(id.bytes + sizeof(term), tag);
    return id;
}

static enum status fill(struct ledger *ledger, struct pending *pending,
                        const struct execution *execution, struct list *answered)
{
    overlay_begin(&ledger->overlay, pending->tag);
    while (!list_empty(&ledger->waiting) && pending->items_count < ENTRY_COMMANDS_ENOUGH) {
        struct ledger_request *request =
            CONTAINER_OF(ledger->waiting.next, struct ledger_request, node);
        const enum place place = place_request(ledger, pending, execution, request);
        if (ledger->overlay.view.error != STATUS_OK) {
            return ledger->overlay.view.error;
        }
        if (place == PLACE_FAILED) {
            return STATUS_NO_MEMORY;
        }
        if (place == PLACE_FULL) {
            break;
        }
        list_remove(&request->node);
        assert(ledger->waiting_commands >= request->count);
        ledger->waiting_commands -= request->count;
        if (place == PLACE_REFUSED) {
            answer_whole(ledger, request, request->code, answered);
        }
    }
    return STATUS_OK;
}

enum status ledger_verify(struct ledger *ledger, int64_t now_ns, struct ledger_entry **entry,
                          struct list *answered)
{
    *entry = NULL;
    if (!ledger_waiting(ledger)) {
        return STATUS_OK;
    }
    const enum status begun = ledger_begin(ledger);
    if (begun != STATUS_OK) {
        return begun;
    }
    struct pending *pending = pending_take(ledger);
    if (pending == NULL) {
        return STATUS_NO_MEMORY;
    }
    ledger->tag++;
    pending->tag = ledger->tag;
    const int64_t next_ns = ledger->last_time_ns + 1;
    const struct execution execution = {.term = ledger->term,
                                        .time_ns = now_ns > next_ns ? now_ns : next_ns};
    struct entry_header header = {.term = ledger->term,
                                  .first_seq = ledger->next_seq,
                                  .time_ns = execution.time_ns,
                                  .id = entry_id_make(ledger->term, pending->tag),
                                  .digest_seq = ledger->position.seq,
                                  .digest = ledger->position.digest};
    entry_begin(&pending->entry.bytes);
    const enum status status = fill(ledger, pending, &execution, answered);
    if (status != STATUS_OK || pending->items_count == 0) {
        pending_give_back(ledger, pending);
        return status;
    }
    header.count = pending->count;
    entry_finish(&pending->entry.bytes, &header);
    if (pending->entry.bytes.failed) {
        pending_give_back(ledger, pending);
        return STATUS_NO_MEMORY;
    }
    assert(ledger->next_seq == header.first_seq + header.count);
    ledger->last_time_ns = execution.time_ns;
    pending->entry.id = header.id;
    pending->entry.epoch = ledger->epoch;
    list_push(&ledger->in_flight, &pending->node);
    ledger->in_flight_count++;
    *entry = &pending->entry;
    return STATUS_OK;
}
