/*
 * payledger-micro: see usage. One line for each stage, nanoseconds of processor time (and of time
 * that passed) per payment; the least of the rounds, since everything else on the machine can only
 * add to it.
 */
#include "bench/micro/micro.h"

#include "base/check.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static const char usage[] =
    "usage: payledger-micro [options]\n"
    "  --accounts N   10000 and 1000000 where left out\n"
    "  --per-entry N  payments of a request and log entry; 1 and 1000 where left out\n"
    "  --ids KIND     v7 or random; both where left out\n"
    "  --payments N   per round, default 200000\n"
    "  --rounds N     default 3; the least of them is printed\n"
    "  --grow         instead of the stages: one ledger as it grows to --payments\n"
    "  --per-commit N with --grow: payments of a commit; where left out commits come by the "
    "clock,\n"
    "                 as in a node, and their number depends on what else the machine does\n"
    "  --dir PATH     where ledgers are made and removed again, default .\n"
    "  --seed N       of the payments, default 1\n"
    "  --json         one JSON object a line\n";

struct arguments {
    struct micro_options options; /* 0: all of them */
    bool all_ids;
    bool grow;
    bool json;
};

static uint64_t number_of(const char *text, uint64_t value_max)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > value_max) {
        (void)fprintf(stderr, "payledger-micro: not a number in its bounds: %s\n%s", text, usage);
        exit(2);
    }
    return value;
}

static enum micro_ids ids_of(const char *text)
{
    if (strcmp(text, "v7") != 0 && strcmp(text, "random") != 0) {
        (void)fprintf(stderr, "payledger-micro: --ids is v7 or random\n%s", usage);
        exit(2);
    }
    return strcmp(text, "v7") == 0 ? IDS_V7 : IDS_RANDOM;
}

static void arguments_read(int argc, char **argv, struct arguments *arguments)
{
    static const struct option long_options[] = {{"accounts", required_argument, NULL, 'a'},
                                                 {"per-entry", required_argument, NULL, 'e'},
                                                 {"ids", required_argument, NULL, 'i'},
                                                 {"payments", required_argument, NULL, 'p'},
                                                 {"rounds", required_argument, NULL, 'r'},
                                                 {"dir", required_argument, NULL, 'd'},
                                                 {"seed", required_argument, NULL, 's'},
                                                 {"grow", no_argument, NULL, 'g'},
                                                 {"json", no_argument, NULL, 'j'},
                                                 {"per-commit", required_argument, NULL, 'c'},
                                                 {NULL, 0, NULL, 0}};
    *arguments = (struct arguments){
        .all_ids = true, .options = {.dir = ".", .payments = 200000, .rounds = 3, .seed = 1}};
    struct micro_options *options = &arguments->options;
    for (int found = getopt_long(argc, argv, "", long_options, NULL); found != -1;
         found = getopt_long(argc, argv, "", long_options, NULL)) {
        switch (found) {
        case 'a':
            options->accounts = number_of(optarg, 100000000);
            break;
        case 'e':
            options->per_entry = (uint32_t)number_of(optarg, BATCH_ITEMS_MAX);
            break;
        case 'i':
            options->ids = ids_of(optarg);
            arguments->all_ids = false;
            break;
        case 'p':
            options->payments = number_of(optarg, 1000000000);
            break;
        case 'r':
            options->rounds = (uint32_t)number_of(optarg, 1000);
            break;
        case 'c':
            options->per_commit = number_of(optarg, 1000000000);
            break;
        case 'd':
            options->dir = optarg;
            break;
        case 's':
            options->seed = number_of(optarg, UINT32_MAX);
            break;
        case 'g':
            arguments->grow = true;
            break;
        case 'j':
            arguments->json = true;
            break;
        default:
            (void)fprintf(stderr, "%s", usage);
            exit(2);
        }
    }
    if (options->accounts == 1 || options->payments == 0 || options->rounds == 0 || optind < argc) {
        (void)fprintf(stderr, "%s", usage);
        exit(2);
    }
}

