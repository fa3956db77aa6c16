/*
 * The words and options of a command line, split by a table of what is allowed.
 */
#ifndef CLIENT_ARGS_H
#define CLIENT_ARGS_H

#include "base/limits.h"
#include "base/status.h"

#include <stddef.h>

struct option {
    const char *name;  /* "--node" */
    const char *value; /* what its value is called in help; NULL: it takes none */
    bool repeatable;
    const char *help;
};

/* A table of options ends with a row whose name is NULL. */
#define OPTIONS_END                                                                                \
    {                                                                                              \
        NULL, NULL, false, NULL                                                                    \
    }

struct args_option {
    const struct option *option;
    const char *value; /* NULL where it takes none */
};

/* Borrows from argv and from the tables. */
struct args {
    const char *words[CLIENT_WORDS_MAX];
    uint32_t words_count;
    struct args_option options[CLIENT_OPTIONS_MAX];
    uint32_t options_count;
};

enum { ARGS_ERROR_BYTES = 256 };

/*
 * Splits argv[0..count-1]. "--name value", "--name=value"; "--" ends the options. STATUS_INVALID:
 * `error` says which argument is wrong and why.
 */
enum status MUST_CHECK args_parse(struct args *args, int count, char *const *argv,
                                  const struct option *const *tables, uint32_t tables_count,
                                  char error[ARGS_ERROR_BYTES]);

bool args_has(const struct args *args, const char *name);
/* The value of the n-th use of an option; NULL where there are not so many. */
const char *args_value(const struct args *args, const char *name, uint32_t n);

/*
 * A whole number within bounds, or the fallback where the option is not given. STATUS_INVALID with
 * `error` for anything else.
 */
enum status MUST_CHECK args_number(const struct args *args, const char *name, uint64_t fallback,
                                   uint64_t min, uint64_t max, uint64_t *value,
                                   char error[ARGS_ERROR_BYTES]);

/* [0-9]+ without a leading zero, up to max. */
bool number_parse(const char *text, uint64_t max, uint64_t *value);

#endif
