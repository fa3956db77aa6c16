/*
 * The file that a copy of the ledger comes into: hashed as it comes, and brought to the disk in
 * pieces of COPY_FLUSH_BYTES while it comes, so that at most three of them (the one that is being
 * filled included) are in memory alone. Its calls wait for the disk. One thread.
 */
#ifndef NODE_COPY_FILE_H
#define NODE_COPY_FILE_H

#include "base/crypto.h"

struct copy_file;

/* A new file. STATUS_EXISTS, STATUS_IO (errno says why), STATUS_NO_MEMORY. */
enum status MUST_CHECK copy_file_open(struct copy_file **file, const char *path);
/* Appends. STATUS_IO (errno says why): the disk failed or is full; only close may follow. */
enum status MUST_CHECK copy_file_write(struct copy_file *file, const void *data, size_t size);
/* All of it is on disk: size and SHA-256. STATUS_IO. Only close may follow. */
enum status MUST_CHECK copy_file_end(struct copy_file *file, uint64_t *bytes,
                                     struct digest *digest);
/* The file stays. NULL is fine. */
void copy_file_close(struct copy_file *file);

#endif
