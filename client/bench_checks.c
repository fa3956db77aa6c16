#include "client/bench_checks.h"

#include "base/check.h"
#include "client/amount.h"
#include "client/bench_message.h"
#include "client/load.h"

#include <string.h>

enum { VERIFY_CONNECTIONS = 2, LANE_SHIFT = 40 };

static_assert((uint64_t)BENCH_IDS_MAX < (UINT64_C(1) << LANE_SHIFT), "lane and payment in one");

enum client_exit bench_totals_read(struct console *console, uint64_t min_seq,
                                   struct bench_totals *totals)
{
    struct reply reply;
    buffer_clear(&console->params);
    if (min_seq == 0) {
        write_format(&console->params, "{}"); /* the newest state, as the leader has it */
    } else {
        write_format(&console->params, "{\"min_seq\":%llu}", (unsigned long long)min_seq);
    }
    enum client_exit end = console_call(console, "ledger.totals", &reply);
    if (end != CLIENT_DONE) {
        return end;
    }
    *totals = (struct bench_totals){.balanced = true};
    const struct value *rows = member(reply.result, "totals");
    for (const struct value *row = rows == NULL ? NULL : value_first(rows); row != NULL;
         row = value_next(row)) {
        i128 debits = 0;
        i128 credits = 0;
        const bool read = i128_parse(member_text(row, "debits_posted"), &debits) &&
                          i128_parse(member_text(row, "credits_posted"), &credits);
        totals->balanced = totals->balanced && read && debits == credits;
        if (text_equal(member_text(row, "currency"), TEXT("BENCH"))) {
            totals->moved_minor = debits;
        }
    }
    return CLIENT_DONE;
}

void bench_checks_totals(const struct bench_totals *before, const struct bench_totals *after,
                         struct bench_result *result)
{
    struct bench_checks *checks = &result->checks;
    checks->totals_read = true;
    checks->totals_balance = after->balanced;
    checks->moved_minor = after->moved_minor - before->moved_minor;
    checks->acknowledged_minor = (i128)result->run.posted * BENCH_AMOUNT_MINOR;
    checks->unknown_minor = (i128)result->run.unknown * BENCH_AMOUNT_MINOR;
    checks->moved_right = checks->moved_minor >= checks->acknowledged_minor &&
                          checks->moved_minor <= checks->acknowledged_minor + checks->unknown_minor;
}

/* ---- ids ---------------------------------------------------------------------------------- */

/* Walks over all acknowledged payments and asks for `wanted` of the `total`. */
struct walk {
    const struct bench_load *load;
    struct bench_checks *checks;
    uint64_t min_seq;
    uint32_t lane;
    uint64_t payment; /* of the lane, next to be looked at */
    uint64_t passed;  /* acknowledged ones so far */
    uint64_t total;
    uint64_t wanted;
    uint64_t asked;
};

static struct uuid number_id(const struct bench_load *load, uint64_t number)
{
    const uint32_t lane = (uint32_t)(number >> LANE_SHIFT);
    const uint64_t payment = number & ((UINT64_C(1) << LANE_SHIFT) - 1);
    const uint32_t ms = bench_ids_ms(bench_load_ids(load, lane), payment);
    return bench_plan_id(load->plan, lane, payment, ms);
}

/* Of every total/wanted payments in a row exactly one is asked for. */
static bool walk_picks(const struct walk *walk)
{
    const u128 now = (u128)walk->passed * walk->wanted / walk->total;
    return now != (u128)(walk->passed + 1) * walk->wanted / walk->total;
}

static bool walk_next(struct walk *walk, uint64_t *number)
{
    while (walk->lane < walk->load->lanes_count) {
        const struct bench_ids *ids = bench_load_ids(walk->load, walk->lane);
        if (walk->payment >= bench_ids_end(ids)) {
            walk->lane += 1;
            walk->payment = 0;
            continue;
        }
        const uint64_t payment = walk->payment;
        walk->payment += 1;
        if (!bench_ids_acknowledged(ids, payment)) {
            continue;
        }
        const bool picked = walk_picks(walk);
        walk->passed += 1;
        if (picked) {
            *number = (uint64_t)walk->lane << LANE_SHIFT | payment;
            return true;
        }
    }
    return false;
}

static bool id_write(void *data, struct buffer *params, const char **method, uint64_t *number)
{
    struct walk *walk = data;
    char text[UUID_TEXT_BYTES];
    if (!walk_next(walk, number)) {
        return false;
    }
    const struct uuid id = number_id(walk->load, *number);
    uuid_format(&id, text);
    *method = "payment.get";
    write_format(params, "{\"id\":\"%s\",\"min_seq\":%llu}", text,
                 (unsigned long long)walk->min_seq);
    walk->asked += 1;
    return true;
}

static void id_reply(void *data, uint64_t number, const struct reply *reply, uint64_t latency_us)
{
    const struct walk *walk = data;
    struct bench_checks *checks = walk->checks;
    char text[UUID_TEXT_BYTES];
    (void)latency_us;
    if (reply->result == NULL && !text_equal(reply->code, TEXT("not_found"))) {
        return; /* unread */
    }
    const struct uuid id = number_id(walk->load, number);
    uuid_format(&id, text);
    checks->ids_checked += 1;
    if (reply->result == NULL || !text_equal(member_text(reply->result, "id"), text_of(text)) ||
        !text_equal(member_text(reply->result, "status"), TEXT("posted"))) {
        checks->ids_missing += 1;
        memcpy(checks->missing_id, text, sizeof(text));
    }
}

static void id_lost(void *data)
{
    (void)data; /* unread: asked, and not checked */
}

void bench_checks_ids(const struct client_options *client, const struct bench_load *load,
                      uint32_t witness, uint64_t posted, struct bench_checks *checks)
{
    struct walk walk = {.load = load, .checks = checks, .min_seq = bench_load_seq(load)};
    struct client_options one = *client;
    char error[256];
    assert(witness < client->nodes_count);
    one.nodes[0] = client->nodes[witness];
    one.nodes_count = 1;
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        walk.total += bench_load_ids(load, i)->acknowledged_count;
    }
    checks->ids_acknowledged = walk.total;
    if (load->options->verify > 0 && posted > walk.total) {
        checks->ids_unread = posted - walk.total; /* acknowledged, and not remembered */
    }
    walk.wanted = load->options->verify < walk.total ? load->options->verify : walk.total;
    if (walk.wanted == 0) {
        return;
    }
    const struct load_options ask = {.client = &one,
                                     .connections = VERIFY_CONNECTIONS,
                                     .in_flight = BENCH_OPEN_IN_FLIGHT,
                                     .write = id_write,
                                     .reply = id_reply,
                                     .lost = id_lost,
                                     .data = &walk};
    enum status status = load_run(&ask, error, sizeof(error));
    (void)status; /* what it means stands in the counts */
    checks->ids_unread += walk.wanted - checks->ids_checked;
}
