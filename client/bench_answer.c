/*
 * The short way compares an answer piece by piece with the one text that a node writes for posted
 * payments. It reads every byte up to the balances, which are skipped to their closing bracket:
 * names of accounts hold neither brackets nor escapes.
 */
#include "base/check.h"
#include "client/bench_message.h"

#include <string.h>

enum { SLOT_DIGITS = 4, UUID_CHARACTERS = UUID_TEXT_BYTES - 1 };

/* What is left of the message; NULL after the first difference. */
struct cursor {
    const char *at;
    const char *end;
};

static bool take(struct cursor *cursor, struct text text)
{
    if ((size_t)(cursor->end - cursor->at) < text.size ||
        memcmp(cursor->at, text.data, text.size) != 0) {
        return false;
    }
    cursor->at += text.size;
    return true;
}

static bool take_number(struct cursor *cursor, uint64_t *number)
{
    const char *begin = cursor->at;
    uint64_t value = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        value = value * 10 + (uint64_t)(*cursor->at - '0');
        cursor->at += 1;
    }
    *number = value;
    return cursor->at > begin && cursor->at - begin <= 16;
}

/* Up to and including the next `last`; none of `banned` in between. */
static bool skip_past(struct cursor *cursor, char last)
{
    const char *found = memchr(cursor->at, last, (size_t)(cursor->end - cursor->at));
    if (found == NULL) {
        return false;
    }
    cursor->at = found + 1;
    return true;
}

bool bench_answer_slot(struct text message, uint32_t *slot)
{
    struct cursor cursor = {message.data, message.data + message.size};
    uint64_t number = 0;
    if (!take(&cursor, TEXT("{\"jsonrpc\":\"2.0\",\"id\":")) ||
        cursor.end - cursor.at < SLOT_DIGITS + 1 || cursor.at[SLOT_DIGITS] != ',' ||
        !take_number(&cursor, &number) || number < BENCH_WIRE_ID_FIRST ||
        number - BENCH_WIRE_ID_FIRST >= SESSION_REQUESTS_MAX) {
        return false;
    }
    *slot = (uint32_t)(number - BENCH_WIRE_ID_FIRST);
    return true;
}

static struct cursor behind_slot(struct text message)
{
    const size_t head = sizeof("{\"jsonrpc\":\"2.0\",\"id\":") - 1 + SLOT_DIGITS;
    struct cursor cursor = {message.data, message.data + message.size};
    cursor.at = message.size > head ? cursor.at + head : cursor.end;
    return cursor;
}

bool bench_answer_has_result(struct text message)
{
    struct cursor cursor = behind_slot(message);
    return take(&cursor, TEXT(",\"result\":{"));
}

static void item_id(const struct bench_batch *batch, uint32_t item, char text[UUID_TEXT_BYTES])
{
    const uint64_t number = batch->request * batch->plan->options->payments + item;
    const struct uuid id = bench_plan_id(batch->plan, batch->lane, number, batch->ms);
    uuid_format(&id, text);
}

/* The result of one posted payment, from its brace to its brace. */
static bool take_posted(const struct bench_batch *batch, uint32_t item, struct cursor *cursor,
                        uint64_t *seq)
{
    char id[UUID_TEXT_BYTES];
    uint64_t item_seq = 0;
    uint64_t term = 0;
    item_id(batch, item, id);
    if (!take(cursor, TEXT("{\"id\":\"")) || !take(cursor, (struct text){id, UUID_CHARACTERS}) ||
        !take(cursor, TEXT("\",\"status\":\"posted\",\"seq\":")) ||
        !take_number(cursor, &item_seq) || !take(cursor, TEXT(",\"term\":")) ||
        !take_number(cursor, &term) || !take(cursor, TEXT(",\"time\":\"")) ||
        !skip_past(cursor, '"') || !take(cursor, TEXT(",\"replayed\":false,\"balances\":[")) ||
        !skip_past(cursor, ']') || !take(cursor, TEXT("}"))) {
        return false;
    }
    *seq = item_seq > *seq ? item_seq : *seq;
    return true;
}

