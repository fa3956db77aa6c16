/* gateway/route.h over real sockets: what each path does, and who may use it. */
#include "base/check.h"
#include "gateway/route.h"
#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

static const char *request_once(struct rig *rig, const char *request, uint16_t wanted)
{
    static char text[65536];
    struct peer peer;
    peer_open(&peer, rig->port, NULL);
    assert_int_equal(peer_request(&peer, request), wanted);
    assert_true(peer.text.size < sizeof text);
    memcpy(text, peer.text.data, peer.text.size);
    peer_close(&peer);
    return text;
}

static void check_contains(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL) {
        fail_msg("no '%s' in '%s'", wanted, text);
    }
}

#define UPGRADE                                                                                    \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
    "Sec-WebSocket-Version: 13\r\n"

static void test_no_page_of_another_host_may_pay(void **state)
{
    (void)state;
    static const char *const origins[] = {"https://bank.example"};
    struct rig *rig = rig_open();
    rig->options.origins = origins;
    rig->options.origins_count = 1;
    rig_start(rig);
#define POST "POST /v1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 2\r\n"
    (void)request_once(rig, POST "\r\n[]", 415);
    (void)request_once(rig, POST "Content-Type: text/plain\r\n\r\n[]", 415);
    (void)request_once(rig, POST "Content-Type: application/x-www-form-urlencoded\r\n\r\n[]", 415);
#define JSON POST "Content-Type: application/json; charset=utf-8\r\n"
    (void)request_once(rig, JSON "\r\n[]", 200);
    (void)request_once(rig, JSON "Origin: http://a:1\r\n\r\n[]", 200);
    (void)request_once(rig, JSON "Origin: https://bank.example\r\n\r\n[]", 200);
    (void)request_once(rig, JSON "Origin: http://a:2\r\n\r\n[]", 403);
    (void)request_once(rig, JSON "Origin: null\r\n\r\n[]", 403);
    (void)request_once(rig, JSON "Origin: \r\n\r\n[]", 403);
    (void)request_once(rig, JSON "Origin: https://bank.example.evil\r\n\r\n[]", 403);
#define GET_V1 "GET /v1 HTTP/1.1\r\nHost: a:1\r\n" UPGRADE
    (void)request_once(rig, GET_V1 "\r\n", 101);
    (void)request_once(rig, GET_V1 "Origin: http://a:1\r\n\r\n", 101);
    (void)request_once(rig, GET_V1 "Origin: https://bank.example\r\n\r\n", 101);
    (void)request_once(rig, GET_V1 "Origin: https://evil\r\n\r\n", 403);
    (void)request_once(rig, GET_V1 "Sec-WebSocket-Protocol: mqtt\r\n\r\n", 400);
    (void)request_once(rig, GET_V1 "Sec-WebSocket-Protocol: mqtt, payledger.v1\r\n\r\n", 101);
    rig_close(rig);
}

static void test_paths_and_methods(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
#define END " HTTP/1.1\r\nHost: a\r\n\r\n"
    check_contains(request_once(rig, "GET /livez" END, 200), "\r\n\r\nok\n");
    check_contains(request_once(rig, "GET /livez?verbose" END, 200), "nosniff");
    check_contains(request_once(rig, "HEAD /livez" END, 200), "Content-Length: 3\r\n");
    check_contains(request_once(rig, "GET /readyz" END, 200), "ready\n");
    atomic_store(&rig->node.ready, false);
    check_contains(request_once(rig, "GET /readyz" END, 503), "not ready: no leader is known\n");
    check_contains(request_once(rig, "GET /elsewhere" END, 404), "Cache-Control: no-store");
    check_contains(request_once(rig, "GET /v1/" END, 404), "");
    check_contains(request_once(rig, "GET //v1" END, 404), "");
    check_contains(request_once(rig, "DELETE /v1" END, 405), "Allow: GET, POST\r\n");
    check_contains(request_once(rig, "POST /metrics" END, 405), "Allow: GET, HEAD\r\n");
    check_contains(request_once(rig, "PUT /livez" END, 405), "Allow: GET, HEAD\r\n");
    check_contains(request_once(rig, "OPTIONS /v1" END, 405), "Allow: GET, POST\r\n");
    check_contains(request_once(rig, "GET /v1" END, 400), "WebSocket");
    check_contains(request_once(rig, "GET / HTTP/1.1\r\nHost: a\r\n" UPGRADE "\r\n", 404), "/v1");
    check_contains(request_once(rig, "GET /metrics HTTP/1.1\r\nHost: a\r\n" UPGRADE "\r\n", 404),
                   "");
    rig_close(rig);
}

