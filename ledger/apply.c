/*
 * Every node's half: a committed entry is executed on the store, in the same way on each. What
 * apply decides stands; that it was expected otherwise is reported, and means a bug.
 */
#include "ledger/internal.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "ledger/group.h"

/* An entry on its way into the store. */
struct application {
    struct ledger *ledger;
    struct entry_header header;
    struct execution execution;
    struct applied *applied;
    struct pending *own; /* NULL: not an entry of this node's present epoch */
    uint32_t own_next;   /* item that is answered next */
    uint32_t executed;   /* commands so far */
    enum status status;  /* of look-ups for answers */
};

/* Answers the items up to the next command: they see what was applied before them, no more. */
static void answer_others(struct application *application)
{
    const struct pending *own = application->own;
    while (own != NULL && application->own_next < own->items_count &&
           application->status == STATUS_OK) {
        const struct item *item = &own->items[application->own_next];
        if (item->disposition == ITEM_IN_ENTRY) {
            return;
        }
        application->status = answer_looked_up(application->ledger, item);
        application->own_next++;
    }
}

static void count_outcome(struct ledger *ledger, const struct decision *decision)
{
    if (decision->kind != COMMAND_PAYMENT) {
        return;
    }
    ledger->position.payments_count++;
    metric_add(ledger->metrics,
               decision->code == CODE_OK ? METRIC_PAYMENTS_POSTED : METRIC_PAYMENTS_REFUSED, 1);
}

/* After each command that was executed, in the order of the entry. */
static void command_executed(void *data, uint32_t number, const struct entry_item *item,
                             const struct entry_command *command, const struct decision *decision)
{
    (void)number;
    (void)command;
    struct application *application = data;
    struct ledger *ledger = application->ledger;
    application->executed++;
    hasher_add(ledger->hasher, ledger->records.data, ledger->records.size);
    buffer_clear(&ledger->records);
    count_outcome(ledger, decision);
    if (decision->code != item->expected) {
        log_error("ledger", "outcome differs seq=%llu expected=%d actual=%d",
                  (unsigned long long)decision->seq, (int)item->expected, (int)decision->code);
        metric_add(ledger->metrics, METRIC_OUTCOME_DIFFERENCES, 1);
        application->applied->different = true;
        assert(!ledger->abort_on_difference);
    }
    if (application->own == NULL) {
        return;
    }
    if (application->status != STATUS_OK) {
        return;
    }
    assert(application->own_next < application->own->items_count);
    application->status =
        answer_executed(ledger, &application->own->items[application->own_next], decision);
    application->own_next++;
    answer_others(application);
}

static enum status execute_item(struct application *application, struct reader *items)
{
    struct ledger *ledger = application->ledger;
    struct entry_item item;
    if (entry_item_read(items, &item) != STATUS_OK) {
        return STATUS_INVALID;
    }
    const uint64_t seq = application->header.first_seq + application->executed;
    const uint32_t left = application->header.count - application->executed;
    if (item.kind == ENTRY_ITEM_GROUP) {
        if (item.group_count > left) {
            return STATUS_INVALID;
        }
        const struct group group = {.view = &ledger->store_view.view,
                                    .trial = &ledger->trial,
                                    .execution = application->execution,
                                    .first_seq = seq,
                                    .count = item.group_count,
                                    .aborted = item.group_aborted};
        return group_execute(&group, items, command_executed, application);
    }
    struct entry_command command;
    struct text form;
    if (left == 0 || entry_command_read(items, &command, &form) != STATUS_OK) {
        return STATUS_INVALID;
    }
    struct decision decision;
    ledger_execute(&ledger->store_view.view, &application->execution, seq, &command, form,
                   &decision);
    command_executed(application, 0, &item, &command, &decision);
    return STATUS_OK;
}

/* Executes the commands; the digest and the position then contain them. */
static enum status execute_entry(struct application *application, const void *data, size_t size,
                                 struct reader items)
{
    struct ledger *ledger = application->ledger;
    struct position *position = &ledger->position;
    struct view *view = &ledger->store_view.view;
    buffer_clear(&ledger->records);
    hasher_begin(ledger->hasher);
    hasher_add(ledger->hasher, position->digest.bytes, sizeof(position->digest.bytes));
    hasher_add(ledger->hasher, data, size);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && view->error == STATUS_OK && reader_left(&items) > 0) {
        status = execute_item(application, &items);
    }
    const struct digest digest = hasher_end(ledger->hasher);
    if (view->error != STATUS_OK) {
        return view->error;
    }
    if (status != STATUS_OK || application->executed != application->header.count) {
        return STATUS_INVALID;
    }
    position->digest = digest;
    position->seq += application->header.count;
    position->accounts_count = view->accounts_count;
    position->currencies_count = view->currencies_count;
    return store_digest_put(ledger->txn, position->seq, &position->digest);
}

