#include "client/verbs.h"

#include "tests/support/check.h"

#include <string.h>

static char account[] = "account";
static char get[] = "get";
static char pay[] = "pay";
static char alice[] = "alice";

static void test_commands_are_found_by_one_or_two_words(void **state)
{
    (void)state;
    int used = 0;
    const struct verb *verb = verb_find((char *[]){account, get, alice}, 3, &used);
    assert_non_null(verb);
    assert_string_equal(verb->name, "account get");
    assert_int_equal(used, 2);
    verb = verb_find((char *[]){pay, alice}, 2, &used);
    assert_non_null(verb);
    assert_string_equal(verb->name, "pay");
    assert_int_equal(used, 1);
    assert_null(verb_find((char *[]){account}, 1, &used));
    assert_null(verb_find((char *[]){account, alice}, 2, &used));
    assert_null(verb_find(NULL, 0, &used));
}

static void test_every_command_has_help(void **state)
{
    (void)state;
    uint32_t count = 0;
    const struct verb *verbs = verb_table(&count);
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        char text[8192] = "";
        FILE *out = fmemopen(text, sizeof(text), "w");
        assert_non_null(out);
        assert_true(verb_help(out, verbs[i].name));
        assert_int_equal(fclose(out), 0);
        assert_non_null(strstr(text, verbs[i].summary));
        for (const struct option *option = verbs[i].options; option->name != NULL; option++) {
            assert_non_null(strstr(text, option->name));
        }
        assert_true(verbs[i].words_min <= verbs[i].words_max);
        assert_true(verbs[i].words_max <= CLIENT_WORDS_MAX);
    }
}

static void test_help_knows_groups_and_refuses_the_rest(void **state)
{
    (void)state;
    char text[8192] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_non_null(out);
    assert_true(verb_help(out, "account"));
    assert_false(verb_help(out, "accoun"));
    assert_false(verb_help(out, "account shut"));
    assert_true(verb_help(out, NULL));
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "payledger account open"));
    assert_non_null(strstr(text, "payledger account list"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_are_found_by_one_or_two_words),
        cmocka_unit_test(test_every_command_has_help),
        cmocka_unit_test(test_help_knows_groups_and_refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
