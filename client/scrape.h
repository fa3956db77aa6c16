/*
 * One GET over HTTP: a node's /metrics, and figures out of it.
 */
#ifndef CLIENT_SCRAPE_H
#define CLIENT_SCRAPE_H

#include "client/call.h"

/*
 * Appends the body of /metrics of node `index`. STATUS_TIMEOUT after timeout_ms; other statuses
 * where there is no answer with status 200.
 */
enum status MUST_CHECK scrape_metrics(const struct client_options *client, uint32_t index,
                                      uint32_t timeout_ms, struct buffer *body);

/*
 * The value of a metric without labels, times `factor` (1, or a power of ten up to 1,000,000 for
 * values with decimals). False where it is absent or no number.
 */
bool scrape_value(struct text body, const char *name, uint32_t factor, uint64_t *value);

#endif
