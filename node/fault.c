#include "node/fault.h"

#include "base/check.h"
#include "base/log.h"

#include <signal.h>
#include <unistd.h>

/* Only what is safe in a signal handler: the thread may hold any lock. */
static void on_bus_error(int number)
{
    static const char text[] = "error disk: a page of the ledger's file can not be read: the disk "
                               "failed, or the file was cut\n";
    (void)number;
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written;
    _exit(EXIT_DISK);
}

void fault_watch(void)
{
    struct sigaction action = {.sa_handler = on_bus_error};
    sigemptyset(&action.sa_mask);
    int result = sigaction(SIGBUS, &action, NULL);
    assert(result == 0);
}
