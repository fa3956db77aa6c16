#include "base/log.h"
#include "consensus/internal.h"
#include "tests/support/check.h"
#include "tests/support/child.h"
#include "tests/support/trio.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* --- a raft_io that fails where it is told to
 * ------------------------------------------------------- */

struct fake {
    struct raft_io io;
    struct raft raft;
    struct consensus consensus;
    int result; /* of every call */
    struct raft_io_append *append;
    raft_io_append_cb append_done;
    struct raft_io_snapshot_put *put;
    raft_io_snapshot_put_cb put_done;
    raft_index truncated;
    int done_status; /* what raft's callback was told */
    struct metrics metrics;
};

static struct fake *fake_of(struct raft_io *io)
{
    return io->impl;
}

static int fake_set_term(struct raft_io *io, raft_term term)
{
    (void)term;
    return fake_of(io)->result;
}

static int fake_set_vote(struct raft_io *io, raft_id id)
{
    (void)id;
    return fake_of(io)->result;
}

static int fake_append(struct raft_io *io, struct raft_io_append *request,
                       const struct raft_entry entries[], unsigned count, raft_io_append_cb done)
{
    (void)entries;
    (void)count;
    fake_of(io)->append = request;
    fake_of(io)->append_done = done;
    return fake_of(io)->result;
}

static int fake_truncate(struct raft_io *io, raft_index index)
{
    fake_of(io)->truncated = index;
    return fake_of(io)->result;
}

static int fake_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                    const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
    (void)trailing;
    (void)snapshot;
    fake_of(io)->put = request;
    fake_of(io)->put_done = done;
    return fake_of(io)->result;
}

static void raft_append_done(struct raft_io_append *request, int status)
{
    struct fake *fake = request->data;
    fake->done_status = status;
}

static void raft_put_done(struct raft_io_snapshot_put *request, int status)
{
    struct fake *fake = request->data;
    fake->done_status = status;
}

static struct fake *fake_open(void)
{
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->io = (struct raft_io){
        .version = 1,
        .impl = fake,
        .data = &fake->raft,
        .set_term = fake_set_term,
        .set_vote = fake_set_vote,
        .append = fake_append,
        .truncate = fake_truncate,
        .snapshot_put = fake_put,
    };
    fake->raft.io = &fake->io;
    fake->raft.data = &fake->consensus;
    fake->done_status = -1;
    guard_init(&fake->consensus.guard, &fake->metrics);
    guard_install(&fake->consensus.guard, &fake->raft);
    return fake;
}

/* --- each failing call stops the node
 * ---------------------------------------------------------------- */

static void term_fails(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    fake->result = RAFT_IOERR;
    (void)fake->io.set_term(&fake->io, 7);
}

static void vote_fails(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    fake->result = RAFT_IOERR;
    (void)fake->io.set_vote(&fake->io, 2);
}

static void append_fails_at_once(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    struct raft_io_append request = {.data = fake};
    struct raft_entry entry = {.term = 1};
    fake->result = RAFT_INVALID;
    (void)fake->io.append(&fake->io, &request, &entry, 1, raft_append_done);
}

static void append_fails_later(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    struct raft_io_append request = {.data = fake};
    struct raft_entry entry = {.term = 1};
    (void)fake->io.append(&fake->io, &request, &entry, 1, raft_append_done);
    fake->append_done(fake->append, RAFT_IOERR);
}

static void truncate_fails(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    fake->result = RAFT_NOMEM;
    (void)fake->io.truncate(&fake->io, 1);
}

static void put_fails_at_once(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    struct raft_io_snapshot_put request = {.data = fake};
    struct raft_snapshot snapshot = {.index = 9};
    fake->result = RAFT_IOERR;
    (void)fake->io.snapshot_put(&fake->io, 5, &request, &snapshot, raft_put_done);
}

static void put_fails_later(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    struct raft_io_snapshot_put request = {.data = fake};
    struct raft_snapshot snapshot = {.index = 9};
    (void)fake->io.snapshot_put(&fake->io, 0, &request, &snapshot, raft_put_done);
    fake->put_done(fake->put, RAFT_IOERR);
}

static void truncate_meets_put(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    struct raft_io_append append = {.data = fake};
    struct raft_io_snapshot_put put = {.data = fake};
    struct raft_snapshot snapshot = {.index = 2};
    struct raft_entry entries[4] = {{.term = 1}};
    (void)fake->io.append(&fake->io, &append, entries, 4, raft_append_done);
    fake->append_done(fake->append, 0);
    (void)fake->io.snapshot_put(&fake->io, 5, &put, &snapshot, raft_put_done);
    (void)fake->io.truncate(&fake->io, 3);
}

static void trace_of_a_failed_write(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    struct raft_tracer *tracer = fake->raft.tracer;
    struct raft_tracer_info info = {.version = 1};
    info.diagnostic.level = 5;
    info.diagnostic.message = "retry failed write (disk on fire)";
    info.diagnostic.file = "uv_append.c";
    tracer->emit(tracer, RAFT_TRACER_DIAGNOSTIC, &info);
}

