#include "client/bench_machine.h"

#include "tests/support/check.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

static struct bench_machine machine;
static char error[512];

static int setup(void **state)
{
    (void)state;
    machine = (struct bench_machine){.cores = 0};
    error[0] = '\0';
    return 0;
}

static uint32_t files_in(const char *path)
{
    uint32_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] == '.' ? 0 : 1;
    }
    assert_int_equal(closedir(directory), 0);
    return count;
}

/* As other parts of the system tell it. */
static void test_the_machine_is_described(void **state)
{
    (void)state;
    struct utsname name;
    struct sysinfo info;
    assert_int_equal(uname(&name), 0);
    assert_int_equal(sysinfo(&info), 0);
    assert_true(bench_machine_read(NULL, &machine, error, sizeof(error)));
    assert_int_equal(machine.cores, get_nprocs());
    const uint64_t memory_bytes = (uint64_t)info.totalram * info.mem_unit;
    assert_int_equal(machine.memory_bytes, memory_bytes);
    assert_int_equal(strncmp(machine.kernel, name.sysname, strlen(name.sysname)), 0);
    assert_non_null(strstr(machine.kernel, name.release));
    assert_true(machine.cpu[0] != '\0' && machine.cpu[0] != ' ');
    assert_null(strpbrk(machine.cpu, "\n\t"));
    assert_false(machine.flush_known);
    assert_int_equal(machine.flush_us.count, 0);
    assert_string_equal(error, "");
}

static void test_the_load_is_in_thousandths(void **state)
{
    (void)state;
    double before = 0;
    double after = 0;
    assert_int_equal(getloadavg(&before, 1), 1);
    assert_true(bench_machine_read(NULL, &machine, error, sizeof(error)));
    assert_int_equal(getloadavg(&after, 1), 1);
    const double low = before < after ? before : after;
    const double high = before < after ? after : before;
    assert_true(machine.load_milli + 1 >= low * 1000 && machine.load_milli <= high * 1000 + 1);
}

static void test_flushes_are_measured_and_leave_nothing(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    assert_true(bench_machine_read(dir, &machine, error, sizeof(error)));
    assert_true(machine.flush_known);
    assert_int_equal(machine.flush_us.count, BENCH_FLUSH_COUNT);
    assert_true(machine.flush_us.value_max < UINT64_C(120000000));
    assert_int_equal(files_in(dir), 0);
    assert_string_equal(error, "");
    test_dir_remove(dir);
}

static void test_a_directory_that_is_not_there_is_named(void **state)
{
    (void)state;
    assert_false(bench_machine_read("/nowhere/at/all", &machine, error, sizeof(error)));
    assert_string_equal(error, "--flush-dir /nowhere/at/all: No such file or directory");
    assert_false(machine.flush_known);
}

static void test_a_file_is_no_directory(void **state)
{
    (void)state;
    char path[512];
    char *dir = test_dir_make();
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_false(bench_machine_read(path, &machine, error, sizeof(error)));
    assert_non_null(strstr(error, "Not a directory"));
    test_dir_remove(dir);
}

static void test_a_path_that_is_too_long_is_said_to_be(void **state)
{
    (void)state;
    static char path[5000];
    memset(path, 'a', sizeof(path) - 1);
    assert_false(bench_machine_read(path, &machine, error, sizeof(error)));
    assert_non_null(strstr(error, "File name too long"));
    assert_false(machine.flush_known);
}

/* A file may grow to 1 KiB only: what could not be written is not measured, and not left. */
static void test_a_disk_that_takes_nothing_is_named(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {.rlim_cur = 1024, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const bool read = bench_machine_read(dir, &machine, error, sizeof(error));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_false(read);
    assert_non_null(strstr(error, dir));
    assert_non_null(strstr(error, "File too large"));
    assert_false(machine.flush_known);
    assert_int_equal(machine.cores, get_nprocs());
    assert_int_equal(files_in(dir), 0);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_machine_is_described, setup),
        cmocka_unit_test_setup(test_the_load_is_in_thousandths, setup),
        cmocka_unit_test_setup(test_flushes_are_measured_and_leave_nothing, setup),
        cmocka_unit_test_setup(test_a_directory_that_is_not_there_is_named, setup),
        cmocka_unit_test_setup(test_a_file_is_no_directory, setup),
        cmocka_unit_test_setup(test_a_path_that_is_too_long_is_said_to_be, setup),
        cmocka_unit_test_setup(test_a_disk_that_takes_nothing_is_named, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
