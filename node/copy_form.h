/*
 * The bytes of a state copy (docs/format.md), after the peers' handshake of kind "copy":
 *
 *   fetcher -> server   u32 magic, u64 raft index that the copy must reach, u64 term of the
 *                       entry there (0: not known): it is committed
 *   server -> fetcher   u8 verdict (0: it follows; 1: not reached here, ask another node)
 *                       then chunks: u32 size, bytes; a chunk of size 0 ends them
 *                       then u64 bytes in all, 32 bytes SHA-256 of them
 *
 * What is copied is one LMDB file (compact), as of one committed transaction.
 */
#ifndef NODE_COPY_FORM_H
#define NODE_COPY_FORM_H

enum {
    COPY_MAGIC = 0x50594350, /* "PCYP" */
    COPY_ASK_BYTES = 20,
    COPY_CHUNK_BYTES_MAX = 64 * 1024,
    COPY_TRAILER_BYTES = 8 + 32,
    COPY_WRITE_MARK_BYTES = 2 * 1024 * 1024, /* unsent bytes above which the disk is not read */
    COPY_LINGER_MS = 5000,
    COPY_AFTER_MS = 30000, /* snapshots stay held for so long after a copy: the log must reach it */
    COPY_RETRY_MS = 500,
    COPY_STALL_MS = 10000 /* a copy that brings nothing for so long is begun anew */
};

enum copy_verdict { COPY_FOLLOWS = 0, COPY_NOT_REACHED = 1 };

#endif
