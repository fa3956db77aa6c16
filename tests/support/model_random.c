/* Random commands, and the same ones again with small changes. */
#include "tests/support/model_world.h"

#include "base/check.h"
#include "tests/support/check.h"

uint64_t model_below(struct model_world *world, uint64_t bound)
{
    return test_random(&world->random) % bound;
}

bool model_one_in(struct model_world *world, uint64_t bound)
{
    return model_below(world, bound) == 0;
}

int model_random_account(struct model_world *world)
{
    /* A few accounts take most of the traffic; the last ones are opened late or never. */
    return (int)model_below(world, model_one_in(world, 4) ? MODEL_ACCOUNTS : 12);
}

/* Near 2^126 mostly in one currency: totals only grow, and one that is full refuses all. */
static u128 random_amount(struct model_world *world, int account)
{
    switch (model_below(world, account % 3 == 2 ? 100 : 20000)) {
    case 0:
        return ((u128)1 << 125) + model_below(world, 1000);
    case 1:
        return (((u128)1 << 126) - 1) - model_below(world, 3);
    case 2:
        return ((u128)model_below(world, 1000) << 64) + 1;
    default:
        return 1 + model_below(world, 300);
    }
}

static const char *random_metadata(struct model_world *world)
{
    static const char *const texts[] = {NULL, NULL, NULL, "{}", "{\"a\":1}", "{\"a\":2}"};
    return texts[model_below(world, ARRAY_COUNT(texts))];
}

static int64_t random_time(struct model_world *world)
{
    return world->leader.now_ns - 5000 + (int64_t)model_below(world, 100000);
}

struct model_payment *model_payment_new(struct model_world *world)
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

static struct model_payment *payment_make(struct model_world *world)
{
    struct model_payment *payment = model_payment_new(world);
    payment->id = world->next_id++;
    assert_true(payment->id < world->ids_max);
    payment->legs_count = model_one_in(world, 5) ? 1 + (uint32_t)model_below(world, 6) : 1;
    if (model_one_in(world, 500)) {
        payment->legs_count = LEGS_MAX;
    }
    payment->short_form = payment->legs_count == 1 && !model_one_in(world, 3);
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        struct model_leg *leg = &payment->legs[i];
        leg->debit = model_random_account(world);
        /* Mostly of the same currency: accounts are of currency index % 3. */
        leg->credit =
            model_one_in(world, 30)
                ? model_random_account(world)
                : (leg->debit + 3 * (1 + (int)model_below(world, 3))) % (MODEL_ACCOUNTS - 1);
        leg->currency = MODEL_NONE;
        if (model_one_in(world, 3)) {
            leg->currency = model_one_in(world, 20) ? (int)model_below(world, MODEL_CURRENCIES)
                                                    : leg->debit % 3;
        }
        leg->amount = random_amount(world, leg->debit);
    }
    payment->reference =
        model_one_in(world, 8) ? (int)model_below(world, MODEL_REFERENCES) : MODEL_NONE;
    payment->valid_until_ns = model_one_in(world, 10) ? random_time(world) : 0;
    payment->effective_at_ns = model_one_in(world, 10) ? random_time(world) : 0;
    payment->metadata = random_metadata(world);
    world->payments[payment->id] = payment;
    return payment;
}

void model_payment_vary(struct model_world *world, struct model_payment *payment)
{
    struct model_leg *leg = &payment->legs[model_below(world, payment->legs_count)];
    switch (model_below(world, 12)) {
    case 0:
        leg->debit = model_random_account(world);
        break;
    case 1:
        leg->credit = model_random_account(world);
        break;
    case 2:
        leg->amount = random_amount(world, 0);
        break;
    case 3:
        leg->currency = (int)model_below(world, MODEL_CURRENCIES);
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
        payment->reference = (int)model_below(world, MODEL_REFERENCES);
        break;
    case 9:
        payment->metadata = random_metadata(world);
        break;
    default:
        break;
    }
    payment->short_form = payment->legs_count == 1 && model_one_in(world, 2);
    for (uint32_t i = 0; i < payment->legs_count; i++) {
        if (payment->legs[i].amount == 0) {
            payment->legs[i] =
                (struct model_leg){.debit = 1, .credit = 4, .currency = MODEL_NONE, .amount = 5};
        }
    }
}

/* An id that was sent before: applied, refused, in flight or lost. */
static struct model_payment *payment_again(struct model_world *world)
{
    const uint64_t reach = model_one_in(world, 2) ? 40 : world->next_id;
    const uint64_t back = 1 + model_below(world, reach < world->next_id ? reach : world->next_id);
    struct model_payment *copy = model_payment_new(world);
    *copy = *world->payments[world->next_id - back];
    model_payment_vary(world, copy);
    return copy;
}

struct model_command model_random_payment(struct model_world *world)
{
    world->operations++;
    const bool again = world->next_id > 0 && model_one_in(world, 8);
    return (struct model_command){.kind = COMMAND_PAYMENT,
                                  .payment = again ? payment_again(world) : payment_make(world)};
}

struct model_command model_account_command(struct model_world *world, int account)
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
    if (model_one_in(world, 30)) {
        command.currency = (int)model_below(world, MODEL_CURRENCIES);
        command.debit_normal = model_one_in(world, 2);
        command.limit = model_below(world, 2000);
    }
    return command;
}

struct model_command model_random_command(struct model_world *world)
{
    if (model_one_in(world, 60)) {
        /* The last account and the last currency never come to be. */
        return model_account_command(world, (int)model_below(world, MODEL_ACCOUNTS - 1));
    }
    if (model_one_in(world, 300)) {
        return (struct model_command){.kind = COMMAND_CURRENCY_CREATE,
                                      .currency = (int)model_below(world, MODEL_CURRENCIES - 1),
                                      .scale = model_one_in(world, 5) ? 3 : 2};
    }
    return model_random_payment(world);
}
