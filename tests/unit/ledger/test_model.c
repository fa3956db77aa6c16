/*
 * The ledger against an independent model: random requests, entries in flight, epochs that end with
 * entries lost or applied late, crashes that lose what was not committed, and a follower that must
 * come to the same digests.
 */
#include "tests/support/check.h"
#include "tests/support/model_world.h"

#include <stdio.h>
#include <string.h>

enum {
    OPERATIONS = 250000,      /* payments that are asked for, batch items included */
    IDS_MAX = 2 * OPERATIONS, /* the last burst goes beyond */
    ITEMS_MAX = 24            /* of a usual batch */
};

/* ---- to the real ledger -------------------------------------------------------------------- */

static void real_payment(const struct model_payment *payment, struct command *command)
{
    struct payment *real = &command->payment;
    real->id = uuid_of(payment->id + 1);
    real->short_form = payment->short_form;
    real->has_valid_until = payment->valid_until_ns != 0;
    real->valid_until_ns = payment->valid_until_ns;
    real->has_effective_at = payment->effective_at_ns != 0;
    real->effective_at_ns = payment->effective_at_ns;
    real->has_reference = payment->reference != MODEL_NONE;
    if (real->has_reference) {
        real->reference = text_of(model_reference_name(payment->reference));
    }
    real->has_metadata = payment->metadata != NULL;
    if (real->has_metadata) {
        real->metadata = text_of(payment->metadata);
    }
    real->legs_count = payment->legs_count;
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        const struct model_leg *leg = &payment->legs[i];
        real->legs[i] = (struct leg){.debit = text_of(model_account_name(leg->debit)),
                                     .credit = text_of(model_account_name(leg->credit)),
                                     .amount = leg->amount};
        if (leg->currency != MODEL_NONE) {
            real->legs[i].currency = text_of(model_currency_name(leg->currency));
        }
    }
}

static void real_command(const struct model_command *command, struct command *real)
{
    memset(real, 0, sizeof(*real));
    real->kind = command->kind;
    if (command->kind == COMMAND_CURRENCY_CREATE) {
        real->currency_create =
            (struct currency_create){.code = text_of(model_currency_name(command->currency)),
                                     .scale = (uint8_t)command->scale};
    } else if (command->kind == COMMAND_ACCOUNT_OPEN) {
        real->account_open = (struct account_open){
            .id = text_of(model_account_name(command->account)),
            .currency = text_of(model_currency_name(command->currency)),
            .debit_normal = command->debit_normal,
            .overdraft_kind = command->unlimited ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT,
            .overdraft_limit = command->unlimited ? 0 : command->limit};
    } else {
        real_payment(command->payment, real);
    }
}

static void submit(struct model_world *world, enum request_mode mode,
                   const struct model_command *commands, uint32_t count)
{
    assert_true(world->calls_count < CALLS_MAX);
    struct model_trial *trial = calloc(1, sizeof(*trial));
    struct command *real = calloc(count + 1, sizeof(*real));
    assert_non_null(trial);
    assert_non_null(real);
    trial->mode = mode;
    trial->count = count;
    trial->commands = calloc(count + 1, sizeof(*trial->commands));
    trial->expected = calloc(count + 1, sizeof(*trial->expected));
    trial->known = calloc(count + 1, sizeof(*trial->known));
    for (uint32_t i = 0; i < count; i++) {
        trial->commands[i] = commands[i];
        real_command(&commands[i], &real[i]);
    }
    trial->call = call_make(mode, real, count);
    free(real);
    world->calls[world->calls_count] = trial;
    world->calls_count++;
    driver_submit(&world->leader, trial->call);
}

/* More than one entry takes: a batch goes on in the next one, and may be cut in two by an epoch. */
static void submit_burst(struct model_world *world)
{
    static struct model_command commands[BATCH_ITEMS_MAX];
    for (uint32_t batch = 0; batch < 3; batch++) {
        const uint32_t count = BATCH_ITEMS_MAX - (uint32_t)model_below(world, 2000);
        for (uint32_t i = 0; i < count; i++) {
            commands[i] = model_random_payment(world);
        }
        submit(world, model_one_in(world, 4) ? REQUEST_ATOMIC : REQUEST_INDEPENDENT, commands,
               count);
    }
}

