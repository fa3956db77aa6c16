#include "client/bench_result.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

void bench_counts_add(struct bench_counts *to, const struct bench_counts *from)
{
    to->posted += from->posted;
    to->refused += from->refused;
    to->overloaded += from->overloaded;
    to->unknown += from->unknown;
    to->not_sent_requests += from->not_sent_requests;
    to->requests += from->requests;
    to->reads += from->reads;
    to->reads_failed += from->reads_failed;
    to->retries += from->retries;
}

/* As all codes of a node are: they go into JSON as keys. */
static bool code_is_plain(struct text code)
{
    for (size_t i = 0; i < code.size; i++) {
        const char c = code.data[i];
        if (c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            return false;
        }
    }
    return code.size > 0 && code.size < BENCH_CODE_BYTES;
}

void bench_errors_add(struct bench_errors *errors, struct text answered, uint64_t count)
{
    const struct text code = code_is_plain(answered) ? answered : TEXT("other");
    uint32_t at = 0;
    assert(errors->count <= BENCH_CODES_MAX);
    while (at < errors->count && !text_equal(text_of(errors->rows[at].code), code)) {
        at += 1;
    }
    if (at == errors->count && at == BENCH_CODES_MAX) {
        at -= 1;
        (void)snprintf(errors->rows[at].code, BENCH_CODE_BYTES, "other");
    } else if (at == errors->count) {
        (void)snprintf(errors->rows[at].code, BENCH_CODE_BYTES, "%.*s", (int)code.size, code.data);
        errors->count += 1;
    }
    errors->rows[at].count += count;
}

void bench_result_deinit(struct bench_result *result)
{
    free(result->seconds);
    result->seconds = NULL;
    result->seconds_count = 0;
}

bool bench_checks_passed(const struct bench_checks *checks)
{
    return checks->totals_read && checks->totals_balance && checks->moved_right &&
           checks->ids_missing == 0 && checks->ids_unread == 0;
}

bool bench_checks_failed(const struct bench_checks *checks)
{
    return (checks->totals_read && (!checks->totals_balance || !checks->moved_right)) ||
           checks->ids_missing > 0;
}
