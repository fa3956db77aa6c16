#include "tests/support/child.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int child_main(void (*body)(void *data), void *data, const char *dir, const int ends[2])
{
    if (setenv("TMPDIR", dir, 1) != 0 || dup2(ends[1], STDERR_FILENO) < 0) {
        _exit(1);
    }
    close(ends[0]);
    close(ends[1]);
    alarm(60); /* a body that hangs is a failure, not a hanging test */
    body(data);
    _exit(CHILD_RETURNED);
}

int child_run(void (*body)(void *data), void *data, char *output, size_t output_size)
{
    int ends[2];
    assert_true(output_size > 0);
    assert_int_equal(pipe(ends), 0);
    char *dir = test_dir_make();
    (void)fflush(stdout);
    (void)fflush(stderr);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        child_main(body, data, dir, ends);
    }
    close(ends[1]);
    size_t size = 0;
    char rest[4096];
    for (;;) {
        size_t room = output_size - 1 - size;
        ssize_t count =
            room > 0 ? read(ends[0], output + size, room) : read(ends[0], rest, sizeof rest);
        if (count <= 0) {
            break;
        }
        size += room > 0 ? (size_t)count : 0;
    }
    output[size] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    test_dir_remove(dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_SIGNAL + WTERMSIG(status);
}
