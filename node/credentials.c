#include "node/credentials.h"

#include "base/log.h"
#include "base/tls.h"

#include <sys/stat.h>

static const char *const PART = "node";

static void key_check(const char *path)
{
    struct stat entry;
    const mode_t others = S_IRWXG | S_IRWXO;
    if (stat(path, &entry) == 0 && (entry.st_mode & others) != 0) {
        log_warn(PART, "%s: the private key is open to group or others (mode %04o): chmod 600",
                 path, (unsigned)(entry.st_mode & 07777));
    }
}

bool credentials_check(const struct config *config)
{
    const uint32_t self = config_self(config)->id;
    const struct tls_options options = {.ca_path = config->tls_ca,
                                        .cert_path = config->tls_cert,
                                        .key_path = config->tls_key,
                                        .verify_peer = true,
                                        .tls13_only = true};
    struct tls_context *context = NULL;
    char error[CONFIG_ERROR_BYTES];
    if (tls_context_open(&context, &options, error, sizeof(error)) != STATUS_OK) {
        log_error(PART, "%s", error);
        return false;
    }
    const uint32_t named = tls_context_node(context);
    tls_context_close(context);
    if (named == 0) {
        log_error(PART, "%s: the certificate names no node (urn:payledger:node:%u is needed)",
                  config->tls_cert, self);
        return false;
    }
    if (named != self) {
        log_error(PART, "%s: is the certificate of node %u, and this is node %u", config->tls_cert,
                  named, self);
        return false;
    }
    key_check(config->tls_key);
    return true;
}
