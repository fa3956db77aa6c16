/*
 * A view over another view: what is written stays here, in memory, and hides what lies below. Two
 * uses: all entries in flight on the leader, over the store; and the trial run of an atomic batch,
 * thrown away afterwards, over either.
 *
 * Every key is tagged with the newest entry that wrote it. When an entry has been applied to the
 * view below, overlay_release lets the keys go that no later entry wrote: below they now read the
 * same.
 */
#ifndef LEDGER_OVERLAY_H
#define LEDGER_OVERLAY_H

#include "ledger/arena.h"
#include "ledger/map.h"
#include "ledger/view.h"

struct overlay {
    struct view view; /* error: STATUS_NO_MEMORY, or what the view below had first */
    struct view *base;
    uint64_t tag;
    struct map accounts;
    struct map account_ids;
    struct map currencies;
    struct map currency_codes;
    struct map payments;
    struct map references;
    struct arena forms; /* entry forms of the payments */
};

/* Takes no memory before the first key. base is borrowed until deinit. */
void overlay_init(struct overlay *overlay, struct view *base);
void overlay_deinit(struct overlay *overlay);

/* Forgets everything and begins anew over base (may be another one than before). */
void overlay_clear(struct overlay *overlay, struct view *base);

/* What is written from here on belongs to the entry `tag`; tags grow. */
void overlay_begin(struct overlay *overlay, uint64_t tag);

/* Entry `tag` and all before it are in the view below. */
void overlay_release(struct overlay *overlay, uint64_t tag);

/* Keys of accounts held now: at most OVERLAY_KEYS_MAX, which callers see to. */
uint32_t overlay_accounts_held(const struct overlay *overlay);
bool overlay_empty(const struct overlay *overlay);

#endif
