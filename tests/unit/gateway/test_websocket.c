/* gateway/websocket.h: frames in, messages out, and the close code of every broken rule. */
#include "base/check.h"
#include "base/limits.h"
#include "gateway/websocket.h"
#include "tests/support/check.h"

#include <string.h>

enum { FIN = 0x80, MASKED = 0x80, TEXT_FRAME = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

static struct websocket *open_side(enum websocket_side side)
{
    struct websocket *websocket = NULL;
    check_ok(websocket_open(&websocket, side, MESSAGE_BYTES_MAX));
    return websocket;
}

static void frame_head(struct buffer *wire, uint8_t first, uint64_t size, bool masked)
{
    const uint8_t mask = masked ? MASKED : 0;
    write_u8(wire, first);
    if (size < 126) {
        write_u8(wire, (uint8_t)(mask | size));
    } else if (size < 65536) {
        write_u8(wire, mask | 126);
        write_u8(wire, (uint8_t)(size >> 8));
        write_u8(wire, (uint8_t)size);
    } else {
        write_u8(wire, mask | 127);
        for (int shift = 56; shift >= 0; shift -= 8) {
            write_u8(wire, (uint8_t)(size >> shift));
        }
    }
    if (masked) {
        write_bytes(wire, "\x11\x22\x33\x44", 4);
    }
}

/* A frame of a client. */
static void frame(struct buffer *wire, uint8_t first, const void *payload, size_t size)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    frame_head(wire, first, size, true);
    for (size_t i = 0; i < size; i++) {
        write_u8(wire, (uint8_t)(((const uint8_t *)payload)[i] ^ mask[i % 4]));
    }
}

static enum status feed_steps(struct websocket *websocket, const struct buffer *wire, size_t *at,
                              size_t step, struct buffer *out)
{
    while (*at < wire->size) {
        const size_t part = wire->size - *at < step ? wire->size - *at : step;
        size_t used = 0;
        const enum status status = websocket_feed(websocket, wire->data + *at, part, &used, out);
        *at += used;
        if (status != STATUS_AGAIN) {
            return status;
        }
        assert_int_equal(used, part);
    }
    return STATUS_AGAIN;
}

/* The wire makes a server close with this code, whatever the pieces are. */
static void check_closed(const struct buffer *wire, uint16_t code)
{
    static const size_t steps[] = {1, 5, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct websocket *websocket = open_side(WEBSOCKET_SIDE_SERVER);
        struct buffer out;
        buffer_init(&out, 4096);
        size_t at = 0;
        check_status(feed_steps(websocket, wire, &at, steps[i], &out), STATUS_PROTOCOL);
        assert_int_equal(websocket_code(websocket), code);
        assert_true(websocket_close_sent(websocket));
        assert_true(out.size >= 4);
        assert_int_equal(out.data[0], FIN | CLOSE);
        assert_int_equal(out.data[1], out.size - 2);
        assert_int_equal(out.data[2] << 8 | out.data[3], code);
        buffer_deinit(&out);
        websocket_close(websocket);
    }
}

static void check_payload_closed(uint8_t first, const void *payload, size_t size, uint16_t code)
{
    struct buffer wire;
    buffer_init(&wire, 1024);
    frame(&wire, first, payload, size);
    check_closed(&wire, code);
    buffer_deinit(&wire);
}

static void check_message(struct websocket *websocket, const char *wanted)
{
    const struct text message = websocket_message(websocket);
    assert_int_equal(message.size, strlen(wanted));
    assert_memory_equal(message.data, wanted, message.size);
}

