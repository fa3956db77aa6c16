/*
 * OpenSSL's SSL between three buffers: ciphertext that came (input), ciphertext that shall go
 * (output), and plaintext that waits for the handshake (early). A BIO of our own reads and writes
 * the first two: OpenSSL's memory BIO would keep its largest size for ever, and ten thousand idle
 * connections shall cost little. For the same reason empty buffers are freed at once.
 *
 * Happy path: tls_open -> tls_drain (client: its hello) -> tls_feed, tls_read, tls_drain until
 * tls_handshake_done -> tls_write, tls_drain; tls_feed, tls_read -> tls_shutdown, tls_drain.
 * Any failure of OpenSSL breaks the engine for good; what it leaves to drain is the alert that
 * tells the other side.
 */
#include "base/tls.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/tls_error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_context {
    SSL_CTX *ssl;
    bool server;
    bool verify_peer;
    bool verify_host;
};

struct tls {
    SSL *ssl;
    struct buffer input;
    size_t input_at; /* bytes of input that are taken */
    struct buffer output;
    struct buffer early;
    bool server;
    bool verify_peer;
    bool handshake_done;
    bool ended; /* the other side's closing alert was read */
    bool shut;  /* ours was written */
    bool broken;
    uint32_t peer_node;
    const char *error; /* static text */
};

/* --- the BIO --------------------------------------------------------------------------------- */

static int engine_write(BIO *bio, const char *data, size_t size, size_t *written)
{
    struct tls *tls = BIO_get_data(bio);
    assert(tls != NULL);
    BIO_clear_retry_flags(bio);
    write_bytes(&tls->output, data, size);
    if (tls->output.failed) {
        return 0;
    }
    *written = size;
    return 1;
}

static int engine_read(BIO *bio, char *data, size_t size, size_t *taken)
{
    struct tls *tls = BIO_get_data(bio);
    assert(tls != NULL);
    assert(tls->input_at <= tls->input.size);
    BIO_clear_retry_flags(bio);
    size_t left = tls->input.size - tls->input_at;
    if (left == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    size_t count = left < size ? left : size;
    memcpy(data, tls->input.data + tls->input_at, count);
    tls->input_at += count;
    if (tls->input_at == tls->input.size) {
        buffer_deinit(&tls->input);
        tls->input_at = 0;
    }
    *taken = count;
    return 1;
}

static long engine_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *engine_method;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void engine_method_make(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "payledger");
    if (method == NULL || BIO_meth_set_write_ex(method, engine_write) != 1 ||
        BIO_meth_set_read_ex(method, engine_read) != 1 ||
        BIO_meth_set_ctrl(method, engine_control) != 1) {
        BIO_meth_free(method);
        return;
    }
    engine_method = method;
}

/* --- failures --------------------------------------------------------------------------------- */

/* Breaks the engine with the reason in OpenSSL's queue, which is left empty. */
static enum status tls_break(struct tls *tls)
{
    assert(tls->error == NULL);
    unsigned long error = ERR_peek_error();
    if (tls->output.failed || tls->input.failed) {
        tls->error = "out of memory";
    } else if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
               ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        tls->error = tls_verify_text(SSL_get_verify_result(tls->ssl));
    } else {
        tls->error = tls_error_text(error);
    }
    ERR_clear_error();
    tls->broken = true;
    return STATUS_TLS;
}

/* --- contexts -------------------------------------------------------------------------------- */

static void error_write(char *error, size_t error_size, const char *what, const char *path)
{
    assert(error != NULL || error_size == 0);
    const char *reason = tls_error_text(ERR_peek_error());
    if (path != NULL) {
        (void)snprintf(error, error_size, "%s %s: %s", what, path, reason);
    } else {
        (void)snprintf(error, error_size, "%s: %s", what, reason);
    }
    ERR_clear_error();
}

/* Keys with a pass phrase are refused: a node must not ask its terminal. */
static int no_pass_phrase(char *text, int size, int writing, void *data)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

