#include "tests/simulation/rpc.h"

#include "base/check.h"
#include "tests/simulation/world.h"

#include <string.h>

void rpc_copy(const struct raft_message *from, struct raft_message *to)
{
    *to = *from;
    if (from->type == RAFT_APPEND_ENTRIES) {
        const struct raft_append_entries *append = &from->append_entries;
        to->append_entries.entries = NULL;
        if (append->n_entries == 0) {
            return;
        }
        size_t size = 0;
        for (unsigned i = 0; i < append->n_entries; i++) {
            size += append->entries[i].buf.len;
        }
        uint8_t *batch = raft_malloc(size);
        struct raft_entry *entries = raft_calloc(append->n_entries, sizeof(*entries));
        assert(batch != NULL && entries != NULL);
        for (unsigned i = 0; i < append->n_entries; i++) {
            entries[i] = append->entries[i];
            entries[i].buf.base = batch;
            memcpy(batch, append->entries[i].buf.base, entries[i].buf.len);
            batch += entries[i].buf.len;
        }
        for (unsigned i = 0; i < append->n_entries; i++) {
            entries[i].batch = entries[0].buf.base;
        }
        to->append_entries.entries = entries;
    } else if (from->type == RAFT_INSTALL_SNAPSHOT) {
        const struct raft_install_snapshot *install = &from->install_snapshot;
        struct raft_buffer encoded;
        int failed = raft_configuration_encode(&install->conf, &encoded);
        raft_configuration_init(&to->install_snapshot.conf);
        failed |= raft_configuration_decode(&encoded, &to->install_snapshot.conf);
        assert(failed == 0);
        raft_free(encoded.base);
        to->install_snapshot.data.base = raft_malloc(install->data.len);
        assert(to->install_snapshot.data.base != NULL);
        memcpy(to->install_snapshot.data.base, install->data.base, install->data.len);
    }
}

void rpc_free(struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES && message->append_entries.entries != NULL) {
        raft_free(message->append_entries.entries[0].batch);
        raft_free(message->append_entries.entries);
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    }
}

size_t rpc_entries_bytes(const struct raft_message *message)
{
    size_t size = 0;
    for (unsigned i = 0;
         message->type == RAFT_APPEND_ENTRIES && i < message->append_entries.n_entries; i++) {
        size += message->append_entries.entries[i].buf.len;
    }
    return size;
}

static void note_append(const struct raft_append_entries *append)
{
    world_note("  term", append->term, append->version);
    world_note("  after", append->prev_log_index, append->prev_log_term);
    world_note("  entries", append->n_entries, append->leader_commit);
}

static void note_append_result(const struct raft_append_entries_result *result)
{
    world_note("  term", result->term, result->version);
    world_note("  rejected", result->rejected, result->last_log_index);
    world_note("  capacity", result->capacity, result->features);
}

static void note_vote(const struct raft_request_vote *vote)
{
    world_note("  term", vote->term, vote->version);
    world_note("  log", vote->last_log_index, vote->last_log_term);
    world_note("  flags", vote->disrupt_leader, vote->pre_vote);
}

/* The library gives `features` and `capacity` of a vote no value, and its encoding leaves them out.
 */
static void note_vote_result(const struct raft_request_vote_result *result)
{
    world_note("  term", result->term, result->version);
    world_note("  granted", result->vote_granted, result->pre_vote);
}

static void note_install(const struct raft_install_snapshot *install)
{
    world_note("  term", install->term, install->version);
    world_note("  snapshot", install->last_index, install->last_term);
    world_note("  configuration", install->conf_index, install->conf.n);
}

void rpc_note(uint32_t from, const struct raft_message *message)
{
    world_note("send", message->type * 100 + from * 10 + message->server_id,
               rpc_entries_bytes(message));
    switch (message->type) {
    case RAFT_APPEND_ENTRIES:
        note_append(&message->append_entries);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        note_append_result(&message->append_entries_result);
        break;
    case RAFT_REQUEST_VOTE:
        note_vote(&message->request_vote);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        note_vote_result(&message->request_vote_result);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        note_install(&message->install_snapshot);
        break;
    case RAFT_TIMEOUT_NOW:
        world_note("  term", message->timeout_now.term, message->timeout_now.version);
        break;
    }
}