static void test_joins_fragments_around_control_frames(void **state)
{
    (void)state;
    struct buffer wire;
    struct buffer out;
    buffer_init(&wire, 4096);
    buffer_init(&out, 4096);
    frame(&wire, TEXT_FRAME, "gr\xc3", 3); /* cut within a character */
    frame(&wire, FIN | PING, "hello", 5);
    frame(&wire, 0, "\xbc", 1);
    frame(&wire, FIN | PONG, "", 0);
    frame(&wire, 0, "", 0);
    frame(&wire, FIN, "n", 1);
    frame(&wire, FIN | TEXT_FRAME, "", 0);
    frame(&wire, FIN | TEXT_FRAME, "2", 1);
    for (size_t step = 1; step <= wire.size; step++) {
        struct websocket *websocket = open_side(WEBSOCKET_SIDE_SERVER);
        size_t at = 0;
        buffer_clear(&out);
        check_ok(feed_steps(websocket, &wire, &at, step, &out));
        check_message(websocket, "gr\xc3\xbcn");
        check_ok(feed_steps(websocket, &wire, &at, step, &out));
        check_message(websocket, "");
        check_ok(feed_steps(websocket, &wire, &at, step, &out));
        check_message(websocket, "2");
        assert_int_equal(at, wire.size);
        assert_int_equal(out.size, 7);
        assert_memory_equal(out.data, "\x8a\x05hello", 7);
        websocket_release(websocket);
        assert_int_equal(websocket_bytes(websocket), 0);
        websocket_close(websocket);
    }
    buffer_deinit(&wire);
    buffer_deinit(&out);
}

static void test_closes_on_broken_frames(void **state)
{
    (void)state;
    struct buffer wire;
    buffer_init(&wire, 4096);
    frame_head(&wire, FIN | TEXT_FRAME, 2, false);
    write_bytes(&wire, "{}", 2);
    check_closed(&wire, WEBSOCKET_PROTOCOL_ERROR); /* not masked */

    static const uint8_t firsts[] = {FIN | 0x40 | TEXT_FRAME,
                                     FIN | 0x20 | TEXT_FRAME,
                                     FIN | 0x10 | TEXT_FRAME,
                                     FIN | 0x40 | PING,
                                     FIN | 3,
                                     FIN | 7,
                                     FIN | 11,
                                     FIN | 15,
                                     FIN,
                                     0,
                                     PING,
                                     CLOSE};
    for (size_t i = 0; i < ARRAY_COUNT(firsts); i++) {
        check_payload_closed(firsts[i], "{}", 2, WEBSOCKET_PROTOCOL_ERROR);
    }
    uint8_t long_control[126] = {0};
    check_payload_closed(FIN | PING, long_control, sizeof long_control, WEBSOCKET_PROTOCOL_ERROR);

    buffer_clear(&wire);
    frame(&wire, TEXT_FRAME, "{", 1);
    frame(&wire, FIN | TEXT_FRAME, "}", 1);
    check_closed(&wire, WEBSOCKET_PROTOCOL_ERROR); /* a message within a message */

    buffer_clear(&wire);
    write_bytes(&wire, "\x81\xfe\x00\x05\x00\x00\x00\x00hello", 13);
    check_closed(&wire, WEBSOCKET_PROTOCOL_ERROR); /* a length in more bytes than needed */
    buffer_clear(&wire);
    write_bytes(&wire, "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00hello", 19);
    check_closed(&wire, WEBSOCKET_PROTOCOL_ERROR);
    buffer_deinit(&wire);
}

static void test_takes_text_in_utf8_only(void **state)
{
    (void)state;
    check_payload_closed(FIN | BINARY, "{}", 2, WEBSOCKET_UNSUPPORTED);
    check_payload_closed(BINARY, "", 0, WEBSOCKET_UNSUPPORTED);
    static const char *const invalid[] = {
        "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"};
    for (size_t i = 0; i < ARRAY_COUNT(invalid); i++) {
        check_payload_closed(FIN | TEXT_FRAME, invalid[i], strlen(invalid[i]),
                             WEBSOCKET_INVALID_TEXT);
    }
    struct buffer wire;
    buffer_init(&wire, 256);
    frame(&wire, TEXT_FRAME, "\xe2\x82", 2);
    frame(&wire, FIN, "x", 1);
    check_closed(&wire, WEBSOCKET_INVALID_TEXT);
    buffer_deinit(&wire);
}

