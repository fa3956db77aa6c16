/*
 * Reads cluster.conf in three passes: config_scan refuses what the library would swallow,
 * libconfuse turns the text into values, and the functions here judge what the values mean
 * together.
 */
#include "node/config.h"

#include "base/address.h"
#include "base/check.h"
#include "node/config_path.h"
#include "node/config_scan.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct judge {
    struct config *config;
    const struct config_scan *scan;
    const char *path;
    char *error;
    size_t error_size;
};

static __attribute__((format(printf, 3, 4))) enum status
judge_fail(struct judge *judge, uint32_t line, const char *format, ...)
{
    int used = snprintf(judge->error, judge->error_size, "%s:%u: ", judge->path, line);
    if (used >= 0 && (size_t)used < judge->error_size) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(judge->error + used, judge->error_size - (size_t)used, format, arguments);
        va_end(arguments);
    }
    return STATUS_INVALID;
}

/* The line of a key, or of the end of the file where its default stands. */
static uint32_t judge_line(const struct judge *judge, enum config_section section, uint32_t title,
                           const char *name)
{
    const struct config_item *item = config_scan_find(judge->scan, section, title, name);
    return item != NULL ? item->line : judge->scan->lines_count;
}

/* ---- the values --------------------------------------------------------------------------- */

/* What libconfuse says is kept out of standard error: the scan has said it better. */
static void silent(cfg_t *cfg, const char *format, va_list arguments)
{
    (void)cfg;
    (void)format;
    (void)arguments;
}

#define STRING(name, fallback)           CFG_STR(#name, fallback, CFGF_NONE),
#define NUMBER(name, fallback, min, max) CFG_INT(#name, fallback, CFGF_NONE),
#define SWITCH(name, fallback)           CFG_BOOL(#name, (cfg_bool_t)(fallback), CFGF_NONE),
#define LIST(name)                       CFG_STR_LIST(#name, NULL, CFGF_NONE),

static enum status values_open(cfg_t **values, const char *text)
{
    cfg_opt_t node_options[] = {CONFIG_NODE_KEYS(STRING) CFG_END()};
    cfg_opt_t tls_options[] = {CONFIG_TLS_KEYS(STRING, SWITCH) CFG_END()};
    cfg_opt_t raft_options[] = {CONFIG_RAFT_KEYS(NUMBER) CFG_END()};
    cfg_opt_t options[] = {CONFIG_TOP_KEYS(STRING, NUMBER, SWITCH, LIST)
                               CFG_SEC("node", node_options, CFGF_MULTI | CFGF_TITLE),
                           CFG_SEC("tls", tls_options, CFGF_NONE),
                           CFG_SEC("raft", raft_options, CFGF_NONE), CFG_END()};
    /* The library copies the tables. */
    cfg_t *opened = cfg_init(options, CFGF_NONE);
    if (opened == NULL) {
        return STATUS_NO_MEMORY;
    }
    (void)cfg_set_error_function(opened, silent);
    if (cfg_parse_buf(opened, text) != CFG_SUCCESS) {
        cfg_free(opened);
        return STATUS_INVALID;
    }
    *values = opened;
    return STATUS_OK;
}

#undef STRING
#undef NUMBER
#undef SWITCH
#undef LIST

/* The scan has bounded every number already; this keeps the conversion honest. */
static uint32_t value_number(cfg_t *section, const char *name)
{
    long value = cfg_getint(section, name);
    assert(value >= 0 && value <= UINT32_MAX);
    return (uint32_t)value;
}

static enum status value_string(struct judge *judge, enum config_section section, uint32_t title,
                                cfg_t *values, const char *name, size_t size_max, char *out)
{
    const char *value = cfg_getstr(values, name);
    assert(value != NULL);
    size_t size = strlen(value);
    if (size == 0 || size > size_max) {
        return judge_fail(judge, judge_line(judge, section, title, name),
                          "%s = \"%.80s\": must have 1 to %zu bytes", name, value, size_max);
    }
    memcpy(out, value, size + 1);
    return STATUS_OK;
}

/* ---- nodes -------------------------------------------------------------------------------- */

static enum status node_address(struct judge *judge, cfg_t *values, uint32_t title,
                                const char *name, char host[HOST_BYTES_MAX + 1], uint16_t *port)
{
    const char *value = cfg_getstr(values, name);
    assert(value != NULL);
    if (!address_parse(text_of(value), host, port)) {
        return judge_fail(judge, judge_line(judge, SECTION_NODE, title, name),
                          "%s = \"%.80s\": must be \"host:port\", port 1 to 65535 without leading "
                          "zeros",
                          name, value);
    }
    return STATUS_OK;
}

