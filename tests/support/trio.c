#include "tests/support/trio.h"

#include "base/certificate.h"
#include "base/check.h"
#include "base/clock.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIO_IN_FLIGHT = 8, TRIO_TIMEOUT_MS = 20000 };

struct trio_node *trio_node(struct trio *trio, uint32_t id)
{
    assert(id >= 1 && id <= trio->count);
    return &trio->nodes[id - 1];
}

/* --- callbacks
 * ------------------------------------------------------------------------------------ */

static void node_on_apply(void *data, uint64_t index, const uint8_t *bytes, size_t size)
{
    struct trio_node *node = data;
    assert_true(size >= 8 && size % 8 == 0);
    assert_true(index > node->applied_last_index);
    assert_true(node->applied_count < TRIO_APPLIED_MAX);
    if (node->applied_count == 0) {
        node->applied_first_index = index;
    }
    node->applied_last_index = index;
    node->applied[node->applied_count++] = get_u64(bytes);
    if (index > node->state_index) {
        node->state_index = index;
    }
}

static void node_on_role(void *data, enum consensus_role role, uint64_t term, uint32_t leader)
{
    struct trio_node *node = data;
    assert_false(node->inside_call);
    node->role = role;
    node->term = term;
    node->leader = leader;
    node->role_calls++;
}

static void node_on_snapshot(void *data, uint64_t index)
{
    struct trio_node *node = data;
    node->snapshots_asked++;
    node->snapshot_index = index;
    assert_true(index >= node->applied_last_index);
    if (!node->snapshots_late) {
        const struct consensus_manifest manifest = {.index = index, .seq = node->applied_count};
        consensus_snapshot_ready(node->consensus, &manifest);
    }
}

static bool node_on_restore(void *data, const struct consensus_manifest *manifest)
{
    struct trio_node *node = data;
    node->restores++;
    node->restored = *manifest;
    node->restored_behind = manifest->index > node->state_index;
    if (node->restored_behind) {
        node->state_index = manifest->index; /* in place of fetching a copy */
    }
    return true;
}

static void node_on_message(void *data, uint32_t peer, const uint8_t *bytes, size_t size)
{
    struct trio_node *node = data;
    assert_true(node->messages_count < TRIO_MESSAGES_MAX);
    node->messages_from[node->messages_count] = peer;
    node->messages_number[node->messages_count] = size >= 8 ? get_u64(bytes) : 0;
    node->messages_bytes[node->messages_count] = size;
    node->messages_count++;
}

static void node_on_link(void *data, uint32_t peer, bool up)
{
    struct trio_node *node = data;
    assert_true(node->links_up[peer] != up);
    node->links_up[peer] = up;
    node->links_lost += up ? 0 : 1;
}

static void copy_on_open(struct stream *stream, void *data)
{
    (void)stream;
    (void)data;
}

static void copy_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct trio_node *node = data;
    write_bytes(&node->copy_received, bytes, size);
    check_ok(stream_write(stream, bytes, size)); /* an echo */
}

static void copy_on_close(struct stream *stream, void *data, enum status status)
{
    struct trio_node *node = data;
    (void)stream;
    (void)status;
    node->copy = NULL;
    node->copy_closed = true;
}

static void node_on_copy(void *data, uint32_t peer, struct stream *stream)
{
    struct trio_node *node = data;
    const struct stream_callbacks callbacks = {
        .on_open = copy_on_open,
        .on_data = copy_on_data,
        .on_close = copy_on_close,
    };
    stream_set_callbacks(stream, &callbacks, node);
    node->copy = stream;
    node->copy_peer = peer;
    node->copies++;
}

static bool node_on_incarnation(void *data, uint32_t peer, const uint8_t incarnation[16])
{
    static const uint8_t nothing[16];
    struct trio_node *node = data;
    assert_true(peer >= 1 && peer <= NODES_MAX);
    if (memcmp(node->known[peer], nothing, sizeof nothing) == 0) {
        memcpy(node->known[peer], incarnation, 16);
    }
    return memcmp(node->known[peer], incarnation, 16) == 0;
}

