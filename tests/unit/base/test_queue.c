/* Bounds, order and wake-ups, alone and with several threads. */
#include "base/clock.h"
#include "base/queue.h"
#include "tests/support/check.h"

#include <stdatomic.h>

struct item {
    struct list node;
    uint32_t pusher;
    uint32_t number;
};

static _Atomic int wakes;

static void count_wake(void *data)
{
    assert_ptr_equal(data, &wakes);
    atomic_fetch_add(&wakes, 1);
}

static void test_items_come_in_order_with_their_weight(void **state)
{
    (void)state;
    struct queue queue;
    struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct list taken;
    check_ok(queue_init(&queue, 10, NULL, NULL));
    for (uint32_t i = 0; i < 3; i++) {
        check_ok(queue_push(&queue, &items[i].node, 100 + i));
    }
    assert_int_equal(queue_count(&queue), 3);
    assert_int_equal(queue_bytes(&queue), 303);
    list_init(&taken);
    assert_int_equal(queue_pop_all(&queue, &taken), 3);
    assert_int_equal(queue_count(&queue), 0);
    assert_int_equal(queue_bytes(&queue), 0);
    uint32_t number = 0;
    LIST_FOREACH(node, &taken)
    {
        assert_int_equal(CONTAINER_OF(node, struct item, node)->number, number);
        number++;
    }
    assert_int_equal(number, 3);
    list_init(&taken);
    assert_int_equal(queue_pop_all(&queue, &taken), 0);
    queue_deinit(&queue);
}

static void test_full_refuses_but_always_does_not(void **state)
{
    (void)state;
    struct queue queue;
    struct item items[4];
    struct list taken;
    check_ok(queue_init(&queue, 2, NULL, NULL));
    check_ok(queue_push(&queue, &items[0].node, 1));
    check_ok(queue_push(&queue, &items[1].node, 1));
    check_status(queue_push(&queue, &items[2].node, 1), STATUS_FULL);
    queue_push_always(&queue, &items[3].node, 5);
    assert_int_equal(queue_count(&queue), 3);
    assert_int_equal(queue_bytes(&queue), 7);
    list_init(&taken);
    assert_int_equal(queue_pop_all(&queue, &taken), 3);
    check_ok(queue_push(&queue, &items[2].node, 1));
    queue_deinit(&queue);
}

static void test_only_the_first_push_wakes(void **state)
{
    (void)state;
    struct queue queue;
    struct item items[3];
    struct list taken;
    atomic_store(&wakes, 0);
    list_init(&taken);
    check_ok(queue_init(&queue, 10, count_wake, &wakes));
    check_ok(queue_push(&queue, &items[0].node, 0));
    check_ok(queue_push(&queue, &items[1].node, 0));
    assert_int_equal(atomic_load(&wakes), 1);
    (void)queue_pop_all(&queue, &taken);
    queue_push_always(&queue, &items[2].node, 0);
    assert_int_equal(atomic_load(&wakes), 2);
    queue_deinit(&queue);
}

static void test_a_list_comes_in_order_and_wakes_once(void **state)
{
    (void)state;
    struct queue queue;
    struct item items[3];
    struct list pushed;
    struct list taken;
    atomic_store(&wakes, 0);
    list_init(&pushed);
    list_init(&taken);
    check_ok(queue_init(&queue, 1, count_wake, &wakes)); /* its bound is for queue_push */
    queue_push_list(&queue, &pushed);
    assert_int_equal(atomic_load(&wakes), 0);
    for (uint32_t i = 0; i < 3; i++) {
        list_push(&pushed, &items[i].node);
    }
    queue_push_list(&queue, &pushed);
    assert_true(list_empty(&pushed));
    assert_int_equal(atomic_load(&wakes), 1);
    assert_int_equal(queue_pop_all(&queue, &taken), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_ptr_equal(list_pop(&taken), &items[i].node);
    }
    queue_deinit(&queue);
}

static void test_a_quiet_item_waits_for_a_loud_one(void **state)
{
    (void)state;
    struct queue queue;
    struct item items[3];
    struct list taken;
    atomic_store(&wakes, 0);
    list_init(&taken);
    check_ok(queue_init(&queue, 10, count_wake, &wakes));
    queue_push_quietly(&queue, &items[0].node, 1);
    assert_int_equal(atomic_load(&wakes), 1); /* nobody said that quiet ones can wait */
    uint64_t before_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(queue_wait_loud(&queue, &taken, 30), 1);
    assert_true(clock_monotonic_ms(clock_system()) - before_ms >= 29);
    queue_push_quietly(&queue, &items[1].node, 1);
    assert_int_equal(queue_wait(&queue, &taken, -1), 1);
    queue_push_quietly(&queue, &items[1].node, 1);
    queue_push_always(&queue, &items[2].node, 1);
    assert_int_equal(queue_wait_loud(&queue, &taken, -1), 2);
    queue_deinit(&queue);
}

static void *push_both(void *data)
{
    static struct item items[2];
    struct queue *queue = data;
    struct list nothing;
    struct queue sleep;
    list_init(&nothing);
    check_ok(queue_init(&sleep, 1, NULL, NULL));
    (void)queue_wait(&sleep, &nothing, 20); /* the reader sleeps by now, or finds both */
    queue_push_quietly(queue, &items[0].node, 0);
    (void)queue_wait(&sleep, &nothing, 20);
    queue_push_always(queue, &items[1].node, 0);
    queue_deinit(&sleep);
    return NULL;
}

