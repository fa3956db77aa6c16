/*
 * The opening handshake of WebSocket on both sides (RFC 6455, section 4).
 */
#include "gateway/websocket.h"

#include "base/check.h"
#include "base/crypto.h"

#include <string.h>

enum { KEY_TEXT_BYTES = WEBSOCKET_KEY_BYTES - 1, ACCEPT_BYTES = 29 };

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Base64 of exactly 16 bytes: 22 digits, the last of which carries two bits, and "==". */
static bool key_valid(struct text key)
{
    if (key.data == NULL || key.size != KEY_TEXT_BYTES) {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        if (memchr(base64_digits, key.data[i], sizeof base64_digits - 1) == NULL) {
            return false;
        }
    }
    return memchr("AQgw", key.data[21], 4) != NULL && key.data[22] == '=' && key.data[23] == '=';
}

static void key_make(char key[WEBSOCKET_KEY_BYTES])
{
    uint8_t bytes[18] = {0}; /* 16, and two zeros that make the groups whole */
    random_bytes(bytes, 16);
    for (size_t i = 0; i < 6; i++) {
        const uint32_t group =
            (uint32_t)bytes[3 * i] << 16 | (uint32_t)bytes[3 * i + 1] << 8 | bytes[3 * i + 2];
        for (size_t j = 0; j < 4; j++) {
            key[4 * i + j] = base64_digits[group >> (18 - 6 * j) & 63];
        }
    }
    key[22] = '=';
    key[23] = '=';
    key[24] = '\0';
    assert(key_valid(text_of(key)));
}

uint16_t websocket_check_request(const struct http_message *request)
{
    assert(request->method.data != NULL);
    if (!http_list_has(request->upgrade, "websocket") || !request->version_1_1 ||
        !http_list_has(request->connection, "upgrade") || request->body.size > 0) {
        return 400;
    }
    if (!http_text_equal(request->websocket_version, "13")) {
        return request->websocket_version.data == NULL ? 400 : 426;
    }
    if (!key_valid(request->websocket_key)) {
        return 400;
    }
    if (request->websocket_protocol.data != NULL &&
        !http_list_has(request->websocket_protocol, WEBSOCKET_SUBPROTOCOL)) {
        return 400;
    }
    return 101;
}

void websocket_accept_write(const struct http_message *request, struct buffer *out)
{
    assert(websocket_check_request(request) == 101);
    char accept[ACCEPT_BYTES];
    websocket_accept_key(request->websocket_key, accept);
    write_format(out,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
                 accept);
    if (request->websocket_protocol.data != NULL) {
        write_format(out, "Sec-WebSocket-Protocol: %s\r\n", WEBSOCKET_SUBPROTOCOL);
    }
    write_bytes(out, "\r\n", 2);
}

void websocket_refuse_write(uint16_t status, int64_t wall_ns, struct buffer *out)
{
    assert(status == 400 || status == 426);
    const struct http_response response = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = status == 426 ? TEXT("this is a WebSocket, version 13\n")
                              : TEXT("not a WebSocket handshake that we know\n"),
        .wall_ns = wall_ns,
    };
    http_response_write(out, &response);
}

void websocket_request_write(struct buffer *out, const char *host, const char *path,
                             char key[WEBSOCKET_KEY_BYTES])
{
    assert(host != NULL && path != NULL && path[0] == '/');
    key_make(key);
    write_format(out,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Protocol: %s\r\n\r\n",
                 path, host, key, WEBSOCKET_SUBPROTOCOL);
}

enum status websocket_check_response(const struct http_message *response, const char *key)
{
    assert(key_valid(text_of(key)));
    char accept[ACCEPT_BYTES];
    websocket_accept_key(text_of(key), accept);
    if (response->status != 101 || !http_list_has(response->upgrade, "websocket") ||
        !http_list_has(response->connection, "upgrade")) {
        return STATUS_PROTOCOL;
    }
    if (!text_equal(response->websocket_accept, text_of(accept))) {
        return STATUS_PROTOCOL;
    }
    if (response->websocket_extensions.data != NULL) {
        return STATUS_PROTOCOL; /* we offered none */
    }
    if (response->websocket_protocol.data != NULL &&
        !text_equal(response->websocket_protocol, TEXT(WEBSOCKET_SUBPROTOCOL))) {
        return STATUS_PROTOCOL;
    }
    return STATUS_OK;
}
