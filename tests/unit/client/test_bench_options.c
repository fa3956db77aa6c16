#include "client/bench_options.h"

#include "client/verbs.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 24 };

static char errors[4096];
static char line_copy[1024];

/* Reads the options of a command line, its words separated by '|', for three nodes. */
static enum client_exit read_line(struct console *console, const char *line,
                                  struct bench_options *options)
{
    char *words[WORDS_MAX];
    int count = 0;
    int used = 0;
    char error[ARGS_ERROR_BYTES];
    char *rest = line_copy;
    (void)snprintf(line_copy, sizeof(line_copy), "bench|--node|a:1,b:2,[::1]:3%s%s",
                   line[0] == '\0' ? "" : "|", line);
    while (rest != NULL) {
        assert_true(count < WORDS_MAX);
        words[count] = strsep(&rest, "|");
        count += 1;
    }
    const struct verb *verb = verb_find(words, count, &used);
    assert_non_null(verb);
    const struct option *const tables[] = {verb_options(), verb->options};
    *console = (struct console){.verb = verb, .out = stdout};
    console->errors = fmemopen(errors, sizeof(errors), "w");
    assert_non_null(console->errors);
    check_ok(args_parse(&console->args, count - used, words + used, tables, 2, error));
    assert_int_equal(console_open(console, verb), CLIENT_DONE);
    enum client_exit end = bench_options_read(console, options);
    assert_int_equal(fclose(console->errors), 0);
    return end;
}

static struct bench_options options_of(const char *line)
{
    struct console console;
    struct bench_options options;
    if (read_line(&console, line, &options) != CLIENT_DONE) {
        fail_msg("%s: %s", line, errors);
    }
    console_close(&console);
    return options;
}

static void check_refused(const char *line, const char *sentence)
{
    struct console console;
    struct bench_options options;
    errors[0] = '\0';
    const enum client_exit end = read_line(&console, line, &options);
    console_close(&console);
    if (end != CLIENT_USAGE || strstr(errors, sentence) == NULL) {
        fail_msg("%s: %d, %s", line, (int)end, errors);
    }
}

static void test_without_options(void **state)
{
    (void)state;
    const struct bench_options options = options_of("");
    assert_int_equal(options.rate_per_s, 0);
    assert_int_equal(options.connections, 8);
    assert_int_equal(options.in_flight, 16);
    assert_int_equal(options.payments, 1);
    assert_int_equal(options.accounts, 1000);
    assert_int_equal(options.distribution, BENCH_UNIFORM);
    assert_int_equal(options.exponent_milli, 990);
    assert_int_equal(options.mix_payments, 1);
    assert_int_equal(options.mix_reads, 0);
    assert_int_equal(options.reads, BENCH_READ_ACCOUNT);
    assert_false(options.stale);
    assert_true(options.ids_v7);
    assert_int_equal(options.threads, 1);
    assert_int_equal(options.warmup_s, 0);
    assert_int_equal(options.seconds, 10);
    assert_true(options.retry);
    assert_int_equal(options.target, BENCH_TO_ALL);
    assert_int_equal(options.verify, 200000);
    assert_null(options.series);
    assert_null(options.flush_dir);
    assert_false(options.progress); /* what goes to memory is no terminal */
}

static void test_all_of_them(void **state)
{
    (void)state;
    struct bench_options options =
        options_of("--rate|5000|--arrivals|uniform|--backlog|7|--connections|3|--in-flight|1024|"
                   "--payments|192|--accounts|10000000|--threads|3|--warmup|0|--seconds|86400");
    assert_int_equal(options.rate_per_s, 5000);
    assert_false(options.poisson);
    assert_int_equal(options.backlog, 7);
    assert_int_equal(options.connections, 3);
    assert_int_equal(options.in_flight, 1024);
    assert_int_equal(options.payments, 192);
    assert_int_equal(options.accounts, 10000000);
    assert_int_equal(options.threads, 3);
    assert_int_equal(options.warmup_s, 0);
    assert_int_equal(options.seconds, 86400);
    options = options_of("--distribution|zipf|--exponent|1.25|--mix|9:1|--reads|payment|--stale|"
                         "--ids|random|--warmup|5|--seed|17|--retry|off|--progress|on");
    assert_int_equal(options.distribution, BENCH_ZIPF);
    assert_int_equal(options.exponent_milli, 1250);
    assert_int_equal(options.mix_payments, 9);
    assert_int_equal(options.mix_reads, 1);
    assert_int_equal(options.reads, BENCH_READ_PAYMENT);
    assert_true(options.stale);
    assert_false(options.ids_v7);
    assert_int_equal(options.warmup_s, 5);
    assert_int_equal(options.seed, 17);
    assert_false(options.retry);
    assert_true(options.progress);
    options = options_of("--distribution|hot|--series|a.jsonl|--flush-dir|/tmp");
    assert_int_equal(options.distribution, BENCH_HOT);
    assert_string_equal(options.series, "a.jsonl");
    assert_string_equal(options.flush_dir, "/tmp");
}

