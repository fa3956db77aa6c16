#include "client/bench_schedule.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>

enum status bench_schedule_init(struct bench_schedule *schedule, double gap_ns, bool poisson,
                                uint32_t waiting_max, struct bench_dice dice)
{
    assert(gap_ns > 0 && waiting_max > 0);
    uint64_t *waiting = malloc(waiting_max * sizeof(*waiting));
    if (waiting == NULL) {
        return STATUS_NO_MEMORY;
    }
    *schedule = (struct bench_schedule){.dice = dice,
                                        .poisson = poisson,
                                        .gap_ns = gap_ns,
                                        .waiting = waiting,
                                        .waiting_max = waiting_max};
    return STATUS_OK;
}

void bench_schedule_deinit(struct bench_schedule *schedule)
{
    free(schedule->waiting);
    *schedule = (struct bench_schedule){.waiting = NULL};
}

/* Exponential gaps make arrivals independent of each other: a Poisson process. */
static double gap_draw(struct bench_schedule *schedule)
{
    if (!schedule->poisson) {
        return schedule->gap_ns;
    }
    /* In (0, 1]: a logarithm of 0 does not exist. */
    const double unit = (double)((bench_dice_next(&schedule->dice) >> 11) + 1) * 0x1p-53;
    return -log(unit) * schedule->gap_ns;
}

void bench_schedule_begin(struct bench_schedule *schedule, uint64_t begin_ns, uint64_t end_ns)
{
    assert(begin_ns <= end_ns);
    schedule->begin_ns = begin_ns;
    schedule->end_ns = end_ns;
    schedule->next_at = gap_draw(schedule);
}

uint64_t bench_schedule_next_ns(const struct bench_schedule *schedule)
{
    const uint64_t next_ns = schedule->begin_ns + (uint64_t)schedule->next_at;
    return next_ns < schedule->end_ns ? next_ns : UINT64_MAX;
}

uint64_t bench_schedule_advance(struct bench_schedule *schedule, uint64_t now_ns)
{
    assert(schedule->waiting != NULL);
    uint64_t dropped = 0;
    for (uint64_t next_ns = bench_schedule_next_ns(schedule); next_ns <= now_ns;
         next_ns = bench_schedule_next_ns(schedule)) {
        if (next_ns == UINT64_MAX) {
            break;
        }
        if (schedule->count < schedule->waiting_max) {
            const uint32_t at = (schedule->first + schedule->count) % schedule->waiting_max;
            schedule->waiting[at] = next_ns;
            schedule->count += 1;
        } else {
            dropped += 1;
        }
        schedule->next_at += gap_draw(schedule);
    }
    return dropped;
}

bool bench_schedule_take(struct bench_schedule *schedule, uint64_t *intended_ns)
{
    if (schedule->count == 0) {
        return false;
    }
    *intended_ns = schedule->waiting[schedule->first];
    schedule->first = (schedule->first + 1) % schedule->waiting_max;
    schedule->count -= 1;
    return true;
}