static enum status node_read(struct judge *judge, cfg_t *values, uint32_t title, uint32_t line,
                             struct config_node *node)
{
    *node = (struct config_node){.id = title, .line = line};
    enum status status =
        node_address(judge, values, title, "peer", node->peer_host, &node->peer_port);
    if (status == STATUS_OK) {
        status =
            node_address(judge, values, title, "client", node->client_host, &node->client_port);
    }
    if (status == STATUS_OK) {
        bool given = config_scan_find(judge->scan, SECTION_NODE, title, "peer_listen") != NULL;
        status = node_address(judge, values, title, given ? "peer_listen" : "peer",
                              node->peer_listen_host, &node->peer_listen_port);
    }
    if (status == STATUS_OK) {
        bool given = config_scan_find(judge->scan, SECTION_NODE, title, "client_listen") != NULL;
        status = node_address(judge, values, title, given ? "client_listen" : "client",
                              node->client_listen_host, &node->client_listen_port);
    }
    return status;
}

static void nodes_insert(struct config *config, const struct config_node *node)
{
    assert(config->nodes_count < NODES_MAX);
    uint32_t at = config->nodes_count;
    while (at > 0 && config->nodes[at - 1].id > node->id) {
        config->nodes[at] = config->nodes[at - 1];
        at -= 1;
    }
    config->nodes[at] = *node;
    config->nodes_count += 1;
}

struct listener {
    const char *host;
    uint16_t port;
    uint32_t node;
    const char *key;
};

/* Two nodes with one address can only be a slip of the pen. */
static enum status nodes_check_distinct(struct judge *judge)
{
    const struct config *config = judge->config;
    struct listener listeners[2 * NODES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->nodes_count; i++) {
        const struct config_node *node = &config->nodes[i];
        listeners[count] = (struct listener){node->peer_host, node->peer_port, node->id, "peer"};
        listeners[count + 1] =
            (struct listener){node->client_host, node->client_port, node->id, "client"};
        count += 2;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            const struct listener *a = &listeners[i];
            const struct listener *b = &listeners[k];
            if (a->port == b->port && strcmp(a->host, b->host) == 0) {
                return judge_fail(judge, judge_line(judge, SECTION_NODE, a->node, a->key),
                                  "%s = \"%s:%u\": is also the %s address of node %u", a->key,
                                  a->host, (unsigned)a->port, b->key, b->node);
            }
        }
    }
    return STATUS_OK;
}

static enum status nodes_check_open(struct judge *judge)
{
    const struct config *config = judge->config;
    for (uint32_t i = 0; i < config->nodes_count && !config->insecure_open; i++) {
        const struct config_node *node = &config->nodes[i];
        if (!address_is_loopback(node->client_listen_host)) {
            bool given =
                config_scan_find(judge->scan, SECTION_NODE, node->id, "client_listen") != NULL;
            const char *key = given ? "client_listen" : "client";
            return judge_fail(judge, judge_line(judge, SECTION_NODE, node->id, key),
                              "%s = \"%s:%u\": whoever reaches this address may pay; only "
                              "loopback is allowed unless insecure_open = true",
                              key, node->client_listen_host, (unsigned)node->client_listen_port);
        }
    }
    return STATUS_OK;
}

static enum status nodes_read(struct judge *judge, cfg_t *values, uint32_t node_id)
{
    struct config *config = judge->config;
    const struct config_scan *scan = judge->scan;
    uint32_t read = 0;
    for (uint32_t i = 0; i < scan->places_count; i++) {
        const struct config_place *place = &scan->places[i];
        if (place->section != SECTION_NODE) {
            continue;
        }
        cfg_t *section = cfg_getnsec(values, "node", read);
        read += 1;
        if (section == NULL || config->nodes_count == NODES_MAX) {
            return judge_fail(judge, place->line, "node %u: more than %d nodes", place->title,
                              NODES_MAX);
        }
        struct config_node node;
        enum status status = node_read(judge, section, place->title, place->line, &node);
        if (status != STATUS_OK) {
            return status;
        }
        nodes_insert(config, &node);
    }
    if (config->nodes_count != 1 && config->nodes_count != 3 && config->nodes_count != 5) {
        return judge_fail(judge, scan->lines_count,
                          "%u nodes: a cluster has 3 or 5 (1 for development)",
                          config->nodes_count);
    }
    config->self = NODES_MAX;
    for (uint32_t i = 0; i < config->nodes_count; i++) {
        if (config->nodes[i].id == node_id) {
            config->self = i;
        }
    }
    if (config->self == NODES_MAX) {
        return judge_fail(judge, scan->lines_count, "there is no node %u", node_id);
    }
    enum status status = nodes_check_distinct(judge);
    return status == STATUS_OK ? nodes_check_open(judge) : status;
}

