/* payledger: finds the command, splits its arguments, runs it. */
#include "client/verbs.h"

#include "base/check.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* `payledger help`, `payledger help account open`, `payledger --help` */
static enum client_exit help(int count, char *const *words)
{
    char topic[128] = "";
    for (int i = 0; i < count; i++) {
        size_t used = strlen(topic);
        (void)snprintf(topic + used, sizeof(topic) - used, "%s%s", i > 0 ? " " : "", words[i]);
    }
    if (verb_help(stdout, count > 0 ? topic : NULL)) {
        return CLIENT_DONE;
    }
    (void)fprintf(stderr, "payledger help: there is no command '%s'\n", topic);
    return CLIENT_USAGE;
}

/* Common options may stand before the command: they are skipped to find it. */
static int command_begin(int argc, char *const *argv)
{
    int at = 1;
    while (at < argc && strncmp(argv[at], "--", 2) == 0 && argv[at][2] != '\0') {
        size_t size = strcspn(argv[at], "=");
        bool takes_next = false;
        for (const struct option *option = verb_options(); option->name != NULL; option++) {
            bool same = strlen(option->name) == size && memcmp(option->name, argv[at], size) == 0;
            takes_next = takes_next || (same && option->value != NULL && argv[at][size] != '=');
        }
        at += takes_next ? 2 : 1;
    }
    return at < argc ? at : argc;
}

/* Where "--help" or "-h" stands; argc where it does not. */
static int help_find(int argc, char *const *argv)
{
    int at = 1;
    while (at < argc && strcmp(argv[at], "--help") != 0 && strcmp(argv[at], "-h") != 0) {
        at = strcmp(argv[at], "--") == 0 ? argc : at + 1;
    }
    return at < argc ? at : argc;
}

/* `payledger account list | head`: who reads has what they want, which is no failure. */
static bool output_reader_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};
    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

static enum client_exit run(const struct verb *verb, int count, char *const *arguments)
{
    struct console console = {.out = stdout, .errors = stderr, .verb = verb};
    const struct option *const tables[] = {verb_options(), verb->options};
    char error[ARGS_ERROR_BYTES];
    if (args_parse(&console.args, count, arguments, tables, ARRAY_COUNT(tables), error) !=
        STATUS_OK) {
        return console_usage(&console, "%s", error);
    }
    if (console.args.words_count < verb->words_min) {
        return console_usage(&console, "an argument is missing");
    }
    if (console.args.words_count > verb->words_max) {
        return console_usage(&console, "there is no place for '%.80s'",
                             console.args.words[verb->words_max]);
    }
    enum client_exit end = console_open(&console, verb);
    if (end == CLIENT_DONE) {
        end = verb->run(&console);
    }
    console_close(&console);
    const bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (!written && end == CLIENT_DONE && !output_reader_gone()) {
        return console_fail(&console, "the output could not be written");
    }
    return end;
}

/* There are only options: what is wrong with them, else that a command is missing. */
static enum client_exit command_missing(int argc, char *const *argv)
{
    const struct option *const tables[] = {verb_options()};
    struct args args;
    char error[ARGS_ERROR_BYTES] = "a command is missing";
    enum status status = args_parse(&args, argc - 1, argv + 1, tables, ARRAY_COUNT(tables), error);
    (void)status; /* `error` says it either way */
    (void)fprintf(stderr, "payledger: %s; see payledger help\n", error);
    return CLIENT_USAGE;
}

int main(int argc, char **argv)
{
    /* A broken pipe or connection is seen where it is written to. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        (void)verb_help(stderr, NULL);
        return CLIENT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("payledger " PAYLEDGER_VERSION "\n");
        return CLIENT_DONE;
    }
    if (strcmp(argv[1], "help") == 0) {
        return (int)help(argc - 2, argv + 2);
    }
    const int begin = command_begin(argc, argv);
    int used = 0;
    const struct verb *verb = verb_find(argv + begin, argc - begin, &used);
    if (help_find(argc, argv) < argc) {
        bool words = begin < argc && argv[begin][0] != '-';
        char *topic[] = {words ? argv[begin] : NULL, words && used == 2 ? argv[begin + 1] : NULL};
        return (int)help(!words ? 0 : verb != NULL ? used : 1, topic);
    }
    if (begin == argc) {
        return (int)command_missing(argc, argv);
    }
    if (verb == NULL) {
        (void)fprintf(stderr, "payledger: there is no command '%s%s%s'; see payledger help\n",
                      argv[begin], begin + 1 < argc ? " " : "",
                      begin + 1 < argc ? argv[begin + 1] : "");
        return CLIENT_USAGE;
    }
    /* The options before the command join those behind it. */
    const int before = begin - 1;
    const int behind = argc - begin - used;
    memmove(argv + 1 + before, argv + begin + used, (size_t)behind * sizeof(*argv));
    return (int)run(verb, before + behind, argv + 1);
}
