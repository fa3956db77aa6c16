/*
 * A bounded queue between threads: many may push, one pops everything at once. The items are
 * intrusive list nodes; nothing is copied or allocated. Threads share no other mutable state.
 *
 * `wake` is called by the pusher, outside the lock, when the queue was empty before the push; it
 * must be thread-safe (uv_async_send, a condition variable). A reader that blocks uses queue_wait.
 *
 * A reader that can do nothing with some of its items for now need not wake for them: they are
 * pushed quietly, and do not end a queue_wait_loud.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/list.h"
#include "base/status.h"

#include <pthread.h>
#include <stdint.h>

typedef void (*queue_wake)(void *data);

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct list items;
    uint32_t count;
    uint32_t loud;  /* of them, not pushed quietly */
    bool wait_loud; /* the reader sleeps until there is a loud one */
    uint32_t count_max;
    uint64_t bytes;
    bool closed;
    queue_wake wake;
    void *wake_data;
};

/* wake may be NULL for a queue that is only waited on. */
enum status MUST_CHECK queue_init(struct queue *queue, uint32_t count_max, queue_wake wake,
                                  void *wake_data);
void queue_deinit(struct queue *queue);

/*
 * Adds an item that weighs `bytes`. STATUS_FULL where count_max is reached, STATUS_CLOSED after
 * queue_close: the caller keeps the item then.
 */
enum status MUST_CHECK queue_push(struct queue *queue, struct list *item, uint64_t bytes);

/* The same, but never full: for what can not be refused any more (applies, answers). */
void queue_push_always(struct queue *queue, struct list *item, uint64_t bytes);

/* The same, for an item that may wait for a loud one or the reader's timeout. */
void queue_push_quietly(struct queue *queue, struct list *item, uint64_t bytes);

/* As queue_push_always of each item, all at once; `items` is empty afterwards. */
void queue_push_list(struct queue *queue, struct list *items);

/* Moves all items to the end of `to` (initialised by the caller); returns their count. */
uint32_t queue_pop_all(struct queue *queue, struct list *to);

/* As queue_pop_all, but waits up to timeout_ms for the first item (-1: for ever). */
uint32_t queue_wait(struct queue *queue, struct list *to, int64_t timeout_ms);

/* The same, but only a loud item ends the wait early; quiet ones come with it. */
uint32_t queue_wait_loud(struct queue *queue, struct list *to, int64_t timeout_ms);

/* Later pushes are refused; a waiting reader wakes. Items inside stay until popped. */
void queue_close(struct queue *queue);

uint32_t queue_count(struct queue *queue);
uint64_t queue_bytes(struct queue *queue);

#endif