/* ---- paths -------------------------------------------------------------------------------- */

static enum status path_read(struct judge *judge, enum config_section section, cfg_t *values,
                             const char *name, char out[PATH_BYTES_MAX])
{
    const char *value = cfg_getstr(values, name);
    const struct config *config = judge->config;
    assert(value != NULL);
    if (value[0] == '\0' ||
        !config_path_expand(judge->path, value, config->nodes[config->self].id, out)) {
        return judge_fail(judge, judge_line(judge, section, 0, name),
                          "%s = \"%.80s\": must be a path shorter than %d bytes, with no braces "
                          "but {id}",
                          name, value, PATH_BYTES_MAX);
    }
    return STATUS_OK;
}

/* ---- sections ----------------------------------------------------------------------------- */

static enum status log_read(struct judge *judge, cfg_t *values)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR};
    const char *value = cfg_getstr(values, "log");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            judge->config->log = levels[i];
            return STATUS_OK;
        }
    }
    return judge_fail(judge, judge_line(judge, SECTION_TOP, 0, "log"),
                      "log = \"%.80s\": must be debug, info, warn or error", value);
}

/* An Origin as browsers send it: scheme://host or scheme://host:port, nothing behind. */
static bool origin_valid(const char *origin)
{
    size_t scheme = 0;
    if (strncmp(origin, "http://", 7) == 0) {
        scheme = 7;
    } else if (strncmp(origin, "https://", 8) == 0) {
        scheme = 8;
    }
    size_t size = strlen(origin);
    return scheme > 0 && size > scheme && size <= ORIGIN_BYTES_MAX &&
           strpbrk(origin + scheme, "/?# *@,") == NULL;
}

static enum status origins_read(struct judge *judge, cfg_t *values)
{
    struct config *config = judge->config;
    const uint32_t line = judge_line(judge, SECTION_TOP, 0, "origins");
    const uint32_t count = cfg_size(values, "origins");
    if (count > ORIGINS_MAX) {
        return judge_fail(judge, line, "origins: %u entries, at most %d are allowed", count,
                          ORIGINS_MAX);
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *origin = cfg_getnstr(values, "origins", i);
        if (!origin_valid(origin)) {
            return judge_fail(judge, line,
                              "origins: \"%.80s\" must be like \"https://shop.example\"", origin);
        }
        memcpy(config->origin_texts[i], origin, strlen(origin) + 1);
        config->origins[i] = config->origin_texts[i];
    }
    config->origins_count = count;
    return STATUS_OK;
}

static enum status top_read(struct judge *judge, cfg_t *values)
{
    struct config *config = judge->config;
    enum status status = value_string(judge, SECTION_TOP, 0, values, "cluster",
                                      CLUSTER_NAME_BYTES_MAX, config->cluster);
    if (status == STATUS_OK) {
        status = log_read(judge, values);
    }
    if (status == STATUS_OK) {
        status = origins_read(judge, values);
    }
    config->map_bytes = (uint64_t)value_number(values, "map_mb") * MEBIBYTE;
    config->disk_reserve_bytes = (uint64_t)value_number(values, "disk_reserve_mb") * MEBIBYTE;
    config->workers = value_number(values, "workers");
    config->session_requests_max = value_number(values, "session_requests");
    config->request_timeout_ms = value_number(values, "request_timeout_ms");
    config->insecure_open = cfg_getbool(values, "insecure_open") == cfg_true;
    return status;
}

