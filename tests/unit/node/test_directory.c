#include "node/directory.h"

#include "tests/support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_parents_are_made(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/a//b/c/", dir);
    assert_true(directory_make_all(path));
    assert_true(directory_make_all(path));
    check_ok(directory_empty(path));
    struct stat stat_buffer;
    assert_int_equal(stat(path, &stat_buffer), 0);
    assert_int_equal(stat_buffer.st_mode & 0777, 0700);
    (void)snprintf(path, sizeof(path), "%s/a", dir);
    check_status(directory_empty(path), STATUS_EXISTS);
    (void)snprintf(path, sizeof(path), "%s/none", dir);
    check_status(directory_empty(path), STATUS_IO);
    test_dir_remove(dir);
}

static void test_a_file_in_the_way_is_an_error(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)snprintf(path, sizeof(path), "%s/file/below", dir);
    assert_false(directory_make_all(path));
    test_dir_remove(dir);
}

static void test_one_lock_at_a_time(void **state)
{
    (void)state;
    char *dir = test_dir_make();
    char error[256] = "";
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    int first = -1;
    int second = -1;
    check_ok(directory_lock(fd, dir, &first, error, sizeof(error)));
    check_status(directory_lock(fd, dir, &second, error, sizeof(error)), STATUS_LOCKED);
    char holder[64];
    (void)snprintf(holder, sizeof(holder), "in use by process %ld", (long)getpid());
    assert_non_null(strstr(error, holder));
    assert_int_equal(second, -1);
    (void)close(first);
    check_ok(directory_lock(fd, dir, &second, error, sizeof(error)));
    (void)close(second);
    (void)close(fd);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parents_are_made),
        cmocka_unit_test(test_a_file_in_the_way_is_an_error),
        cmocka_unit_test(test_one_lock_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