static void test_refuses_a_size_when_it_is_announced(void **state)
{
    (void)state;
    struct buffer wire;
    buffer_init(&wire, 4096);
    frame_head(&wire, FIN | TEXT_FRAME, UINT64_C(1) << 30, true);
    check_closed(&wire, WEBSOCKET_TOO_BIG);
    buffer_clear(&wire);
    frame_head(&wire, FIN | TEXT_FRAME, UINT64_MAX, true);
    check_closed(&wire, WEBSOCKET_TOO_BIG);
    buffer_clear(&wire);
    frame_head(&wire, FIN | TEXT_FRAME, MESSAGE_BYTES_MAX + 1, true);
    check_closed(&wire, WEBSOCKET_TOO_BIG);
    buffer_clear(&wire);
    frame(&wire, TEXT_FRAME, "12345", 5);
    frame_head(&wire, 0, MESSAGE_BYTES_MAX - 4, true);
    check_closed(&wire, WEBSOCKET_TOO_BIG); /* all fragments together */

    /* The largest is fine, and costs nothing before its bytes come. */
    buffer_clear(&wire);
    frame_head(&wire, FIN | TEXT_FRAME, MESSAGE_BYTES_MAX, true);
    struct websocket *websocket = open_side(WEBSOCKET_SIDE_SERVER);
    struct buffer out;
    buffer_init(&out, 4096);
    size_t at = 0;
    check_status(feed_steps(websocket, &wire, &at, SIZE_MAX, &out), STATUS_AGAIN);
    assert_true(websocket_bytes(websocket) < 65536);
    static uint8_t zeros[65536];
    enum status status = STATUS_AGAIN;
    uint32_t count = 0;
    for (; status == STATUS_AGAIN; count++) {
        size_t used = 0;
        status = websocket_feed(websocket, zeros, sizeof zeros, &used, &out);
        assert_int_equal(used, sizeof zeros);
    }
    assert_int_equal(count, MESSAGE_BYTES_MAX / 65536);
    check_ok(status); /* the mask itself, which is ASCII */
    assert_int_equal(websocket_message(websocket).size, MESSAGE_BYTES_MAX);
    assert_memory_equal(websocket_message(websocket).data, "\x11\x22\x33\x44\x11", 5);
    websocket_close(websocket);
    buffer_deinit(&out);
    buffer_deinit(&wire);
}

static void test_answers_close_frames(void **state)
{
    (void)state;
    struct buffer wire;
    struct buffer out;
    buffer_init(&wire, 256);
    buffer_init(&out, 256);
    frame(&wire, FIN | CLOSE,
          "\x03\xe8"
          "bye",
          5);
    struct websocket *websocket = open_side(WEBSOCKET_SIDE_SERVER);
    size_t at = 0;
    check_status(feed_steps(websocket, &wire, &at, 3, &out), STATUS_CLOSED);
    assert_int_equal(websocket_code(websocket), 1000);
    assert_int_equal(out.size, 4);
    assert_memory_equal(out.data, "\x88\x02\x03\xe8", 4);
    websocket_close(websocket);

    buffer_clear(&wire);
    buffer_clear(&out);
    frame(&wire, FIN | CLOSE, "", 0);
    websocket = open_side(WEBSOCKET_SIDE_SERVER);
    at = 0;
    check_status(feed_steps(websocket, &wire, &at, 1, &out), STATUS_CLOSED);
    assert_int_equal(websocket_code(websocket), WEBSOCKET_NO_CODE);
    assert_int_equal(out.size, 2);
    assert_memory_equal(out.data, "\x88\x00", 2);
    websocket_close(websocket);
    buffer_deinit(&wire);
    buffer_deinit(&out);

    static const struct {
        const char *payload;
        size_t size;
        uint16_t code;
    } broken[] = {
        {"\x03", 1, 1002},         {"\x03\xe7", 2, 1002}, {"\x03\xec", 2, 1002},
        {"\x03\xed", 2, 1002},     {"\x03\xee", 2, 1002}, {"\x03\xf7", 2, 1002},
        {"\x0b\xb7", 2, 1002},     {"\x13\x88", 2, 1002}, {"\xff\xff", 2, 1002},
        {"\x03\xe8\xff", 3, 1007},
    };
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        check_payload_closed(FIN | CLOSE, broken[i].payload, broken[i].size, broken[i].code);
    }
}

