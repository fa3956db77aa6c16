#include "ledger/history.h"

#include "base/check.h"

static_assert(HISTORY_LEVELS >= 2, "level 0 needs a level to jump to");
static_assert(HISTORY_RADIX == 16, "levels are counted in hexadecimal digits");

/* Trailing zero hexadecimal digits, at most `level_max`. */
static uint32_t level_of(uint64_t number, uint32_t level_max)
{
    assert(number > 0);
    uint32_t level = 0;
    while (level < level_max && number % HISTORY_RADIX == 0) {
        number /= HISTORY_RADIX;
        level++;
    }
    return level;
}

uint64_t history_jump_number(uint64_t number)
{
    const uint32_t level = level_of(number, HISTORY_LEVELS - 2);
    const uint64_t stride = (uint64_t)1 << (4 * (level + 1));
    return (number - 1) / stride * stride;
}

void history_append(struct account *account, uint64_t seq, struct entry_side *side)
{
    assert(seq > 0 && seq >= account->history_seq[0]);
    assert(account->entries_count < UINT64_MAX);
    account->entries_count++;
    const uint64_t number = account->entries_count;
    *side = (struct entry_side){.account = account->number,
                                .balance_after = account_posted(account),
                                .number = number,
                                .previous_seq = account->history_seq[0],
                                .jump_seq =
                                    account->history_seq[level_of(number, HISTORY_LEVELS - 2) + 1]};
    const uint32_t level = level_of(number, HISTORY_LEVELS - 1);
    for (uint32_t i = 0; i <= level; i++) {
        account->history_seq[i] = seq;
    }
}
