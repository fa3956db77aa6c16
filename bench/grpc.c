#include "bench/grpc.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PREFIX_BYTES = 5, /* of a gRPC message: compressed or not, and its size */
    WINDOW_BYTES = 1 << 24,
    READ_BYTES = 1 << 16,
    EVENTS_MAX = GRPC_CONNECTIONS_MAX
};

struct grpc_connection {
    int file;
    nghttp2_session *session;
    struct buffer output;
    size_t written;
    char authority[32];
};

struct grpc {
    int poll;
    uint32_t count;
    struct grpc_connection connections[GRPC_CONNECTIONS_MAX];
    uint8_t input[READ_BYTES];
};

/* ---- callbacks of nghttp2 ----------------------------------------------------------------- */

static ssize_t request_read(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t size,
                            uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct grpc_call *call = source->ptr;
    const size_t whole = PREFIX_BYTES + call->request.size;
    size_t count = 0;
    (void)session;
    (void)stream;
    (void)data;
    if (call->sent == 0) {
        const uint32_t message = htonl((uint32_t)call->request.size);
        assert(size > PREFIX_BYTES);
        bytes[0] = 0;
        memcpy(bytes + 1, &message, sizeof(message));
        count = PREFIX_BYTES;
    }
    const size_t left = whole - call->sent - count;
    const size_t part = left < size - count ? left : size - count;
    memcpy(bytes + count, call->request.data + call->sent + count - PREFIX_BYTES, part);
    count += part;
    call->sent += count;
    if (call->sent == whole) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)count;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *data)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    const struct text header = {(const char *)name, name_size};
    (void)flags;
    (void)data;
    if (call != NULL && text_equal(header, TEXT("grpc-status"))) {
        call->status_seen = true;
        call->failed = call->failed || value_size != 1 || value[0] != '0';
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t size, void *data)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);
    (void)flags;
    (void)data;
    if (call == NULL) {
        return 0;
    }
    while (size > 0 && call->received < PREFIX_BYTES) {
        call->prefix[call->received++] = bytes[0];
        bytes += 1;
        size -= 1;
    }
    write_bytes(&call->response, bytes, size);
    call->received += size;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *data)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);
    (void)data;
    if (call == NULL) {
        return 0;
    }
    uint32_t size = 0;
    memcpy(&size, call->prefix + 1, sizeof(size));
    const bool ok = error == 0 && call->status_seen && !call->failed && !call->response.failed &&
                    call->received == PREFIX_BYTES + ntohl(size) && call->prefix[0] == 0;
    call->connection = NULL;
    call->done(call, ok);
    return 0;
}

/* ---- connections -------------------------------------------------------------------------- */

static enum status connection_socket(struct grpc_connection *connection, uint16_t port)
{
    const int on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->file < 0) {
        return STATUS_NETWORK;
    }
    if (connect(connection->file, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(connection->file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        return STATUS_NETWORK;
    }
    (void)snprintf(connection->authority, sizeof(connection->authority), "127.0.0.1:%u",
                   (unsigned)port);
    return STATUS_OK;
}

static enum status connection_session(struct grpc_connection *connection)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
                                               {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return STATUS_NO_MEMORY;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    const int failed = nghttp2_session_client_new(&connection->session, callbacks, connection);
    nghttp2_session_callbacks_del(callbacks);
    if (failed != 0) {
        return STATUS_NO_MEMORY;
    }
    if (nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings,
                                ARRAY_COUNT(settings)) != 0 ||
        nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
                                              WINDOW_BYTES) != 0) {
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

enum status grpc_open(struct grpc **grpc, uint16_t port, uint32_t connections)
{
    assert(connections >= 1 && connections <= GRPC_CONNECTIONS_MAX);
    struct grpc *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    made->poll = epoll_create1(EPOLL_CLOEXEC);
    enum status status = made->poll < 0 ? STATUS_NETWORK : STATUS_OK;
    for (uint32_t i = 0; i < connections && status == STATUS_OK; i++) {
        struct grpc_connection *connection = &made->connections[i];
        buffer_init(&connection->output, (size_t)64 << 20);
        made->count = i + 1;
        status = connection_socket(connection, port);
        if (status == STATUS_OK) {
            status = connection_session(connection);
        }
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (status == STATUS_OK &&
            epoll_ctl(made->poll, EPOLL_CTL_ADD, connection->file, &event) != 0) {
            status = STATUS_NETWORK;
        }
    }
    if (status != STATUS_OK) {
        grpc_close(made);
        return status;
    }
    *grpc = made;
    return STATUS_OK;
}

void grpc_close(struct grpc *grpc)
{
    if (grpc == NULL) {
        return;
    }
    for (uint32_t i = 0; i < grpc->count; i++) {
        struct grpc_connection *connection = &grpc->connections[i];
        nghttp2_session_del(connection->session);
        buffer_deinit(&connection->output);
        if (connection->file >= 0) {
            (void)close(connection->file);
        }
    }
    if (grpc->poll >= 0) {
        (void)close(grpc->poll);
    }
    free(grpc);
}

static nghttp2_nv header(const char *name, const char *value)
{
    /* The library copies both; its type is not const. */
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = NGHTTP2_NV_FLAG_NONE};
}

