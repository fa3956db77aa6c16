#include "ledger/overlay.h"

#include "base/check.h"
#include "base/mutant.h"

enum {
    /* Payments in flight: one command each. */
    OVERLAY_PAYMENTS_MAX = (ENTRIES_IN_FLIGHT_MAX + 1) * ENTRY_COMMANDS_MAX,
    /* Forms in flight are part of their entries; a chunk may stay open at both ends, and a form
     * that does not fit leaves up to a command's size behind. */
    OVERLAY_CHUNKS_MAX = (ENTRIES_IN_FLIGHT_MAX + 2) * 2 * (ENTRY_BYTES_MAX / ARENA_CHUNK_BYTES)
};

struct overlay_payment {
    uint64_t seq;
    enum code code;
    struct text form;
};

static struct overlay *overlay_of(struct view *view)
{
    return CONTAINER_OF(view, struct overlay, view);
}

static void overlay_fail(struct overlay *overlay, enum status status)
{
    if (overlay->view.error == STATUS_OK) {
        overlay->view.error = status;
    }
}

/* Whatever the view below answers, its errors are the overlay's too. */
static bool below(struct overlay *overlay, bool found)
{
    if (overlay->base->error != STATUS_OK) {
        overlay_fail(overlay, overlay->base->error);
        return false;
    }
    return found;
}

static void *put(struct overlay *overlay, struct map *map, const void *key, size_t key_size)
{
    void *value = map_put(map, key, key_size, overlay->tag);
    if (value == NULL) {
        overlay_fail(overlay, STATUS_NO_MEMORY);
    }
    return value;
}

static bool account_find(struct view *view, struct text id, uint64_t *number)
{
    struct overlay *overlay = overlay_of(view);
    const uint64_t *found = map_find(&overlay->account_ids, id.data, id.size);
    if (found == NULL) {
        return below(overlay, overlay->base->functions->account_find(overlay->base, id, number));
    }
    *number = *found;
    return true;
}

static bool account_get(struct view *view, uint64_t number, struct account *account)
{
    struct overlay *overlay = overlay_of(view);
    const struct account *found = map_find(&overlay->accounts, &number, sizeof(number));
    if (found == NULL || MUTANT("overlay-blind")) {
        return below(overlay,
                     overlay->base->functions->account_get(overlay->base, number, account));
    }
    *account = *found;
    return true;
}

static void account_put(struct view *view, const struct account *account)
{
    struct overlay *overlay = overlay_of(view);
    assert(account->number > 0 && account->number <= view->accounts_count + 1);
    struct account *value =
        put(overlay, &overlay->accounts, &account->number, sizeof(account->number));
    if (value != NULL) {
        *value = *account;
    }
    if (account->number <= view->accounts_count) {
        return;
    }
    view->accounts_count++;
    uint64_t *number = put(overlay, &overlay->account_ids, account->id, account->id_size);
    if (number != NULL) {
        *number = account->number;
    }
}

static bool currency_find(struct view *view, struct text code, uint32_t *number)
{
    struct overlay *overlay = overlay_of(view);
    const uint32_t *found = map_find(&overlay->currency_codes, code.data, code.size);
    if (found == NULL) {
        return below(overlay, overlay->base->functions->currency_find(overlay->base, code, number));
    }
    *number = *found;
    return true;
}

static bool currency_get(struct view *view, uint32_t number, struct currency *currency)
{
    struct overlay *overlay = overlay_of(view);
    const struct currency *found = map_find(&overlay->currencies, &number, sizeof(number));
    if (found == NULL) {
        return below(overlay,
                     overlay->base->functions->currency_get(overlay->base, number, currency));
    }
    *currency = *found;
    return true;
}

static void currency_put(struct view *view, const struct currency *currency)
{
    struct overlay *overlay = overlay_of(view);
    assert(currency->number > 0 && currency->number <= view->currencies_count + 1);
    struct currency *value =
        put(overlay, &overlay->currencies, &currency->number, sizeof(currency->number));
    if (value != NULL) {
        *value = *currency;
    }
    if (currency->number <= view->currencies_count) {
        return;
    }
    view->currencies_count++;
    const struct text code = text_of(currency->code);
    uint32_t *number = put(overlay, &overlay->currency_codes, code.data, code.size);
    if (number != NULL) {
        *number = currency->number;
    }
}

static bool payment_find(struct view *view, const struct uuid *id, struct payment_seen *seen)
{
    struct overlay *overlay = overlay_of(view);
    const struct overlay_payment *found = map_find(&overlay->payments, id->bytes, sizeof(*id));
    if (found == NULL) {
        return below(overlay, overlay->base->functions->payment_find(overlay->base, id, seen));
    }
    *seen = (struct payment_seen){.seq = found->seq, .code = found->code, .command = found->form};
    return true;
}

