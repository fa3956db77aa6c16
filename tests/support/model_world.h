/*
 * The ledger beside its model: what random requests are made of, what the model expects of them,
 * and how both are compared. test_model.c says what is done with it.
 */
#ifndef TESTS_SUPPORT_MODEL_WORLD_H
#define TESTS_SUPPORT_MODEL_WORLD_H

#include "tests/support/ledger_driver.h"
#include "tests/support/model.h"

enum { CALLS_MAX = 4096, FLIGHT_PARTS_MAX = 256 };

/* A request on its way, with what the model says about it so far. */
struct model_trial {
    struct call *call;
    struct model_command *commands;
    struct model_outcome *expected;
    uint8_t *known; /* enum model_fate of each command */
    enum request_mode mode;
    uint32_t count;
    uint32_t placed; /* commands that are in entries */
};

enum model_fate { FATE_WAITS = 0, FATE_APPLIED = 1, FATE_UNKNOWN = 2, FATE_LOST = 3 };

struct model_part {
    struct model_trial *trial;
    uint32_t from, to;
};

/* An entry in flight. */
struct model_flight {
    uint8_t *data;
    size_t size;
    uint32_t parts_count;
    struct model_part parts[FLIGHT_PARTS_MAX];
};

struct model_logged {
    uint8_t *data;
    size_t size;
};

struct model_world {
    uint64_t random;
    struct driver leader;
    struct driver follower;
    struct model model;
    struct model_trial *calls[CALLS_MAX]; /* submitted and not given back, in order */
    uint32_t calls_count;
    struct model_flight *flights[ENTRIES_IN_FLIGHT_MAX];
    uint32_t flights_count;
    struct model_logged *log; /* entry at index i is log[i - 1] */
    uint64_t log_count, log_capacity;
    struct model_payment **payments; /* the first with each id */
    uint64_t next_id;
    uint64_t ids_max;
    struct model_payment **made; /* all of them, to be freed: the model borrows them */
    uint64_t made_count, made_capacity;
    uint64_t operations; /* payments that were asked for */
    uint64_t compared, lost, unknown, restarts;
    uint64_t by_code[CODE_VALUE_MAX + 1];
};

/* ---- model_random.c ------------------------------------------------------------------------ */

uint64_t model_below(struct model_world *world, uint64_t bound);
bool model_one_in(struct model_world *world, uint64_t bound);
int model_random_account(struct model_world *world);
struct model_payment *model_payment_new(struct model_world *world);
/* Changes one field, or only the way in which the same thing is said. */
void model_payment_vary(struct model_world *world, struct model_payment *payment);
struct model_command model_random_payment(struct model_world *world);
struct model_command model_account_command(struct model_world *world, int account);
struct model_command model_random_command(struct model_world *world);

/* ---- model_compare.c ----------------------------------------------------------------------- */

void model_compare_answer(struct model_world *world, const struct model_trial *trial);
void model_compare_totals(struct model_world *world, struct driver *driver);
void model_compare_account(struct model_world *world, struct driver *driver, int index);
void model_compare_accounts(struct model_world *world, struct driver *driver);
void model_compare_follower(struct model_world *world);
/* Every entry of every account: numbered without gaps, with the balance that the legs make. */
void model_check_histories(struct model_world *world);

#endif
