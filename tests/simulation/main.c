/*
 * payledger-sim: the whole cluster in one process, on virtual time, from one seed.
 *
 * Each seed runs in a child, so that a crash of the product is a failure of that seed and nothing
 * of a run is left for the next one.
 */
#include "tests/simulation/run.h"

#include "base/check.h"
#include "base/log.h"
#include "tests/simulation/scenarios.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROOT_BYTES = 64, EXIT_FAILED = 1, MAPPED_BYTES = 256 * 1024 };

struct options {
    uint64_t seed;
    uint64_t seeds;
    bool shrink;
    bool stop; /* at the first failure */
    struct run_options run;
};

/* SIGINT or SIGTERM came: the seed that runs is ended, and its files are removed. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_all(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What waitpid says, or -1 where the child could not be made. */
static int wait_for(pid_t child)
{
    int status = 0;
    while (child > 0) {
        if (waitpid(child, &status, 0) == child) {
            return status;
        }
        if (errno != EINTR) {
            break;
        }
        (void)kill(child, SIGKILL);
    }
    return -1;
}

/* True where the seed held. Without `loud` nothing is printed. */
static bool run_child(const struct run_options *run, bool loud)
{
    char root[ROOT_BYTES] = "/dev/shm/payledger-sim.XXXXXX";
    if (mkdtemp(root) == NULL) {
        (void)fprintf(stderr, "payledger-sim: %s: %s\n", root, strerror(errno));
        exit(EXIT_USAGE);
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGINT, SIG_DFL);
        (void)signal(SIGTERM, SIG_DFL);
        if (!loud && (freopen("/dev/null", "w", stdout) == NULL ||
                      freopen("/dev/null", "w", stderr) == NULL)) {
            _exit(EXIT_FAILED);
        }
        run_seed(run, root);
        (void)fflush(NULL);
        _exit(0);
    }
    int status = wait_for(child);
    remove_all(root);
    if (interrupted != 0) {
        exit(128 + interrupted);
    }
    if (status != -1 && WIFSIGNALED(status) && loud) {
        (void)printf("FAILED seed %llu: the product ended with signal %d\n",
                     (unsigned long long)run->seed, WTERMSIG(status));
    }
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void print_command(const struct run_options *run)
{
    (void)printf("repeat with: payledger-sim --seed %llu", (unsigned long long)run->seed);
    if (run->nodes != 0) {
        (void)printf(" --nodes %u", run->nodes);
    }
    if (run->steps != 0) {
        (void)printf(" --steps %llu", (unsigned long long)run->steps);
    }
    if (run->scenario != NULL) {
        (void)printf(" --scenario %s", run->scenario);
    }
    if (run->without != NULL) {
        (void)printf(" --without %s", run->without);
    }
    (void)printf(" --trace\n");
}

