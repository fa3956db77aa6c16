/*
 * The ledger's file is read through a map of memory. Where the disk can not give a page, or the
 * file is shorter than it says, the kernel sends SIGBUS: no function returns an error.
 */
#ifndef NODE_FAULT_H
#define NODE_FAULT_H

/* From now on SIGBUS ends the process with a message and EXIT_DISK, as every other disk error. */
void fault_watch(void);

#endif
