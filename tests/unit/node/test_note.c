#include "node/note.h"

#include "base/limits.h"
#include "tests/support/check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct note_kind kind = {"note", "paylTEST"};
static const struct note_kind other = {"note", "paylELSE"};

struct place {
    char *dir;
    int fd;
};

static int setup(void **state)
{
    static struct place place;
    place.dir = test_dir_make();
    place.fd = open(place.dir, O_RDONLY | O_DIRECTORY);
    assert_true(place.fd >= 0);
    *state = &place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    (void)close(place->fd);
    test_dir_remove(place->dir);
    return 0;
}

static void check_holds(int fd, const char *wanted)
{
    struct buffer out;
    buffer_init(&out, NOTE_BYTES_MAX);
    check_ok(note_read(fd, &kind, &out));
    assert_int_equal(out.size, strlen(wanted));
    assert_true(out.size == 0 || memcmp(out.data, wanted, out.size) == 0);
    buffer_deinit(&out);
}

static enum status read_as(int fd, const struct note_kind *as)
{
    struct buffer out;
    buffer_init(&out, NOTE_BYTES_MAX);
    enum status status = note_read(fd, as, &out);
    buffer_deinit(&out);
    return status;
}

static void test_the_last_write_stays(void **state)
{
    struct place *place = *state;
    check_status(read_as(place->fd, &kind), STATUS_NOT_FOUND);
    check_ok(note_write(place->fd, &kind, "first", 5));
    check_holds(place->fd, "first");
    check_ok(note_write(place->fd, &kind, "2", 1));
    check_holds(place->fd, "2");
    check_ok(note_write(place->fd, &kind, "", 0));
    check_holds(place->fd, "");
    struct stat stat_buffer;
    assert_int_equal(fstatat(place->fd, "note.tmp", &stat_buffer, 0), -1);
    assert_int_equal(fstatat(place->fd, "note", &stat_buffer, 0), 0);
    assert_int_equal(stat_buffer.st_mode & 0777, 0600);
}

static void test_removed_is_gone(void **state)
{
    struct place *place = *state;
    check_ok(note_write(place->fd, &kind, "x", 1));
    check_ok(note_remove(place->fd, &kind));
    check_status(read_as(place->fd, &kind), STATUS_NOT_FOUND);
    check_ok(note_remove(place->fd, &kind));
}

static void test_other_kinds_and_long_files_are_damage(void **state)
{
    struct place *place = *state;
    check_ok(note_write(place->fd, &kind, "x", 1));
    check_status(read_as(place->fd, &other), STATUS_CORRUPT);
    int fd = openat(place->fd, "note", O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, NOTE_BYTES_MAX + 1), 0);
    check_status(read_as(place->fd, &kind), STATUS_CORRUPT);
    assert_int_equal(ftruncate(fd, 0), 0);
    check_status(read_as(place->fd, &kind), STATUS_CORRUPT);
    (void)close(fd);
}

static void test_a_failed_write_leaves_the_old_note(void **state)
{
    struct place *place = *state;
    check_ok(note_write(place->fd, &kind, "old", 3));
    assert_int_equal(mkdirat(place->fd, "note.tmp", 0700), 0);
    check_status(note_write(place->fd, &kind, "new", 3), STATUS_IO);
    check_holds(place->fd, "old");
}

static void test_a_link_is_not_followed(void **state)
{
    struct place *place = *state;
    assert_int_equal(symlinkat("/etc/hostname", place->fd, "note"), 0);
    check_status(read_as(place->fd, &kind), STATUS_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_last_write_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_kinds_and_long_files_are_damage, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_write_leaves_the_old_note, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_link_is_not_followed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
