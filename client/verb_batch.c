/*
 * batch FILE: sends a file's payments in chunks. A chunk whose answer holds an unknown or a
 * retryable item is sent again as it is: what was executed comes back as replayed.
 */
#include "base/check.h"
#include "base/clock.h"
#include "client/batch_file.h"
#include "client/table.h"
#include "client/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct batch {
    struct batch_file file;
    bool atomic;
    uint32_t chunk_max;
    uint64_t posted, replayed, refused, unknown;
    struct table refusals;
};

static enum client_exit file_read(struct console *console, const char *path, struct buffer *bytes)
{
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        return console_fail(console, "%s: %s", path, strerror(errno));
    }
    size_t count = 1;
    while (count > 0 && buffer_reserve(bytes, STREAM_READ_BYTES)) {
        count = fread(bytes->data + bytes->size, 1, STREAM_READ_BYTES, in);
        bytes->size += count;
    }
    const bool failed = ferror(in) != 0;
    const int reason = errno;
    (void)fclose(in);
    if (failed) {
        return console_fail(console, "%s: %s", path, strerror(reason));
    }
    if (bytes->failed) {
        return console_fail(console, "%s: larger than %d bytes", path, CLIENT_FILE_BYTES_MAX);
    }
    return CLIENT_DONE;
}

struct scale_asker {
    struct console *console;
    enum client_exit end;
};

static bool scale_ask(void *data, struct text currency, uint8_t *scale)
{
    struct scale_asker *asker = data;
    asker->end = console_scale(asker->console, currency, scale);
    return asker->end == CLIENT_DONE;
}

static enum client_exit batch_read(struct console *console, struct batch *batch)
{
    char error[BATCH_ERROR_BYTES];
    const char *path = console->args.words[0];
    struct scale_asker asker = {.console = console, .end = CLIENT_DONE};
    const struct batch_options options = {
        .name = args_value(&console->args, "--name", 0), .scale = scale_ask, .data = &asker};
    struct buffer bytes;
    buffer_init(&bytes, CLIENT_FILE_BYTES_MAX);
    enum client_exit end = file_read(console, path, &bytes);
    if (end == CLIENT_DONE) {
        const struct text text = {(const char *)bytes.data, bytes.size};
        enum status status = batch_file_parse(&batch->file, text, &options, error);
        if (status == STATUS_AGAIN) {
            end = asker.end;
        } else if (status != STATUS_OK) {
            end = console_fail(console, "%s: %s", path, error);
        }
    }
    buffer_deinit(&bytes);
    return end;
}

/* Writes the request for items from `first` on; returns how many fit. */
static uint32_t chunk_write(struct console *console, const struct batch *batch, uint32_t first)
{
    uint32_t count = 0;
    buffer_clear(&console->params);
    struct json_writer writer = json_writer_of(&console->params);
    json_object_open(&writer);
    json_field_string(&writer, "mode", batch->atomic ? "atomic" : "independent");
    json_key(&writer, "items");
    json_array_open(&writer);
    while (first + count < batch->file.items_count && count < batch->chunk_max) {
        const struct batch_item item = batch_file_item(&batch->file, first + count);
        if (console->params.size + item.size > CLIENT_CHUNK_BYTES_MAX && count > 0) {
            break;
        }
        json_raw(&writer, batch_file_json(&batch->file, &item));
        count += 1;
    }
    json_array_close(&writer);
    json_object_close(&writer);
    return count;
}

/* Is there an item whose outcome may still become known, or another? */
static bool result_open(const struct value *result)
{
    const struct value *data = member(member(result, "error"), "data");
    bool recorded = false;
    const struct value *field = member(data, "recorded");
    const bool said = field != NULL && value_boolean(field, &recorded);
    return text_equal(member_text(data, "code"), TEXT("unknown")) ||
           (member_boolean(data, "retryable") && said && !recorded);
}

static bool chunk_open(const struct value *results)
{
    for (const struct value *result = value_first(results); result != NULL;
         result = value_next(result)) {
        if (result_open(result)) {
            return true;
        }
    }
    return false;
}

static void item_print_json(struct console *console, const struct batch_item *item,
                            const char *status, const struct value *error)
{
    struct buffer out;
    char id[UUID_TEXT_BYTES];
    uuid_format(&item->id, id);
    buffer_init(&out, MESSAGE_BYTES_MAX);
    struct json_writer writer = json_writer_of(&out);
    json_object_open(&writer);
    json_field_unsigned(&writer, "line", item->line);
    json_field_string(&writer, "id", id);
    json_field_string(&writer, "status", status);
    if (error != NULL) {
        json_key(&writer, "error");
        json_raw(&writer, value_source(error));
    }
    json_object_close(&writer);
    if (!out.failed) {
        (void)fwrite(out.data, 1, out.size, console->out);
        (void)fputc('\n', console->out);
    }
    buffer_deinit(&out);
}

