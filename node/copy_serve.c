/*
 * The serving side of a state copy, as the core's loop sees it: the question comes in, the ledger
 * is made durable, and then the connection leaves the loop for the threads that copy and send
 * (copy_send.c), so that raft and payments do not wait for it.
 *
 *     asked -> ledger durable -> what is queued has gone -> sent by its threads -> they have ended
 *
 * A leader is asked last: it has the most to do, and every payment waits for it.
 */
#include "node/internal.h"

#include "base/log.h"
#include "node/copy_form.h"
#include "node/copy_send.h"

#include <stdlib.h>

static const char *const PART = "copy";

struct copy_job {
    struct list node;
    struct node *owner;
    uint32_t peer;
    struct stream *stream; /* NULL once it is closed, or off the loop */
    struct buffer ask;
    uint64_t ticket;
    uint64_t wanted_index;
    uint64_t since_ns; /* one that never gets to be sent is given up */
    bool asked;
    bool ready; /* to be sent, as soon as the stream has drained */
    struct copy_send *send;
};

static void copy_give_up(struct copy_job *copy, const char *why)
{
    if (copy->stream != NULL && !stream_closing(copy->stream)) {
        log_warn(PART, "copy for node %u given up: %s", copy->peer, why);
        stream_close(copy->stream, STATUS_OK, 0); /* said already */
    }
}

static void copy_refuse(struct copy_job *copy, enum copy_verdict verdict)
{
    const uint8_t byte = (uint8_t)verdict;
    if (stream_write(copy->stream, &byte, 1) != STATUS_OK) {
        log_debug(PART, "verdict not sent");
    }
    stream_close(copy->stream, STATUS_OK, COPY_LINGER_MS);
}

/* Takes the connection off the loop; later, where the kernel has not yet got what was written. */
static void copy_begin(struct copy_job *copy)
{
    struct node *node = copy->owner;
    struct channel *channel = NULL;
    enum status status = stream_detach(copy->stream, COPY_STALL_MS, &channel);
    if (status == STATUS_AGAIN) {
        return;
    }
    if (status != STATUS_OK) {
        copy_give_up(copy, status_text(status));
        return;
    }
    copy->stream = NULL;
    const struct copy_send_options options = {.ledger = node->ledger,
                                              .channel = channel,
                                              .peer = copy->peer,
                                              .metrics = &node->metrics,
                                              .damaged = node_damaged,
                                              .data = node};
    status = copy_send_open(&copy->send, &options);
    if (status != STATUS_OK) {
        log_warn(PART, "copy for node %u given up: %s", copy->peer, status_text(status));
        channel_close(channel);
    }
}

/* ---- the stream ---------------------------------------------------------------------------- */

static void copy_asked(struct copy_job *copy)
{
    struct node *node = copy->owner;
    const uint32_t magic = get_u32(copy->ask.data);
    if (magic != COPY_MAGIC && magic != COPY_MAGIC_FOLLOWER) {
        stream_close(copy->stream, STATUS_PROTOCOL, 0);
        return;
    }
    copy->asked = true;
    copy->wanted_index = get_u64(copy->ask.data + 4);
    log_info(PART, "node %u asks for a copy at raft index %llu or later", copy->peer,
             (unsigned long long)copy->wanted_index);
    if (magic == COPY_MAGIC_FOLLOWER && node->role == ROLE_LEADER) {
        copy_refuse(copy, COPY_LEADS);
        return;
    }
    node_copy_asked(node, copy->peer, copy->wanted_index, get_u64(copy->ask.data + 12),
                    copy->ticket);
}

static void copy_on_data(struct stream *stream, void *data, const uint8_t *bytes, size_t size)
{
    struct copy_job *copy = data;
    write_bytes(&copy->ask, bytes, size);
    if (copy->ask.failed || copy->asked) {
        stream_close(stream, STATUS_PROTOCOL, 0);
        return;
    }
    if (copy->ask.size == COPY_ASK_BYTES) {
        copy_asked(copy);
    }
}

static void copy_on_drain(struct stream *stream, void *data)
{
    (void)stream;
    struct copy_job *copy = data;
    if (copy->ready) {
        copy_begin(copy);
    }
}

static void copy_on_close(struct stream *stream, void *data, enum status status)
{
    (void)stream;
    struct copy_job *copy = data;
    copy->stream = NULL;
    if (status != STATUS_OK) {
        log_warn(PART, "copy for node %u broke off: %s", copy->peer, status_text(status));
    }
}

void copy_on_stream(void *data, uint32_t peer, struct stream *stream)
{
    static const struct stream_callbacks callbacks = {
        .on_data = copy_on_data, .on_drain = copy_on_drain, .on_close = copy_on_close};
    struct node *node = data;
    uint32_t count = 0;
    LIST_FOREACH(item, &node->copies)
    {
        count++;
    }
    struct copy_job *copy = count < COPIES_MAX ? calloc(1, sizeof(*copy)) : NULL;
    if (copy == NULL) {
        log_warn(PART, "node %u asks for a copy: too many at once", peer);
        stream_close(stream, STATUS_LIMIT, 0);
        return;
    }
    copy->owner = node;
    copy->peer = peer;
    copy->stream = stream;
    copy->ticket = ++node->copy_tickets;
    copy->since_ns = clock_monotonic_ns(node->clock);
    buffer_init(&copy->ask, COPY_ASK_BYTES);
    list_push(&node->copies, &copy->node);
    stream_set_callbacks(stream, &callbacks, copy);
}

void copy_durable(struct node *node, uint64_t ticket, const struct position *position)
{
    LIST_FOREACH(item, &node->copies)
    {
        struct copy_job *copy = CONTAINER_OF(item, struct copy_job, node);
        if (copy->ticket != ticket || copy->stream == NULL || stream_closing(copy->stream)) {
            continue;
        }
        if (position->index < copy->wanted_index) {
            copy_refuse(copy, COPY_NOT_REACHED);
        } else {
            copy->ready = true;
            copy_begin(copy);
        }
        return;
    }
}

static void copy_free(struct copy_job *copy)
{
    list_remove(&copy->node);
    copy_send_close(copy->send);
    buffer_deinit(&copy->ask);
    free(copy);
}

void copy_tick(struct node *node, uint64_t now_ns)
{
    struct list *item = node->copies.next;
    while (item != &node->copies) {
        struct list *next = item->next;
        struct copy_job *copy = CONTAINER_OF(item, struct copy_job, node);
        node->copies_until_ns = now_ns + (uint64_t)COPY_AFTER_MS * 1000000;
        if (now_ns - copy->since_ns > (uint64_t)COPY_STALL_MS * 1000000) {
            copy_give_up(copy, "it does not begin");
        }
        if (copy->stream == NULL && (copy->send == NULL || copy_send_done(copy->send))) {
            copy_free(copy);
        }
        item = next;
    }
}

bool copy_active(const struct node *node, uint64_t now_ns)
{
    return !list_empty(&node->copies) || now_ns < node->copies_until_ns;
}

void copy_close(struct node *node)
{
    LIST_FOREACH(item, &node->copies)
    {
        struct copy_job *copy = CONTAINER_OF(item, struct copy_job, node);
        copy_give_up(copy, "the node is stopping");
        if (copy->send != NULL) {
            copy_send_cut(copy->send);
        }
    }
}

void copy_end(struct node *node)
{
    while (!list_empty(&node->copies)) {
        copy_free(CONTAINER_OF(node->copies.next, struct copy_job, node));
    }
}
