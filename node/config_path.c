#include "node/config_path.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

/* Appends to a path under construction; false where it would grow too long. */
static bool path_append(char out[PATH_BYTES_MAX], size_t *size, const char *text, size_t text_size)
{
    if (text_size >= PATH_BYTES_MAX - *size) {
        return false;
    }
    memcpy(out + *size, text, text_size);
    *size += text_size;
    out[*size] = '\0';
    return true;
}

/* Expands {id}; other braces are a misspelt template. A relative path begins at the file's folder.
 */
bool config_path_expand(const char *config_path, const char *template, uint32_t node_id,
                        char out[PATH_BYTES_MAX])
{
    char id[16];
    int id_size = snprintf(id, sizeof(id), "%u", node_id);
    assert(id_size > 0 && (size_t)id_size < sizeof(id));
    size_t size = 0;
    const char *slash = strrchr(config_path, '/');
    if (template[0] != '/' && slash != NULL &&
        !path_append(out, &size, config_path, (size_t)(slash - config_path) + 1)) {
        return false;
    }
    const char *at = template;
    while (*at != '\0') {
        size_t plain = strcspn(at, "{}");
        if (!path_append(out, &size, at, plain)) {
            return false;
        }
        at += plain;
        if (*at == '\0') {
            break;
        }
        if (strncmp(at, "{id}", 4) != 0 || !path_append(out, &size, id, (size_t)id_size)) {
            return false;
        }
        at += 4;
    }
    return size > 0;
}
