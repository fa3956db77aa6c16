/*
 * The certificate and key that this node shows its peers.
 */
#ifndef NODE_CREDENTIALS_H
#define NODE_CREDENTIALS_H

#include "node/config.h"

/*
 * False, after an error in the log, where the files can not be loaded or the certificate is not
 * this node's: its peers would refuse it for ever. A key that others may read is only warned of.
 */
bool MUST_CHECK credentials_check(const struct config *config);

#endif
