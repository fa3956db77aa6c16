/*
 * payledgerd: one node of the cluster.
 */
#include "node/check.h"
#include "node/datadir.h"
#include "node/node.h"

#include <stdio.h>
#include <string.h>

static const char *const USAGE =
    "usage: payledgerd format --config FILE --node N   make an empty data directory\n"
    "       payledgerd start  --config FILE --node N   run the node\n"
    "       payledgerd check  --config FILE --node N   read a stopped node's whole ledger\n"
    "       payledgerd --version\n"
    "\n"
    "format never overwrites; start logs to standard error until SIGTERM; check changes nothing.\n"
    "\n"
    "exit status: 0 done, 64 usage, 65 foreign, empty or damaged data, 74 disk,\n"
    "             76 divergence, 78 configuration\n";

struct arguments {
    const char *verb;
    const char *config;
    uint32_t node;
};

static bool parse_node(const char *text, uint32_t *node)
{
    u128 value = 0;
    if (!u128_parse(text, strlen(text), &value) || value == 0 || value > NODE_ID_MAX) {
        return false;
    }
    *node = (uint32_t)value;
    return true;
}

static bool parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    if (argc < 2) {
        (void)fprintf(stderr, "payledgerd: a command is missing\n");
        return false;
    }
    arguments->verb = argv[1];
    if (strcmp(argv[1], "format") != 0 && strcmp(argv[1], "start") != 0 &&
        strcmp(argv[1], "check") != 0) {
        (void)fprintf(stderr, "payledgerd: no such command: %s\n", argv[1]);
        return false;
    }
    for (int i = 2; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool is_config = strcmp(argv[i], "--config") == 0;
        bool is_node = strcmp(argv[i], "--node") == 0;
        if (!is_config && !is_node) {
            (void)fprintf(stderr, "payledgerd: no such option: %s\n", argv[i]);
            return false;
        }
        if (value == NULL) {
            (void)fprintf(stderr, "payledgerd: %s needs a value\n", argv[i]);
            return false;
        }
        if (is_config) {
            arguments->config = value;
        } else if (!parse_node(value, &arguments->node)) {
            (void)fprintf(stderr, "payledgerd: --node: not a node id: %s\n", value);
            return false;
        }
    }
    if (arguments->config == NULL || arguments->node == 0) {
        (void)fprintf(stderr, "payledgerd: --config and --node are required\n");
        return false;
    }
    return true;
}

/* payledgerd help, or --help anywhere. */
static bool asks_for_help(int argc, char **argv)
{
    bool asks = argc == 2 && strcmp(argv[1], "help") == 0;
    for (int i = 1; i < argc; i++) {
        asks = asks || strcmp(argv[i], "--help") == 0;
    }
    return asks;
}

static enum exit_status format(const struct config *config)
{
    char error[DATADIR_ERROR_BYTES];
    enum status status = datadir_format(config, error, sizeof(error));
    if (status == STATUS_OK) {
        (void)printf("formatted %s for node %u of \"%s\"\n", config->data, config_self(config)->id,
                     config->cluster);
        return EXIT_DONE;
    }
    (void)fprintf(stderr, "payledgerd: %s\n", error);
    return status == STATUS_EXISTS ? EXIT_DATA : EXIT_DISK;
}

static enum exit_status check(const struct config *config)
{
    char text[DATADIR_ERROR_BYTES];
    struct position position;
    const enum exit_status status = check_run(config, &position, text, sizeof(text));
    if (status != EXIT_DONE) {
        (void)fprintf(stderr, "payledgerd: %s\n", text);
        return status;
    }
    (void)printf("%s is whole: seq %llu, raft index %llu, %llu accounts, %llu payments\n",
                 config->data, (unsigned long long)position.seq, (unsigned long long)position.index,
                 (unsigned long long)position.accounts_count,
                 (unsigned long long)position.payments_count);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("payledgerd " PAYLEDGER_VERSION "\n");
        return EXIT_DONE;
    }
    if (asks_for_help(argc, argv)) {
        (void)printf("%s", USAGE);
        return EXIT_DONE;
    }
    struct arguments arguments = {0};
    if (!parse_arguments(argc, argv, &arguments)) {
        (void)fprintf(stderr, "%s", USAGE);
        return EXIT_USAGE;
    }
    static struct config config;
    char error[CONFIG_ERROR_BYTES];
    if (config_load(&config, arguments.config, arguments.node, error, sizeof(error)) != STATUS_OK) {
        (void)fprintf(stderr, "payledgerd: %s\n", error);
        return EXIT_CONFIG;
    }
    log_set_level(config.log);
    if (strcmp(arguments.verb, "format") == 0) {
        return (int)format(&config);
    }
    if (strcmp(arguments.verb, "check") == 0) {
        return (int)check(&config);
    }
    return (int)node_run(&config, argv);
}
