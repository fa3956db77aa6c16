/*
 * The data directory of one node: who it belongs to, whom it has met, and a lock.
 *
 *     identity      cluster id, node id, random incarnation, initial members
 *     peers         the incarnation of each peer, recorded at first contact
 *     needs-state   there while the ledger must be fetched from a peer before raft may start
 *     copy-index    raft index at which the ledger was last copied from a peer
 *     log-index     raft index that the log must reach, said by a ledger that was given up
 *     damaged       there between a crash over the ledger's file and the next start
 *     lock          held by the running process, names it
 *     raft/         raft's log (consensus_format)
 *     ledger/       LMDB
 *
 * Every small file has a magic, a version and a checksum, and is replaced by writing a temporary
 * one, syncing it, renaming it, and syncing the directory (docs/format.md). A node whose directory
 * was wiped has no identity and can not start; formatted again it has another incarnation, which
 * its peers refuse: it never votes again under its old id.
 *
 * One thread at a time may use a struct datadir.
 */
#ifndef NODE_DATADIR_H
#define NODE_DATADIR_H

#include "consensus/consensus.h"
#include "node/config.h"

struct datadir;

/*
 * A file that a crash leaves behind which damage of the ledger may have caused: u64 raft index that
 * the log must reach, and its complement; or less, where a signal handler could not write it.
 */
#define DATADIR_DAMAGED "damaged"

enum { DATADIR_MARK_BYTES = 16, DATADIR_ERROR_BYTES = CONFIG_ERROR_BYTES + PATH_BYTES_MAX };

/*
 * Makes the directory named by config->data (with missing parents), which must be absent or empty:
 * STATUS_EXISTS otherwise. STATUS_IO on failure; what was begun has no identity file and is refused
 * by open as damaged. All failures write a sentence to `error`.
 */
enum status MUST_CHECK datadir_format(const struct config *config, char *error, size_t error_size);

/*
 * Locks and checks it. STATUS_LOCKED: another process runs on it (the error names it).
 * STATUS_FOREIGN: absent, empty, damaged, without raft/ or ledger/, or of another cluster or node.
 * STATUS_IO, STATUS_NO_MEMORY.
 */
enum status MUST_CHECK datadir_open(struct datadir **dir, const struct config *config, char *error,
                                    size_t error_size);
/* Gives the lock back. NULL is fine. */
void datadir_close(struct datadir *dir);

const struct consensus_identity *datadir_identity(const struct datadir *dir);
/* "DATA/raft", "DATA/ledger", "DATA": valid as long as dir. */
const char *datadir_raft_path(const struct datadir *dir);
const char *datadir_ledger_path(const struct datadir *dir);
const char *datadir_path(const struct datadir *dir);

/* The cluster id of a configuration: SHA-256 of the cluster's name and its member ids. */
struct digest datadir_cluster_id(const struct config *config);

enum datadir_contact { CONTACT_RECORDED, CONTACT_SAME, CONTACT_FOREIGN };

/*
 * Compares a peer's incarnation with the recorded one; at first contact it is recorded durably.
 * STATUS_IO: it could not be recorded; the contact must be refused then.
 */
enum status MUST_CHECK datadir_peer_incarnation(struct datadir *dir, uint32_t node,
                                                const uint8_t incarnation[16],
                                                enum datadir_contact *contact);

/* The note that the ledger must be fetched, up to this position at least. */
enum status MUST_CHECK datadir_needs_state_write(struct datadir *dir,
                                                 const struct consensus_manifest *manifest);
/* STATUS_NOT_FOUND: no note. STATUS_CORRUPT: a damaged one. */
enum status MUST_CHECK datadir_needs_state_read(const struct datadir *dir,
                                                struct consensus_manifest *manifest);
/* Durably gone afterwards; no note is fine. */
enum status MUST_CHECK datadir_needs_state_clear(struct datadir *dir);

/*
 * Up to this raft index the ledger may be ahead of the own log: this node never acknowledged those
 * entries. 0 where nothing was ever copied.
 */
enum status MUST_CHECK datadir_copy_index_write(struct datadir *dir, uint64_t index);
enum status MUST_CHECK datadir_copy_index_read(const struct datadir *dir, uint64_t *index);

/*
 * Up to this raft index the own log must reach, whatever the ledger says: a ledger that was given
 * up for its damage had it. 0 where that never happened.
 */
enum status MUST_CHECK datadir_log_index_write(struct datadir *dir, uint64_t index);
enum status MUST_CHECK datadir_log_index_read(const struct datadir *dir, uint64_t *index);

/* The mark DATADIR_DAMAGED: is it there; its raft index, 0 where it says none; durably gone
 * afterwards. */
bool datadir_is_marked(const struct datadir *dir);
uint64_t datadir_mark_index(const struct datadir *dir);
enum status MUST_CHECK datadir_mark_clear(struct datadir *dir);
/* The directory's descriptor, as long as dir. */
int datadir_fd(const struct datadir *dir);

#endif
