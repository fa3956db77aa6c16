#include "client/verbs.h"

#include "base/check.h"

#include <string.h>

static const struct option common_options[] = {
    {"--node", "HOST:PORT", true,
     "a node to ask, may be repeated; else PAYLEDGER_NODES, else 127.0.0.1:2346, 2347 and 2348"},
    {"--tls", NULL, false, "speak TLS; needs --ca"},
    {"--ca", "FILE", false, "speak TLS and verify the nodes by this certificate"},
    {"--json", NULL, false, "print the result as JSON"},
    {"--timeout", "MS", false, "how long a request is tried (15000), 3000 while nobody listens"},
    OPTIONS_END};

static const struct option no_options[] = {OPTIONS_END};
static const struct option read_options[] = {CONSOLE_READ_OPTIONS, OPTIONS_END};

static const struct option pki_options[] = {
    {"--dir", "DIR", false, "where the files go; made where it is missing"},
    {"--nodes", "N", false, "certificates for nodes 1 to N"},
    {"--host", "ID=NAME", true, "a further name or IP address of a node"},
    OPTIONS_END};

static const struct option open_options[] = {
    {"--normal", "credit|debit", false, "the side on which it grows (credit)"},
    {"--overdraft", "AMOUNT", false, "how far below zero it may go: 100.00, or unlimited (0)"},
    OPTIONS_END};

static const struct option list_options[] = {
    {"--limit", "N", false, "at most so many rows"}, CONSOLE_READ_OPTIONS, OPTIONS_END};

static const struct option pay_options[] = {
    {"--id", "UUID", false, "the payment's id; a fresh one where it is missing"},
    {"--reference", "TEXT", false, "a text of your own, unique in the cluster"},
    {"--metadata", "JSON", false, "an object that is kept as it is"},
    {"--valid-until", "TIME", false, "RFC 3339 in UTC: refused when executed later"},
    OPTIONS_END};

static const struct option batch_options[] = {
    {"--atomic", NULL, false, "all of them or none, in one request"},
    {"--name", "NAME", false, "derive missing ids from NAME, the line's number and its text"},
    {"--chunk", "N", false, "payments of one request (1000)"},
    OPTIONS_END};

static const struct option bench_options[] = {
    {"--rate", "N", false, "open loop: so many payments and reads a second, come what may"},
    {"--arrivals", "poisson|uniform", false, "open loop: gaps between requests (poisson)"},
    {"--backlog", "N", false, "open loop: requests that wait; more are not sent (65536)"},
    {"--connections", "N", false, "over all targets in turn (8)"},
    {"--in-flight", "N", false, "requests of one connection without an answer (16)"},
    {"--payments", "N", false, "payments of one request (1)"},
    {"--accounts", "N", false, "accounts that pay each other (1000)"},
    {"--distribution", "uniform|zipf|hot", false, "which accounts pay (uniform)"},
    {"--exponent", "X", false, "of zipf (0.99)"},
    {"--mix", "P:R", false, "requests that pay and that read (1:0)"},
    {"--reads", "account|payment", false, "what is read (account)"},
    {"--stale", NULL, false, "read from each node's state at once"},
    {"--ids", "v7|random", false, "ids of payments: UUIDv7 or v4 (v7)"},
    {"--to", "TARGET", false, "all, leader, followers or one HOST:PORT of the nodes (all)"},
    {"--threads", "N", false, "of the generator (1)"},
    {"--warmup", "S", false, "seconds before the measured time (0)"},
    {"--seconds", "S", false, "measured time (10)"},
    {"--seed", "N", false, "of accounts, order and arrivals; ids are fresh each time"},
    {"--retry", "on|off", false, "send again what is refused for now (on; open loop: off)"},
    {"--verify", "N|all|none", false, "acknowledged ids that are asked for (200000)"},
    {"--series", "FILE", false, "a JSON object for each second"},
    {"--flush-dir", "DIR", false, "measure flushes of this disk before"},
    {"--progress", "on|off", false, "a live line on stderr (on where it is a terminal)"},
    OPTIONS_END};

