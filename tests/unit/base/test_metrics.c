/* The table, its arithmetic, and its Prometheus text. */
#include "base/metrics.h"
#include "tests/support/check.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct metrics metrics;

static void test_counters_add_and_gauges_move(void **state)
{
    (void)state;
    metric_add(&metrics, METRIC_REQUESTS, 2);
    metric_add(&metrics, METRIC_REQUESTS, 3);
    assert_int_equal(metric_get(&metrics, METRIC_REQUESTS), 5);
    metric_set(&metrics, METRIC_SESSIONS, 7);
    metric_add(&metrics, METRIC_SESSIONS, -3);
    assert_int_equal(metric_get(&metrics, METRIC_SESSIONS), 4);
    metric_set(&metrics, METRIC_SEQ, UINT64_MAX);
    assert_true(metric_get(&metrics, METRIC_SEQ) == UINT64_MAX);
}

static void test_names_tell_counters_from_gauges(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        const char *name = metric_name((enum metric)i);
        size_t size = strlen(name);
        bool total = size > 6 && strcmp(name + size - 6, "_total") == 0;
        assert_int_equal(total, metric_is_counter((enum metric)i));
        assert_int_equal(strncmp(name, "payledger_", 10), 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, metric_name((enum metric)j));
        }
    }
}

static void *add_many(void *data)
{
    for (int i = 0; i < 100000; i++) {
        metric_add(data, METRIC_FORWARDS, 1);
    }
    return NULL;
}

static void test_threads_lose_no_count(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, &metrics), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(metric_get(&metrics, METRIC_FORWARDS), 400000);
}

/* With PAYLEDGER_METRICS_FILE the text is kept, so that promtool can judge it. */
static void test_text_has_help_type_and_value_of_each(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 64 * 1024);
    metrics_render(&metrics, &out);
    assert_false(out.failed);
    assert_int_equal(out.data[out.size - 1], '\n');
    const char *path = getenv("PAYLEDGER_METRICS_FILE");
    if (path != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(out.data, 1, out.size, file), out.size);
        assert_int_equal(fclose(file), 0);
    }
    write_u8(&out, 0);
    const char *text = (const char *)out.data;
    assert_int_equal(strncmp(text,
                             "# HELP payledger_requests_total Requests received\n"
                             "# TYPE payledger_requests_total counter\n"
                             "payledger_requests_total 5\n",
                             115),
                     0);
    assert_non_null(strstr(text, "\n# TYPE payledger_sessions gauge\npayledger_sessions 4\n"));
    assert_non_null(strstr(text, "\npayledger_seq 18446744073709551615\n"));
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    assert_int_equal(lines, 3 * METRIC_COUNT);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_add_and_gauges_move),
        cmocka_unit_test(test_names_tell_counters_from_gauges),
        cmocka_unit_test(test_threads_lose_no_count),
        cmocka_unit_test(test_text_has_help_type_and_value_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
