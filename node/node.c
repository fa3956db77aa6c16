/*
 * Start: lock and check the data directory -> fetch the state if a note says so -> ledger and its
 * thread -> raft (loads its log; a log shorter than the ledger is refused before this node can
 * vote) -> clients. Stop, on SIGTERM: refuse new requests and finish what is in flight -> hand
 * leadership over -> close raft, ledger, clients; all within five seconds.
 */
#include "node/node.h"

#include "node/credentials.h"
#include "node/fault.h"
#include "node/internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const PART = "node";

/* ---- the loop's callbacks ------------------------------------------------------------------ */

static void on_wake(uv_async_t *handle)
{
    struct node *node = handle->data;
    node_work(node);
}

static void wake_node(void *data)
{
    struct node *node = data;
    (void)uv_async_send(&node->wake);
}

/* The end of each round of the loop: what was queued for peers goes out in one write each. */
static void on_check(uv_check_t *handle)
{
    struct node *node = handle->data;
    if (node->consensus == NULL || node->stop == STOP_CLOSE) {
        return;
    }
    ledger_thread_stored(node->ledger_thread, consensus_last_stored(node->consensus));
    forward_flush(node);
}

void node_restart(struct node *node)
{
    atomic_store(&node->giving_up, true);
    /* By its path, so that the process keeps its name; the link itself serves a deleted file. */
    char path[PATH_BYTES_MAX] = {0};
    if (readlink("/proc/self/exe", path, sizeof(path) - 1) <= 0 || access(path, X_OK) != 0) {
        (void)snprintf(path, sizeof(path), "/proc/self/exe");
    }
    (void)fflush(NULL);
    /*
     * Closed by exec itself, which ends the other threads first: a descriptor closed before would
     * be given to the next file that one of them opens, while the ledger still writes to its
     * number.
     */
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
        fail_stop(EXIT_DISK, PART, "descriptors can not be closed at the restart");
    }
    sigset_t none;
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)execv(path, node->argv);
    fail_stop(EXIT_DISK, PART, "the process can not be started anew");
}

/* ---- stopping ------------------------------------------------------------------------------ */

static void on_consensus_closed(void *data)
{
    struct node *node = data;
    node->closed = true;
    uv_stop(&node->loop);
}

