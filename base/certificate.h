/*
 * Makes the certificates of a cluster: a CA, and one certificate per node, all P-256 (browsers
 * refuse Ed25519), for `payledger pki init`.
 */
#ifndef BASE_CERTIFICATE_H
#define BASE_CERTIFICATE_H

#include "base/bytes.h"

enum { CERTIFICATE_HOSTS_MAX = 16 };

/*
 * Writes DIR/ca.pem and DIR/ca.key (mode 0600); makes DIR where it is missing. STATUS_EXISTS where
 * one is there already (never overwritten), STATUS_IO, STATUS_TLS; `error` then holds a sentence
 * that names the file, and nothing new is left behind.
 */
enum status MUST_CHECK certificate_make_ca(const char *dir, char *error, size_t error_size);

/*
 * Writes DIR/node<ID>.pem and DIR/node<ID>.key (mode 0600), signed by DIR/ca.key: SAN =
 * URI:urn:payledger:node:<ID>, DNS:localhost, IP:127.0.0.1, IP:::1 and the given hosts (DNS names
 * or IP addresses, at most CERTIFICATE_HOSTS_MAX). Good for server and client side. node_id is 1 to
 * NODE_ID_MAX. Errors as above, and STATUS_INVALID or STATUS_LIMIT for the hosts.
 */
enum status MUST_CHECK certificate_make_node(const char *dir, uint32_t node_id,
                                             const char *const *hosts, uint32_t hosts_count,
                                             char *error, size_t error_size);

#endif