static enum status tls_read_paths(struct judge *judge, cfg_t *values)
{
    struct config *config = judge->config;
    bool given = false;
    for (uint32_t i = 0; i < judge->scan->places_count; i++) {
        given = given || judge->scan->places[i].section == SECTION_TLS;
    }
    if (!given) {
        return judge_fail(judge, judge->scan->lines_count,
                          "tls: the section is missing (nodes trust each other by certificates)");
    }
    cfg_t *section = cfg_getsec(values, "tls");
    assert(section != NULL);
    enum status status = path_read(judge, SECTION_TLS, section, "ca", config->tls_ca);
    if (status == STATUS_OK) {
        status = path_read(judge, SECTION_TLS, section, "cert", config->tls_cert);
    }
    if (status == STATUS_OK) {
        status = path_read(judge, SECTION_TLS, section, "key", config->tls_key);
    }
    config->tls_clients = cfg_getbool(section, "clients") == cfg_true;
    return status;
}

static enum status raft_read(struct judge *judge, cfg_t *values)
{
    struct config *config = judge->config;
    cfg_t *section = cfg_getsec(values, "raft");
    assert(section != NULL);
    config->heartbeat_ms = value_number(section, "heartbeat_ms");
    config->election_timeout_ms = value_number(section, "election_timeout_ms");
    config->snapshot_bytes = (uint64_t)value_number(section, "snapshot_mb") * MEBIBYTE;
    config->snapshot_trailing = value_number(section, "snapshot_trailing");
    config->copy_hold_bytes = (uint64_t)value_number(section, "copy_hold_mb") * MEBIBYTE;
    if (config->election_timeout_ms < RAFT_HEARTBEATS_PER_TIMEOUT_MIN * config->heartbeat_ms) {
        return judge_fail(judge, judge_line(judge, SECTION_RAFT, 0, "election_timeout_ms"),
                          "election_timeout_ms = %u: must be at least %d times heartbeat_ms = %u",
                          config->election_timeout_ms, RAFT_HEARTBEATS_PER_TIMEOUT_MIN,
                          config->heartbeat_ms);
    }
    return STATUS_OK;
}

static enum status config_judge(struct judge *judge, cfg_t *values, uint32_t node_id)
{
    enum status status = top_read(judge, values);
    if (status == STATUS_OK) {
        status = nodes_read(judge, values, node_id);
    }
    if (status == STATUS_OK) {
        status = path_read(judge, SECTION_TOP, values, "data", judge->config->data);
    }
    if (status == STATUS_OK) {
        status = tls_read_paths(judge, values);
    }
    if (status == STATUS_OK) {
        status = raft_read(judge, values);
    }
    return status;
}

enum status config_parse(struct config *config, struct text text, const char *path,
                         uint32_t node_id, char *error, size_t error_size)
{
    assert(path != NULL);
    assert(error_size > 0);
    struct config_scan scan;
    enum status status = config_scan(&scan, text, path, error, error_size);
    if (status != STATUS_OK) {
        return status;
    }
    /* The library wants a terminator. */
    char *copy = strndup(text.data, text.size);
    if (copy == NULL) {
        (void)snprintf(error, error_size, "%s: out of memory", path);
        return STATUS_NO_MEMORY;
    }
    cfg_t *values = NULL;
    status = values_open(&values, copy);
    free(copy);
    if (status != STATUS_OK) {
        (void)snprintf(error, error_size, "%s: libconfuse refuses the file", path);
        return status;
    }
    *config = (struct config){.nodes_count = 0};
    struct judge judge = {config, &scan, path, error, error_size};
    status = config_judge(&judge, values, node_id);
    cfg_free(values);
    return status;
}

enum status config_load(struct config *config, const char *path, uint32_t node_id, char *error,
                        size_t error_size)
{
    assert(path != NULL);
    assert(error_size > 0);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return STATUS_IO;
    }
    enum status status = STATUS_NO_MEMORY;
    char *bytes = malloc(CONFIG_BYTES_MAX + 1);
    if (bytes == NULL) {
        (void)snprintf(error, error_size, "%s: out of memory", path);
        goto close;
    }
    size_t size = fread(bytes, 1, CONFIG_BYTES_MAX + 1, file);
    if (ferror(file) != 0) {
        (void)snprintf(error, error_size, "%s: %s", path, strerror(errno));
        status = STATUS_IO;
        goto close;
    }
    status = config_parse(config, (struct text){bytes, size}, path, node_id, error, error_size);
close:
    free(bytes);
    (void)fclose(file);
    return status;
}

const struct config_node *config_self(const struct config *config)
{
    assert(config->self < config->nodes_count);
    return &config->nodes[config->self];
}
