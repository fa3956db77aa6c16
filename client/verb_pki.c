/* pki init: certificates for a cluster. */
#include "base/certificate.h"
#include "base/check.h"
#include "client/verbs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { PKI_HOSTS_MAX = CERTIFICATE_HOSTS_MAX };

struct pki {
    const char *dir;
    uint64_t nodes_count;
};

/* The node of "3=shop.example", and its name; false where it is something else. */
static bool host_split(const struct pki *pki, const char *host, uint64_t *node, const char **name)
{
    char id[16];
    const char *equals = strchr(host, '=');
    if (equals == NULL || equals == host || equals[1] == '\0' ||
        (size_t)(equals - host) >= sizeof(id) || strlen(equals + 1) > HOST_BYTES_MAX) {
        return false;
    }
    memcpy(id, host, (size_t)(equals - host));
    id[equals - host] = '\0';
    *name = equals + 1;
    return number_parse(id, pki->nodes_count, node) && *node > 0;
}

/* The names given for one node. */
static enum client_exit hosts_of(struct console *console, const struct pki *pki, uint64_t node,
                                 const char *hosts[PKI_HOSTS_MAX], uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; args_value(&console->args, "--host", i) != NULL; i++) {
        const char *host = args_value(&console->args, "--host", i);
        uint64_t id = 0;
        const char *name = NULL;
        if (!host_split(pki, host, &id, &name)) {
            return console_usage(console, "--host %.80s: must be ID=NAME with an ID from 1 to %llu",
                                 host, (unsigned long long)pki->nodes_count);
        }
        if (id != node) {
            continue;
        }
        if (*count == PKI_HOSTS_MAX) {
            return console_usage(console, "--host %.80s: more than %d names of node %llu", host,
                                 PKI_HOSTS_MAX, (unsigned long long)node);
        }
        hosts[*count] = name;
        *count += 1;
    }
    return CLIENT_DONE;
}

static enum client_exit pki_read(struct console *console, struct pki *pki)
{
    char error[ARGS_ERROR_BYTES];
    pki->dir = args_value(&console->args, "--dir", 0);
    if (pki->dir == NULL || pki->dir[0] == '\0' || !args_has(&console->args, "--nodes")) {
        return console_usage(console, "--dir and --nodes are needed");
    }
    if (args_number(&console->args, "--nodes", 0, 1, NODE_ID_MAX, &pki->nodes_count, error) !=
        STATUS_OK) {
        return console_usage(console, "%s", error);
    }
    /* All arguments are checked before the first file is written. */
    for (uint64_t node = 1; node <= pki->nodes_count; node++) {
        const char *hosts[PKI_HOSTS_MAX];
        uint32_t count = 0;
        enum client_exit end = hosts_of(console, pki, node, hosts, &count);
        if (end != CLIENT_DONE) {
            return end;
        }
    }
    return CLIENT_DONE;
}

enum client_exit pki_init_run(struct console *console)
{
    struct pki pki;
    char error[1024] = "";
    enum client_exit end = pki_read(console, &pki);
    if (end != CLIENT_DONE) {
        return end;
    }
    if (mkdir(pki.dir, 0700) != 0 && errno != EEXIST) {
        return console_fail(console, "%s: %s", pki.dir, strerror(errno));
    }
    enum status status = certificate_make_ca(pki.dir, error, sizeof(error));
    for (uint64_t node = 1; node <= pki.nodes_count && status == STATUS_OK; node++) {
        const char *hosts[PKI_HOSTS_MAX];
        uint32_t count = 0;
        end = hosts_of(console, &pki, node, hosts, &count);
        assert(end == CLIENT_DONE);
        status = certificate_make_node(pki.dir, (uint32_t)node, hosts, count, error, sizeof(error));
    }
    if (status != STATUS_OK) {
        (void)console_fail(console, "%s", error);
        return CLIENT_REFUSED;
    }
    (void)fprintf(console->out,
                  "made %s/ca.pem and certificates for nodes 1 to %llu; keep ca.key away from "
                  "the nodes\n",
                  pki.dir, (unsigned long long)pki.nodes_count);
    return CLIENT_DONE;
}
