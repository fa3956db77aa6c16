#include "tests/support/listener.h"

#include "tests/support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 16384, INPUT_BYTES_MAX = 16 * 1024 * 1024 };

static void *listener_run(void *data)
{
    struct listener *listener = data;
    for (;;) {
        const int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            return NULL; /* shut down */
        }
        buffer_clear(&listener->input);
        atomic_fetch_add(&listener->accepted, 1);
        listener->serve(listener, fd);
        (void)close(fd);
    }
}

void listener_open(struct listener *listener, void (*serve)(struct listener *listener, int fd),
                   void *data)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    *listener = (struct listener){.serve = serve, .data = data};
    buffer_init(&listener->input, INPUT_BYTES_MAX);
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener->fd >= 0);
    assert_int_equal(bind(listener->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener->fd, 16), 0);
    assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&address, &size), 0);
    listener->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&listener->thread, NULL, listener_run, listener), 0);
}

void listener_close(struct listener *listener)
{
    assert_int_equal(shutdown(listener->fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(listener->thread, NULL), 0);
    assert_int_equal(close(listener->fd), 0);
    buffer_deinit(&listener->input);
}

bool listener_read(struct listener *listener, int fd)
{
    uint8_t bytes[READ_BYTES];
    const ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
    if (size <= 0) {
        return false;
    }
    write_bytes(&listener->input, bytes, (size_t)size);
    return !listener->input.failed;
}

bool listener_read_head(struct listener *listener, int fd)
{
    while (listener->input.size == 0 ||
           memmem(listener->input.data, listener->input.size, "\r\n\r\n", 4) == NULL) {
        if (!listener_read(listener, fd)) {
            return false;
        }
    }
    return true;
}

void listener_wait_end(int fd)
{
    uint8_t bytes[READ_BYTES];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
    }
}

void listener_write(int fd, const void *data, size_t size)
{
    size_t sent = 0;
    while (sent < size) {
        const ssize_t part = send(fd, (const uint8_t *)data + sent, size - sent, MSG_NOSIGNAL);
        if (part <= 0) {
            return; /* the client has left */
        }
        sent += (size_t)part;
    }
}
