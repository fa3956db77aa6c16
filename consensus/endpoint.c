#include "consensus/endpoint.h"

#include "base/check.h"
#include "base/log.h"

#include <string.h>

static struct tls_options peer_tls(const struct consensus_options *options, bool server)
{
    /* The host name is not verified: the node number in the certificate says more. */
    return (struct tls_options){
        .ca_path = options->tls_ca_path,
        .cert_path = options->tls_cert_path,
        .key_path = options->tls_key_path,
        .server = server,
        .verify_peer = true,
        .tls13_only = true,
    };
}

enum status endpoint_open(struct endpoint *endpoint, const struct consensus_options *options,
                          char *error, size_t error_size)
{
    assert(options->peers_count >= 1 && options->peers_count <= NODES_MAX);
    assert(options->callbacks.on_incarnation != NULL);
    struct tls_options client = peer_tls(options, false);
    struct tls_options server = peer_tls(options, true);
    *endpoint = (struct endpoint){
        .loop = options->loop,
        .identity = options->identity,
        .peers_count = options->peers_count,
        .metrics = options->metrics,
        .on_incarnation = options->callbacks.on_incarnation,
        .data = options->data,
    };
    memcpy(endpoint->peers, options->peers, options->peers_count * sizeof options->peers[0]);
    enum status status = tls_context_open(&endpoint->client_tls, &client, error, error_size);
    if (status != STATUS_OK) {
        endpoint->client_tls = NULL;
        return status;
    }
    status = tls_context_open(&endpoint->server_tls, &server, error, error_size);
    if (status != STATUS_OK) {
        tls_context_close(endpoint->client_tls);
        endpoint->client_tls = NULL;
        endpoint->server_tls = NULL;
    }
    return status;
}

void endpoint_close(struct endpoint *endpoint)
{
    assert(endpoint->references == 0);
    if (endpoint->client_tls != NULL) {
        tls_context_close(endpoint->client_tls);
    }
    if (endpoint->server_tls != NULL) {
        tls_context_close(endpoint->server_tls);
    }
    endpoint->client_tls = NULL;
    endpoint->server_tls = NULL;
}

void endpoint_hold(struct endpoint *endpoint)
{
    assert(endpoint->references < UINT32_MAX);
    endpoint->references++;
}

static void endpoint_tell_idle(struct endpoint *endpoint)
{
    if (endpoint->references == 0 && endpoint->on_idle != NULL) {
        void (*on_idle)(void *data) = endpoint->on_idle;
        endpoint->on_idle = NULL;
        on_idle(endpoint->idle_data);
    }
}

void endpoint_release(struct endpoint *endpoint)
{
    assert(endpoint->references > 0);
    endpoint->references--;
    endpoint_tell_idle(endpoint);
}

void endpoint_when_idle(struct endpoint *endpoint, void (*on_idle)(void *data), void *data)
{
    assert(endpoint->on_idle == NULL);
    assert(on_idle != NULL);
    endpoint->on_idle = on_idle;
    endpoint->idle_data = data;
    endpoint_tell_idle(endpoint);
}

const struct consensus_peer *endpoint_peer(const struct endpoint *endpoint, uint64_t id)
{
    assert(endpoint->peers_count <= NODES_MAX);
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        if (endpoint->peers[i].id == id) {
            return &endpoint->peers[i];
        }
    }
    return NULL;
}

uint32_t endpoint_peer_place(const struct endpoint *endpoint, uint32_t id)
{
    const struct consensus_peer *peer = endpoint_peer(endpoint, id);
    assert(peer != NULL);
    return (uint32_t)(peer - endpoint->peers);
}

struct handshake endpoint_handshake(const struct endpoint *endpoint, enum connection_kind kind,
                                    uint32_t to)
{
    struct handshake own = {
        .kind = kind,
        .refusal = REFUSAL_NONE,
        .cluster_id = endpoint->identity.cluster_id,
        .from = endpoint->identity.node_id,
        .to = to,
    };
    memcpy(own.incarnation, endpoint->identity.incarnation, sizeof own.incarnation);
    return own;
}

enum refusal endpoint_check(const struct endpoint *endpoint, const struct handshake *other,
                            uint32_t certificate_node)
{
    if (!digest_equal(&other->cluster_id, &endpoint->identity.cluster_id)) {
        return REFUSAL_CLUSTER;
    }
    if (certificate_node == 0 || other->from != certificate_node) {
        return REFUSAL_CERTIFICATE;
    }
    if (other->from == endpoint->identity.node_id || endpoint_peer(endpoint, other->from) == NULL) {
        return REFUSAL_UNKNOWN;
    }
    if (other->to != endpoint->identity.node_id) {
        return REFUSAL_TARGET;
    }
    if (!endpoint->on_incarnation(endpoint->data, other->from, other->incarnation)) {
        return REFUSAL_INCARNATION;
    }
    return REFUSAL_NONE;
}

void endpoint_refused(struct endpoint *endpoint, const char *direction, const char *address,
                      uint32_t peer, const char *reason)
{
    assert(direction != NULL && address != NULL && reason != NULL);
    if (endpoint->metrics != NULL) {
        metric_add(endpoint->metrics, METRIC_PEER_REFUSED, 1);
    }
    uint64_t now_ms = uv_now(endpoint->loop) + PEER_REFUSAL_LOG_MS; /* never 0 */
    if (endpoint->refusal_logged_ms != 0 &&
        now_ms - endpoint->refusal_logged_ms < PEER_REFUSAL_LOG_MS) {
        endpoint->refusals_unlogged++;
        return;
    }
    log_warn("peer", "%s connection refused address=%s node=%u unlogged=%u: %s", direction, address,
             peer, endpoint->refusals_unlogged, reason);
    endpoint->refusal_logged_ms = now_ms;
    endpoint->refusals_unlogged = 0;
}

struct stream_options endpoint_stream_options(const struct endpoint *endpoint, bool server)
{
    /* TLS adds a little to each record: the owners' own bounds are reached first. */
    return (struct stream_options){
        .loop = endpoint->loop,
        .tls = server ? endpoint->server_tls : endpoint->client_tls,
        .write_bytes_max = PEER_WRITE_BYTES_MAX + PEER_WRITE_BYTES_MAX / 16,
        .user_timeout_ms = PEER_USER_TIMEOUT_MS,
    };
}

void endpoint_ignore_open(struct stream *stream, void *data)
{
    (void)stream;
    (void)data;
}

static void endpoint_ignore_data(struct stream *stream, void *data, const uint8_t *bytes,
                                 size_t size)
{
    (void)stream;
    (void)data;
    (void)bytes;
    (void)size;
}

static void endpoint_abandoned_closed(struct stream *stream, void *data, enum status status)
{
    (void)stream;
    (void)status;
    endpoint_release(data);
}

void endpoint_abandon(struct endpoint *endpoint, struct stream *stream)
{
    assert(stream != NULL);
    const struct stream_callbacks callbacks = {
        .on_open = endpoint_ignore_open,
        .on_data = endpoint_ignore_data,
        .on_close = endpoint_abandoned_closed,
    };
    endpoint_hold(endpoint);
    stream_set_callbacks(stream, &callbacks, endpoint);
    stream_close(stream, STATUS_NO_MEMORY, 0);
}
