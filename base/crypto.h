/*
 * The door to OpenSSL's digests and random numbers.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/bytes.h"

enum { DIGEST_BYTES = 32 };
enum { DIGEST_HEX_BYTES = 2 * DIGEST_BYTES + 1 };

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

/* SHA-256 (FIPS 180-4) in steps. One object is reused for many digests; not thread-safe. */
struct hasher;
enum status MUST_CHECK hasher_open(struct hasher **hasher);
void hasher_close(struct hasher *hasher);
void hasher_begin(struct hasher *hasher);
void hasher_add(struct hasher *hasher, const void *data, size_t size);
struct digest hasher_end(struct hasher *hasher);

struct digest digest_of(const void *data, size_t size);
bool digest_equal(const struct digest *a, const struct digest *b);
void digest_format(const struct digest *digest, char text[DIGEST_HEX_BYTES]);

/* Fills from the operating system's generator; stops the process where it fails. */
void random_bytes(void *data, size_t size);

/* Base64 of SHA-1 as the WebSocket handshake wants it (RFC 6455, 4.2.2): 28 characters + NUL. */
void websocket_accept_key(struct text key, char text[29]);

#endif