static void record_put(struct view *view, const struct uuid *id, struct text command,
                       const struct decision *decision)
{
    struct overlay *overlay = overlay_of(view);
    if (decision->kind != COMMAND_PAYMENT) {
        return;
    }
    const char *form = arena_copy(&overlay->forms, command.data, command.size, overlay->tag);
    struct overlay_payment *payment = put(overlay, &overlay->payments, id->bytes, sizeof(*id));
    if (form == NULL || payment == NULL) {
        overlay_fail(overlay, STATUS_NO_MEMORY);
        return;
    }
    assert(payment->seq == 0); /* an id is recorded once */
    *payment = (struct overlay_payment){
        .seq = decision->seq, .code = decision->code, .form = {.data = form, .size = command.size}};
}

static bool reference_find(struct view *view, struct text reference, uint64_t *seq)
{
    struct overlay *overlay = overlay_of(view);
    const uint64_t *found = map_find(&overlay->references, reference.data, reference.size);
    if (found == NULL) {
        return below(overlay,
                     overlay->base->functions->reference_find(overlay->base, reference, seq));
    }
    *seq = *found;
    return true;
}

static void reference_put(struct view *view, struct text reference, uint64_t seq)
{
    struct overlay *overlay = overlay_of(view);
    uint64_t *value = put(overlay, &overlay->references, reference.data, reference.size);
    if (value != NULL) {
        *value = seq;
    }
}

static const struct view_functions overlay_functions = {
    .account_find = account_find,
    .account_get = account_get,
    .account_put = account_put,
    .currency_find = currency_find,
    .currency_get = currency_get,
    .currency_put = currency_put,
    .payment_find = payment_find,
    .record_put = record_put,
    .reference_find = reference_find,
    .reference_put = reference_put,
};

static void overlay_reset_view(struct overlay *overlay, struct view *base)
{
    overlay->base = base;
    overlay->tag = 0;
    overlay->view = (struct view){.functions = &overlay_functions,
                                  .error = base->error,
                                  .accounts_count = base->accounts_count,
                                  .currencies_count = base->currencies_count};
}

void overlay_init(struct overlay *overlay, struct view *base)
{
    map_init(&overlay->accounts, sizeof(uint64_t), sizeof(struct account), OVERLAY_KEYS_MAX);
    map_init(&overlay->account_ids, ACCOUNT_ID_BYTES_MAX, sizeof(uint64_t), OVERLAY_PAYMENTS_MAX);
    map_init(&overlay->currencies, sizeof(uint32_t), sizeof(struct currency), CURRENCIES_MAX);
    map_init(&overlay->currency_codes, CURRENCY_CODE_BYTES_MAX, sizeof(uint32_t), CURRENCIES_MAX);
    map_init(&overlay->payments, sizeof(struct uuid), sizeof(struct overlay_payment),
             OVERLAY_PAYMENTS_MAX);
    map_init(&overlay->references, REFERENCE_BYTES_MAX, sizeof(uint64_t), OVERLAY_PAYMENTS_MAX);
    arena_init(&overlay->forms, OVERLAY_CHUNKS_MAX);
    overlay_reset_view(overlay, base);
}

void overlay_deinit(struct overlay *overlay)
{
    map_deinit(&overlay->accounts);
    map_deinit(&overlay->account_ids);
    map_deinit(&overlay->currencies);
    map_deinit(&overlay->currency_codes);
    map_deinit(&overlay->payments);
    map_deinit(&overlay->references);
    arena_deinit(&overlay->forms);
}

void overlay_clear(struct overlay *overlay, struct view *base)
{
    overlay_release(overlay, UINT64_MAX);
    assert(overlay_empty(overlay));
    overlay_reset_view(overlay, base);
}

void overlay_begin(struct overlay *overlay, uint64_t tag)
{
    assert(tag >= overlay->tag);
    overlay->tag = tag;
}

void overlay_release(struct overlay *overlay, uint64_t tag)
{
    map_release(&overlay->accounts, tag);
    map_release(&overlay->account_ids, tag);
    map_release(&overlay->currencies, tag);
    map_release(&overlay->currency_codes, tag);
    map_release(&overlay->payments, tag);
    map_release(&overlay->references, tag);
    arena_release(&overlay->forms, tag);
}

uint32_t overlay_accounts_held(const struct overlay *overlay)
{
    return overlay->accounts.count;
}

bool overlay_empty(const struct overlay *overlay)
{
    return overlay->accounts.count == 0 && overlay->account_ids.count == 0 &&
           overlay->currencies.count == 0 && overlay->currency_codes.count == 0 &&
           overlay->payments.count == 0 && overlay->references.count == 0;
}
