/*
 * The first 64 bytes each side of a peer connection sends, inside TLS: who it is and what the
 * connection is for. The side that connects says hello and waits; the other one answers with the
 * same frame, its own identity, and a refusal or none.
 *
 *     u32 magic | u16 version | u8 kind | u8 refusal | cluster id (32) | u32 from | u32 to |
 *     incarnation (16)
 */
#ifndef CONSENSUS_HANDSHAKE_H
#define CONSENSUS_HANDSHAKE_H

#include "consensus/consensus.h"

enum { HANDSHAKE_BYTES = 64, HANDSHAKE_VERSION = 1 };

enum connection_kind { CONNECTION_RAFT = 1, CONNECTION_LINK = 2, CONNECTION_COPY = 3 };

/* REFUSAL(NAME, "sentence") ; the order is the wire's. */
#define REFUSAL_TABLE(REFUSAL)                                                                     \
    REFUSAL(NONE, "accepted")                                                                      \
    REFUSAL(PROTOCOL, "not a payledger peer, or an invalid frame")                                 \
    REFUSAL(VERSION, "another protocol version")                                                   \
    REFUSAL(KIND, "an unknown kind of connection")                                                 \
    REFUSAL(CLUSTER, "another cluster (cluster id differs)")                                       \
    REFUSAL(CERTIFICATE, "the certificate is not the claimed node's")                              \
    REFUSAL(UNKNOWN, "a node that is not in the configuration")                                    \
    REFUSAL(TARGET, "meant for another node")                                                      \
    REFUSAL(INCARNATION, "foreign_incarnation: the node's data is not the recorded one")           \
    REFUSAL(BUSY, "too many handshakes, or shutting down")

enum refusal {
#define REFUSAL_ENUM(name, text) REFUSAL_##name,
    REFUSAL_TABLE(REFUSAL_ENUM)
#undef REFUSAL_ENUM
        REFUSAL_COUNT
};

struct handshake {
    enum connection_kind kind;
    enum refusal refusal;
    struct digest cluster_id;
    uint32_t from;
    uint32_t to;
    uint8_t incarnation[16];
};

void handshake_encode(const struct handshake *handshake, uint8_t frame[HANDSHAKE_BYTES]);

/* REFUSAL_NONE and *handshake filled, or why the frame is not understood. */
enum refusal handshake_decode(const uint8_t frame[HANDSHAKE_BYTES], struct handshake *handshake);

/* The sentence of a refusal. Never NULL. */
const char *refusal_text(enum refusal refusal);

#endif
