/*
 * Keys and X.509 certificates of a cluster. A key is written before its certificate, both as new
 * files only; what was begun is removed again where a later step fails, so that the command can
 * simply be repeated.
 */
#include "base/certificate.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/tls_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

enum {
    CA_DAYS = 3650,
    NODE_DAYS = 825,   /* Apple's systems refuse certificates of servers that live longer */
    SERIAL_BITS = 127, /* RFC 5280, 4.1.2.2: positive, at most 20 bytes, not to be guessed */
    NAME_BYTES = 64    /* of a common name (RFC 5280, ub-common-name) */
};

#define SECONDS_PER_DAY 86400L

struct report {
    char *text;
    size_t size;
};

/* Writes "what path: reason" and passes the status on. */
static enum status report_failure(struct report report, enum status status, const char *path,
                                  const char *reason)
{
    assert(status != STATUS_OK);
    assert(path != NULL && reason != NULL);
    (void)snprintf(report.text, report.size, "%s: %s", path, reason);
    ERR_clear_error();
    return status;
}

static enum status report_openssl(struct report report, const char *path)
{
    return report_failure(report, STATUS_TLS, path, tls_error_text(ERR_peek_error()));
}

static bool path_make(char path[PATH_BYTES_MAX], const char *dir, const char *name)
{
    int size = snprintf(path, PATH_BYTES_MAX, "%s/%s", dir, name);
    return size > 0 && size < PATH_BYTES_MAX;
}

/* --- certificates ---------------------------------------------------------------------------- */

static bool extension_add(X509 *certificate, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    if (extension == NULL) {
        return false;
    }
    bool added = X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool serial_set(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool done = number != NULL &&
                BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

/* Everything but issuer, extensions and signature. It is valid since yesterday: clocks differ. */
static X509 *certificate_begin(EVP_PKEY *key, const char *common_name, long days)
{
    assert(key != NULL && common_name != NULL);
    X509 *certificate = X509_new();
    if (certificate == NULL) {
        return NULL;
    }
    X509_NAME *subject = X509_get_subject_name(certificate);
    bool done = X509_set_version(certificate, X509_VERSION_3) == 1 && serial_set(certificate) &&
                X509_gmtime_adj(X509_getm_notBefore(certificate), -SECONDS_PER_DAY) != NULL &&
                X509_gmtime_adj(X509_getm_notAfter(certificate), days * SECONDS_PER_DAY) != NULL &&
                X509_set_pubkey(certificate, key) == 1 &&
                X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                                           (const unsigned char *)"payledger", -1, -1, 0) == 1 &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                           (const unsigned char *)common_name, -1, -1, 0) == 1;
    if (!done) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

/* Each CA has a name of its own, so that a foreign one is reported as unknown, not as broken. */
static X509 *ca_certificate_make(EVP_PKEY *key)
{
    unsigned char tag[4];
    char name[NAME_BYTES];
    if (RAND_bytes(tag, sizeof tag) != 1) {
        return NULL;
    }
    (void)snprintf(name, sizeof name, "payledger CA %02x%02x%02x%02x", tag[0], tag[1], tag[2],
                   tag[3]);
    X509 *certificate = certificate_begin(key, name, CA_DAYS);
    if (certificate == NULL) {
        return NULL;
    }
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    bool done =
        X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
        extension_add(certificate, &context, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        extension_add(certificate, &context, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        extension_add(certificate, &context, NID_subject_key_identifier, "hash") &&
        X509_sign(certificate, key, EVP_sha256()) > 0;
    if (!done) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

/* Letters, digits, inner hyphens and dots: what a DNS name of a machine may hold. */
static bool host_is_name(const char *host)
{
    size_t size = strlen(host);
    if (size == 0 || size > HOST_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = host[i];
        bool inner = i > 0 && i + 1 < size && host[i - 1] != '.';
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !(inner && (c == '.' || c == '-'))) {
            return false;
        }
    }
    return true;
}

/*
 * The names are built as objects, never as configuration text of OpenSSL, in which a comma of a
 * host would begin another name.
 */
static bool name_add(GENERAL_NAMES *names, int kind, const char *value)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *text = kind == GEN_IPADD ? a2i_IPADDRESS(value) : ASN1_IA5STRING_new();
    if (name == NULL || text == NULL ||
        (kind != GEN_IPADD && ASN1_STRING_set(text, value, -1) != 1)) {
        goto fail;
    }
    GENERAL_NAME_set0_value(name, kind, text);
    text = NULL;
    if (sk_GENERAL_NAME_push(names, name) <= 0) {
        goto fail;
    }
    return true;

fail:
    ASN1_STRING_free(text);
    GENERAL_NAME_free(name);
    return false;
}

static int host_kind(const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    ERR_clear_error();
    ASN1_OCTET_STRING_free(address);
    return address != NULL ? GEN_IPADD : GEN_DNS;
}

static bool names_add(X509 *certificate, uint32_t node_id, const char *const *hosts,
                      uint32_t hosts_count)
{
    char uri[NAME_BYTES];
    (void)snprintf(uri, sizeof uri, "urn:payledger:node:%u", node_id);
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    bool done = names != NULL && name_add(names, GEN_URI, uri) &&
                name_add(names, GEN_DNS, "localhost") && name_add(names, GEN_IPADD, "127.0.0.1") &&
                name_add(names, GEN_IPADD, "::1");
    for (uint32_t i = 0; i < hosts_count && done; i++) {
        done = name_add(names, host_kind(hosts[i]), hosts[i]);
    }
    done = done && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
    GENERAL_NAMES_free(names);
    return done;
}

static X509 *node_certificate_make(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, uint32_t node_id,
                                   const char *const *hosts, uint32_t hosts_count)
{
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "payledger node %u", node_id);
    X509 *certificate = certificate_begin(key, name, NODE_DAYS);
    if (certificate == NULL) {
        return NULL;
    }
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca, certificate, NULL, NULL, 0);
    bool done =
        X509_set_issuer_name(certificate, X509_get_subject_name(ca)) == 1 &&
        extension_add(certificate, &context, NID_basic_constraints, "critical,CA:FALSE") &&
        extension_add(certificate, &context, NID_key_usage, "critical,digitalSignature") &&
        extension_add(certificate, &context, NID_ext_key_usage, "serverAuth,clientAuth") &&
        extension_add(certificate, &context, NID_subject_key_identifier, "hash") &&
        extension_add(certificate, &context, NID_authority_key_identifier, "keyid:always") &&
        names_add(certificate, node_id, hosts, hosts_count) &&
        X509_sign(certificate, ca_key, EVP_sha256()) > 0;
    if (!done) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

/* --- files ----------------------------------------------------------------------------------- */

/* A new file, durable when it is there. */
static enum status file_write(const char *path, mode_t mode, BIO *content, struct report report)
{
    char *data = NULL;
    long size = BIO_get_mem_data(content, &data);
    assert(size > 0 && data != NULL);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0) {
        return report_failure(report, errno == EEXIST ? STATUS_EXISTS : STATUS_IO, path,
                              strerror(errno));
    }
    ssize_t written = write(file, data, (size_t)size);
    bool done = written == size && fsync(file) == 0;
    int error = written >= 0 && written < size ? ENOSPC : errno;
    done = close(file) == 0 && done;
    if (!done) {
        (void)unlink(path);
        return report_failure(report, STATUS_IO, path, strerror(error));
    }
    return STATUS_OK;
}