static void test_waits_for_the_close_frame_it_asked_for(void **state)
{
    (void)state;
    struct buffer wire;
    struct buffer out;
    buffer_init(&wire, 256);
    buffer_init(&out, 256);
    struct websocket *websocket = open_side(WEBSOCKET_SIDE_SERVER);
    websocket_write_close(websocket, WEBSOCKET_GOING_AWAY, "stop", &out);
    const size_t sent = out.size;
    assert_int_equal(sent, 8);
    websocket_write_close(websocket, WEBSOCKET_NORMAL, "", &out);
    websocket_write_text(websocket, TEXT("late"), &out);
    websocket_write_ping(websocket, &out);
    frame(&wire, FIN | TEXT_FRAME, "too late", 8);
    frame(&wire, FIN | PING, "", 0);
    frame(&wire, FIN | CLOSE, "\x03\xe8", 2);
    size_t at = 0;
    check_status(feed_steps(websocket, &wire, &at, SIZE_MAX, &out), STATUS_CLOSED);
    assert_int_equal(out.size, sent); /* nothing after a close frame */
    assert_int_equal(websocket_code(websocket), WEBSOCKET_GOING_AWAY);
    websocket_close(websocket);
    buffer_deinit(&wire);
    buffer_deinit(&out);
}

/* Both sides of this code understand each other, and neither takes its own kind of frames. */
static void test_client_and_server_talk(void **state)
{
    (void)state;
    struct websocket *client = open_side(WEBSOCKET_SIDE_CLIENT);
    struct websocket *server = open_side(WEBSOCKET_SIDE_SERVER);
    struct buffer up;
    struct buffer down;
    buffer_init(&up, 1 << 20);
    buffer_init(&down, 1 << 20);
    static const size_t sizes[] = {0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 200000};
    static char payload[200000];
    memset(payload, 'p', sizeof payload);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        const struct text text = {.data = payload, .size = sizes[i]};
        size_t at = 0;
        buffer_clear(&up);
        buffer_clear(&down);
        websocket_write_text(client, text, &up);
        check_ok(feed_steps(server, &up, &at, 1000, &down));
        assert_true(text_equal(websocket_message(server), text));
        websocket_write_text(server, text, &down);
        at = 0;
        check_ok(feed_steps(client, &down, &at, 1000, &up));
        assert_true(text_equal(websocket_message(client), text));
    }
    buffer_clear(&up);
    buffer_clear(&down);
    websocket_write_text(server, TEXT("masked?"), &down);
    size_t at = 0;
    check_status(feed_steps(server, &down, &at, SIZE_MAX, &up), STATUS_PROTOCOL);
    websocket_write_text(client, TEXT("masked!"), &down);
    at = 0;
    buffer_clear(&up);
    websocket_write_text(client, TEXT("masked!"), &up);
    check_status(feed_steps(client, &up, &at, SIZE_MAX, &down), STATUS_PROTOCOL);
    websocket_close(client);
    websocket_close(server);
    buffer_deinit(&up);
    buffer_deinit(&down);
}

/* ---- handshake ----------------------------------------------------------------------------- */

static struct http_message good_request(void)
{
    return (struct http_message){
        .method = TEXT("GET"),
        .path = TEXT("/v1"),
        .version_1_1 = true,
        .upgrade = TEXT("WebSocket"),
        .connection = TEXT("keep-alive, Upgrade"),
        .websocket_key = TEXT("dGhlIHNhbXBsZSBub25jZQ=="),
        .websocket_version = TEXT("13"),
    };
}

