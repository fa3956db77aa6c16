#include "tests/support/node_rig.h"

#include "consensus/internal.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { STEPS_MAX = 1000 };
#define WALL_OFFSET_NS INT64_C(1790000000000000000)

static uint64_t rig_monotonic(void *data)
{
    return ((const struct node_rig *)data)->now_ns;
}

static int64_t rig_wall(void *data)
{
    return WALL_OFFSET_NS + (int64_t)((const struct node_rig *)data)->now_ns;
}

static void ledger_set_up(struct node_rig *rig)
{
    struct node *node = &rig->node;
    char error[DATADIR_ERROR_BYTES] = "";
    check_ok(datadir_format(&rig->config, error, sizeof(error)));
    check_ok(datadir_open(&node->dir, &rig->config, error, sizeof(error)));
    const struct ledger_options options = {.path = datadir_ledger_path(node->dir),
                                           .map_bytes = rig->config.map_bytes,
                                           .metrics = &node->metrics};
    check_ok(ledger_open(&node->ledger, &options, error, sizeof(error)));
    const struct ledger_thread_options thread_options = {.ledger = node->ledger,
                                                         .metrics = &node->metrics,
                                                         .clock = &rig->clock,
                                                         .events = &node->events,
                                                         .entries_window = ENTRIES_WINDOW,
                                                         .manual = true};
    check_ok(ledger_thread_open(&node->ledger_thread, &thread_options));
}

int node_rig_set_up(void **state)
{
    static const char text[] = "cluster = \"rig\" data = \"node{id}\" map_mb = 64\n"
                               "node 1 { peer = \"a:1\" client = \"localhost:1\" }\n"
                               "node 2 { peer = \"b:1\" client = \"localhost:2\" }\n"
                               "node 3 { peer = \"c:1\" client = \"localhost:3\" }\n"
                               "tls { ca = \"a\" cert = \"b\" key = \"c\" }";
    struct node_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig->root = test_dir_make();
    rig->now_ns = UINT64_C(1000000000);
    rig->clock = (struct clock){.data = rig, .monotonic_ns = rig_monotonic, .wall_ns = rig_wall};
    char path[512];
    char error[CONFIG_ERROR_BYTES] = "";
    (void)snprintf(path, sizeof(path), "%s/cluster.conf", rig->root);
    if (config_parse(&rig->config, text_of(text), path, 1, error, sizeof(error)) != STATUS_OK) {
        fail_msg("%s", error);
    }
    check_ok(node_prepare(&rig->node, &rig->config, &rig->clock, NULL));
    ledger_set_up(rig);
    check_ok(queue_init(&rig->worker.answers, 1024, NULL, NULL));
    for (uint32_t i = 0; i < rig->node.peers_count; i++) {
        rig->node.peers[i].link_up = true;
    }
    static struct raft raft; /* an empty log */
    static struct consensus consensus = {.raft = &raft};
    rig->node.consensus = &consensus;
    rig->node.role = ROLE_FOLLOWER;
    rig->node.term = 1;
    rig->node.leader = 2;
    *state = rig;
    return 0;
}

static void jobs_free(struct list *jobs)
{
    for (struct list *item = list_pop(jobs); item != NULL; item = list_pop(jobs)) {
        job_free(CONTAINER_OF(item, struct job, node));
    }
}

int node_rig_tear_down(void **state)
{
    struct node_rig *rig = *state;
    struct node *node = &rig->node;
    for (uint32_t id = 2; id <= 3; id++) {
        forward_link_down(node, id);
    }
    ledger_thread_close(node->ledger_thread);
    struct list events;
    list_init(&events);
    (void)queue_pop_all(&node->events, &events);
    for (struct list *item = list_pop(&events); item != NULL; item = list_pop(&events)) {
        struct ledger_event *event = CONTAINER_OF(item, struct ledger_event, node);
        if (event->kind == LEDGER_EVENT_BARRIER) {
            node_barrier_done(node, event->job, CODE_NO_LEADER);
        } else {
            job_free(event->job);
        }
        free(event);
    }
    jobs_free(&node->epoch_jobs);
    jobs_free(&node->barrier_reads);
    assert_int_equal(atomic_load(&node->admission.jobs), 0);
    assert_int_equal(atomic_load(&node->admission.bytes), 0);
    ledger_close(node->ledger);
    forward_close(node);
    queue_deinit(&node->inbox);
    queue_deinit(&node->events);
    queue_deinit(&rig->worker.answers);
    pthread_mutex_destroy(&node->status_lock);
    for (uint32_t i = 0; i < node->peers_count; i++) {
        buffer_deinit(&node->peers[i].out);
    }
    datadir_close(node->dir);
    test_dir_remove(rig->root);
    free(rig);
    return 0;
}

