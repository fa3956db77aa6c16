/*
 * The ledger against an independent model: random requests, entries in flight, epochs that end with
 * entries lost or applied late, crashes that lose what was not committed, and a follower that must
 * come to the same digests.
 */
#include "base/check.h"
#include "tests/support/check.h"
#include "tests/support/ledger_driver.h"
#include "tests/support/model.h"

#include <stdio.h>
#include <string.h>

enum {
    OPERATIONS = 250000,      /* payments that are asked for, batch items included */
    IDS_MAX = 2 * OPERATIONS, /* the last burst goes beyond */
    ITEMS_MAX = 24,           /* of a usual batch */
    CALLS_MAX = 4096,
    FLIGHT_PARTS_MAX = 256
};

/* A request on its way, with what the model says about it so far. */
struct trial {
    struct call *call;
    struct model_command *commands;
    struct model_outcome *expected;
    uint8_t *known; /* enum fate of each command */
    enum request_mode mode;
    uint32_t count;
    uint32_t placed; /* commands that are in entries */
};

enum fate { FATE_WAITS = 0, FATE_APPLIED = 1, FATE_UNKNOWN = 2, FATE_LOST = 3 };

struct part {
    struct trial *trial;
    uint32_t from, to;
};

/* An entry in flight. */
struct flight {
    uint8_t *data;
    size_t size;
    uint32_t parts_count;
    struct part parts[FLIGHT_PARTS_MAX];
};

struct logged {
    uint8_t *data;
    size_t size;
};

struct world {
    uint64_t random;
    struct driver leader;
    struct driver follower;
    struct model model;
    struct trial *calls[CALLS_MAX]; /* submitted and not given back, in order */
    uint32_t calls_count;
    struct flight *flights[ENTRIES_IN_FLIGHT_MAX];
    uint32_t flights_count;
    struct logged *log; /* entry at index i is log[i - 1] */
    uint64_t log_count, log_capacity;
    struct model_payment **payments; /* the first with each id */
    uint64_t next_id;
    struct model_payment **made; /* all of them, to be freed: the model borrows them */
    uint64_t made_count, made_capacity;
    uint64_t operations;
    uint64_t compared, lost, unknown, restarts;
    uint64_t by_code[CODE_VALUE_MAX + 1];
};

static uint64_t below(struct world *world, uint64_t bound)
{
    return test_random(&world->random) % bound;
}

static bool one_in(struct world *world, uint64_t bound)
{
    return below(world, bound) == 0;
}

/* ---- random commands ----------------------------------------------------------------------- */

static int random_account(struct world *world)
{
    /* A few accounts take most of the traffic; the last ones are opened late or never. */
    return (int)below(world, one_in(world, 4) ? MODEL_ACCOUNTS : 12);
}

/* Near 2^126 mostly in one currency: totals only grow, and one that is full refuses all. */
static u128 random_amount(struct world *world, int account)
{
    switch (below(world, account % 3 == 2 ? 100 : 20000)) {
    case 0:
        return ((u128)1 << 125) + below(world, 1000);
    case 1:
        return (((u128)1 << 126) - 1) - below(world, 3);
    case 2:
        return ((u128)below(world, 1000) << 64) + 1;
    default:
        return 1 + below(world, 300);
    }
}

static const char *random_metadata(struct world *world)
{
    static const char *const texts[] = {NULL, NULL, NULL, "{}", "{\"a\":1}", "{\"a\":2}"};
    return texts[below(world, ARRAY_COUNT(texts))];
}

static int64_t random_time(struct world *world)
{
    return world->leader.now_ns - 5000 + (int64_t)below(world, 100000);
}

static struct model_payment *payment_new(struct world *world)
{
    if (world->made_count == world->made_capacity) {
        world->made_capacity = world->made_capacity == 0 ? 1024 : world->made_capacity * 2;
        world->made = (struct model_payment **)realloc(
            (void *)world->made, world->made_capacity * sizeof(struct model_payment *));
        assert_non_null((void *)world->made);
    }
    struct model_payment *payment = calloc(1, sizeof(*payment));
    assert_non_null(payment);
    world->made[world->made_count] = payment;
    world->made_count++;
    return payment;
}

