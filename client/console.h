/*
 * What every command needs: its arguments, the cluster, and one way to say how it ended.
 */
#ifndef CLIENT_CONSOLE_H
#define CLIENT_CONSOLE_H

#include "client/args.h"
#include "client/call.h"

#include <stdio.h>

/* Exit statuses of payledger. */
enum client_exit {
    CLIENT_DONE = 0,
    CLIENT_REFUSED = 1,
    CLIENT_USAGE = 2,
    CLIENT_UNKNOWN = 3,
    CLIENT_UNREACHABLE = 4
};

struct console;

/* One command: a row of the table in verbs.c. */
struct verb {
    const char *name;  /* "account open" */
    const char *words; /* "ID CURRENCY" */
    const char *summary;
    const char *details; /* further lines of its help; "" for none */
    const struct option *options;
    uint32_t words_min, words_max;
    enum client_exit (*run)(struct console *console);
};

/* A currency as far as amounts need it. */
struct currency_scale {
    char code[CURRENCY_CODE_BYTES_MAX + 1];
    uint8_t scale;
};

struct console {
    const struct verb *verb;
    struct args args;
    struct client_options options;
    bool json;
    FILE *out;
    FILE *errors;
    struct caller *caller;    /* opened with the first call */
    struct buffer params;     /* for the command's use */
    struct buffer currencies; /* struct currency_scale, fetched once */
    bool currencies_known;
};

/* Takes the common options from the arguments and the environment. Prints what is wrong. */
enum client_exit console_open(struct console *console, const struct verb *verb);
void console_close(struct console *console);

/* Says what is wrong with the arguments: CLIENT_USAGE. */
enum client_exit console_usage(struct console *console, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says what failed on this machine (a file, memory): CLIENT_USAGE as well. */
enum client_exit console_fail(struct console *console, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The cluster, connected when first used; NULL after a message where its options are wrong. */
struct caller *console_caller(struct console *console);

/*
 * Calls with console->params. CLIENT_DONE: reply->result is there. Else the end has been printed.
 */
enum client_exit console_call(struct console *console, const char *method, struct reply *reply);

/* Prints how a call ended that was not done; returns the exit status. */
enum client_exit console_end(struct console *console, enum call_end end, const struct reply *reply);

enum { REFUSAL_TEXT_BYTES = 512 };

/*
 * A refusal for people: the node's message, amounts in the currency's scale where it is known.
 * data: error.data, or NULL.
 */
void console_refusal(const struct console *console, struct text message, const struct value *data,
                     char text[REFUSAL_TEXT_BYTES]);

/* With --json: prints the result as it came, and true. */
bool console_json(struct console *console, const struct reply *reply);

/* The scale of a currency, asked for once. Prints what is wrong. */
enum client_exit console_scale(struct console *console, struct text code, uint8_t *scale);

/* Appends "min_seq" and "stale" from the options; the verb lists CONSOLE_READ_OPTIONS. */
enum client_exit console_read_mode(struct console *console, struct json_writer *writer);

#define CONSOLE_READ_OPTIONS                                                                       \
    {"--stale", NULL, false, "answer from this node's state at once"},                             \
    {                                                                                              \
        "--min-seq", "SEQ", false, "answer from a state that includes this seq"                    \
    }

/* Small helpers over values; all accept NULL. */
const struct value *member(const struct value *object, const char *name);
struct text member_text(const struct value *object, const char *name);
int64_t member_integer(const struct value *object, const char *name);
bool member_boolean(const struct value *object, const char *name);
/* A string of minor units as "800.01"; "" where it is absent or null. */
const char *member_amount(const struct value *object, const char *name, uint8_t scale, char *text);

#endif