static void test_a_sleeping_reader_wakes_for_a_loud_item_alone(void **state)
{
    (void)state;
    struct queue queue;
    struct list taken;
    pthread_t thread;
    list_init(&taken);
    check_ok(queue_init(&queue, 10, NULL, NULL));
    assert_int_equal(pthread_create(&thread, NULL, push_both, &queue), 0);
    assert_int_equal(queue_wait_loud(&queue, &taken, -1), 2);
    assert_int_equal(pthread_join(thread, NULL), 0);
    queue_deinit(&queue);
}

static void test_a_closed_queue_refuses_and_keeps_its_items(void **state)
{
    (void)state;
    struct queue queue;
    struct item items[2];
    struct list taken;
    check_ok(queue_init(&queue, 10, NULL, NULL));
    check_ok(queue_push(&queue, &items[0].node, 0));
    queue_close(&queue);
    check_status(queue_push(&queue, &items[1].node, 0), STATUS_CLOSED);
    list_init(&taken);
    assert_int_equal(queue_wait(&queue, &taken, -1), 1);
    assert_int_equal(queue_wait(&queue, &taken, -1), 0);
    queue_deinit(&queue);
}

static void test_waiting_ends_at_its_time(void **state)
{
    (void)state;
    struct queue queue;
    struct list taken;
    list_init(&taken);
    check_ok(queue_init(&queue, 10, NULL, NULL));
    uint64_t before_ms = clock_monotonic_ms(clock_system());
    assert_int_equal(queue_wait(&queue, &taken, 0), 0);
    assert_int_equal(queue_wait(&queue, &taken, 30), 0);
    uint64_t waited_ms = clock_monotonic_ms(clock_system()) - before_ms;
    assert_true(waited_ms >= 29 && waited_ms < 5000);
    queue_deinit(&queue);
}

static void *close_later(void *data)
{
    struct list nothing;
    struct queue sleep;
    list_init(&nothing);
    check_ok(queue_init(&sleep, 1, NULL, NULL));
    (void)queue_wait(&sleep, &nothing, 20);
    queue_deinit(&sleep);
    queue_close(data);
    return NULL;
}

static void test_closing_wakes_a_waiting_reader(void **state)
{
    (void)state;
    struct queue queue;
    struct list taken;
    pthread_t thread;
    list_init(&taken);
    check_ok(queue_init(&queue, 10, NULL, NULL));
    assert_int_equal(pthread_create(&thread, NULL, close_later, &queue), 0);
    assert_int_equal(queue_wait(&queue, &taken, -1), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    queue_deinit(&queue);
}

enum { PUSHERS = 4, ITEMS_EACH = 20000 };

struct pusher {
    struct queue *queue;
    struct item *items;
};

static void *push_all(void *data)
{
    struct pusher *pusher = data;
    for (uint32_t i = 0; i < ITEMS_EACH;) {
        enum status status = queue_push(pusher->queue, &pusher->items[i].node, 1);
        if (status == STATUS_OK) {
            i++;
        } else if (status != STATUS_FULL) {
            return data;
        }
    }
    return NULL;
}

static void test_many_pushers_lose_nothing_and_keep_their_order(void **state)
{
    (void)state;
    struct queue queue;
    struct pusher pushers[PUSHERS];
    pthread_t threads[PUSHERS];
    uint32_t next[PUSHERS] = {0};
    check_ok(queue_init(&queue, 100, NULL, NULL));
    for (uint32_t i = 0; i < PUSHERS; i++) {
        pushers[i].queue = &queue;
        pushers[i].items = calloc(ITEMS_EACH, sizeof(struct item));
        assert_non_null(pushers[i].items);
        for (uint32_t j = 0; j < ITEMS_EACH; j++) {
            pushers[i].items[j].pusher = i;
            pushers[i].items[j].number = j;
        }
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &pushers[i]), 0);
    }
    for (uint32_t sum = 0; sum < PUSHERS * ITEMS_EACH;) {
        struct list taken;
        list_init(&taken);
        uint32_t count = queue_wait(&queue, &taken, 10000);
        assert_in_range(count, 1, 100);
        sum += count;
        for (struct list *node = list_pop(&taken); node != NULL; node = list_pop(&taken)) {
            struct item *item = CONTAINER_OF(node, struct item, node);
            assert_int_equal(item->number, next[item->pusher]);
            next[item->pusher]++;
            count--;
        }
        assert_int_equal(count, 0);
    }
    for (uint32_t i = 0; i < PUSHERS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
        free(pushers[i].items);
    }
    queue_deinit(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_come_in_order_with_their_weight),
        cmocka_unit_test(test_full_refuses_but_always_does_not),
        cmocka_unit_test(test_only_the_first_push_wakes),
        cmocka_unit_test(test_a_list_comes_in_order_and_wakes_once),
        cmocka_unit_test(test_a_quiet_item_waits_for_a_loud_one),
        cmocka_unit_test(test_a_sleeping_reader_wakes_for_a_loud_item_alone),
        cmocka_unit_test(test_a_closed_queue_refuses_and_keeps_its_items),
        cmocka_unit_test(test_waiting_ends_at_its_time),
        cmocka_unit_test(test_closing_wakes_a_waiting_reader),
        cmocka_unit_test(test_many_pushers_lose_nothing_and_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