static bool context_configure(SSL_CTX *ssl, const struct tls_options *options)
{
    int version_least = options->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(ssl, version_least) != 1 ||
        SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
        return false;
    }
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ssl, no_pass_phrase);
    if (options->verify_peer) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        /* Without tickets no session is resumed: each connection verifies its certificate anew. */
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        if (SSL_CTX_set_num_tickets(ssl, 0) != 1) {
            return false;
        }
    }
    return true;
}

static bool context_load(SSL_CTX *ssl, const struct tls_options *options, char *error,
                         size_t error_size)
{
    if (options->ca_path != NULL && SSL_CTX_load_verify_file(ssl, options->ca_path) != 1) {
        error_write(error, error_size, "CA", options->ca_path);
        return false;
    }
    if (options->cert_path == NULL) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, options->cert_path) != 1) {
        error_write(error, error_size, "certificate", options->cert_path);
        return false;
    }
    /* Checks too that the key belongs to the certificate. */
    if (SSL_CTX_use_PrivateKey_file(ssl, options->key_path, SSL_FILETYPE_PEM) != 1) {
        error_write(error, error_size, "key", options->key_path);
        return false;
    }
    return true;
}

enum status tls_context_open(struct tls_context **context, const struct tls_options *options,
                             char *error, size_t error_size)
{
    assert(context != NULL && options != NULL);
    assert((options->cert_path == NULL) == (options->key_path == NULL));
    ERR_clear_error();
    if (options->verify_peer && options->ca_path == NULL) {
        (void)snprintf(error, error_size, "a CA is needed to verify the other side");
        return STATUS_TLS;
    }
    if (options->server && options->cert_path == NULL) {
        (void)snprintf(error, error_size, "a TLS server needs a certificate");
        return STATUS_TLS;
    }
    struct tls_context *made = calloc(1, sizeof *made);
    SSL_CTX *ssl = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    if (made == NULL || ssl == NULL || !context_configure(ssl, options)) {
        error_write(error, error_size, "TLS", NULL);
        goto fail;
    }
    if (!context_load(ssl, options, error, error_size)) {
        goto fail;
    }
    made->ssl = ssl;
    made->server = options->server;
    made->verify_peer = options->verify_peer;
    made->verify_host = options->verify_host;
    *context = made;
    return STATUS_OK;

fail:
    SSL_CTX_free(ssl);
    free(made);
    return STATUS_TLS;
}

void tls_context_close(struct tls_context *context)
{
    if (context == NULL) {
        return;
    }
    SSL_CTX_free(context->ssl);
    free(context);
}

/* --- the engine ------------------------------------------------------------------------------ */

/* Names the host to the server (SNI, for names only), and wants it in the certificate. */
static bool host_set(SSL *ssl, const char *host, bool verify)
{
    X509_VERIFY_PARAM *wanted = SSL_get0_param(ssl);
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    ERR_clear_error();
    if (address != NULL) {
        ASN1_OCTET_STRING_free(address);
        return !verify || X509_VERIFY_PARAM_set1_ip_asc(wanted, host) == 1;
    }
    /* SSL_set_tlsext_host_name without its cast, which drops const. */
    void *name = (void *)(uintptr_t)host;
    if (SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) != 1) {
        return false;
    }
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return !verify || X509_VERIFY_PARAM_set1_host(wanted, host, 0) == 1;
}