static enum status key_write(const char *path, EVP_PKEY *key, struct report report)
{
    /* Secure memory is not needed here, but the copy must be wiped: BIO_s_secmem does. */
    BIO *content = BIO_new(BIO_s_secmem());
    enum status status = STATUS_OK;
    if (content == NULL ||
        PEM_write_bio_PKCS8PrivateKey(content, key, NULL, NULL, 0, NULL, NULL) != 1) {
        status = report_openssl(report, path);
    } else {
        status = file_write(path, 0600, content, report);
    }
    BIO_free(content);
    return status;
}

static enum status certificate_write(const char *path, X509 *certificate, struct report report)
{
    BIO *content = BIO_new(BIO_s_mem());
    enum status status = STATUS_OK;
    if (content == NULL || PEM_write_bio_X509(content, certificate) != 1) {
        status = report_openssl(report, path);
    } else {
        status = file_write(path, 0644, content, report);
    }
    BIO_free(content);
    return status;
}

static enum status pair_write(const char *key_path, EVP_PKEY *key, const char *certificate_path,
                              X509 *certificate, struct report report)
{
    enum status status = key_write(key_path, key, report);
    if (status != STATUS_OK) {
        return status;
    }
    status = certificate_write(certificate_path, certificate, report);
    if (status != STATUS_OK) {
        (void)unlink(key_path);
    }
    return status;
}

/* A key with a pass phrase is refused instead of asking the terminal. */
static int no_pass_phrase(char *text, int size, int writing, void *data)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

