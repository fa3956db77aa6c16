/*
 * The commands as functions, with their output in memory: arguments that are refused before
 * anything is sent, and what is printed of a pretended node's answers. tests/cluster/test_cli.py
 * runs them as programs against a real cluster.
 */
#include "client/verbs.h"

#include "tests/support/check.h"
#include "tests/support/gateway_rig.h"

#include <string.h>

struct run {
    char *out;
    char *errors;
    size_t out_size;
    size_t errors_size;
    enum client_exit end;
};

enum { WORDS_MAX = 24 };

/* Runs a command line (its words separated by '|') against one port. */
static struct run run_line(uint16_t port, const char *line)
{
    struct run run = {.out = NULL};
    char copy[1024];
    char node[32];
    char node_option[] = "--node";
    char *words[WORDS_MAX];
    int count = 0;
    (void)snprintf(copy, sizeof(copy), "%s", line);
    (void)snprintf(node, sizeof(node), "127.0.0.1:%u", (unsigned)port);
    char *at = copy;
    while (at != NULL) {
        assert_true(count + 2 < WORDS_MAX);
        words[count] = at;
        count += 1;
        at = strchr(at, '|');
        if (at != NULL) {
            *at = '\0';
            at += 1;
        }
    }
    words[count] = node_option;
    words[count + 1] = node;
    count += 2;
    int used = 0;
    const struct verb *verb = verb_find(words, count, &used);
    assert_non_null(verb);
    struct console console = {.out = open_memstream(&run.out, &run.out_size),
                              .errors = open_memstream(&run.errors, &run.errors_size),
                              .verb = verb};
    assert_non_null(console.out);
    assert_non_null(console.errors);
    const struct option *const tables[] = {verb_options(), verb->options};
    char error[ARGS_ERROR_BYTES];
    check_ok(args_parse(&console.args, count - used, words + used, tables, 2, error));
    run.end = console_open(&console, verb);
    if (run.end == CLIENT_DONE) {
        run.end = verb->run(&console);
    }
    console_close(&console);
    assert_int_equal(fclose(console.out), 0);
    assert_int_equal(fclose(console.errors), 0);
    return run;
}

static void check_run(uint16_t port, const char *line, enum client_exit end, const char *out,
                      const char *errors)
{
    struct run run = run_line(port, line);
    if (run.end != end || strstr(run.out, out) == NULL || strstr(run.errors, errors) == NULL) {
        fail_msg("%s: status %d\n%s\n%s", line, (int)run.end, run.out, run.errors);
    }
    free(run.out);
    free(run.errors);
}

static void test_arguments_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *named;
    } rows[] = {{"pay|a b|c|1 EUR", "FROM a b"},
                {"pay|a|c d|1 EUR", "TO c d"},
                {"pay|a|b|1", "AMOUNT '1'"},
                {"pay|a|b|1 eur", "AMOUNT '1 eur'"},
                {"pay|a|b|1 EUR|--id|7", "--id 7"},
                {"pay|a|b|1 EUR|--valid-until|soon", "--valid-until soon"},
                {"currency|create|eur|2", "CURRENCY eur"},
                {"currency|create|EUR|19", "SCALE 19"},
                {"account|get|a b", "account a b"},
                {"account|open|a|eur", "CURRENCY eur"},
                {"account|open|a|EUR|--normal|left", "--normal left"},
                {"account|list|--limit|0", "--limit 0"},
                {"history|a b", "ACCOUNT a b"},
                {"totals|--min-seq|x", "--min-seq x"},
                {"totals|--min-seq|1|--stale", "exclude each other"},
                {"status|--timeout|0", "--timeout 0"},
                {"status|--node|nowhere", "--node nowhere"},
                {"call|cluster.status|[1]", "JSON [1]"},
                {"call|cluster.status|{\"a\":1,\"a\":2}", "must be a valid object"},
                {"batch|/nowhere", "/nowhere"},
                {"batch|/nowhere|--chunk|9000", "--chunk 9000"},
                {"bench|--accounts|1", "--accounts 1: must be"},
                {"bench|--connections|0", "--connections 0"},
                {"pki|init|--dir|x", "--dir and --nodes"},
                {"pki|init|--dir|x|--nodes|3|--host|4=a", "--host 4=a"},
                {"pki|init|--dir|x|--nodes|03", "--nodes 03"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_run(1, rows[i].line, CLIENT_USAGE, "", rows[i].named);
    }
}

static void test_unreachable_is_told(void **state)
{
    (void)state;
    check_run(1, "status|--timeout|200", CLIENT_UNREACHABLE, "", "unreachable");
    check_run(1, "totals|--timeout|200|--json", CLIENT_UNREACHABLE, "\"code\":\"unreachable\"", "");
}

static void test_answers_are_printed(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.currencies, 2);
    rig_start(rig);
    check_run(rig->port, "totals", CLIENT_DONE, "currency", "");
    check_run(rig->port, "totals|--json", CLIENT_DONE, "{\"totals\":[{", "");
    check_run(rig->port, "status", CLIENT_DONE, "role", "");
    check_run(rig->port, "call|cluster.status", CLIENT_DONE, "\"nodes\":[", "");
    check_run(rig->port, "account|get|nobody", CLIENT_REFUSED, "", "not_found");
    check_run(rig->port, "account|get|nobody|--json", CLIENT_REFUSED, "\"code\":\"not_found\"", "");
    check_run(rig->port, "call|no.such", CLIENT_REFUSED, "method_not_found", "");
    rig_close(rig);
}

static void test_unknown_is_told(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    atomic_store(&rig->node.code, CODE_UNKNOWN);
    rig_start(rig);
    check_run(rig->port, "currency|create|EUR|2|--timeout|300", CLIENT_UNKNOWN, "",
              "Send it again with the same id");
    check_run(rig->port, "currency|create|EUR|2|--timeout|300|--json", CLIENT_UNKNOWN,
              "\"code\":\"unknown\"", "");
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_are_refused_before_anything_is_sent),
        cmocka_unit_test(test_unreachable_is_told),
        cmocka_unit_test(test_answers_are_printed),
        cmocka_unit_test(test_unknown_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
