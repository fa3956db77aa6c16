/*
 * The happy path: one connection stays open, each request goes out with a number, and its reply
 * comes back with it. What may go wrong: no connection (the next node is tried), a retryable
 * refusal (surely not executed: again, elsewhere), `unknown` or a broken connection (maybe
 * executed: again with the same ids). The doubt ends with a result, or with a refusal that is
 * recorded under the id: one that is not recorded says nothing of the attempts before it.
 */
#include "client/call.h"

#include "base/check.h"
#include "base/clock.h"
#include "client/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How the newest attempt at a node ended. */
struct tried {
    bool refused;     /* nobody listens there */
    char reason[400]; /* empty: not tried */
};

struct caller {
    struct client_options options;
    uv_loop_t loop;
    uv_timer_t timer;
    bool timer_fired;
    struct tls_context *tls;
    struct message_reader *reader;
    struct buffer request;
    struct buffer answer; /* the last reply: reply borrows from it */
    struct connection *connection;
    bool connection_open;
    uint32_t node;     /* index of the connection's node, or of the next to try */
    uint32_t failures; /* nodes tried in vain, one after the other */
    uint64_t number;   /* of the newest request */
    bool waiting;
    bool answered;
    struct reply reply;
    char address[ADDRESS_TEXT_BYTES];
    struct tried tried[CLIENT_NODES_MAX]; /* in this call */
    uint64_t begin_ms;
    uint64_t notice_ms; /* when what is tried is said; UINT64_MAX: said */
    char reason[CLIENT_REASON_BYTES_MAX];
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static __attribute__((format(printf, 2, 3))) void caller_note(struct caller *caller,
                                                              const char *format, ...)
{
    struct tried *tried = &caller->tried[caller->node];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(tried->reason, sizeof(tried->reason), format, arguments);
    va_end(arguments);
    tried->refused = false;
}

/* Nobody listens at any of the addresses. */
static bool caller_refused_by_all(const struct caller *caller)
{
    for (uint32_t i = 0; i < caller->options.nodes_count; i++) {
        if (!caller->tried[i].refused) {
            return false;
        }
    }
    return true;
}

/* Who waits for long is told once for what. */
static void caller_notice(struct caller *caller)
{
    FILE *out = caller->options.notices;
    caller->notice_ms = UINT64_MAX;
    if (out == NULL) {
        return;
    }
    const uint32_t limit_ms =
        caller_refused_by_all(caller) ? caller->options.refused_ms : caller->options.timeout_ms;
    const char *reason = caller_reason(caller);
    char address[ADDRESS_TEXT_BYTES] = "";
    if (caller->connection != NULL) {
        const struct client_node *node = &caller->options.nodes[caller->node];
        address_format(node->host, node->port, address);
    }
    (void)fprintf(out, "payledger: no answer yet: %s%s%s%s; trying for up to %u.%u s\n", reason,
                  reason[0] != '\0' && address[0] != '\0' ? "; " : "", address,
                  address[0] == '\0'        ? ""
                  : caller->connection_open ? " has the request"
                                            : " is being connected to",
                  limit_ms / 1000, limit_ms % 1000 / 100);
    (void)fflush(out);
}

/* ---- the connection ----------------------------------------------------------------------- */

static void on_open(struct connection *connection, void *data)
{
    struct caller *caller = data;
    assert(caller->connection == connection);
    caller->connection_open = true;
    const struct client_node *node = &caller->options.nodes[caller->node];
    address_format(node->host, node->port, caller->address);
}

static void on_message(struct connection *connection, void *data, struct text message)
{
    struct caller *caller = data;
    if (connection != caller->connection || !caller->waiting || caller->answered) {
        return; /* the answer of an attempt that was given up */
    }
    buffer_clear(&caller->answer);
    caller->reply = (struct reply){.result = NULL}; /* it borrows from the former answer */
    write_bytes(&caller->answer, message.data, message.size);
    const struct value *root = NULL;
    struct failure failure;
    const struct text text = {(const char *)caller->answer.data, caller->answer.size};
    struct reply reply;
    if (caller->answer.failed || message_parse(caller->reader, text, &root, &failure) != CODE_OK ||
        !reply_read(root, &reply)) {
        caller_note(caller, "the answer is not JSON-RPC");
        connection_close(connection);
        return;
    }
    uint64_t number = 0;
    /* An answer with id null is about the message as a whole: ours, since one is out at a time. */
    bool ours = reply.id.kind == REQUEST_ID_NULL ||
                (request_id_number(&reply.id, &number) && number == caller->number);
    if (ours) {
        caller->reply = reply;
        caller->answered = true;
    }
}

static void on_close(struct connection *connection, void *data, const char *reason)
{
    struct caller *caller = data;
    if (connection != caller->connection) {
        return; /* dropped before */
    }
    caller_note(caller, "%s", reason);
    caller->tried[caller->node].refused =
        !caller->connection_open && strcmp(reason, uv_strerror(UV_ECONNREFUSED)) == 0;
    caller->connection = NULL;
    caller->connection_open = false;
}

/* Lets the connection go; its end is not waited for. */
static void caller_drop(struct caller *caller)
{
    if (caller->connection != NULL) {
        connection_close(caller->connection);
        caller->connection = NULL;
        caller->connection_open = false;
    }
}

static void caller_rotate(struct caller *caller)
{
    caller_drop(caller);
    caller->node = (caller->node + 1) % caller->options.nodes_count;
    caller->failures += 1;
}

static void on_timer(uv_timer_t *timer)
{
    struct caller *caller = timer->data;
    caller->timer_fired = true;
}

enum wait { WAIT_OPEN, WAIT_ANSWER, WAIT_TIME };

static bool wait_over(const struct caller *caller, enum wait wait)
{
    switch (wait) {
    case WAIT_OPEN:
        return caller->connection_open || caller->connection == NULL;
    case WAIT_ANSWER:
        return caller->answered || caller->connection == NULL;
    case WAIT_TIME:
        return false;
    }
    return true;
}

/* Runs the loop until what is waited for has happened, or the time. */
static void caller_run(struct caller *caller, enum wait wait, uint64_t until_ms)
{
    uint64_t now = now_ms();
    caller->timer_fired = until_ms <= now;
    if (!caller->timer_fired) {
        uv_update_time(&caller->loop);
        int result = uv_timer_start(&caller->timer, on_timer, until_ms - now, 0);
        assert(result == 0);
    }
    while (!caller->timer_fired && !wait_over(caller, wait)) {
        (void)uv_run(&caller->loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&caller->timer);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void caller_wait(struct caller *caller, enum wait wait, uint64_t until_ms)
{
    caller_run(caller, wait, earlier(until_ms, caller->notice_ms));
    if (!wait_over(caller, wait) && now_ms() >= caller->notice_ms) {
        caller_notice(caller);
        caller_run(caller, wait, until_ms);
    }
}

/* True with an open connection. Tries one node. */
static bool caller_connect(struct caller *caller, uint64_t deadline_ms)
{
    if (caller->connection_open) {
        return true;
    }
    assert(caller->connection == NULL);
    const struct client_node *node = &caller->options.nodes[caller->node];
    const struct connection_options options = {
        .loop = &caller->loop,
        .host = node->host,
        .port = node->port,
        .tls = caller->tls,
        .open_timeout_ms = CLIENT_CONNECT_MS,
        .callbacks = {.on_open = on_open, .on_message = on_message, .on_close = on_close},
        .data = caller};
    enum status status = connection_open(&caller->connection, &options);
    if (status != STATUS_OK) {
        caller->connection = NULL;
        caller_note(caller, "%s", status_text(status));
        return false;
    }
    caller_wait(caller, WAIT_OPEN, earlier(deadline_ms, now_ms() + CLIENT_CONNECT_MS));
    if (!caller->connection_open && caller->connection != NULL) {
        caller_note(caller, "no connection in time");
        caller_drop(caller);
    }
    return caller->connection_open;
}

/* ---- one attempt -------------------------------------------------------------------------- */

enum attempt {
    ATTEMPT_ANSWERED, /* a final answer, one way or the other */
    ATTEMPT_NOT_SENT, /* surely not executed */
    ATTEMPT_REFUSED,  /* surely not executed, and worth another attempt */
    ATTEMPT_UNKNOWN   /* maybe executed */
};

/* The outcome of this request, whatever became of earlier attempts. */
static bool reply_settles(const struct reply *reply)
{
    return reply->result != NULL || reply->recorded == YES;
}

static enum attempt attempt_judge(struct caller *caller)
{
    if (!caller->answered) {
        if (caller->connection != NULL) {
            caller_note(caller, "no answer in time");
            caller_drop(caller);
        }
        return ATTEMPT_UNKNOWN;
    }
    const struct reply *reply = &caller->reply;
    if (reply->result != NULL) {
        return ATTEMPT_ANSWERED;
    }
    if (text_equal(reply->code, TEXT("unknown"))) {
        caller_note(caller, "the outcome is unknown");
        return ATTEMPT_UNKNOWN;
    }
    if (reply->retryable && reply->recorded == NO) {
        caller_note(caller, "%.*s", (int)earlier(reply->message.size, 300), reply->message.data);
        return ATTEMPT_REFUSED;
    }
    return ATTEMPT_ANSWERED;
}

static enum attempt caller_attempt(struct caller *caller, const char *method, struct text params,
                                   uint64_t deadline_ms)
{
    if (!caller_connect(caller, deadline_ms)) {
        return ATTEMPT_NOT_SENT;
    }
    caller->number += 1;
    buffer_clear(&caller->request);
    message_write_request(&caller->request, caller->number, text_of(method), params);
    caller->answered = false;
    caller->waiting = true;
    enum status status = STATUS_NO_MEMORY;
    if (!caller->request.failed) {
        status = connection_send(caller->connection,
                                 (struct text){(char *)caller->request.data, caller->request.size});
    }
    if (status != STATUS_OK) {
        caller_note(caller, "%s", status_text(status));
        caller_drop(caller);
        caller->waiting = false;
        return ATTEMPT_NOT_SENT;
    }
    caller_wait(caller, WAIT_ANSWER, earlier(deadline_ms, now_ms() + CLIENT_ATTEMPT_MS));
    caller->waiting = false;
    return attempt_judge(caller);
}

/* Reads change nothing: a read without an answer was simply not done. */
static bool method_reads(const char *method)
{
    const char *dot = strrchr(method, '.');
    return dot != NULL && (strcmp(dot, ".get") == 0 || strcmp(dot, ".list") == 0 ||
                           strncmp(method, "ledger.", 7) == 0 || strncmp(method, "rpc.", 4) == 0 ||
                           strcmp(method, "cluster.status") == 0);
}

/* A pause before the next attempt: none for a node that was not tried yet. */
static void caller_pause(struct caller *caller, enum attempt attempt, uint64_t deadline_ms)
{
    uint64_t pause_ms = CLIENT_RETRY_MS;
    if (attempt == ATTEMPT_REFUSED && caller->reply.retry_after_ms > pause_ms) {
        pause_ms = caller->reply.retry_after_ms;
    }
    if (attempt == ATTEMPT_NOT_SENT && caller->failures % caller->options.nodes_count != 0) {
        return;
    }
    caller_wait(caller, WAIT_TIME, earlier(deadline_ms, now_ms() + pause_ms));
}

static void caller_begin(struct caller *caller)
{
    caller->begin_ms = now_ms();
    caller->notice_ms = caller->begin_ms + CLIENT_NOTICE_MS;
    caller->failures = 0;
    caller->answered = false;
    buffer_clear(&caller->answer);
    memset(caller->tried, 0, sizeof(caller->tried));
}

/* The newest answer, if any, says that the state to read was not reached. */
static bool caller_read_timeout(const struct caller *caller)
{
    return caller->answer.size > 0 && text_equal(caller->reply.code, TEXT("read_timeout"));
}

enum call_end caller_call(struct caller *caller, const char *method, struct text params,
                          struct reply *reply)
{
    assert(method[0] != '\0');
    assert(caller->options.nodes_count > 0);
    caller_begin(caller);
    const uint64_t deadline_ms = caller->begin_ms + caller->options.timeout_ms;
    bool unknown = false;
    do {
        enum attempt attempt = caller_attempt(caller, method, params, deadline_ms);
        if (attempt == ATTEMPT_ANSWERED && unknown && !reply_settles(&caller->reply)) {
            caller_note(caller, "%.*s", (int)earlier(caller->reply.message.size, 300),
                        caller->reply.message.data);
            break; /* asked again, it would say the same */
        }
        if (attempt == ATTEMPT_ANSWERED) {
            *reply = caller->reply;
            return reply->result != NULL ? CALL_DONE : CALL_REFUSED;
        }
        unknown = unknown || (attempt == ATTEMPT_UNKNOWN && !method_reads(method));
        if (!unknown && caller_refused_by_all(caller) &&
            now_ms() - caller->begin_ms >= caller->options.refused_ms) {
            break;
        }
        caller_pause(caller, attempt, deadline_ms);
        /* Overloaded says nothing against the node, but another one may know a leader. */
        caller_rotate(caller);
    } while (now_ms() < deadline_ms);
    if (!unknown && caller_read_timeout(caller)) {
        *reply = caller->reply;
        return CALL_REFUSED;
    }
    *reply = (struct reply){.result = NULL};
    return unknown ? CALL_UNKNOWN : CALL_UNREACHABLE;
}

struct text caller_text(const struct caller *caller)
{
    return (struct text){(const char *)caller->answer.data, caller->answer.size};
}

const char *caller_reason(struct caller *caller)
{
    size_t used = 0;
    caller->reason[0] = '\0';
    for (uint32_t i = 0; i < caller->options.nodes_count; i++) {
        const struct client_node *node = &caller->options.nodes[i];
        char address[ADDRESS_TEXT_BYTES];
        address_format(node->host, node->port, address);
        if (caller->tried[i].reason[0] == '\0') {
            continue;
        }
        int size = snprintf(caller->reason + used, sizeof(caller->reason) - used, "%s%.100s: %s",
                            used > 0 ? "; " : "", address, caller->tried[i].reason);
        assert(size > 0);
        if ((size_t)size >= sizeof(caller->reason) - used) {
            break; /* cut: the rest says nothing new */
        }
        used += (size_t)size;
    }
    return caller->reason;
}

const char *caller_node(const struct caller *caller)
{
    return caller->address;
}

void caller_pin(struct caller *caller, uint32_t index)
{
    assert(index < caller->options.nodes_count);
    caller_drop(caller);
    caller->options.nodes[0] = caller->options.nodes[index];
    caller->tried[0] = caller->tried[index];
    caller->options.nodes_count = 1;
    caller->node = 0;
}

/* ---- life --------------------------------------------------------------------------------- */

static enum status caller_open_parts(struct caller *caller, char *error, size_t error_size)
{
    const struct client_options *options = &caller->options;
    if (options->tls) {
        const struct tls_options tls = {.ca_path = options->ca_path,
                                        .verify_peer = options->ca_path != NULL,
                                        .verify_host = options->ca_path != NULL};
        enum status status = tls_context_open(&caller->tls, &tls, error, error_size);
        if (status != STATUS_OK) {
            return status;
        }
    }
    enum status status = message_reader_open(&caller->reader, CLIENT_ANSWER_BYTES_MAX);
    if (status != STATUS_OK) {
        (void)snprintf(error, error_size, "%s", status_text(status));
    }
    return status;
}

enum status caller_open(struct caller **opened, const struct client_options *options, char *error,
                        size_t error_size)
{
    assert(options->nodes_count > 0 && options->nodes_count <= CLIENT_NODES_MAX);
    assert(options->timeout_ms > 0);
    struct caller *caller = calloc(1, sizeof(*caller));
    if (caller == NULL || uv_loop_init(&caller->loop) != 0) {
        free(caller);
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    caller->options = *options;
    caller->timer.data = caller;
    int result = uv_timer_init(&caller->loop, &caller->timer);
    assert(result == 0);
    buffer_init(&caller->request, SESSION_WRITE_BYTES_MAX);
    buffer_init(&caller->answer, CLIENT_ANSWER_BYTES_MAX);
    enum status status = caller_open_parts(caller, error, error_size);
    if (status != STATUS_OK) {
        caller_close(caller);
        return status;
    }
    *opened = caller;
    return STATUS_OK;
}

void caller_close(struct caller *caller)
{
    if (caller == NULL) {
        return;
    }
    caller_drop(caller);
    uv_close((uv_handle_t *)&caller->timer, NULL);
    /* Ends when the connections have gone: each has a bounded linger. */
    (void)uv_run(&caller->loop, UV_RUN_DEFAULT);
    int result = uv_loop_close(&caller->loop);
    assert(result == 0);
    tls_context_close(caller->tls);
    message_reader_close(caller->reader);
    buffer_deinit(&caller->request);
    buffer_deinit(&caller->answer);
    free(caller);
}
