/*
 * The way to a connection: a numeric host connects at once, a name is looked up on the loop's pool
 * and its addresses are tried one after the other, all within one deadline. libuv can not use a
 * handle again whose connection failed, so it is closed and made anew in between.
 */
#include "base/check.h"
#include "base/limits.h"
#include "base/stream_inside.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void on_connected(uv_connect_t *request, int result)
{
    struct stream *stream = request->handle->data;
    if (stream->state != CONNECTING) {
        return;
    }
    if (result != 0 && stream->address_next != NULL) {
        uv_close((uv_handle_t *)&stream->tcp, stream_on_tcp_closed);
        return;
    }
    if (result != 0) {
        stream_fail_uv(stream, result);
        return;
    }
    stream_peer_set(stream);
    stream_move(stream, HANDSHAKE);
    if (stream->tls == NULL) {
        stream_opened(stream);
        return;
    }
    stream_read_start(stream);
    if (stream->state == HANDSHAKE) {
        stream_flush(stream);
    }
}

static void connect_to(struct stream *stream, const struct sockaddr *address)
{
    assert(stream->state == CONNECTING);
    stream->addresses_tried++;
    int result = uv_tcp_connect(&stream->request.connect, &stream->tcp, address, on_connected);
    if (result == 0) {
        stream_socket_configure(stream);
    } else if (stream->address_next != NULL) {
        uv_close((uv_handle_t *)&stream->tcp, stream_on_tcp_closed);
    } else {
        stream_fail_uv(stream, result);
    }
}

void stream_connect_next(struct stream *stream)
{
    const struct addrinfo *address = stream->address_next;
    assert(address != NULL);
    bool more = stream->addresses_tried + 1 < STREAM_ADDRESSES_MAX;
    stream->address_next = more ? address->ai_next : NULL;
    connect_to(stream, address->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *request, int result, struct addrinfo *addresses)
{
    struct stream *stream = request->data;
    assert(stream->addresses == NULL);
    stream->addresses = addresses;
    if (stream->state == CLOSING) {
        stream_handle_gone(stream);
        return;
    }
    stream->handles--;
    if (result != 0 || addresses == NULL) {
        stream_fail_uv(stream, result != 0 ? result : UV_EAI_NONAME);
        return;
    }
    stream->address_next = addresses;
    stream_move(stream, CONNECTING);
    stream_connect_next(stream);
}

static enum status resolve_start(struct stream *stream, const char *host)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    (void)snprintf(service, sizeof service, "%u", stream->port);
    stream->request.resolve.data = stream;
    int result = uv_getaddrinfo(stream->options.loop, &stream->request.resolve, on_resolved, host,
                                service, &hints);
    if (result != 0) {
        /* Nothing is under way: the state may not ask to cancel it. */
        stream_move(stream, CONNECTING);
        return result == UV_ENOMEM ? STATUS_NO_MEMORY : STATUS_INVALID;
    }
    stream->handles++;
    return STATUS_OK;
}

enum status stream_connect(struct stream **stream, const char *host, uint16_t port,
                           const struct stream_options *options)
{
    assert(stream != NULL && host != NULL && options != NULL);
    if (host[0] == '\0' || strlen(host) > HOST_BYTES_MAX || port == 0) {
        return STATUS_INVALID;
    }
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    } address;
    bool numeric =
        uv_ip4_addr(host, port, &address.ip4) == 0 || uv_ip6_addr(host, port, &address.ip6) == 0;
    struct stream *made = NULL;
    enum status status = stream_make(&made, options, numeric ? CONNECTING : RESOLVING);
    if (status != STATUS_OK) {
        return status;
    }
    made->port = port;
    (void)snprintf(made->peer, sizeof made->peer, "%.50s:%u", host, port);
    if (options->open_timeout_ms > 0) {
        stream_timer_set(made, options->open_timeout_ms);
    }
    if (numeric) {
        connect_to(made, &address.any);
    } else {
        status = resolve_start(made, host);
        if (status != STATUS_OK) {
            made->quiet = true;
            stream_finish(made, status);
            return status;
        }
    }
    *stream = made;
    return STATUS_OK;
}
