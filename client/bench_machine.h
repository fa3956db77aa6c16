/*
 * What the load runs on: this machine, and how long a flush of a disk takes.
 */
#ifndef CLIENT_BENCH_MACHINE_H
#define CLIENT_BENCH_MACHINE_H

#include "client/bench_result.h"

/* Reads what can be read; flush_dir: NULL measures no disk. False with `error`: it could not. */
bool bench_machine_read(const char *flush_dir, struct bench_machine *machine, char *error,
                        size_t error_size);

#endif
