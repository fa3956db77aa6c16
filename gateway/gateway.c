/*
 * The gateway as a whole: one bound socket and one worker for each thread. The kernel spreads the
 * connections over the sockets (SO_REUSEPORT).
 */
#include "gateway/gateway.h"

#include "base/check.h"
#include "base/limits.h"
#include "gateway/render.h"
#include "gateway/route.h"
#include "gateway/worker.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct gateway {
    struct gateway_options options;
    struct tls_context *tls;
    char page_policy[ROUTE_POLICY_BYTES];
    uint16_t port;
    uint32_t workers_count; /* opened */
    struct gateway_worker workers[WORKERS_MAX];
};

/* A socket bound to the address; with `shared` other sockets of ours may be bound to it too. */
static int socket_bind(const struct addrinfo *address, bool shared)
{
    const int one = 1;
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
        (address->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0) {
        const int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/*
 * SO_REUSEPORT would let a second node of the same user share the port in silence. A socket without
 * it can be bound only where nobody listens.
 */
static bool port_free(const struct addrinfo *address)
{
    const int fd = socket_bind(address, false);
    if (fd < 0) {
        return false;
    }
    (void)close(fd);
    return true;
}

/* After the first bind to port 0 the others take the same port. */
static void port_keep(struct addrinfo *address, int fd, uint16_t *port)
{
    socklen_t size = address->ai_addrlen;
    const int result = getsockname(fd, address->ai_addr, &size);
    assert(result == 0 && size == address->ai_addrlen);
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    if (address->ai_family == AF_INET6) {
        memcpy(&ip6, address->ai_addr, sizeof ip6);
        *port = ntohs(ip6.sin6_port);
        return;
    }
    assert(address->ai_family == AF_INET);
    memcpy(&ip4, address->ai_addr, sizeof ip4);
    *port = ntohs(ip4.sin_port);
}

static enum status workers_bind(struct gateway *gateway, struct addrinfo *address, char *error,
                                size_t error_size)
{
    const struct gateway_options *options = &gateway->options;
    if (!port_free(address)) {
        (void)snprintf(error, error_size, "cannot listen on %s:%u: %s", options->host,
                       (unsigned)options->port, strerror(errno));
        return STATUS_NETWORK;
    }
    while (gateway->workers_count < options->workers) {
        const int fd = socket_bind(address, true);
        if (fd < 0) {
            (void)snprintf(error, error_size, "cannot listen on %s:%u: %s", options->host,
                           (unsigned)options->port, strerror(errno));
            return STATUS_NETWORK;
        }
        port_keep(address, fd, &gateway->port);
        const enum status status = worker_open(&gateway->workers[gateway->workers_count], options,
                                               gateway->tls, gateway->page_policy, fd);
        if (status != STATUS_OK) {
            (void)snprintf(error, error_size, "cannot make a worker: %s", status_text(status));
            return status;
        }
        gateway->workers_count++;
    }
    return STATUS_OK;
}

static enum status workers_open(struct gateway *gateway, char *error, size_t error_size)
{
    const struct gateway_options *options = &gateway->options;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)options->port);
    const int result = getaddrinfo(options->host, service, &hints, &addresses);
    if (result != 0) {
        (void)snprintf(error, error_size, "cannot listen on %s:%u: %s", options->host,
                       (unsigned)options->port, gai_strerror(result));
        return STATUS_NETWORK;
    }
    const enum status status = workers_bind(gateway, addresses, error, error_size);
    freeaddrinfo(addresses);
    return status;
}

static enum status workers_start(struct gateway *gateway, char *error, size_t error_size)
{
    for (uint32_t i = 0; i < gateway->workers_count; i++) {
        const enum status status = worker_start(&gateway->workers[i]);
        if (status != STATUS_OK) {
            (void)snprintf(error, error_size, "cannot listen on %s:%u: %s", gateway->options.host,
                           (unsigned)gateway->options.port, status_text(status));
            return status;
        }
    }
    return STATUS_OK;
}

static enum status gateway_tls(struct gateway *gateway, char *error, size_t error_size)
{
    if (!gateway->options.tls) {
        return STATUS_OK;
    }
    const struct tls_options options = {
        .cert_path = gateway->options.tls_cert_path,
        .key_path = gateway->options.tls_key_path,
        .server = true,
    };
    return tls_context_open(&gateway->tls, &options, error, error_size);
}

enum status gateway_open(struct gateway **gateway, const struct gateway_options *options,
                         char *error, size_t error_size)
{
    assert(gateway != NULL && options != NULL && error != NULL);
    assert(options->workers > 0 && options->workers <= WORKERS_MAX);
    assert(options->session_requests_max > 0 &&
           options->session_requests_max <= SESSION_REQUESTS_MAX);
    struct gateway *new = calloc(1, sizeof *new);
    if (new == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    new->options = *options;
    const bool fits = route_page_policy(page_text(), new->page_policy);
    assert(fits); /* the page is part of the program */
    enum status status = gateway_tls(new, error, error_size);
    if (status == STATUS_OK) {
        status = workers_open(new, error, error_size);
    }
    if (status == STATUS_OK) {
        status = workers_start(new, error, error_size);
    }
    if (status != STATUS_OK) {
        gateway_close(new);
        return status;
    }
    *gateway = new;
    return STATUS_OK;
}

void gateway_answer(struct call *call)
{
    assert(call != NULL && call->worker != NULL);
    worker_answer(call->worker, call);
}

void gateway_drain(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->workers_count; i++) {
        worker_drain(&gateway->workers[i]);
    }
}

uint32_t gateway_calls(const struct gateway *gateway)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < gateway->workers_count; i++) {
        count += atomic_load(&gateway->workers[i].calls);
    }
    return count;
}

uint16_t gateway_port(const struct gateway *gateway)
{
    return gateway->port;
}

void gateway_close(struct gateway *gateway)
{
    if (gateway == NULL) {
        return;
    }
    for (uint32_t i = 0; i < gateway->workers_count; i++) {
        worker_stop(&gateway->workers[i]);
    }
    for (uint32_t i = 0; i < gateway->workers_count; i++) {
        worker_close(&gateway->workers[i]);
    }
    tls_context_close(gateway->tls);
    free(gateway);
}
