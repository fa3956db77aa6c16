#include "client/bench_plan.h"

#include "base/check.h"

/* splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators"). */
enum { DRAWS_PER_ACCOUNT_MAX = 8 };
#define GOLDEN 0x9E3779B97F4A7C15ULL

static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void bench_plan_init(struct bench_plan *plan, const struct bench_options *options, int64_t begin_ns)
{
    assert(options->accounts >= 2 && begin_ns > 0);
    *plan = (struct bench_plan){.options = options,
                                .seed_key = scramble(options->seed + GOLDEN),
                                .begin_ms = begin_ns / 1000000};
    plan->ids_key = scramble(plan->seed_key ^ (uint64_t)begin_ns);
    zipf_init(&plan->zipf, options->accounts, (double)options->exponent_milli / 1000);
    /* Near the golden section, so that neighbours in rank lie far apart; coprime: one to one. */
    plan->stride = (uint64_t)options->accounts * 618 / 1000 + 1;
    while (common_divisor(plan->stride, options->accounts) != 1) {
        plan->stride += 1;
    }
}

struct bench_dice bench_dice_of(const struct bench_plan *plan, enum bench_stream stream,
                                uint32_t lane, uint64_t number)
{
    const uint64_t key = scramble(plan->seed_key + ((uint64_t)stream << 32 | lane));
    return (struct bench_dice){.state = scramble(key + number * GOLDEN)};
}

uint64_t bench_dice_next(struct bench_dice *dice)
{
    dice->state += GOLDEN;
    return scramble(dice->state);
}

uint32_t bench_dice_below(struct bench_dice *dice, uint32_t bound)
{
    assert(bound >= 1);
    /* Uneven by less than 2^-32 of a part: not to be measured. */
    return (uint32_t)((bench_dice_next(dice) >> 32) * bound >> 32);
}

static uint64_t dice_draw(void *data)
{
    return bench_dice_next(data);
}

uint32_t bench_plan_account(const struct bench_plan *plan, struct bench_dice *dice)
{
    const uint32_t count = plan->options->accounts;
    switch (plan->options->distribution) {
    case BENCH_UNIFORM:
        return bench_dice_below(dice, count);
    case BENCH_ZIPF: {
        const uint64_t rank = zipf_draw(&plan->zipf, dice_draw, dice) - 1;
        return (uint32_t)(rank * plan->stride % count);
    }
    case BENCH_HOT:
        return 0;
    }
    assert(false);
    return 0;
}

/* Any account but `other`. */
static uint32_t account_beside(const struct bench_plan *plan, struct bench_dice *dice,
                               uint32_t other)
{
    const uint32_t count = plan->options->accounts;
    return (other + 1 + bench_dice_below(dice, count - 1)) % count;
}

void bench_plan_accounts(const struct bench_plan *plan, uint32_t lane, uint64_t number,
                         uint32_t *debit, uint32_t *credit)
{
    struct bench_dice dice = bench_dice_of(plan, BENCH_STREAM_PAYMENTS, lane, number);
    const uint32_t first = bench_plan_account(plan, &dice);
    uint32_t second = first;
    if (plan->options->distribution == BENCH_ZIPF) {
        for (int i = 0; second == first && i < DRAWS_PER_ACCOUNT_MAX; i++) {
            second = bench_plan_account(plan, &dice);
        }
    }
    if (second == first) {
        second = account_beside(plan, &dice, first);
    }
    /* Either way: a hot account pays as often as it is paid. */
    const bool swapped = bench_dice_next(&dice) >> 63 == 1;
    *debit = swapped ? second : first;
    *credit = swapped ? first : second;
}

struct uuid bench_plan_id(const struct bench_plan *plan, uint32_t lane, uint64_t number,
                          uint32_t ms)
{
    assert(lane < BENCH_THREADS_MAX);
    const uint64_t key = plan->ids_key + scramble((uint64_t)lane + 1);
    struct bench_dice dice = {.state = scramble(key + number * GOLDEN)};
    struct uuid uuid;
    put_u64(uuid.bytes, bench_dice_next(&dice));
    put_u64(uuid.bytes + 8, bench_dice_next(&dice));
    if (plan->options->ids_v7) {
        const uint64_t time_ms = (uint64_t)plan->begin_ms + ms;
        for (int i = 0; i < 6; i++) {
            uuid.bytes[i] = (uint8_t)(time_ms >> (8 * (5 - i)));
        }
    }
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | (plan->options->ids_v7 ? 0x70 : 0x40));
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

bool bench_plan_reads(const struct bench_plan *plan, uint32_t lane, uint64_t number)
{
    const struct bench_options *options = plan->options;
    if (options->mix_reads == 0) {
        return false;
    }
    struct bench_dice dice = bench_dice_of(plan, BENCH_STREAM_READS, lane, number);
    return bench_dice_below(&dice, options->mix_payments + options->mix_reads) >=
           options->mix_payments;
}
