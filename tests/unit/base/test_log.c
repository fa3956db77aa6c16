/* What log lines look like on standard error, and how fail_stop ends a process. */
#include "base/limits.h"
#include "base/log.h"
#include "tests/support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Standard error of `body`, run in a child process, and the child's exit status. */
static int captured(void (*body)(void), char *text, size_t text_size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        body();
        _exit(0);
    }
    (void)close(ends[1]);
    size_t size = 0;
    ssize_t count = 0;
    do {
        count = read(ends[0], text + size, text_size - 1 - size);
        size += count > 0 ? (size_t)count : 0;
    } while (count > 0);
    text[size] = '\0';
    (void)close(ends[0]);
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void log_one(void)
{
    errno = EDOM;
    log_info("core", "became leader term=%d node=%d", 12, 1);
    if (errno != EDOM) {
        _exit(1);
    }
}

static void test_a_line_has_time_level_part_and_text(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(captured(log_one, text, sizeof text), 0);
    assert_int_equal(strlen(text), strlen("2026-11-23T10:15:30.201Z info  core: became leader "
                                          "term=12 node=1\n"));
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[23], 'Z');
    assert_string_equal(text + 24, " info  core: became leader term=12 node=1\n");
}

static void log_levels(void)
{
    log_debug("a", "1");
    log_set_level(LOG_DEBUG);
    log_debug("a", "2");
    log_set_level(LOG_ERROR);
    log_warn("a", "3");
    log_error("a", "4");
}

static void test_lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(captured(log_levels, text, sizeof text), 0);
    assert_null(strstr(text, "1\n"));
    assert_non_null(strstr(text, " debug a: 2\n"));
    assert_null(strstr(text, "3\n"));
    assert_non_null(strstr(text, " error a: 4\n"));
}

static void log_foreign(void)
{
    log_warn("gateway", "bad name=%s", "x\n2026 error core: forged\x1b[31m\r\t\x7f");
}

static void test_foreign_text_stays_on_its_line(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(captured(log_foreign, text, sizeof text), 0);
    assert_string_equal(text + 24, " warn  gateway: bad name=x?2026 error core: forged?[31m???\n");
}

static void log_long(void)
{
    char words[3 * LOG_LINE_BYTES_MAX];
    memset(words, 'w', sizeof words);
    words[sizeof words - 1] = '\0';
    log_info("part", "%s", words);
    log_info("part", "next");
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    char text[4 * LOG_LINE_BYTES_MAX];
    assert_int_equal(captured(log_long, text, sizeof text), 0);
    char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_int_equal(end - text, LOG_LINE_BYTES_MAX - 1);
    assert_memory_equal(end - 4, "w...", 4);
    assert_non_null(strstr(end, "part: next\n"));
}

static void handler(void)
{
    (void)fputs("handler ran\n", stderr);
}

static void stop(void)
{
    (void)atexit(handler);
    fail_stop(EXIT_DISK, "ledger", "fsync %s failed", "data.mdb");
}

static void test_fail_stop_says_why_and_runs_no_handlers(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(captured(stop, text, sizeof text), EXIT_DISK);
    assert_string_equal(text + 24, " error ledger: fsync data.mdb failed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_time_level_part_and_text),
        cmocka_unit_test(test_lines_below_the_level_are_dropped),
        cmocka_unit_test(test_foreign_text_stays_on_its_line),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_fail_stop_says_why_and_runs_no_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