static void submit_random(struct model_world *world)
{
    static struct model_command commands[BATCH_ITEMS_MAX];
    const uint64_t kind = model_below(world, 20);
    if (kind == 0) {
        submit(world, REQUEST_BARRIER, NULL, 0);
        return;
    }
    if (kind > 4) {
        commands[0] = model_random_command(world);
        submit(world, REQUEST_SINGLE, commands, 1);
        return;
    }
    const bool atomic = kind <= 2;
    uint32_t count = 1 + (uint32_t)model_below(world, ITEMS_MAX);
    if (atomic) {
        count = 1 + (uint32_t)model_below(world, 4);
    }
    for (uint32_t i = 0; i < count; i++) {
        commands[i] = atomic ? model_random_payment(world) : model_random_command(world);
        /* The same id twice in a batch. */
        if (i > 0 && model_one_in(world, 15)) {
            const struct model_command *earlier = &commands[model_below(world, i)];
            if (earlier->kind == COMMAND_PAYMENT) {
                commands[i] = *earlier;
                if (model_one_in(world, 3)) {
                    commands[i].payment = model_payment_new(world);
                    *commands[i].payment = *earlier->payment;
                    model_payment_vary(world, commands[i].payment);
                }
            }
        }
    }
    submit(world, atomic ? REQUEST_ATOMIC : REQUEST_INDEPENDENT, commands, count);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void trial_free(struct model_trial *trial)
{
    for (uint32_t i = 0; i < trial->count; i++) {
        model_outcome_free(&trial->expected[i]);
    }
    call_free(trial->call);
    free(trial->commands);
    free(trial->expected);
    free(trial->known);
    free(trial);
}

/* Every request that was given back is compared; the rest keeps its order. */
static void collect_answers(struct model_world *world)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < world->calls_count; i++) {
        struct model_trial *trial = world->calls[i];
        if (trial->call->answered) {
            model_compare_answer(world, trial);
            trial_free(trial);
        } else {
            world->calls[kept] = trial;
            kept++;
        }
    }
    world->calls_count = kept;
}

/* ---- entries ------------------------------------------------------------------------------- */

/* Verifies one entry and notes which commands are in it. */
static bool verify(struct model_world *world)
{
    if (world->flights_count == ENTRIES_IN_FLIGHT_MAX) {
        return false;
    }
    struct ledger_entry *entry = driver_verify(&world->leader);
    if (entry == NULL) {
        return false;
    }
    entry->proposed = !model_one_in(world, 20);
    struct model_flight *flight = calloc(1, sizeof(*flight));
    assert_non_null(flight);
    flight->size = entry->bytes.size;
    flight->data = malloc(flight->size);
    assert_non_null(flight->data);
    memcpy(flight->data, entry->bytes.data, flight->size);
    for (uint32_t i = 0; i < world->calls_count; i++) {
        struct model_trial *trial = world->calls[i];
        const bool barrier = trial->mode == REQUEST_BARRIER;
        const uint32_t next = barrier ? 1 : trial->call->request.next;
        const uint32_t wanted = barrier ? 1 : trial->count;
        if (trial->placed == wanted || next == trial->placed) {
            continue;
        }
        assert_true(flight->parts_count < FLIGHT_PARTS_MAX);
        flight->parts[flight->parts_count] =
            (struct model_part){.trial = trial, .from = trial->placed, .to = next};
        flight->parts_count++;
        trial->placed = next;
        if (!entry->proposed && !barrier) {
            for (uint32_t k = flight->parts[flight->parts_count - 1].from; k < next; k++) {
                trial->known[k] = FATE_LOST;
            }
        }
        if (entry->proposed && !barrier) {
            for (uint32_t k = flight->parts[flight->parts_count - 1].from; k < next; k++) {
                trial->known[k] = FATE_UNKNOWN;
            }
        }
    }
    world->flights[world->flights_count] = flight;
    world->flights_count++;
    return true;
}

static void log_append(struct model_world *world, uint8_t *data, size_t size)
{
    if (world->log_count == world->log_capacity) {
        world->log_capacity = world->log_capacity == 0 ? 1024 : world->log_capacity * 2;
        world->log = realloc(world->log, world->log_capacity * sizeof(*world->log));
        assert_non_null(world->log);
    }
    world->log[world->log_count] = (struct model_logged){.data = data, .size = size};
    world->log_count++;
}

