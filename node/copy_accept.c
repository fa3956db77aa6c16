/*
 * After the last byte of a fetched copy: is it whole, and how it takes the ledger's place.
 */
#include "node/internal.h"

#include "base/log.h"
#include "ledger/scrub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const PART = "fetch";

enum { FILE_BYTES_MAX = PATH_BYTES_MAX + 32 };

bool copy_check(struct node *node, const char *dir, uint64_t wanted_index, uint64_t *index)
{
    char error[512];
    struct ledger *ledger = NULL;
    struct ledger_options options = {
        .path = dir, .map_bytes = node->config->map_bytes, .metrics = &node->metrics};
    if (ledger_open(&ledger, &options, error, sizeof(error)) != STATUS_OK) {
        log_warn(PART, "%s", error);
        return false;
    }
    struct position position;
    const enum status status = scrub_all(ledger, &position);
    if (status != STATUS_OK) {
        log_warn(PART, "the copy is not whole: %s: %s", status_text(status), ledger_damage(ledger));
    } else if (position.index < wanted_index) {
        log_warn(PART, "the copy is not recent enough");
    }
    ledger_close(ledger);
    if (status != STATUS_OK || position.index < wanted_index) {
        return false;
    }
    log_info(PART, "the copy is sound: seq=%llu raft index=%llu", (unsigned long long)position.seq,
             (unsigned long long)position.index);
    *index = position.index;
    return true;
}

static void sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        fail_stop(EXIT_DISK, PART, "%s: %s", path, strerror(errno));
    }
    (void)close(fd);
}

static void remove_file(const char *dir, const char *name)
{
    char path[FILE_BYTES_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)unlink(path);
}

static void remove_ledger(const char *dir)
{
    remove_file(dir, "data.mdb");
    remove_file(dir, "lock.mdb");
    (void)rmdir(dir);
}

void copy_left_remove(struct node *node)
{
    char dir[PATH_BYTES_MAX + 16];
    (void)snprintf(dir, sizeof(dir), "%s/" COPY_DIR, datadir_path(node->dir));
    remove_ledger(dir);
}

void copy_exchange(struct node *node, const char *dir, uint64_t index)
{
    remove_file(dir, "lock.mdb");
    sync_dir(dir);
    if (datadir_copy_index_write(node->dir, index) != STATUS_OK ||
        renameat2(AT_FDCWD, dir, AT_FDCWD, datadir_ledger_path(node->dir), RENAME_EXCHANGE) != 0) {
        fail_stop(EXIT_DISK, PART, "%s can not be put in place: %s", dir, strerror(errno));
    }
    sync_dir(datadir_path(node->dir));
    if (datadir_needs_state_clear(node->dir) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "the note needs-state can not be removed");
    }
    remove_ledger(dir);
    metric_add(&node->metrics, METRIC_SNAPSHOTS_INSTALLED, 1);
}
