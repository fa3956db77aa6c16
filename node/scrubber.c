/*
 * The scrub goes round while the node runs: a thread of its own, which may wait for the disk, reads
 * a piece, sleeps much longer than that took, and begins anew some time after the end. Damage that
 * nobody has asked for yet is found before somebody does.
 */
#include "node/scrubber.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "ledger/scrub.h"
#include "node/fault.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static const char *const PART = "scrub";

struct scrubber {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under the lock */
    struct scrubber_options options;
};

/* True where the thread is to end. */
static bool rest(struct scrubber *scrubber, uint64_t pause_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    const uint64_t ns = (uint64_t)until.tv_nsec + pause_ms * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&scrubber->lock);
    int result = 0;
    while (!scrubber->stopping && result == 0) {
        result = pthread_cond_timedwait(&scrubber->wake, &scrubber->lock, &until);
    }
    const bool stopping = scrubber->stopping;
    pthread_mutex_unlock(&scrubber->lock);
    return stopping;
}

static void pass_done(struct scrubber *scrubber, const struct scrub *scrub)
{
    metric_add(scrubber->options.metrics, METRIC_SCRUB_PASSES, 1);
    log_debug(PART, "the ledger is whole: rows=%llu",
              (unsigned long long)scrub_rows_checked(scrub));
}

/* One piece; the pause that it earns. */
static uint64_t piece(struct scrubber *scrubber, struct scrub *scrub)
{
    const struct scrubber_options *options = &scrubber->options;
    const uint64_t begin_ms = clock_monotonic_ms(clock_system());
    bool done = false;
    fault_suspect(true);
    const enum status status = scrub_step(scrub, SCRUB_PIECE_ROWS, &done);
    fault_suspect(false);
    if (status == STATUS_CORRUPT) {
        options->damaged(options->data, ledger_damage(options->ledger));
    }
    if (status != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "the ledger can not be checked: %s", status_text(status));
    }
    metric_set(options->metrics, METRIC_SCRUB_ROWS, scrub_rows_checked(scrub));
    if (done) {
        pass_done(scrubber, scrub);
        return SCRUB_PASS_PAUSE_MS;
    }
    return SCRUB_PIECE_PAUSE_MS +
           SCRUB_PAUSE_FACTOR * (clock_monotonic_ms(clock_system()) - begin_ms);
}

static void *scrubber_run(void *argument)
{
    struct scrubber *scrubber = argument;
    struct scrub *scrub = NULL;
    if (scrub_open(&scrub, scrubber->options.ledger, SCRUB_IN_PIECES) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "out of memory");
    }
    uint64_t pause_ms = SCRUB_PIECE_PAUSE_MS;
    while (!rest(scrubber, pause_ms)) {
        pause_ms = piece(scrubber, scrub);
    }
    scrub_close(scrub);
    return NULL;
}

enum status scrubber_open(struct scrubber **scrubber, const struct scrubber_options *options)
{
    assert(options->ledger != NULL && options->damaged != NULL);
    struct scrubber *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return STATUS_NO_MEMORY;
    }
    opened->options = *options;
    pthread_mutex_init(&opened->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&opened->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&opened->thread, NULL, scrubber_run, opened) != 0) {
        pthread_cond_destroy(&opened->wake);
        pthread_mutex_destroy(&opened->lock);
        free(opened);
        return STATUS_NO_MEMORY;
    }
    *scrubber = opened;
    return STATUS_OK;
}

void scrubber_close(struct scrubber *scrubber)
{
    if (scrubber == NULL) {
        return;
    }
    pthread_mutex_lock(&scrubber->lock);
    scrubber->stopping = true;
    pthread_cond_signal(&scrubber->wake);
    pthread_mutex_unlock(&scrubber->lock);
    pthread_join(scrubber->thread, NULL);
    pthread_cond_destroy(&scrubber->wake);
    pthread_mutex_destroy(&scrubber->lock);
    free(scrubber);
}
