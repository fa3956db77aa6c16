/*
 * The door to the process: runs one node until it is told to stop.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/log.h"
#include "node/config.h"

/*
 * Runs the node that config was loaded for, on this thread, until SIGTERM or SIGINT. argv is what
 * the process was started with: a node whose state must be fetched starts itself anew with it.
 * Returns the exit status; failures that must not write anything any more end the process inside
 * (fail_stop).
 */
enum exit_status node_run(const struct config *config, char **argv);

#endif
