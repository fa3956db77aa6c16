/*
 * One mutex, held for a few pointer moves. The wake call comes after the unlock, so that the woken
 * thread does not run into the lock; the queue must therefore outlive the threads that push, which
 * their owner ensures by joining them before queue_deinit.
 */
#include "base/queue.h"

#include <errno.h>
#include <time.h>

static void queue_lock(struct queue *queue)
{
    int result = pthread_mutex_lock(&queue->lock);
    assert(result == 0);
}

static void queue_unlock(struct queue *queue)
{
    int result = pthread_mutex_unlock(&queue->lock);
    assert(result == 0);
}

enum status queue_init(struct queue *queue, uint32_t count_max, queue_wake wake, void *wake_data)
{
    assert(queue != NULL);
    assert(count_max > 0);
    *queue = (struct queue){.count_max = count_max, .wake = wake, .wake_data = wake_data};
    list_init(&queue->items);
    if (pthread_mutex_init(&queue->lock, NULL) != 0) {
        return STATUS_NO_MEMORY;
    }
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        goto destroy_lock;
    }
    /* Waits are measured on the clock that never jumps. */
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    assert(result == 0);
    result = pthread_cond_init(&queue->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    if (result != 0) {
        goto destroy_lock;
    }
    return STATUS_OK;

destroy_lock:
    pthread_mutex_destroy(&queue->lock);
    return STATUS_NO_MEMORY;
}

void queue_deinit(struct queue *queue)
{
    assert(queue != NULL);
    int result = pthread_cond_destroy(&queue->filled);
    assert(result == 0);
    result = pthread_mutex_destroy(&queue->lock);
    assert(result == 0);
}

/* Adds under the lock, unlocks, and wakes the reader where it may be asleep. */
static void queue_add_and_unlock(struct queue *queue, struct list *item, uint64_t bytes)
{
    bool was_empty = queue->count == 0;
    assert(was_empty == list_empty(&queue->items));
    list_push(&queue->items, item);
    queue->count++;
    queue->bytes += bytes;
    if (was_empty) {
        pthread_cond_signal(&queue->filled);
    }
    queue_unlock(queue);
    if (was_empty && queue->wake != NULL) {
        queue->wake(queue->wake_data);
    }
}

enum status queue_push(struct queue *queue, struct list *item, uint64_t bytes)
{
    assert(item != NULL);
    queue_lock(queue);
    if (queue->closed) {
        queue_unlock(queue);
        return STATUS_CLOSED;
    }
    if (queue->count >= queue->count_max) {
        queue_unlock(queue);
        return STATUS_FULL;
    }
    queue_add_and_unlock(queue, item, bytes);
    return STATUS_OK;
}

void queue_push_always(struct queue *queue, struct list *item, uint64_t bytes)
{
    assert(item != NULL);
    queue_lock(queue);
    assert(queue->count < UINT32_MAX);
    queue_add_and_unlock(queue, item, bytes);
}

static uint32_t queue_take(struct queue *queue, struct list *to)
{
    uint32_t count = queue->count;
    assert((count == 0) == list_empty(&queue->items));
    list_move_all(to, &queue->items);
    queue->count = 0;
    queue->bytes = 0;
    return count;
}

uint32_t queue_pop_all(struct queue *queue, struct list *to)
{
    assert(to != NULL);
    queue_lock(queue);
    uint32_t count = queue_take(queue, to);
    queue_unlock(queue);
    return count;
}

static struct timespec deadline_after_ms(int64_t timeout_ms)
{
    struct timespec deadline;
    int result = clock_gettime(CLOCK_MONOTONIC, &deadline);
    assert(result == 0);
    deadline.tv_sec += (time_t)(timeout_ms / 1000);
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    return deadline;
}

uint32_t queue_wait(struct queue *queue, struct list *to, int64_t timeout_ms)
{
    assert(to != NULL);
    assert(timeout_ms >= -1);
    struct timespec deadline = deadline_after_ms(timeout_ms < 0 ? 0 : timeout_ms);
    queue_lock(queue);
    while (queue->count == 0 && !queue->closed) {
        int result = timeout_ms < 0
                         ? pthread_cond_wait(&queue->filled, &queue->lock)
                         : pthread_cond_timedwait(&queue->filled, &queue->lock, &deadline);
        assert(result == 0 || result == ETIMEDOUT);
        if (result == ETIMEDOUT) {
            break;
        }
    }
    uint32_t count = queue_take(queue, to);
    queue_unlock(queue);
    return count;
}

void queue_close(struct queue *queue)
{
    queue_lock(queue);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    queue_unlock(queue);
}

uint32_t queue_count(struct queue *queue)
{
    queue_lock(queue);
    uint32_t count = queue->count;
    queue_unlock(queue);
    return count;
}

uint64_t queue_bytes(struct queue *queue)
{
    queue_lock(queue);
    uint64_t bytes = queue->bytes;
    queue_unlock(queue);
    return bytes;
}
