/*
 * Raft without a ledger: three processes of the real consensus/ on 127.0.0.1, with flushes and TLS
 * between them as in a node. The leader keeps `in-flight` entries of `bytes` bytes under way and
 * measures each from its proposal to on_apply. What a payment costs beyond this is the ledger's
 * and the gateway's. Prints one line of JSON.
 *     raft_alone --dir EMPTY_DIR --port FIRST_OF_THREE [--bytes N] [--in-flight N] [--seconds N]
 */
#include "base/certificate.h"
#include "base/check.h"
#include "base/clock.h"
#include "client/args.h"
#include "client/histogram.h"
#include "consensus/consensus.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NODES = 3,
    PATH_BYTES = 512,
    SECONDS_MAX = 600,
    HEARTBEAT_MS = 25,
    ELECTION_TIMEOUT_MS = 800,
    SETTLE_MS = 1000, /* from the first leader with all links to the first measured entry */
    GIVE_UP_MS = 30000
};

struct settings {
    const char *dir;
    uint32_t port, entry_bytes, in_flight, seconds;
};

struct alone {
    struct settings settings;
    uv_loop_t loop;
    uv_check_t turn;
    uv_timer_t timer;
    struct consensus *consensus;
    struct metrics metrics;
    enum consensus_role role;
    uint32_t links_up;
    uint64_t begin_ms, measure_us, end_us;
    uint64_t proposed, applied; /* by this node; entries of its own */
    uint64_t measured;
    struct histogram latency_us;
    uint8_t entry[ENTRY_BYTES_MAX];
};

static uint64_t now_us(void)
{
    return clock_monotonic_ns(clock_system()) / 1000;
}

/* ---- callbacks ---------------------------------------------------------------------------- */

static void on_apply(void *data, uint64_t index, const uint8_t *bytes, size_t size)
{
    struct alone *alone = data;
    (void)index;
    (void)size;
    if (get_u64(bytes + 8) != (uint64_t)getpid()) {
        return;
    }
    const uint64_t now = now_us();
    alone->applied += 1;
    if (now >= alone->measure_us && now < alone->end_us) {
        alone->measured += 1;
        histogram_add(&alone->latency_us, now - get_u64(bytes));
    }
}

static void on_role(void *data, enum consensus_role role, uint64_t term, uint32_t leader)
{
    struct alone *alone = data;
    (void)term;
    (void)leader;
    alone->role = role;
}

static void on_snapshot(void *data, uint64_t index)
{
    struct alone *alone = data;
    const struct consensus_manifest manifest = {.index = index};
    consensus_snapshot_ready(alone->consensus, &manifest);
}

static bool on_restore(void *data, const struct consensus_manifest *manifest)
{
    (void)data;
    (void)manifest;
    return true;
}

static void on_message(void *data, uint32_t peer, const uint8_t *bytes, size_t size)
{
    (void)data;
    (void)peer;
    (void)bytes;
    (void)size;
}

static void on_link(void *data, uint32_t peer, bool up)
{
    struct alone *alone = data;
    (void)peer;
    alone->links_up += up ? 1 : UINT32_MAX;
}

static void on_copy(void *data, uint32_t peer, struct stream *stream)
{
    (void)data;
    (void)peer;
    stream_close(stream, STATUS_CLOSED, 0);
}

static bool on_incarnation(void *data, uint32_t peer, const uint8_t incarnation[16])
{
    (void)data;
    (void)peer;
    (void)incarnation;
    return true;
}

/* ---- a node ------------------------------------------------------------------------------- */

static void print_result(const struct alone *alone)
{
    const struct histogram *latency_us = &alone->latency_us;
    (void)printf("{\"entry_bytes\":%u,\"in_flight\":%u,\"seconds\":%u,\"rate\":%llu,"
                 "\"p50_us\":%llu,\"p90_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu}\n",
                 alone->settings.entry_bytes, alone->settings.in_flight, alone->settings.seconds,
                 (unsigned long long)(alone->measured / alone->settings.seconds),
                 (unsigned long long)histogram_percentile(latency_us, 500),
                 (unsigned long long)histogram_percentile(latency_us, 900),
                 (unsigned long long)histogram_percentile(latency_us, 990),
                 (unsigned long long)latency_us->value_max);
    (void)fflush(stdout);
}

