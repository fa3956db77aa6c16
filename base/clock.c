/*
 * The machine's clocks, and RFC 3339 text in the Gregorian calendar. No calendar function of libc
 * is used: they depend on locale and time zone, and accept more than RFC 3339.
 */
#include "base/clock.h"

#include "base/check.h"

#include <stdio.h>
#include <time.h>

enum { SECONDS_PER_DAY = 86400 };
enum { YEAR_FIRST = 1970, YEAR_LAST = 2261 };

#define NS_PER_SECOND INT64_C(1000000000)

static_assert(TIME_NS_MAX / NS_PER_SECOND / SECONDS_PER_DAY == 106650, "2261-12-31 is day 106650");

static int64_t clock_read(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);
    assert(result == 0);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static uint64_t system_monotonic_ns(void *data)
{
    assert(data == NULL);
    int64_t now_ns = clock_read(CLOCK_MONOTONIC);
    assert(now_ns >= 0);
    return (uint64_t)now_ns;
}

static int64_t system_wall_ns(void *data)
{
    assert(data == NULL);
    return clock_read(CLOCK_REALTIME);
}

const struct clock *clock_system(void)
{
    static const struct clock system_clock = {
        .data = NULL, .monotonic_ns = system_monotonic_ns, .wall_ns = system_wall_ns};
    return &system_clock;
}

uint64_t clock_monotonic_ns(const struct clock *clock)
{
    assert(clock != NULL);
    return clock->monotonic_ns(clock->data);
}

uint64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock_monotonic_ns(clock) / 1000000;
}

int64_t clock_wall_ns(const struct clock *clock)
{
    assert(clock != NULL);
    return clock->wall_ns(clock->data);
}

static bool year_is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    assert(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && year_is_leap(year) ? 1 : 0);
}

/* Days from 1970-01-01 to the first of January of a year. */
static int64_t days_before_year(int year)
{
    assert(year >= YEAR_FIRST && year <= YEAR_LAST + 1);
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

void time_format(int64_t time_ns, char text[TIME_TEXT_BYTES])
{
    assert(time_ns >= 0);
    assert(time_ns <= TIME_NS_MAX);
    int64_t seconds = time_ns / NS_PER_SECOND;
    int day = (int)(seconds / SECONDS_PER_DAY);
    int second = (int)(seconds % SECONDS_PER_DAY);
    /* The quotient is the year or, late in a December, the next one. */
    int year = YEAR_FIRST + day / 365;
    while (days_before_year(year) > day) {
        year--;
    }
    int left = day - (int)days_before_year(year);
    int month = 1;
    while (left >= month_days(year, month)) {
        left -= month_days(year, month);
        month++;
    }
    int size = snprintf(text, TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", year, month,
                        left + 1, second / 3600, second / 60 % 60, second % 60,
                        (int)(time_ns % NS_PER_SECOND));
    assert(size == TIME_TEXT_BYTES - 1);
}

/* A number of exactly `count` digits at `at`, which lie inside the text; -1 where one is none. */
static int digits_at(struct text text, size_t at, size_t count)
{
    assert(at + count <= text.size);
    int value = 0;
    for (size_t i = at; i < at + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

/* Whether the separators of YYYY-MM-DDTHH:MM:SS and the closing Z stand where they must. */
static bool separators_fit(struct text text)
{
    const char *at = text.data;
    return at[4] == '-' && at[7] == '-' && at[10] == 'T' && at[13] == ':' && at[16] == ':' &&
           at[text.size - 1] == 'Z';
}

/* The decimals of a whole text as nanoseconds; -1 where they are not 0 or 1 to 9 digits. */
static int decimals_of(struct text text)
{
    enum { DOT_AT = 19, DECIMALS_MAX = 9 };
    size_t size = text.size - DOT_AT - 1;
    assert(size <= 1 + DECIMALS_MAX); /* time_parse refuses longer texts */
    if (size == 0) {
        return 0;
    }
    if (text.data[DOT_AT] != '.' || size < 2) {
        return -1;
    }
    int value = digits_at(text, DOT_AT + 1, size - 1);
    for (size_t i = size - 1; i < DECIMALS_MAX && value > 0; i++) {
        value *= 10;
    }
    return value;
}

bool time_parse(struct text text, int64_t *time_ns)
{
    assert(time_ns != NULL);
    if (text.size < sizeof "1970-01-01T00:00:00Z" - 1 || text.size >= TIME_TEXT_BYTES ||
        !separators_fit(text)) {
        return false;
    }
    int year = digits_at(text, 0, 4);
    int month = digits_at(text, 5, 2);
    int day = digits_at(text, 8, 2);
    int hour = digits_at(text, 11, 2);
    int minute = digits_at(text, 14, 2);
    int second = digits_at(text, 17, 2);
    int decimals = decimals_of(text);
    if (year < YEAR_FIRST || year > YEAR_LAST || month < 1 || month > 12 || day < 1 ||
        day > month_days(year, month)) {
        return false;
    }
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
        decimals < 0) {
        return false;
    }
    int64_t days = days_before_year(year) + day - 1;
    for (int i = 1; i < month; i++) {
        days += month_days(year, i);
    }
    int64_t seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    int64_t parsed_ns = seconds * NS_PER_SECOND + decimals;
    assert(parsed_ns >= 0 && parsed_ns <= TIME_NS_MAX);
    *time_ns = parsed_ns;
    return true;
}