static void test_checks_the_upgrade_request(void **state)
{
    (void)state;
    struct http_message request = good_request();
    assert_int_equal(websocket_check_request(&request), 101);
    request.websocket_protocol = TEXT("graphql-ws, payledger.v1");
    assert_int_equal(websocket_check_request(&request), 101);
    request.websocket_protocol = TEXT("graphql-ws");
    assert_int_equal(websocket_check_request(&request), 400);

    request = good_request();
    request.upgrade = (struct text){0};
    assert_int_equal(websocket_check_request(&request), 400);
    request = good_request();
    request.websocket_version = TEXT("8");
    assert_int_equal(websocket_check_request(&request), 426);
    request.websocket_version = (struct text){0};
    assert_int_equal(websocket_check_request(&request), 400);
    request = good_request();
    request.connection = TEXT("keep-alive");
    assert_int_equal(websocket_check_request(&request), 400);
    request = good_request();
    request.version_1_1 = false;
    assert_int_equal(websocket_check_request(&request), 400);
    static const char *const keys[] = {"",
                                       "dGhlIHNhbXBsZSBub25jZQ=",
                                       "dGhlIHNhbXBsZSBub25jZR==",
                                       "dGhlIHNhbXBsZSBub25j****",
                                       "dGhlIHNhbXBsZSBub25jZQQQ",
                                       "dGhlIHNhbXBsZSBub25jZQ==dGhl"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        request = good_request();
        request.websocket_key = text_of(keys[i]);
        assert_int_equal(websocket_check_request(&request), 400);
    }
}

/* The example of RFC 6455, section 1.3. */
static void test_accepts_as_the_standard_says(void **state)
{
    (void)state;
    struct http_message request = good_request();
    request.websocket_protocol = TEXT("payledger.v1");
    struct buffer out;
    buffer_init(&out, 1024);
    websocket_accept_write(&request, &out);
    write_u8(&out, '\0');
    assert_string_equal((const char *)out.data,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                        "Sec-WebSocket-Protocol: payledger.v1\r\n\r\n");
    buffer_clear(&out);
    websocket_refuse_write(426, 0, &out);
    write_u8(&out, '\0');
    assert_non_null(strstr((const char *)out.data, "Sec-WebSocket-Version: 13\r\n"));
    buffer_deinit(&out);
}

static void test_client_and_server_shake_hands(void **state)
{
    (void)state;
    char key[WEBSOCKET_KEY_BYTES];
    struct buffer up;
    struct buffer down;
    buffer_init(&up, 1024);
    buffer_init(&down, 1024);
    websocket_request_write(&up, "127.0.0.1:2346", "/v1", key);
    struct http *server = NULL;
    struct http *client = NULL;
    size_t taken = 0;
    check_ok(http_open(&server, HTTP_SIDE_SERVER));
    check_ok(http_feed(server, up.data, up.size, &taken));
    assert_int_equal(taken, up.size);
    assert_int_equal(websocket_check_request(http_message(server)), 101);
    websocket_accept_write(http_message(server), &down);
    check_ok(http_open(&client, HTTP_SIDE_CLIENT));
    check_ok(http_feed(client, down.data, down.size, &taken));
    check_ok(websocket_check_response(http_message(client), key));

    struct http_message other = *http_message(client);
    other.websocket_accept = TEXT("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    check_status(websocket_check_response(&other, key), STATUS_PROTOCOL);
    other = *http_message(client);
    other.status = 200;
    check_status(websocket_check_response(&other, key), STATUS_PROTOCOL);
    other = *http_message(client);
    other.websocket_extensions = TEXT("permessage-deflate");
    check_status(websocket_check_response(&other, key), STATUS_PROTOCOL);
    other = *http_message(client);
    other.websocket_protocol = TEXT("other");
    check_status(websocket_check_response(&other, key), STATUS_PROTOCOL);
    http_close(server);
    http_close(client);
    buffer_deinit(&up);
    buffer_deinit(&down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins_fragments_around_control_frames),
        cmocka_unit_test(test_closes_on_broken_frames),
        cmocka_unit_test(test_takes_text_in_utf8_only),
        cmocka_unit_test(test_refuses_a_size_when_it_is_announced),
        cmocka_unit_test(test_answers_close_frames),
        cmocka_unit_test(test_waits_for_the_close_frame_it_asked_for),
        cmocka_unit_test(test_client_and_server_talk),
        cmocka_unit_test(test_checks_the_upgrade_request),
        cmocka_unit_test(test_accepts_as_the_standard_says),
        cmocka_unit_test(test_client_and_server_shake_hands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
