#include "client/args.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static __attribute__((format(printf, 2, 3))) enum status fail(char error[ARGS_ERROR_BYTES],
                                                              const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error, ARGS_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return STATUS_INVALID;
}

/* The option that an argument names, up to its '='. */
static const struct option *option_find(const char *argument, const struct option *const *tables,
                                        uint32_t tables_count)
{
    size_t size = strcspn(argument, "=");
    for (uint32_t t = 0; t < tables_count; t++) {
        for (const struct option *option = tables[t]; option->name != NULL; option++) {
            if (strlen(option->name) == size && memcmp(option->name, argument, size) == 0) {
                return option;
            }
        }
    }
    return NULL;
}

/* Takes one option at argv[*at], and its value where that is the next argument. */
static enum status args_take_option(struct args *args, int count, char *const *argv, int *at,
                                    const struct option *option, char error[ARGS_ERROR_BYTES])
{
    const char *equals = strchr(argv[*at], '=');
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (option->value == NULL && value != NULL) {
        return fail(error, "%s takes no value", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (*at + 1 >= count) {
            return fail(error, "%s needs a value: %s", option->name, option->value);
        }
        *at += 1;
        value = argv[*at];
    }
    if (!option->repeatable && args_has(args, option->name)) {
        return fail(error, "%s is given twice", option->name);
    }
    if (args->options_count == CLIENT_OPTIONS_MAX) {
        return fail(error, "%s: more than %d options", option->name, CLIENT_OPTIONS_MAX);
    }
    args->options[args->options_count] = (struct args_option){option, value};
    args->options_count += 1;
    return STATUS_OK;
}

enum status args_parse(struct args *args, int count, char *const *argv,
                       const struct option *const *tables, uint32_t tables_count,
                       char error[ARGS_ERROR_BYTES])
{
    assert(count >= 0);
    assert(tables_count > 0);
    *args = (struct args){.words_count = 0};
    bool words_only = false;
    for (int i = 0; i < count; i++) {
        const char *argument = argv[i];
        if (!words_only && strcmp(argument, "--") == 0) {
            words_only = true;
            continue;
        }
        /* A lone "-" and negative numbers are words. */
        if (words_only || strncmp(argument, "--", 2) != 0) {
            if (args->words_count == CLIENT_WORDS_MAX) {
                return fail(error, "too many arguments at '%.80s'", argument);
            }
            args->words[args->words_count] = argument;
            args->words_count += 1;
            continue;
        }
        const struct option *option = option_find(argument, tables, tables_count);
        if (option == NULL) {
            return fail(error, "there is no option '%.80s' here", argument);
        }
        enum status status = args_take_option(args, count, argv, &i, option, error);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

const char *args_value(const struct args *args, const char *name, uint32_t n)
{
    for (uint32_t i = 0; i < args->options_count; i++) {
        if (strcmp(args->options[i].option->name, name) == 0) {
            if (n == 0) {
                return args->options[i].value;
            }
            n -= 1;
        }
    }
    return NULL;
}

bool args_has(const struct args *args, const char *name)
{
    for (uint32_t i = 0; i < args->options_count; i++) {
        if (strcmp(args->options[i].option->name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool number_parse(const char *text, uint64_t max, uint64_t *value)
{
    assert(text != NULL);
    size_t size = strlen(text);
    if (size == 0 || size > 19 || (size > 1 && text[0] == '0')) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (number > max) {
        return false;
    }
    *value = number;
    return true;
}

enum status args_number(const struct args *args, const char *name, uint64_t fallback, uint64_t min,
                        uint64_t max, uint64_t *value, char error[ARGS_ERROR_BYTES])
{
    assert(min <= max);
    const char *text = args_value(args, name, 0);
    if (text == NULL) {
        *value = fallback;
        return STATUS_OK;
    }
    uint64_t number = 0;
    if (!number_parse(text, max, &number) || number < min) {
        return fail(error, "%s %.40s: must be a whole number from %llu to %llu", name, text,
                    (unsigned long long)min, (unsigned long long)max);
    }
    *value = number;
    return STATUS_OK;
}
