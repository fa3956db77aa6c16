/*
 * Life and position of the ledger, and the doors to the store's reads. Verification is in verify.c
 * and the place*.c, the log in apply.c.
 */
#include "ledger/internal.h"

#include "base/check.h"
#include "ledger/read.h"

#include <stdio.h>
#include <stdlib.h>

/* Commands are written to scratch before anyone knows whether they fit: one may be past the end. */
enum { SCRATCH_BYTES_MAX = 2 * ENTRY_BYTES_MAX, RECORDS_BYTES_MAX = 64 * 1024 };

static void ledger_init(struct ledger *ledger, const struct ledger_options *options)
{
    ledger->metrics = options->metrics;
    ledger->abort_on_difference = options->abort_on_difference;
    buffer_init(&ledger->records, RECORDS_BYTES_MAX);
    buffer_init(&ledger->scratch, SCRATCH_BYTES_MAX);
    list_init(&ledger->waiting);
    list_init(&ledger->in_flight);
    list_init(&ledger->spare);
    overlay_init(&ledger->overlay, &ledger->store_view.view);
    overlay_init(&ledger->trial, &ledger->overlay.view);
}

static enum status read_position(struct ledger *ledger)
{
    struct store_txn *txn = NULL;
    enum status status = store_read_begin(ledger->store, &txn);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_position(txn, &ledger->position);
    store_read_end(txn);
    ledger->committed = ledger->position;
    return status;
}

enum status ledger_open(struct ledger **ledger, const struct ledger_options *options, char *error,
                        size_t error_size)
{
    assert(options->path != NULL && options->metrics != NULL);
    struct ledger *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    ledger_init(opened, options);
    const struct store_options store_options = {
        .path = options->path, .map_bytes = options->map_bytes, .read_only = options->read_only};
    enum status status = store_open(&opened->store, &store_options, error, error_size);
    if (status == STATUS_OK) {
        status = hasher_open(&opened->hasher);
        if (status == STATUS_OK) {
            status = read_position(opened);
        }
        if (status != STATUS_OK) {
            (void)snprintf(error, error_size, "%s: the position can not be read: %s: %s",
                           options->path, status_text(status), store_damage(opened->store));
        }
    }
    if (status != STATUS_OK) {
        ledger_close(opened);
        return status;
    }
    metric_set(opened->metrics, METRIC_SEQ, opened->position.seq);
    metric_set(opened->metrics, METRIC_RAFT_INDEX, opened->position.index);
    *ledger = opened;
    return STATUS_OK;
}

static void end_transaction(struct ledger *ledger)
{
    if (ledger->txn != NULL) {
        store_view_deinit(&ledger->store_view);
        ledger->txn = NULL;
    }
}

void ledger_abandon(struct ledger *ledger)
{
    assert(list_empty(&ledger->waiting) && list_empty(&ledger->in_flight));
    if (ledger->txn != NULL) {
        end_transaction(ledger);
        store_write_abort(ledger->store);
    }
}

void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    ledger_abandon(ledger);
    for (struct list *node = list_pop(&ledger->spare); node != NULL;
         node = list_pop(&ledger->spare)) {
        pending_free(CONTAINER_OF(node, struct pending, node));
    }
    overlay_deinit(&ledger->overlay);
    overlay_deinit(&ledger->trial);
    buffer_deinit(&ledger->records);
    buffer_deinit(&ledger->scratch);
    if (ledger->hasher != NULL) {
        hasher_close(ledger->hasher);
    }
    if (ledger->store != NULL) {
        store_close(ledger->store);
    }
    free(ledger);
}

enum status ledger_begin(struct ledger *ledger)
{
    if (ledger->txn != NULL) {
        return STATUS_OK;
    }
    struct store_txn *txn = NULL;
    const enum status status = store_write_begin(ledger->store, &txn);
    if (status != STATUS_OK) {
        return status;
    }
    ledger->txn = txn;
    store_view_init(&ledger->store_view, txn, &ledger->position, &ledger->records);
    return STATUS_OK;
}

struct position ledger_position(const struct ledger *ledger)
{
    return ledger->position;
}

struct position ledger_committed(const struct ledger *ledger)
{
    return ledger->committed;
}

uint64_t ledger_uncommitted_bytes(const struct ledger *ledger)
{
    return ledger->uncommitted_bytes;
}

uint64_t ledger_uncommitted_pages(const struct ledger *ledger)
{
    return store_write_pages(ledger->store);
}

uint64_t ledger_room(struct ledger *ledger)
{
    return store_room(ledger->store);
}

const char *ledger_damage(const struct ledger *ledger)
{
    return store_damage(ledger->store);
}

enum status ledger_commit(struct ledger *ledger)
{
    if (ledger->position.index == ledger->committed.index) {
        return STATUS_OK;
    }
    enum status status = ledger_begin(ledger);
    if (status != STATUS_OK) {
        return status;
    }
    end_transaction(ledger);
    status = store_write_commit(ledger->store, &ledger->position);
    if (status != STATUS_OK) {
        metric_add(ledger->metrics, METRIC_IO_ERRORS, 1);
        return status;
    }
    ledger->committed = ledger->position;
    ledger->uncommitted_bytes = 0;
    metric_add(ledger->metrics, METRIC_FLUSHES, 1);
    return STATUS_OK;
}

enum status ledger_flush(struct ledger *ledger)
{
    const enum status status = ledger_commit(ledger);
    return status == STATUS_OK ? store_sync(ledger->store) : status;
}

enum status ledger_query(struct ledger *ledger, const struct query *query, struct buffer *answer)
{
    assert(!query_is_scan(query));
    const enum status status = ledger_begin(ledger);
    return status == STATUS_OK ? query_run(ledger->txn, &ledger->position, query, answer) : status;
}

enum status ledger_scan(struct ledger *ledger, const struct query *query, struct buffer *answer)
{
    struct store_txn *txn = NULL;
    enum status status = store_read_begin(ledger->store, &txn);
    if (status != STATUS_OK) {
        return status;
    }
    struct position position;
    status = store_position(txn, &position);
    if (status == STATUS_OK) {
        status = query_run(txn, &position, query, answer);
    }
    store_read_end(txn);
    return status;
}

enum status ledger_digest_at(struct ledger *ledger, uint64_t seq, struct digest *digest)
{
    const enum status status = ledger_begin(ledger);
    return status == STATUS_OK ? store_digest(ledger->txn, seq, digest) : status;
}

enum status ledger_copy(struct ledger *ledger, int fd)
{
    return store_copy(ledger->store, fd);
}
