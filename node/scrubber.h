/*
 * The thread that scrubs the ledger for ever, at a low rate (ledger/scrub.h).
 */
#ifndef NODE_SCRUBBER_H
#define NODE_SCRUBBER_H

#include "ledger/ledger.h"

struct scrubber;

struct scrubber_options {
    struct ledger *ledger;   /* borrowed until scrubber_close */
    struct metrics *metrics; /* borrowed */
    /* Damage was found; does not return. On the scrubber's thread. */
    void (*damaged)(void *data, const char *what);
    void *data;
};

/* STATUS_NO_MEMORY. */
enum status MUST_CHECK scrubber_open(struct scrubber **scrubber,
                                     const struct scrubber_options *options);
/* Waits for the piece under way. NULL is fine. */
void scrubber_close(struct scrubber *scrubber);

#endif
