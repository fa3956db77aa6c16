/*
 * Directories made durably, looked into, and locked.
 */
#ifndef NODE_DIRECTORY_H
#define NODE_DIRECTORY_H

#include "base/status.h"

#include <stddef.h>

/* Makes one directory (mode 0700) and syncs its parent. False with errno; one that exists is fine.
 */
bool directory_make(const char *path);
/* The same with all missing parents. */
bool directory_make_all(const char *path);

/* STATUS_OK: nothing is in it; STATUS_EXISTS: something; STATUS_IO with errno. */
enum status MUST_CHECK directory_empty(const char *path);

/*
 * Locks the open directory through its file "lock" until *lock_fd is closed or the process ends.
 * STATUS_LOCKED: another process has it, `error` names it. STATUS_IO. path serves the messages.
 */
enum status MUST_CHECK directory_lock(int dir_fd, const char *path, int *lock_fd, char *error,
                                      size_t error_size);

#endif