/* The first "model name" of /proc/cpuinfo. */
static void cpu_model(char *model, size_t size)
{
    (void)snprintf(model, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) {
        return;
    }
    char line[256];
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            (void)snprintf(model, size, "%.*s", (int)strcspn(colon + 1, "\n") - 1, colon + 2);
            break;
        }
    }
    (void)fclose(file);
}

static void print_machine(const struct arguments *arguments)
{
    char model[256];
    cpu_model(model, sizeof(model));
    struct utsname name;
    if (uname(&name) != 0) {
        (void)snprintf(name.release, sizeof(name.release), "unknown");
    }
    const struct micro_options *options = &arguments->options;
    printf(arguments->json
               ? "{\"cpu\":\"%s\",\"kernel\":\"%s\",\"compiler\":\"%s\",\"payments\":%" PRIu64
                 ",\"rounds\":%u}\n"
               : "# %s, Linux %s, compiler %s, %" PRIu64 " payments a round, the least of %u\n",
           model, name.release, __VERSION__, options->payments, options->rounds);
}

static void print_stages(const struct micro_options *options, const struct stages *stages,
                         bool json)
{
    const char *ids = options->ids == IDS_V7 ? "v7" : "random";
    printf(json ? "{\"accounts\":%" PRIu64 ",\"ids\":\"%s\",\"per_entry\":%u,"
                  "\"entry_bytes\":%" PRIu64 ",\"file_bytes\":%" PRIu64
                : "\n%" PRIu64 " accounts, %s ids, %u per entry: %" PRIu64 " bytes of log, %" PRIu64
                  " of LMDB per payment\n",
           options->accounts, ids, options->per_entry, stages->entry_bytes / stages->payments,
           stages->file_bytes / stages->payments);
    for (int i = 0; i < STAGE_COUNT; i++) {
        const struct spent *spent = &stages->spent[i];
        printf(json ? ",\"%s\":{\"cpu_ns\":%" PRIu64 ",\"wall_ns\":%" PRIu64 "}"
                    : "  %-9s %6" PRIu64 " ns %8" PRIu64 " ns passed\n",
               stage_name((enum stage)i), spent->cpu_ns / stages->payments,
               spent->wall_ns / stages->payments);
    }
    printf(json ? "}\n" : "");
    (void)fflush(stdout);
}

static void run_stages(const struct micro_options *options, bool json)
{
    static struct world world;
    world_open(&world, options, true);
    struct stages least = {0};
    for (uint32_t round = 0; round < options->rounds; round++) {
        struct stages stages = {0};
        stages_run(&world, &stages);
        for (int i = 0; i < STAGE_COUNT && round > 0; i++) {
            if (least.spent[i].cpu_ns < stages.spent[i].cpu_ns) {
                stages.spent[i] = least.spent[i];
            }
        }
        least = stages;
    }
    world_close(&world);
    print_stages(options, &least, json);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    arguments_read(argc, argv, &arguments);
    print_machine(&arguments);
    static const uint64_t accounts[] = {10000, 1000000};
    static const uint32_t per_entry[] = {1, 1000};
    for (size_t a = 0; a < ARRAY_COUNT(accounts); a++) {
        for (size_t e = 0; e < ARRAY_COUNT(per_entry); e++) {
            for (int ids = IDS_V7; ids <= IDS_RANDOM; ids++) {
                struct micro_options options = arguments.options;
                const bool again = (options.accounts != 0 && a > 0) ||
                                   (options.per_entry != 0 && e > 0) ||
                                   (!arguments.all_ids && ids > 0);
                options.accounts = options.accounts != 0 ? options.accounts : accounts[a];
                options.per_entry = options.per_entry != 0 ? options.per_entry : per_entry[e];
                options.ids = arguments.all_ids ? (enum micro_ids)ids : options.ids;
                if (again) {
                    continue;
                }
                if (arguments.grow) {
                    growth_run(&options, arguments.json, stdout);
                } else {
                    run_stages(&options, arguments.json);
                }
            }
        }
    }
    return 0;
}
