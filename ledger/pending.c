/*
 * Entries in flight are few and used again and again: they keep their memory.
 */
#include "ledger/internal.h"

#include "base/check.h"

#include <stdlib.h>

enum { PENDING_ITEMS_MIN = 64 };

struct pending *pending_take(struct ledger *ledger)
{
    struct pending *pending = NULL;
    struct list *node = list_pop(&ledger->spare);
    if (node != NULL) {
        pending = CONTAINER_OF(node, struct pending, node);
    } else {
        pending = calloc(1, sizeof(*pending));
        if (pending == NULL) {
            return NULL;
        }
        list_init(&pending->node);
        buffer_init(&pending->entry.bytes, ENTRY_BYTES_MAX);
    }
    buffer_clear(&pending->entry.bytes);
    pending->entry.proposed = false;
    pending->items_count = 0;
    pending->count = 0;
    return pending;
}

void pending_give_back(struct ledger *ledger, struct pending *pending)
{
    pending->items_count = 0;
    list_push(&ledger->spare, &pending->node);
}

void pending_free(struct pending *pending)
{
    buffer_deinit(&pending->entry.bytes);
    free(pending->items);
    free(pending);
}

struct item *pending_add(struct pending *pending, struct ledger_request *request)
{
    assert(pending->items_count < ENTRY_COMMANDS_MAX);
    if (pending->items_count == pending->items_capacity) {
        const uint32_t capacity =
            pending->items_capacity == 0 ? PENDING_ITEMS_MIN : pending->items_capacity * 2;
        struct item *items = realloc(pending->items, capacity * sizeof(*items));
        if (items == NULL) {
            return NULL;
        }
        pending->items = items;
        pending->items_capacity = capacity;
    }
    struct item *item = &pending->items[pending->items_count];
    pending->items_count++;
    *item = (struct item){.request = request};
    return item;
}
