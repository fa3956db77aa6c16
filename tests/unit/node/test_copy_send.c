/* A copy on its way: what the peer gets, and how it ends early. */
#include "ledger/scrub.h"
#include "node/copy_form.h"
#include "node/copy_send.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVED_BYTES_MAX = 4 * 1024 * 1024, STALL_MS = 600000 };

static struct driver driver;
static int peer_fd;
static struct copy_send *sending;
static char damage[256];
static uint8_t received[RECEIVED_BYTES_MAX];
static size_t received_size;
static enum status copy_fails; /* what LMDB does */

enum status __real_ledger_copy(struct ledger *ledger, int fd);
enum status __wrap_ledger_copy(struct ledger *ledger, int fd);
enum status __wrap_ledger_copy(struct ledger *ledger, int fd)
{
    const enum status status = __real_ledger_copy(ledger, fd);
    return copy_fails != STATUS_OK ? copy_fails : status;
}

/* How long the peer may check what it got. */
static uint32_t finish_ms;

void __real_channel_finish(struct channel *channel, uint32_t linger_ms);
void __wrap_channel_finish(struct channel *channel, uint32_t linger_ms);
void __wrap_channel_finish(struct channel *channel, uint32_t linger_ms)
{
    finish_ms = linger_ms;
    __real_channel_finish(channel, linger_ms);
}

static void on_damaged(void *data, const char *what)
{
    assert_ptr_equal(data, &driver);
    (void)snprintf(damage, sizeof(damage), "damaged: %s", what);
}

static int set_up(void **state)
{
    (void)state;
    copy_fails = STATUS_OK;
    damage[0] = '\0';
    received_size = 0;
    driver_open(&driver);
    driver_lead(&driver);
    driver_make_bank(&driver);
    check_ok(ledger_flush(driver.ledger));
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    peer_fd = fds[1];
    const int few_bytes = 4096; /* so that a sender waits for its reader */
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &few_bytes, sizeof(few_bytes)), 0);
    struct channel *channel = NULL;
    struct buffer nothing;
    buffer_init(&nothing, 16);
    check_ok(channel_open(&channel, fds[0], NULL, &nothing, STALL_MS));
    sending = NULL;
    *state = channel;
    return 0;
}

static void begin(void **state)
{
    const struct copy_send_options options = {.ledger = driver.ledger,
                                              .channel = *state,
                                              .peer = 3,
                                              .metrics = &driver.metrics,
                                              .damaged = on_damaged,
                                              .data = &driver};
    check_ok(copy_send_open(&sending, &options));
}

static int tear_down(void **state)
{
    (void)state;
    if (sending != NULL) {
        copy_send_cut(sending);
        copy_send_close(sending);
    }
    if (peer_fd >= 0) {
        assert_int_equal(close(peer_fd), 0);
    }
    driver_close(&driver);
    return 0;
}

/* All that comes until the other side's end. */
static void receive_all_but_stay(void)
{
    struct pollfd wanted = {.fd = peer_fd, .events = POLLIN};
    ssize_t count = 1;
    while (count > 0) {
        assert_int_equal(poll(&wanted, 1, STALL_MS), 1);
        count = read(peer_fd, received + received_size, sizeof(received) - received_size);
        assert_true(count >= 0);
        received_size += (size_t)count;
    }
}

static void receive_all(void)
{
    receive_all_but_stay();
    assert_int_equal(close(peer_fd), 0);
    peer_fd = -1;
}

/* Writes the chunks to a file; gives what is behind the last one. */
static struct reader chunks_take(int fd, uint64_t *bytes, struct hasher *hasher)
{
    struct reader reader = reader_of(received, received_size);
    assert_int_equal(read_u8(&reader), COPY_FOLLOWS);
    for (uint32_t size = read_u32(&reader); size > 0; size = read_u32(&reader)) {
        assert_true(size <= COPY_CHUNK_BYTES_MAX);
        const uint8_t *chunk = read_bytes(&reader, size);
        assert_non_null(chunk);
        hasher_add(hasher, chunk, size);
        assert_int_equal(write(fd, chunk, size), size);
        *bytes += size;
    }
    assert_false(reader.failed);
    return reader;
}

static void ledger_is_whole(const char *dir)
{
    static struct metrics metrics;
    char error[256] = "";
    struct ledger *copy = NULL;
    const struct ledger_options options = {
        .path = dir, .map_bytes = (uint64_t)1 << 30, .metrics = &metrics};
    check_ok(ledger_open(&copy, &options, error, sizeof(error)));
    struct position checked;
    check_ok(scrub_all(copy, &checked));
    const struct position ours = ledger_position(driver.ledger);
    assert_true(checked.seq == ours.seq && digest_equal(&checked.digest, &ours.digest));
    ledger_close(copy);
}