/* The closed loop waits for a node that refuses; the open loop's arrivals are not repeated. */
static void test_the_loop_decides_about_retries(void **state)
{
    (void)state;
    assert_true(options_of("--retry|on").retry);
    assert_false(options_of("--rate|1").retry);
    assert_true(options_of("--rate|1|--retry|on").retry);
    assert_true(options_of("--rate|1").poisson);
    assert_int_equal(options_of("--rate|1").backlog, BENCH_BACKLOG);
}

static void test_numbers_have_bounds(void **state)
{
    (void)state;
    static const char *const wrong[] = {"--connections|0",
                                        "--connections|4097",
                                        "--in-flight|0",
                                        "--in-flight|1025",
                                        "--payments|0",
                                        "--payments|8193",
                                        "--accounts|1",
                                        "--accounts|10000001",
                                        "--threads|0",
                                        "--threads|65",
                                        "--seconds|0",
                                        "--seconds|86401",
                                        "--warmup|86401",
                                        "--rate|0",
                                        "--rate|10000001",
                                        "--seed|-1",
                                        "--seed|9007199254740993",
                                        "--rate|1e3",
                                        "--seconds|1.5",
                                        "--accounts|"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%.*s ", (int)strcspn(wrong[i], "|"), wrong[i]);
        check_refused(wrong[i], name);
    }
    check_refused("--rate|1|--backlog|0", "--backlog 0: must be a whole number from 1 to 16777216");
    check_refused("--rate|1|--backlog|16777217", "--backlog 16777217");
    check_refused("--in-flight|1024|--payments|193",
                  "--in-flight 1024 of --payments 193: at most 196608 payments");
    assert_int_equal(options_of("--in-flight|24|--payments|8192").payments, 8192);
    assert_int_equal(options_of("--seed|9007199254740992").seed, UINT64_C(9007199254740992));
    assert_int_equal(options_of("--rate|10000000").rate_per_s, 10000000);
}

static void test_seeds_differ_unless_given(void **state)
{
    (void)state;
    const uint64_t first = options_of("").seed;
    const uint64_t second = options_of("").seed;
    assert_true(first != second);
    /* It is printed as a JSON number, and can be given again. */
    assert_true(first <= UINT64_C(9007199254740992) && second <= UINT64_C(9007199254740992));
}

static void test_words_must_be_known(void **state)
{
    (void)state;
    check_refused("--distribution|zip", "--distribution zip: must be one of: uniform, zipf, hot");
    check_refused("--distribution|", "must be one of: uniform");
    check_refused("--reads|accounts", "must be one of: account, payment");
    check_refused("--rate|1|--arrivals|even", "must be one of: uniform, poisson");
    check_refused("--ids|v4", "must be one of: random, v7");
    check_refused("--retry|yes", "--retry yes: must be one of: off, on");
    check_refused("--progress|1", "--progress 1: must be one of: off, on");
}

static void test_exponents(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t milli;
    } rows[] = {{"0", 0},      {"1", 1000},     {"5", 5000},  {"5.0", 5000},
                {"0.0", 0},    {"0.5", 500},    {"0.05", 50}, {"0.005", 5},
                {"1.2", 1200}, {"4.999", 4999}, {"0.1", 100}, {"0.099", 99}};
    char line[128];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(line, sizeof(line), "--distribution|zipf|--exponent|%s", rows[i].text);
        assert_int_equal(options_of(line).exponent_milli, rows[i].milli);
    }
    static const char *const wrong[] = {"",     ".",    "1.",   ".5",   "5.001",  "6",     "9.999",
                                        "10",   "-1",   "+1",   "1e0",  "0.9999", "0,5",   "0.5 ",
                                        " 0.5", "0..5", "0.-5", "0.5.", "x.5",    "1.2.3", "00.5"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)snprintf(line, sizeof(line), "--distribution|zipf|--exponent|%s", wrong[i]);
        check_refused(line, "must be a number as 0.99, at most 5");
    }
}

