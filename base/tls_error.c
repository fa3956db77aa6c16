/* Two tables from OpenSSL's reasons to sentences; what stands in neither keeps OpenSSL's own words.
 */
#include "base/tls_error.h"

#include "base/check.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

struct reason_text {
    long reason;
    const char *text;
};

static const char *reason_find(const struct reason_text *table, size_t count, long reason)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].reason == reason) {
            return table[i].text;
        }
    }
    return NULL;
}

const char *tls_verify_text(long result)
{
    static const struct reason_text table[] = {
        {X509_V_ERR_CERT_HAS_EXPIRED, "the other side's certificate has expired"},
        {X509_V_ERR_CERT_NOT_YET_VALID, "the other side's certificate is not yet valid"},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         "the other side's certificate is from an unknown CA"},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
         "the other side's certificate is from an unknown CA"},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
         "the other side's certificate is from an unknown CA"},
        {X509_V_ERR_CERT_SIGNATURE_FAILURE,
         "the signature of the other side's certificate is wrong"},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the other side's certificate is self-signed"},
        {X509_V_ERR_HOSTNAME_MISMATCH, "the other side's certificate does not name the host"},
        {X509_V_ERR_IP_ADDRESS_MISMATCH, "the other side's certificate does not name the address"},
        {X509_V_ERR_INVALID_PURPOSE, "the other side's certificate is not meant for this side"},
    };
    const char *text = reason_find(table, ARRAY_COUNT(table), result);
    return text != NULL ? text : X509_verify_cert_error_string(result);
}

/* Reasons of OpenSSL's SSL part: what we found, then what the other side's alert said. */
static const char *ssl_text(long reason)
{
    static const struct reason_text table[] = {
        {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the other side sent no certificate"},
        {SSL_R_WRONG_VERSION_NUMBER, "the other side does not speak TLS"},
        {SSL_R_HTTP_REQUEST, "plain HTTP came to a TLS port"},
        {SSL_R_HTTPS_PROXY_REQUEST, "plain HTTP came to a TLS port"},
        {SSL_R_PACKET_LENGTH_TOO_LONG, "the other side does not speak TLS"},
        {SSL_R_UNSUPPORTED_PROTOCOL, "the other side's version of TLS is too old"},
        {SSL_R_NO_SHARED_CIPHER, "the two sides have no cipher in common"},
        {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record was damaged on its way"},
        {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the other side refuses our version of TLS"},
        {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the other side demands a certificate"},
        {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the other side does not know our certificate's CA"},
        {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, "the other side could not verify our signature"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the other side says our certificate has expired"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "the other side says our certificate is revoked"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the other side refuses our certificate"},
        {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the other side refuses our certificate"},
        {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "the other side refuses our certificate"},
        {SSL_R_TLSV1_ALERT_ACCESS_DENIED, "the other side refuses our certificate"},
        {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the other side found no common ground"},
    };
    return reason_find(table, ARRAY_COUNT(table), reason);
}

const char *tls_error_text(unsigned long error)
{
    if (error == 0) {
        return "no reason is known";
    }
    if (ERR_SYSTEM_ERROR(error)) {
        return strerror(ERR_GET_REASON(error));
    }
    const char *text = ERR_GET_LIB(error) == ERR_LIB_SSL ? ssl_text(ERR_GET_REASON(error)) : NULL;
    if (text == NULL) {
        text = ERR_reason_error_string(error);
    }
    return text != NULL ? text : "an unnamed error of OpenSSL";
}
