/*
 * cluster.conf: whatever the bytes are, they are read into a configuration within its bounds or
 * refused with a sentence.
 */
#include "base/check.h"
#include "node/config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    char error[CONFIG_ERROR_BYTES];
    const struct text text = {(const char *)data, size};
    enum status status = config_parse(&config, text, "etc/cluster.conf", 1, error, sizeof(error));
    if (status != STATUS_OK) {
        assert(status == STATUS_INVALID);
        assert(strncmp(error, "etc/cluster.conf:", 17) == 0);
        return 0;
    }
    assert(config_self(&config)->id == 1);
    assert(config.nodes_count == 1 || config.nodes_count == 3 || config.nodes_count == 5);
    assert(config.workers >= 1 && config.workers <= WORKERS_MAX);
    assert(config.origins_count <= ORIGINS_MAX);
    assert(config.snapshot_trailing > 0);
    assert(config.data[0] != '\0' && strlen(config.data) < PATH_BYTES_MAX);
    return 0;
}
