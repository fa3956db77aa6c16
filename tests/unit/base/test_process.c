#include "base/process.h"

#include "tests/support/check.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BURN_US = 60000, SLACK_US = 20000, MAP_BYTES = 64 * 1024 * 1024 };

static uint64_t clock_us(clockid_t clock)
{
    struct timespec time;
    assert_int_equal(clock_gettime(clock, &time), 0);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* Works until this thread has had so much of a CPU, however long that takes. */
static void *burn(void *data)
{
    const uint64_t begin_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
    while (clock_us(CLOCK_THREAD_CPUTIME_ID) - begin_us < BURN_US) {
    }
    return data;
}

static void test_cpu_time_is_that_of_all_threads(void **state)
{
    (void)state;
    pthread_t threads[2];
    const uint64_t begin_us = process_cpu_us();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, burn, NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    const uint64_t used_us = process_cpu_us() - begin_us;
    assert_true(used_us + SLACK_US >= 2 * (uint64_t)BURN_US);
}

/* The kernel's other account of the same, taken before and after; seconds count as well. */
static void test_cpu_time_is_in_microseconds(void **state)
{
    (void)state;
    struct rusage usage;
    do {
        (void)burn(NULL);
        assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    } while (usage.ru_utime.tv_sec == 0 && usage.ru_stime.tv_sec == 0);
    const uint64_t before_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t found_us = process_cpu_us();
    const uint64_t after_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    assert_true(found_us + SLACK_US >= before_us);
    assert_true(found_us <= after_us + SLACK_US);
}

static void test_memory_counts_what_is_resident(void **state)
{
    (void)state;
    const uint64_t before = process_memory_bytes();
    assert_true(before > 0);
    uint8_t *pages =
        mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    /* Mapped is not resident. The kernel counts in steps of up to 64 pages a CPU. */
    assert_true(process_memory_bytes() < before + MAP_BYTES / 2);
    memset(pages, 1, MAP_BYTES);
    const uint64_t after = process_memory_bytes();
    assert_true(after >= before + MAP_BYTES - MAP_BYTES / 16);
    assert_int_equal(after % (uint64_t)sysconf(_SC_PAGESIZE), 0);
    assert_int_equal(munmap(pages, MAP_BYTES), 0);
    assert_true(process_memory_bytes() < before + MAP_BYTES / 2);
}

static void test_text_is_what_prometheus_reads(void **state)
{
    (void)state;
    struct buffer out;
    char name[64];
    char type[16];
    unsigned long long seconds = 0;
    unsigned long long micros = 0;
    unsigned long long bytes = 0;
    buffer_init(&out, 4096);
    const uint64_t begin_us = process_cpu_us();
    process_render(&out);
    const uint64_t end_us = process_cpu_us();
    assert_false(out.failed);
    write_u8(&out, 0);
    const char *text = (const char *)out.data;
    const char *line = strstr(text, "\n# TYPE ");
    assert_int_equal(strncmp(text, "# HELP process_cpu_seconds_total ", 33), 0);
    assert_non_null(line);
    assert_int_equal(sscanf(line, "\n# TYPE %63s %15s\nprocess_cpu_seconds_total %llu.%6llu\n",
                            name, type, &seconds, &micros),
                     4);
    assert_string_equal(name, "process_cpu_seconds_total");
    assert_string_equal(type, "counter");
    /* Six decimals, with the zeros in front: 0.002345, not 0.2345. */
    const char *point = strchr(strstr(line, "total counter\n"), '.');
    assert_non_null(point);
    assert_int_equal(strspn(point + 1, "0123456789"), 6);
    const uint64_t told_us = seconds * 1000000 + micros;
    assert_true(told_us >= begin_us && told_us <= end_us);
    line = strstr(text, "\n# TYPE process_resident_memory_bytes gauge\n");
    assert_non_null(line);
    assert_int_equal(sscanf(line,
                            "\n# TYPE process_resident_memory_bytes gauge\n"
                            "process_resident_memory_bytes %llu\n",
                            &bytes),
                     1);
    assert_true(bytes > 0);
    assert_int_equal(out.data[out.size - 2], '\n');
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_what_prometheus_reads), /* first: a few milliseconds */
        cmocka_unit_test(test_cpu_time_is_that_of_all_threads),
        cmocka_unit_test(test_cpu_time_is_in_microseconds),
        cmocka_unit_test(test_memory_counts_what_is_resident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
