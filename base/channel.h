/*
 * A connection that was taken off its loop (stream_detach), for one thread that may wait: what is
 * so much that the loop's other connections would wait for it. It only sends.
 *
 * Everything but channel_cut belongs to one thread at a time.
 */
#ifndef BASE_CHANNEL_H
#define BASE_CHANNEL_H

#include "base/bytes.h"
#include "base/tls.h"

struct channel;

/*
 * Takes over a connected, non-blocking socket, the TLS engine on it (NULL: plain) and the bytes
 * that were queued on the loop and go first (`queued` is empty then). stall_ms: how long the other
 * side may take nothing. STATUS_NO_MEMORY: nothing is taken over.
 */
enum status MUST_CHECK channel_open(struct channel **channel, int fd, struct tls *tls,
                                    struct buffer *queued, uint32_t stall_ms);

/*
 * Returns once the kernel has all of it. STATUS_TIMEOUT: it took nothing for stall_ms;
 * STATUS_NETWORK, STATUS_TLS, STATUS_NO_MEMORY. After a failure only cut and close may follow.
 */
enum status MUST_CHECK channel_send(struct channel *channel, const void *data, size_t size);

/*
 * The last words, TLS's closing alert and TCP's FIN; then waits until the other side ends too, for
 * up to linger_ms: closing before would destroy what it has not read yet.
 */
void channel_finish(struct channel *channel, uint32_t linger_ms);

/* Any thread: who waits in one of the above returns now, and later calls fail. */
void channel_cut(struct channel *channel);

/* Frees it; what the kernel has is still sent. NULL is fine. */
void channel_close(struct channel *channel);

#endif
