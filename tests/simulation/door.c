#include "tests/simulation/door.h"

#include "base/check.h"
#include "gateway/exchange.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/oracle.h"

#include <stdlib.h>
#include <string.h>

static struct session *sessions[PROCESSES_MAX];

static uint64_t door_delay(void)
{
    uint64_t most_us = dice_chance(&world.dice, 95) ? 800 : 60000;
    return dice_between(&world.dice, 50, most_us) * MICROSECONDS;
}

/* ---- what the gateway's exchange asks of its session ---------------------------------------- */

struct written {
    struct process *process;
    uint32_t life;
    char text[];
};

static void reply_arrives(void *data)
{
    struct written *reply = data;
    /* What a node wrote just before its end may arrive or not. */
    if (reply->process->life == reply->life || dice_chance(&world.dice, 50)) {
        clients_receive(reply->text);
    }
    free(reply);
}

void session_reply(struct session *session, struct text json)
{
    struct process *process = process_current;
    assert(sessions[process->place] == session);
    struct written *reply = malloc(sizeof(*reply) + json.size + 1);
    assert(reply != NULL);
    reply->process = process;
    reply->life = process->life;
    memcpy(reply->text, json.data, json.size);
    reply->text[json.size] = '\0';
    world_after(door_delay(), NULL, reply_arrives, reply);
}

void session_end(struct session *session, uint16_t code, const char *reason)
{
    (void)session;
    world_fail("a session ends: %u %s", code, reason);
}

bool session_ending(const struct session *session)
{
    (void)session;
    return false;
}

bool session_write_full(const struct session *session)
{
    (void)session;
    return false;
}

void worker_scan_later(struct gateway_worker *worker, struct session *session)
{
    (void)worker;
    (void)session;
    world_fail("a scan took virtual time");
}

static void answer_run(void *data)
{
    struct call *call = data;
    atomic_fetch_sub(&call->worker->calls, 1);
    exchange_answer(call);
}

/* The node is done with a call: back to its worker. */
void gateway_answer(struct call *call)
{
    struct process *process = process_current;
    if (call->code == CODE_OK && call->kind == CALL_EXECUTE) {
        oracle_committed(call->seq);
    }
    faults_moment(MOMENT_ANSWER, process);
    uint64_t delay = dice_between(&world.dice, 1, 100) * MICROSECONDS;
    world_after(process_delay(process, delay), process, answer_run, call);
}

/* ---- requests ------------------------------------------------------------------------------ */

struct request {
    struct process *process;
    uint32_t life;
    char *text;
};

static void request_run(void *data)
{
    struct request *request = data;
    exchange_begin(sessions[request->process->place], text_of(request->text));
}

static void request_arrives(void *data)
{
    struct request *request = data;
    struct process *process = request->process;
    if (!process_serves(process) || process->life != request->life) {
        clients_lost(process->place, request->life);
        return;
    }
    world_after(MICROSECONDS, process, request_run, request);
}

void door_send(struct process *process, const char *text)
{
    struct request *request = malloc(sizeof(*request));
    assert(request != NULL);
    *request = (struct request){.process = process, .life = process->life, .text = strdup(text)};
    assert(request->text != NULL);
    world_after(door_delay(), NULL, request_arrives, request);
}

void door_process_up(struct process *process)
{
    struct gateway_worker *worker = calloc(1, sizeof(*worker));
    struct session *session = calloc(1, sizeof(*session));
    assert(worker != NULL && session != NULL);
    struct node *node = process->node;
    process->gateway = (struct gateway_options){
        .session_requests_max = SESSION_REQUESTS_MAX,
        .request_timeout_ms = process->config.request_timeout_ms,
        .ledger = node->ledger,
        .metrics = &node->metrics,
        .backend = {.data = node, .submit = node_submit, .status = node_status},
        .clock = &process->clock};
    worker->options = &process->gateway;
    enum status status = message_reader_open(&worker->reader, MESSAGE_BYTES_MAX);
    assert(status == STATUS_OK);
    buffer_init(&worker->reply, SESSION_WRITE_BYTES_MAX);
    session->worker = worker;
    session->state = SESSION_WEBSOCKET;
    list_init(&session->exchanges);
    list_init(&session->answered);
    list_init(&session->scanning);
    list_init(&worker->scanning);
    process->worker = worker;
    sessions[process->place] = session;
}

struct lost {
    uint32_t place;
    uint32_t life;
};

static void lost_tell(void *data)
{
    struct lost *lost = data;
    clients_lost(lost->place, lost->life);
    free(lost);
}

void door_process_down(struct process *process)
{
    if (process->worker != NULL) {
        message_reader_close(process->worker->reader);
        process->worker = NULL;
    }
    struct lost *lost = malloc(sizeof(*lost));
    assert(lost != NULL);
    *lost = (struct lost){.place = process->place, .life = process->life - 1};
    world_after(door_delay(), NULL, lost_tell, lost);
}
