#include "tests/support/gateway_rig.h"

#include "base/certificate.h"
#include "base/check.h"
#include "base/limits.h"
#include "gateway/render.h"
#include "ledger/outcome.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RECEIVE_BYTES = 16384, INPUT_BYTES_MAX = 64 * 1024 * 1024, WAIT_MS_MAX = 10000 };

uint64_t test_now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

void test_sleep_ms(uint32_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

void wait_for_count(const _Atomic uint32_t *value, uint32_t wanted)
{
    const uint64_t begin_ms = test_now_ms();
    while (atomic_load(value) != wanted) {
        if (test_now_ms() - begin_ms > WAIT_MS_MAX) {
            fail_msg("%u, wanted %u", (unsigned)atomic_load(value), (unsigned)wanted);
        }
        test_sleep_ms(1);
    }
}

void wait_for_metric(const struct metrics *metrics, enum metric metric, uint64_t wanted)
{
    const uint64_t begin_ms = test_now_ms();
    while (metric_get(metrics, metric) != wanted) {
        if (test_now_ms() - begin_ms > WAIT_MS_MAX) {
            fail_msg("%s is %llu, wanted %llu", metric_name(metric),
                     (unsigned long long)metric_get(metrics, metric), (unsigned long long)wanted);
        }
        test_sleep_ms(1);
    }
}

/* ---- the node ------------------------------------------------------------------------------ */

static void answer_payment(const struct command *command, struct outcome *outcome)
{
    const struct payment *payment = &command->payment;
    outcome->id = payment->id;
    outcome->short_form = payment->short_form;
    outcome->rows_count = 2;
    outcome->rows[0] = (struct outcome_row){
        .account = payment->legs[0].debit, .posted = 5, .has_rest = true, .available = 5};
    outcome->rows[1] = (struct outcome_row){
        .account = payment->legs[0].credit, .posted = 7, .has_rest = true, .available = 7};
}

/* Opened or created as asked; the view follows the outcome. */
static void answer_opening(struct fake_node *node, const struct command *command,
                           struct buffer *answer)
{
    const struct outcome outcome = {
        .kind = command->kind, .seq = 1, .term = 1, .time_ns = INT64_C(1700000000000000000)};
    const struct currency_view currency = {.code = TEXT("EUR"), .scale = 2, .seq = 1, .term = 1};
    const struct account_view account = {
        .id = TEXT("a"), .currency = TEXT("EUR"), .scale = 2, .seq = 1, .term = 1};
    outcome_write(answer, &outcome);
    if (command->kind == COMMAND_CURRENCY_CREATE) {
        currency_view_write(answer, &currency);
    } else {
        account_view_write(answer, &account);
        atomic_fetch_add(&node->opened, 1);
    }
}

static void answer_execute(struct fake_node *node, struct call *call)
{
    struct reader reader = reader_of(call->request.data, call->request.size);
    enum request_mode mode;
    uint32_t count = 0;
    assert(request_read_head(&reader, &mode, &count) == STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        static _Thread_local struct command command;
        static _Thread_local struct outcome outcome;
        assert(command_read(&reader, &command) == STATUS_OK);
        if (command.kind != COMMAND_PAYMENT && atomic_load(&node->opens)) {
            answer_opening(node, &command, &call->answer);
            continue;
        }
        outcome = (struct outcome){
            .kind = command.kind, .seq = i + 1, .term = 1, .time_ns = INT64_C(1700000000000000000)};
        if (command.kind == COMMAND_PAYMENT && atomic_load(&node->refusal) != CODE_OK) {
            outcome.id = command.payment.id;
            outcome.code = (enum code)atomic_load(&node->refusal);
        } else if (command.kind == COMMAND_PAYMENT) {
            answer_payment(&command, &outcome);
        } else {
            outcome.code = CODE_ALREADY_EXISTS;
            outcome.field = FIELD_ID;
        }
        outcome_write(&call->answer, &outcome);
    }
    call->outcomes_count = count;
    call->seq = count;
    call->term = 1;
    call->time_ns = INT64_C(1700000000000000000);
}

/* The account or payment that is asked for. */
static void answer_view(struct call *call)
{
    if (call->query.kind == QUERY_ACCOUNT_GET) {
        const struct account_view account = {.id = {call->query.account, call->query.account_size},
                                             .currency = TEXT("EUR"),
                                             .scale = 2,
                                             .seq = 1,
                                             .term = 1};
        account_view_write(&call->answer, &account);
        return;
    }
    static _Thread_local struct payment_view view;
    view = (struct payment_view){.outcome = {.kind = COMMAND_PAYMENT,
                                             .seq = 1,
                                             .term = 1,
                                             .time_ns = INT64_C(1700000000000000000),
                                             .id = call->query.id},
                                 .legs_count = 1};
    view.legs[0] = (struct payment_view_leg){.debit = TEXT("a"),
                                             .credit = TEXT("b"),
                                             .currency = TEXT("EUR"),
                                             .amount = 5,
                                             .has_entries = true,
                                             .debit_entry = 1,
                                             .credit_entry = 1};
    payment_view_write(&call->answer, &view);
}

static void answer_read(const struct fake_node *node, struct call *call)
{
    struct answer_head head = {.seq = 9, .term = 1, .time_ns = INT64_C(1700000000000000000)};
    const bool one = call->query.kind == QUERY_ACCOUNT_GET || call->query.kind == QUERY_PAYMENT_GET;
    if (one && !atomic_load(&node->finds)) {
        head.code = CODE_NOT_FOUND;
    } else if (one) {
        head.count = 1;
    }
    if (call->query.kind == QUERY_TOTALS) {
        head.count = atomic_load(&node->currencies);
    }
    answer_head_write(&call->answer, &head);
    if (one && head.count == 1) {
        answer_view(call);
    }
    for (uint32_t i = 0; i < head.count && !one; i++) {
        const struct currency_view view = {.code = text_of(atomic_load(&node->currency)),
                                           .scale = 2,
                                           .seq = 1,
                                           .term = 1,
                                           .debits_posted = atomic_load(&node->debits),
                                           .credits_posted = atomic_load(&node->credits)};
        currency_view_write(&call->answer, &view);
    }
}

static void answer(struct fake_node *node, struct call *call)
{
    call->code = (enum code)atomic_load(&node->code);
    if (call->code == CODE_OK && call->kind == CALL_EXECUTE) {
        answer_execute(node, call);
    } else if (call->code == CODE_OK && call->kind == CALL_READ) {
        answer_read(node, call);
    }
    gateway_answer(call);
    atomic_fetch_add(&node->answered, 1);
}

static void answer_all(struct fake_node *node, struct list *calls)
{
    while (!list_empty(calls)) {
        struct list *next = node->order == FAKE_IN_ORDER ? calls->next : calls->previous;
        list_remove(next);
        answer(node, CONTAINER_OF(next, struct call, node));
    }
}

static void *fake_node_run(void *data)
{
    struct fake_node *node = data;
    struct list calls;
    list_init(&calls);
    uint32_t count = 0;
    for (;;) {
        count += queue_wait(&node->calls, &calls, 1);
        const bool closed = atomic_load(&node->closing);
        if (count > 0 && (closed || count >= atomic_load(&node->hold))) {
            answer_all(node, &calls);
            count = 0;
        }
        if (closed && queue_count(&node->calls) == 0 && list_empty(&calls)) {
            return NULL;
        }
    }
}

static enum status fake_node_submit(void *data, struct call *call)
{
    struct fake_node *node = data;
    enum status status = (enum status)atomic_load(&node->refuse);
    if (status == STATUS_OK) {
        status = queue_push(&node->calls, &call->node, call->request.size);
    }
    if (status == STATUS_OK) {
        atomic_fetch_add(&node->submitted, 1);
    }
    return status;
}

static void fake_node_status(void *data, struct cluster_status *status)
{
    struct fake_node *node = data;
    *status = (struct cluster_status){.cluster = "pretended", .node = 1, .leader = 1, .term = 1};
    status->ready = atomic_load(&node->ready);
    (void)snprintf(status->ready_reason, sizeof status->ready_reason, "no leader is known");
    status->nodes_count = 1;
    status->nodes[0].id = 1;
    status->nodes[0].role = "leader";
}

void fake_node_open(struct fake_node *node)
{
    *node = (struct fake_node){.ready = true, .currencies = 1, .currency = "EUR"};
    check_ok(queue_init(&node->calls, 100000, NULL, NULL));
    assert_int_equal(pthread_create(&node->thread, NULL, fake_node_run, node), 0);
}

void fake_node_close(struct fake_node *node)
{
    atomic_store(&node->refuse, STATUS_CLOSED);
    atomic_store(&node->closing, true);
    assert_int_equal(pthread_join(node->thread, NULL), 0);
    queue_deinit(&node->calls);
}

static bool fake_node_busy(void *data)
{
    return atomic_load(&((struct fake_node *)data)->busy);
}

struct gateway_backend fake_node_backend(struct fake_node *node)
{
    return (struct gateway_backend){.data = node,
                                    .busy = fake_node_busy,
                                    .submit = fake_node_submit,
                                    .status = fake_node_status};
}

/* ---- the worker ---------------------------------------------------------------------------- */

struct rig *rig_open(void)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    fake_node_open(&rig->node);
    rig->times = session_times_default;
    rig->times.sweep_ms = 20;
    rig->sessions_max = SESSIONS_PER_WORKER_MAX;
    rig->input_bytes_max = WORKER_INPUT_BYTES_MAX;
    rig->unsent_bytes_max = WORKER_UNSENT_BYTES_MAX;
    rig->options = (struct gateway_options){
        .host = "127.0.0.1",
        .workers = 1,
        .session_requests_max = 256,
        .request_timeout_ms = 5000,
        .metrics = &rig->metrics,
        .backend = fake_node_backend(&rig->node),
        .clock = clock_system(),
    };
    return rig;
}