static void test_mixes(void **state)
{
    (void)state;
    struct bench_options options = options_of("--mix|1000:1000");
    assert_int_equal(options.mix_payments, 1000);
    assert_int_equal(options.mix_reads, 1000);
    options = options_of("--mix|0:1");
    assert_int_equal(options.mix_payments, 0);
    assert_int_equal(options.mix_reads, 1);
    options = options_of("--mix|3:0");
    assert_int_equal(options.mix_payments, 3);
    assert_int_equal(options.mix_reads, 0);
    static const char *const wrong[] = {"",       "1",      ":",     "1:",   ":1",        "0:0",
                                        "1001:1", "1:1001", "1:1:1", "-1:1", "1:-1",      "1;1",
                                        "01:1",   "1:01",   "1.5:1", "a:b",  "12345678:1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "--mix|%s", wrong[i]);
        check_refused(line, "must be PAYMENTS:READS as 9:1, each at most 1000");
    }
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum bench_target target;
        uint32_t node;
    } rows[] = {{"all", BENCH_TO_ALL, 0},
                {"leader", BENCH_TO_LEADER, 0},
                {"followers", BENCH_TO_FOLLOWERS, 0},
                {"a:1", BENCH_TO_ONE, 0},
                {"b:2", BENCH_TO_ONE, 1},
                {"[::1]:3", BENCH_TO_ONE, 2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct console console;
        struct bench_options options;
        char line[64];
        char name[ADDRESS_TEXT_BYTES];
        (void)snprintf(line, sizeof(line), "--to|%s", rows[i].text);
        assert_int_equal(read_line(&console, line, &options), CLIENT_DONE);
        assert_int_equal(options.target, rows[i].target);
        assert_int_equal(options.target_node, rows[i].node);
        bench_target_name(&console, &options, name);
        assert_string_equal(name, rows[i].text);
        console_close(&console);
    }
    static const char *const wrong[] = {"", "a", "a:2", "b:1", "::1:3", "leaders", "c:1", "1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "--to|%s", wrong[i]);
        check_refused(line, "must be all, leader, followers, or the address of a node");
    }
}

static void test_how_many_ids_are_verified(void **state)
{
    (void)state;
    assert_true(options_of("--verify|all").verify == UINT64_MAX);
    assert_int_equal(options_of("--verify|none").verify, 0);
    assert_int_equal(options_of("--verify|0").verify, 0);
    assert_int_equal(options_of("--verify|1073741824").verify, 1073741824);
    check_refused("--verify|1073741825", "must be all, none, or a number of ids");
    check_refused("--verify|", "must be all, none, or a number of ids");
    check_refused("--verify|some", "--verify some");
}

static void test_what_does_not_go_together(void **state)
{
    (void)state;
    check_refused("--connections|2|--threads|3", "--threads 3: each needs a connection");
    assert_int_equal(options_of("--connections|3|--threads|3").threads, 3);
    check_refused("--arrivals|poisson", "--arrivals is for the open loop: give --rate");
    check_refused("--backlog|5", "--backlog is for the open loop: give --rate");
    check_refused("--exponent|1", "--exponent is for --distribution zipf");
    check_refused("--distribution|hot|--exponent|1", "--exponent is for --distribution zipf");
    check_refused("--mix|0:1|--reads|payment", "--reads payment needs payments to read");
    assert_int_equal(options_of("--mix|0:1|--reads|account").mix_payments, 0);
}

static void test_names_are_those_that_are_given(void **state)
{
    (void)state;
    assert_string_equal(bench_distribution_name(BENCH_UNIFORM), "uniform");
    assert_string_equal(bench_distribution_name(BENCH_ZIPF), "zipf");
    assert_string_equal(bench_distribution_name(BENCH_HOT), "hot");
    assert_string_equal(bench_reads_name(BENCH_READ_ACCOUNT), "account");
    assert_string_equal(bench_reads_name(BENCH_READ_PAYMENT), "payment");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_options),
        cmocka_unit_test(test_all_of_them),
        cmocka_unit_test(test_the_loop_decides_about_retries),
        cmocka_unit_test(test_numbers_have_bounds),
        cmocka_unit_test(test_seeds_differ_unless_given),
        cmocka_unit_test(test_words_must_be_known),
        cmocka_unit_test(test_exponents),
        cmocka_unit_test(test_mixes),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_how_many_ids_are_verified),
        cmocka_unit_test(test_what_does_not_go_together),
        cmocka_unit_test(test_names_are_those_that_are_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
