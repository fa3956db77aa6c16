#include "client/scrape.h"

#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"
#include "tests/support/listener.h"

#include <stdio.h>
#include <string.h>

/* ---- figures out of text ------------------------------------------------------------------- */

static const uint64_t untouched = 12345;

static uint64_t value_of(const char *body, const char *name, uint32_t factor)
{
    uint64_t value = untouched;
    if (!scrape_value(text_of(body), name, factor, &value)) {
        fail_msg("no %s in: %s", name, body);
    }
    return value;
}

static void check_none(const char *body, const char *name, uint32_t factor)
{
    uint64_t value = untouched;
    if (scrape_value(text_of(body), name, factor, &value) || value != untouched) {
        fail_msg("%s is %llu in: %s", name, (unsigned long long)value, body);
    }
}

static void test_a_metric_is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const char *const body = "# HELP seq The seq 9\n"
                                    "# TYPE seq gauge\n"
                                    "seq_total 1\n"
                                    "a_seq 2\n"
                                    " seq 3\n"
                                    "seq{node=\"1\"} 4\n"
                                    "seq 5\n"
                                    "se 6\n"
                                    "last 7";
    assert_int_equal(value_of(body, "seq", 1), 5);
    assert_int_equal(value_of(body, "seq_total", 1), 1);
    assert_int_equal(value_of(body, "a_seq", 1), 2);
    assert_int_equal(value_of(body, "se", 1), 6);
    assert_int_equal(value_of(body, "last", 1), 7);
    check_none(body, "s", 1);
    check_none(body, "seq_tota", 1);
    check_none(body, "last_one", 1);
    assert_int_equal(value_of("seq 8\nseq 9\n", "seq", 1), 8);
}

static void test_decimals_are_scaled(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint32_t factor;
        uint64_t value;
    } rows[] = {{"a 0\n", 1, 0},
                {"a 0\n", 1000000, 0},
                {"a 12\n", 1000, 12000},
                {"a 1.5\n", 1000000, 1500000},
                {"a 1.000001\n", 1000000, 1000001},
                {"a 0.000009\n", 1000000, 9},
                {"a 2.999999\n", 1000000, 2999999},
                {"a 2.9999999\n", 1000000, 2999999}, /* what is smaller than the unit is cut off */
                {"a 1.9\n", 1, 1},
                {"a 1.25\n", 10, 12},
                {"a .5\n", 10, 5},
                {"a 5.\n", 10, 50},
                {"a 00012.50\n", 100, 1250},
                {"a 3.1415926535897932384626433832795028841971693993751\n", 1000, 3141}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(value_of(rows[i].body, "a", rows[i].factor), rows[i].value);
    }
}

static void test_large_numbers_are_exact_or_refused(void **state)
{
    (void)state;
    assert_true(value_of("a 18446744073709551000\n", "a", 1) == UINT64_C(18446744073709551000));
    assert_true(value_of("a 18446744073600.999999\n", "a", 1000000) ==
                UINT64_C(18446744073600999999));
    check_none("a 18446744073709551616\n", "a", 1);
    check_none("a 18446744073710\n", "a", 1000000);
    check_none("a 99999999999999999999\n", "a", 1);
    check_none("a 340282366920938463463374607431768211456\n", "a", 1);
}

static void test_what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",        "\n",        "a",       "a\n",     "a ",      "a \n",
        "a  1\n",  "a -1\n",    "a +1\n",  "a 1e6\n", "a NaN\n", "a +Inf\n",
        "a .\n",   "a 1.2.3\n", "a 0x1\n", "a 1 \n",  "a 1\r\n", "a 1 1700000000000\n",
        "a 1,5\n", "a\t1\n",    "\na",     "b 1\n",   "a one\n"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        check_none(bodies[i], "a", 1);
        check_none(bodies[i], "a", 1000000);
    }
    const struct text nothing = {NULL, 0};
    uint64_t value = untouched;
    assert_false(scrape_value(nothing, "a", 1, &value));
    const struct text nul = TEXT("a 1\0002\n");
    assert_false(scrape_value(nul, "a", 1, &value));
    assert_int_equal(value, untouched);
}

