/*
 * The log entry: what raft replicates and every node applies (docs/format.md).
 *
 * Header, little-endian, ENTRY_HEADER_BYTES:
 *   u8 version (1), u8 flags (0), u16 zero, u32 count of commands, u64 term, u64 first seq,
 *   i64 log time in ns (0: a barrier that does not move time), 16 bytes unique id,
 *   u64 seq of the digest, 32 bytes digest (the newest pair the leader had applied), u32 size of
 * the commands in bytes, u32 zero then the commands, then zero bytes up to a multiple of 8 (raft
 * 0.22 destroys its log otherwise).
 *
 * Commands in entry form; accounts and currencies are numbers where the leader found them, else
 * texts (their refusal is recorded with what the client wrote). A currency equal to the accounts'
 * own is left out. Each item is preceded by its expected code; items of an atomic batch are
 * bracketed by a group head (count, and whether the group is aborted by an item outside the entry).
 */
#ifndef LEDGER_ENTRY_H
#define LEDGER_ENTRY_H

#include "ledger/command.h"

enum { ENTRY_VERSION = 1, ENTRY_HEADER_BYTES = 96, ENTRY_ALIGN_BYTES = 8 };

struct entry_header {
    uint64_t term;
    uint64_t first_seq; /* of the first command; for an empty entry the seq before it + 1 */
    uint32_t count;     /* commands that take a seq */
    int64_t time_ns;
    struct uuid id;
    uint64_t digest_seq;
    struct digest digest;
    uint32_t commands_bytes;
};

/* An account or currency as the log names it: a number, or (number 0) the text. */
struct entry_ref {
    uint64_t number;
    struct text text;
};

struct entry_leg {
    struct entry_ref debit, credit;
    struct entry_ref currency; /* number 0 and empty text: the accounts' own */
    u128 amount;
};

/* The entry form of a payment, decoded. */
struct entry_payment {
    struct uuid id;
    bool short_form;
    bool has_valid_until, has_effective_at, has_reference, has_metadata;
    int64_t valid_until_ns, effective_at_ns;
    struct text reference, metadata;
    uint32_t legs_count;
    struct entry_leg legs[LEGS_MAX];
};

struct entry_account_open {
    struct text id;
    struct entry_ref currency; /* always a number: refused ones are not in the log */
    bool debit_normal;
    enum overdraft_kind overdraft_kind;
    u128 overdraft_limit;
};

/* One command of an entry. */
struct entry_command {
    enum command_kind kind;
    union {
        struct currency_create currency_create;
        struct entry_account_open account_open;
        struct entry_payment payment;
    };
};

enum entry_item_kind { ENTRY_ITEM_COMMAND = 0, ENTRY_ITEM_GROUP = 1 };

/* The head of an item: a single command, or a group whose commands follow as items. */
struct entry_item {
    enum entry_item_kind kind;
    enum code expected;   /* command */
    uint32_t group_count; /* group: how many commands follow it */
    bool group_aborted;   /* group: refused because of an item that is not in this entry */
};

/* Starts an entry in an empty buffer (the header is filled in by entry_finish). */
void entry_begin(struct buffer *out);
void entry_item_write(struct buffer *out, const struct entry_item *item);
void entry_command_write(struct buffer *out, const struct entry_command *command);
/* Overwrites the expected code of the item that was written at this offset. */
void entry_item_set_expected(struct buffer *out, size_t offset, enum code expected);
/* Fills in the header (commands_bytes is computed) and pads to a multiple of 8. */
void entry_finish(struct buffer *out, const struct entry_header *header);

/* Reads the header and checks version, sizes and padding; the reader then stands at the items. */
enum status MUST_CHECK entry_read(const void *data, size_t size, struct entry_header *header,
                                  struct reader *items);
enum status MUST_CHECK entry_item_read(struct reader *items, struct entry_item *item);
/* `form` is set to the command's own bytes (what LMDB keeps). STATUS_INVALID on any damage;
 * *command is then undefined (it is large, and filled in as it is read). */
enum status MUST_CHECK entry_command_read(struct reader *items, struct entry_command *command,
                                          struct text *form);

/* A whole entry without commands: the barrier of a new leader. Thread-safe. */
void entry_write_barrier(struct buffer *out, uint64_t term, const struct uuid *id);

/* The unique id of an entry; false where the bytes are no entry. */
bool entry_id(const void *data, size_t size, struct uuid *id);

#endif
