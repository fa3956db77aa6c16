/*
 * Digests by OpenSSL's EVP interface, random bytes by the kernel. A digest that can not be computed
 * is a broken installation, not an operating error: the process stops.
 */
#include "base/crypto.h"

#include "base/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

struct hasher {
    EVP_MD_CTX *context;
};

/* Fetched once: a look-up in OpenSSL's providers costs more than hashing a small entry. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void sha256_fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* NULL where OpenSSL has no SHA-256. */
static const EVP_MD *sha256_get(void)
{
    int result = pthread_once(&sha256_once, sha256_fetch);
    assert(result == 0);
    return sha256;
}

enum status hasher_open(struct hasher **hasher)
{
    assert(hasher != NULL);
    if (sha256_get() == NULL) {
        return STATUS_TLS;
    }
    struct hasher *made = malloc(sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    made->context = EVP_MD_CTX_new();
    if (made->context == NULL) {
        free(made);
        return STATUS_NO_MEMORY;
    }
    *hasher = made;
    return STATUS_OK;
}

void hasher_close(struct hasher *hasher)
{
    if (hasher == NULL) {
        return;
    }
    EVP_MD_CTX_free(hasher->context);
    free(hasher);
}

void hasher_begin(struct hasher *hasher)
{
    assert(hasher != NULL);
    int result = EVP_DigestInit_ex(hasher->context, sha256_get(), NULL);
    assert(result == 1);
}

void hasher_add(struct hasher *hasher, const void *data, size_t size)
{
    assert(hasher != NULL);
    assert(data != NULL || size == 0);
    int result = EVP_DigestUpdate(hasher->context, data, size);
    assert(result == 1);
}

struct digest hasher_end(struct hasher *hasher)
{
    assert(hasher != NULL);
    struct digest digest;
    unsigned size = 0;
    int result = EVP_DigestFinal_ex(hasher->context, digest.bytes, &size);
    assert(result == 1);
    assert(size == DIGEST_BYTES);
    return digest;
}

struct digest digest_of(const void *data, size_t size)
{
    assert(data != NULL || size == 0);
    struct digest digest;
    unsigned size_out = 0;
    int result = EVP_Digest(data, size, digest.bytes, &size_out, sha256_get(), NULL);
    assert(result == 1);
    assert(size_out == DIGEST_BYTES);
    return digest;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    assert(a != NULL && b != NULL);
    return CRYPTO_memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

void digest_format(const struct digest *digest, char text[DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    assert(digest != NULL && text != NULL);
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        text[2 * i] = digits[digest->bytes[i] >> 4];
        text[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    text[2 * DIGEST_BYTES] = '\0';
}

void random_bytes(void *data, size_t size)
{
    assert(data != NULL || size == 0);
    size_t done = 0;
    while (done < size) {
        ssize_t result = getrandom((uint8_t *)data + done, size - done, 0);
        assert(result >= 0 || errno == EINTR);
        done += result > 0 ? (size_t)result : 0;
    }
}

void websocket_accept_key(struct text key, char text[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    enum { SHA1_BYTES = 20, KEY_BYTES_MAX = 256 };
    assert(key.size <= KEY_BYTES_MAX);
    uint8_t joined[KEY_BYTES_MAX + sizeof guid];
    if (key.size > 0) {
        memcpy(joined, key.data, key.size);
    }
    memcpy(joined + key.size, guid, sizeof guid - 1);
    uint8_t sha1[SHA1_BYTES];
    unsigned size = 0;
    int result = EVP_Digest(joined, key.size + sizeof guid - 1, sha1, &size, EVP_sha1(), NULL);
    assert(result == 1 && size == SHA1_BYTES);
    int encoded = EVP_EncodeBlock((unsigned char *)text, sha1, SHA1_BYTES);
    assert(encoded == 28);
}
