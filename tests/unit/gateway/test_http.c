/* gateway/http.h: what is read from the wire, what is refused, and what is written. */
#include "base/check.h"
#include "base/limits.h"
#include "gateway/http.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

/* Feeds a whole text in pieces of `step` bytes; *taken: the bytes used when it ended. */
static enum status feed_steps(struct http *http, const char *text, size_t size, size_t step,
                              size_t *taken)
{
    *taken = 0;
    while (*taken < size) {
        const size_t part = size - *taken < step ? size - *taken : step;
        size_t used = 0;
        const enum status status = http_feed(http, (const uint8_t *)text + *taken, part, &used);
        *taken += used;
        if (status != STATUS_AGAIN) {
            return status;
        }
        assert_int_equal(used, part);
    }
    return STATUS_AGAIN;
}

static struct http *server(void)
{
    struct http *http = NULL;
    check_ok(http_open(&http, HTTP_SIDE_SERVER));
    return http;
}

static void check_text(struct text text, const char *wanted)
{
    assert_non_null(text.data);
    if (text.size != strlen(wanted) || memcmp(text.data, wanted, text.size) != 0) {
        fail_msg("'%.*s', wanted '%s'", (int)text.size, text.data, wanted);
    }
}

/* Refused with this HTTP status, whatever the pieces are. */
static void check_refused(const char *text, uint16_t wanted)
{
    static const size_t steps[] = {1, 7, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct http *http = server();
        size_t taken = 0;
        const enum status status = feed_steps(http, text, strlen(text), steps[i], &taken);
        if (status != STATUS_PROTOCOL || http_error_status(http) != wanted) {
            fail_msg("%s: %s, wanted %u", text, status_name(status), wanted);
        }
        http_close(http);
    }
}

static void check_accepted(const char *text)
{
    struct http *http = server();
    size_t taken = 0;
    const enum status status = feed_steps(http, text, strlen(text), 3, &taken);
    if (status != STATUS_OK) {
        fail_msg("%s: %s", text, status_name(status));
    }
    http_close(http);
}

static const char upgrade[] = "GET /v1?token=none HTTP/1.1\r\n"
                              "Host: ledger.example:2346 \r\n"
                              "Origin:https://ledger.example:2346\r\n"
                              "Upgrade: websocket\r\n"
                              "connection: keep-alive,\t Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: other\r\n"
                              "X-A-Name-That-Is-Much-Longer-Than-Any-That-We-Read: yes\r\n"
                              "Sec-WebSocket-Protocol: payledger.v1\r\n"
                              "\r\n";

static void test_reads_a_head_in_any_pieces(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof upgrade + 8; step++) {
        struct http *http = server();
        assert_true(http_idle(http));
        size_t taken = 0;
        check_ok(feed_steps(http, upgrade, sizeof upgrade - 1, step, &taken));
        const struct http_message *message = http_message(http);
        check_text(message->method, "GET");
        check_text(message->path, "/v1");
        check_text(message->host, "ledger.example:2346");
        check_text(message->origin, "https://ledger.example:2346");
        check_text(message->upgrade, "websocket");
        check_text(message->connection, "keep-alive,\t Upgrade");
        check_text(message->websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
        check_text(message->websocket_version, "13");
        check_text(message->websocket_protocol, "other,payledger.v1");
        assert_null(message->content_type.data);
        assert_null(message->expect.data);
        assert_true(message->version_1_1);
        assert_true(message->keep_alive);
        assert_int_equal(message->body.size, 0);
        assert_false(http_idle(http));
        http_close(http);
    }
}

static void test_leaves_what_follows_an_upgrade_to_the_caller(void **state)
{
    (void)state;
    char bytes[sizeof upgrade + 4];
    memcpy(bytes, upgrade, sizeof upgrade - 1);
    memcpy(bytes + sizeof upgrade - 1, "\x81\x80zz", 4);
    struct http *http = server();
    size_t taken = 0;
    check_ok(feed_steps(http, bytes, sizeof upgrade + 3, SIZE_MAX, &taken));
    assert_int_equal(taken, sizeof upgrade - 1);
    http_close(http);
}

