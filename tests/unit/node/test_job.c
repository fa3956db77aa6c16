#include "node/job.h"

#include "base/queue.h"
#include "gateway/worker.h"
#include "tests/support/check.h"

static struct admission admission;
static struct gateway_worker worker;
static struct call call;

static int set_up(void **state)
{
    (void)state;
    admission = (struct admission){0};
    worker = (struct gateway_worker){0};
    call = (struct call){.worker = &worker, .code = CODE_INTERNAL};
    list_init(&call.node);
    buffer_init(&call.answer, ANSWER_BYTES_MAX);
    check_ok(queue_init(&worker.answers, 16, NULL, NULL));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct list answers;
    list_init(&answers);
    (void)queue_pop_all(&worker.answers, &answers);
    queue_deinit(&worker.answers);
    buffer_deinit(&call.answer);
    return 0;
}

static struct job *make(void)
{
    struct job *job = job_make(JOB_EXECUTE, &admission, 77);
    assert_non_null(job);
    job->call = &call;
    return job;
}

static void jobs_and_bytes_are_counted(void **state)
{
    (void)state;
    struct job *job = make();
    assert_true(job->kind == JOB_EXECUTE && job->deadline_ns == 77);
    write_bytes(&job->bytes, "12345678", 8);
    atomic_fetch_add(&admission.bytes, job->bytes.size);
    assert_int_equal(atomic_load(&admission.jobs), 1);
    job_refuse(job, CODE_NO_LEADER);
    job_free(job);
    assert_int_equal(atomic_load(&admission.jobs), 0);
    assert_int_equal(atomic_load(&admission.bytes), 0);
    job_free(NULL);
}

static void there_is_room_up_to_the_bounds(void **state)
{
    (void)state;
    assert_true(admission_has_room(&admission, NODE_REQUEST_BYTES_MAX));
    assert_false(admission_has_room(&admission, (size_t)NODE_REQUEST_BYTES_MAX + 1));
    atomic_store(&admission.bytes, NODE_REQUEST_BYTES_MAX - 10);
    assert_true(admission_has_room(&admission, 10));
    assert_false(admission_has_room(&admission, 11));
    atomic_store(&admission.bytes, 0);
    atomic_store(&admission.jobs, NODE_REQUESTS_MAX - 1);
    assert_true(admission_has_room(&admission, 1));
    atomic_store(&admission.jobs, NODE_REQUESTS_MAX);
    assert_false(admission_has_room(&admission, 1));
}

static void a_copying_peer_or_a_full_queue_leaves_less_room(void **state)
{
    (void)state;
    atomic_store(&admission.slow, true);
    atomic_store(&admission.jobs, SLOW_REQUESTS_MAX - 1);
    assert_true(admission_has_room(&admission, 1));
    atomic_store(&admission.jobs, SLOW_REQUESTS_MAX);
    assert_false(admission_has_room(&admission, 1));
    atomic_store(&admission.slow, false);
    assert_true(admission_has_room(&admission, 1));
    atomic_store(&admission.full, true);
    assert_false(admission_has_room(&admission, 1));
}

static void a_refusal_has_a_code_and_a_pause(void **state)
{
    (void)state;
    struct job *job = make();
    job_refuse(job, CODE_NO_LEADER);
    assert_null(job->call);
    assert_int_equal(queue_count(&worker.answers), 1);
    assert_int_equal(call.code, CODE_NO_LEADER);
    assert_int_equal(call.retry_after_ms, REQUEST_RETRY_AFTER_MS);
    job_refuse(job, CODE_UNKNOWN); /* it has its answer */
    assert_int_equal(queue_count(&worker.answers), 1);
    assert_int_equal(call.code, CODE_NO_LEADER);
    job_free(job);
}

