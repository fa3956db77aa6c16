/*
 * Why TLS failed, in sentences for the people who run a node. Used by base/tls.c and
 * base/certificate.c only; all texts are static.
 */
#ifndef BASE_TLS_ERROR_H
#define BASE_TLS_ERROR_H

/* Why the other side's certificate was refused: X509_V_ERR_... of SSL_get_verify_result. */
const char *tls_verify_text(long result);

/* The sentence for an error of OpenSSL's queue (ERR_peek_error). Never NULL. */
const char *tls_error_text(unsigned long error);

#endif
