/*
 * The stages over the same payments, some requests at a time, as many as may be in flight. A stage
 * is timed over all of them: the clock's own cost is divided by their number.
 */
#include "bench/micro/micro.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = ENTRIES_IN_FLIGHT_MAX };

/* One request on its way. */
struct flight {
    struct buffer json;
    struct rpc_request rpc;
    struct call call;
    struct ledger_request request;
    struct ledger_entry *entry;
    struct buffer entry_bytes; /* as the log would have it */
};

struct run {
    struct world *world;
    struct stages *stages;
    struct message_reader *reader;
    struct hasher *hasher;
    struct buffer reply;
    struct flight flights[WINDOW];
};

const char *stage_name(enum stage stage)
{
    static const char *const names[STAGE_COUNT] = {
        [STAGE_JSON] = "json",           [STAGE_VERIFY_1] = "verify1", [STAGE_SUBMIT] = "submit",
        [STAGE_VERIFY_2] = "verify2",    [STAGE_APPLY] = "apply",      [STAGE_COMMIT] = "commit",
        [STAGE_APPLY_OWN] = "apply_own", [STAGE_RENDER] = "render",    [STAGE_DIGEST] = "digest",
    };
    assert(stage < STAGE_COUNT);
    return names[stage];
}

static void json_payment(struct world *world, struct buffer *out)
{
    struct micro_names names;
    struct command command;
    world_payment(world, &names, &command);
    char id[UUID_TEXT_BYTES];
    uuid_format(&command.payment.id, id);
    write_format(out,
                 "{\"id\":\"%s\",\"debit\":\"%s\",\"credit\":\"%s\",\"amount\":\"%llu\","
                 "\"currency\":\"EUR\"}",
                 id, names.debit, names.credit, (unsigned long long)command.payment.legs[0].amount);
}

/* A request as a client writes it: one payment, or a batch. */
static void json_make(struct world *world, struct buffer *out)
{
    buffer_clear(out);
    const uint32_t count = world->options.per_entry;
    write_format(out, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":",
                 count == 1 ? "payment.create" : "payment.batch");
    if (count == 1) {
        json_payment(world, out);
    } else {
        write_format(out, "{\"mode\":\"independent\",\"items\":[");
        for (uint32_t i = 0; i < count; i++) {
            write_format(out, i > 0 ? "," : "");
            json_payment(world, out);
        }
        write_format(out, "]}");
    }
    write_u8(out, '}');
    assert(!out->failed);
}

static const struct value *read_message(struct run *run, const struct flight *flight)
{
    struct message message;
    struct failure failure;
    const struct text text = {.data = (const char *)flight->json.data, .size = flight->json.size};
    const enum code code = message_read(run->reader, text, &message, &failure);
    must(code == CODE_OK ? STATUS_OK : STATUS_INVALID, "message_read");
    return message.first;
}

/* The tree lives until the next message: it is read twice, the second time untimed. */
static void parse(struct run *run)
{
    struct spent since = spent_now();
    for (uint32_t i = 0; i < WINDOW; i++) {
        (void)read_message(run, &run->flights[i]);
    }
    spent_add(&run->stages->spent[STAGE_JSON], since);
    for (uint32_t i = 0; i < WINDOW; i++) {
        struct flight *flight = &run->flights[i];
        struct failure failure;
        const struct value *value = read_message(run, flight);
        since = spent_now();
        const enum prepared prepared = method_prepare(value, &flight->rpc, &flight->call, &failure);
        spent_add(&run->stages->spent[STAGE_VERIFY_1], since);
        must(prepared == PREPARED_CALL ? STATUS_OK : STATUS_INVALID, "method_prepare");
    }
}

static void verify(struct run *run)
{
    struct ledger *ledger = run->world->node.ledger;
    struct list answered;
    list_init(&answered);
    for (uint32_t i = 0; i < WINDOW; i++) {
        struct flight *flight = &run->flights[i];
        flight->request =
            (struct ledger_request){.bytes = {.data = (const char *)flight->call.request.data,
                                              .size = flight->call.request.size}};
    }
    /* One entry for each request, as where they come one by one. */
    for (uint32_t i = 0; i < WINDOW; i++) {
        struct flight *flight = &run->flights[i];
        run->world->now_ns++;
        struct spent since = spent_now();
        ledger_submit(ledger, &flight->request, &answered);
        spent_add(&run->stages->spent[STAGE_SUBMIT], since);
        since = spent_now();
        must(ledger_verify(ledger, run->world->now_ns, &flight->entry, &answered), "ledger_verify");
        spent_add(&run->stages->spent[STAGE_VERIFY_2], since);
        assert(flight->entry != NULL && list_empty(&answered));
        buffer_clear(&flight->entry_bytes);
        write_bytes(&flight->entry_bytes, flight->entry->bytes.data, flight->entry->bytes.size);
        run->stages->entry_bytes += flight->entry_bytes.size;
    }
}