static void test_reads_pipelined_requests_one_by_one(void **state)
{
    (void)state;
    static const char bytes[] = "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                                "POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
                                "GET / HTTP/1.0\r\n\r\n";
    static const char *const bodies[] = {"hello", "abcde", ""};
    for (size_t step = 1; step < sizeof bytes; step++) {
        struct http *http = server();
        size_t at = 0;
        for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
            size_t taken = 0;
            check_ok(feed_steps(http, bytes + at, sizeof bytes - 1 - at, step, &taken));
            at += taken;
            const struct http_message *message = http_message(http);
            assert_int_equal(message->body.size, strlen(bodies[i]));
            assert_int_equal(message->keep_alive, i < 2);
            if (message->body.size > 0) {
                assert_memory_equal(message->body.data, bodies[i], message->body.size);
            }
            http_next(http);
            assert_true(http_idle(http));
            assert_int_equal(http_bytes(http), 0);
        }
        assert_int_equal(at, sizeof bytes - 1);
        http_close(http);
    }
}

static void test_refuses_what_two_readers_could_read_differently(void **state)
{
    (void)state;
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
                  400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                  400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                  "Content-Length: 1\r\n\r\n0\r\n\r\n",
                  400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                  "Transfer-Encoding: identity\r\n\r\n",
                  400);
    check_refused("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
                  400);
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nOrigin: b\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400);
    check_refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400);
    check_refused("GET / HTTP/1.7\r\nHost: a\r\n\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400);
    check_refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "fffffffffffffffff\r\n",
                  400);
    check_refused("\x16\x03\x01\x02\x05\x01\x01\xfc\x03\x03", 400);
    check_refused("hello?\r\n\r\n", 400);
    check_refused("GET no-slash HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_accepted("GET / HTTP/1.0\r\n\r\n");
    check_accepted("GET http://a/livez?x HTTP/1.1\r\nHost: a\r\n\r\n");
    check_accepted("POST / HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n");
}