static bool ssl_make(struct tls *tls, struct tls_context *context, const char *host)
{
    if (pthread_once(&engine_once, engine_method_make) != 0 || engine_method == NULL) {
        return false;
    }
    tls->ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(engine_method);
    if (tls->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    if (context->server) {
        SSL_set_accept_state(tls->ssl);
        return true;
    }
    SSL_set_connect_state(tls->ssl);
    return host == NULL || host_set(tls->ssl, host, context->verify_host);
}

enum status tls_open(struct tls **tls, struct tls_context *context, const char *host)
{
    assert(tls != NULL && context != NULL);
    assert(IMPLIES(context->verify_host, host != NULL));
    struct tls *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    buffer_init(&made->input, TLS_BUFFER_BYTES_MAX);
    buffer_init(&made->output, TLS_BUFFER_BYTES_MAX);
    buffer_init(&made->early, TLS_BUFFER_BYTES_MAX);
    made->server = context->server;
    made->verify_peer = context->verify_peer;
    ERR_clear_error();
    if (!ssl_make(made, context, host)) {
        goto fail;
    }
    if (!context->server) {
        /* Puts the client's hello into the output. */
        int result = SSL_do_handshake(made->ssl);
        if (SSL_get_error(made->ssl, result) != SSL_ERROR_WANT_READ) {
            goto fail;
        }
    }
    *tls = made;
    return STATUS_OK;

fail:
    ERR_clear_error();
    tls_close(made);
    return STATUS_TLS;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_free(tls->ssl);
    buffer_deinit(&tls->input);
    buffer_deinit(&tls->output);
    buffer_deinit(&tls->early);
    free(tls);
}

enum status tls_feed(struct tls *tls, const void *data, size_t size)
{
    assert(tls != NULL);
    assert(data != NULL || size == 0);
    if (tls->broken) {
        return STATUS_TLS;
    }
    buffer_consume(&tls->input, tls->input_at);
    tls->input_at = 0;
    if (size > tls->input.size_max - tls->input.size) {
        return STATUS_FULL;
    }
    write_bytes(&tls->input, data, size);
    return tls->input.failed ? tls_break(tls) : STATUS_OK;
}

/* The number in a URI "urn:payledger:node:N" with N = [1-9][0-9]{0,4}; 0 for any other text. */
static uint32_t node_of_uri(struct text uri)
{
    static const struct text prefix = {.data = "urn:payledger:node:", .size = 19};
    enum { DIGITS_MAX = 5 };
    if (uri.size <= prefix.size || uri.size > prefix.size + DIGITS_MAX ||
        memcmp(uri.data, prefix.data, prefix.size) != 0 || uri.data[prefix.size] == '0') {
        return 0;
    }
    uint32_t node = 0;
    for (size_t i = prefix.size; i < uri.size; i++) {
        if (uri.data[i] < '0' || uri.data[i] > '9') {
            return 0;
        }
        node = node * 10 + (uint32_t)(uri.data[i] - '0');
    }
    assert(node <= NODE_ID_MAX);
    return node;
}

/* A certificate that names two nodes names none. */
static uint32_t node_of_certificate(const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    uint32_t found = 0;
    bool twice = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int kind = 0;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind != GEN_URI || ASN1_STRING_length(value) <= 0) {
            continue;
        }
        struct text uri = {.data = (const char *)ASN1_STRING_get0_data(value),
                           .size = (size_t)ASN1_STRING_length(value)};
        uint32_t node = node_of_uri(uri);
        twice = twice || (node != 0 && found != 0);
        found = node != 0 ? node : found;
    }
    GENERAL_NAMES_free(names);
    return twice ? 0 : found;
}

uint32_t tls_context_node(const struct tls_context *context)
{
    assert(context != NULL);
    const X509 *own = SSL_CTX_get0_certificate(context->ssl);
    return own == NULL ? 0 : node_of_certificate(own);
}

/*
 * For a server SSL_do_handshake succeeds only after it has verified the client's certificate and
 * signature. A TLS 1.3 client is done one step earlier: whether it was accepted it learns from what
 * it reads next.
 */
static enum status handshake_go_on(struct tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1) {
        return SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ ? STATUS_OK : tls_break(tls);
    }
    tls->handshake_done = true;
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (tls->verify_peer) {
        assert(certificate != NULL);
        assert(SSL_get_verify_result(tls->ssl) == X509_V_OK);
        tls->peer_node = node_of_certificate(certificate);
    }
    ERR_clear_error();
    if (tls->early.size > 0) {
        struct buffer early = tls->early;
        buffer_init(&tls->early, TLS_BUFFER_BYTES_MAX);
        enum status status = tls_write(tls, early.data, early.size);
        buffer_deinit(&early);
        return status;
    }
    return STATUS_OK;
}

