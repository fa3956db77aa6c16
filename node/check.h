/*
 * `payledgerd check`: the whole scrub of a node that does not run. It changes nothing.
 */
#ifndef NODE_CHECK_H
#define NODE_CHECK_H

#include "ledger/store.h"
#include "node/config.h"

/* EXIT_DONE with the position that was found whole; else a sentence: EXIT_DATA (damaged, in use or
 * foreign), EXIT_DISK. */
enum exit_status check_run(const struct config *config, struct position *position, char *error,
                           size_t error_size);

#endif