/* Is the digest that the leader sent the one that we have at its seq, if it is still kept? */
static enum status compare_digest(struct application *application)
{
    struct ledger *ledger = application->ledger;
    const struct entry_header *header = &application->header;
    if (header->digest_seq == 0) {
        return STATUS_OK;
    }
    /* The leader had applied what it vouches for before it made this entry: it is behind us. */
    if (header->digest_seq > ledger->position.seq) {
        application->applied->diverged = true;
        return STATUS_OK;
    }
    struct digest ours;
    const enum status status = store_digest(ledger->txn, header->digest_seq, &ours);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    if (status == STATUS_OK && !digest_equal(&ours, &header->digest)) {
        application->applied->diverged = true;
    }
    return status;
}

/* The oldest entry in flight, if it is this one: raft keeps the order of proposals. */
static struct pending *own_entry(struct ledger *ledger, const struct uuid *id)
{
    if (!ledger->in_epoch || list_empty(&ledger->in_flight)) {
        return NULL;
    }
    struct pending *pending = CONTAINER_OF(ledger->in_flight.next, struct pending, node);
    return uuid_equal(&pending->entry.id, id) ? pending : NULL;
}

/* Gives the requests of an own entry back and forgets the entry. */
static void finish_own(struct application *application, struct list *answered)
{
    struct ledger *ledger = application->ledger;
    struct pending *own = application->own;
    for (uint32_t i = 0; i < own->items_count; i++) {
        if (application->applied->was_void) {
            answer_lost(&own->items[i], CODE_LEADERSHIP_LOST);
        }
        if (own->items[i].last) {
            answer_finish(ledger, own->items[i].request, answered);
        }
    }
    list_remove(&own->node);
    ledger->in_flight_count--;
    ledger->overlay_full = false;
    overlay_release(&ledger->overlay, own->tag);
    pending_give_back(ledger, own);
}

static enum status apply_entry(struct application *application, const void *data, size_t size,
                               struct reader items)
{
    struct ledger *ledger = application->ledger;
    struct applied *applied = application->applied;
    enum status status = compare_digest(application);
    if (status != STATUS_OK) {
        return status;
    }
    if (application->header.count > 0 &&
        application->header.first_seq != ledger->position.seq + 1) {
        applied->was_void = true;
        metric_add(ledger->metrics, METRIC_ENTRIES_VOID, 1);
        return STATUS_OK;
    }
    answer_others(application);
    if (application->header.count > 0) {
        status = execute_entry(application, data, size, items);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (application->header.time_ns > ledger->position.time_ns) {
        ledger->position.time_ns = application->header.time_ns;
    }
    return application->status;
}

enum status ledger_apply(struct ledger *ledger, uint64_t index, const void *data, size_t size,
                         struct applied *applied, struct list *answered)
{
    *applied = (struct applied){0};
    if (index <= ledger->position.index) {
        applied->skipped = true;
        metric_add(ledger->metrics, METRIC_ENTRIES_SKIPPED, 1);
        return STATUS_OK;
    }
    struct application application = {.ledger = ledger, .applied = applied};
    struct reader items;
    if (entry_read(data, size, &application.header, &items) != STATUS_OK) {
        return STATUS_INVALID;
    }
    enum status status = ledger_begin(ledger);
    if (status != STATUS_OK) {
        return status;
    }
    application.execution =
        (struct execution){.term = application.header.term, .time_ns = application.header.time_ns};
    if (MUTANT("apply-not-determined")) {
        application.execution.time_ns += (int64_t)((uintptr_t)ledger & 0xfff0);
    }
    application.own = own_entry(ledger, &application.header.id);
    applied->own = application.own != NULL;
    applied->first_seq = application.header.first_seq;
    applied->count = application.header.count;
    status = apply_entry(&application, data, size, items);
    if (status != STATUS_OK) {
        return status;
    }
    ledger->position.index = index;
    ledger->position.term = application.header.term;
    ledger->uncommitted_bytes += size;
    if (application.own != NULL) {
        finish_own(&application, answered);
    }
    metric_add(ledger->metrics, METRIC_ENTRIES_APPLIED, 1);
    metric_set(ledger->metrics, METRIC_SEQ, ledger->position.seq);
    metric_set(ledger->metrics, METRIC_RAFT_INDEX, index);
    return STATUS_OK;
}

void ledger_advance_index(struct ledger *ledger, uint64_t index)
{
    if (index > ledger->position.index) {
        ledger->position.index = index;
        metric_set(ledger->metrics, METRIC_RAFT_INDEX, index);
    }
}