static void item_note(struct console *console, struct batch *batch, const struct batch_item *item,
                      const struct value *result)
{
    const struct value *error = member(result, "error");
    const struct value *data = member(error, "data");
    const char *status = "posted";
    if (error == NULL) {
        const bool replayed = member_boolean(member(result, "result"), "replayed");
        status = replayed ? "replayed" : "posted";
        batch->replayed += replayed ? 1 : 0;
        batch->posted += replayed ? 0 : 1;
    } else if (text_equal(member_text(data, "code"), TEXT("unknown"))) {
        status = "unknown";
        batch->unknown += 1;
    } else {
        status = "refused";
        batch->refused += 1;
    }
    if (console->json) {
        item_print_json(console, item, status, error);
    } else if (error != NULL) {
        char text[UUID_TEXT_BYTES];
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)item->line);
        table_string(&batch->refusals, text);
        uuid_format(&item->id, text);
        table_string(&batch->refusals, text);
        table_cell(&batch->refusals, member_text(data, "code"));
        char message[REFUSAL_TEXT_BYTES];
        console_refusal(console, member_text(error, "message"), data, message);
        table_string(&batch->refusals, message);
    }
}

/* Sends one chunk until each of its items has its outcome, or the time is over. */
static enum client_exit chunk_send(struct console *console, struct batch *batch, uint32_t first,
                                   uint32_t count)
{
    const struct clock *clock = clock_system();
    const uint64_t deadline_ms = clock_monotonic_ms(clock) + console->options.timeout_ms;
    struct reply reply;
    const struct value *results = NULL;
    for (;;) {
        enum client_exit end = console_call(console, "payment.batch", &reply);
        if (end != CLIENT_DONE) {
            return end;
        }
        results = member(reply.result, "results");
        if (results == NULL || value_count(results) != count) {
            return console_fail(console, "the answer does not have one result per payment");
        }
        if (!chunk_open(results) || clock_monotonic_ms(clock) >= deadline_ms) {
            break;
        }
        (void)usleep(CLIENT_RETRY_MS * 1000);
    }
    uint32_t index = first;
    for (const struct value *result = value_first(results); result != NULL;
         result = value_next(result)) {
        const struct batch_item item = batch_file_item(&batch->file, index);
        item_note(console, batch, &item, result);
        index += 1;
    }
    return CLIENT_DONE;
}

static enum client_exit batch_send(struct console *console, struct batch *batch)
{
    enum client_exit end = CLIENT_DONE;
    uint32_t first = 0;
    while (end == CLIENT_DONE && first < batch->file.items_count) {
        const uint32_t count = chunk_write(console, batch, first);
        assert(count > 0);
        if (batch->atomic && count < batch->file.items_count) {
            return console_fail(console, "%u payments do not fit one atomic request (at most %d)",
                                batch->file.items_count, BATCH_ITEMS_MAX);
        }
        end = chunk_send(console, batch, first, count);
        first += end == CLIENT_DONE ? count : 0;
        if (!console->json && isatty(STDERR_FILENO) == 1) {
            (void)fprintf(console->errors, "\r%u of %u%s", first, batch->file.items_count,
                          first == batch->file.items_count ? "\n" : "");
        }
    }
    if (end != CLIENT_DONE) {
        (void)fprintf(console->errors,
                      "stopped after %u of %u payments; the same command goes on from there\n",
                      first, batch->file.items_count);
    }
    return end;
}

static enum client_exit batch_end(struct console *console, const struct batch *batch)
{
    if (!console->json) {
        if (batch->refused + batch->unknown > 0) {
            table_print(&batch->refusals, console->out);
        }
        (void)fprintf(console->out, "%llu posted, %llu posted before, %llu refused, %llu unknown\n",
                      (unsigned long long)batch->posted, (unsigned long long)batch->replayed,
                      (unsigned long long)batch->refused, (unsigned long long)batch->unknown);
    }
    if (batch->unknown > 0) {
        return CLIENT_UNKNOWN;
    }
    return batch->refused > 0 ? CLIENT_REFUSED : CLIENT_DONE;
}

enum client_exit batch_run(struct console *console)
{
    char error[ARGS_ERROR_BYTES];
    uint64_t chunk = 0;
    struct batch batch = {.atomic = args_has(&console->args, "--atomic")};
    if (args_number(&console->args, "--chunk", CLIENT_CHUNK_ITEMS, 1, BATCH_ITEMS_MAX, &chunk,
                    error) != STATUS_OK) {
        return console_usage(console, "%s", error);
    }
    if (batch.atomic && args_has(&console->args, "--chunk")) {
        return console_usage(console, "--atomic and --chunk exclude each other");
    }
    batch.chunk_max = batch.atomic ? BATCH_ITEMS_MAX : (uint32_t)chunk;
    enum client_exit end = batch_read(console, &batch);
    if (end != CLIENT_DONE) {
        return end;
    }
    table_init(&batch.refusals, ">line|id|code|message");
    end = batch_send(console, &batch);
    const enum client_exit summary = batch_end(console, &batch);
    table_deinit(&batch.refusals);
    batch_file_deinit(&batch.file);
    return end != CLIENT_DONE ? end : summary;
}