/* The text ends where it says, not where a line does: bytes behind it are not looked at. */
static void test_nothing_is_read_past_the_end(void **state)
{
    (void)state;
    static const char whole[] = "b 1\nabc 123456\n";
    for (size_t size = 0; size < sizeof(whole); size++) {
        uint64_t value = untouched;
        char *copy = malloc(size + (size == 0 ? 1 : 0));
        assert_non_null(copy);
        memcpy(copy, whole, size);
        const bool found = scrape_value((struct text){copy, size}, "abc", 1, &value);
        /* "b 1\nabc " are 8 bytes. */
        assert_int_equal(found, size > 8);
        static const uint64_t values[] = {1, 12, 123, 1234, 12345, 123456, 123456};
        assert_int_equal(value, size > 8 && size < 16 ? values[size - 9] : untouched);
        free(copy);
    }
}

/* ---- over the network ----------------------------------------------------------------------- */

static struct client_options client_of(uint16_t port)
{
    struct client_options client = {.nodes_count = 2};
    (void)snprintf(client.nodes[1].host, sizeof(client.nodes[1].host), "127.0.0.1");
    client.nodes[1].port = port;
    return client;
}

static void test_a_node_tells_its_metrics(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    struct buffer body;
    uint64_t value = untouched;
    buffer_init(&body, 1024 * 1024);
    rig_start(rig);
    metric_set(&rig->metrics, METRIC_SEQ, 4711);
    const struct client_options client = client_of(rig->port);
    write_u8(&body, '\n'); /* appended to what is there */
    check_ok(scrape_metrics(&client, 1, 10000, &body));
    const struct text text = {(const char *)body.data, body.size};
    assert_int_equal(body.data[0], '\n');
    assert_true(scrape_value(text, metric_name(METRIC_SEQ), 1, &value));
    assert_int_equal(value, 4711);
    for (int i = 0; i < METRIC_COUNT; i++) {
        assert_true(scrape_value(text, metric_name((enum metric)i), 1, &value));
    }
    assert_true(scrape_value(text, "process_cpu_seconds_total", 1000000, &value));
    assert_true(value > 0);
    assert_true(scrape_value(text, "process_resident_memory_bytes", 1, &value));
    assert_true(value > 0);
    buffer_deinit(&body);
    rig_close(rig);
}

static void test_the_same_over_tls(void **state)
{
    (void)state;
    char ca[512];
    char *dir = test_dir_make();
    struct rig *rig = rig_open();
    struct buffer body;
    buffer_init(&body, 1024 * 1024);
    rig_use_tls(rig, dir);
    rig_start(rig);
    struct client_options client = client_of(rig->port);
    client.tls = true;
    check_ok(scrape_metrics(&client, 1, 10000, &body)); /* whoever answers */
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
    client.ca_path = ca;
    check_ok(scrape_metrics(&client, 1, 10000, &body));
    assert_non_null(memmem(body.data, body.size, "payledger_seq ", 14));
    /* Another authority than the one that is trusted. */
    buffer_clear(&body);
    (void)snprintf(ca, sizeof(ca), "%s/node1.pem", dir);
    check_status(scrape_metrics(&client, 1, 10000, &body), STATUS_TLS);
    (void)snprintf(ca, sizeof(ca), "%s/nowhere.pem", dir);
    assert_int_not_equal(scrape_metrics(&client, 1, 10000, &body), STATUS_OK);
    /* Plain bytes to a TLS port. */
    client.tls = false;
    assert_int_not_equal(scrape_metrics(&client, 1, 10000, &body), STATUS_OK);
    assert_int_equal(body.size, 0);
    buffer_deinit(&body);
    rig_close(rig);
    test_dir_remove(dir);
}

/* A server that says the same to everyone, in pieces, and then closes or keeps silent. */
struct canned {
    const char *bytes;
    size_t piece;
    bool silent_then;
    bool request_right;
};

static void serve_canned(struct listener *listener, int fd)
{
    struct canned *canned = listener->data;
    char wanted[128];
    if (!listener_read_head(listener, fd)) {
        return;
    }
    const int size = snprintf(wanted, sizeof(wanted),
                              "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                              "Connection: close\r\n\r\n",
                              (unsigned)listener->port);
    canned->request_right = listener->input.size == (size_t)size &&
                            memcmp(listener->input.data, wanted, (size_t)size) == 0;
    const size_t bytes_size = strlen(canned->bytes);
    for (size_t at = 0; at < bytes_size; at += canned->piece) {
        const size_t left = bytes_size - at;
        listener_write(fd, canned->bytes + at, left < canned->piece ? left : canned->piece);
    }
    if (canned->silent_then) {
        listener_wait_end(fd);
    }
}

