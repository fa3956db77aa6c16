#include "node/job.h"

#include <stdlib.h>

bool admission_has_room(const struct admission *admission, size_t bytes)
{
    uint32_t jobs_max = atomic_load(&admission->slow) ? SLOW_REQUESTS_MAX : NODE_REQUESTS_MAX;
    return !atomic_load(&admission->full) && atomic_load(&admission->jobs) < jobs_max &&
           atomic_load(&admission->bytes) + bytes <= NODE_REQUEST_BYTES_MAX;
}

void admission_init(struct admission *admission)
{
    *admission = (struct admission){.window_parts = NODE_REQUESTS_MAX * WINDOW_GROWTH};
}

static uint32_t window_size(const struct admission *admission)
{
    return atomic_load(&admission->window_parts) / WINDOW_GROWTH;
}

bool admission_window_open(const struct admission *admission)
{
    return atomic_load(&admission->window_used) < window_size(admission);
}

void admission_window_cut(struct admission *admission, uint64_t now_ns)
{
    uint64_t last_ns = atomic_load(&admission->window_cut_ns);
    const uint64_t period_ns = WINDOW_CUT_MS * UINT64_C(1000000);
    /* What was under way at the last cut is refused too, and says nothing new. */
    if ((last_ns != 0 && now_ns - last_ns < period_ns) ||
        !atomic_compare_exchange_strong(&admission->window_cut_ns, &last_ns, now_ns)) {
        return;
    }
    const uint32_t used = atomic_load(&admission->window_used);
    const uint32_t size = window_size(admission);
    const uint32_t half = (used < size ? used : size) / 2;
    const uint32_t cut = half > WINDOW_REQUESTS_MIN ? half : WINDOW_REQUESTS_MIN;
    atomic_store(&admission->window_parts, cut * WINDOW_GROWTH);
}

void admission_window_enter(struct job *job)
{
    assert(!job->in_window);
    job->in_window = true;
    atomic_fetch_add(&job->admission->window_used, 1);
}

/* Two threads that meet here may grow it by one less or more than they should, which is no harm. */
static void window_grow(struct admission *admission)
{
    const uint32_t parts = atomic_load(&admission->window_parts);
    if (parts < NODE_REQUESTS_MAX * WINDOW_GROWTH) {
        atomic_store(&admission->window_parts, parts + 1);
    }
}

struct job *job_make(enum job_kind kind, struct admission *admission, uint64_t deadline_ns)
{
    assert(admission != NULL);
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return NULL;
    }
    job->kind = kind;
    job->admission = admission;
    job->deadline_ns = deadline_ns;
    list_init(&job->node);
    list_init(&job->deadline_node);
    list_init(&job->reads);
    buffer_init(&job->bytes, REQUEST_BYTES_MAX);
    atomic_fetch_add(&admission->jobs, 1);
    return job;
}

static void job_release_call(struct job *job, struct call *call)
{
    assert(job->call == call);
    job->call = NULL;
    gateway_answer(call);
}

void job_refuse(struct job *job, enum code code)
{
    assert(code != CODE_OK);
    struct call *call = job->call;
    if (call == NULL) {
        return;
    }
    call->code = code;
    call->retry_after_ms = REQUEST_RETRY_AFTER_MS;
    job_release_call(job, call);
}

void job_answer(struct job *job)
{
    struct call *call = job->call;
    if (call == NULL) {
        return;
    }
    const struct ledger_request *request = &job->request;
    if (request->code != CODE_OK) {
        job_refuse(job, request->code);
        return;
    }
    if (job->in_window) {
        window_grow(job->admission);
    }
    call->code = CODE_OK;
    call->seq = request->seq;
    call->term = request->term;
    call->time_ns = request->time_ns;
    call->outcomes_count = request->outcomes_count;
    buffer_swap(&call->answer, &job->request.outcomes);
    job_release_call(job, call);
}

void job_by_deadline(struct list *deadlines, struct job *job)
{
    struct list *after = deadlines->previous;
    while (after != deadlines &&
           CONTAINER_OF(after, struct job, deadline_node)->deadline_ns > job->deadline_ns) {
        after = after->previous;
    }
    list_push(after->next, &job->deadline_node); /* before the one that is later */
}

void job_free(struct job *job)
{
    if (job == NULL) {
        return;
    }
    assert(job->call == NULL);
    assert(list_empty(&job->reads));
    list_remove(&job->node);
    list_remove(&job->deadline_node);
    if (job->in_window) {
        atomic_fetch_sub(&job->admission->window_used, 1);
    }
    atomic_fetch_sub(&job->admission->jobs, 1);
    atomic_fetch_sub(&job->admission->bytes, job->bytes.size);
    buffer_deinit(&job->bytes);
    buffer_deinit(&job->request.outcomes);
    free(job);
}
