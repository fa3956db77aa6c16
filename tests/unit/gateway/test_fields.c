#include "gateway/fields.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <string.h>

static struct message_reader *reader;

static int open_reader(void **state)
{
    (void)state;
    return message_reader_open(&reader, MESSAGE_BYTES_MAX) == STATUS_OK ? 0 : -1;
}

static int close_reader(void **state)
{
    (void)state;
    message_reader_close(reader);
    return 0;
}

enum { SPEC_A, SPEC_B };

static const struct field_spec specs[] = {
    [SPEC_A] = {"a", TYPE_INTEGER, true, "needed"},
    [SPEC_B] = {"b", TYPE_BOOLEAN, false, "not needed"},
};

static struct fields read_fields(const char *json, struct place place, struct failure *failure)
{
    const struct value *root = NULL;
    assert_int_equal(message_parse(reader, text_of(json), &root, failure), CODE_OK);
    return fields_read(root, specs, ARRAY_COUNT(specs), place, failure);
}

static void paths_are_those_of_the_client(void **state)
{
    (void)state;
    char path[64];
    place_path(PLACE_TOP, "id", path, sizeof path);
    assert_string_equal(path, "id");
    place_path((struct place){.item = -1, .leg = 2}, "debit", path, sizeof path);
    assert_string_equal(path, "legs[2].debit");
    place_path((struct place){.item = 8191, .leg = -1}, "id", path, sizeof path);
    assert_string_equal(path, "items[8191].id");
    place_path((struct place){.item = 5, .leg = 63}, "amount", path, sizeof path);
    assert_string_equal(path, "items[5].legs[63].amount");
    place_path((struct place){.item = 5, .leg = -1}, "", path, sizeof path);
    assert_string_equal(path, "items[5]");
}

static void unknown_fields_come_before_missing_ones(void **state)
{
    (void)state;
    struct failure failure;
    struct fields fields = read_fields("{\"b\":true,\"A\":1}", PLACE_TOP, &failure);
    assert_int_equal(fields.code, CODE_UNKNOWN_FIELD);
    assert_string_equal(failure.param, "A");
    fields = read_fields("{\"b\":true}", (struct place){.item = 1, .leg = -1}, &failure);
    assert_int_equal(fields.code, CODE_MISSING_FIELD);
    assert_string_equal(failure.param, "items[1].a");
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    struct failure failure;
    struct fields fields = read_fields("{\"a\":1.0,\"b\":7}", PLACE_TOP, &failure);
    int64_t integer = 42;
    bool boolean = true;
    assert_int_equal(fields.code, CODE_OK);
    fields_integer(&fields, SPEC_A, 0, 10, &integer);
    fields_boolean(&fields, SPEC_B, &boolean);
    assert_int_equal(fields.code, CODE_FIELD_INVALID);
    assert_string_equal(failure.param, "a");
    assert_true(integer == 42 && boolean);
}

static void absent_fields_leave_their_defaults(void **state)
{
    (void)state;
    struct failure failure;
    struct fields fields = read_fields("{\"a\":10}", PLACE_TOP, &failure);
    int64_t integer = 0;
    bool boolean = true;
    fields_integer(&fields, SPEC_A, 0, 10, &integer);
    fields_boolean(&fields, SPEC_B, &boolean);
    assert_int_equal(fields.code, CODE_OK);
    assert_true(integer == 10 && boolean);
    assert_false(fields_has(&fields, SPEC_B));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_those_of_the_client),
        cmocka_unit_test(unknown_fields_come_before_missing_ones),
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(absent_fields_leave_their_defaults),
    };
    return cmocka_run_group_tests(tests, open_reader, close_reader);
}