static struct model_payment *payment_make(struct world *world)
{
    struct model_payment *payment = payment_new(world);
    payment->id = world->next_id++;
    assert_true(payment->id < IDS_MAX);
    payment->legs_count = one_in(world, 5) ? 1 + (uint32_t)below(world, 6) : 1;
    if (one_in(world, 500)) {
        payment->legs_count = LEGS_MAX;
    }
    payment->short_form = payment->legs_count == 1 && !one_in(world, 3);
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        struct model_leg *leg = &payment->legs[i];
        leg->debit = random_account(world);
        /* Mostly of the same currency: accounts are of currency index % 3. */
        leg->credit = one_in(world, 30)
                          ? random_account(world)
                          : (leg->debit + 3 * (1 + (int)below(world, 3))) % (MODEL_ACCOUNTS - 1);
        leg->currency = MODEL_NONE;
        if (one_in(world, 3)) {
            leg->currency =
                one_in(world, 20) ? (int)below(world, MODEL_CURRENCIES) : leg->debit % 3;
        }
        leg->amount = random_amount(world, leg->debit);
    }
    payment->reference = one_in(world, 8) ? (int)below(world, MODEL_REFERENCES) : MODEL_NONE;
    payment->valid_until_ns = one_in(world, 10) ? random_time(world) : 0;
    payment->effective_at_ns = one_in(world, 10) ? random_time(world) : 0;
    payment->metadata = random_metadata(world);
    world->payments[payment->id] = payment;
    return payment;
}

/* Changes one field, or only the way in which the same thing is said. */
static void payment_vary(struct world *world, struct model_payment *payment)
{
    struct model_leg *leg = &payment->legs[below(world, payment->legs_count)];
    switch (below(world, 12)) {
    case 0:
        leg->debit = random_account(world);
        break;
    case 1:
        leg->credit = random_account(world);
        break;
    case 2:
        leg->amount = random_amount(world, 0);
        break;
    case 3:
        leg->currency = (int)below(world, MODEL_CURRENCIES);
        break;
    case 4:
        leg->currency = MODEL_NONE;
        break;
    case 5:
        payment->legs_count = payment->legs_count % 3 + 1;
        break;
    case 6:
        payment->valid_until_ns = random_time(world);
        break;
    case 7:
        payment->effective_at_ns = 0;
        break;
    case 8:
        payment->reference = (int)below(world, MODEL_REFERENCES);
        break;
    case 9:
        payment->metadata = random_metadata(world);
        break;
    default:
        break;
    }
    payment->short_form = payment->legs_count == 1 && one_in(world, 2);
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        if (payment->legs[i].amount == 0) {
            payment->legs[i] =
                (struct model_leg){.debit = 1, .credit = 4, .currency = MODEL_NONE, .amount = 5};
        }
    }
}

/* An id that was sent before: applied, refused, in flight or lost. */
static struct model_payment *payment_again(struct world *world)
{
    const uint64_t reach = one_in(world, 2) ? 40 : world->next_id;
    const uint64_t back = 1 + below(world, reach < world->next_id ? reach : world->next_id);
    struct model_payment *copy = payment_new(world);
    *copy = *world->payments[world->next_id - back];
    payment_vary(world, copy);
    return copy;
}

static struct model_command random_payment(struct world *world)
{
    world->operations++;
    const bool again = world->next_id > 0 && one_in(world, 8);
    return (struct model_command){.kind = COMMAND_PAYMENT,
                                  .payment = again ? payment_again(world) : payment_make(world)};
}

static struct model_command account_command(struct world *world, int account)
{
    struct model_command command = {.kind = COMMAND_ACCOUNT_OPEN,
                                    .account = account,
                                    .currency = account % 3,
                                    .debit_normal = account % 5 == 4,
                                    .unlimited = account % 4 == 3,
                                    .limit = account % 2 == 0 ? 0 : 1000};
    if (account > 30) {
        command.currency = 3;
    }
    if (one_in(world, 30)) {
        command.currency = (int)below(world, MODEL_CURRENCIES);
        command.debit_normal = one_in(world, 2);
        command.limit = below(world, 2000);
    }
    return command;
}

