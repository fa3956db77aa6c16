#include "consensus/handshake.h"

#include "base/check.h"

#include <string.h>

static const uint32_t HANDSHAKE_MAGIC = 0x52454450; /* "PDER" */

static_assert(4 + 2 + 1 + 1 + DIGEST_BYTES + 4 + 4 + 16 == HANDSHAKE_BYTES, "the frame is full");

void handshake_encode(const struct handshake *handshake, uint8_t frame[HANDSHAKE_BYTES])
{
    assert(handshake->kind >= CONNECTION_RAFT && handshake->kind <= CONNECTION_COPY);
    assert(handshake->refusal < REFUSAL_COUNT);
    put_u32(frame, HANDSHAKE_MAGIC);
    frame[4] = HANDSHAKE_VERSION;
    frame[5] = 0;
    frame[6] = (uint8_t)handshake->kind;
    frame[7] = (uint8_t)handshake->refusal;
    memcpy(frame + 8, handshake->cluster_id.bytes, DIGEST_BYTES);
    put_u32(frame + 40, handshake->from);
    put_u32(frame + 44, handshake->to);
    memcpy(frame + 48, handshake->incarnation, sizeof handshake->incarnation);
}

enum refusal handshake_decode(const uint8_t frame[HANDSHAKE_BYTES], struct handshake *handshake)
{
    assert(frame != NULL);
    assert(handshake != NULL);
    if (get_u32(frame) != HANDSHAKE_MAGIC || frame[7] >= REFUSAL_COUNT) {
        return REFUSAL_PROTOCOL;
    }
    if (frame[4] != HANDSHAKE_VERSION || frame[5] != 0) {
        return REFUSAL_VERSION;
    }
    if (frame[6] < CONNECTION_RAFT || frame[6] > CONNECTION_COPY) {
        return REFUSAL_KIND;
    }
    handshake->kind = (enum connection_kind)frame[6];
    handshake->refusal = (enum refusal)frame[7];
    memcpy(handshake->cluster_id.bytes, frame + 8, DIGEST_BYTES);
    handshake->from = get_u32(frame + 40);
    handshake->to = get_u32(frame + 44);
    memcpy(handshake->incarnation, frame + 48, sizeof handshake->incarnation);
    return REFUSAL_NONE;
}

const char *refusal_text(enum refusal refusal)
{
    static const char *const texts[REFUSAL_COUNT] = {
#define REFUSAL_TEXT(name, text) text,
        REFUSAL_TABLE(REFUSAL_TEXT)
#undef REFUSAL_TEXT
    };
    assert(refusal < REFUSAL_COUNT);
    return texts[refusal];
}
