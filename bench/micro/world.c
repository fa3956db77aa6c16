/*
 * Ledgers with accounts in them, and payments at random. The generator is seeded: two runs see the
 * same payments.
 */
#include "bench/micro/micro.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SETUP_REQUESTS = 1000, ERROR_BYTES = 256 };

#define MAP_BYTES           ((uint64_t)64 << 30)
#define FIRST_NS            INT64_C(1790000000000000000)
#define NS_PER_PAYMENT      10000 /* 100,000 payments in a second: so dense are UUIDv7 */
#define NS_PER_MILLISECOND  1000000
#define XORSHIFT_MULTIPLIER 0x2545f4914f6cdd1dU

void must(enum status status, const char *what)
{
    if (status != STATUS_OK) {
        fprintf(stderr, "payledger-micro: %s: %s\n", what, status_text(status));
        exit(EXIT_FAILURE);
    }
}

struct spent spent_now(void)
{
    struct timespec cpu;
    struct timespec wall;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    clock_gettime(CLOCK_MONOTONIC, &wall);
    return (struct spent){.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec,
                          .wall_ns = (uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec};
}

void spent_add(struct spent *sum, struct spent since)
{
    const struct spent now = spent_now();
    sum->cpu_ns += now.cpu_ns - since.cpu_ns;
    sum->wall_ns += now.wall_ns - since.wall_ns;
}

/* xorshift64*: fast, and good enough to spread payments over accounts. */
static uint64_t world_random(struct world *world)
{
    world->random ^= world->random >> 12;
    world->random ^= world->random << 25;
    world->random ^= world->random >> 27;
    return world->random * XORSHIFT_MULTIPLIER;
}

static void file_path(const struct node *node, const char *name, char path[PATH_BYTES_MAX])
{
    const int size = snprintf(path, PATH_BYTES_MAX, "%s/%s", node->path, name);
    must(size > 0 && size < PATH_BYTES_MAX ? STATUS_OK : STATUS_LIMIT, "path of the ledger");
}

static void node_remove(const struct node *node)
{
    char path[PATH_BYTES_MAX];
    file_path(node, "data.mdb", path);
    (void)unlink(path);
    file_path(node, "lock.mdb", path);
    (void)unlink(path);
    (void)rmdir(node->path);
}

static void node_open(struct node *node, const char *dir, const char *name)
{
    *node = (struct node){.index = 0};
    const int size =
        snprintf(node->path, sizeof(node->path), "%s/%s.%ld", dir, name, (long)getpid());
    must(size > 0 && (size_t)size < sizeof(node->path) ? STATUS_OK : STATUS_LIMIT, dir);
    must(mkdir(node->path, 0700) == 0 ? STATUS_OK : STATUS_IO, node->path);
    char error[ERROR_BYTES] = "";
    const struct ledger_options options = {.path = node->path,
                                           .map_bytes = MAP_BYTES,
                                           .metrics = &node->metrics,
                                           .abort_on_difference = true};
    must(ledger_open(&node->ledger, &options, error, sizeof(error)), node->path);
    node->committed_ns = spent_now().wall_ns;
}

static void node_close(struct node *node)
{
    ledger_close(node->ledger);
    node_remove(node);
}

void node_apply(struct node *node, const void *data, size_t size, struct list *answered)
{
    struct applied applied;
    node->index++;
    must(ledger_apply(node->ledger, node->index, data, size, &applied, answered), "ledger_apply");
    assert(!applied.was_void && !applied.different && !applied.diverged);
}

bool node_commit_is_due(const struct node *node)
{
    const uint64_t age_ns = spent_now().wall_ns - node->committed_ns;
    uint64_t period_ns = (uint64_t)COMMIT_PERIOD_MS * NS_PER_MILLISECOND;
    if (node->commit_took_ns * COMMIT_REST_TIMES > period_ns) {
        period_ns = node->commit_took_ns * COMMIT_REST_TIMES;
    }
    if (period_ns > (uint64_t)COMMIT_PERIOD_MS_MAX * NS_PER_MILLISECOND) {
        period_ns = (uint64_t)COMMIT_PERIOD_MS_MAX * NS_PER_MILLISECOND;
    }
    return ledger_uncommitted_bytes(node->ledger) >= COMMIT_ENTRY_BYTES_MAX ||
           ledger_uncommitted_pages(node->ledger) >= COMMIT_PAGES_MAX || age_ns >= period_ns;
}

void node_commit(struct node *node)
{
    const uint64_t begun_ns = spent_now().wall_ns;
    must(ledger_commit(node->ledger), "ledger_commit");
    node->committed_ns = spent_now().wall_ns;
    node->commit_took_ns = node->committed_ns - begun_ns;
}

uint64_t node_file_bytes(const struct node *node)
{
    char path[PATH_BYTES_MAX];
    file_path(node, "data.mdb", path);
    struct stat stat_of;
    must(stat(path, &stat_of) == 0 ? STATUS_OK : STATUS_IO, path);
    return (uint64_t)stat_of.st_blocks * 512;
}

static void account_name(uint64_t number, char name[32])
{
    (void)snprintf(name, 32, "customer-%08" PRIu64, number);
}

/* Submits what the requests hold, and brings it through both ledgers. */
static void setup_execute(struct world *world, struct ledger_request *requests, uint32_t count)
{
    struct list answered;
    list_init(&answered);
    for (uint32_t i = 0; i < count; i++) {
        ledger_submit(world->node.ledger, &requests[i], &answered);
    }
    struct ledger_entry *entry = NULL;
    do {
        world->now_ns += NS_PER_PAYMENT;
        must(ledger_verify(world->node.ledger, world->now_ns, &entry, &answered), "ledger_verify");
        if (entry != NULL) {
            if (world->has_follower) {
                node_apply(&world->follower, entry->bytes.data, entry->bytes.size, &answered);
            }
            struct buffer bytes;
            buffer_init(&bytes, ENTRY_BYTES_MAX);
            write_bytes(&bytes, entry->bytes.data, entry->bytes.size);
            node_apply(&world->node, bytes.data, bytes.size, &answered);
            buffer_deinit(&bytes);
        }
    } while (entry != NULL);
    for (uint32_t i = 0; i < count; i++) {
        must(requests[i].code == CODE_OK ? STATUS_OK : STATUS_INVALID, "setting up accounts");
        buffer_deinit(&requests[i].outcomes);
    }
}

/* Currency EUR and all accounts, each of which may overdraw without limit. */
static void setup(struct world *world)
{
    static struct ledger_request requests[SETUP_REQUESTS];
    static struct buffer bytes[SETUP_REQUESTS];
    static char names[SETUP_REQUESTS][32];
    uint64_t number = 0;
    while (number <= world->options.accounts) {
        uint32_t count = 0;
        while (count < SETUP_REQUESTS && number <= world->options.accounts) {
            struct command command = {.kind = COMMAND_CURRENCY_CREATE,
                                      .currency_create = {.code = TEXT("EUR"), .scale = 2}};
            if (number > 0) {
                account_name(number, names[count]);
                command = (struct command){.kind = COMMAND_ACCOUNT_OPEN,
                                           .account_open = {.id = text_of(names[count]),
                                                            .currency = TEXT("EUR"),
                                                            .overdraft_kind = OVERDRAFT_UNLIMITED}};
            }
            buffer_init(&bytes[count], REQUEST_BYTES_MAX);
            request_write_head(&bytes[count], REQUEST_SINGLE, 1);
            command_write(&bytes[count], &command);
            requests[count] = (struct ledger_request){
                .bytes = {.data = (const char *)bytes[count].data, .size = bytes[count].size}};
            count++;
            number++;
            if (number == 1) {
                break; /* accounts are verified once their currency is there */
            }
        }
        setup_execute(world, requests, count);
        for (uint32_t i = 0; i < count; i++) {
            buffer_deinit(&bytes[i]);
        }
        node_commit(&world->node);
        if (world->has_follower) {
            node_commit(&world->follower);
        }
    }
}

void world_open(struct world *world, const struct micro_options *options, bool has_follower)
{
    *world = (struct world){.options = *options,
                            .random = options->seed | 1,
                            .now_ns = FIRST_NS,
                            .has_follower = has_follower};
    node_open(&world->node, options->dir, "leader");
    if (has_follower) {
        node_open(&world->follower, options->dir, "follower");
    }
    ledger_epoch_begin(world->node.ledger, 1, 1);
    setup(world);
}

void world_close(struct world *world)
{
    struct list answered;
    list_init(&answered);
    ledger_epoch_end(world->node.ledger, &answered);
    node_close(&world->node);
    if (world->has_follower) {
        node_close(&world->follower);
    }
}

/* UUIDv7 as clients make them (RFC 9562, 5.7), or a random one (5.4). */
static struct uuid world_uuid(struct world *world)
{
    struct uuid id;
    put_u64(id.bytes, world_random(world));
    put_u64(id.bytes + 8, world_random(world));
    uint8_t version = 4;
    if (world->options.ids == IDS_V7) {
        const uint64_t ms = (uint64_t)world->now_ns / NS_PER_MILLISECOND;
        for (unsigned i = 0; i < 6; i++) {
            id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
        }
        version = 7;
    }
    id.bytes[6] = (uint8_t)((unsigned)(id.bytes[6] & 0x0f) | (unsigned)version << 4);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

void world_payment(struct world *world, struct micro_names *names, struct command *command)
{
    const uint64_t accounts = world->options.accounts;
    const uint64_t debit = world_random(world) % accounts;
    const uint64_t credit = (debit + 1 + world_random(world) % (accounts - 1)) % accounts;
    account_name(debit + 1, names->debit);
    account_name(credit + 1, names->credit);
    world->now_ns += NS_PER_PAYMENT;
    command->kind = COMMAND_PAYMENT;
    struct payment *payment = &command->payment;
    payment->id = world_uuid(world);
    payment->short_form = true;
    payment->has_valid_until = false;
    payment->has_effective_at = false;
    payment->has_reference = false;
    payment->has_metadata = false;
    payment->legs_count = 1;
    payment->legs[0] = (struct leg){.debit = text_of(names->debit),
                                    .credit = text_of(names->credit),
                                    .currency = TEXT("EUR"),
                                    .amount = 1 + world_random(world) % 100000};
}
