/*
 * CRC32C (Castagnoli): reflected polynomial 0x82f63b78, begins and ends inverted (RFC 3720, section
 * 12.1 and B.4). It notices every damage of up to five bits in a row of a table, and any other but
 * for a chance of one in four thousand million.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of bytes that follow those that `crc` is of; 0 is the CRC of no bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same by a table, for processors without the instruction. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size);

#endif
