/*
 * One ledger that grows, on the leader: requests are verified and applied in one thread, with
 * commits where the node would make them. What a part of the way costs is printed beside what the
 * ledger holds by then.
 */
#include "bench/micro/micro.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { GROWTH_PARTS = 20, LINE_BYTES = 256 };

struct growth {
    struct spent verify;
    struct spent apply;
    struct spent commit;
    uint64_t commit_max_ns;
    uint32_t commits;
};

/* Memory of the process that is not the page cache's, in KiB. */
static uint64_t anonymous_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL) {
        return 0;
    }
    char line[LINE_BYTES];
    uint64_t kib = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        static const char name[] = "RssAnon:";
        if (strncmp(line, name, sizeof(name) - 1) == 0) {
            kib = strtoull(line + sizeof(name) - 1, NULL, 10);
        }
    }
    (void)fclose(file);
    return kib;
}

static void commit(struct world *world, struct growth *growth)
{
    struct spent spent = {0};
    const struct spent since = spent_now();
    node_commit(&world->node);
    spent_add(&spent, since);
    growth->commit.cpu_ns += spent.cpu_ns;
    growth->commit.wall_ns += spent.wall_ns;
    growth->commits++;
    if (spent.wall_ns > growth->commit_max_ns) {
        growth->commit_max_ns = spent.wall_ns;
    }
}

/* One request of per_entry payments all the way. */
static void execute(struct world *world, struct buffer *bytes, struct growth *growth)
{
    buffer_clear(bytes);
    const uint32_t count = world->options.per_entry;
    request_write_head(bytes, count == 1 ? REQUEST_SINGLE : REQUEST_INDEPENDENT, count);
    for (uint32_t i = 0; i < count; i++) {
        struct micro_names names;
        struct command command;
        world_payment(world, &names, &command);
        command_write(bytes, &command);
    }
    struct ledger_request request = {
        .bytes = {.data = (const char *)bytes->data, .size = bytes->size}};
    struct list answered;
    list_init(&answered);
    struct ledger_entry *entry = NULL;
    struct spent since = spent_now();
    ledger_submit(world->node.ledger, &request, &answered);
    must(ledger_verify(world->node.ledger, world->now_ns, &entry, &answered), "ledger_verify");
    spent_add(&growth->verify, since);
    assert(entry != NULL);
    buffer_clear(bytes);
    write_bytes(bytes, entry->bytes.data, entry->bytes.size);
    since = spent_now();
    node_apply(&world->node, bytes->data, bytes->size, &answered);
    spent_add(&growth->apply, since);
    must(request.code == CODE_OK && request.outcomes_count == count ? STATUS_OK : STATUS_INVALID,
         "ledger_apply");
    buffer_deinit(&request.outcomes);
    world->uncommitted += count;
    const uint64_t per_commit = world->options.per_commit;
    if (per_commit > 0 ? world->uncommitted >= per_commit : node_commit_is_due(&world->node)) {
        commit(world, growth);
        world->uncommitted = 0;
    }
}

static void print_part(FILE *out, bool json, uint64_t done, uint64_t part,
                       const struct growth *growth, uint64_t file_bytes)
{
    const uint64_t wall_ns =
        growth->verify.wall_ns + growth->apply.wall_ns + growth->commit.wall_ns;
    const uint64_t cpu_ns = growth->verify.cpu_ns + growth->apply.cpu_ns + growth->commit.cpu_ns;
    const uint64_t figures[] = {done,
                                part * 1000000000 / wall_ns,
                                part * 1000000000 / cpu_ns,
                                growth->verify.cpu_ns / part,
                                growth->apply.cpu_ns / part,
                                growth->commit.cpu_ns / part,
                                growth->commit.wall_ns / part,
                                growth->commit_max_ns / 1000000,
                                file_bytes / done,
                                anonymous_kib()};
    static const char *const names[] = {
        "payments",      "per_second",     "per_cpu_second", "verify_cpu_ns",     "apply_cpu_ns",
        "commit_cpu_ns", "commit_wall_ns", "commit_max_ms",  "bytes_per_payment", "memory_kib"};
    static_assert(ARRAY_COUNT(figures) == ARRAY_COUNT(names), "each figure has its name");
    for (size_t i = 0; i < ARRAY_COUNT(figures); i++) {
        if (json) {
            (void)fprintf(out, "%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", names[i], figures[i]);
        } else {
            (void)fprintf(out, "%10" PRIu64, figures[i]);
        }
    }
    (void)fprintf(out, json ? "}\n" : "\n");
    (void)fflush(out);
}

void growth_run(const struct micro_options *options, bool json, FILE *out)
{
    static struct world world;
    world_open(&world, options, false);
    const uint64_t file_before = node_file_bytes(&world.node);
    struct buffer bytes;
    buffer_init(&bytes, REQUEST_BYTES_MAX);
    if (!json) {
        (void)fprintf(out,
                      "%" PRIu64 " accounts (%" PRIu64 " MiB), %s ids, %u payments per entry\n"
                      "%10s%10s%10s%10s%10s%10s%10s%10s%10s%10s\n",
                      options->accounts, file_before >> 20,
                      options->ids == IDS_V7 ? "UUIDv7" : "random", options->per_entry, "payments",
                      "per s", "per cpu s", "verify", "apply", "commit", "c. wall", "c.max ms",
                      "bytes", "KiB");
    }
    const uint64_t part = options->payments / GROWTH_PARTS;
    uint64_t done = 0;
    while (done < options->payments) {
        struct growth growth = {0};
        uint64_t in_part = 0;
        while (in_part < part || in_part == 0) {
            execute(&world, &bytes, &growth);
            in_part += options->per_entry;
        }
        done += in_part;
        const uint64_t file_bytes = node_file_bytes(&world.node) - file_before;
        print_part(out, json, done, in_part, &growth, file_bytes);
    }
    buffer_deinit(&bytes);
    world_close(&world);
}