/* Leaves out faults, many at a time and then fewer, while the seed still fails. */
static void shrink(const struct run_options *failing)
{
    static char without[RUN_FAULTS_MAX + 1];
    memset(without, '+', RUN_FAULTS_MAX);
    struct run_options run = *failing;
    run.without = without;
    run.trace = false;
    for (uint32_t size = RUN_FAULTS_MAX / 2; size > 0; size /= 2) {
        for (uint32_t from = 0; from < RUN_FAULTS_MAX; from += size) {
            char kept[RUN_FAULTS_MAX];
            memcpy(kept, without, RUN_FAULTS_MAX);
            memset(without + from, '-', size);
            if (memcmp(kept, without, RUN_FAULTS_MAX) != 0 && run_child(&run, false)) {
                memcpy(without, kept, RUN_FAULTS_MAX);
            }
        }
    }
    /* The last character stands for all places behind it. */
    uint32_t last = RUN_FAULTS_MAX - 1;
    while (last > 0 && without[last - 1] == without[RUN_FAULTS_MAX - 1]) {
        last--;
    }
    without[last + 1] = '\0';
    run.explain = true;
    (void)printf("smallest set of faults found:\n");
    (void)fflush(stdout);
    (void)run_child(&run, true);
    print_command(&run);
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_all(const struct options *options)
{
    struct run_options run = options->run;
    uint64_t failed = 0;
    uint64_t done = 0;
    double begun = seconds_now();
    for (uint64_t i = 0; i < options->seeds; i++) {
        run.seed = options->seed + i;
        done++;
        if (run_child(&run, true)) {
            continue;
        }
        failed++;
        if (options->shrink) {
            shrink(&run);
        } else {
            print_command(&run);
        }
        if (options->stop) {
            break;
        }
    }
    double seconds = seconds_now() - begun;
    (void)printf("simulation: %llu passed, %llu failed, %.1f s, %.1f seeds/s\n",
                 (unsigned long long)(done - failed), (unsigned long long)failed, seconds,
                 (double)done / seconds);
    return failed == 0 ? 0 : EXIT_FAILED;
}

static const char *const HELP =
    "usage: payledger-sim [OPTION]...\n"
    "The whole cluster in one process, on virtual time: everything follows from the seed.\n"
    "\n"
    "  --seed N         the seed (1)\n"
    "  --seeds COUNT    this seed and those after it (1)\n"
    "  --nodes 3|5      else the seed chooses\n"
    "  --steps N        no more faults after so many steps\n"
    "  --scenario NAME  a fixed story: figure8, old-leader-tail, gone-and-fetching\n"
    "  --trace          each event\n"
    "  --quiet          no line for seeds that hold\n"
    "  --stop           ends at the first failure\n"
    "  --shrink         of a seed that fails: leaves out faults while it still does, and explains\n"
    "                   the rest\n"
    "  --without MASK   leaves out faults, as --shrink prints it: - without, + with\n"
    "\n"
    "exit status: 0 all seeds held, 1 a seed failed, 64 usage\n";

static void usage(const char *what, const char *why)
{
    (void)fprintf(stderr, "payledger-sim: %s: %s; see --help\n", what, why);
    exit(EXIT_USAGE);
}

static uint64_t number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-') {
        usage(text, "must be a whole number");
    }
    return number;
}

static void parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},     {"seeds", required_argument, NULL, 'c'},
        {"nodes", required_argument, NULL, 'n'},    {"steps", required_argument, NULL, 'x'},
        {"trace", no_argument, NULL, 't'},          {"shrink", no_argument, NULL, 'k'},
        {"scenario", required_argument, NULL, 'o'}, {"without", required_argument, NULL, 'w'},
        {"quiet", no_argument, NULL, 'q'},          {"stop", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 's':
            options->seed = number_of(optarg);
            break;
        case 'c':
            options->seeds = number_of(optarg);
            break;
        case 'n':
            options->run.nodes = (uint32_t)number_of(optarg);
            break;
        case 'x':
            options->run.steps = number_of(optarg);
            break;
        case 't':
            options->run.trace = true;
            break;
        case 'k':
            options->shrink = true;
            break;
        case 'o':
            options->run.scenario = optarg;
            break;
        case 'w':
            options->run.without = optarg;
            break;
        case 'q':
            options->run.quiet = true;
            break;
        case 'f':
            options->stop = true;
            break;
        case 'h':
            (void)printf("%s", HELP);
            exit(0);
        default:
            (void)fprintf(stderr, "see payledger-sim --help\n"); /* getopt has said what is wrong */
            exit(EXIT_USAGE);
        }
    }
    if (optind != argc) {
        usage(argv[optind], "there is no such argument");
    }
}

static void check(const struct options *options)
{
    const uint32_t nodes = options->run.nodes;
    const char *scenario = options->run.scenario;
    if (options->seeds == 0) {
        usage("--seeds", "must be at least 1");
    }
    if (nodes != 0 && nodes != 3 && nodes != 5) {
        usage("--nodes", "must be 3 or 5");
    }
    if (scenario != NULL && scenario_nodes(scenario) == 0) {
        usage(scenario, "there is no such scenario");
    }
    if (scenario != NULL && nodes != 0 && nodes < scenario_nodes(scenario)) {
        usage(scenario, "needs more nodes");
    }
}

/*
 * Large tables (LMDB's list of dirty pages has 2 MiB) are mapped each time, which glibc would leave
 * off once one was freed: pages that nobody touches cost nothing. 5 ms of a seed.
 */
static void prepare(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES); /* a sanitizer's allocator has no such thing */
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1, .seeds = 1};
    parse(argc, argv, &options);
    check(&options);
    prepare();
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    return run_all(&options);
}
