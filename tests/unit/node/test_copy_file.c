/* The file that a copy comes into: what is in it, and how much of it waits for the disk. */
#include "node/copy_file.h"
#include "node/copy_form.h"
#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PART_BYTES = 1024 * 1024, PARTS = 40 };

static char *dir;
static char path[512];

/* What the disk was asked for. */
static off_t begun_bytes;  /* written or on the way, from the file's beginning */
static off_t waited_bytes; /* surely written */
static int fail_at;        /* the n-th call fails; 0: none */
static int calls;

int __wrap_sync_file_range(int fd, off_t offset, off_t size, unsigned flags);
int __wrap_sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
    assert_true(fd >= 0);
    calls++;
    if (calls == fail_at) {
        errno = EIO;
        return -1;
    }
    if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) != 0) {
        assert_true(offset <= waited_bytes);
        waited_bytes = offset + size;
    } else {
        assert_int_equal(offset, begun_bytes);
        begun_bytes = offset + size;
    }
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    dir = test_dir_make();
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    begun_bytes = waited_bytes = 0;
    fail_at = calls = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_dir_remove(dir);
    return 0;
}

static void size_and_digest_are_those_of_the_bytes(void **state)
{
    (void)state;
    struct copy_file *file = NULL;
    check_ok(copy_file_open(&file, path));
    check_ok(copy_file_write(file, "one and ", 8));
    check_ok(copy_file_write(file, "another", 7));
    uint64_t bytes = 0;
    struct digest digest;
    check_ok(copy_file_end(file, &bytes, &digest));
    copy_file_close(file);
    assert_int_equal(bytes, 15);
    const struct digest wanted = digest_of("one and another", 15);
    assert_true(digest_equal(&digest, &wanted));
    char text[32] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof(text)), 15);
    assert_int_equal(close(fd), 0);
    assert_memory_equal(text, "one and another", 15);
}

static void an_old_file_is_not_overwritten(void **state)
{
    (void)state;
    struct copy_file *file = NULL;
    check_ok(copy_file_open(&file, path));
    copy_file_close(file);
    check_status(copy_file_open(&file, path), STATUS_EXISTS);
    (void)snprintf(path, sizeof(path), "%s/none/data.mdb", dir);
    check_status(copy_file_open(&file, path), STATUS_IO);
}

static void little_waits_for_the_disk_at_any_time(void **state)
{
    (void)state;
    static const uint8_t zeros[PART_BYTES];
    struct copy_file *file = NULL;
    check_ok(copy_file_open(&file, path));
    for (int i = 1; i <= PARTS; i++) {
        check_ok(copy_file_write(file, zeros, sizeof(zeros)));
        const off_t written = (off_t)i * PART_BYTES;
        assert_true(written - begun_bytes < COPY_FLUSH_BYTES);
        assert_true(written - waited_bytes < 3 * (off_t)COPY_FLUSH_BYTES);
    }
    assert_true(waited_bytes > 0);
    copy_file_close(file);
}

static void a_disk_that_fails_meanwhile_is_noticed(void **state)
{
    (void)state;
    static const uint8_t zeros[3 * COPY_FLUSH_BYTES];
    for (int call = 1; call <= 3; call++) {
        struct copy_file *file = NULL;
        calls = 0;
        begun_bytes = waited_bytes = 0;
        fail_at = call;
        check_ok(copy_file_open(&file, path));
        check_status(copy_file_write(file, zeros, sizeof(zeros)), STATUS_IO);
        copy_file_close(file);
        assert_int_equal(unlink(path), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(size_and_digest_are_those_of_the_bytes),
        TEST(an_old_file_is_not_overwritten),
        TEST(little_waits_for_the_disk_at_any_time),
        TEST(a_disk_that_fails_meanwhile_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
