#include "client/batch_file.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#define ID "0198d2c4-a0f0-7c3e-9b1f-5a1122334455"

static struct batch_file file;
static char error[BATCH_ERROR_BYTES];

static bool scale_of(void *data, struct text currency, uint8_t *scale)
{
    (void)data;
    *scale = 2;
    return text_equal(currency, TEXT("EUR"));
}

static enum status parse(const char *text, const char *name)
{
    const struct batch_options options = {.name = name, .scale = scale_of};
    return batch_file_parse(&file, text_of(text), &options, error);
}

static void check_json(uint32_t index, uint64_t line, const char *wanted)
{
    const struct batch_item item = batch_file_item(&file, index);
    const struct text json = batch_file_json(&file, &item);
    assert_int_equal(item.line, line);
    if (!text_equal(json, text_of(wanted))) {
        fail_msg("%.*s is not %s", (int)json.size, json.data, wanted);
    }
}

static void check_refused(const char *text, const char *what)
{
    check_status(parse(text, "n"), STATUS_INVALID);
    if (strstr(error, what) == NULL) {
        fail_msg("'%s' does not say '%s'", error, what);
    }
}

static void test_csv_amounts_become_minor_units(void **state)
{
    (void)state;
    check_ok(parse("id,debit,credit,amount,currency,reference,valid_until\r\n" ID
                   ",alice,shop,19.99,EUR,\"a \"\"b\"\", c\",2026-11-23T10:15:30Z\r\n\n" ID
                   ",alice,shop,7,EUR,,",
                   NULL));
    assert_int_equal(file.items_count, 2);
    check_json(0, 2,
               "{\"id\":\"" ID "\",\"debit\":\"alice\",\"credit\":\"shop\",\"amount\":\"1999\","
               "\"currency\":\"EUR\",\"reference\":\"a \\\"b\\\", c\","
               "\"valid_until\":\"2026-11-23T10:15:30Z\"}");
    check_json(1, 4,
               "{\"id\":\"" ID "\",\"debit\":\"alice\",\"credit\":\"shop\",\"amount\":\"700\","
               "\"currency\":\"EUR\"}");
    batch_file_deinit(&file);
}

static void test_json_lines_go_out_as_they_are(void **state)
{
    (void)state;
    check_ok(parse("{ \"id\" : \"" ID "\", \"x\": [1] }\n", NULL));
    check_json(0, 1, "{ \"id\" : \"" ID "\", \"x\": [1] }");
    batch_file_deinit(&file);
}

static void test_derived_ids_are_stable(void **state)
{
    (void)state;
    static const char lines[] = "{\"a\":1}\n{\"a\":1}\n";
    check_status(parse(lines, NULL), STATUS_INVALID);
    assert_non_null(strstr(error, "line 1: the payment has no id"));
    check_ok(parse(lines, "may"));
    const struct uuid first = batch_file_item(&file, 0).id;
    const struct uuid second = batch_file_item(&file, 1).id;
    assert_false(uuid_equal(&first, &second));
    char wanted[128];
    char id[UUID_TEXT_BYTES];
    uuid_format(&first, id);
    (void)snprintf(wanted, sizeof(wanted), "{\"id\":\"%s\",\"a\":1}", id);
    check_json(0, 1, wanted);
    batch_file_deinit(&file);
    /* A line more behind them changes nothing, another name changes all. */
    check_ok(parse("{\"a\":1}\n{\"a\":1}\n{\"a\":2}", "may"));
    const struct uuid again = batch_file_item(&file, 1).id;
    assert_true(uuid_equal(&second, &again));
    batch_file_deinit(&file);
    check_ok(parse(lines, "june"));
    const struct uuid other = batch_file_item(&file, 0).id;
    assert_false(uuid_equal(&first, &other));
    batch_file_deinit(&file);
}

static void test_errors_name_the_line(void **state)
{
    (void)state;
    static const char head[] = "debit,credit,amount,currency\n";
    char text[512];
    static const struct {
        const char *row;
        const char *what;
    } rows[] = {{"a,b,1.001,EUR", "line 2: amount '1.001': more decimals"},
                {"a,b,0,EUR", "line 2: amount '0': must be more than nothing"},
                {"a,b,-1,EUR", "line 2: amount '-1'"},
                {"a,b,1e3,EUR", "line 2: amount '1e3'"},
                {"a b,b,1,EUR", "line 2: debit 'a b'"},
                {"a,,1,EUR", "line 2: credit ''"},
                {"a,b,1,eur", "line 2: currency 'eur'"},
                {"a,b,1", "line 2: 3 fields, the head has 4"},
                {"a,b,1,EUR,", "line 2: 5 fields"},
                {"a,\"b,1,EUR", "line 2: field 2: quotes do not fit"},
                {"a,\"b\"x,1,EUR", "line 2: field 2: quotes do not fit"},
                {"a,b\"c,1,EUR", "line 2: field 2: quotes do not fit"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s%s", head, rows[i].row);
        check_refused(text, rows[i].what);
    }
    check_refused("debit,credit,amount\na,b,1", "line 1: column 'currency' is missing");
    check_refused("debit,credit,amount,currency,colour\n", "line 1: column 'colour' is unknown");
    check_refused("debit,debit,credit,amount,currency\n", "line 1: column 'debit' is there twice");
    check_refused("{\"id\":\"" ID "\"}\n{\"id\":5}\n", "line 2: id ''");
    check_refused("{\"a\":1}\n{\"a\":01}\n", "line 2:");
    check_refused("{\"a\":1}\n{\"a\":1,\"a\":2}\n", "line 2:");
    check_refused("{\"a\":1}\n[1]\n", "line 2: must be a JSON object");
    check_refused("{}\n", "line 1: must be a JSON object");
    check_refused("", "no payments");
    check_refused(head, "no payments");
    (void)snprintf(text, sizeof(text), "%sa,b,1,USD", head);
    check_status(parse(text, "n"), STATUS_AGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_amounts_become_minor_units),
        cmocka_unit_test(test_json_lines_go_out_as_they_are),
        cmocka_unit_test(test_derived_ids_are_stable),
        cmocka_unit_test(test_errors_name_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
