#include "base/process.h"

#include "base/check.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t process_cpu_us(void)
{
    struct rusage usage;
    int result = getrusage(RUSAGE_SELF, &usage);
    assert(result == 0);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

uint64_t process_memory_bytes(void)
{
    unsigned long long total = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    const bool read = fscanf(file, "%llu %llu", &total, &resident) == 2;
    (void)fclose(file);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    assert(page_bytes > 0);
    return read ? resident * (uint64_t)page_bytes : 0;
}

void process_render(struct buffer *out)
{
    const uint64_t cpu_us = process_cpu_us();
    assert(out != NULL);
    write_format(out,
                 "# HELP process_cpu_seconds_total CPU time of the process\n"
                 "# TYPE process_cpu_seconds_total counter\n"
                 "process_cpu_seconds_total %llu.%06llu\n",
                 (unsigned long long)(cpu_us / 1000000), (unsigned long long)(cpu_us % 1000000));
    write_format(out,
                 "# HELP process_resident_memory_bytes Resident memory of the process\n"
                 "# TYPE process_resident_memory_bytes gauge\n"
                 "process_resident_memory_bytes %llu\n",
                 (unsigned long long)process_memory_bytes());
}
