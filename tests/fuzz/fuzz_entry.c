/*
 * The log entry with all its items: whatever is accepted has exactly one way to be written.
 */
#include "base/check.h"
#include "ledger/entry.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the items again; false where one of them is not accepted. */
static bool items_copy(struct reader *items, struct buffer *again)
{
    while (reader_left(items) > 0) {
        struct entry_item item;
        if (entry_item_read(items, &item) != STATUS_OK) {
            return false;
        }
        entry_item_write(again, &item);
        if (item.kind == ENTRY_ITEM_GROUP) {
            continue;
        }
        struct entry_command command;
        struct text form;
        if (entry_command_read(items, &command, &form) != STATUS_OK) {
            return false;
        }
        const size_t begin = again->size;
        entry_command_write(again, &command);
        assert(again->size - begin == form.size);
        assert(memcmp(again->data + begin, form.data, form.size) == 0);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entry_header header;
    struct reader items;
    if (entry_read(data, size, &header, &items) != STATUS_OK) {
        return 0;
    }
    struct buffer again;
    buffer_init(&again, ENTRY_BYTES_MAX);
    entry_begin(&again);
    if (items_copy(&items, &again)) {
        entry_finish(&again, &header);
        assert(!again.failed && again.size == size);
        assert(memcmp(again.data, data, size) == 0);
    }
    buffer_deinit(&again);
    return 0;
}
