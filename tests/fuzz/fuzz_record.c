/*
 * A record of table payments, behind 8 bytes of its seq: whatever is accepted has exactly one way
 * to be written. A damaged file must give an error, never a crash or another payment.
 */
#include "base/check.h"
#include "ledger/store.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8) {
        return 0;
    }
    const uint64_t seq = get_u64(data) % SEQ_MAX + 1;
    const struct text bytes = {.data = (const char *)data + 8, .size = size - 8};
    struct record record;
    if (record_read(bytes, seq, &record) != STATUS_OK) {
        return 0;
    }
    struct buffer again;
    buffer_init(&again, 64 * 1024);
    record_write(&again, &record.id, record.form, &record.decision);
    assert(!again.failed && again.size == bytes.size);
    assert(memcmp(again.data, bytes.data, again.size) == 0);
    buffer_deinit(&again);
    return 0;
}
