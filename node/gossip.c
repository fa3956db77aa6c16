/*
 * What nodes tell each other about themselves every STATUS_PERIOD_MS, and what is made of it:
 * cluster.status, readiness, the clock check of the leader, and the hold on snapshots while a peer
 * fetches a copy.
 */
#include "node/internal.h"

#include "base/address.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

static const char *const PART = "gossip";

enum {
    CLOCK_SAMPLES_MIN = 3, /* below it a median says nothing about who is wrong */
    DISK_PERIOD_MS = 1000
};

#define LEADERLESS_LOG_NS ((uint64_t)LEADERLESS_LOG_MS * 1000000)

static bool peer_reachable(const struct peer_state *peer, uint64_t now_ns)
{
    return peer->link_up && peer->heard_at_ns != 0 &&
           now_ns - peer->heard_at_ns < (uint64_t)PEER_SILENT_MS * 1000000;
}

static void own_client_address(const struct node *node, char text[ADDRESS_TEXT_BYTES])
{
    const struct config_node *self = config_self(node->config);
    address_format(self->client_host, self->client_port, text);
}

/* ---- telling ------------------------------------------------------------------------------- */

static void status_send(struct node *node, uint64_t now_ns)
{
    struct position position = ledger_thread_position(node->ledger_thread);
    char address[ADDRESS_TEXT_BYTES];
    own_client_address(node, address);
    struct link_item item = {.kind = LINK_STATUS};
    struct link_status *status = &item.status;
    status->role = (uint8_t)node->role;
    status->copy_active = copy_active(node, now_ns);
    status->leader = node->leader;
    status->term = node->term;
    status->seq = position.seq;
    status->index = position.index;
    status->digest = position.digest;
    status->client_address = text_of(address);
    status->counters_count = METRIC_COUNT;
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        status->counters[i] = metric_get(&node->metrics, (enum metric)i);
    }
    for (uint32_t i = 0; i < node->peers_count; i++) {
        status->wall_ns = clock_wall_ns(node->clock);
        peer_item(node, node->peers[i].id, &item);
    }
}

void gossip_on_status(struct node *node, uint32_t id, const struct link_status *status)
{
    struct peer_state *peer = node_peer(node, id);
    assert(peer != NULL);
    peer->heard_at_ns = clock_monotonic_ns(node->clock);
    peer->clock_offset_ns = status->wall_ns - clock_wall_ns(node->clock);
    peer->wall_offset_ns = status->wall_ns - (int64_t)clock_monotonic_ns(node->clock);
    peer->status = *status;
    size_t size = status->client_address.size;
    assert(size < sizeof(peer->client_address));
    if (size > 0) {
        memcpy(peer->client_address, status->client_address.data, size);
        peer->client_address[size] = '\0';
    }
    peer->status.client_address = text_of(peer->client_address);
}

/* ---- cluster.status ------------------------------------------------------------------------ */

static void node_fill_self(struct node *node, struct cluster_node *out)
{
    struct position position = ledger_thread_position(node->ledger_thread);
    *out = (struct cluster_node){.id = node->id,
                                 .term = node->term,
                                 .seq = position.seq,
                                 .index = position.index,
                                 .digest = position.digest,
                                 .reachable = true};
    out->role = node->role == ROLE_LEADER      ? "leader"
                : node->role == ROLE_CANDIDATE ? "candidate"
                                               : "follower";
    own_client_address(node, out->client_address);
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        out->counters[i] = metric_get(&node->metrics, (enum metric)i);
    }
}

static void node_fill_peer(const struct peer_state *peer, uint64_t now_ns, struct cluster_node *out)
{
    *out = (struct cluster_node){.id = peer->id,
                                 .term = peer->status.term,
                                 .seq = peer->status.seq,
                                 .index = peer->status.index,
                                 .digest = peer->status.digest,
                                 .reachable = peer_reachable(peer, now_ns),
                                 .clock_offset_ns = peer->clock_offset_ns};
    out->role = !out->reachable                       ? "unknown"
                : peer->status.role == ROLE_LEADER    ? "leader"
                : peer->status.role == ROLE_CANDIDATE ? "candidate"
                                                      : "follower";
    memcpy(out->client_address, peer->client_address, sizeof(out->client_address));
    memcpy(out->counters, peer->status.counters, sizeof(out->counters));
}

