#include "client/console.h"

#include "tests/support/check.h"

#include <string.h>

static const struct option options[] = {
    {"--node", "HOST:PORT", true, ""}, {"--tls", NULL, false, ""},     {"--ca", "FILE", false, ""},
    {"--json", NULL, false, ""},       {"--timeout", "MS", false, ""}, OPTIONS_END};
static const struct verb verb = {"test", "", "", "", options, 0, 0, NULL};

static char errors[4096];

/* Opens a console with one option and its value; NULLs for none. */
static enum client_exit open_with(struct console *console, char *option, char *value)
{
    const struct option *const tables[] = {options};
    char *words[] = {option, value};
    char error[ARGS_ERROR_BYTES];
    *console = (struct console){.out = stdout, .errors = fmemopen(errors, sizeof(errors), "w")};
    assert_non_null(console->errors);
    const int count = option == NULL ? 0 : value == NULL ? 1 : 2;
    check_ok(args_parse(&console->args, count, words, tables, 1, error));
    return console_open(console, &verb);
}

static void close_it(struct console *console)
{
    console_close(console);
    assert_int_equal(fclose(console->errors), 0);
}

static char node_option[] = "--node";
static char timeout_option[] = "--timeout";
static char ca_option[] = "--ca";
static char tls_option[] = "--tls";

static void test_nodes_come_from_options_then_environment(void **state)
{
    (void)state;
    struct console console;
    char list[] = "a:1,[::1]:2";
    assert_int_equal(unsetenv("PAYLEDGER_NODES"), 0);
    assert_int_equal(open_with(&console, NULL, NULL), CLIENT_DONE);
    assert_int_equal(console.options.nodes_count, 3);
    assert_int_equal(console.options.nodes[2].port, 2348);
    assert_int_equal(console.options.timeout_ms, CLIENT_TIMEOUT_MS);
    assert_false(console.options.tls);
    close_it(&console);

    assert_int_equal(setenv("PAYLEDGER_NODES", "x:7,y:8", 1), 0);
    assert_int_equal(open_with(&console, NULL, NULL), CLIENT_DONE);
    assert_int_equal(console.options.nodes_count, 2);
    assert_string_equal(console.options.nodes[1].host, "y");
    close_it(&console);

    assert_int_equal(open_with(&console, node_option, list), CLIENT_DONE);
    assert_int_equal(console.options.nodes_count, 2);
    assert_string_equal(console.options.nodes[1].host, "::1");
    close_it(&console);
    assert_int_equal(unsetenv("PAYLEDGER_NODES"), 0);
}

static void test_wrong_nodes_are_named(void **state)
{
    (void)state;
    struct console console;
    char wrong[] = "a:1,b";
    assert_int_equal(open_with(&console, node_option, wrong), CLIENT_USAGE);
    close_it(&console);
    assert_non_null(strstr(errors, "--node a:1,b"));
    assert_int_equal(setenv("PAYLEDGER_NODES", "a:1,", 1), 0);
    assert_int_equal(open_with(&console, NULL, NULL), CLIENT_USAGE);
    close_it(&console);
    assert_non_null(strstr(errors, "PAYLEDGER_NODES=a:1,"));
    assert_int_equal(unsetenv("PAYLEDGER_NODES"), 0);
    char zero[] = "0";
    assert_int_equal(open_with(&console, timeout_option, zero), CLIENT_USAGE);
    close_it(&console);
    assert_non_null(strstr(errors, "--timeout 0"));
}

static void test_a_ca_means_tls(void **state)
{
    (void)state;
    struct console console;
    char path[] = "/nowhere.pem";
    assert_int_equal(open_with(&console, ca_option, path), CLIENT_DONE);
    assert_true(console.options.tls);
    assert_null(console_caller(&console));
    close_it(&console);
    assert_non_null(strstr(errors, "/nowhere.pem"));
}

static void test_tls_without_a_ca_is_refused(void **state)
{
    (void)state;
    struct console console;
    assert_int_equal(open_with(&console, tls_option, NULL), CLIENT_USAGE);
    close_it(&console);
    assert_non_null(strstr(errors, "--tls: needs --ca FILE"));
}

static void test_absent_members_are_empty(void **state)
{
    (void)state;
    char text[64];
    assert_null(member(NULL, "a"));
    assert_int_equal(member_text(NULL, "a").size, 0);
    assert_int_equal(member_integer(NULL, "a"), 0);
    assert_false(member_boolean(NULL, "a"));
    assert_string_equal(member_amount(NULL, "a", 2, text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_come_from_options_then_environment),
        cmocka_unit_test(test_wrong_nodes_are_named),
        cmocka_unit_test(test_a_ca_means_tls),
        cmocka_unit_test(test_tls_without_a_ca_is_refused),
        cmocka_unit_test(test_absent_members_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
