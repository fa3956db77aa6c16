/*
 * What nodes say to each other over the peer link: a message is a run of items (docs/format.md).
 * Several are packed into one message, so that a burst of forwards costs one write.
 */
#ifndef NODE_LINK_ITEM_H
#define NODE_LINK_ITEM_H

#include "gateway/gateway.h"

enum link_item_kind {
    LINK_REQUEST = 1,    /* to the leader: a request form with the sender's ticket */
    LINK_ANSWER = 2,     /* back: what became of the ticket */
    LINK_STATUS = 3,     /* the sender's state, every STATUS_PERIOD_MS */
    LINK_DIGEST_ASK = 4, /* my digest at seq is this: what is yours? */
    LINK_DIGEST_TELL = 5
};

struct link_status {
    uint8_t role;     /* enum consensus_role */
    bool copy_active; /* it is serving or has just served a copy of its state */
    uint32_t leader;
    uint64_t term;
    uint64_t seq;
    uint64_t index;
    int64_t wall_ns; /* the sender's clock when it was sent */
    struct digest digest;
    struct text client_address;
    uint32_t counters_count;
    uint64_t counters[METRIC_COUNT];
};

struct link_item {
    enum link_item_kind kind;
    uint64_t ticket;   /* REQUEST, ANSWER */
    struct text bytes; /* REQUEST: request form; ANSWER: outcome forms */
    enum code code;    /* ANSWER */
    uint32_t outcomes_count;
    uint64_t seq;  /* ANSWER, DIGEST_* */
    uint64_t term; /* ANSWER */
    int64_t time_ns;
    bool known; /* DIGEST_TELL: the digest at seq is still kept */
    struct digest digest;
    struct link_status status;
};

/* Appends an item. */
void link_item_write(struct buffer *out, const struct link_item *item);

/* Reads the next item; texts are borrowed. STATUS_PROTOCOL on any damage. */
enum status MUST_CHECK link_item_read(struct reader *reader, struct link_item *item);

#endif