/* Opens a PEM file of the CA. */
static enum status ca_file_open(const char *path, BIO **file, struct report report)
{
    BIO *opened = BIO_new_file(path, "r");
    if (opened == NULL) {
        return report_failure(report, STATUS_IO, path, tls_error_text(ERR_peek_error()));
    }
    *file = opened;
    return STATUS_OK;
}

static enum status ca_read(const char *certificate_path, const char *key_path, X509 **certificate,
                           EVP_PKEY **key, struct report report)
{
    BIO *file = NULL;
    enum status status = ca_file_open(certificate_path, &file, report);
    if (status != STATUS_OK) {
        return status;
    }
    X509 *certificate_read = PEM_read_bio_X509(file, NULL, no_pass_phrase, NULL);
    BIO_free(file);
    if (certificate_read == NULL) {
        return report_openssl(report, certificate_path);
    }
    EVP_PKEY *key_read = NULL;
    status = ca_file_open(key_path, &file, report);
    if (status == STATUS_OK) {
        key_read = PEM_read_bio_PrivateKey(file, NULL, no_pass_phrase, NULL);
        BIO_free(file);
        if (key_read == NULL) {
            status = report_openssl(report, key_path);
        } else if (X509_check_private_key(certificate_read, key_read) != 1) {
            status = report_failure(report, STATUS_TLS, key_path, "is not the key of ca.pem");
        }
    }
    if (status != STATUS_OK) {
        X509_free(certificate_read);
        EVP_PKEY_free(key_read);
        return status;
    }
    *certificate = certificate_read;
    *key = key_read;
    return STATUS_OK;
}

/* --- the door -------------------------------------------------------------------------------- */

enum status certificate_make_ca(const char *dir, char *error, size_t error_size)
{
    assert(dir != NULL);
    assert(error != NULL && error_size > 0);
    struct report report = {.text = error, .size = error_size};
    char key_path[PATH_BYTES_MAX];
    char certificate_path[PATH_BYTES_MAX];
    if (!path_make(key_path, dir, "ca.key") || !path_make(certificate_path, dir, "ca.pem")) {
        return report_failure(report, STATUS_IO, dir, "the path is too long");
    }
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        return report_failure(report, STATUS_IO, dir, strerror(errno));
    }
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key != NULL ? ca_certificate_make(key) : NULL;
    enum status status = certificate == NULL
                             ? report_openssl(report, certificate_path)
                             : pair_write(key_path, key, certificate_path, certificate, report);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return status;
}

enum status certificate_make_node(const char *dir, uint32_t node_id, const char *const *hosts,
                                  uint32_t hosts_count, char *error, size_t error_size)
{
    assert(dir != NULL);
    assert(node_id >= 1 && node_id <= NODE_ID_MAX);
    assert(hosts != NULL || hosts_count == 0);
    assert(error != NULL && error_size > 0);
    struct report report = {.text = error, .size = error_size};
    if (hosts_count > CERTIFICATE_HOSTS_MAX) {
        return report_failure(report, STATUS_LIMIT, dir, "a certificate names at most 16 hosts");
    }
    for (uint32_t i = 0; i < hosts_count; i++) {
        if (host_kind(hosts[i]) != GEN_IPADD && !host_is_name(hosts[i])) {
            return report_failure(report, STATUS_INVALID, hosts[i],
                                  "neither a DNS name nor an IP address");
        }
    }
    char name[NAME_BYTES];
    char paths[4][PATH_BYTES_MAX];
    (void)snprintf(name, sizeof name, "node%u.key", node_id);
    bool fits = path_make(paths[0], dir, name);
    (void)snprintf(name, sizeof name, "node%u.pem", node_id);
    fits = fits && path_make(paths[1], dir, name) && path_make(paths[2], dir, "ca.pem") &&
           path_make(paths[3], dir, "ca.key");
    if (!fits) {
        return report_failure(report, STATUS_IO, dir, "the path is too long");
    }
    ERR_clear_error();
    X509 *ca = NULL;
    EVP_PKEY *ca_key = NULL;
    enum status status = ca_read(paths[2], paths[3], &ca, &ca_key, report);
    if (status != STATUS_OK) {
        return status;
    }
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate =
        key != NULL ? node_certificate_make(key, ca, ca_key, node_id, hosts, hosts_count) : NULL;
    status = certificate == NULL ? report_openssl(report, paths[1])
                                 : pair_write(paths[0], key, paths[1], certificate, report);
    X509_free(certificate);
    EVP_PKEY_free(key);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    return status;
}