enum status grpc_call(struct grpc *grpc, uint32_t slot, struct grpc_call *call)
{
    struct grpc_connection *connection = &grpc->connections[slot % grpc->count];
    assert(call->connection == NULL && !call->request.failed && call->request.size > 0);
    const nghttp2_nv headers[] = {header(":method", "POST"),
                                  header(":scheme", "http"),
                                  header(":path", call->path),
                                  header(":authority", connection->authority),
                                  header("content-type", "application/grpc"),
                                  header("te", "trailers")};
    const nghttp2_data_provider provider = {.source.ptr = call, .read_callback = request_read};
    call->connection = connection;
    call->sent = 0;
    call->received = 0;
    call->failed = false;
    call->status_seen = false;
    buffer_clear(&call->response);
    if (nghttp2_submit_request(connection->session, NULL, headers, ARRAY_COUNT(headers), &provider,
                               call) < 0) {
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* ---- input and output --------------------------------------------------------------------- */

static enum status connection_write(struct grpc_connection *connection)
{
    for (;;) {
        const uint8_t *bytes = NULL;
        const ssize_t size = nghttp2_session_mem_send(connection->session, &bytes);
        if (size < 0) {
            return STATUS_NETWORK;
        }
        if (size == 0) {
            break;
        }
        write_bytes(&connection->output, bytes, (size_t)size);
    }
    if (connection->output.failed) {
        return STATUS_NO_MEMORY;
    }
    while (connection->written < connection->output.size) {
        const ssize_t sent =
            send(connection->file, connection->output.data + connection->written,
                 connection->output.size - connection->written, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            /* A full socket is tried again in the next turn, which its answers bring. */
            return errno == EAGAIN || errno == EINTR ? STATUS_OK : STATUS_NETWORK;
        }
        connection->written += (size_t)sent;
    }
    buffer_clear(&connection->output);
    connection->written = 0;
    return STATUS_OK;
}

static enum status connection_read(struct grpc *grpc, struct grpc_connection *connection)
{
    for (;;) {
        const ssize_t size = recv(connection->file, grpc->input, sizeof(grpc->input), MSG_DONTWAIT);
        if (size < 0) {
            return errno == EAGAIN || errno == EINTR ? STATUS_OK : STATUS_NETWORK;
        }
        if (size == 0 ||
            nghttp2_session_mem_recv(connection->session, grpc->input, (size_t)size) < 0) {
            return STATUS_NETWORK;
        }
        if ((size_t)size < sizeof(grpc->input)) {
            return STATUS_OK;
        }
    }
}

enum status grpc_turn(struct grpc *grpc, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    for (uint32_t i = 0; i < grpc->count; i++) {
        enum status status = connection_write(&grpc->connections[i]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    const int count = epoll_wait(grpc->poll, events, EVENTS_MAX, timeout_ms);
    if (count < 0 && errno != EINTR) {
        return STATUS_NETWORK;
    }
    for (int i = 0; i < count; i++) {
        enum status status = connection_read(grpc, &grpc->connections[events[i].data.u32]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
