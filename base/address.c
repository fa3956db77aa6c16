#include "base/address.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool port_parse(struct text text, uint16_t *port)
{
    if (text.size == 0 || text.size > 5 || text.data[0] == '0') {
        return false;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool host_valid(struct text host, bool bracketed)
{
    if (host.size == 0 || host.size > HOST_BYTES_MAX) {
        return false;
    }
    const char *allowed = bracketed
                              ? "0123456789abcdefABCDEF:."
                              : "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-";
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] == '\0' || strchr(allowed, host.data[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool address_parse(struct text text, char host[HOST_BYTES_MAX + 1], uint16_t *port)
{
    assert(host != NULL);
    assert(port != NULL);
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon -= 1;
    }
    if (colon == 0 || !port_parse((struct text){text.data + colon, text.size - colon}, port)) {
        return false;
    }
    struct text name = {text.data, colon - 1};
    bool bracketed = name.size >= 2 && name.data[0] == '[' && name.data[name.size - 1] == ']';
    if (bracketed) {
        name = (struct text){name.data + 1, name.size - 2};
    }
    if (!host_valid(name, bracketed)) {
        return false;
    }
    memcpy(host, name.data, name.size);
    host[name.size] = '\0';
    struct in6_addr ignored;
    return IMPLIES(bracketed, inet_pton(AF_INET6, host, &ignored) == 1);
}

bool address_is_loopback(const char *host)
{
    assert(host != NULL);
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    }
    return strcmp(host, "localhost") == 0;
}

void address_format(const char *host, uint16_t port, char text[ADDRESS_TEXT_BYTES])
{
    bool bracketed = strchr(host, ':') != NULL;
    int size = snprintf(text, ADDRESS_TEXT_BYTES, "%s%s%s:%u", bracketed ? "[" : "", host,
                        bracketed ? "]" : "", (unsigned)port);
    assert(size > 0 && size < ADDRESS_TEXT_BYTES);
}
