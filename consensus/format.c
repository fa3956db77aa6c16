/*
 * Makes raft's directory of a new node: the first entry of its log is the cluster's initial
 * configuration, the same on every node.
 */
#include "base/check.h"
#include "consensus/consensus.h"

#include <errno.h>
#include <fcntl.h>
#include <raft.h>
#include <raft/uv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* raft_uv wants a transport even to write a file. */
static int format_transport_init(struct raft_uv_transport *transport, raft_id id,
                                 const char *address)
{
    (void)transport;
    (void)id;
    (void)address;
    return 0;
}

static void format_transport_close(struct raft_uv_transport *transport,
                                   raft_uv_transport_close_cb done)
{
    done(transport);
}

static enum status format_make_dir(const char *dir, char *error, size_t error_size)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(error, error_size, "can not make %s: %s", dir, strerror(errno));
        return STATUS_IO;
    }
    /* The entry in its parent must survive a power cut, too. */
    char parent[PATH_BYTES_MAX + 4];
    int size = snprintf(parent, sizeof parent, "%s/..", dir);
    if (size < 0 || (size_t)size >= sizeof parent) {
        (void)snprintf(error, error_size, "the path %s is too long", dir);
        return STATUS_LIMIT;
    }
    int file = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || fsync(file) != 0) {
        (void)snprintf(error, error_size, "can not flush %s: %s", parent, strerror(errno));
        if (file >= 0) {
            close(file);
        }
        return STATUS_IO;
    }
    close(file);
    return STATUS_OK;
}

static int format_configuration(const struct consensus_peer *peers, uint32_t peers_count,
                                struct raft_configuration *configuration)
{
    raft_configuration_init(configuration);
    for (uint32_t i = 0; i < peers_count; i++) {
        /* The address is a mere name: the transport looks the node up by its id. */
        char address[16];
        (void)snprintf(address, sizeof address, "%u", peers[i].id);
        int failure = raft_configuration_add(configuration, peers[i].id, address, RAFT_VOTER);
        if (failure != 0) {
            return failure;
        }
    }
    return 0;
}

static void format_ignore_trace(struct raft_tracer *tracer, int type, const void *info)
{
    (void)tracer;
    (void)type;
    (void)info;
}

struct formatting {
    uv_loop_t loop;
    struct raft_uv_transport transport;
    struct raft_tracer tracer;
    struct raft_io io;
    struct raft_fsm machine;
    struct raft raft;
};

static int format_bootstrap(struct formatting *formatting, const char *dir, uint32_t node_id,
                            const struct raft_configuration *configuration)
{
    int failure = raft_uv_init(&formatting->io, &formatting->loop, dir, &formatting->transport);
    if (failure != 0) {
        return failure;
    }
    raft_uv_set_tracer(&formatting->io, &formatting->tracer);
    raft_uv_set_auto_recovery(&formatting->io, false);
    char address[16];
    (void)snprintf(address, sizeof address, "%u", node_id);
    failure = raft_init(&formatting->raft, &formatting->io, &formatting->machine, node_id, address);
    if (failure == 0) {
        formatting->raft.tracer = &formatting->tracer;
        failure = raft_bootstrap(&formatting->raft, configuration);
        raft_close(&formatting->raft, NULL);
        (void)uv_run(&formatting->loop, UV_RUN_DEFAULT);
    }
    raft_uv_close(&formatting->io);
    return failure;
}

enum status consensus_format(const char *dir, const struct consensus_identity *identity,
                             const struct consensus_peer *peers, uint32_t peers_count, char *error,
                             size_t error_size)
{
    assert(peers_count >= 1 && peers_count <= NODES_MAX);
    assert(identity->node_id != 0);
    enum status status = format_make_dir(dir, error, error_size);
    if (status != STATUS_OK) {
        return status;
    }
    struct formatting *formatting = calloc(1, sizeof *formatting);
    if (formatting == NULL || uv_loop_init(&formatting->loop) != 0) {
        free(formatting);
        (void)snprintf(error, error_size, "out of memory");
        return STATUS_NO_MEMORY;
    }
    formatting->transport.version = 1;
    formatting->transport.init = format_transport_init;
    formatting->transport.close = format_transport_close;
    formatting->tracer.version = 2;
    formatting->tracer.emit = format_ignore_trace;
    formatting->machine.version = 2;
    struct raft_configuration configuration;
    int failure = format_configuration(peers, peers_count, &configuration);
    if (failure == 0) {
        failure = format_bootstrap(formatting, dir, identity->node_id, &configuration);
    }
    if (failure != 0) {
        (void)snprintf(error, error_size, "formatting raft in %s: %s", dir,
                       failure == RAFT_CANTBOOTSTRAP ? "it holds a log already"
                                                     : raft_strerror(failure));
    }
    raft_configuration_close(&configuration);
    int open = uv_loop_close(&formatting->loop);
    assert(open == 0);
    free(formatting);
    if (failure == 0) {
        return STATUS_OK;
    }
    return failure == RAFT_CANTBOOTSTRAP ? STATUS_EXISTS : STATUS_IO;
}
