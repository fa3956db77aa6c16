/*
 * Runs a piece of a test in a child process: for what is meant to end the process (fail_stop,
 * asserts).
 */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include <stddef.h>

enum { CHILD_RETURNED = 199, CHILD_SIGNAL = 1000 };

/*
 * body() in a forked child with an own TMPDIR (removed afterwards). Gives its exit status,
 * CHILD_RETURNED when body came back, CHILD_SIGNAL + n when a signal ended it; what it wrote on
 * standard error is in output, terminated.
 */
int child_run(void (*body)(void *data), void *data, char *output, size_t output_size);

#endif
