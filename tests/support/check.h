/*
 * The one header through which tests reach cmocka. Failures print the names of statuses and codes,
 * seeded tests print their seed (PAYLEDGER_SEED replays it).
 */
#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/status.h"
#include "base/u128.h"

#define check_ok(expression)                                                                       \
    do {                                                                                           \
        enum status check_status_ = (expression);                                                  \
        if (check_status_ != STATUS_OK) {                                                          \
            fail_msg("%s: %s", #expression, status_name(check_status_));                           \
        }                                                                                          \
    } while (0)

#define check_status(expression, wanted)                                                           \
    do {                                                                                           \
        enum status check_status_ = (expression);                                                  \
        if (check_status_ != (wanted)) {                                                           \
            fail_msg("%s: %s, wanted %s", #expression, status_name(check_status_),                 \
                     status_name(wanted));                                                         \
        }                                                                                          \
    } while (0)

/* A temporary directory under $TMPDIR, removed with everything in it by test_dir_remove. */
char *test_dir_make(void);
void test_dir_remove(char *dir);

/* The seed of this run: PAYLEDGER_SEED, or a fresh one; printed once. */
uint64_t test_seed(void);
/* xorshift64*, for tests only. */
uint64_t test_random(uint64_t *state);

#endif
