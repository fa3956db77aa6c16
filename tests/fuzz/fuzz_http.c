/*
 * HTTP heads and bodies: whatever comes, in whatever pieces, ends in a message or a refusal within
 * the bounds. The first byte says how large the pieces are.
 */
#include "base/check.h"
#include "base/limits.h"
#include "gateway/websocket.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const struct http_message *message)
{
    struct buffer out;
    buffer_init(&out, 4096);
    assert(message->body.size <= MESSAGE_BYTES_MAX);
    assert(message->path.data != NULL && message->method.data != NULL);
    assert(message->path.size <= HTTP_HEAD_BYTES_MAX);
    assert(IMPLIES(message->transfer_encoding.data != NULL, message->content_length.data == NULL));
    assert(IMPLIES(message->version_1_1, message->host.data != NULL));
    if (websocket_check_request(message) == 101) {
        websocket_accept_write(message, &out);
        assert(!out.failed && out.size > 0);
    }
    (void)http_media_type_is(message->content_type, "application/json");
    (void)http_origin_matches_host(message->origin, message->host);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http *http = NULL;
    if (size == 0 || http_open(&http, HTTP_SIDE_SERVER) != STATUS_OK) {
        return 0;
    }
    const size_t step = data[0] == 0 ? SIZE_MAX : data[0];
    size_t at = 1;
    while (at < size) {
        const size_t part = size - at < step ? size - at : step;
        size_t taken = 0;
        const enum status status = http_feed(http, data + at, part, &taken);
        assert(taken <= part);
        at += taken;
        if (status == STATUS_OK) {
            check_message(http_message(http));
            http_next(http);
            continue;
        }
        if (status == STATUS_PROTOCOL) {
            const uint16_t refusal = http_error_status(http);
            assert(refusal == 400 || refusal == 413);
            break;
        }
        assert(status == STATUS_AGAIN && taken == part);
        (void)http_wants_continue(http);
    }
    http_close(http);
    return 0;
}