/* The model runs what is in the entry, in its order. */
static void model_apply(struct model_world *world, const struct model_flight *flight)
{
    struct entry_header header;
    struct reader items;
    check_ok(entry_read(flight->data, flight->size, &header, &items));
    const uint64_t first_seq = world->model.seq + 1;
    for (uint32_t i = 0; i < flight->parts_count; i++) {
        const struct model_part *part = &flight->parts[i];
        struct model_trial *trial = part->trial;
        if (trial->mode == REQUEST_BARRIER) {
            trial->known[0] = FATE_APPLIED;
            continue;
        }
        model_run(&world->model, &trial->commands[part->from], part->to - part->from,
                  trial->mode == REQUEST_ATOMIC, header.term, header.time_ns,
                  &trial->expected[part->from]);
        for (uint32_t k = part->from; k < part->to; k++) {
            trial->known[k] = FATE_APPLIED;
        }
    }
    assert_true(header.count == world->model.seq + 1 - first_seq);
    assert_true(header.count == 0 || header.first_seq == first_seq);
}

/* Applies the oldest entry in flight on both nodes; `own`: within the leader's epoch. */
static void apply(struct model_world *world, bool own)
{
    assert_true(world->flights_count > 0);
    struct model_flight *flight = world->flights[0];
    world->flights_count--;
    memmove((void *)world->flights, (void *)&world->flights[1],
            world->flights_count * sizeof(struct model_flight *));
    if (own) {
        model_apply(world, flight);
    }
    struct applied applied = driver_apply(&world->leader, flight->data, flight->size);
    assert_true(applied.own == own);
    assert_false(applied.was_void || applied.different || applied.diverged || applied.skipped);
    applied = driver_apply(&world->follower, flight->data, flight->size);
    assert_false(applied.own);
    assert_false(applied.was_void || applied.different || applied.diverged || applied.skipped);
    log_append(world, flight->data, flight->size);
    free(flight);
    if (own) {
        collect_answers(world);
    }
    model_compare_follower(world);
    if (world->log_count % 4 == 0) {
        model_compare_totals(world, &world->leader);
        model_compare_account(world, &world->leader, model_random_account(world));
    }
    if (model_one_in(world, 10)) {
        check_ok(ledger_commit(world->leader.ledger));
    }
    if (model_one_in(world, 10)) {
        check_ok(ledger_commit(world->follower.ledger));
    }
}

static void flight_drop(struct model_flight *flight)
{
    free(flight->data);
    free(flight);
}

/*
 * The epoch ends with entries in flight. The first few of them may turn out to be committed: raft
 * then applies them late, to a ledger that no longer calls them its own.
 */
static void end_epoch(struct model_world *world)
{
    const uint32_t late = (uint32_t)model_below(world, world->flights_count + 1);
    struct model_outcome *ignored = calloc(BATCH_ITEMS_MAX, sizeof(*ignored));
    assert_non_null(ignored);
    /* What is not in an entry now, or in one that was not proposed, is surely lost. */
    for (uint32_t i = 0; i < world->calls_count; i++) {
        struct model_trial *trial = world->calls[i];
        for (uint32_t k = trial->placed; k < trial->count; k++) {
            trial->known[k] = FATE_LOST;
        }
    }
    /* The trials are gone with their answers: the model runs late entries from a copy of them. */
    struct model_command *commands = NULL;
    driver_resign(&world->leader);
    for (uint32_t i = 0; i < world->calls_count; i++) {
        assert_true(world->calls[i]->call->answered);
        model_compare_answer(world, world->calls[i]);
    }
    for (uint32_t i = 0; i < late; i++) {
        const struct model_flight *flight = world->flights[0];
        struct entry_header header;
        struct reader items;
        check_ok(entry_read(flight->data, flight->size, &header, &items));
        for (uint32_t p = 0; p < flight->parts_count; p++) {
            const struct model_part *part = &flight->parts[p];
            if (part->trial->mode == REQUEST_BARRIER) {
                continue;
            }
            commands = &part->trial->commands[part->from];
            model_run(&world->model, commands, part->to - part->from,
                      part->trial->mode == REQUEST_ATOMIC, header.term, header.time_ns, ignored);
            for (uint32_t k = 0; k < part->to - part->from; k++) {
                model_outcome_free(&ignored[k]);
            }
        }
        apply(world, false);
    }
    for (uint32_t i = 0; i < world->flights_count; i++) {
        flight_drop(world->flights[i]);
    }
    world->flights_count = 0;
    for (uint32_t i = 0; i < world->calls_count; i++) {
        trial_free(world->calls[i]);
    }
    world->calls_count = 0;
    free(ignored);
}

