/*
 * A ledger whose file lost its end under the map: the process stops as for any other disk error.
 */
#include "node/fault.h"

#include "base/log.h"
#include "ledger/scrub.h"
#include "tests/support/check.h"
#include "tests/support/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void read_a_cut_file(void *data)
{
    const char *dir = data;
    static struct metrics metrics;
    struct ledger_options options = {.path = dir, .map_bytes = 1 << 26, .metrics = &metrics};
    struct ledger *ledger = NULL;
    char error[256];
    check_ok(ledger_open(&ledger, &options, error, sizeof(error)));
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    /* The two pages that tell where the rest stands are still there. */
    assert_int_equal(truncate(path, 2 * sysconf(_SC_PAGESIZE)), 0);
    const int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_true(dir_fd >= 0);
    fault_watch();
    fault_mark_in(dir_fd);
    struct position position;
    enum status status = scrub_all(ledger, &position);
    (void)status;
}

static bool is_marked(const char *dir)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/damaged", dir);
    return access(path, F_OK) == 0;
}

static void a_page_that_can_not_be_read_stops_the_process(void **state)
{
    (void)state;
    char output[1024];
    char *dir = test_dir_make();
    assert_int_equal(child_run(read_a_cut_file, dir, output, sizeof(output)), EXIT_DISK);
    assert_non_null(strstr(output, "can not be read"));
    assert_true(is_marked(dir));
    test_dir_remove(dir);
}

static void crash(void *data)
{
    const int dir_fd = open((const char *)data, O_RDONLY | O_DIRECTORY);
    assert_true(dir_fd >= 0);
    fault_watch();
    fault_mark_in(dir_fd);
    fault_suspect(true);
    (void)raise(SIGSEGV);
}

static void a_crash_while_the_ledger_is_read_is_its_damage(void **state)
{
    (void)state;
    char output[1024];
    char *dir = test_dir_make();
    assert_int_equal(child_run(crash, dir, output, sizeof(output)), EXIT_DISK);
    assert_non_null(strstr(output, "damaged"));
    assert_true(is_marked(dir));
    test_dir_remove(dir);
}

static void abort_elsewhere(void *data)
{
    const int dir_fd = open((const char *)data, O_RDONLY | O_DIRECTORY);
    assert_true(dir_fd >= 0);
    (void)signal(SIGABRT, SIG_DFL);
    fault_watch();
    fault_mark_in(dir_fd);
    fault_suspect(true);
    fault_suspect(false);
    abort();
}

static void a_crash_elsewhere_is_a_crash(void **state)
{
    (void)state;
    char output[1024];
    char *dir = test_dir_make();
    assert_int_equal(child_run(abort_elsewhere, dir, output, sizeof(output)),
                     CHILD_SIGNAL + SIGABRT);
    assert_false(is_marked(dir));
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_that_can_not_be_read_stops_the_process),
        cmocka_unit_test(a_crash_while_the_ledger_is_read_is_its_damage),
        cmocka_unit_test(a_crash_elsewhere_is_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