/* --- life
 * ----------------------------------------------------------------------------------------- */

static uint16_t free_port(void)
{
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    assert_true(file >= 0);
    assert_int_equal(bind(file, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(file, (struct sockaddr *)&address, &size), 0);
    close(file);
    return ntohs(address.sin_port);
}

struct consensus_options trio_options(struct trio *trio, uint32_t id)
{
    struct trio_node *node = trio_node(trio, id);
    static _Thread_local char paths[3][300];
    (void)snprintf(paths[0], sizeof paths[0], "%s/ca.pem", trio->dir);
    (void)snprintf(paths[1], sizeof paths[1], "%s/node%u.pem", trio->dir, id);
    (void)snprintf(paths[2], sizeof paths[2], "%s/node%u.key", trio->dir, id);
    struct consensus_options options = {
        .loop = &trio->loop,
        .dir = node->dir,
        .identity = {.cluster_id = trio->cluster_id, .node_id = id},
        .peers = trio->peers,
        .peers_count = trio->count,
        .listen_host = "127.0.0.1",
        .listen_port = trio->peers[id - 1].port,
        .tls_ca_path = paths[0],
        .tls_cert_path = paths[1],
        .tls_key_path = paths[2],
        .heartbeat_ms = 25,
        .election_timeout_ms = 400,
        .snapshot_bytes = trio->snapshot_bytes,
        .snapshot_trailing = trio->snapshot_trailing,
        .metrics = &node->metrics,
        .callbacks =
            {
                .on_apply = node_on_apply,
                .on_role = node_on_role,
                .on_snapshot = node_on_snapshot,
                .on_restore = node_on_restore,
                .on_message = node_on_message,
                .on_link = node_on_link,
                .on_copy = node_on_copy,
                .on_incarnation = node_on_incarnation,
            },
        .data = node,
    };
    memcpy(options.identity.incarnation, node->incarnation, sizeof node->incarnation);
    return options;
}

struct trio *trio_open(uint32_t count)
{
    assert(count >= 1 && count <= NODES_MAX);
    struct trio *trio = calloc(1, sizeof *trio);
    assert_non_null(trio);
    assert_int_equal(uv_loop_init(&trio->loop), 0);
    trio->dir = test_dir_make();
    trio->count = count;
    trio->cluster_id = digest_of("trio", 4);
    trio->snapshot_bytes = RAFT_SNAPSHOT_BYTES;
    trio->snapshot_trailing = RAFT_SNAPSHOT_TRAILING;
    char error[256];
    check_ok(certificate_make_ca(trio->dir, error, sizeof error));
    for (uint32_t id = 1; id <= count; id++) {
        struct trio_node *node = trio_node(trio, id);
        trio->peers[id - 1] = (struct consensus_peer){.id = id, .host = "127.0.0.1"};
        trio->peers[id - 1].port = free_port();
        node->trio = trio;
        node->id = id;
        buffer_init(&node->copy_received, 1024 * 1024);
        random_bytes(node->incarnation, sizeof node->incarnation);
        (void)snprintf(node->dir, sizeof node->dir, "%s/raft%u", trio->dir, id);
        check_ok(certificate_make_node(trio->dir, id, NULL, 0, error, sizeof error));
    }
    for (uint32_t id = 1; id <= count; id++) {
        struct consensus_options options = trio_options(trio, id);
        enum status status = consensus_format(options.dir, &options.identity, trio->peers, count,
                                              error, sizeof error);
        if (status != STATUS_OK) {
            fail_msg("format: %s", error);
        }
    }
    return trio;
}

void trio_start(struct trio *trio, uint32_t id)
{
    struct trio_node *node = trio_node(trio, id);
    struct consensus_options options = trio_options(trio, id);
    char error[512] = "";
    assert_null(node->consensus);
    node->closed = false;
    node->applied_count = 0; /* each run applies again what raft's snapshot does not cover */
    node->applied_first_index = 0;
    node->applied_last_index = 0;
    node->role_calls = 0;
    enum status status = consensus_open(&node->consensus, &options, error, sizeof error);
    if (status != STATUS_OK) {
        fail_msg("node %u: %s: %s", id, status_name(status), error);
    }
}

void trio_start_all(struct trio *trio)
{
    for (uint32_t id = 1; id <= trio->count; id++) {
        trio_start(trio, id);
    }
}

static void node_on_closed(void *data)
{
    struct trio_node *node = data;
    node->closed = true;
}

static bool node_is_closed(struct trio *trio, void *data)
{
    const struct trio_node *node = data;
    (void)trio;
    return node->closed;
}

void trio_stop(struct trio *trio, uint32_t id)
{
    struct trio_node *node = trio_node(trio, id);
    assert_non_null(node->consensus);
    consensus_close(node->consensus, node_on_closed, node);
    node->consensus = NULL;
    trio_run_until(trio, node_is_closed, node, TRIO_TIMEOUT_MS, "a node closes");
    memset(node->links_up, 0, sizeof node->links_up);
    node->role = ROLE_FOLLOWER;
    node->leader = 0;
}

void trio_close(struct trio *trio)
{
    for (uint32_t id = 1; id <= trio->count; id++) {
        if (trio_node(trio, id)->consensus != NULL) {
            trio_stop(trio, id);
        }
        if (trio_node(trio, id)->copy != NULL) {
            stream_close(trio_node(trio, id)->copy, STATUS_CLOSED, 0);
        }
    }
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    while (uv_run(&trio->loop, UV_RUN_NOWAIT) != 0) {
        assert_true(clock_monotonic_ms(clock_system()) - begun_ms < TRIO_TIMEOUT_MS);
    }
    for (uint32_t id = 1; id <= trio->count; id++) {
        buffer_deinit(&trio_node(trio, id)->copy_received);
    }
    assert_int_equal(uv_loop_close(&trio->loop), 0);
    test_dir_remove(trio->dir);
    free(trio);
}

/* --- running
 * -------------------------------------------------------------------------------------- */

static void trio_on_wakeup(uv_timer_t *timer)
{
    (void)timer;
}

static void trio_on_timer_closed(uv_handle_t *handle)
{
    bool *closed = handle->data;
    *closed = true;
}

static void trio_print(struct trio *trio)
{
    for (uint32_t id = 1; id <= trio->count; id++) {
        const struct trio_node *node = trio_node(trio, id);
        if (node->consensus != NULL) {
            print_error("node %u: role %d, term %llu, %u applied, raft index %llu, %u restores, "
                        "the last at %llu\n",
                        id, (int)node->role, (unsigned long long)node->term, node->applied_count,
                        (unsigned long long)consensus_last_applied(node->consensus), node->restores,
                        (unsigned long long)node->restored.index);
        }
    }
}

static void trio_run(struct trio *trio, bool (*done)(struct trio *trio, void *data), void *data,
                     uint32_t timeout_ms, const char *what)
{
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    uv_timer_t timer;
    uv_timer_init(&trio->loop, &timer);
    uv_timer_start(&timer, trio_on_wakeup, 5, 5);
    while (done == NULL || !done(trio, data)) {
        if (clock_monotonic_ms(clock_system()) - begun_ms >= timeout_ms) {
            if (what != NULL) {
                trio_print(trio);
                fail_msg("not within %u ms: %s", timeout_ms, what);
            }
            break;
        }
        (void)uv_run(&trio->loop, UV_RUN_ONCE);
    }
    bool closed = false;
    timer.data = &closed;
    uv_close((uv_handle_t *)&timer, trio_on_timer_closed);
    while (!closed) {
        (void)uv_run(&trio->loop, UV_RUN_NOWAIT);
    }
}

void trio_run_until(struct trio *trio, bool (*done)(struct trio *trio, void *data), void *data,
                    uint32_t timeout_ms, const char *what)
{
    assert(done != NULL && what != NULL);
    trio_run(trio, done, data, timeout_ms, what);
}

void trio_run_for(struct trio *trio, uint32_t duration_ms)
{
    trio_run(trio, NULL, NULL, duration_ms, NULL);
}

struct trio_node *trio_leader(struct trio *trio)
{
    struct trio_node *leader = NULL;
    for (uint32_t id = 1; id <= trio->count; id++) {
        struct trio_node *node = trio_node(trio, id);
        if (node->consensus != NULL && node->role == ROLE_LEADER &&
            (leader == NULL || node->term > leader->term)) {
            leader = node;
        }
    }
    return leader;
}

static bool trio_agrees(struct trio *trio, void *data)
{
    (void)data;
    const struct trio_node *leader = trio_leader(trio);
    for (uint32_t id = 1; id <= trio->count && leader != NULL; id++) {
        const struct trio_node *node = trio_node(trio, id);
        if (node->consensus != NULL && (node->leader != leader->id || node->term != leader->term)) {
            return false;
        }
    }
    return leader != NULL;
}

struct trio_node *trio_elect(struct trio *trio)
{
    trio_run_until(trio, trio_agrees, NULL, TRIO_TIMEOUT_MS, "a leader is elected");
    return trio_leader(trio);
}

struct payment {
    uint64_t first;
    uint32_t count;
    uint32_t proposed;
    size_t size;
    uint64_t term; /* in which they are proposed */
    uint8_t *bytes;
};

/* How many of them, in order, a node has applied. */
static uint32_t payment_applied(const struct trio_node *node, const struct payment *payment)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->applied_count && count < payment->count; i++) {
        if (node->applied[i] == payment->first + count) {
            count++;
        }
    }
    return count;
}