/* Runs after each round of events: not inside on_apply, where raft is in the middle of its work. */
static void on_turn(uv_check_t *check)
{
    struct alone *alone = check->data;
    if (alone->role != ROLE_LEADER || alone->measure_us == 0) {
        return;
    }
    const uint64_t now = now_us();
    if (now >= alone->end_us) {
        print_result(alone);
        _exit(0);
    }
    while (alone->proposed - alone->applied < alone->settings.in_flight) {
        put_u64(alone->entry, now_us());
        put_u64(alone->entry + 8, (uint64_t)getpid());
        if (consensus_propose(alone->consensus, alone->entry, alone->settings.entry_bytes) !=
            STATUS_OK) {
            return;
        }
        alone->proposed += 1;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct alone *alone = timer->data;
    const uint64_t now_ms = now_us() / 1000;
    if (alone->measure_us == 0 && alone->role == ROLE_LEADER && alone->links_up == NODES - 1) {
        alone->measure_us = (now_ms + SETTLE_MS) * 1000;
        alone->end_us = alone->measure_us + (uint64_t)alone->settings.seconds * 1000000;
    }
    if (now_ms - alone->begin_ms > GIVE_UP_MS + (uint64_t)alone->settings.seconds * 1000) {
        (void)fprintf(stderr, "raft_alone: no leader stayed\n");
        _exit(1);
    }
}

static void peers_fill(const struct settings *settings, struct consensus_peer peers[NODES])
{
    for (uint32_t id = 1; id <= NODES; id++) {
        peers[id - 1] = (struct consensus_peer){
            .id = id, .host = "127.0.0.1", .port = (uint16_t)(settings->port + id - 1)};
    }
}

static struct consensus_identity identity_of(uint32_t id)
{
    struct consensus_identity identity = {.cluster_id = digest_of("raft_alone", 10), .node_id = id};
    memset(identity.incarnation, (int)id, sizeof(identity.incarnation));
    return identity;
}

static void node_run(const struct settings *settings, uint32_t id)
{
    static struct alone alone;
    static struct consensus_peer peers[NODES];
    char paths[4][PATH_BYTES];
    char error[512] = "";
    peers_fill(settings, peers);
    alone.settings = *settings;
    alone.begin_ms = now_us() / 1000;
    (void)snprintf(paths[0], PATH_BYTES, "%s/ca.pem", settings->dir);
    (void)snprintf(paths[1], PATH_BYTES, "%s/node%u.pem", settings->dir, id);
    (void)snprintf(paths[2], PATH_BYTES, "%s/node%u.key", settings->dir, id);
    (void)snprintf(paths[3], PATH_BYTES, "%s/raft%u", settings->dir, id);
    const struct consensus_options options = {.loop = &alone.loop,
                                              .dir = paths[3],
                                              .identity = identity_of(id),
                                              .peers = peers,
                                              .peers_count = NODES,
                                              .listen_host = "127.0.0.1",
                                              .listen_port = peers[id - 1].port,
                                              .tls_ca_path = paths[0],
                                              .tls_cert_path = paths[1],
                                              .tls_key_path = paths[2],
                                              .heartbeat_ms = HEARTBEAT_MS,
                                              .election_timeout_ms = ELECTION_TIMEOUT_MS,
                                              .snapshot_bytes = RAFT_SNAPSHOT_BYTES,
                                              .snapshot_trailing = RAFT_SNAPSHOT_TRAILING,
                                              .metrics = &alone.metrics,
                                              .callbacks = {.on_apply = on_apply,
                                                            .on_role = on_role,
                                                            .on_snapshot = on_snapshot,
                                                            .on_restore = on_restore,
                                                            .on_message = on_message,
                                                            .on_link = on_link,
                                                            .on_copy = on_copy,
                                                            .on_incarnation = on_incarnation},
                                              .data = &alone};
    if (uv_loop_init(&alone.loop) != 0 || uv_check_init(&alone.loop, &alone.turn) != 0 ||
        uv_timer_init(&alone.loop, &alone.timer) != 0) {
        _exit(1);
    }
    alone.turn.data = &alone;
    alone.timer.data = &alone;
    enum status status = consensus_open(&alone.consensus, &options, error, sizeof(error));
    if (status != STATUS_OK || uv_check_start(&alone.turn, on_turn) != 0 ||
        uv_timer_start(&alone.timer, on_timer, 10, 10) != 0) {
        (void)fprintf(stderr, "raft_alone: node %u: %s: %s\n", id, status_name(status), error);
        _exit(1);
    }
    (void)uv_run(&alone.loop, UV_RUN_DEFAULT);
    _exit(1);
}

/* ---- the three of them -------------------------------------------------------------------- */

static enum status files_make(const struct settings *settings, char *error, size_t error_size)
{
    struct consensus_peer peers[NODES];
    char path[PATH_BYTES];
    peers_fill(settings, peers);
    enum status status = certificate_make_ca(settings->dir, error, error_size);
    for (uint32_t id = 1; id <= NODES && status == STATUS_OK; id++) {
        const struct consensus_identity identity = identity_of(id);
        (void)snprintf(path, sizeof(path), "%s/raft%u", settings->dir, id);
        status = certificate_make_node(settings->dir, id, NULL, 0, error, error_size);
        if (status == STATUS_OK) {
            status = consensus_format(path, &identity, peers, NODES, error, error_size);
        }
    }
    return status;
}

/* The first that ends is the leader, or one that failed: the others end with it. */
static int nodes_run(const struct settings *settings)
{
    pid_t nodes[NODES];
    int result = 1;
    for (uint32_t id = 1; id <= NODES; id++) {
        nodes[id - 1] = fork();
        if (nodes[id - 1] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            node_run(settings, id);
        }
    }
    int status = 0;
    if (wait(&status) > 0) {
        result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        if (nodes[i] > 0) {
            (void)kill(nodes[i], SIGKILL);
        }
    }
    while (wait(NULL) > 0 || errno == EINTR) {
    }
    return result;
}

static enum status settings_read(struct settings *settings, int count, char **argv,
                                 char error[ARGS_ERROR_BYTES])
{
    static const struct option options[] = {{"--dir", "DIR", false, "an empty directory"},
                                            {"--port", "N", false, "the first of three ports"},
                                            {"--bytes", "N", false, "of an entry, a multiple of 8"},
                                            {"--in-flight", "N", false, "entries under way"},
                                            {"--seconds", "N", false, "measured time"},
                                            OPTIONS_END};
    static struct args args;
    const struct option *const tables[] = {options};
    const struct {
        const char *name;
        uint64_t fallback, min, max;
        uint32_t *value;
    } rows[] = {{"--port", 0, 1, UINT16_MAX - NODES, &settings->port},
                {"--bytes", 128, 16, ENTRY_BYTES_MAX, &settings->entry_bytes},
                {"--in-flight", 1, 1, 1024, &settings->in_flight},
                {"--seconds", 5, 1, SECONDS_MAX, &settings->seconds}};
    enum status status = args_parse(&args, count - 1, argv + 1, tables, 1, error);
    for (size_t i = 0; i < ARRAY_COUNT(rows) && status == STATUS_OK; i++) {
        uint64_t value = 0;
        status = args_number(&args, rows[i].name, rows[i].fallback, rows[i].min, rows[i].max,
                             &value, error);
        *rows[i].value = (uint32_t)value;
    }
    if (status != STATUS_OK) {
        return status;
    }
    settings->dir = args_value(&args, "--dir", 0);
    if (settings->dir == NULL || settings->port == 0 || settings->entry_bytes % 8 != 0) {
        (void)snprintf(error, ARGS_ERROR_BYTES, "--dir, --port and whole words are needed");
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

int main(int count, char **argv)
{
    struct settings settings = {.dir = NULL};
    char error[ARGS_ERROR_BYTES + 256] = "";
    if (settings_read(&settings, count, argv, error) != STATUS_OK) {
        (void)fprintf(stderr, "raft_alone: %s\n", error);
        return 2;
    }
    if (files_make(&settings, error, sizeof(error)) != STATUS_OK) {
        (void)fprintf(stderr, "raft_alone: %s\n", error);
        return 1;
    }
    return nodes_run(&settings);
}
