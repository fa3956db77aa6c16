#include "client/args.h"

#include "tests/support/check.h"

#include <string.h>

static const struct option options[] = {{"--node", "HOST:PORT", true, ""},
                                        {"--json", NULL, false, ""},
                                        {"--timeout", "MS", false, ""},
                                        OPTIONS_END};
static const struct option more[] = {{"--reference", "TEXT", false, ""}, OPTIONS_END};
static const struct option *const tables[] = {options, more};

static struct args args;
static char error[ARGS_ERROR_BYTES];

#define PARSE(...)                                                                                 \
    args_parse(&args, (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)),                     \
               (char *[]){__VA_ARGS__}, tables, 2, error)

static char node[] = "--node";
static char json[] = "--json";
static char timeout[] = "--timeout";
static char reference[] = "--reference";
static char a[] = "a";
static char b[] = "b";

static void test_words_and_options_mix(void **state)
{
    (void)state;
    char joined[] = "--node=c:1=2";
    char number[] = "250";
    check_ok(PARSE(a, node, b, json, joined, b, timeout, number));
    assert_int_equal(args.words_count, 2);
    assert_string_equal(args.words[0], "a");
    assert_string_equal(args.words[1], "b");
    assert_string_equal(args_value(&args, "--node", 0), "b");
    assert_string_equal(args_value(&args, "--node", 1), "c:1=2");
    assert_null(args_value(&args, "--node", 2));
    assert_true(args_has(&args, "--json"));
    assert_false(args_has(&args, "--reference"));
    uint64_t value = 0;
    check_ok(args_number(&args, "--timeout", 7, 1, 250, &value, error));
    assert_int_equal(value, 250);
    check_status(args_number(&args, "--timeout", 7, 1, 249, &value, error), STATUS_INVALID);
    assert_non_null(strstr(error, "--timeout 250: must be a whole number from 1 to 249"));
    check_ok(args_number(&args, "--absent", 7, 8, 9, &value, error));
    assert_int_equal(value, 7);
}

static void test_two_dashes_end_the_options(void **state)
{
    (void)state;
    char dashes[] = "--";
    char lone[] = "-";
    check_ok(PARSE(lone, dashes, json, dashes));
    assert_int_equal(args.words_count, 3);
    assert_string_equal(args.words[1], "--json");
    assert_false(args_has(&args, "--json"));
}

static void test_errors_name_the_argument(void **state)
{
    (void)state;
    char unknown[] = "--colour";
    check_status(PARSE(a, unknown), STATUS_INVALID);
    assert_non_null(strstr(error, "--colour"));
    check_status(PARSE(a, node), STATUS_INVALID);
    assert_non_null(strstr(error, "--node needs a value: HOST:PORT"));
    check_status(PARSE(json, json), STATUS_INVALID);
    assert_non_null(strstr(error, "--json is given twice"));
    char valued[] = "--json=1";
    check_status(PARSE(valued), STATUS_INVALID);
    assert_non_null(strstr(error, "--json takes no value"));
    char prefix[] = "--nod";
    check_status(PARSE(prefix, b), STATUS_INVALID);
    check_status(PARSE(a, a, a, a, a, a, a, a, b), STATUS_INVALID);
    assert_non_null(strstr(error, "too many arguments at 'b'"));
    char empty[] = "--reference=";
    check_ok(PARSE(empty));
    assert_string_equal(args_value(&args, "--reference", 0), "");
    check_status(PARSE(reference, a, reference, b), STATUS_INVALID);
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t value = 5;
    assert_true(number_parse("0", 0, &value));
    assert_int_equal(value, 0);
    static const char *const wrong[] = {
        "", "01", "-1", "+1", "1.0", "1k", " 1", "11", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(number_parse(wrong[i], 10, &value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_and_options_mix),
        cmocka_unit_test(test_two_dashes_end_the_options),
        cmocka_unit_test(test_errors_name_the_argument),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