static void test_metrics_are_prometheus_text(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const char *text = request_once(rig, "GET /metrics" END, 200);
    check_contains(text, "Content-Type: text/plain; version=0.0.4");
    check_contains(text, "# TYPE payledger_requests_total counter\n");
    check_contains(text, "payledger_http_requests_total 1\n");
    rig_close(rig);
}

/* A ledger that knows one currency, on disk. */
static struct ledger *ledger_make(const char *dir, struct metrics *metrics)
{
    char error[256] = "";
    struct ledger *ledger = NULL;
    const struct ledger_options options = {
        .path = dir, .map_bytes = 64 * 1024 * 1024, .metrics = metrics};
    check_ok(ledger_open(&ledger, &options, error, sizeof error));
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    const struct command command = {.kind = COMMAND_CURRENCY_CREATE,
                                    .currency_create = {.code = TEXT("EUR"), .scale = 2}};
    request_write_head(&bytes, REQUEST_SINGLE, 1);
    command_write(&bytes, &command);
    struct ledger_request request = {
        .bytes = {.data = (const char *)bytes.data, .size = bytes.size}};
    struct list answered;
    list_init(&answered);
    struct ledger_entry *entry = NULL;
    struct applied applied = {0};
    ledger_epoch_begin(ledger, 1, 1);
    ledger_submit(ledger, &request, &answered);
    check_ok(ledger_verify(ledger, INT64_C(1700000000000000000), &entry, &answered));
    assert_non_null(entry);
    entry->proposed = true;
    check_ok(ledger_apply(ledger, 1, entry->bytes.data, entry->bytes.size, &applied, &answered));
    check_ok(ledger_commit(ledger));
    assert_int_equal(request.code, CODE_OK);
    buffer_deinit(&request.outcomes);
    buffer_deinit(&bytes);
    return ledger;
}

static void test_metrics_say_whether_each_currency_balances(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    struct rig *rig = rig_open();
    struct ledger *ledger = ledger_make(dir, &rig->metrics);
    rig->options.ledger = ledger;
    rig_start(rig);
    const char *text = request_once(rig, "GET /metrics" END, 200);
    check_contains(text, "# TYPE payledger_currency_balanced gauge\n");
    check_contains(text, "payledger_currency_balanced{currency=\"EUR\"} 1\n");
    check_contains(text, "payledger_currency_accounts{currency=\"EUR\"} 0\n");
    rig_close(rig);
    ledger_close(ledger);
    test_dir_remove(dir);
}

static void test_the_page_may_run_nothing_but_its_own(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    const char *text = request_once(rig, "GET /" END, 200);
    check_contains(text, "Content-Type: text/html; charset=utf-8\r\n");
    check_contains(text, "Content-Security-Policy: default-src 'none';");
    check_contains(text, "connect-src 'self'");
    check_contains(text, "style-src 'sha256-");
    assert_null(strstr(text, "unsafe"));
    rig_close(rig);

    /* printf %s 'alert(1)' | openssl dgst -sha256 -binary | base64 */
    char policy[ROUTE_POLICY_BYTES];
    assert_true(route_page_policy(TEXT("<style></style><script>alert(1)</script>"), policy));
    check_contains(policy, "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='");
    check_contains(policy, "style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
    assert_false(route_page_policy(TEXT("<script>unfinished"), policy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_page_of_another_host_may_pay),
        cmocka_unit_test(test_paths_and_methods),
        cmocka_unit_test(test_metrics_are_prometheus_text),
        cmocka_unit_test(test_metrics_say_whether_each_currency_balances),
        cmocka_unit_test(test_the_page_may_run_nothing_but_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