static struct model_command random_command(struct world *world)
{
    if (one_in(world, 60)) {
        /* The last account and the last currency never come to be. */
        return account_command(world, (int)below(world, MODEL_ACCOUNTS - 1));
    }
    if (one_in(world, 300)) {
        return (struct model_command){.kind = COMMAND_CURRENCY_CREATE,
                                      .currency = (int)below(world, MODEL_CURRENCIES - 1),
                                      .scale = one_in(world, 5) ? 3 : 2};
    }
    return random_payment(world);
}

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

static void submit(struct world *world, enum request_mode mode,
                   const struct model_command *commands, uint32_t count)
{
    assert_true(world->calls_count < CALLS_MAX);
    struct trial *trial = calloc(1, sizeof(*trial));
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
static void submit_burst(struct world *world)
{
    static struct model_command commands[BATCH_ITEMS_MAX];
    for (uint32_t batch = 0; batch < 3; batch++) {
        const uint32_t count = BATCH_ITEMS_MAX - (uint32_t)below(world, 2000);
        for (uint32_t i = 0; i < count; i++) {
            commands[i] = random_payment(world);
        }
        submit(world, one_in(world, 4) ? REQUEST_ATOMIC : REQUEST_INDEPENDENT, commands, count);
    }
}

static void submit_random(struct world *world)
{
    static struct model_command commands[BATCH_ITEMS_MAX];
    const uint64_t kind = below(world, 20);
    if (kind == 0) {
        submit(world, REQUEST_BARRIER, NULL, 0);
        return;
    }
    if (kind > 4) {
        commands[0] = random_command(world);
        submit(world, REQUEST_SINGLE, commands, 1);
        return;
    }
    const bool atomic = kind <= 2;
    uint32_t count = 1 + (uint32_t)below(world, ITEMS_MAX);
    if (atomic) {
        count = 1 + (uint32_t)below(world, 4);
    }
    for (uint32_t i = 0; i < count; i++) {
        commands[i] = atomic ? random_payment(world) : random_command(world);
        /* The same id twice in a batch. */
        if (i > 0 && one_in(world, 15)) {
            const struct model_command *earlier = &commands[below(world, i)];
            if (earlier->kind == COMMAND_PAYMENT) {
                commands[i] = *earlier;
                if (one_in(world, 3)) {
                    commands[i].payment = payment_new(world);
                    *commands[i].payment = *earlier->payment;
                    payment_vary(world, commands[i].payment);
                }
            }
        }
    }
    submit(world, atomic ? REQUEST_ATOMIC : REQUEST_INDEPENDENT, commands, count);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void compare_rows(const struct model_outcome *expected, const struct outcome *outcome)
{
    assert_int_equal(outcome->rows_count, expected->rows_count);
    for (uint32_t i = 0; i < expected->rows_count; i++) {
        const struct model_row *row = &expected->rows[i];
        const struct outcome_row *real = &outcome->rows[i];
        assert_true(text_equal(real->account, text_of(model_account_name(row->account))));
        assert_true(real->posted == row->posted);
        assert_true(real->has_rest == row->has_rest);
        assert_true(real->unlimited == row->unlimited);
        assert_true(real->held == 0);
        assert_true(real->unlimited || real->available == row->available);
    }
}

static void compare_outcome(struct world *world, const struct model_command *command,
                            const struct model_outcome *expected, const struct outcome *outcome)
{
    if (outcome->code != expected->code || outcome->field != expected->field ||
        outcome->leg != expected->leg || outcome->seq != expected->seq ||
        outcome->replayed != expected->replayed) {
        fail_msg("code %d field %d leg %u seq %llu replayed %d, the model says "
                 "code %d field %d leg %u seq %llu replayed %d",
                 (int)outcome->code, (int)outcome->field, outcome->leg,
                 (unsigned long long)outcome->seq, outcome->replayed, (int)expected->code,
                 (int)expected->field, expected->leg, (unsigned long long)expected->seq,
                 expected->replayed);
    }
    assert_int_equal(outcome->kind, command->kind);
    assert_true(outcome->term == expected->term);
    assert_true(outcome->time_ns == expected->time_ns);
    assert_true(outcome->available == expected->available);
    assert_true(outcome->needed == expected->needed);
    compare_rows(expected, outcome);
    if (command->kind == COMMAND_PAYMENT) {
        const struct uuid id = uuid_of(command->payment->id + 1);
        assert_true(uuid_equal(&outcome->id, &id));
        assert_true(outcome->short_form == command->payment->short_form);
    }
    world->compared++;
    world->by_code[outcome->code]++;
}

static void compare_views(const struct model_command *command, const struct model_outcome *expected,
                          struct reader *reader)
{
    if (expected->code != CODE_OK) {
        return;
    }
    if (command->kind == COMMAND_ACCOUNT_OPEN) {
        struct account_view view;
        check_ok(account_view_read(reader, &view));
        assert_true(text_equal(view.id, text_of(model_account_name(command->account))));
        assert_true(view.posted == expected->posted);
        assert_true(view.entries == expected->entries);
        assert_true(view.seq == expected->seq);
    }
    if (command->kind == COMMAND_CURRENCY_CREATE) {
        struct currency_view view;
        check_ok(currency_view_read(reader, &view));
        assert_true(text_equal(view.code, text_of(model_currency_name(command->currency))));
        assert_int_equal(view.scale, command->scale);
        assert_true(view.seq == expected->seq);
    }
}

/* The code of the whole request where all its commands met the same loss, else CODE_OK. */
static enum code whole_code(const struct trial *trial)
{
    if (trial->mode == REQUEST_BARRIER) {
        return trial->known[0] == FATE_APPLIED ? CODE_OK : CODE_LEADERSHIP_LOST;
    }
    for (uint32_t i = 0; i < trial->count; i++) {
        if (trial->known[i] == FATE_APPLIED || trial->known[i] != trial->known[0]) {
            return CODE_OK;
        }
    }
    return trial->known[0] == FATE_UNKNOWN ? CODE_UNKNOWN : CODE_LEADERSHIP_LOST;
}

static void compare_answer(struct world *world, const struct trial *trial)
{
    const struct ledger_request *request = &trial->call->request;
    assert_int_equal(request->code, whole_code(trial));
    if (request->code != CODE_OK) {
        world->lost++;
        assert_int_equal(request->outcomes_count, 0);
        return;
    }
    assert_true(request->seq == ledger_position(world->leader.ledger).seq);
    assert_int_equal(request->outcomes_count, trial->count);
    struct reader reader = reader_of(request->outcomes.data, request->outcomes.size);
    static struct outcome outcome;
    for (uint32_t i = 0; i < trial->count; i++) {
        check_ok(outcome_read(&reader, &outcome));
        if (trial->known[i] == FATE_APPLIED) {
            compare_outcome(world, &trial->commands[i], &trial->expected[i], &outcome);
            compare_views(&trial->commands[i], &trial->expected[i], &reader);
            continue;
        }
        world->unknown++;
        assert_int_equal(outcome.code,
                         trial->known[i] == FATE_UNKNOWN ? CODE_UNKNOWN : CODE_LEADERSHIP_LOST);
        assert_true(outcome.seq == 0);
    }
    assert_int_equal(reader_left(&reader), 0);
}

static void trial_free(struct trial *trial)
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
static void collect_answers(struct world *world)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < world->calls_count; i++) {
        struct trial *trial = world->calls[i];
        if (trial->call->answered) {
            compare_answer(world, trial);
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
static bool verify(struct world *world)
{
    if (world->flights_count == ENTRIES_IN_FLIGHT_MAX) {
        return false;
    }
    struct ledger_entry *entry = driver_verify(&world->leader);
    if (entry == NULL) {
        return false;
    }
    entry->proposed = !one_in(world, 20);
    struct flight *flight = calloc(1, sizeof(*flight));
    assert_non_null(flight);
    flight->size = entry->bytes.size;
    flight->data = malloc(flight->size);
    assert_non_null(flight->data);
    memcpy(flight->data, entry->bytes.data, flight->size);
    for (uint32_t i = 0; i < world->calls_count; i++) {
        struct trial *trial = world->calls[i];
        const bool barrier = trial->mode == REQUEST_BARRIER;
        const uint32_t next = barrier ? 1 : trial->call->request.next;
        const uint32_t wanted = barrier ? 1 : trial->count;
        if (trial->placed == wanted || next == trial->placed) {
            continue;
        }
        assert_true(flight->parts_count < FLIGHT_PARTS_MAX);
        flight->parts[flight->parts_count] =
            (struct part){.trial = trial, .from = trial->placed, .to = next};
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

static void log_append(struct world *world, uint8_t *data, size_t size)
{
    if (world->log_count == world->log_capacity) {
        world->log_capacity = world->log_capacity == 0 ? 1024 : world->log_capacity * 2;
        world->log = realloc(world->log, world->log_capacity * sizeof(*world->log));
        assert_non_null(world->log);
    }
    world->log[world->log_count] = (struct logged){.data = data, .size = size};
    world->log_count++;
}

/* The model runs what is in the entry, in its order. */
static void model_apply(struct world *world, const struct flight *flight)
{
    struct entry_header header;
    struct reader items;
    check_ok(entry_read(flight->data, flight->size, &header, &items));
    const uint64_t first_seq = world->model.seq + 1;
    for (uint32_t i = 0; i < flight->parts_count; i++) {
        const struct part *part = &flight->parts[i];
        struct trial *trial = part->trial;
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

static void compare_totals(struct world *world, struct driver *driver)
{
    static const struct query query = {.kind = QUERY_TOTALS};
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    check_ok(ledger_query(driver->ledger, &query, &answer));
    struct reader reader = reader_of(answer.data, answer.size);
    struct answer_head head;
    check_ok(answer_head_read(&reader, &head));
    assert_true(head.seq == world->model.seq);
    uint32_t found = 0;
    for (uint32_t i = 0; i < head.count; i++) {
        struct currency_view view;
        check_ok(currency_view_read(&reader, &view));
        assert_true(view.debits_posted == view.credits_posted);
        for (int c = 0; c < MODEL_CURRENCIES; c++) {
            const struct model_currency *currency = &world->model.books.currencies[c];
            if (currency->exists && text_equal(view.code, text_of(model_currency_name(c)))) {
                found++;
                assert_true(view.debits_posted == currency->debits);
                assert_true(view.credits_posted == currency->credits);
                assert_true(view.accounts_count == currency->accounts);
            }
        }
    }
    assert_int_equal(found, head.count);
    buffer_deinit(&answer);
}

static void compare_account(struct world *world, struct driver *driver, int index)
{
    const struct model_account *account = &world->model.books.accounts[index];
    struct query query = {.kind = QUERY_ACCOUNT_GET};
    const struct text id = text_of(model_account_name(index));
    memcpy(query.account, id.data, id.size);
    query.account_size = (uint8_t)id.size;
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    check_ok(ledger_query(driver->ledger, &query, &answer));
    struct reader reader = reader_of(answer.data, answer.size);
    struct answer_head head;
    check_ok(answer_head_read(&reader, &head));
    assert_int_equal(head.code == CODE_OK, account->exists);
    if (account->exists) {
        struct account_view view;
        check_ok(account_view_read(&reader, &view));
        assert_true(view.debits_posted == account->debits);
        assert_true(view.credits_posted == account->credits);
        assert_true(view.posted == model_posted(account));
        assert_true(view.entries == account->entries);
        assert_true(text_equal(view.currency, text_of(model_currency_name(account->currency))));
        assert_true(account->unlimited ||
                    view.available == model_posted(account) + (i128)account->limit);
    }
    buffer_deinit(&answer);
}

static void compare_accounts(struct world *world, struct driver *driver)
{
    for (int i = 0; i < MODEL_ACCOUNTS; i++) {
        compare_account(world, driver, i);
    }
}

static void compare_follower(struct world *world)
{
    const struct position ours = ledger_position(world->leader.ledger);
    const struct position theirs = ledger_position(world->follower.ledger);
    assert_true(ours.index == theirs.index && ours.seq == theirs.seq);
    assert_true(ours.term == theirs.term && ours.time_ns == theirs.time_ns);
    assert_true(digest_equal(&ours.digest, &theirs.digest));
    assert_true(ours.accounts_count == theirs.accounts_count);
    assert_true(ours.payments_count == theirs.payments_count);
    assert_true(ours.payments_count == world->model.posted + world->model.refused);
    assert_true(ours.seq == world->model.seq);
}

/* Applies the oldest entry in flight on both nodes; `own`: within the leader's epoch. */
static void apply(struct world *world, bool own)
{
    assert_true(world->flights_count > 0);
    struct flight *flight = world->flights[0];
    world->flights_count--;
    memmove((void *)world->flights, (void *)&world->flights[1],
            world->flights_count * sizeof(struct flight *));
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
    compare_follower(world);
    if (world->log_count % 4 == 0) {
        compare_totals(world, &world->leader);
        compare_account(world, &world->leader, random_account(world));
    }
    if (one_in(world, 10)) {
        check_ok(ledger_commit(world->leader.ledger));
    }
    if (one_in(world, 10)) {
        check_ok(ledger_commit(world->follower.ledger));
    }
}

static void flight_drop(struct flight *flight)
{
    free(flight->data);
    free(flight);
}

/*
 * The epoch ends with entries in flight. The first few of them may turn out to be committed: raft
 * then applies them late, to a ledger that no longer calls them its own.
 */
static void end_epoch(struct world *world)
{
    const uint32_t late = (uint32_t)below(world, world->flights_count + 1);
    struct model_outcome *ignored = calloc(BATCH_ITEMS_MAX, sizeof(*ignored));
    assert_non_null(ignored);
    /* What is not in an entry now, or in one that was not proposed, is surely lost. */
    for (uint32_t i = 0; i < world->calls_count; i++) {
        struct trial *trial = world->calls[i];
        for (uint32_t k = trial->placed; k < trial->count; k++) {
            trial->known[k] = FATE_LOST;
        }
    }
    /* The trials are gone with their answers: the model runs late entries from a copy of them. */
    struct model_command *commands = NULL;
    driver_resign(&world->leader);
    for (uint32_t i = 0; i < world->calls_count; i++) {
        assert_true(world->calls[i]->call->answered);
        compare_answer(world, world->calls[i]);
    }
    for (uint32_t i = 0; i < late; i++) {
        const struct flight *flight = world->flights[0];
        struct entry_header header;
        struct reader items;
        check_ok(entry_read(flight->data, flight->size, &header, &items));
        for (uint32_t p = 0; p < flight->parts_count; p++) {
            const struct part *part = &flight->parts[p];
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
static void restart(struct world *world)
{
    world->restarts++;
    driver_restart(&world->leader);
    assert_true(world->leader.index <= world->log_count);
    /* raft also hands over entries that the store already has. */
    const uint64_t again = world->leader.index > 3 ? world->leader.index - 3 : 0;
    struct list answered;
    list_init(&answered);
    for (uint64_t index = again + 1; index <= world->log_count; index++) {
        const struct logged *logged = &world->log[index - 1];
        struct applied applied;
        check_ok(ledger_apply(world->leader.ledger, index, logged->data, logged->size, &applied,
                              &answered));
        assert_true(applied.skipped == (index <= world->leader.index));
        assert_false(applied.was_void || applied.different || applied.diverged);
    }
    world->leader.index = world->log_count;
    compare_follower(world);
    compare_accounts(world, &world->leader);
}

static void new_epoch(struct world *world)
{
    end_epoch(world);
    if (one_in(world, 3)) {
        restart(world);
    }
    world->leader.now_ns -= (int64_t)below(world, 3000); /* another leader's clock */
    driver_lead(&world->leader);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void set_up_books(struct world *world)
{
    struct model_command command;
    for (int i = 0; i < 3; i++) {
        command =
            (struct model_command){.kind = COMMAND_CURRENCY_CREATE, .currency = i, .scale = 2};
        submit(world, REQUEST_SINGLE, &command, 1);
    }
    for (int i = 0; i < 20; i++) {
        command = account_command(world, i);
        submit(world, REQUEST_SINGLE, &command, 1);
    }
    assert_true(verify(world));
    apply(world, true);
}

/* Every entry of every account: numbered without gaps, with the balance that the legs make. */
static void check_histories(struct world *world)
{
    static struct model_account accounts[MODEL_ACCOUNTS];
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    uint64_t *by_seq = calloc(world->model.seq + 1, sizeof(*by_seq));
    assert_non_null(by_seq);
    for (uint64_t id = 0; id < world->next_id; id++) {
        const struct model_record *record = &world->model.records[id];
        if (record->payment != NULL && record->outcome.code == CODE_OK) {
            by_seq[record->outcome.seq] = id + 1;
        }
    }
    static struct payment_view view;
    for (uint64_t seq = 1; seq <= world->model.seq; seq++) {
        if (by_seq[seq] == 0) {
            continue;
        }
        const struct model_payment *payment = world->model.records[by_seq[seq] - 1].payment;
        const struct query query = {.kind = QUERY_PAYMENT_GET, .id = uuid_of(by_seq[seq])};
        buffer_clear(&answer);
        check_ok(ledger_query(world->leader.ledger, &query, &answer));
        struct reader reader = reader_of(answer.data, answer.size);
        struct answer_head head;
        check_ok(answer_head_read(&reader, &head));
        assert_int_equal(head.code, CODE_OK);
        check_ok(payment_view_read(&reader, &view));
        assert_true(view.outcome.seq == seq && view.legs_count == payment->legs_count);
        for (uint32_t i = 0; i < payment->legs_count; i++) {
            struct model_account *debit = &accounts[payment->legs[i].debit];
            struct model_account *credit = &accounts[payment->legs[i].credit];
            debit->debit_normal = world->model.books.accounts[payment->legs[i].debit].debit_normal;
            credit->debit_normal =
                world->model.books.accounts[payment->legs[i].credit].debit_normal;
            debit->debits += payment->legs[i].amount;
            debit->entries++;
            assert_true(view.legs[i].debit_entry == debit->entries);
            assert_true(view.legs[i].debit_balance == model_posted(debit));
            credit->credits += payment->legs[i].amount;
            credit->entries++;
            assert_true(view.legs[i].credit_entry == credit->entries);
            assert_true(view.legs[i].credit_balance == model_posted(credit));
        }
    }
    for (int i = 0; i < MODEL_ACCOUNTS; i++) {
        assert_true(accounts[i].entries == world->model.books.accounts[i].entries);
    }
    free(by_seq);
    buffer_deinit(&answer);
}

static void tear_down(struct world *world)
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
    static struct world world;
    world.random = test_seed();
    driver_open(&world.leader);
    driver_open(&world.follower);
    model_init(&world.model, IDS_MAX);
    world.payments = (struct model_payment **)calloc(IDS_MAX, sizeof(struct model_payment *));
    assert_non_null((void *)world.payments);
    driver_lead(&world.leader);
    set_up_books(&world);
    while (world.operations < OPERATIONS) {
        const uint64_t submits = below(&world, 12);
        for (uint64_t i = 0; i < submits; i++) {
            submit_random(&world);
        }
        if (below(&world, 10) < 7) {
            (void)verify(&world);
        }
        if (world.flights_count > 0 && below(&world, 10) < 7) {
            apply(&world, true);
        }
        if (one_in(&world, 1500)) {
            submit_burst(&world);
            (void)verify(&world);
            if (world.flights_count > 0 && one_in(&world, 2)) {
                new_epoch(&world);
            }
        }
        if (one_in(&world, 200)) {
            new_epoch(&world);
        }
    }
    while (verify(&world) || world.flights_count > 0) {
        apply(&world, true);
    }
    compare_accounts(&world, &world.leader);
    compare_accounts(&world, &world.follower);
    compare_totals(&world, &world.follower);
    check_histories(&world);
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
