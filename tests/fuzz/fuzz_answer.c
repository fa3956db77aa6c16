/*
 * Outcomes, views and answer heads, told apart by the first byte: whatever is accepted has exactly
 * one way to be written.
 */
#include "base/check.h"
#include "ledger/outcome.h"
#include "ledger/query.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWER_OUTCOME, ANSWER_ACCOUNT, ANSWER_CURRENCY, ANSWER_PAYMENT, ANSWER_HEAD };

/* Words and paths must work for everything that can arrive. */
static void outcome_in_words(const struct outcome *outcome)
{
    struct buffer words;
    buffer_init(&words, 4096);
    if (outcome->code != CODE_OK) {
        outcome_message(outcome, &words);
        assert(words.size > 0);
    }
    outcome_path(outcome, "items[0].", &words);
    assert(!words.failed);
    buffer_deinit(&words);
}

static bool copy(uint8_t kind, struct reader *reader, struct buffer *again)
{
    if (kind == ANSWER_OUTCOME) {
        struct outcome outcome;
        if (outcome_read(reader, &outcome) != STATUS_OK) {
            return false;
        }
        outcome_write(again, &outcome);
        outcome_in_words(&outcome);
        return true;
    }
    if (kind == ANSWER_ACCOUNT) {
        struct account_view view;
        if (account_view_read(reader, &view) != STATUS_OK) {
            return false;
        }
        account_view_write(again, &view);
        return true;
    }
    if (kind == ANSWER_CURRENCY) {
        struct currency_view view;
        if (currency_view_read(reader, &view) != STATUS_OK) {
            return false;
        }
        currency_view_write(again, &view);
        return true;
    }
    if (kind == ANSWER_PAYMENT) {
        struct payment_view view;
        if (payment_view_read(reader, &view) != STATUS_OK) {
            return false;
        }
        payment_view_write(again, &view);
        return true;
    }
    struct answer_head head;
    if (answer_head_read(reader, &head) != STATUS_OK) {
        return false;
    }
    answer_head_write(again, &head);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] > ANSWER_HEAD) {
        return 0;
    }
    struct reader reader = reader_of(data + 1, size - 1);
    struct buffer again;
    buffer_init(&again, ANSWER_BYTES_MAX);
    if (copy(data[0], &reader, &again)) {
        assert(!again.failed && again.size == size - 1 - reader_left(&reader));
        assert(memcmp(again.data, data + 1, again.size) == 0);
    }
    buffer_deinit(&again);
    return 0;
}
