#include "node/job.h"

#include <stdlib.h>

bool admission_has_room(const struct admission *admission, size_t bytes)
{
    uint32_t jobs_max = atomic_load(&admission->slow) ? SLOW_REQUESTS_MAX : NODE_REQUESTS_MAX;
    return !atomic_load(&admission->full) && atomic_load(&admission->jobs) < jobs_max &&
           atomic_load(&admission->bytes) + bytes <= NODE_REQUEST_BYTES_MAX;
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
    atomic_fetch_sub(&job->admission->jobs, 1);
    atomic_fetch_sub(&job->admission->bytes, job->bytes.size);
    buffer_deinit(&job->bytes);
    buffer_deinit(&job->request.outcomes);
    free(job);
}
