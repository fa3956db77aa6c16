/*
 * TLS as an engine over memory: ciphertext in, plaintext out and back, no sockets, no clock.
 * base/stream.c joins it to a TCP connection. The door to OpenSSL's SSL part.
 *
 * Peers use mutual TLS 1.3: who the other side is comes from the URI in its certificate
 * ("urn:payledger:node:3"), never from what it claims. Clients may use TLS 1.2 or 1.3.
 */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include "base/bytes.h"

struct tls_context;
struct tls;

struct tls_options {
    const char *ca_path;   /* trusted certificates; NULL: nobody is verified (server for clients) */
    const char *cert_path; /* own certificate chain; NULL for a client without one */
    const char *key_path;
    bool server;
    bool verify_peer; /* demand and verify the other side's certificate */
    bool tls13_only;
    bool verify_host; /* client: the certificate must name the host given to tls_open */
};

/*
 * Loads the files. On failure a sentence that names the file is written to `error`.
 * STATUS_TLS on any failure.
 */
enum status MUST_CHECK tls_context_open(struct tls_context **context,
                                        const struct tls_options *options, char *error,
                                        size_t error_size);
void tls_context_close(struct tls_context *context);
/* The n of "urn:payledger:node:n" in the own certificate; 0 where there is none, or two. */
uint32_t tls_context_node(const struct tls_context *context);

/*
 * host: the name or address a client wants verified, and sends as SNI; NULL otherwise (not with
 * verify_host). A client's first message waits to be drained at once.
 */
enum status MUST_CHECK tls_open(struct tls **tls, struct tls_context *context, const char *host);
void tls_close(struct tls *tls);

/*
 * Ciphertext from the network. Takes all of it (bounded by the caller's read size, since it reads
 * until tls_read says something else than STATUS_AGAIN; STATUS_FULL past TLS_BUFFER_BYTES_MAX).
 */
enum status MUST_CHECK tls_feed(struct tls *tls, const void *data, size_t size);

/*
 * Goes on with the handshake and decrypts what is there, appending plaintext to `plain` until its
 * maximum. STATUS_OK, STATUS_AGAIN (plain is full: call again), STATUS_CLOSED (orderly end),
 * STATUS_TLS (broken or refused; tls_error says why, and the alert for the other side waits to be
 * drained). The call that completes the handshake appends no plaintext.
 */
enum status MUST_CHECK tls_read(struct tls *tls, struct buffer *plain);

/*
 * Encrypts; before the handshake is done the bytes wait inside (bounded by the caller).
 * STATUS_CLOSED after tls_shutdown, STATUS_TLS where the engine is broken.
 */
enum status MUST_CHECK tls_write(struct tls *tls, const void *data, size_t size);

/* Moves ciphertext for the network to the end of `out`; STATUS_FULL where it does not fit. */
enum status MUST_CHECK tls_drain(struct tls *tls, struct buffer *out);

/* Sends the closing alert at the next drain. */
void tls_shutdown(struct tls *tls);

/*
 * A server's handshake is done when it has verified the client. A TLS 1.3 client is done one
 * message earlier: a server that refuses its certificate says so by an alert, after which tls_read
 * gives STATUS_TLS instead of data. Only data from the server proves that it accepted.
 */
bool tls_handshake_done(const struct tls *tls);
/*
 * The n of "urn:payledger:node:n" in the peer's verified certificate; 0 where there is none, or
 * more than one, and where verify_peer was not set.
 */
uint32_t tls_peer_node(const struct tls *tls);
/* Why it broke: one sentence, valid until the next call. */
const char *tls_error(const struct tls *tls);

#endif
