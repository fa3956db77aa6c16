/*
 * What this process costs, under the names that Prometheus clients use for it.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "base/bytes.h"

/* CPU time of all threads so far, user and system, in microseconds. */
uint64_t process_cpu_us(void);
/* Resident memory; 0 where /proc can not be read. */
uint64_t process_memory_bytes(void);

/* Appends both as Prometheus text. */
void process_render(struct buffer *out);

#endif
