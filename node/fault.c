#include "node/fault.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"
#include "node/datadir.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* A signal handler has no other way to know. */
static volatile sig_atomic_t mark_fd = -1;
static _Atomic uint64_t log_index;
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a signal handler reads it");
static _Thread_local volatile sig_atomic_t suspected;
static struct sigaction before_segv;
static struct sigaction before_abort;

/* Only what is safe in a signal handler: the thread may hold any lock. */
static void mark(void)
{
    if (mark_fd < 0) {
        return;
    }
    const int fd = openat((int)mark_fd, DATADIR_DAMAGED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        const uint64_t index = atomic_load(&log_index);
        uint8_t bytes[DATADIR_MARK_BYTES];
        put_u64(bytes, index);
        put_u64(bytes + 8, ~index);
        const ssize_t written = write(fd, bytes, sizeof(bytes));
        (void)written; /* without it the mark is still one */
        (void)fsync(fd);
        (void)fsync((int)mark_fd);
    }
}

static void say(const char *text, size_t size)
{
    const ssize_t written = write(STDERR_FILENO, text, size);
    (void)written;
}

static void on_bus_error(int number)
{
    static const char text[] = "error disk: a page of the ledger's file can not be read: the disk "
                               "failed, or the file was cut\n";
    (void)number;
    mark();
    say(text, sizeof(text) - 1);
    _exit(EXIT_DISK);
}

static void handle(int number, void (*handler)(int number), struct sigaction *before)
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    const int result = sigaction(number, &action, before);
    assert(result == 0);
}

static void on_crash(int number)
{
    static const char text[] = "error disk: reading the ledger's file ended in a crash: it is "
                               "damaged\n";
    if (suspected != 0) {
        mark();
        say(text, sizeof(text) - 1);
        _exit(mark_fd < 0 ? EXIT_DATA : EXIT_DISK); /* another start is of use only with a mark */
    }
    (void)sigaction(number, number == SIGSEGV ? &before_segv : &before_abort, NULL);
    (void)raise(number);
}

void fault_watch(void)
{
    handle(SIGBUS, on_bus_error, NULL);
    handle(SIGSEGV, on_crash, &before_segv);
    handle(SIGABRT, on_crash, &before_abort);
}

void fault_mark_in(int dir_fd)
{
    mark_fd = dir_fd;
}

void fault_log_index(uint64_t index)
{
    if (index > atomic_load(&log_index)) {
        atomic_store(&log_index, index);
    }
}

void fault_suspect(bool ledger)
{
    suspected = ledger;
}
