/*
 * Copies of the state for other nodes.
 */
#include "ledger/store_internal.h"

#include "base/check.h"

enum status store_copy(struct store *store, int fd)
{
    assert(store != NULL && fd >= 0);
    return store_status(mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT));
}