static bool input_waits(const struct tls *tls)
{
    return tls->input.size > tls->input_at || SSL_has_pending(tls->ssl);
}

enum status tls_read(struct tls *tls, struct buffer *plain)
{
    assert(tls != NULL && plain != NULL);
    if (tls->broken || tls->ended) {
        return tls->broken ? STATUS_TLS : STATUS_CLOSED;
    }
    if (!tls->handshake_done) {
        enum status status = handshake_go_on(tls);
        if (status != STATUS_OK || !tls->handshake_done) {
            return status;
        }
        /* The caller shall see that it is open before it sees data. */
        return input_waits(tls) ? STATUS_AGAIN : STATUS_OK;
    }
    while (plain->size < plain->size_max) {
        size_t room = plain->size_max - plain->size;
        if (!buffer_reserve(plain,
                            room < SSL3_RT_MAX_PLAIN_LENGTH ? room : SSL3_RT_MAX_PLAIN_LENGTH)) {
            return STATUS_NO_MEMORY;
        }
        size_t taken = 0;
        ERR_clear_error();
        int result =
            SSL_read_ex(tls->ssl, plain->data + plain->size, plain->capacity - plain->size, &taken);
        if (result == 1) {
            plain->size += taken;
            continue;
        }
        int error = SSL_get_error(tls->ssl, result);
        if (error == SSL_ERROR_WANT_READ) {
            return STATUS_OK;
        }
        if (error == SSL_ERROR_ZERO_RETURN) {
            tls->ended = true;
            return STATUS_CLOSED;
        }
        return tls_break(tls);
    }
    return input_waits(tls) ? STATUS_AGAIN : STATUS_OK;
}

enum status tls_write(struct tls *tls, const void *data, size_t size)
{
    assert(tls != NULL);
    assert(data != NULL || size == 0);
    if (tls->broken || tls->shut) {
        return tls->broken ? STATUS_TLS : STATUS_CLOSED;
    }
    if (size == 0) {
        return STATUS_OK;
    }
    if (!tls->handshake_done) {
        if (size > tls->early.size_max - tls->early.size) {
            return STATUS_FULL;
        }
        write_bytes(&tls->early, data, size);
        return tls->early.failed ? STATUS_NO_MEMORY : STATUS_OK;
    }
    size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, data, size, &written) != 1) {
        return tls_break(tls);
    }
    assert(written == size);
    return STATUS_OK;
}

enum status tls_drain(struct tls *tls, struct buffer *out)
{
    assert(tls != NULL && out != NULL);
    if (tls->output.size == 0) {
        return STATUS_OK;
    }
    if (out->failed || tls->output.size > out->size_max - out->size) {
        return STATUS_FULL;
    }
    write_bytes(out, tls->output.data, tls->output.size);
    if (out->failed) {
        return STATUS_NO_MEMORY;
    }
    bool failed = tls->output.failed;
    buffer_deinit(&tls->output);
    tls->output.failed = failed;
    return STATUS_OK;
}

void tls_shutdown(struct tls *tls)
{
    assert(tls != NULL);
    if (tls->broken || tls->shut || !tls->handshake_done) {
        return;
    }
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    tls->shut = true;
}

bool tls_handshake_done(const struct tls *tls)
{
    assert(tls != NULL);
    return tls->handshake_done;
}

uint32_t tls_peer_node(const struct tls *tls)
{
    assert(tls != NULL);
    assert(IMPLIES(tls->peer_node != 0, tls->handshake_done && tls->verify_peer));
    return tls->peer_node;
}

const char *tls_error(const struct tls *tls)
{
    assert(tls != NULL);
    return tls->error != NULL ? tls->error : "no error";
}
