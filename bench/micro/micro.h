/*
 * payledger-micro: what each stage of a payment costs, stage by stage, in one thread and without a
 * network. It calls the product's own functions and copies none.
 *
 *   main.c    options, the machine's description, tables and JSON
 *   world.c   ledgers in a directory, accounts, random payments
 *   stages.c  the stages, one after the other, over the same payments
 *   growth.c  one ledger that grows: rate, bytes on disk, memory
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include "gateway/render.h"
#include "ledger/ledger.h"

#include <stdio.h>

enum micro_ids { IDS_V7, IDS_RANDOM };

struct micro_options {
    const char *dir; /* where ledgers are made and removed again */
    uint64_t accounts;
    uint64_t payments;
    uint32_t per_entry;  /* payments of a request, and of a log entry */
    uint64_t per_commit; /* while it grows; 0: as the node commits */
    enum micro_ids ids;
    uint32_t rounds;
    uint64_t seed;
};

/* ---- world.c ------------------------------------------------------------------------------- */

struct node {
    char path[PATH_BYTES_MAX];
    struct ledger *ledger;
    struct metrics metrics;
    uint64_t index;
    uint64_t committed_ns; /* when it committed last, and how long that took */
    uint64_t commit_took_ns;
};

struct world {
    struct micro_options options;
    uint64_t random;  /* state of the generator */
    int64_t now_ns;   /* log time, and the time in UUIDv7 */
    struct node node; /* the leader */
    struct node follower;
    bool has_follower;
    uint64_t uncommitted; /* payments since the last commit, while it grows */
};

/* Any failure ends the program with a message. */
void world_open(struct world *world, const struct micro_options *options, bool has_follower);
void world_close(struct world *world);

/* A payment between two accounts, its texts in `names`. */
struct micro_names {
    char debit[32];
    char credit[32];
};
void world_payment(struct world *world, struct micro_names *names, struct command *command);

/* Applies the entry to a node at its next index; the caller gets the requests in answered. */
void node_apply(struct node *node, const void *data, size_t size, struct list *answered);
/* Commits where the node's ledger thread would: after COMMIT_ENTRY_BYTES_MAX or COMMIT_PAGES_MAX,
 * or when the time has come. */
bool node_commit_is_due(const struct node *node);
void node_commit(struct node *node);
/* Bytes of the ledger's file on disk. */
uint64_t node_file_bytes(const struct node *node);

/* Prints and exits where the status is not OK. */
void must(enum status status, const char *what);

/* ---- time ---------------------------------------------------------------------------------- */

/* Processor time of this thread, and time that passed. */
struct spent {
    uint64_t cpu_ns;
    uint64_t wall_ns;
};
struct spent spent_now(void);
void spent_add(struct spent *sum, struct spent since);

/* ---- stages.c ------------------------------------------------------------------------------ */

enum stage {
    STAGE_JSON,      /* message_read: strict check, tree */
    STAGE_VERIFY_1,  /* method_prepare: fields, what needs no state, request form */
    STAGE_SUBMIT,    /* ledger_submit: the request form is checked once more */
    STAGE_VERIFY_2,  /* ledger_verify: look-ups, execution on the overlay, encoding */
    STAGE_APPLY,     /* ledger_apply, on a follower */
    STAGE_COMMIT,    /* ledger_commit, on the follower, where the node would */
    STAGE_APPLY_OWN, /* ledger_apply on the leader: with outcomes, and the overlay let go */
    STAGE_RENDER,    /* render_answer: the reply's JSON */
    STAGE_DIGEST,    /* SHA-256 of the entry alone: a part of apply */
    STAGE_COUNT
};

struct stages {
    struct spent spent[STAGE_COUNT];
    uint64_t payments;
    uint64_t entry_bytes;
    uint64_t file_bytes; /* by which the follower's file grew */
};

const char *stage_name(enum stage stage);
void stages_run(struct world *world, struct stages *stages);

/* ---- growth.c ------------------------------------------------------------------------------ */

/* Prints a line for each part of the way. */
void growth_run(const struct micro_options *options, bool json, FILE *out);

#endif