void node_rig_lead(struct node_rig *rig)
{
    struct node *node = &rig->node;
    node->role = ROLE_LEADER;
    node->leader = node->id;
    node->epoch++;
    node->epoch_runs = true;
    ledger_thread_epoch_begin(node->ledger_thread, node->epoch, node->term);
    node_rig_step(rig);
    assert_true(ledger_thread_leading(node->ledger_thread));
}

void node_rig_step(struct node_rig *rig)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        if (ledger_thread_step(rig->node.ledger_thread) == LEDGER_STEP_IDLE) {
            return;
        }
    }
    fail_msg("the ledger thread does not rest");
}

void node_rig_apply(struct node_rig *rig, uint64_t index)
{
    struct list events;
    list_init(&events);
    assert_int_equal(queue_pop_all(&rig->node.events, &events), 1);
    struct ledger_event *event = CONTAINER_OF(list_pop(&events), struct ledger_event, node);
    assert_int_equal(event->kind, LEDGER_EVENT_ENTRY);
    event->entry->proposed = true;
    ledger_thread_stored(rig->node.ledger_thread, index);
    ledger_thread_apply(rig->node.ledger_thread, index, event->entry->bytes.data,
                        event->entry->bytes.size);
    free(event);
    node_rig_step(rig);
}

static struct call *call_new(struct node_rig *rig, enum call_kind kind)
{
    struct call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    list_init(&call->node);
    call->worker = &rig->worker;
    call->kind = kind;
    call->deadline_ns = rig->now_ns + UINT64_C(60000000000);
    call->code = CODE_INTERNAL;
    buffer_init(&call->request, REQUEST_BYTES_MAX);
    buffer_init(&call->answer, ANSWER_BYTES_MAX);
    return call;
}

struct call *node_rig_execute(struct node_rig *rig, const char *code)
{
    struct call *call = call_new(rig, CALL_EXECUTE);
    const struct command command = {.kind = COMMAND_CURRENCY_CREATE,
                                    .currency_create = {.code = text_of(code), .scale = 2}};
    request_write_head(&call->request, REQUEST_SINGLE, 1);
    command_write(&call->request, &command);
    return call;
}

struct call *node_rig_batch(struct node_rig *rig, uint32_t count)
{
    struct call *call = call_new(rig, CALL_EXECUTE);
    const struct command command = {.kind = COMMAND_CURRENCY_CREATE,
                                    .currency_create = {.code = TEXT("EUR"), .scale = 2}};
    request_write_head(&call->request, REQUEST_INDEPENDENT, count);
    for (uint32_t i = 0; i < count; i++) {
        command_write(&call->request, &command);
    }
    return call;
}

struct call *node_rig_read(struct node_rig *rig)
{
    struct call *call = call_new(rig, CALL_READ);
    call->query.kind = QUERY_TOTALS;
    call->read_mode = READ_LINEARIZABLE;
    return call;
}

void node_rig_call_free(struct call *call)
{
    buffer_deinit(&call->request);
    buffer_deinit(&call->answer);
    free(call);
}

bool node_rig_answered(struct node_rig *rig, const struct call *call)
{
    struct list answers;
    list_init(&answers);
    (void)queue_pop_all(&rig->worker.answers, &answers);
    for (struct list *item = list_pop(&answers); item != NULL; item = list_pop(&answers)) {
        struct call *answered = CONTAINER_OF(item, struct call, node);
        assert_null(answered->owner); /* once only */
        answered->owner = rig;
    }
    return call->owner == rig;
}

bool node_rig_sent(struct node_rig *rig, uint32_t peer, struct link_item *item)
{
    static uint8_t bytes[65536];
    struct buffer *out = &node_peer(&rig->node, peer)->out;
    assert_true(out->size <= sizeof(bytes));
    if (out->size == 0) {
        return false;
    }
    memcpy(bytes, out->data, out->size);
    struct reader reader = reader_of(bytes, out->size);
    check_ok(link_item_read(&reader, item));
    const size_t left = reader_left(&reader);
    const size_t used = out->size - left;
    buffer_clear(out);
    write_bytes(out, bytes + used, left);
    return true;
}