void rig_use_tls(struct rig *rig, const char *dir)
{
    char error[256] = "";
    char ca[512];
    char cert[512];
    char key[512];
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    (void)snprintf(cert, sizeof cert, "%s/node1.pem", dir);
    (void)snprintf(key, sizeof key, "%s/node1.key", dir);
    check_ok(certificate_make_ca(dir, error, sizeof error));
    check_ok(certificate_make_node(dir, 1, NULL, 0, error, sizeof error));
    const struct tls_options server = {.cert_path = cert, .key_path = key, .server = true};
    const struct tls_options client = {.ca_path = ca, .verify_peer = true, .verify_host = true};
    check_ok(tls_context_open(&rig->server_tls, &server, error, sizeof error));
    check_ok(tls_context_open(&rig->client_tls, &client, error, sizeof error));
}

void rig_start(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    rig->port = ntohs(address.sin_port);
    assert_true(route_page_policy(page_text(), rig->page_policy));
    check_ok(worker_open(&rig->worker, &rig->options, rig->server_tls, rig->page_policy, fd));
    rig->worker.times = &rig->times;
    rig->worker.sessions_max = rig->sessions_max;
    rig->worker.input_bytes_max = rig->input_bytes_max;
    rig->worker.unsent_bytes_max = rig->unsent_bytes_max;
    check_ok(worker_start(&rig->worker));
}

