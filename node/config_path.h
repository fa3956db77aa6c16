/*
 * Paths of cluster.conf.
 */
#ifndef NODE_CONFIG_PATH_H
#define NODE_CONFIG_PATH_H

#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Expands "{id}" and puts the folder of config_path before a relative path. False where it has
 * other braces (a misspelt template), is empty or too long; `out` is then undefined.
 */
bool config_path_expand(const char *config_path, const char *template, uint32_t node_id,
                        char out[PATH_BYTES_MAX]);

#endif
