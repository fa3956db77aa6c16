/*
 * raft's disk: a log with a flushed image and a queue of operations that are not flushed yet. They
 * complete in order; a crash keeps any number of them from the front, the next one perhaps in part.
 */
#ifndef TESTS_SIMULATION_DISK_H
#define TESTS_SIMULATION_DISK_H

#include "base/list.h"
#include "tests/simulation/world.h"

#include <raft.h>

struct disk_entry {
    raft_term term;
    int type;
    size_t size;
    uint8_t *bytes;
    uint64_t hash;
};

struct disk_snapshot {
    raft_index index; /* 0: none */
    raft_term term;
    raft_index configuration_index;
    size_t configuration_size;
    uint8_t *configuration; /* encoded */
    size_t size;
    uint8_t *bytes;
};

struct disk {
    raft_term term;
    raft_id vote;
    struct disk_snapshot snapshot;
    struct disk_entry *entries;
    size_t count;
    size_t capacity;
    raft_index first; /* index of entries[0] */
    /* Of an installed snapshot whose state is not here: the log that it replaced is gone. */
    raft_index stateless;
    struct list operations;
    /* faults */
    uint64_t slow_ns; /* added to every operation */
    bool fail_next;
    bool full;
    bool broken;  /* a write failed: nothing after it was begun */
    bool hangs;   /* nothing completes */
    bool damaged; /* found at load */
    /* the next write of term or vote ends the process: 1 before, 2 after it */
    uint32_t die_at_vote;
};

struct process;

/* The log of a new cluster. */
void disk_format(struct disk *disk, const struct raft_configuration *configuration);
/* What is left after the process has ended. */
void disk_crash(struct disk *disk, struct dice *dice);
/* The raft_io of a process that starts. */
struct raft_io disk_io(struct process *process);

raft_index disk_last(const struct disk *disk);
/*
 * Is this entry flushed here, or covered by a flushed snapshot? Not where the state of the snapshot
 * is still to be fetched: nothing can be rebuilt from such a disk.
 */
bool disk_holds(const struct disk *disk, raft_index index, uint64_t hash);
/* Looks again at a disk that hung. */
void disk_resume(struct process *process);
/* Loses entries after `last`. */
void disk_cut(struct disk *disk, raft_index last);
uint64_t disk_hash(const void *bytes, size_t size);

#endif
