/*
 * A server on the loopback interface that does with each connection what a test wants: for answers
 * that no node would give. One connection after the other, on a thread of its own.
 */
#ifndef TESTS_SUPPORT_LISTENER_H
#define TESTS_SUPPORT_LISTENER_H

#include "base/bytes.h"

#include <pthread.h>
#include <stdatomic.h>

struct listener {
    /* Reads and writes; the connection is closed after it. */
    void (*serve)(struct listener *listener, int fd);
    void *data;
    int fd;
    uint16_t port;
    pthread_t thread;
    _Atomic uint32_t accepted;
    struct buffer input; /* for the use of serve */
};

void listener_open(struct listener *listener, void (*serve)(struct listener *listener, int fd),
                   void *data);
/* Waits for the connection that is served; it ends when its client does. */
void listener_close(struct listener *listener);

/* Reads into ->input until it holds "\r\n\r\n"; false where the client left before. */
bool listener_read_head(struct listener *listener, int fd);
/* Reads once into ->input; false at the client's end. */
bool listener_read(struct listener *listener, int fd);
/* Reads and forgets until the client leaves. */
void listener_wait_end(int fd);
void listener_write(int fd, const void *data, size_t size);

#endif
