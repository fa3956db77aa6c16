#include "client/bench_machine.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The value of the first "model name" of /proc/cpuinfo. */
static void cpu_read(char *cpu, size_t cpu_size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    (void)snprintf(cpu, cpu_size, "unknown");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *value = strstr(line, ": ");
        if (strncmp(line, "model name", strlen("model name")) == 0 && value != NULL) {
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(cpu, cpu_size, "%.*s", (int)cpu_size - 1, value + 2);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static uint32_t load_read(void)
{
    double load = 0;
    return getloadavg(&load, 1) == 1 ? (uint32_t)(load * 1000) : 0;
}

/* A short write is followed by another, which says why. */
static bool write_front(int file, const uint8_t *bytes, size_t size)
{
    size_t written = 0;
    while (written < size) {
        const ssize_t part = pwrite(file, bytes + written, size - written, (off_t)written);
        if (part <= 0) {
            return false;
        }
        written += (size_t)part;
    }
    return true;
}

/* Overwrites the same bytes, as a log that was made beforehand. */
static bool flush_measure(int file, struct histogram *flush_us)
{
    uint8_t bytes[BENCH_FLUSH_BYTES];
    memset(bytes, 0x5a, sizeof(bytes));
    if (!write_front(file, bytes, sizeof(bytes)) || fsync(file) != 0) {
        return false;
    }
    for (int i = 0; i < BENCH_FLUSH_COUNT; i++) {
        bytes[0] = (uint8_t)i;
        const uint64_t begin_ns = clock_monotonic_ns(clock_system());
        if (!write_front(file, bytes, sizeof(bytes)) || fdatasync(file) != 0) {
            return false;
        }
        histogram_add(flush_us, (clock_monotonic_ns(clock_system()) - begin_ns) / 1000);
    }
    return true;
}

static bool flush_read(const char *dir, struct bench_machine *machine, char *error,
                       size_t error_size)
{
    char path[4096];
    const int size = snprintf(path, sizeof(path), "%s/payledger-flush-XXXXXX", dir);
    errno = ENAMETOOLONG; /* unless the system says something else */
    const int file = size > 0 && (size_t)size < sizeof(path) ? mkostemp(path, O_CLOEXEC) : -1;
    if (file < 0) {
        (void)snprintf(error, error_size, "--flush-dir %.200s: %s", dir, strerror(errno));
        return false;
    }
    machine->flush_known = flush_measure(file, &machine->flush_us);
    if (!machine->flush_known) {
        (void)snprintf(error, error_size, "%.200s: %s", path, strerror(errno));
    }
    (void)close(file);
    (void)unlink(path);
    return machine->flush_known;
}

bool bench_machine_read(const char *flush_dir, struct bench_machine *machine, char *error,
                        size_t error_size)
{
    struct utsname name;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    assert(cores > 0 && page_bytes > 0);
    cpu_read(machine->cpu, sizeof(machine->cpu));
    machine->cores = (uint32_t)cores;
    machine->memory_bytes = pages > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    if (uname(&name) == 0) {
        (void)snprintf(machine->kernel, sizeof(machine->kernel), "%.50s %.100s", name.sysname,
                       name.release);
    }
    machine->load_milli = load_read();
    return flush_dir == NULL || flush_read(flush_dir, machine, error, error_size);
}
