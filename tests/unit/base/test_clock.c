/* RFC 3339 text, exact over the whole range, and nothing else accepted. */
#include "base/check.h"
#include "base/clock.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000000)

static void expect_time(const char *text, int64_t wanted_ns)
{
    int64_t time_ns = -1;
    if (!time_parse(text_of(text), &time_ns)) {
        fail_msg("%s does not parse", text);
    }
    if (time_ns != wanted_ns) {
        fail_msg("%s is %lld, wanted %lld", text, (long long)time_ns, (long long)wanted_ns);
    }
}

static void test_landmarks(void **state)
{
    (void)state;
    expect_time("1970-01-01T00:00:00Z", 0);
    expect_time("1970-01-01T00:00:00.000000001Z", 1);
    expect_time("2000-02-29T23:59:59Z", 951868799 * SECOND);
    expect_time("2001-09-09T01:46:40Z", 1000000000 * SECOND);
    expect_time("2038-01-19T03:14:08Z", 2147483648 * SECOND);
    expect_time("2100-02-28T00:00:00Z", 4107456000 * SECOND);
    expect_time("2100-03-01T00:00:00Z", 4107542400 * SECOND);
    expect_time("2261-12-31T23:59:59.999999999Z", TIME_NS_MAX);
}

static void test_decimals(void **state)
{
    (void)state;
    expect_time("1970-01-01T00:00:01.5Z", SECOND + 500000000);
    expect_time("1970-01-01T00:00:01.05Z", SECOND + 50000000);
    expect_time("1970-01-01T00:00:01.0Z", SECOND);
    expect_time("1970-01-01T00:00:01.123456Z", SECOND + 123456000);
    expect_time("1970-01-01T00:00:01.123456789Z", SECOND + 123456789);
}

static void test_everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "Z",
        "2026-11-23",
        "2026-11-23T10:15:30",
        "2026-11-23T10:15:30z",
        "2026-11-23t10:15:30Z",
        "2026-11-23 10:15:30Z",
        "2026-11-23T10:15:30+00:00",
        "2026-11-23T10:15:30-00:00",
        "2026-11-23T10:15Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T10:60:00Z",
        "2026-11-23T10:15:60Z",
        "2016-12-31T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2262-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2026-11-23T10:15:30.Z",
        "2026-11-23T10:15:30,5Z",
        "2026-11-23T10:15:30.1234567890Z",
        "2026-11-23T10:15:30.12 Z",
        "2026-11-23T10:15:30.-1Z",
        "2026-11-23T10:15:30.5",
        "2026-11-23T10:15:30ZZ",
        "2026-11-23T10:15:30Z ",
        " 2026-11-23T10:15:30Z",
        "+026-11-23T10:15:30Z",
        "2026-1--23T10:15:30Z",
        "2026-11-23T 1:15:30Z",
        "2026-11-23T10:15:3:Z",
        "2026/11/23T10:15:30Z",
        "12026-11-23T10:15:30Z",
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        int64_t time_ns = -7;
        if (time_parse(text_of(wrong[i]), &time_ns)) {
            fail_msg("%s parses", wrong[i]);
        }
        assert_true(time_ns == -7);
    }
    int64_t time_ns = -7;
    assert_false(time_parse((struct text){.data = "2026-11-23T10:15:30Z\0", .size = 21}, &time_ns));
}

static void test_every_day_and_its_neighbours_agree_with_libc(void **state)
{
    (void)state;
    enum { DAYS = 106651 };
    for (int64_t day = 0; day < DAYS; day++) {
        int64_t seconds = day * 86400 + day * 7919 % 86400;
        time_t time_s = (time_t)seconds;
        struct tm parts;
        assert_non_null(gmtime_r(&time_s, &parts));
        char wanted[64];
        (void)snprintf(wanted, sizeof wanted, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ",
                       parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                       parts.tm_min, parts.tm_sec, (int)day);
        char text[TIME_TEXT_BYTES];
        time_format(seconds * SECOND + day, text);
        assert_string_equal(text, wanted);
        int64_t again_ns = -1;
        assert_true(time_parse(text_of(text), &again_ns));
        assert_true(again_ns == seconds * SECOND + day);
    }
}

static void test_the_system_clock_runs(void **state)
{
    (void)state;
    const struct clock *clock = clock_system();
    uint64_t before_ns = clock_monotonic_ns(clock);
    assert_true(clock_monotonic_ns(clock) >= before_ns);
    assert_true(clock_monotonic_ms(clock) >= before_ns / 1000000);
    assert_true(clock_wall_ns(clock) / SECOND - (int64_t)time(NULL) <= 1);
}

static uint64_t fixed_monotonic(void *data)
{
    return *(uint64_t *)data;
}

static int64_t fixed_wall(void *data)
{
    return -*(int64_t *)data;
}

static void test_a_clock_can_be_virtual(void **state)
{
    (void)state;
    uint64_t now_ns = 5999999;
    struct clock clock = {.data = &now_ns, .monotonic_ns = fixed_monotonic, .wall_ns = fixed_wall};
    assert_true(clock_monotonic_ns(&clock) == 5999999);
    assert_true(clock_monotonic_ms(&clock) == 5);
    assert_true(clock_wall_ns(&clock) == -5999999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_landmarks),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_everything_else_is_refused),
        cmocka_unit_test(test_every_day_and_its_neighbours_agree_with_libc),
        cmocka_unit_test(test_the_system_clock_runs),
        cmocka_unit_test(test_a_clock_can_be_virtual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
