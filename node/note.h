/*
 * A note: a small file that is whole or absent, whatever happens. It is written beside its place,
 * synced, renamed and made durable by syncing the directory; a checksum tells a damaged one.
 *
 * Form (docs/format.md): 8 bytes magic, u32 version, u32 payload size, payload, SHA-256 of all
 * before.
 */
#ifndef NODE_NOTE_H
#define NODE_NOTE_H

#include "base/bytes.h"

enum { NOTE_MAGIC_BYTES = 8, NOTE_VERSION = 1 };

/* What a note is: its file name and the magic it begins with. */
struct note_kind {
    const char *name;
    char magic[NOTE_MAGIC_BYTES + 1];
};

/* Replaces or makes the note in an open directory, durably. STATUS_IO, STATUS_NO_MEMORY; errno is
 * set. */
enum status MUST_CHECK note_write(int dir_fd, const struct note_kind *kind, const void *payload,
                                  size_t size);

/*
 * Appends the payload to `out`. STATUS_NOT_FOUND: no such note; STATUS_CORRUPT: damaged, another
 * kind or version, or longer than NOTE_BYTES_MAX; STATUS_IO (errno), STATUS_NO_MEMORY.
 */
enum status MUST_CHECK note_read(int dir_fd, const struct note_kind *kind, struct buffer *out);

/* Durably gone afterwards; no note is fine. STATUS_IO with errno. */
enum status MUST_CHECK note_remove(int dir_fd, const struct note_kind *kind);

#endif
