/*
 * A copy of the ledger on its way to a peer, in threads of its own: one lets LMDB write a compact
 * copy of one committed transaction into a pipe, the other one hashes, encrypts and sends what
 * comes out of it (node/copy_form.h). Both have a lower priority than the threads that payments
 * wait for. Memory: the pipe, a chunk, and what the kernel keeps for the connection.
 */
#ifndef NODE_COPY_SEND_H
#define NODE_COPY_SEND_H

#include "base/channel.h"
#include "base/metrics.h"
#include "ledger/ledger.h"

struct copy_send;

struct copy_send_options {
    struct ledger *ledger; /* outlives it */
    struct channel *channel;
    uint32_t peer; /* for the log */
    struct metrics *metrics;
    /* LMDB found its file damaged; on a thread of the copy, need not return. */
    void (*damaged)(void *data, const char *what);
    void *data;
};

/* Begins to send. On success it owns the channel. STATUS_NO_MEMORY: no memory or thread. */
enum status MUST_CHECK copy_send_open(struct copy_send **send,
                                      const struct copy_send_options *options);
/* It ends soon; what the peer has then is no whole copy. */
void copy_send_cut(struct copy_send *send);
/* All is sent and the peer has checked it, or it broke off: the log says which. */
bool copy_send_done(const struct copy_send *send);
/* Waits for the threads. NULL is fine. */
void copy_send_close(struct copy_send *send);

#endif
