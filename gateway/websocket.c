/*
 * WebSocket messages. The head of each frame is gathered first and judged by the two rules that
 * wslay leaves to its caller (the masking bit, and the announced length against our bound), then
 * wslay reads head and payload, checks the head's form and removes the mask. Data frames are joined
 * into `message`, control frames into `control`.
 *
 * The first failure ends reading: one close frame with the code of the rule that was broken.
 */
#include "gateway/websocket.h"

#include "base/check.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "gateway/json.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
    FRAME_HEAD_BYTES_MAX = 14, /* 2, 8 of a long length, 4 of a mask (RFC 6455, 5.2) */
    FRAME_MASK_BYTES = 4,
    CONTROL_BYTES_MAX = 125,
    CLOSE_REASON_BYTES_MAX = CONTROL_BYTES_MAX - 2
};

struct websocket {
    wslay_frame_context_ptr frames;
    enum websocket_side side;
    size_t message_bytes_max;
    /* the frame being read */
    uint8_t head[FRAME_HEAD_BYTES_MAX];
    uint8_t head_size;
    bool in_payload;
    bool fin;
    uint8_t opcode;
    uint64_t payload_left;
    /* what wslay may take now, and where it writes */
    const uint8_t *input;
    size_t input_size;
    struct buffer *output;
    /* the message being read, and the control frame in its midst */
    bool in_message;
    bool message_done;
    struct buffer message;
    uint8_t control[CONTROL_BYTES_MAX];
    uint8_t control_size;
    /* the end */
    bool close_sent;
    bool failed;
    uint16_t code;
};

static ssize_t frame_input(uint8_t *to, size_t size, int flags, void *data)
{
    struct websocket *websocket = data;
    (void)flags;
    if (websocket->input_size == 0) {
        return -1; /* nothing now: wslay then wants more */
    }
    const size_t part = size < websocket->input_size ? size : websocket->input_size;
    memcpy(to, websocket->input, part);
    websocket->input += part;
    websocket->input_size -= part;
    return (ssize_t)part;
}

/* A failure of memory stays in the buffer; to wslay all bytes are gone. */
static ssize_t frame_output(const uint8_t *from, size_t size, int flags, void *data)
{
    const struct websocket *websocket = data;
    (void)flags;
    assert(websocket->output != NULL && size > 0);
    write_bytes(websocket->output, from, size);
    return (ssize_t)size;
}

static int frame_mask(uint8_t *to, size_t size, void *data)
{
    (void)data;
    random_bytes(to, size);
    return 0;
}

enum status websocket_open(struct websocket **websocket, enum websocket_side side,
                           size_t message_bytes_max)
{
    assert(websocket != NULL && message_bytes_max > 0);
    struct websocket *new = calloc(1, sizeof *new);
    if (new == NULL) {
        return STATUS_NO_MEMORY;
    }
    new->side = side;
    new->message_bytes_max = message_bytes_max;
    new->code = WEBSOCKET_BROKEN;
    buffer_init(&new->message, message_bytes_max);
    const struct wslay_frame_callbacks callbacks = {
        .send_callback = frame_output,
        .recv_callback = frame_input,
        .genmask_callback = frame_mask,
    };
    if (wslay_frame_context_init(&new->frames, &callbacks, new) != 0) {
        free(new);
        return STATUS_NO_MEMORY;
    }
    *websocket = new;
    return STATUS_OK;
}

