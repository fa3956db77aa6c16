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

/* Unlocks, and wakes the reader where it may be asleep. */
static void queue_unlock_and_wake(struct queue *queue, bool wakes)
{
    queue_unlock(queue);
    if (!wakes) {
        return;
    }
    pthread_cond_signal(&queue->filled);
    if (queue->wake != NULL) {
        queue->wake(queue->wake_data);
    }
}

static void queue_add(struct queue *queue, struct list *item, uint64_t bytes)
{
    assert((queue->count == 0) == list_empty(&queue->items));
    assert(queue->count < UINT32_MAX);
    list_push(&queue->items, item);
    queue->count++;
    queue->bytes += bytes;
}

static void queue_add_and_unlock(struct queue *queue, struct list *item, uint64_t bytes)
{
    queue_add(queue, item, bytes);
    queue_unlock_and_wake(queue, queue->loud++ == 0);
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
    queue_add_and_unlock(queue, item, bytes);
}

void queue_push_quietly(struct queue *queue, struct list *item, uint64_t bytes)
{
    assert(item != NULL);
    queue_lock(queue);
    bool wakes = queue->count == 0 && !queue->wait_loud;
    queue_add(queue, item, bytes);
    queue_unlock_and_wake(queue, wakes);
}

void queue_push_list(struct queue *queue, struct list *items)
{
    assert(items != NULL);
    if (list_empty(items)) {
        return;
    }
    queue_lock(queue);
    bool wakes = queue->loud == 0;
    for (struct list *item = list_pop(items); item != NULL; item = list_pop(items)) {
        queue_add(queue, item, 0);
        queue->loud++;
    }
    queue_unlock_and_wake(queue, wakes);
}

static uint32_t queue_take(struct queue *queue, struct list *to)
{
    uint32_t count = queue->count;
    assert((count == 0) == list_empty(&queue->items));
    list_move_all(to, &queue->items);
    queue->count = 0;
    queue->loud = 0;
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

static uint32_t queue_wait_for(struct queue *queue, struct list *to, int64_t timeout_ms, bool loud)
{
    assert(to != NULL);
    assert(timeout_ms >= -1);
    struct timespec deadline = deadline_after_ms(timeout_ms < 0 ? 0 : timeout_ms);
    queue_lock(queue);
    queue->wait_loud = loud;
    while ((loud ? queue->loud : queue->count) == 0 && !queue->closed) {
        int result = timeout_ms < 0
                         ? pthread_cond_wait(&queue->filled, &queue->lock)
                         : pthread_cond_timedwait(&queue->filled, &queue->lock, &deadline);
        assert(result == 0 || result == ETIMEDOUT);
        if (result == ETIMEDOUT) {
            break;
        }
    }
    queue->wait_loud = false;
    uint32_t count = queue_take(queue, to);
    queue_unlock(queue);
    return count;
}

uint32_t queue_wait(struct queue *queue, struct list *to, int64_t timeout_ms)
{
    return queue_wait_for(queue, to, timeout_ms, false);
}

uint32_t queue_wait_loud(struct queue *queue, struct list *to, int64_t timeout_ms)
{
    return queue_wait_for(queue, to, timeout_ms, true);
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
