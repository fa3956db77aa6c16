/*
 * An outgoing peer connection until it may be used: TCP, TLS, handshake, all within
 * PEER_CONNECT_MS.
 */
#ifndef CONSENSUS_DIAL_H
#define CONSENSUS_DIAL_H

#include "consensus/endpoint.h"

struct dial;

/*
 * The end of a dial, exactly once, always from the loop. STATUS_OK: the stream is handed over and
 * the callee sets its callbacks before it returns. Else stream is NULL. The dial is gone
 * afterwards.
 */
typedef void (*dial_done)(void *data, struct stream *stream, enum status status);

/* Starts after delay_ms. The peer must outlive the dial. STATUS_NO_MEMORY. */
enum status MUST_CHECK dial_open(struct dial **dial, struct endpoint *endpoint,
                                 const struct consensus_peer *peer, enum connection_kind kind,
                                 uint32_t delay_ms, dial_done done, void *data);

/* Ends it; done is not called. */
void dial_cancel(struct dial *dial);

#endif