static void the_peer_gets_a_whole_ledger_and_its_digest(void **state)
{
    begin(state);
    receive_all();
    char *dir = test_dir_make();
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    struct hasher *hasher = NULL;
    check_ok(hasher_open(&hasher));
    hasher_begin(hasher);
    uint64_t bytes = 0;
    struct reader trailer = chunks_take(fd, &bytes, hasher);
    assert_int_equal(close(fd), 0);
    assert_int_equal(reader_left(&trailer), COPY_TRAILER_BYTES);
    assert_true(read_u64(&trailer) == bytes);
    const struct digest digest = hasher_end(hasher);
    assert_memory_equal(read_bytes(&trailer, DIGEST_BYTES), digest.bytes, DIGEST_BYTES);
    hasher_close(hasher);
    ledger_is_whole(dir);
    test_dir_remove(dir);
    copy_send_close(sending);
    sending = NULL;
    assert_true(metric_get(&driver.metrics, METRIC_COPIES_SERVED) == 1);
}

static void it_lasts_until_the_peer_has_checked_it(void **state)
{
    begin(state);
    receive_all_but_stay();
    assert_true(metric_get(&driver.metrics, METRIC_COPIES_SERVED) == 1);
    assert_false(copy_send_done(sending));
    assert_int_equal(close(peer_fd), 0);
    peer_fd = -1;
    copy_send_close(sending);
    sending = NULL;
    assert_int_equal(finish_ms, COPY_CHECK_MS_MAX);
}

/* No trailer: the peer can not take it for a whole one. */
static void a_copy_that_fails_is_not_told_as_whole(void **state)
{
    copy_fails = STATUS_IO;
    begin(state);
    receive_all();
    struct reader reader = reader_of(received, received_size);
    assert_int_equal(read_u8(&reader), COPY_FOLLOWS);
    while (reader_left(&reader) > 0) {
        const uint32_t size = read_u32(&reader);
        assert_true(size > 0);
        assert_non_null(read_bytes(&reader, size));
    }
    copy_send_close(sending);
    sending = NULL;
    assert_true(metric_get(&driver.metrics, METRIC_COPIES_SERVED) == 0);
    assert_string_equal(damage, "");
}

static void damage_that_the_copy_meets_is_told(void **state)
{
    copy_fails = STATUS_CORRUPT;
    begin(state);
    receive_all();
    copy_send_close(sending);
    sending = NULL;
    assert_string_equal(damage, "damaged: ");
}

static void a_cut_copy_ends(void **state)
{
    begin(state);
    assert_false(copy_send_done(sending)); /* its reader takes nothing */
    copy_send_cut(sending);
    copy_send_close(sending);
    sending = NULL;
    assert_true(metric_get(&driver.metrics, METRIC_COPIES_SERVED) == 0);
}

static void a_peer_that_leaves_ends_the_copy(void **state)
{
    begin(state);
    assert_int_equal(close(peer_fd), 0);
    peer_fd = -1;
    copy_send_close(sending);
    sending = NULL;
    assert_true(metric_get(&driver.metrics, METRIC_COPIES_SERVED) == 0);
}

/* The nice value of a thread: the 19th field of its line, whose second one is a name in brackets.
 */
static long nice_of(const char *thread)
{
    char path[300];
    char line[1024];
    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/stat", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0; /* it has ended */
    }
    const size_t size = fread(line, 1, sizeof(line) - 1, file);
    (void)fclose(file);
    line[size] = '\0';
    const char *at = strrchr(line, ')');
    assert_non_null(at);
    for (int field = 2; field < 19; field++) {
        at = strchr(at + 1, ' ');
        assert_non_null(at);
    }
    return strtol(at, NULL, 10);
}

static int threads_behind(long nice_before)
{
    int count = 0;
    DIR *threads = opendir("/proc/self/task");
    assert_non_null(threads);
    for (const struct dirent *one = readdir(threads); one != NULL; one = readdir(threads)) {
        count += one->d_name[0] != '.' && nice_of(one->d_name) > nice_before;
    }
    (void)closedir(threads);
    return count;
}

static void its_threads_come_after_the_others(void **state)
{
    char self[32];
    (void)snprintf(self, sizeof(self), "%d", (int)getpid());
    const long before = nice_of(self);
    begin(state);
    struct pollfd wanted = {.fd = peer_fd, .events = POLLIN};
    assert_int_equal(poll(&wanted, 1, STALL_MS), 1); /* it runs */
    assert_int_equal(nice_of(self), before);
    if (before < 19) {
        assert_true(threads_behind(before) > 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_peer_gets_a_whole_ledger_and_its_digest),
        TEST(it_lasts_until_the_peer_has_checked_it),
        TEST(a_copy_that_fails_is_not_told_as_whole),
        TEST(damage_that_the_copy_meets_is_told),
        TEST(a_cut_copy_ends),
        TEST(a_peer_that_leaves_ends_the_copy),
        TEST(its_threads_come_after_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