static void an_answer_carries_position_and_outcomes(void **state)
{
    (void)state;
    struct job *job = make();
    job->request.seq = 5;
    job->request.term = 6;
    job->request.time_ns = 7;
    job->request.outcomes_count = 2;
    buffer_init(&job->request.outcomes, ANSWER_BYTES_MAX);
    write_bytes(&job->request.outcomes, "outcomes", 8);
    job_answer(job);
    assert_null(job->call);
    assert_int_equal(queue_count(&worker.answers), 1);
    assert_true(call.code == CODE_OK && call.seq == 5 && call.term == 6 && call.time_ns == 7);
    assert_int_equal(call.outcomes_count, 2);
    assert_int_equal(call.answer.size, 8);
    assert_memory_equal(call.answer.data, "outcomes", 8);
    job_answer(job); /* nobody waits any more */
    assert_int_equal(queue_count(&worker.answers), 1);
    job_free(job);
}

static void a_request_refused_whole_is_refused(void **state)
{
    (void)state;
    struct job *job = make();
    job->request.code = CODE_BATCH_TOO_LARGE;
    job->request.outcomes_count = 2;
    job_answer(job);
    assert_int_equal(call.code, CODE_BATCH_TOO_LARGE);
    assert_int_equal(call.outcomes_count, 0);
    assert_int_equal(call.answer.size, 0);
    job_free(job);
}

static void a_freed_job_leaves_its_lists(void **state)
{
    (void)state;
    struct list jobs;
    struct list deadlines;
    list_init(&jobs);
    list_init(&deadlines);
    struct job *job = job_make(JOB_READ, &admission, 1);
    assert_non_null(job);
    list_push(&jobs, &job->node);
    list_push(&deadlines, &job->deadline_node);
    job_free(job);
    assert_true(list_empty(&jobs) && list_empty(&deadlines));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct job *window_job(void)
{
    struct job *job = job_make(JOB_EXECUTE, &admission, 77);
    assert_non_null(job);
    admission_window_enter(job);
    return job;
}

static void the_window_is_halved_and_grows_with_answers(void **state)
{
    (void)state;
    enum { COUNT = 4 * WINDOW_REQUESTS_MIN };
    static struct job *jobs[COUNT];
    admission_init(&admission);
    for (uint32_t i = 0; i < COUNT; i++) {
        jobs[i] = window_job();
    }
    assert_true(admission_window_open(&admission));
    const uint64_t now_ns = 1000000000;
    admission_window_cut(&admission, now_ns);
    assert_false(admission_window_open(&admission));
    admission_window_cut(&admission, now_ns + WINDOW_CUT_MS * UINT64_C(1000000) - 1);
    for (uint32_t i = 0; i < COUNT / 2; i++) {
        assert_false(admission_window_open(&admission));
        job_free(jobs[i]);
    }
    assert_false(admission_window_open(&admission)); /* half of them, and cut once only */
    for (uint32_t i = 0; i < WINDOW_GROWTH; i++) {
        assert_false(admission_window_open(&admission));
        struct job *job = jobs[COUNT / 2 + i];
        job->call = &call;
        job_answer(job);
        struct list answers;
        list_init(&answers);
        assert_int_equal(queue_pop_all(&worker.answers, &answers), 1);
        list_remove(&call.node);
    }
    assert_true(admission_window_open(&admission));
    for (uint32_t cut = 1; cut < 8; cut++) {
        admission_window_cut(&admission, now_ns + cut * WINDOW_CUT_MS * UINT64_C(1000000));
    }
    for (uint32_t i = COUNT / 2; i < COUNT - WINDOW_REQUESTS_MIN + 1; i++) {
        assert_false(admission_window_open(&admission));
        job_free(jobs[i]);
    }
    assert_true(admission_window_open(&admission));
    for (uint32_t i = COUNT - WINDOW_REQUESTS_MIN + 1; i < COUNT; i++) {
        job_free(jobs[i]);
    }
    assert_int_equal(atomic_load(&admission.window_used), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(jobs_and_bytes_are_counted),
        TEST(there_is_room_up_to_the_bounds),
        TEST(a_copying_peer_or_a_full_queue_leaves_less_room),
        TEST(a_refusal_has_a_code_and_a_pause),
        TEST(an_answer_carries_position_and_outcomes),
        TEST(a_request_refused_whole_is_refused),
        TEST(a_freed_job_leaves_its_lists),
        TEST(the_window_is_halved_and_grows_with_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
