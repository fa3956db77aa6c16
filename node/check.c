#include "node/check.h"

#include "ledger/scrub.h"
#include "node/datadir.h"
#include "node/fault.h"

#include <stdio.h>

static enum exit_status failed(enum status status, const char *path, const char *what, char *error,
                               size_t error_size)
{
    (void)snprintf(error, error_size, "%s: %s", path, what);
    return status == STATUS_CORRUPT || status == STATUS_FOREIGN ? EXIT_DATA : EXIT_DISK;
}

static enum exit_status ledger_check(const struct config *config, const char *path,
                                     struct position *position, char *error, size_t error_size)
{
    static struct metrics metrics;
    const struct ledger_options options = {
        .path = path, .map_bytes = config->map_bytes, .metrics = &metrics, .read_only = true};
    char what[512];
    struct ledger *ledger = NULL;
    enum status status = ledger_open(&ledger, &options, what, sizeof(what));
    if (status != STATUS_OK) {
        (void)snprintf(error, error_size, "%s", what);
        return status == STATUS_CORRUPT || status == STATUS_FOREIGN ? EXIT_DATA : EXIT_DISK;
    }
    enum exit_status result = EXIT_DONE;
    status = scrub_all(ledger, position);
    if (status == STATUS_CORRUPT) {
        result = failed(status, path, ledger_damage(ledger), error, error_size);
    } else if (status != STATUS_OK) {
        result = failed(status, path, status_text(status), error, error_size);
    }
    ledger_close(ledger);
    return result;
}

enum exit_status check_run(const struct config *config, struct position *position, char *error,
                           size_t error_size)
{
    struct datadir *dir = NULL;
    const enum status status = datadir_open(&dir, config, error, error_size);
    if (status != STATUS_OK) {
        return status == STATUS_IO ? EXIT_DISK : EXIT_DATA;
    }
    fault_watch();
    fault_suspect(true);
    const enum exit_status result =
        ledger_check(config, datadir_ledger_path(dir), position, error, error_size);
    fault_suspect(false);
    datadir_close(dir);
    return result;
}