/* A crash: what was not committed comes back from the log. */
static void restart(struct model_world *world)
{
    world->restarts++;
    driver_restart(&world->leader);
    assert_true(world->leader.index <= world->log_count);
    /* raft also hands over entries that the store already has. */
    const uint64_t again = world->leader.index > 3 ? world->leader.index - 3 : 0;
    struct list answered;
    list_init(&answered);
    for (uint64_t index = again + 1; index <= world->log_count; index++) {
        const struct model_logged *logged = &world->log[index - 1];
        struct applied applied;
        check_ok(ledger_apply(world->leader.ledger, index, logged->data, logged->size, &applied,
                              &answered));
        assert_true(applied.skipped == (index <= world->leader.index));
        assert_false(applied.was_void || applied.different || applied.diverged);
    }
    world->leader.index = world->log_count;
    model_compare_follower(world);
    model_compare_accounts(world, &world->leader);
}

static void new_epoch(struct model_world *world)
{
    end_epoch(world);
    if (model_one_in(world, 3)) {
        restart(world);
    }
    world->leader.now_ns -= (int64_t)model_below(world, 3000); /* another leader's clock */
    driver_lead(&world->leader);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void set_up_books(struct model_world *world)
{
    struct model_command command;
    for (int i = 0; i < 3; i++) {
        command =
            (struct model_command){.kind = COMMAND_CURRENCY_CREATE, .currency = i, .scale = 2};
        submit(world, REQUEST_SINGLE, &command, 1);
    }
    for (int i = 0; i < 20; i++) {
        command = model_account_command(world, i);
        submit(world, REQUEST_SINGLE, &command, 1);
    }
    assert_true(verify(world));
    apply(world, true);
}

static void tear_down(struct model_world *world)
{
    driver_close(&world->leader);
    driver_close(&world->follower);
    for (uint64_t i = 0; i < world->log_count; i++) {
        free(world->log[i].data);
    }
    free(world->log);
    model_deinit(&world->model);
    for (uint64_t i = 0; i < world->made_count; i++) {
        free(world->made[i]);
    }
    free((void *)world->made);
    free((void *)world->payments);
}

static void random_operations_agree_with_the_model(void **state)
{
    (void)state;
    static struct model_world world;
    world.random = test_seed();
    driver_open(&world.leader);
    driver_open(&world.follower);
    model_init(&world.model, IDS_MAX);
    world.ids_max = IDS_MAX;
    world.payments = (struct model_payment **)calloc(IDS_MAX, sizeof(struct model_payment *));
    assert_non_null((void *)world.payments);
    driver_lead(&world.leader);
    set_up_books(&world);
    while (world.operations < OPERATIONS) {
        const uint64_t submits = model_below(&world, 12);
        for (uint64_t i = 0; i < submits; i++) {
            submit_random(&world);
        }
        if (model_below(&world, 10) < 7) {
            (void)verify(&world);
        }
        if (world.flights_count > 0 && model_below(&world, 10) < 7) {
            apply(&world, true);
        }
        if (model_one_in(&world, 1500)) {
            submit_burst(&world);
            (void)verify(&world);
            if (world.flights_count > 0 && model_one_in(&world, 2)) {
                new_epoch(&world);
            }
        }
        if (model_one_in(&world, 200)) {
            new_epoch(&world);
        }
    }
    while (verify(&world) || world.flights_count > 0) {
        apply(&world, true);
    }
    model_compare_accounts(&world, &world.leader);
    model_compare_accounts(&world, &world.follower);
    model_compare_totals(&world, &world.follower);
    model_check_histories(&world);
    (void)printf("%llu commands compared, %llu entries, %llu posted, %llu refused, %llu requests "
                 "lost, %llu commands unknown, %llu restarts\n",
                 (unsigned long long)world.compared, (unsigned long long)world.log_count,
                 (unsigned long long)world.model.posted, (unsigned long long)world.model.refused,
                 (unsigned long long)world.lost, (unsigned long long)world.unknown,
                 (unsigned long long)world.restarts);
    for (int code = 0; code <= CODE_VALUE_MAX; code++) {
        if (world.by_code[code] > 0) {
            (void)printf("  %s: %llu\n", code == 0 ? "ok" : code_info((enum code)code)->name,
                         (unsigned long long)world.by_code[code]);
        }
    }
    tear_down(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