static void apply(struct run *run)
{
    struct world *world = run->world;
    struct spent follower = {0};
    struct spent leader = {0};
    struct list answered;
    list_init(&answered);
    struct spent since = spent_now();
    for (uint32_t i = 0; i < WINDOW; i++) {
        const struct buffer *bytes = &run->flights[i].entry_bytes;
        node_apply(&world->follower, bytes->data, bytes->size, &answered);
    }
    spent_add(&follower, since);
    since = spent_now();
    for (uint32_t i = 0; i < WINDOW; i++) {
        const struct buffer *bytes = &run->flights[i].entry_bytes;
        node_apply(&world->node, bytes->data, bytes->size, &answered);
    }
    spent_add(&leader, since);
    struct spent *spent = run->stages->spent;
    spent[STAGE_APPLY].cpu_ns += follower.cpu_ns;
    spent[STAGE_APPLY].wall_ns += follower.wall_ns;
    spent[STAGE_APPLY_OWN].cpu_ns += leader.cpu_ns;
    spent[STAGE_APPLY_OWN].wall_ns += leader.wall_ns;
    since = spent_now();
    for (uint32_t i = 0; i < WINDOW; i++) {
        hasher_begin(run->hasher);
        hasher_add(run->hasher, run->flights[i].entry_bytes.data, run->flights[i].entry_bytes.size);
        (void)hasher_end(run->hasher);
    }
    spent_add(&spent[STAGE_DIGEST], since);
    if (node_commit_is_due(&world->follower)) {
        since = spent_now();
        node_commit(&world->follower);
        spent_add(&spent[STAGE_COMMIT], since);
        node_commit(&world->node);
    }
}

static void render(struct run *run)
{
    for (uint32_t i = 0; i < WINDOW; i++) {
        struct flight *flight = &run->flights[i];
        struct ledger_request *request = &flight->request;
        assert(request->code == CODE_OK && request->outcomes_count == request->count);
        flight->call.code = CODE_OK;
        flight->call.seq = request->seq;
        flight->call.term = request->term;
        flight->call.time_ns = request->time_ns;
        flight->call.outcomes_count = request->outcomes_count;
        buffer_swap(&flight->call.answer, &request->outcomes);
        buffer_deinit(&request->outcomes);
        buffer_clear(&run->reply);
        const struct spent since = spent_now();
        const bool fine = render_answer(&flight->rpc, &flight->call, &run->reply);
        spent_add(&run->stages->spent[STAGE_RENDER], since);
        must(fine ? STATUS_OK : STATUS_INVALID, "render_answer");
    }
}

void stages_run(struct world *world, struct stages *stages)
{
    static struct run run;
    run = (struct run){.world = world, .stages = stages};
    must(message_reader_open(&run.reader, MESSAGE_BYTES_MAX), "message_reader_open");
    must(hasher_open(&run.hasher), "hasher_open");
    buffer_init(&run.reply, SESSION_WRITE_BYTES_MAX);
    for (uint32_t i = 0; i < WINDOW; i++) {
        struct flight *flight = &run.flights[i];
        rpc_request_init(&flight->rpc);
        buffer_init(&flight->json, MESSAGE_BYTES_MAX);
        buffer_init(&flight->call.request, REQUEST_BYTES_MAX);
        buffer_init(&flight->call.answer, ANSWER_BYTES_MAX);
        buffer_init(&flight->entry_bytes, ENTRY_BYTES_MAX);
    }
    node_commit(&world->node);
    node_commit(&world->follower);
    const uint64_t file_before = node_file_bytes(&world->follower);
    while (stages->payments < world->options.payments) {
        for (uint32_t i = 0; i < WINDOW; i++) {
            json_make(world, &run.flights[i].json);
        }
        parse(&run);
        verify(&run);
        apply(&run);
        render(&run);
        stages->payments += (uint64_t)WINDOW * world->options.per_entry;
    }
    const struct spent since = spent_now();
    node_commit(&world->follower);
    spent_add(&stages->spent[STAGE_COMMIT], since);
    node_commit(&world->node);
    stages->file_bytes = node_file_bytes(&world->follower) - file_before;
    for (uint32_t i = 0; i < WINDOW; i++) {
        struct flight *flight = &run.flights[i];
        rpc_request_deinit(&flight->rpc);
        buffer_deinit(&flight->json);
        buffer_deinit(&flight->call.request);
        buffer_deinit(&flight->call.answer);
        buffer_deinit(&flight->entry_bytes);
    }
    buffer_deinit(&run.reply);
    hasher_close(run.hasher);
    message_reader_close(run.reader);
}
