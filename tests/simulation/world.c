#include "tests/simulation/world.h"

#include "base/check.h"
#include "tests/simulation/process.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct event {
    uint64_t at_ns;
    uint64_t tie; /* chance decides between events of the same time */
    struct process *process;
    uint32_t life;
    const struct process *paused; /* whose pause it waits for */
    void (*run)(void *data);
    void *data;
};

/* A binary heap: the next event is the first. */
static struct {
    struct event *events;
    size_t count;
    size_t capacity;
} queue;

struct world world;

/* ---- chance -------------------------------------------------------------------------------- */

void dice_seed(struct dice *dice, uint64_t seed)
{
    dice->state = seed;
    (void)dice_next(dice);
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
uint64_t dice_next(struct dice *dice)
{
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = dice->state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

uint64_t dice_below(struct dice *dice, uint64_t bound)
{
    return bound == 0 ? 0 : dice_next(dice) % bound;
}

uint64_t dice_between(struct dice *dice, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + dice_below(dice, high - low + 1);
}

bool dice_chance(struct dice *dice, uint32_t percent)
{
    return dice_below(dice, 100) < percent;
}

/* ---- events -------------------------------------------------------------------------------- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->tie < b->tie);
}

static void swap(struct event *a, struct event *b)
{
    struct event kept = *a;
    *a = *b;
    *b = kept;
}

static void push(struct event event)
{
    if (queue.count == queue.capacity) {
        queue.capacity = queue.capacity == 0 ? 1024 : 2 * queue.capacity;
        queue.events = realloc(queue.events, queue.capacity * sizeof(*queue.events));
        assert(queue.events != NULL);
    }
    size_t at = queue.count++;
    queue.events[at] = event;
    while (at > 0 && is_before(&queue.events[at], &queue.events[(at - 1) / 2])) {
        swap(&queue.events[at], &queue.events[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

void world_after_pause(const struct process *process, void (*run)(void *data), void *data)
{
    push((struct event){.at_ns = process->paused_until_ns,
                        .tie = dice_next(&world.dice),
                        .paused = process,
                        .run = run,
                        .data = data});
}

static void sink(size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < queue.count; child++) {
            least = is_before(&queue.events[child], &queue.events[least]) ? child : least;
        }
        if (least == at) {
            return;
        }
        swap(&queue.events[at], &queue.events[least]);
        at = least;
    }
}

static struct event pop(void)
{
    assert(queue.count > 0);
    struct event first = queue.events[0];
    queue.events[0] = queue.events[--queue.count];
    sink(0);
    return first;
}

void world_after(uint64_t delay_ns, struct process *process, void (*run)(void *data), void *data)
{
    push((struct event){.at_ns = world.now_ns + delay_ns,
                        .tie = dice_next(&world.dice),
                        .process = process,
                        .life = process == NULL ? 0 : process->life,
                        .run = run,
                        .data = data});
}

void world_resume(const struct process *process)
{
    for (size_t i = 0; i < queue.count; i++) {
        struct event *event = &queue.events[i];
        if (event->paused == process && event->at_ns == process->paused_until_ns) {
            event->at_ns = world.now_ns;
        }
    }
    for (size_t i = queue.count / 2; i > 0; i--) {
        sink(i - 1);
    }
}

bool world_step(void)
{
    if (queue.count == 0) {
        return false;
    }
    struct event event = pop();
    assert(event.at_ns >= world.now_ns);
    world.now_ns = event.at_ns;
    if (event.process == NULL) {
        world.steps++;
        event.run(event.data);
        return true;
    }
    if (!event.process->up || event.process->life != event.life) {
        return true;
    }
    if (event.process->paused_until_ns > world.now_ns) {
        event.at_ns = event.process->paused_until_ns;
        event.paused = event.process;
        push(event);
        return true;
    }
    world.steps++;
    process_enter(event.process, event.run, event.data);
    return true;
}

/* ---- the trace ----------------------------------------------------------------------------- */

static void hash(uint64_t value)
{
    world.trace_hash = (world.trace_hash ^ value) * UINT64_C(0x100000001b3);
    world.trace_hash ^= world.trace_hash >> 29;
}

void world_note(const char *what, uint64_t a, uint64_t b)
{
    hash(world.now_ns);
    for (const char *at = what; *at != '\0'; at++) {
        hash((uint64_t)*at);
    }
    hash(a);
    hash(b);
    if (world.trace) {
        (void)printf("%12.6f %-18s %llu %llu\n", (double)world.now_ns / 1e9, what,
                     (unsigned long long)a, (unsigned long long)b);
    }
}

void world_say(const char *format, ...)
{
    if (!world.trace) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)printf("%12.6f ", (double)world.now_ns / 1e9);
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
}

void world_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)printf("FAILED seed %llu at %.6f s, step %llu (%s): ", (unsigned long long)world.seed,
                 (double)world.now_ns / 1e9, (unsigned long long)world.steps, world.phase);
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
    _exit(1);
}

void world_begin(uint64_t seed)
{
    world.seed = seed;
    world.now_ns = 0;
    world.trace_hash = UINT64_C(0xcbf29ce484222325);
    world.phase = "begin";
    dice_seed(&world.dice, seed * 2 + 1);
}
