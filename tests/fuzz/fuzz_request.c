/*
 * The request form: whatever is accepted has exactly one way to be written.
 */
#include "base/check.h"
#include "ledger/command.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(data, size);
    enum request_mode mode;
    uint32_t count;
    if (request_read_head(&reader, &mode, &count) != STATUS_OK) {
        return 0;
    }
    struct buffer again;
    buffer_init(&again, REQUEST_BYTES_MAX);
    request_write_head(&again, mode, count);
    for (uint32_t i = 0; i < count; i++) {
        struct command command;
        if (command_read(&reader, &command) != STATUS_OK) {
            buffer_deinit(&again);
            return 0;
        }
        command_write(&again, &command);
    }
    assert(!again.failed && again.size == size - reader_left(&reader));
    assert(memcmp(again.data, data, again.size) == 0);
    buffer_deinit(&again);
    return 0;
}