static bool node_ready(struct node *node, char *reason, size_t size)
{
    const char *why = NULL;
    if (node->stop != STOP_NO) {
        why = "the node is stopping";
    } else if (node->divergence.asking) {
        why = "the node compares its state with its peers";
    } else if (node->leader == 0) {
        why = "no leader is known";
    } else if (node->role == ROLE_LEADER && !node->epoch_runs) {
        why = "the leader has just been elected";
    } else if (node->role != ROLE_LEADER) {
        struct peer_state *leader = node_peer(node, node->leader);
        if (leader == NULL || !leader->link_up) {
            why = "the leader is not connected";
        }
    }
    (void)snprintf(reason, size, "%s", why == NULL ? "" : why);
    return why == NULL;
}

void gossip_refresh(struct node *node)
{
    uint64_t now_ns = clock_monotonic_ns(node->clock);
    struct cluster_status status = {.node = node->id,
                                    .leader = node->leader,
                                    .term = node->term,
                                    .cluster_id = datadir_identity(node->dir)->cluster_id};
    memcpy(status.cluster, node->config->cluster, sizeof(status.cluster));
    status.ready = node_ready(node, status.ready_reason, sizeof(status.ready_reason));
    uint32_t next = 0;
    for (uint32_t i = 0; i < node->config->nodes_count; i++) {
        uint32_t id = node->config->nodes[i].id;
        if (id == node->id) {
            node_fill_self(node, &status.nodes[status.nodes_count++]);
        } else {
            assert(next < node->peers_count && node->peers[next].id == id);
            node_fill_peer(&node->peers[next++], now_ns, &status.nodes[status.nodes_count++]);
        }
    }
    pthread_mutex_lock(&node->status_lock);
    node->status = status;
    pthread_mutex_unlock(&node->status_lock);
}

/* Any thread. The asked node's own position is always the newest. */
void node_status(void *data, struct cluster_status *status)
{
    struct node *node = data;
    struct position position = ledger_thread_position(node->ledger_thread);
    pthread_mutex_lock(&node->status_lock);
    *status = node->status;
    pthread_mutex_unlock(&node->status_lock);
    for (uint32_t i = 0; i < status->nodes_count; i++) {
        struct cluster_node *self = &status->nodes[i];
        if (self->id == node->id) {
            self->seq = position.seq;
            self->index = position.index;
            self->digest = position.digest;
            for (uint32_t m = 0; m < METRIC_COUNT; m++) {
                self->counters[m] = metric_get(&node->metrics, (enum metric)m);
            }
        }
    }
}

/* ---- clocks, disk, snapshots --------------------------------------------------------------- */

static int compare_offsets(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/*
 * Judged is the log's clock: in an epoch the one that was read at its begin, whatever the wall
 * clock was set to since. All are compared by way of the monotonic clock.
 */
bool gossip_clock_is_off(const struct node *node, uint64_t now_ns, int64_t *distance_ns)
{
    int64_t own_ns = clock_wall_ns(node->clock) - (int64_t)clock_monotonic_ns(node->clock);
    int64_t log_ns = ledger_thread_leading(node->ledger_thread)
                         ? ledger_thread_wall_offset_ns(node->ledger_thread)
                         : own_ns;
    int64_t offsets[NODES_MAX] = {own_ns};
    uint32_t count = 1;
    for (uint32_t i = 0; i < node->peers_count; i++) {
        if (peer_reachable(&node->peers[i], now_ns)) {
            offsets[count++] = node->peers[i].wall_offset_ns;
        }
    }
    if (count < CLOCK_SAMPLES_MIN) {
        return false;
    }
    qsort(offsets, count, sizeof(offsets[0]), compare_offsets);
    int64_t median_ns = offsets[count / 2];
    *distance_ns = median_ns > log_ns ? median_ns - log_ns : log_ns - median_ns;
    return *distance_ns > (int64_t)CLOCK_OFFSET_MS_MAX * 1000000;
}

/* A leader whose clock is far from the others' would expire everything, or nothing. */
static void clock_check(struct node *node, uint64_t now_ns)
{
    int64_t distance_ns = 0;
    if (node->role != ROLE_LEADER || node->resigned_term == node->term ||
        !gossip_clock_is_off(node, now_ns, &distance_ns)) {
        return;
    }
    node->resigned_term = node->term; /* the resignation holds until another node leads */
    log_error(PART, "this clock is %lld ms away from the median of the nodes: resigning",
              (long long)(distance_ns / 1000000));
    consensus_resign(node->consensus, "clock offset");
}

/* The map is as full as it may be before what is in the log could no longer be applied. */
static bool map_is_short(struct node *node)
{
    uint64_t reserve = node->config->map_bytes / 8;
    if (reserve > MAP_RESERVE_BYTES) {
        reserve = MAP_RESERVE_BYTES;
    }
    return ledger_room(node->ledger) < reserve;
}

/* "2, 3": the peers that are not heard of; "" where all are. */
static void silent_peers(const struct node *node, uint64_t now_ns, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < node->peers_count; i++) {
        if (!peer_reachable(&node->peers[i], now_ns) && used < size) {
            int added =
                snprintf(text + used, size - used, "%s%u", used > 0 ? ", " : "", node->peers[i].id);
            used += added > 0 ? (size_t)added : 0;
        }
    }
}

