/*
 * The fetching side of a state copy: one connection before raft is started, without a struct
 * consensus. The serving side is transport.c.
 */
#include "base/check.h"
#include "consensus/dial.h"

#include <stdlib.h>

struct copy {
    struct endpoint endpoint;
    void (*on_open)(void *data, struct stream *stream, enum status status);
    void *data;
};

static void copy_gone(void *data)
{
    struct copy *copy = data;
    endpoint_close(&copy->endpoint);
    free(copy);
}

static void copy_dialed(void *data, struct stream *stream, enum status status)
{
    struct copy *copy = data;
    copy->on_open(copy->data, stream, status);
    /* The dial itself still points here until its timer is closed. */
    endpoint_when_idle(&copy->endpoint, copy_gone, copy);
}

enum status consensus_copy_connect(const struct consensus_options *options, uint32_t peer,
                                   void (*on_open)(void *data, struct stream *stream,
                                                   enum status status),
                                   void *data)
{
    assert(on_open != NULL);
    assert(peer != options->identity.node_id);
    struct copy *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    copy->on_open = on_open;
    copy->data = data;
    char error[256];
    enum status status = endpoint_open(&copy->endpoint, options, error, sizeof error);
    if (status != STATUS_OK) {
        free(copy);
        return status;
    }
    const struct consensus_peer *found = endpoint_peer(&copy->endpoint, peer);
    struct dial *dial = NULL;
    status = found == NULL
                 ? STATUS_NOT_FOUND
                 : dial_open(&dial, &copy->endpoint, found, CONNECTION_COPY, 0, copy_dialed, copy);
    if (status != STATUS_OK) {
        endpoint_close(&copy->endpoint);
        free(copy);
    }
    return status;
}