static void stop_enter(struct node *node, enum node_stop stop)
{
    node->stop = stop;
    node->stop_at_ns = clock_monotonic_ns(node->clock);
    if (stop == STOP_TRANSFER && node->role == ROLE_LEADER &&
        consensus_transfer(node->consensus, 0) == STATUS_OK) {
        return;
    }
    if (stop == STOP_CLOSE) {
        copy_close(node);
        consensus_close(node->consensus, on_consensus_closed, node);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct node *node = handle->data;
    if (node->stop != STOP_NO) {
        return;
    }
    log_info(PART, "signal %d: stopping", number);
    if (node->gateway == NULL) {
        node->stop = STOP_CLOSE; /* still fetching the state */
        return;
    }
    atomic_store(&node->admission.closed, true);
    gateway_drain(node->gateway);
    stop_enter(node, STOP_DRAIN);
    gossip_refresh(node);
}

static void stop_tick(struct node *node, uint64_t now_ns)
{
    uint64_t waited_ms = (now_ns - node->stop_at_ns) / 1000000;
    /* Jobs are also those of other nodes, whose clients wait there. */
    bool idle = gateway_calls(node->gateway) == 0 && atomic_load(&node->admission.jobs) == 0;
    if (node->stop == STOP_DRAIN && (idle || waited_ms >= SHUTDOWN_DRAIN_MS)) {
        stop_enter(node, STOP_TRANSFER);
        return;
    }
    if (node->stop == STOP_TRANSFER &&
        (node->role != ROLE_LEADER || waited_ms >= SHUTDOWN_TRANSFER_MS)) {
        stop_enter(node, STOP_CLOSE);
    }
}

static void on_tick(uv_timer_t *handle)
{
    struct node *node = handle->data;
    uint64_t now_ns = clock_monotonic_ns(node->clock);
    if (node->consensus == NULL || node->stop == STOP_CLOSE) {
        return;
    }
    stop_tick(node, now_ns);
    if (node->stop == STOP_CLOSE) {
        return;
    }
    node_tick(node, now_ns);
    fault_log_index(ledger_thread_logged(node->ledger_thread));
}

/* ---- options of the parts ------------------------------------------------------------------ */

static void consensus_fill(struct node *node, struct consensus_peer *peers,
                           struct consensus_options *options)
{
    const struct config *config = node->config;
    const struct config_node *self = config_self(config);
    for (uint32_t i = 0; i < config->nodes_count; i++) {
        peers[i].id = config->nodes[i].id;
        memcpy(peers[i].host, config->nodes[i].peer_host, sizeof(peers[i].host));
        peers[i].port = config->nodes[i].peer_port;
    }
    *options = (struct consensus_options){.loop = &node->loop,
                                          .dir = datadir_raft_path(node->dir),
                                          .identity = *datadir_identity(node->dir),
                                          .peers = peers,
                                          .peers_count = config->nodes_count,
                                          .listen_port = self->peer_listen_port,
                                          .tls_ca_path = config->tls_ca,
                                          .tls_cert_path = config->tls_cert,
                                          .tls_key_path = config->tls_key,
                                          .heartbeat_ms = config->heartbeat_ms,
                                          .election_timeout_ms = config->election_timeout_ms,
                                          .snapshot_bytes = config->snapshot_bytes,
                                          .snapshot_trailing = config->snapshot_trailing,
                                          .metrics = &node->metrics,
                                          .data = node};
    memcpy(options->listen_host, self->peer_listen_host, sizeof(options->listen_host));
    options->callbacks = node_consensus_callbacks();
}

static enum exit_status gateway_start(struct node *node)
{
    const struct config *config = node->config;
    const struct config_node *self = config_self(config);
    struct gateway_options options = {.port = self->client_listen_port,
                                      .workers = config->workers,
                                      .tls = config->tls_clients,
                                      .tls_cert_path = config->tls_cert,
                                      .tls_key_path = config->tls_key,
                                      .origins = config->origins,
                                      .origins_count = config->origins_count,
                                      .session_requests_max = config->session_requests_max,
                                      .request_timeout_ms = config->request_timeout_ms,
                                      .ledger = node->ledger,
                                      .metrics = &node->metrics,
                                      .clock = node->clock};
    options.backend = (struct gateway_backend){.data = node,
                                               .busy = node_busy,
                                               .submit = node_submit,
                                               .status = node_status,
                                               .damaged = node_damaged};
    memcpy(options.host, self->client_listen_host, sizeof(options.host));
    char error[512];
    if (gateway_open(&node->gateway, &options, error, sizeof(error)) != STATUS_OK) {
        log_error(PART, "%s", error);
        return EXIT_CONFIG;
    }
    return EXIT_DONE;
}

/* ---- starting ------------------------------------------------------------------------------ */

static void loop_start(struct node *node)
{
    int failed = uv_loop_init(&node->loop);
    failed |= uv_async_init(&node->loop, &node->wake, on_wake);
    failed |= uv_timer_init(&node->loop, &node->tick);
    failed |= uv_check_init(&node->loop, &node->check);
    failed |= uv_signal_init(&node->loop, &node->terminate);
    failed |= uv_signal_init(&node->loop, &node->interrupt);
    node->wake.data = node;
    node->tick.data = node;
    node->check.data = node;
    node->terminate.data = node;
    node->interrupt.data = node;
    failed |= uv_timer_start(&node->tick, on_tick, TICK_MS, TICK_MS);
    failed |= uv_check_start(&node->check, on_check);
    failed |= uv_signal_start(&node->terminate, on_signal, SIGTERM);
    failed |= uv_signal_start(&node->interrupt, on_signal, SIGINT);
    if (failed != 0) {
        fail_stop(EXIT_DISK, PART, "the event loop can not be made");
    }
}

static void node_init(struct node *node, const struct config *config, char **argv)
{
    node->argv = argv;
    if (node_prepare(node, config, clock_system(), wake_node) != STATUS_OK) {
        fail_stop(EXIT_DISK, PART, "out of memory");
    }
}

static enum exit_status ledger_start(struct node *node)
{
    char error[512];
    struct ledger_options options = {.path = datadir_ledger_path(node->dir),
                                     .map_bytes = node->config->map_bytes,
                                     .metrics = &node->metrics};
    fault_mark_in(node->peers_count > 0 ? datadir_fd(node->dir) : -1);
    fault_suspect(true);
    enum status status = ledger_open(&node->ledger, &options, error, sizeof(error));
    if (status == STATUS_CORRUPT) {
        node_damaged(node, error);
    }
    if (status != STATUS_OK) {
        log_error(PART, "%s", error);
        return status == STATUS_FOREIGN ? EXIT_DATA : EXIT_DISK;
    }
    node->opened_index = ledger_committed(node->ledger).index;
    fault_log_index(damage_opened_index(node));
    damage_check(node);
    fault_suspect(false);
    struct ledger_thread_options thread_options = {.ledger = node->ledger,
                                                   .metrics = &node->metrics,
                                                   .clock = node->clock,
                                                   .events = &node->events,
                                                   .entries_window = ENTRIES_WINDOW,
                                                   .damaged = node_damaged,
                                                   .data = node};
    struct scrubber_options scrubber_options = {
        .ledger = node->ledger, .metrics = &node->metrics, .damaged = node_damaged, .data = node};
    if (ledger_thread_open(&node->ledger_thread, &thread_options) != STATUS_OK) {
        log_error(PART, "the ledger thread can not be started");
        return EXIT_DISK;
    }
    if (scrubber_open(&node->scrubber, &scrubber_options) != STATUS_OK) {
        log_error(PART, "the scrub can not be started");
        return EXIT_DISK;
    }
    return EXIT_DONE;
}

static enum exit_status exit_of(enum status status)
{
    switch ((int)status) {
    case STATUS_CORRUPT:
    case STATUS_FOREIGN:
    case STATUS_NOT_FOUND:
        return EXIT_DATA;
    case STATUS_NETWORK:
    case STATUS_TLS:
    case STATUS_INVALID:
        return EXIT_CONFIG;
    default:
        return EXIT_DISK;
    }
}

static enum exit_status consensus_start(struct node *node, const struct consensus_options *options)
{
    char error[512];
    enum status status = consensus_open(&node->consensus, options, error, sizeof(error));
    if (status != STATUS_OK) {
        log_error(PART, "%s", error);
        return exit_of(status);
    }
    return node_log_is_whole(node) ? EXIT_DONE : EXIT_DATA;
}

static enum exit_status state_fetch(struct node *node, const struct consensus_options *options)
{
    struct consensus_manifest manifest;
    const enum exit_status looked = damage_look(node);
    if (looked != EXIT_DONE) {
        return looked;
    }
    enum status status = datadir_needs_state_read(node->dir, &manifest);
    if (status == STATUS_NOT_FOUND) {
        copy_left_remove(node);
        return EXIT_DONE;
    }
    if (status != STATUS_OK) {
        log_error(PART, "the note needs-state is damaged: %s", status_text(status));
        return EXIT_DATA;
    }
    status = copy_fetch(node, options, &manifest);
    return status == STATUS_OK || status == STATUS_CLOSED ? EXIT_DONE : EXIT_DISK;
}

/* ---- the end ------------------------------------------------------------------------------- */

static void jobs_end(struct list *jobs)
{
    for (struct list *item = list_pop(jobs); item != NULL; item = list_pop(jobs)) {
        struct job *job = CONTAINER_OF(item, struct job, node);
        list_move_all(jobs, &job->reads); /* those of a barrier end in this loop as well */
        job_refuse(job, CODE_SHUTTING_DOWN);
        job_free(job);
    }
}

/* After the ledger thread has ended: every job that is still somewhere gets its answer. */
static void leftovers_end(struct node *node)
{
    struct list items;
    list_init(&items);
    (void)queue_pop_all(&node->events, &items);
    for (struct list *item = list_pop(&items); item != NULL; item = list_pop(&items)) {
        struct ledger_event *event = CONTAINER_OF(item, struct ledger_event, node);
        if (event->job != NULL) {
            list_push(&node->epoch_jobs, &event->job->node);
        }
        free(event);
    }
    (void)queue_pop_all(&node->inbox, &items);
    jobs_end(&items);
    jobs_end(&node->epoch_jobs);
    jobs_end(&node->barrier_reads);
    for (uint32_t i = 0; i < node->peers_count; i++) {
        forward_link_down(node, node->peers[i].id);
    }
    (void)queue_pop_all(&node->inbox, &items);
    jobs_end(&items);
}

static void close_handle(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void node_finish(struct node *node)
{
    ledger_thread_stop(node->ledger_thread);
    leftovers_end(node);
    /* Its workers ask the ledger thread for its position to the end: /readyz, cluster.status. */
    if (node->gateway != NULL) {
        gateway_close(node->gateway);
    }
    ledger_thread_close(node->ledger_thread);
    uv_walk(&node->loop, close_handle, NULL);
    while (uv_run(&node->loop, UV_RUN_DEFAULT) != 0) {
    }
    copy_end(node);
    scrubber_close(node->scrubber);
    if (node->ledger != NULL) {
        ledger_close(node->ledger);
    }
    (void)uv_loop_close(&node->loop);
    forward_close(node);
    for (uint32_t i = 0; i < node->peers_count; i++) {
        buffer_deinit(&node->peers[i].out);
    }
    queue_deinit(&node->inbox);
    queue_deinit(&node->events);
    pthread_mutex_destroy(&node->status_lock);
}

static enum exit_status node_start_and_run(struct node *node)
{
    struct consensus_peer peers[NODES_MAX];
    struct consensus_options options;
    consensus_fill(node, peers, &options);
    enum exit_status status = state_fetch(node, &options);
    if (status != EXIT_DONE || node->stop != STOP_NO) {
        return status;
    }
    status = ledger_start(node);
    if (status != EXIT_DONE) {
        return status;
    }
    status = consensus_start(node, &options);
    if (status != EXIT_DONE) {
        return status;
    }
    gossip_refresh(node);
    status = gateway_start(node);
    if (status != EXIT_DONE) {
        return status;
    }
    const struct config_node *self = config_self(node->config);
    log_info(PART, "node %u of \"%s\" serves clients at %s:%u, peers at %s:%u", node->id,
             node->config->cluster, self->client_listen_host, self->client_listen_port,
             self->peer_listen_host, self->peer_listen_port);
    while (!node->closed) {
        (void)uv_run(&node->loop, UV_RUN_DEFAULT);
    }
    node->consensus = NULL;
    return EXIT_DONE;
}

/* Each client is a descriptor: as many as the system lets this process have. */
static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_warn(PART, "the limit of open files stays low");
    }
}

enum exit_status node_run(const struct config *config, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    fault_watch();
    static struct node node; /* one process, one node; too large for the stack */
    descriptors_raise();
#ifdef PAYLEDGER_MUTANTS
    log_warn(PART, "this build has faults on purpose (PAYLEDGER_MUTANTS): never use it for money");
#endif
    node_init(&node, config, argv);
    char error[DATADIR_ERROR_BYTES];
    enum status status = datadir_open(&node.dir, config, error, sizeof(error));
    if (status != STATUS_OK) {
        log_error(PART, "%s", error);
        return status == STATUS_IO ? EXIT_DISK : EXIT_DATA;
    }
    if (!credentials_check(config)) {
        datadir_close(node.dir);
        return EXIT_CONFIG;
    }
    loop_start(&node);
    enum exit_status exit_status = node_start_and_run(&node);
    if (exit_status != EXIT_DONE) {
        /* A half-started node: raft may have begun; nothing more is written. */
        datadir_close(node.dir);
        (void)fflush(NULL);
        _exit((int)exit_status);
    }
    node_finish(&node);
    datadir_close(node.dir);
    log_info(PART, "stopped");
    return EXIT_DONE;
}
