/*
 * "host:port" as people write it in configurations and on command lines.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/bytes.h"
#include "base/limits.h"

/*
 * Parses "name:port", "127.0.0.1:port" or "[::1]:port"; the brackets are dropped. The port is 1 to
 * 65535 without leading zeros. False on anything else; the results are then undefined.
 */
bool address_parse(struct text text, char host[HOST_BYTES_MAX + 1], uint16_t *port);

/* 127.0.0.0/8, ::1 or "localhost": reachable from this machine only. */
bool address_is_loopback(const char *host);

enum { ADDRESS_TEXT_BYTES = HOST_BYTES_MAX + 9 };

/* The inverse of address_parse: brackets around IPv6, and a terminator. */
void address_format(const char *host, uint16_t port, char text[ADDRESS_TEXT_BYTES]);

#endif