static const struct verb verbs[] = {
    {"pki init", "--dir DIR --nodes N [--host ID=NAME]...",
     "make a CA and a certificate for each node", "", pki_options, 0, 0, pki_init_run},
    {"currency create", "CODE SCALE", "create a currency, as: EUR 2", "", no_options, 2, 2,
     currency_create_run},
    {"currency list", "", "all currencies", "", read_options, 0, 0, currency_list_run},
    {"account open", "ID CURRENCY [--normal SIDE] [--overdraft AMOUNT]", "open an account", "",
     open_options, 2, 2, account_open_run},
    {"account get", "ID", "an account and its balances", "", read_options, 1, 1, account_get_run},
    {"account list", "[--limit N]", "accounts in order of opening", "", list_options, 0, 0,
     account_list_run},
    {"pay", "FROM TO \"AMOUNT CURRENCY\"", "pay, as: alice shop \"19.99 EUR\"",
     "The id is printed before the payment is sent: with --id the same payment can be sent again,\n"
     "and is executed once.\n",
     pay_options, 3, 4, pay_run},
    {"batch", "FILE", "send the payments of a file",
     "FILE holds JSON objects, one a line, as params of payment.create (amounts are strings of\n"
     "minor units); or CSV with a head: debit,credit,amount,currency and, where wanted,\n"
     "id,reference,valid_until (amounts as 19.99). Every payment needs an id, or the batch a\n"
     "--name. Sent again, the same ids are executed once: a broken run is simply repeated.\n",
     batch_options, 1, 1, batch_run},
    {"history", "ACCOUNT [--limit N]", "an account's entries, newest first", "", list_options, 1, 1,
     history_run},
    {"totals", "", "sums of all accounts, by currency", "", read_options, 0, 0, totals_run},
    {"status", "", "the cluster as a node sees it",
     "What a node knows of the others is some 100 ms old. Nodes with the same seq must have the\n"
     "same digest.\n",
     no_options, 0, 0, status_run},
    {"call", "METHOD [JSON]", "any method with its params",
     "For example: payledger call payment.get '{\"id\":\"0198d2c4-a0f0-7c3e-9b1f-5a1122334455\"}'\n"
     "docs/protocol.md has all methods; rpc.discover lists them.\n",
     no_options, 1, 2, call_run},
    {"bench", "[--connections N] [--seconds N] ...", "measure rate and latency",
     "Opens accounts of a currency of its own (BENCH), pays between them at random, and then "
     "checks\n"
     "that the totals balance, that what moved is what was acknowledged, and that the "
     "acknowledged\n"
     "ids are there. Closed loop: a request goes out when an answer comes in; with --rate open "
     "loop:\n"
     "requests have a time each, and latencies run from it. docs/performance.md has the fields of\n"
     "--json. Nobody else may use the currency BENCH meanwhile. Exit status: 0 measured and "
     "right,\n"
     "1 A CHECK FAILED (or the accounts were refused), 3 the checks could not be completed,\n"
     "4 nothing was answered.\n",
     bench_options, 0, 0, bench_run},
};

const struct verb *verb_table(uint32_t *count)
{
    *count = ARRAY_COUNT(verbs);
    return verbs;
}

const struct option *verb_options(void)
{
    return common_options;
}

/* Does "account open" stand at the front of the words? */
static bool verb_matches(const struct verb *verb, char *const *words, int count, int *used)
{
    const char *space = strchr(verb->name, ' ');
    if (space == NULL) {
        *used = 1;
        return count >= 1 && strcmp(words[0], verb->name) == 0;
    }
    size_t size = (size_t)(space - verb->name);
    *used = 2;
    return count >= 2 && strlen(words[0]) == size && memcmp(words[0], verb->name, size) == 0 &&
           strcmp(words[1], space + 1) == 0;
}

const struct verb *verb_find(char *const *words, int count, int *used)
{
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        if (verb_matches(&verbs[i], words, count, used)) {
            return &verbs[i];
        }
    }
    return NULL;
}

static void options_print(FILE *out, const char *head, const struct option *options)
{
    if (options->name == NULL) {
        return;
    }
    (void)fprintf(out, "%s\n", head);
    for (const struct option *option = options; option->name != NULL; option++) {
        int used = fprintf(out, "  %s%s%s", option->name, option->value != NULL ? " " : "",
                           option->value != NULL ? option->value : "");
        (void)fprintf(out, "%*s  %s\n", used < 26 ? 26 - used : 0, "", option->help);
    }
}

static void overview_print(FILE *out)
{
    (void)fprintf(out, "payledger: command line of a replicated payment ledger\n"
                       "usage: payledger COMMAND [ARGUMENT]... [OPTION]...\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        (void)fprintf(out, "  payledger %-16s %s\n", verbs[i].name, verbs[i].summary);
    }
    (void)fprintf(out, "  payledger %-16s %s\n\n", "help [COMMAND]", "this, or a command's help");
    options_print(out, "options of every command:", common_options);
    (void)fprintf(out,
                  "\nexit status: 0 done, 1 refused, 2 usage, 4 unreachable: not executed,\n"
                  "             3 unknown: send it again with the same id to learn the outcome\n");
}

bool verb_help(FILE *out, const char *topic)
{
    if (topic == NULL) {
        overview_print(out);
        return true;
    }
    const size_t size = strlen(topic);
    bool found = false;
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        const struct verb *verb = &verbs[i];
        bool meant = strncmp(verb->name, topic, size) == 0 &&
                     (verb->name[size] == '\0' || verb->name[size] == ' ');
        if (!meant) {
            continue;
        }
        (void)fprintf(out, "%spayledger %s%s%s\n  %s\n", found ? "\n" : "", verb->name,
                      verb->words[0] != '\0' ? " " : "", verb->words, verb->summary);
        (void)fputs(verb->details, out);
        options_print(out, "options:", verb->options);
        found = true;
    }
    if (found) {
        (void)fputc('\n', out);
        options_print(out, "options of every command:", common_options);
    }
    return found;
}
