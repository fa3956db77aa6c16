/*
 * The result of `payledger bench`, as JSON for programs and as a table for people.
 */
#ifndef CLIENT_BENCH_REPORT_H
#define CLIENT_BENCH_REPORT_H

#include "client/bench_result.h"

/* Appends one JSON object, without a line's end. */
void bench_report_json(const struct console *console, const struct bench_options *options,
                       const struct bench_result *result, struct buffer *out);

/* Prints the table. */
void bench_report_text(const struct console *console, const struct bench_options *options,
                       const struct bench_result *result);

/* The series, one JSON object a line. False where the file could not be written. */
bool bench_report_series(const struct bench_options *options, const struct bench_result *result,
                         FILE *file);

/* The generator itself may have been the bound: it used more than 80 % of a core in one thread. */
bool bench_generator_busy(const struct bench_result *result);

#endif
