/*
 * The bytes of a state copy (docs/format.md), after the peers' handshake of kind "copy":
 *
 *   fetcher -> server   u32 magic, u64 raft index that the copy must reach, u64 term of the
 *                       entry there (0: not known): it is committed
 *   server -> fetcher   u8 verdict (0: it follows; 1: not reached here, ask another node; 2: this
 *                       node leads, ask another one first)
 *                       then chunks: u32 size, bytes; a chunk of size 0 ends them
 *                       then u64 bytes in all, 32 bytes SHA-256 of them
 *   fetcher -> server   its end of the connection, once it has checked the copy
 *
 * What is copied is one LMDB file (compact), as of one committed transaction.
 */
#ifndef NODE_COPY_FORM_H
#define NODE_COPY_FORM_H

enum {
    COPY_MAGIC = 0x50594350,          /* "PCYP": from any node */
    COPY_MAGIC_FOLLOWER = 0x46594350, /* "PCYF": from a node that does not lead */
    COPY_ASK_BYTES = 20,
    COPY_CHUNK_BYTES_MAX = 64 * 1024,
    COPY_TRAILER_BYTES = 8 + 32,
    COPY_PIPE_BYTES = 1024 * 1024, /* from the thread that reads to the one that sends */
    /* Of the threads that serve a copy: where processors are short, a payment's threads get ten
     * times as much of them. */
    COPY_NICE = 10,
    /* The fetcher's disk gets the file in such pieces while it comes, and at most two of them wait:
     * a flush at the end of all would hold up those of raft's log on the same disk. */
    COPY_FLUSH_BYTES = 8 * 1024 * 1024,
    COPY_LINGER_MS = 5000,
    /* So long a fetcher may check what it got, with the connection open: the log that it needs
     * afterwards is kept meanwhile (as many bytes as copy_hold_mb says). About 1.3 us a payment. */
    COPY_CHECK_MS_MAX = 30 * 60 * 1000,
    COPY_AFTER_MS = 30000, /* snapshots stay held for so long after it: the log must reach it */
    COPY_RETRY_MS = 500,
    COPY_STALL_MS = 10000 /* a copy that brings nothing for so long is begun anew */
};

enum copy_verdict { COPY_FOLLOWS = 0, COPY_NOT_REACHED = 1, COPY_LEADS = 2 };

#endif
