#include "client/connection.h"

#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <stdio.h>
#include <string.h>

struct seen {
    uint32_t opened, messages, closed;
    char message[512];
    char reason[256];
    bool close_at_message;
};

static void on_open(struct connection *connection, void *data)
{
    struct seen *seen = data;
    seen->opened += 1;
    check_ok(connection_send(connection,
                             TEXT("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ledger.totals\"}")));
}

static void on_message(struct connection *connection, void *data, struct text message)
{
    struct seen *seen = data;
    seen->messages += 1;
    (void)snprintf(seen->message, sizeof(seen->message), "%.*s", (int)message.size, message.data);
    if (seen->close_at_message) {
        connection_close(connection);
        connection_close(connection);
        check_status(connection_send(connection, TEXT("x")), STATUS_CLOSED);
    }
}

static void on_close(struct connection *connection, void *data, const char *reason)
{
    struct seen *seen = data;
    (void)connection;
    seen->closed += 1;
    (void)snprintf(seen->reason, sizeof(seen->reason), "%s", reason);
}

/* Opens one connection and runs the loop until everything is closed. */
static void run(uint16_t port, struct tls_context *tls, struct seen *seen)
{
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    const struct connection_options options = {
        .loop = &loop,
        .host = "127.0.0.1",
        .port = port,
        .tls = tls,
        .open_timeout_ms = 2000,
        .callbacks = {.on_open = on_open, .on_message = on_message, .on_close = on_close},
        .data = seen};
    struct connection *connection = NULL;
    check_ok(connection_open(&connection, &options));
    check_status(connection_send(connection, TEXT("early")), STATUS_AGAIN);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(seen->closed, 1);
}

static void test_a_message_and_its_answer(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    rig_start(rig);
    struct seen seen = {.close_at_message = true};
    run(rig->port, NULL, &seen);
    assert_int_equal(seen.opened, 1);
    assert_int_equal(seen.messages, 1);
    assert_non_null(strstr(seen.message, "\"totals\""));
    rig_close(rig);
}

static void test_the_same_over_tls(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    struct rig *rig = rig_open();
    rig_use_tls(rig, dir);
    rig_start(rig);
    struct seen seen = {.close_at_message = true};
    run(rig->port, rig->client_tls, &seen);
    assert_int_equal(seen.messages, 1);
    /* Plain bytes to a TLS port end without a handshake. */
    struct seen plain = {.close_at_message = true};
    run(rig->port, NULL, &plain);
    assert_int_equal(plain.opened, 0);
    assert_true(plain.reason[0] != '\0');
    rig_close(rig);
    test_dir_remove(dir);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct seen seen = {.opened = 0};
    run(1, NULL, &seen);
    assert_int_equal(seen.opened, 0);
    assert_non_null(strstr(seen.reason, "refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_and_its_answer),
        cmocka_unit_test(test_the_same_over_tls),
        cmocka_unit_test(test_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