void rig_close(struct rig *rig)
{
    fake_node_close(&rig->node);
    worker_stop(&rig->worker);
    worker_close(&rig->worker);
    tls_context_close(rig->server_tls);
    tls_context_close(rig->client_tls);
    free(rig);
}

/* ---- a client ------------------------------------------------------------------------------ */

static void peer_tls_drain(struct peer *peer)
{
    struct buffer out;
    buffer_init(&out, INPUT_BYTES_MAX);
    check_ok(tls_drain(peer->tls, &out));
    size_t sent = 0;
    while (sent < out.size) {
        const ssize_t part = send(peer->fd, out.data + sent, out.size - sent, MSG_NOSIGNAL);
        if (part <= 0) {
            break;
        }
        sent += (size_t)part;
    }
    buffer_deinit(&out);
}

void peer_open(struct peer *peer, uint16_t port, struct tls_context *tls)
{
    memset(peer, 0, sizeof *peer);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    buffer_init(&peer->input, INPUT_BYTES_MAX);
    buffer_init(&peer->text, INPUT_BYTES_MAX);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->fd >= 0);
    assert_int_equal(setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    assert_int_equal(connect(peer->fd, (const struct sockaddr *)&address, sizeof address), 0);
    if (tls == NULL) {
        return;
    }
    check_ok(tls_open(&peer->tls, tls, "localhost"));
    while (!tls_handshake_done(peer->tls)) {
        const enum status status = tls_read(peer->tls, &peer->input);
        assert_true(status == STATUS_OK || status == STATUS_AGAIN);
        peer_tls_drain(peer);
        if (!tls_handshake_done(peer->tls) && !peer_receive(peer, WAIT_MS_MAX)) {
            assert_true(tls_handshake_done(peer->tls));
        }
    }
    peer_tls_drain(peer);
}

void peer_close(struct peer *peer)
{
    if (peer->fd >= 0) {
        (void)close(peer->fd);
    }
    tls_close(peer->tls);
    websocket_close(peer->websocket);
    buffer_deinit(&peer->input);
    buffer_deinit(&peer->text);
    memset(peer, 0, sizeof *peer);
    peer->fd = -1;
}

void peer_send(struct peer *peer, const void *data, size_t size)
{
    if (peer->tls != NULL) {
        check_ok(tls_write(peer->tls, data, size));
        peer_tls_drain(peer);
        return;
    }
    size_t sent = 0;
    while (sent < size) {
        const ssize_t part =
            send(peer->fd, (const uint8_t *)data + sent, size - sent, MSG_NOSIGNAL);
        if (part <= 0) {
            return; /* the other side ended: what it said before is still to be read */
        }
        sent += (size_t)part;
    }
}

void peer_send_text(struct peer *peer, const char *text)
{
    peer_send(peer, text, strlen(text));
}