void websocket_close(struct websocket *websocket)
{
    if (websocket == NULL) {
        return;
    }
    wslay_frame_context_free(websocket->frames);
    buffer_deinit(&websocket->message);
    free(websocket);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void frame_write(struct websocket *websocket, uint8_t opcode, const void *data, size_t size,
                        struct buffer *out)
{
    assert(!websocket->close_sent);
    assert(IMPLIES(wslay_is_ctrl_frame(opcode), size <= CONTROL_BYTES_MAX));
    struct wslay_frame_iocb frame = {
        .fin = 1,
        .opcode = opcode,
        .payload_length = size,
        .mask = websocket->side == WEBSOCKET_SIDE_CLIENT ? 1 : 0,
        .data = data,
        .data_length = size,
    };
    websocket->output = out;
    const ssize_t sent = wslay_frame_send(websocket->frames, &frame);
    websocket->output = NULL;
    /* frame_output takes everything, so that a frame never stays half sent. */
    assert(sent >= 0 && (size_t)sent == size);
}

void websocket_write_text(struct websocket *websocket, struct text text, struct buffer *out)
{
    if (!websocket->close_sent) {
        frame_write(websocket, WSLAY_TEXT_FRAME, text.data, text.size, out);
    }
}

void websocket_write_ping(struct websocket *websocket, struct buffer *out)
{
    if (!websocket->close_sent) {
        frame_write(websocket, WSLAY_PING, NULL, 0, out);
    }
}

void websocket_write_close(struct websocket *websocket, uint16_t code, const char *reason,
                           struct buffer *out)
{
    assert(code >= 1000 && code < 5000 && code != WEBSOCKET_BROKEN);
    if (websocket->close_sent) {
        return;
    }
    uint8_t payload[CONTROL_BYTES_MAX];
    size_t size = 0;
    if (code != WEBSOCKET_NO_CODE) {
        const size_t reason_size = strlen(reason);
        assert(reason_size <= CLOSE_REASON_BYTES_MAX);
        payload[0] = (uint8_t)(code >> 8);
        payload[1] = (uint8_t)(code & 0xff);
        memcpy(payload + 2, reason, reason_size);
        size = 2 + reason_size;
    }
    frame_write(websocket, WSLAY_CONNECTION_CLOSE, payload, size, out);
    websocket->close_sent = true;
    if (websocket->code == WEBSOCKET_BROKEN) {
        websocket->code = code;
    }
}

/* ---- reading ------------------------------------------------------------------------------- */

static enum status websocket_fail(struct websocket *websocket, uint16_t code, const char *reason,
                                  struct buffer *out)
{
    websocket->failed = true;
    websocket_write_close(websocket, code, reason, out);
    return STATUS_PROTOCOL;
}

/* Bytes of the head of this frame, as far as its first bytes tell. */
static size_t frame_head_bytes(const struct websocket *websocket)
{
    size_t size = 2;
    if (websocket->head_size < size) {
        return size;
    }
    const uint8_t length = websocket->head[1] & 0x7f;
    size += length == 126 ? 2 : 0;
    size += length == 127 ? 8 : 0;
    size += (websocket->head[1] & 0x80) != 0 ? FRAME_MASK_BYTES : 0;
    assert(size <= FRAME_HEAD_BYTES_MAX);
    return size;
}

static uint64_t frame_payload_bytes(const struct websocket *websocket)
{
    const uint8_t length = websocket->head[1] & 0x7f;
    if (length < 126) {
        return length;
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < (length == 126 ? 2 : 8); i++) {
        bytes = bytes << 8 | websocket->head[2 + i];
    }
    return bytes;
}

/* What wslay does not check. */
static enum status frame_head_check(struct websocket *websocket, struct buffer *out)
{
    const uint8_t opcode = websocket->head[0] & 0x0f;
    const bool masked = (websocket->head[1] & 0x80) != 0;
    if ((websocket->head[0] & 0x70) != 0) {
        return websocket_fail(websocket, WEBSOCKET_PROTOCOL_ERROR, "reserved bits are set", out);
    }
    if (masked != (websocket->side == WEBSOCKET_SIDE_SERVER)) {
        return websocket_fail(
            websocket, WEBSOCKET_PROTOCOL_ERROR,
            masked ? "frames of a server are not masked" : "frames of a client are masked", out);
    }
    switch (opcode) {
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        if (websocket->in_message) {
            return websocket_fail(websocket, WEBSOCKET_PROTOCOL_ERROR,
                                  "a new message within a fragmented one", out);
        }
        if (opcode == WSLAY_BINARY_FRAME) {
            return websocket_fail(websocket, WEBSOCKET_UNSUPPORTED, "messages are text", out);
        }
        break;
    case WSLAY_CONTINUATION_FRAME:
        if (!websocket->in_message) {
            return websocket_fail(websocket, WEBSOCKET_PROTOCOL_ERROR,
                                  "a continuation without a beginning", out);
        }
        break;
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return STATUS_OK; /* their length is wslay's to check */
    default:
        return websocket_fail(websocket, WEBSOCKET_PROTOCOL_ERROR, "unknown opcode", out);
    }
    assert(websocket->message.size <= websocket->message_bytes_max);
    if (frame_payload_bytes(websocket) > websocket->message_bytes_max - websocket->message.size) {
        return websocket_fail(websocket, WEBSOCKET_TOO_BIG, "the message is too big", out);
    }
    return STATUS_OK;
}

static bool close_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum status close_read(struct websocket *websocket, struct buffer *out)
{
    if (websocket->control_size == 1) {
        return websocket_fail(websocket, WEBSOCKET_PROTOCOL_ERROR, "half a close code", out);
    }
    uint16_t code = WEBSOCKET_NO_CODE;
    if (websocket->control_size >= 2) {
        code = (uint16_t)(websocket->control[0] << 8 | websocket->control[1]);
        if (!close_code_valid(code)) {
            return websocket_fail(websocket, WEBSOCKET_PROTOCOL_ERROR, "not a close code", out);
        }
        const struct text reason = {.data = (const char *)websocket->control + 2,
                                    .size = websocket->control_size - 2U};
        if (!json_utf8_valid(reason)) {
            return websocket_fail(websocket, WEBSOCKET_INVALID_TEXT, "not UTF-8", out);
        }
    }
    if (websocket->code == WEBSOCKET_BROKEN) {
        websocket->code = code;
    }
    websocket->failed = true; /* nothing may follow */
    websocket_write_close(websocket, code, "", out);
    return STATUS_CLOSED;
}

/* A frame is complete. STATUS_AGAIN: read on. */
static enum status frame_end(struct websocket *websocket, struct buffer *out)
{
    switch (websocket->opcode) {
    case WSLAY_PING:
        if (!websocket->close_sent) {
            frame_write(websocket, WSLAY_PONG, websocket->control, websocket->control_size, out);
        }
        return STATUS_AGAIN;
    case WSLAY_PONG:
        return STATUS_AGAIN;
    case WSLAY_CONNECTION_CLOSE:
        return close_read(websocket, out);
    default:
        break;
    }
    websocket->in_message = !websocket->fin;
    if (!websocket->fin) {
        return STATUS_AGAIN;
    }
    if (websocket->close_sent) {
        return STATUS_AGAIN; /* too late for a message */
    }
    websocket->message_done = true;
    if (!json_utf8_valid(websocket_message(websocket))) {
        return websocket_fail(websocket, WEBSOCKET_INVALID_TEXT, "not UTF-8", out);
    }
    return STATUS_OK;
}

/* Puts a piece of payload where its frame belongs. */
static enum status payload_add(struct websocket *websocket, const struct wslay_frame_iocb *frame)
{
    if (wslay_is_ctrl_frame(frame->opcode)) {
        assert(websocket->control_size + frame->data_length <= CONTROL_BYTES_MAX);
        if (frame->data_length > 0) {
            memcpy(websocket->control + websocket->control_size, frame->data, frame->data_length);
        }
        websocket->control_size = (uint8_t)(websocket->control_size + frame->data_length);
        return STATUS_OK;
    }
    if (websocket->close_sent) {
        return STATUS_OK; /* only the other side's close frame matters now */
    }
    write_bytes(&websocket->message, frame->data, frame->data_length);
    return websocket->message.failed ? STATUS_NO_MEMORY : STATUS_OK;
}

/* Lets wslay take head or payload. STATUS_AGAIN: more bytes are needed; STATUS_OK: frame's end. */
static enum status frame_read(struct websocket *websocket, struct buffer *out)
{
    for (;;) {
        struct wslay_frame_iocb frame = {0};
        const ssize_t got = wslay_frame_recv(websocket->frames, &frame);
        if (got == WSLAY_ERR_WANT_READ) {
            return STATUS_AGAIN;
        }
        if (got < 0) {
            return websocket_fail(websocket, WEBSOCKET_PROTOCOL_ERROR, "a malformed frame", out);
        }
        assert(frame.data_length <= websocket->payload_left);
        websocket->payload_left -= frame.data_length;
        const enum status status = payload_add(websocket, &frame);
        if (status != STATUS_OK) {
            return status;
        }
        if (websocket->payload_left == 0) {
            assert(websocket->input_size == 0);
            return STATUS_OK;
        }
    }
}

static void frame_input_set(struct websocket *websocket, const uint8_t *data, size_t size)
{
    assert(websocket->input_size == 0);
    websocket->input = data;
    websocket->input_size = size;
}

/* Gathers the head; when it is complete, checks it and hands it to wslay. Returns as frame_read. */
static enum status frame_begin(struct websocket *websocket, const uint8_t *data, size_t size,
                               size_t *taken, struct buffer *out)
{
    *taken = 0;
    while (websocket->head_size < frame_head_bytes(websocket)) {
        if (*taken == size) {
            return STATUS_AGAIN;
        }
        websocket->head[websocket->head_size++] = data[(*taken)++];
    }
    const enum status status = frame_head_check(websocket, out);
    if (status != STATUS_OK) {
        return status;
    }
    websocket->fin = (websocket->head[0] & 0x80) != 0;
    websocket->opcode = websocket->head[0] & 0x0f;
    websocket->payload_left = frame_payload_bytes(websocket);
    websocket->in_payload = true;
    if (wslay_is_ctrl_frame(websocket->opcode)) {
        websocket->control_size = 0;
    }
    frame_input_set(websocket, websocket->head, websocket->head_size);
    return frame_read(websocket, out);
}

enum status websocket_feed(struct websocket *websocket, const uint8_t *data, size_t size,
                           size_t *taken, struct buffer *out)
{
    assert(!websocket->failed);
    assert(taken != NULL && out != NULL);
    *taken = 0;
    if (websocket->message_done) {
        websocket->message_done = false;
        buffer_clear(&websocket->message);
    }
    while (*taken < size) {
        size_t part = 0;
        enum status status;
        if (!websocket->in_payload) {
            status = frame_begin(websocket, data + *taken, size - *taken, &part, out);
        } else {
            const size_t left = size - *taken;
            part = left < websocket->payload_left ? left : (size_t)websocket->payload_left;
            frame_input_set(websocket, data + *taken, part);
            status = frame_read(websocket, out);
        }
        *taken += part;
        if (status == STATUS_OK) {
            websocket->in_payload = false;
            websocket->head_size = 0;
            status = frame_end(websocket, out);
        }
        if (status != STATUS_AGAIN) {
            return status;
        }
    }
    return STATUS_AGAIN;
}

struct text websocket_message(const struct websocket *websocket)
{
    assert(websocket->message_done);
    return (struct text){.data = (const char *)websocket->message.data,
                         .size = websocket->message.size};
}

void websocket_release(struct websocket *websocket)
{
    if (websocket->message_done) {
        websocket->message_done = false;
        buffer_deinit(&websocket->message);
        buffer_init(&websocket->message, websocket->message_bytes_max);
    }
}

void websocket_forget(struct websocket *websocket)
{
    assert(websocket->close_sent && !websocket->message_done);
    buffer_deinit(&websocket->message);
    buffer_init(&websocket->message, websocket->message_bytes_max);
}

size_t websocket_bytes(const struct websocket *websocket)
{
    return websocket->message.capacity;
}

uint16_t websocket_code(const struct websocket *websocket)
{
    return websocket->code;
}

bool websocket_close_sent(const struct websocket *websocket)
{
    return websocket->close_sent;
}
