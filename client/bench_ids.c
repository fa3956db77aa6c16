#include "client/bench_ids.h"

#include "base/check.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* Payments that share the time in their ids, so that times cost half a bit a payment. */
enum { PAYMENTS_PER_TIME = 64, WORDS_MIN = 4096 };

void bench_ids_init(struct bench_ids *ids, uint32_t payments, uint64_t count_max)
{
    assert(payments >= 1 && payments <= BATCH_ITEMS_MAX);
    const uint32_t per_time = payments < PAYMENTS_PER_TIME ? PAYMENTS_PER_TIME / payments : 1;
    *ids = (struct bench_ids){.payments = payments, .per_time = per_time, .count_max = count_max};
}

void bench_ids_deinit(struct bench_ids *ids)
{
    free(ids->acknowledged);
    free(ids->times_ms);
    ids->acknowledged = NULL;
    ids->times_ms = NULL;
}

/* Room for `count` units, doubling; new ones are zero. */
static bool grow(void **memory, uint64_t *capacity, uint64_t count, size_t unit_bytes)
{
    if (count <= *capacity) {
        return true;
    }
    uint64_t wanted = *capacity == 0 ? WORDS_MIN : *capacity;
    while (wanted < count) {
        wanted *= 2;
    }
    void *more = realloc(*memory, wanted * unit_bytes);
    if (more == NULL) {
        return false;
    }
    memset((uint8_t *)more + *capacity * unit_bytes, 0, (wanted - *capacity) * unit_bytes);
    *memory = more;
    *capacity = wanted;
    return true;
}

uint64_t bench_ids_end(const struct bench_ids *ids)
{
    return ids->end;
}

uint64_t bench_ids_give(struct bench_ids *ids, uint32_t now_ms, uint32_t *ms)
{
    const uint64_t request = ids->given;
    const uint64_t time = request / ids->per_time;
    ids->given += 1;
    if (request % ids->per_time == 0) {
        ids->ms = now_ms;
    }
    *ms = ids->ms;
    const uint64_t end = (request + 1) * ids->payments;
    if (ids->failed || end > ids->count_max) {
        return request;
    }
    void *words = ids->acknowledged;
    void *times = ids->times_ms;
    ids->failed = !grow(&times, &ids->times, time + 1, sizeof(uint32_t)) ||
                  !grow(&words, &ids->words, end / 64 + 1, sizeof(uint64_t));
    ids->times_ms = times;
    ids->acknowledged = words;
    if (!ids->failed) {
        ids->times_ms[time] = ids->ms;
        ids->end = end;
    }
    return request;
}

void bench_ids_acknowledge(struct bench_ids *ids, uint64_t request, uint32_t item)
{
    assert(request < ids->given && item < ids->payments);
    const uint64_t payment = request * ids->payments + item;
    if (payment >= bench_ids_end(ids)) {
        return;
    }
    uint64_t *word = &ids->acknowledged[payment / 64];
    const uint64_t bit = UINT64_C(1) << (payment % 64);
    ids->acknowledged_count += (*word & bit) == 0 ? 1 : 0;
    *word |= bit;
}

bool bench_ids_acknowledged(const struct bench_ids *ids, uint64_t payment)
{
    return payment < bench_ids_end(ids) && (ids->acknowledged[payment / 64] >> (payment % 64)) & 1;
}

uint32_t bench_ids_ms(const struct bench_ids *ids, uint64_t payment)
{
    assert(payment < bench_ids_end(ids));
    return ids->times_ms[payment / ids->payments / ids->per_time];
}