bool bench_answer_scan(const struct bench_batch *batch, struct text message, uint64_t *seq)
{
    const uint32_t payments = batch->plan->options->payments;
    struct cursor cursor = behind_slot(message);
    uint64_t highest = 0;
    if (payments == 1) {
        if (!take(&cursor, TEXT(",\"result\":")) || !take_posted(batch, 0, &cursor, &highest) ||
            !take(&cursor, TEXT("}"))) {
            return false;
        }
    } else {
        if (!take(&cursor, TEXT(",\"result\":{\"results\":["))) {
            return false;
        }
        for (uint32_t i = 0; i < payments; i++) {
            if (!take(&cursor, i == 0 ? TEXT("{\"result\":") : TEXT(",{\"result\":")) ||
                !take_posted(batch, i, &cursor, &highest) || !take(&cursor, TEXT("}"))) {
                return false;
            }
        }
        if (!take(&cursor, TEXT("]}}"))) {
            return false;
        }
    }
    if (cursor.at != cursor.end) {
        return false;
    }
    *seq = highest;
    return true;
}

/* ---- the long way ------------------------------------------------------------------------- */

static void verdict_refuse(struct bench_verdict *verdict, struct text code, bool recorded,
                           uint32_t items, struct bench_errors *errors)
{
    bench_errors_add(errors, code.size > 0 ? code : TEXT("none"), items);
    if (text_equal(code, TEXT("unknown"))) {
        verdict->unknown += items;
        return;
    }
    verdict->refused += items;
    verdict->unrecorded += recorded ? 0 : items;
    verdict->overloaded += text_equal(code, TEXT("overloaded")) ? items : 0;
}

/* One result: the payment that was asked for, and posted. */
static bool result_is_posted(const struct bench_batch *batch, uint32_t item,
                             const struct value *result, uint64_t *seq)
{
    char id[UUID_TEXT_BYTES];
    item_id(batch, item, id);
    if (!text_equal(member_text(result, "id"), text_of(id)) ||
        !text_equal(member_text(result, "status"), TEXT("posted"))) {
        return false;
    }
    const int64_t item_seq = member_integer(result, "seq");
    *seq = item_seq > 0 && (uint64_t)item_seq > *seq ? (uint64_t)item_seq : *seq;
    return true;
}

static void verdict_whole(const struct bench_batch *batch, const struct reply *reply,
                          const struct bench_answer_sink *sink, struct bench_verdict *verdict)
{
    verdict->understood = true;
    verdict->doubtful = text_equal(reply->code, TEXT("unknown"));
    verdict->again = reply->retryable && reply->recorded == NO;
    verdict->retry_after_ms = reply->retry_after_ms;
    verdict_refuse(verdict, reply->code, reply->recorded == YES, batch->plan->options->payments,
                   sink->errors);
}

struct bench_verdict bench_answer_read(const struct bench_batch *batch, const struct reply *reply,
                                       const struct bench_answer_sink *sink)
{
    struct bench_verdict verdict = {.understood = false};
    const uint32_t payments = batch->plan->options->payments;
    if (reply->result == NULL) {
        verdict_whole(batch, reply, sink, &verdict);
        return verdict;
    }
    const struct value *results = payments == 1 ? NULL : member(reply->result, "results");
    const struct value *item = results == NULL ? NULL : value_first(results);
    if (payments > 1 && (results == NULL || value_count(results) != payments)) {
        return verdict;
    }
    for (uint32_t i = 0; i < payments; i++) {
        const struct value *result = payments == 1 ? reply->result : member(item, "result");
        const struct value *error = payments == 1 ? NULL : member(item, "error");
        if (result != NULL && result_is_posted(batch, i, result, &verdict.seq)) {
            verdict.posted += 1;
            sink->posted(sink->data, i);
        } else if (result == NULL && error != NULL) {
            const struct value *data = member(error, "data");
            verdict_refuse(&verdict, member_text(data, "code"), member_boolean(data, "recorded"), 1,
                           sink->errors);
        } else {
            return (struct bench_verdict){.understood = false};
        }
        item = item == NULL ? NULL : value_next(item);
    }
    verdict.understood = true;
    return verdict;
}
