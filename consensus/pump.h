/*
 * Moves bytes between a TLS stream and one end of a socket pair, since raft reads and writes the
 * uv_stream_t it is given by itself. Bounded both ways: while one side does not take bytes the
 * other one is not read, and a pump that moves nothing for PEER_STALL_MS although bytes wait is
 * cut.
 *
 * raft's streams have one direction: outgoing ones are only written by raft, accepted ones are only
 * read. When either side ends, the other one is closed at once: raft notices a dead outgoing stream
 * only by a failing write.
 */
#ifndef CONSENSUS_PUMP_H
#define CONSENSUS_PUMP_H

#include "base/list.h"
#include "consensus/endpoint.h"

enum pump_direction { PUMP_OUTGOING, PUMP_INCOMING };

struct pump;

/*
 * Takes the opened stream over (also on failure, which closes it). *raft_end: a uv_pipe_t from
 * raft_malloc, to be uv_close()d and raft_free()d by raft. The pump enters the list `pumps` and
 * leaves it when it is gone. STATUS_NO_MEMORY, STATUS_LIMIT (no descriptors).
 */
enum status MUST_CHECK pump_open(struct list *pumps, struct endpoint *endpoint,
                                 struct stream *stream, enum pump_direction direction,
                                 uint32_t peer, uv_stream_t **raft_end);

/* Cuts both sides; the memory goes later. Harmless when closing already. */
void pump_close(struct pump *pump, enum status reason);

/*
 * raft has written to an outgoing pump. pump_pull then moves that on, where libuv would only find
 * it in the loop's next round. From the loop, outside of raft's calls, before its prepare handles.
 */
void pump_wrote(struct pump *pump);
void pump_pull(struct pump *pump);

/* While paused, an incoming pump reads nothing from the wire. */
void pump_pause(struct pump *pump, bool pause);

/* The pump of a node of the list. */
struct pump *pump_of(struct list *node);
uint32_t pump_peer(const struct pump *pump);
/* Bytes that wait for the wire; 0 once the pump is closing. */
size_t pump_backlog(const struct pump *pump);
enum pump_direction pump_direction(const struct pump *pump);

#endif
