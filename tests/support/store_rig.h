/*
 * A store in a temporary directory, and rows to put into it.
 */
#ifndef TESTS_SUPPORT_STORE_RIG_H
#define TESTS_SUPPORT_STORE_RIG_H

#include "ledger/store.h"
#include "tests/support/check.h"

enum { STORE_RIG_MAP_BYTES = 64 * 1024 * 1024 };

struct store_rig {
    char *dir;
    struct store *store;
};

/* Of a test: *state is a struct store_rig with an empty store. */
int store_rig_set_up(void **state);
int store_rig_tear_down(void **state);

struct store *store_rig_open(const char *dir, uint64_t map_bytes, bool read_only);

/* Every field has a value of its own. */
struct currency store_rig_euro(void);
struct account store_rig_account(uint64_t number, const char *id);
void store_rig_check_account(const struct account *found, const struct account *wanted);

/* Records a refused payment without legs of note under seq and an id made from it. */
void store_rig_record(struct store_view *view, uint64_t seq, struct uuid *id);

#endif