/* Ages are counted in ticks of the watchdog: all but the last one are skipped here. */
static void watch_old_append(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    uv_loop_t loop;
    struct endpoint endpoint = {.loop = &loop};
    struct raft_io_append request = {.data = fake};
    struct raft_entry entry = {.term = 1};
    uv_loop_init(&loop);
    guard_watch(&fake->consensus.guard, &endpoint);
    (void)fake->io.append(&fake->io, &request, &entry, 1, raft_append_done);
    uv_timer_start(&fake->consensus.guard.watchdog, fake->consensus.guard.watchdog.timer_cb, 1, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void watch_old_put(void *data)
{
    (void)data;
    struct fake *fake = fake_open();
    uv_loop_t loop;
    struct endpoint endpoint = {.loop = &loop};
    struct raft_io_snapshot_put request = {.data = fake};
    struct raft_snapshot snapshot = {.index = 9};
    uv_loop_init(&loop);
    guard_watch(&fake->consensus.guard, &endpoint);
    (void)fake->io.snapshot_put(&fake->io, 5, &request, &snapshot, raft_put_done);
    uv_timer_start(&fake->consensus.guard.watchdog, fake->consensus.guard.watchdog.timer_cb, 1, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void every_failure_of_rafts_disk_stops_the_node(void **state)
{
    (void)state;
    static const struct {
        void (*body)(void *data);
        const char *text;
    } cases[] = {
        {term_fails, "storing the term failed"},
        {vote_fails, "storing the vote failed"},
        {append_fails_at_once, "appending to the log failed"},
        {append_fails_later, "appending to the log failed"},
        {truncate_fails, "cutting the log failed"},
        {put_fails_at_once, "storing a snapshot failed"},
        {put_fails_later, "storing a snapshot failed"},
        {truncate_meets_put, "must be cut at index=3 while a snapshot is written"},
        {trace_of_a_failed_write, "disk on fire"},
        {watch_old_append, "an append to the log is incomplete"},
        {watch_old_put, "storing a snapshot is incomplete"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char output[4096];
        int status = child_run(cases[i].body, NULL, output, sizeof output);
        if (status != EXIT_DISK || strstr(output, cases[i].text) == NULL) {
            fail_msg("case %zu: status %d, wanted \"%s\", got \"%s\"", i, status, cases[i].text,
                     output);
        }
    }
}

/* --- what is no failure
 * -------------------------------------------------------------------------------- */

static void success_and_cancelling_pass_through(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    struct raft_io_append append = {.data = fake};
    struct raft_io_snapshot_put put = {.data = fake};
    struct raft_snapshot snapshot = {.index = 9};
    struct raft_entry entry = {.term = 1};
    assert_int_equal(fake->io.set_term(&fake->io, 7), 0);
    assert_int_equal(fake->io.append(&fake->io, &append, &entry, 1, raft_append_done), 0);
    fake->append_done(fake->append, 0);
    assert_int_equal(fake->done_status, 0);
    assert_int_equal(fake->io.append(&fake->io, &append, &entry, 1, raft_append_done), 0);
    fake->append_done(fake->append, RAFT_CANCELED);
    assert_int_equal(fake->done_status, RAFT_CANCELED);
    assert_int_equal(fake->io.snapshot_put(&fake->io, 5, &put, &snapshot, raft_put_done), 0);
    fake->put_done(fake->put, 0);
    assert_int_equal(fake->done_status, 0);
    assert_true(list_empty(&fake->consensus.guard.appends));
    assert_int_equal(metric_get(&fake->metrics, METRIC_IO_ERRORS), 0);
    free(fake);
}

static void truncation_that_cuts_nothing_may_meet_a_snapshot(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    struct raft_io_append append = {.data = fake};
    struct raft_io_snapshot_put put = {.data = fake};
    struct raft_snapshot snapshot = {.index = 2};
    struct raft_entry entries[4] = {{.term = 1}};
    assert_int_equal(fake->io.append(&fake->io, &append, entries, 4, raft_append_done), 0);
    fake->append_done(fake->append, 0);
    assert_int_equal(fake->io.snapshot_put(&fake->io, 5, &put, &snapshot, raft_put_done), 0);
    assert_int_equal(fake->io.truncate(&fake->io, 5), 0); /* raft calls it before each append */
    assert_int_equal(fake->truncated, 5);
    fake->put_done(fake->put, 0);
    assert_int_equal(fake->io.truncate(&fake->io, 3), 0);
    assert_int_equal(fake->truncated, 3);
    free(fake);
}

static int load_five(struct raft_io *io, raft_term *term, raft_id *vote,
                     struct raft_snapshot **snapshot, raft_index *start,
                     struct raft_entry *entries[], size_t *count)
{
    (void)io;
    *term = 1;
    *vote = 0;
    *snapshot = NULL;
    *start = 1;
    *count = 5;
    *entries = raft_calloc(*count, sizeof **entries);
    assert_non_null(*entries);
    char *batch = NULL;
    for (size_t i = 0; i < *count; i++) {
        if (i % 3 == 0) { /* two pieces of memory: three entries, and two */
            batch = raft_malloc(3 * 8);
            assert_non_null(batch);
        }
        struct raft_entry *entry = &(*entries)[i];
        entry->batch = batch;
        entry->buf = (struct raft_buffer){.base = batch + 8 * (i % 3), .len = 8};
        memcpy(entry->buf.base, "entry_0", 8);
        ((char *)entry->buf.base)[6] = (char)('0' + i);
    }
    return 0;
}

/* ASan tells of memory that is lost or freed twice. */
static void loaded_entries_share_no_memory(void **state)
{
    (void)state;
    struct fake *fake = fake_open();
    fake->consensus.guard.original.load = load_five;
    raft_term term = 0;
    raft_id vote = 0;
    struct raft_snapshot *snapshot = NULL;
    raft_index start = 0;
    struct raft_entry *entries = NULL;
    size_t count = 0;
    assert_int_equal(fake->io.load(&fake->io, &term, &vote, &snapshot, &start, &entries, &count),
                     0);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        char text[8] = "entry_0";
        text[6] = (char)('0' + i);
        assert_null(entries[i].batch);
        assert_memory_equal(entries[i].buf.base, text, 8);
        raft_free(entries[i].buf.base);
    }
    raft_free(entries);
    free(fake);
}

static void ordinary_messages_are_not_fatal(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "truncate open segment open-1 at 8 (batch 1), since it has corrupted entries",
        "uv truncate 17",
        "finalize open-3 into 1-20",
        "create open segment open-4",
        "completed creation of open-4",
        "put snapshot at 100, keeping 10",
        "take snapshot at 100",
        "log mismatch (5^2 vs 5^1) -> truncate",
        "enqueue 1 entries",
        "snapshot write end 0",
        "remove zeroed open segment open-2",
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_false(guard_message_is_fatal(messages[i]));
    }
}

/* --- the installed library with a disk that takes nothing more
 * ------------------------------------------ */

static void limit_files(rlim_t bytes)
{
    const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct trio *running_node(void)
{
    struct trio *trio = trio_open(1);
    trio_start(trio, 1);
    trio_elect(trio);
    trio_pay(trio, 1, 5, 64);
    return trio;
}

static void append_on_a_broken_disk(void *data)
{
    (void)data;
    struct trio *trio = running_node();
    limit_files(0);
    trio_pay(trio, 6, 1, 64);
}

static void segments_on_a_full_disk(void *data)
{
    (void)data;
    struct trio *trio = running_node();
    limit_files(8 * 1024 * 1024 - 1); /* no further segment of 8 MiB; the present ones are there */
    trio_pay(trio, 6, 40, 1024 * 1024);
}

static bool snapshot_is_waiting(struct trio *trio, void *data)
{
    (void)data;
    return trio_node(trio, 1)->consensus->snapshots.state == SNAPSHOT_WAITING;
}

static void snapshot_on_a_broken_disk(void *data)
{
    (void)data;
    struct trio *trio = trio_open(1);
    trio->snapshot_bytes = 1024;
    trio_node(trio, 1)->snapshots_late = true;
    trio_start(trio, 1);
    trio_elect(trio);
    trio_pay(trio, 1, 20, 64);
    trio_run_until(trio, snapshot_is_waiting, NULL, 5000, "a snapshot waits");
    limit_files(0);
    const struct consensus_manifest manifest = {.index = trio_node(trio, 1)->snapshot_index};
    consensus_snapshot_ready(trio_node(trio, 1)->consensus, &manifest);
    trio_run_for(trio, 15000);
}

/* Nodes 2 and 3 answer; node 1 can store neither term nor vote. */
static void term_on_a_broken_disk(void *data)
{
    (void)data;
    struct trio *trio = trio_open(3);
    trio_start_all(trio);
    limit_files(0);
    trio_run_for(trio, 15000);
}

static void write_failures_of_the_installed_library_stop_the_node(void **state)
{
    (void)state;
    static const struct {
        void (*body)(void *data);
        const char *text;
    } cases[] = {
        {append_on_a_broken_disk, "retry failed write"},
        {segments_on_a_full_disk, "retry creating segment"},
        {snapshot_on_a_broken_disk, "raft's log can not be written"},
        {term_on_a_broken_disk, "storing the term failed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static char output[65536];
        int status = child_run(cases[i].body, NULL, output, sizeof output);
        print_message("case %zu: status %d\n%s", i, status, output);
        if (status != EXIT_DISK || strstr(output, cases[i].text) == NULL) {
            fail_msg("case %zu: status %d, wanted \"%s\", got \"%s\"", i, status, cases[i].text,
                     output);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failure_of_rafts_disk_stops_the_node),
        cmocka_unit_test(success_and_cancelling_pass_through),
        cmocka_unit_test(truncation_that_cuts_nothing_may_meet_a_snapshot),
        cmocka_unit_test(loaded_entries_share_no_memory),
        cmocka_unit_test(ordinary_messages_are_not_fatal),
        cmocka_unit_test(write_failures_of_the_installed_library_stop_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
