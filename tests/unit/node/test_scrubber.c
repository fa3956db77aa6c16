/* The thread of the scrub: it goes round, ends when told to, and reports damage. */
#include "node/scrubber.h"

#include "ledger/store.h"
#include "tests/support/check.h"
#include "tests/support/child.h"
#include "tests/support/ledger_driver.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DAMAGED = 42 };

static struct driver driver;

static int set_up(void **state)
{
    (void)state;
    driver_open(&driver);
    driver_lead(&driver);
    driver_make_bank(&driver);
    check_ok(ledger_flush(driver.ledger));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_close(&driver);
    return 0;
}

static void damaged(void *data, const char *what)
{
    (void)data;
    (void)fprintf(stderr, "%s\n", what);
    _exit(DAMAGED);
}

static struct scrubber *scrubber_start(void)
{
    struct scrubber *scrubber = NULL;
    const struct scrubber_options options = {
        .ledger = driver.ledger, .metrics = &driver.metrics, .damaged = damaged};
    check_ok(scrubber_open(&scrubber, &options));
    return scrubber;
}

static void wait_for_a_pass(void)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    while (metric_get(&driver.metrics, METRIC_SCRUB_PASSES) == 0) {
        (void)nanosleep(&pause, NULL);
    }
}

static void it_goes_round_and_ends(void **state)
{
    (void)state;
    scrubber_close(NULL);
    scrubber_close(scrubber_start()); /* at once */
    struct scrubber *scrubber = scrubber_start();
    wait_for_a_pass();
    assert_true(metric_get(&driver.metrics, METRIC_SCRUB_ROWS) > 10);
    scrubber_close(scrubber);
}

static void scrub_a_damaged_file(void *data)
{
    (void)data;
    static char bytes[1 << 20];
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/data.mdb", driver.dir);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    const ssize_t size = pread(fd, bytes, sizeof(bytes), 0);
    for (ssize_t i = 0; i + 5 < size; i++) {
        if (memcmp(bytes + i, "alice", 5) == 0) {
            assert_int_equal(pwrite(fd, "A", 1, i), 1);
        }
    }
    (void)scrubber_start();
    wait_for_a_pass();
}

static void damage_is_reported(void **state)
{
    (void)state;
    char output[1024];
    assert_int_equal(child_run(scrub_a_damaged_file, NULL, output, sizeof(output)), DAMAGED);
    assert_non_null(strstr(output, "checksum is wrong"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_goes_round_and_ends),
        TEST(damage_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
