#include "client/identifier.h"

#include "base/check.h"
#include "base/crypto.h"

#include <string.h>

/* Sets the version and the variant (RFC 9562, 4). */
static void identifier_mark(struct uuid *uuid, uint8_t version)
{
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | (version << 4));
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

struct uuid identifier_fresh(int64_t wall_ns)
{
    assert(wall_ns >= 0);
    struct uuid uuid;
    random_bytes(uuid.bytes, sizeof(uuid.bytes));
    const uint64_t ms = (uint64_t)wall_ns / 1000000;
    for (int i = 0; i < 6; i++) {
        uuid.bytes[i] = (uint8_t)(ms >> (8 * (5 - i)));
    }
    identifier_mark(&uuid, 7);
    return uuid;
}

struct uuid identifier_derived(struct text batch, uint64_t line, struct text bytes)
{
    /* Two digests in one: no name and line can be shifted into another's place. */
    struct digest parts[2] = {digest_of(batch.data, batch.size), digest_of(bytes.data, bytes.size)};
    uint8_t all[2 * DIGEST_BYTES + 8];
    memcpy(all, parts[0].bytes, DIGEST_BYTES);
    memcpy(all + DIGEST_BYTES, parts[1].bytes, DIGEST_BYTES);
    put_u64(all + 2 * DIGEST_BYTES, line);
    const struct digest digest = digest_of(all, sizeof(all));
    struct uuid uuid;
    memcpy(uuid.bytes, digest.bytes, sizeof(uuid.bytes));
    identifier_mark(&uuid, 8);
    return uuid;
}
