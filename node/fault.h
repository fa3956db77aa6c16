/*
 * The ledger's file is read through a map of memory. Where the disk can not give a page, or the
 * file is shorter than it says, the kernel sends SIGBUS: no function returns an error. And where a
 * damaged page leads LMDB astray, it may end in any crash.
 */
#ifndef NODE_FAULT_H
#define NODE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* From now on SIGBUS ends the process with a message and EXIT_DISK, as every other disk error. */
void fault_watch(void);

/*
 * From now on it also leaves the mark `damaged` in this directory (DATADIR_DAMAGED), so that the
 * next start does not trust the ledger. -1: it does not.
 */
void fault_mark_in(int dir_fd);

/* What the mark says: up to this raft index the log must reach (datadir_mark_index). It only grows.
 * The core's thread, or before there is one. */
void fault_log_index(uint64_t index);

/* While this thread only reads the ledger, its crashes are taken for the ledger's damage too
 * (after fault_watch). */
void fault_suspect(bool ledger);

#endif
