/*
 * WebSocket frames: whatever comes, in whatever pieces, gives messages of valid UTF-8 within the
 * bound, or one close frame with a code. The first byte says how large the pieces are, its lowest
 * bit which side reads.
 */
#include "base/check.h"
#include "gateway/json.h"
#include "gateway/websocket.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_MESSAGE_BYTES_MAX = 1000, FUZZ_OUTPUT_BYTES_MAX = 1024 * 1024 };

/* Returns false when nothing more may be read. */
static bool check_step(struct websocket *websocket, enum status status, const struct buffer *out)
{
    if (status == STATUS_OK) {
        assert(websocket_message(websocket).size <= FUZZ_MESSAGE_BYTES_MAX);
        assert(json_utf8_valid(websocket_message(websocket)));
        assert(!websocket_close_sent(websocket));
        return true;
    }
    if (status == STATUS_CLOSED || status == STATUS_PROTOCOL) {
        assert(websocket_close_sent(websocket));
        assert(websocket_code(websocket) != WEBSOCKET_BROKEN);
        assert(out->size >= 2);
        return false;
    }
    return status == STATUS_AGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const enum websocket_side side =
        (data[0] & 1) != 0 ? WEBSOCKET_SIDE_CLIENT : WEBSOCKET_SIDE_SERVER;
    const size_t step = data[0] < 2 ? SIZE_MAX : data[0] / 2;
    struct websocket *websocket = NULL;
    if (websocket_open(&websocket, side, FUZZ_MESSAGE_BYTES_MAX) != STATUS_OK) {
        return 0;
    }
    struct buffer out;
    buffer_init(&out, FUZZ_OUTPUT_BYTES_MAX);
    size_t at = 1;
    bool going = true;
    while (going && at < size) {
        const size_t part = size - at < step ? size - at : step;
        size_t taken = 0;
        const enum status status = websocket_feed(websocket, data + at, part, &taken, &out);
        assert(taken <= part && (taken > 0 || status == STATUS_OK));
        assert(websocket_bytes(websocket) <= 2 * FUZZ_MESSAGE_BYTES_MAX);
        at += taken;
        going = check_step(websocket, status, &out);
    }
    buffer_deinit(&out);
    websocket_close(websocket);
    return 0;
}