/* Ciphertext into the engine; true where plaintext came out, or the handshake went on. */
static bool peer_tls_receive(struct peer *peer, const uint8_t *bytes, size_t size)
{
    check_ok(tls_feed(peer->tls, bytes, size));
    enum status status;
    do {
        status = tls_read(peer->tls, &peer->input);
    } while (status == STATUS_AGAIN && !peer->input.failed);
    peer_tls_drain(peer);
    peer->ended = peer->ended || (status != STATUS_OK && status != STATUS_AGAIN);
    return !peer->ended || peer->input.size > 0;
}

bool peer_receive(struct peer *peer, uint32_t timeout_ms)
{
    uint8_t bytes[RECEIVE_BYTES];
    struct pollfd poll_fd = {.fd = peer->fd, .events = POLLIN};
    if (peer->ended || poll(&poll_fd, 1, (int)timeout_ms) <= 0) {
        return false;
    }
    const ssize_t size = recv(peer->fd, bytes, sizeof bytes, 0);
    if (size <= 0) {
        peer->ended = true;
        return false;
    }
    if (peer->tls != NULL) {
        return peer_tls_receive(peer, bytes, (size_t)size);
    }
    write_bytes(&peer->input, bytes, (size_t)size);
    return true;
}

bool peer_sees_end(struct peer *peer, uint32_t timeout_ms)
{
    const uint64_t begin_ms = test_now_ms();
    while (!peer->ended && test_now_ms() - begin_ms < timeout_ms) {
        (void)peer_receive(peer, 20);
        buffer_clear(&peer->input);
    }
    return peer->ended;
}

/* Bytes of the whole response at the front of the input; 0 where it is not complete. */
static size_t response_bytes(const struct peer *peer, bool head_only)
{
    const char *data = (const char *)peer->input.data;
    const char *end = peer->input.size == 0 ? NULL : memmem(data, peer->input.size, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    const size_t head = (size_t)(end - data) + 4;
    const char *length = memmem(data, head, "Content-Length: ", 16);
    size_t body = length == NULL || head_only ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    return peer->input.size >= head + body ? head + body : 0;
}

uint16_t peer_response(struct peer *peer, bool head_only)
{
    size_t size;
    while ((size = response_bytes(peer, head_only)) == 0) {
        if (!peer_receive(peer, WAIT_MS_MAX)) {
            return 0;
        }
    }
    buffer_clear(&peer->text);
    write_bytes(&peer->text, peer->input.data, size);
    write_u8(&peer->text, '\0');
    buffer_consume(&peer->input, size);
    return (uint16_t)strtoul((const char *)peer->text.data + 9, NULL, 10);
}

uint16_t peer_request(struct peer *peer, const char *request)
{
    peer_send_text(peer, request);
    return peer_response(peer, strncmp(request, "HEAD", 4) == 0);
}

void peer_open_websocket(struct peer *peer, uint16_t port, struct tls_context *tls)
{
    char key[WEBSOCKET_KEY_BYTES];
    struct buffer out;
    buffer_init(&out, 4096);
    peer_open(peer, port, tls);
    websocket_request_write(&out, "localhost", "/v1", key);
    peer_send(peer, out.data, out.size);
    buffer_deinit(&out);
    assert_int_equal(peer_response(peer, true), 101);
    check_ok(websocket_open(&peer->websocket, WEBSOCKET_SIDE_CLIENT, INPUT_BYTES_MAX));
}

void peer_message(struct peer *peer, const char *text)
{
    struct buffer out;
    buffer_init(&out, INPUT_BYTES_MAX);
    websocket_write_text(peer->websocket, text_of(text), &out);
    peer_send(peer, out.data, out.size);
    buffer_deinit(&out);
}

static enum status peer_read(struct peer *peer, uint32_t timeout_ms)
{
    struct buffer out;
    buffer_init(&out, INPUT_BYTES_MAX);
    enum status status = STATUS_AGAIN;
    while (status == STATUS_AGAIN) {
        if (peer->input.size == 0 && !peer_receive(peer, timeout_ms)) {
            break;
        }
        size_t taken = 0;
        status = websocket_feed(peer->websocket, peer->input.data, peer->input.size, &taken, &out);
        buffer_consume(&peer->input, taken);
    }
    peer_send(peer, out.data, out.size);
    buffer_deinit(&out);
    return status;
}

bool peer_reply(struct peer *peer, uint32_t timeout_ms)
{
    if (peer_read(peer, timeout_ms) != STATUS_OK) {
        return false;
    }
    const struct text message = websocket_message(peer->websocket);
    buffer_clear(&peer->text);
    write_bytes(&peer->text, message.data, message.size);
    write_u8(&peer->text, '\0');
    return true;
}

uint16_t peer_close_code(struct peer *peer, uint32_t timeout_ms)
{
    enum status status;
    do {
        status = peer_read(peer, timeout_ms);
    } while (status == STATUS_OK);
    return websocket_code(peer->websocket);
}
