/*
 * Time enters the product here, through a struct of functions, so that the simulation can give a
 * virtual one.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/bytes.h"

#include <stdint.h>

struct clock {
    void *data;
    /* Nanoseconds since an arbitrary point; never goes back. */
    uint64_t (*monotonic_ns)(void *data);
    /* Nanoseconds since 1970-01-01T00:00:00Z; may jump. */
    int64_t (*wall_ns)(void *data);
};

/* The machine's clocks. */
const struct clock *clock_system(void);

uint64_t clock_monotonic_ns(const struct clock *clock);
uint64_t clock_monotonic_ms(const struct clock *clock);
int64_t clock_wall_ns(const struct clock *clock);

/* "2026-11-23T10:15:30.201000001Z" and its terminator. */
enum { TIME_TEXT_BYTES = 31 };

/* 2261-12-31T23:59:59.999999999Z: the last time that has a text. */
#define TIME_NS_MAX INT64_C(9214646399999999999)

/* Formats nanoseconds since 1970, 0 to TIME_NS_MAX, as RFC 3339 in UTC with nine decimals. */
void time_format(int64_t time_ns, char text[TIME_TEXT_BYTES]);

/*
 * Parses RFC 3339 with a Z, zero to nine decimals, years 1970 to 2261, real days only, no leap
 * second. False on anything else; *time_ns is then untouched.
 */
bool time_parse(struct text text, int64_t *time_ns);

#endif