/* A cluster that can not elect stands still: its log must say so, and who is missing. */
static void leader_watch(struct node *node, uint64_t now_ns)
{
    if (node->leader != 0 || node->stop != STOP_NO) {
        if (node->leaderless_at_ns > node->leaderless_since_ns + LEADERLESS_LOG_NS) {
            log_info(PART, "node %u leads, after %llu s without a leader", node->leader,
                     (unsigned long long)((now_ns - node->leaderless_since_ns) / 1000000000));
        }
        node->leaderless_since_ns = 0;
        node->leaderless_at_ns = 0;
        return;
    }
    if (node->leaderless_since_ns == 0) {
        node->leaderless_since_ns = now_ns;
        node->leaderless_at_ns = now_ns + LEADERLESS_LOG_NS;
        return;
    }
    if (now_ns < node->leaderless_at_ns) {
        return;
    }
    char silent[8 * NODES_MAX];
    silent_peers(node, now_ns, silent, sizeof(silent));
    log_warn(PART, "no leader for %llu s: %s%s",
             (unsigned long long)((now_ns - node->leaderless_since_ns) / 1000000000),
             silent[0] != '\0' ? "unreachable peers: " : "all peers are reachable", silent);
    node->leaderless_at_ns = now_ns + LEADERLESS_LOG_NS;
}

static bool disk_is_short(struct node *node, uint64_t now_ns)
{
    if (now_ns >= node->disk_at_ns) {
        node->disk_at_ns = now_ns + (uint64_t)DISK_PERIOD_MS * 1000000;
        struct statvfs disk;
        if (statvfs(datadir_path(node->dir), &disk) == 0) {
            uint64_t available = (uint64_t)disk.f_bavail * disk.f_frsize;
            node->disk_short = available < node->config->disk_reserve_bytes;
        }
    }
    return node->disk_short;
}

static void storage_check(struct node *node, uint64_t now_ns)
{
    bool map_short = map_is_short(node);
    bool is_short = disk_is_short(node, now_ns) || map_short;
    bool was_short = atomic_exchange(&node->admission.disk_short, is_short);
    if (is_short && !was_short) {
        log_error(PART, "%s: payments are refused (storage_full)",
                  map_short ? "the ledger's file nears map_mb" : "disk space is below the reserve");
    } else if (!is_short && was_short) {
        log_info(PART, "disk space is above the reserve again");
    }
}

/*
 * While any node copies its state to a peer, the log after it must stay. Past the bound admission
 * slows, so that the copy can catch up; past twice the bound the log is cut after all.
 */
static void snapshots_hold(struct node *node, uint64_t now_ns)
{
    bool active = copy_active(node, now_ns);
    for (uint32_t i = 0; i < node->peers_count; i++) {
        active = active ||
                 (peer_reachable(&node->peers[i], now_ns) && node->peers[i].status.copy_active);
    }
    uint64_t bytes = consensus_log_bytes(node->consensus);
    uint64_t bound = node->config->copy_hold_bytes;
    bool hold = active && bytes < 2 * bound;
    atomic_store(&node->admission.slow, hold && bytes >= bound);
    if (hold != node->snapshots_held) {
        node->snapshots_held = hold;
        consensus_hold_snapshots(node->consensus, hold);
    }
}

void gossip_tick(struct node *node, uint64_t now_ns)
{
    if (now_ns < node->gossip_at_ns) {
        return;
    }
    node->gossip_at_ns = now_ns + (uint64_t)STATUS_PERIOD_MS * 1000000;
    status_send(node, now_ns);
    clock_check(node, now_ns);
    leader_watch(node, now_ns);
    snapshots_hold(node, now_ns);
    gossip_refresh(node);
    storage_check(node, now_ns);
}
