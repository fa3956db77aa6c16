/*
 * raft's messages as the network has them: copied, freed, and told to the trace field by field, so
 * that a field that does not follow from the seed is seen where it is sent.
 */
#ifndef TESTS_SIMULATION_RPC_H
#define TESTS_SIMULATION_RPC_H

#include <raft.h>
#include <stddef.h>
#include <stdint.h>

/* `to` owns what it points to, but not the address. */
void rpc_copy(const struct raft_message *from, struct raft_message *to);
/* What raft did not take over. */
void rpc_free(struct raft_message *message);
/* Bytes of entries in it. */
size_t rpc_entries_bytes(const struct raft_message *message);
/* Part of the trace: node `from` sends it. */
void rpc_note(uint32_t from, const struct raft_message *message);

#endif