/* What comes of an answer; the body is left in `body`. */
static enum status scrape_canned(struct canned *canned, uint32_t timeout_ms, struct buffer *body)
{
    struct listener listener;
    canned->piece = canned->piece == 0 ? SIZE_MAX / 2 : canned->piece;
    listener_open(&listener, serve_canned, canned);
    const struct client_options client = client_of(listener.port);
    const enum status status = scrape_metrics(&client, 1, timeout_ms, body);
    listener_close(&listener);
    assert_true(canned->request_right);
    return status;
}

static void test_a_body_may_come_in_any_pieces(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na 77\nbeyond",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na \r\n3\r\n77\n\r\n0\r\n\r\n"};
    static const size_t pieces[] = {0, 1, 7};
    for (size_t i = 0; i < 2 * 3; i++) {
        struct buffer body;
        struct canned canned = {.bytes = forms[i % 2], .piece = pieces[i / 2], .silent_then = true};
        uint64_t value = 0;
        buffer_init(&body, 64);
        check_ok(scrape_canned(&canned, 10000, &body));
        assert_int_equal(body.size, 5);
        assert_true(scrape_value((struct text){(char *)body.data, body.size}, "a", 1, &value));
        assert_int_equal(value, 77);
        buffer_deinit(&body);
    }
}

static void test_no_other_answer_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum status status;
    } rows[] = {
        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\na 1\n", STATUS_PROTOCOL},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", STATUS_PROTOCOL},
        {"HTTP/1.1 204 No Content\r\n\r\n", STATUS_PROTOCOL},
        {"SSH-2.0-OpenSSH_9.2\r\n", STATUS_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na 1\n", STATUS_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", STATUS_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", STATUS_PROTOCOL},
        {"", STATUS_CLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Le", STATUS_CLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n", STATUS_CLOSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer body;
        struct canned canned = {.bytes = rows[i].bytes};
        buffer_init(&body, 4096);
        const enum status status = scrape_canned(&canned, 10000, &body);
        if (status != rows[i].status) {
            fail_msg("%s after: %s", status_name(status), rows[i].bytes);
        }
        assert_int_equal(body.size, 0);
        buffer_deinit(&body);
    }
}

static void test_silence_ends_in_time(void **state)
{
    (void)state;
    static const char *const beginnings[] = {"",
                                             "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n"};
    for (size_t i = 0; i < 2; i++) {
        struct buffer body;
        struct canned canned = {.bytes = beginnings[i], .silent_then = true};
        buffer_init(&body, 4096);
        check_status(scrape_canned(&canned, 100, &body), STATUS_TIMEOUT);
        assert_int_equal(body.size, 0);
        buffer_deinit(&body);
    }
}

static void test_a_body_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct buffer body;
    struct canned canned = {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na 77\n"};
    buffer_init(&body, 4);
    check_status(scrape_canned(&canned, 10000, &body), STATUS_NO_MEMORY);
    buffer_deinit(&body);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct buffer body;
    struct client_options client = client_of(1);
    buffer_init(&body, 4096);
    check_status(scrape_metrics(&client, 1, 10000, &body), STATUS_NETWORK);
    client.nodes[1].port = 0;
    check_status(scrape_metrics(&client, 1, 10000, &body), STATUS_INVALID);
    buffer_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_metric_is_found_by_its_whole_name),
        cmocka_unit_test(test_decimals_are_scaled),
        cmocka_unit_test(test_large_numbers_are_exact_or_refused),
        cmocka_unit_test(test_what_is_no_number_is_refused),
        cmocka_unit_test(test_nothing_is_read_past_the_end),
        cmocka_unit_test(test_a_node_tells_its_metrics),
        cmocka_unit_test(test_the_same_over_tls),
        cmocka_unit_test(test_a_body_may_come_in_any_pieces),
        cmocka_unit_test(test_no_other_answer_is_taken),
        cmocka_unit_test(test_silence_ends_in_time),
        cmocka_unit_test(test_a_body_that_does_not_fit_is_refused),
        cmocka_unit_test(test_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