static void test_bounds_the_head(void **state)
{
    (void)state;
    char head[HTTP_HEAD_BYTES_MAX + 64];
    /* One byte less than the bound is fine, the bound itself without an end is not. */
    for (int over = 0; over < 2; over++) {
        const size_t size = (size_t)HTTP_HEAD_BYTES_MAX + (size_t)over;
        memset(head, 'x', sizeof head);
        memcpy(head, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
        memcpy(head + size - 4, "\r\n\r\n", 4);
        struct http *http = server();
        size_t taken = 0;
        const enum status status = feed_steps(http, head, size, SIZE_MAX, &taken);
        check_status(status, over == 0 ? STATUS_OK : STATUS_PROTOCOL);
        if (over == 1) {
            assert_int_equal(http_error_status(http), 400);
        }
        http_close(http);
    }
    /* A list that grows by each line is bounded as well. */
    struct buffer lines;
    buffer_init(&lines, sizeof head);
    write_format(&lines, "GET / HTTP/1.1\r\nHost: a\r\n");
    while (lines.size < 7000) {
        write_format(&lines, "Connection: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    }
    write_format(&lines, "%s", "\r\n");
    write_u8(&lines, '\0');
    check_refused((const char *)lines.data, 400);
    buffer_deinit(&lines);
}

static void test_bounds_the_body(void **state)
{
    (void)state;
    char head[256];
    (void)snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                   MESSAGE_BYTES_MAX + 1);
    check_refused(head, 413); /* before a byte of it came */
    (void)snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                   MESSAGE_BYTES_MAX);
    struct http *http = server();
    size_t taken = 0;
    check_status(feed_steps(http, head, strlen(head), SIZE_MAX, &taken), STATUS_AGAIN);
    assert_true(http_in_body(http));
    assert_true(http_bytes(http) < 4096); /* announced bytes cost nothing */
    http_close(http);

    static char chunk[65536 + 64];
    const int prefix = snprintf(chunk, sizeof chunk, "10000\r\n");
    memset(chunk + prefix, 'x', 65536);
    memcpy(chunk + prefix + 65536, "\r\n", 2);
    http = server();
    static const char chunked[] =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_status(feed_steps(http, chunked, sizeof chunked - 1, SIZE_MAX, &taken), STATUS_AGAIN);
    enum status status = STATUS_AGAIN;
    uint32_t chunks = 0;
    for (; status == STATUS_AGAIN; chunks++) {
        status = feed_steps(http, chunk, (size_t)prefix + 65538, SIZE_MAX, &taken);
    }
    check_status(status, STATUS_PROTOCOL);
    assert_int_equal(http_error_status(http), 413);
    assert_int_equal(chunks, MESSAGE_BYTES_MAX / 65536 + 1);
    http_close(http);
}

static void test_asks_for_a_body_that_is_held_back(void **state)
{
    (void)state;
    static const char head[] =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    struct http *http = server();
    size_t taken = 0;
    check_status(feed_steps(http, head, sizeof head - 1, SIZE_MAX, &taken), STATUS_AGAIN);
    assert_true(http_wants_continue(http));
    assert_false(http_wants_continue(http));
    check_ok(feed_steps(http, "ok", 2, SIZE_MAX, &taken));
    http_close(http);
}

static void test_reads_responses(void **state)
{
    (void)state;
    static const char bytes[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81";
    struct http *http = NULL;
    check_ok(http_open(&http, HTTP_SIDE_CLIENT));
    size_t taken = 0;
    check_ok(feed_steps(http, bytes, sizeof bytes - 1, 5, &taken));
    assert_int_equal(taken, sizeof bytes - 2);
    assert_int_equal(http_message(http)->status, 101);
    check_text(http_message(http)->websocket_accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    http_close(http);
}

static void test_compares_lists_types_and_origins(void **state)
{
    (void)state;
    assert_true(http_list_has(TEXT("keep-alive, Upgrade"), "upgrade"));
    assert_true(http_list_has(TEXT(" ,\tUPGRADE\t,"), "upgrade"));
    assert_false(http_list_has(TEXT("upgrades"), "upgrade"));
    assert_false(http_list_has(TEXT("not upgrade"), "upgrade"));
    assert_false(http_list_has((struct text){0}, "upgrade"));
    assert_true(http_media_type_is(TEXT("Application/JSON; charset=utf-8"), "application/json"));
    assert_false(http_media_type_is(TEXT("text/plain; application/json"), "application/json"));
    assert_false(http_media_type_is(TEXT("application/jsonp"), "application/json"));
    assert_false(http_media_type_is((struct text){0}, "application/json"));
    assert_true(http_origin_matches_host(TEXT("http://a:1"), TEXT("a:1")));
    assert_true(http_origin_matches_host(TEXT("https://A"), TEXT("a")));
    assert_false(http_origin_matches_host(TEXT("http://a:2"), TEXT("a:1")));
    assert_false(http_origin_matches_host(TEXT("http://a.evil"), TEXT("a")));
    assert_false(http_origin_matches_host(TEXT("http://evil/a"), TEXT("a")));
    assert_false(http_origin_matches_host(TEXT("null"), TEXT("null")));
    assert_false(http_origin_matches_host(TEXT("http://"), TEXT("")));
    assert_false(http_origin_matches_host(TEXT("ftp://a"), TEXT("a")));
}

static void test_writes_responses(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct http_response response = {
        .status = 405,
        .content_type = "text/plain",
        .allow = "GET, HEAD",
        .body = TEXT("no\n"),
        .wall_ns = INT64_C(784111777) * 1000000000,
        .retry_after_s = 7,
    };
    http_response_write(&out, &response);
    write_u8(&out, '\0');
    assert_string_equal((const char *)out.data,
                        "HTTP/1.1 405 Method Not Allowed\r\n"
                        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                        "Content-Type: text/plain\r\n"
                        "Content-Length: 3\r\n"
                        "Allow: GET, HEAD\r\n"
                        "Retry-After: 7\r\n"
                        "Cache-Control: no-store\r\n"
                        "X-Content-Type-Options: nosniff\r\n"
                        "X-Frame-Options: DENY\r\n"
                        "Referrer-Policy: no-referrer\r\n"
                        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
                        "Connection: close\r\n\r\nno\n");
    buffer_clear(&out);
    response.head_only = true;
    response.keep_alive = true;
    http_response_write(&out, &response);
    write_u8(&out, '\0');
    assert_non_null(strstr((const char *)out.data, "Content-Length: 3\r\n"));
    assert_non_null(strstr((const char *)out.data, "Connection: keep-alive\r\n\r\n"));
    assert_null(strstr((const char *)out.data, "no\n"));
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_head_in_any_pieces),
        cmocka_unit_test(test_leaves_what_follows_an_upgrade_to_the_caller),
        cmocka_unit_test(test_reads_pipelined_requests_one_by_one),
        cmocka_unit_test(test_refuses_what_two_readers_could_read_differently),
        cmocka_unit_test(test_bounds_the_head),
        cmocka_unit_test(test_bounds_the_body),
        cmocka_unit_test(test_asks_for_a_body_that_is_held_back),
        cmocka_unit_test(test_reads_responses),
        cmocka_unit_test(test_compares_lists_types_and_origins),
        cmocka_unit_test(test_writes_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