static bool payment_step(struct trio *trio, void *data)
{
    struct payment *payment = data;
    struct trio_node *leader = trio_leader(trio);
    if (leader != NULL) {
        uint32_t applied = payment_applied(leader, payment);
        if (leader->term != payment->term) {
            payment->term = leader->term;
            payment->proposed = applied;
        }
        while (payment->proposed < payment->count && payment->proposed < applied + TRIO_IN_FLIGHT) {
            put_u64(payment->bytes, payment->first + payment->proposed);
            leader->inside_call = true;
            enum status status =
                consensus_propose(leader->consensus, payment->bytes, payment->size);
            leader->inside_call = false;
            if (status != STATUS_OK) {
                break;
            }
            payment->proposed++;
        }
    }
    for (uint32_t id = 1; id <= trio->count; id++) {
        const struct trio_node *node = trio_node(trio, id);
        if (node->consensus != NULL && payment_applied(node, payment) < payment->count) {
            return false;
        }
    }
    return true;
}

void trio_pay(struct trio *trio, uint64_t first, uint32_t count, size_t size)
{
    assert(size >= 8 && size % 8 == 0);
    struct payment payment = {.first = first, .count = count, .size = size};
    payment.bytes = calloc(1, size);
    assert_non_null(payment.bytes);
    trio_run_until(trio, payment_step, &payment, 3 * TRIO_TIMEOUT_MS, "all entries are applied");
    free(payment.bytes);
}

/* What a lost leader had proposed may come twice: the last node is waited for. */
static bool trio_applied_as_many(struct trio *trio, void *data)
{
    (void)data;
    const struct trio_node *first = NULL;
    for (uint32_t id = 1; id <= trio->count; id++) {
        const struct trio_node *node = trio_node(trio, id);
        if (node->consensus == NULL) {
            continue;
        }
        if (first != NULL && node->applied_count != first->applied_count) {
            return false;
        }
        first = node;
    }
    return true;
}

void trio_check_same(struct trio *trio)
{
    trio_run_until(trio, trio_applied_as_many, NULL, TRIO_TIMEOUT_MS, "all applied as many");
    const struct trio_node *first = NULL;
    for (uint32_t id = 1; id <= trio->count; id++) {
        const struct trio_node *node = trio_node(trio, id);
        if (node->consensus == NULL) {
            continue;
        }
        if (first == NULL) {
            first = node;
            continue;
        }
        assert_int_equal(node->applied_count, first->applied_count);
        assert_memory_equal(node->applied, first->applied,
                            first->applied_count * sizeof first->applied[0]);
    }
}
