/*
 * The ledger's own file is damaged: a checksum, a proof of absence or the scrub said so, or a crash
 * while it was read. Whoever notices stops here; nothing that rests on it is answered. With peers
 * the node notes that it needs the state, and starts anew: it then fetches a copy, and its own file
 * stays where it is until the copy is found whole. raft's log is not touched: it has what the copy
 * may lack. Alone, the node stops: an operator must decide.
 */
#include "node/internal.h"

#include "base/log.h"
#include "ledger/scrub.h"
#include "node/fault.h"

#include <unistd.h>

static const char *const PART = "damage";

/* Any state of a peer will do: raft says at the next start if its log begins behind it. */
static void fetch_note(struct node *node)
{
    const struct consensus_manifest any = {.index = 0};
    if (datadir_needs_state_write(node->dir, &any) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "the note needs-state can not be written");
    }
}

static void log_index_note(struct node *node, uint64_t index)
{
    uint64_t noted = 0;
    if (datadir_log_index_read(node->dir, &noted) != STATUS_OK) {
        fail_stop(EXIT_DATA, PART, "the note log-index is damaged");
    }
    if (index > noted && datadir_log_index_write(node->dir, index) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "the note log-index can not be written");
    }
}

/* What was copied does not count: the log need not have it. */
uint64_t damage_opened_index(struct node *node)
{
    uint64_t copied = 0;
    if (datadir_copy_index_read(node->dir, &copied) != STATUS_OK) {
        fail_stop(EXIT_DATA, PART, "the note copy-index is damaged");
    }
    return node->opened_index > copied ? node->opened_index : 0;
}

void damage_log_note(struct node *node)
{
    uint64_t index = damage_opened_index(node);
    if (node->ledger_thread != NULL) {
        const uint64_t logged = ledger_thread_logged(node->ledger_thread);
        index = logged > index ? logged : index;
    }
    log_index_note(node, index);
}

void node_give_up(struct node *node)
{
    if (atomic_exchange(&node->giving_up, true)) {
        for (;;) {
            (void)pause(); /* another thread is about to end the process */
        }
    }
}

void node_damaged(void *data, const char *what)
{
    struct node *node = data;
    node_give_up(node);
    const char *said = what[0] == '\0' ? "its rows contradict each other" : what;
    if (node->peers_count == 0) {
        fail_stop(EXIT_DATA, PART,
                  "the ledger's file is damaged: %s. There is no peer to fetch the state from: "
                  "keep the directory, and see docs/operations.md",
                  said);
    }
    log_error(PART, "the ledger's file is damaged: %s: fetching the state from a peer", said);
    damage_log_note(node);
    fetch_note(node);
    node_restart(node);
}

enum exit_status damage_look(struct node *node)
{
    if (!datadir_is_marked(node->dir)) {
        return EXIT_DONE;
    }
    if (node->peers_count == 0) {
        log_error(PART,
                  "an earlier run ended while it read the ledger's file: it is damaged, and there "
                  "is no peer to fetch the state from: see docs/operations.md");
        return EXIT_DATA;
    }
    log_error(PART, "an earlier run ended while it read the ledger's file: it is damaged");
    log_index_note(node, datadir_mark_index(node->dir));
    fetch_note(node);
    return datadir_mark_clear(node->dir) == STATUS_OK ? EXIT_DONE : EXIT_DISK;
}

void damage_check(struct node *node)
{
    struct scrub *scrub = NULL;
    /* Nothing is written yet: one transaction for all, so that each step is short. */
    enum status status = scrub_open(&scrub, node->ledger, SCRUB_AT_ONCE);
    const uint64_t begin_ms = clock_monotonic_ms(node->clock);
    bool done = false;
    while (status == STATUS_OK && !done &&
           clock_monotonic_ms(node->clock) - begin_ms < SCRUB_START_MS) {
        status = scrub_step(scrub, SCRUB_START_ROWS, &done);
        metric_set(&node->metrics, METRIC_SCRUB_ROWS,
                   status == STATUS_OK ? scrub_rows_checked(scrub) : 0);
    }
    if (status == STATUS_OK && done) {
        log_info(PART, "the ledger is whole: rows=%llu",
                 (unsigned long long)scrub_rows_checked(scrub));
    } else if (status == STATUS_OK) {
        log_info(PART, "the ledger is whole as far as looked at: rows=%llu of %llu",
                 (unsigned long long)scrub_rows_checked(scrub),
                 (unsigned long long)scrub_rows_all(scrub));
    }
    scrub_close(scrub);
    if (status == STATUS_CORRUPT) {
        node_damaged(node, ledger_damage(node->ledger));
    }
    if (status != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "the ledger can not be checked: %s", status_text(status));
    }
}
