#include "node/link_item.h"

#include <string.h>

enum { CLIENT_ADDRESS_BYTES_MAX = HOST_BYTES_MAX + 7, LINK_COUNTERS_MAX = 1024 };

static_assert((int)METRIC_COUNT <= (int)LINK_COUNTERS_MAX, "all counters of a node are told");

static void digest_write(struct buffer *out, const struct digest *digest)
{
    write_bytes(out, digest->bytes, DIGEST_BYTES);
}

static void digest_read(struct reader *reader, struct digest *digest)
{
    const uint8_t *bytes = read_bytes(reader, DIGEST_BYTES);
    if (bytes != NULL) {
        memcpy(digest->bytes, bytes, DIGEST_BYTES);
    }
}

static void status_write(struct buffer *out, const struct link_status *status)
{
    assert(status->counters_count <= METRIC_COUNT);
    write_u8(out, status->role);
    write_u8(out, status->copy_active ? 1 : 0);
    write_u32(out, status->leader);
    write_u64(out, status->term);
    write_u64(out, status->seq);
    write_u64(out, status->index);
    write_u64(out, (uint64_t)status->wall_ns);
    digest_write(out, &status->digest);
    write_text(out, status->client_address);
    write_varint(out, status->counters_count);
    for (uint32_t i = 0; i < status->counters_count; i++) {
        write_varint(out, status->counters[i]);
    }
}

static void status_read(struct reader *reader, struct link_status *status)
{
    status->role = read_u8(reader);
    uint8_t copy_active = read_u8(reader);
    status->copy_active = copy_active == 1;
    status->leader = read_u32(reader);
    status->term = read_u64(reader);
    status->seq = read_u64(reader);
    status->index = read_u64(reader);
    status->wall_ns = (int64_t)read_u64(reader);
    digest_read(reader, &status->digest);
    status->client_address = read_text(reader, CLIENT_ADDRESS_BYTES_MAX);
    uint64_t count = read_varint(reader);
    if (count > LINK_COUNTERS_MAX || copy_active > 1 || status->role > 2) {
        reader->failed = true;
        return;
    }
    /* A node of a later version may have more counters: those are passed over. */
    for (uint64_t i = 0; i < count; i++) {
        uint64_t counter = read_varint(reader);
        if (i < METRIC_COUNT) {
            status->counters[i] = counter;
        }
    }
    status->counters_count = (uint32_t)(count < METRIC_COUNT ? count : METRIC_COUNT);
}

void link_item_write(struct buffer *out, const struct link_item *item)
{
    write_u8(out, (uint8_t)item->kind);
    switch (item->kind) {
    case LINK_REQUEST:
        write_u64(out, item->ticket);
        write_text(out, item->bytes);
        break;
    case LINK_ANSWER:
        write_u64(out, item->ticket);
        write_u16(out, (uint16_t)item->code);
        write_u64(out, item->seq);
        write_u64(out, item->term);
        write_u64(out, (uint64_t)item->time_ns);
        write_u32(out, item->outcomes_count);
        write_text(out, item->bytes);
        break;
    case LINK_STATUS:
        status_write(out, &item->status);
        break;
    case LINK_DIGEST_ASK:
        write_u64(out, item->seq);
        digest_write(out, &item->digest);
        break;
    case LINK_DIGEST_TELL:
        write_u64(out, item->seq);
        write_u8(out, item->known ? 1 : 0);
        digest_write(out, &item->digest);
        break;
    }
}

static void answer_read(struct reader *reader, struct link_item *item)
{
    item->ticket = read_u64(reader);
    uint16_t code = read_u16(reader);
    item->seq = read_u64(reader);
    item->term = read_u64(reader);
    item->time_ns = (int64_t)read_u64(reader);
    item->outcomes_count = read_u32(reader);
    item->bytes = read_text(reader, ANSWER_BYTES_MAX);
    if (code > CODE_VALUE_MAX || (code != CODE_OK && code_info((enum code)code) == NULL) ||
        item->outcomes_count > BATCH_ITEMS_MAX) {
        reader->failed = true;
        return;
    }
    item->code = (enum code)code;
}

static void digest_tell_read(struct reader *reader, struct link_item *item)
{
    item->seq = read_u64(reader);
    uint8_t known = read_u8(reader);
    digest_read(reader, &item->digest);
    item->known = known == 1;
    if (known > 1) {
        reader->failed = true;
    }
}

enum status link_item_read(struct reader *reader, struct link_item *item)
{
    struct link_item read = {0};
    uint8_t kind = read_u8(reader);
    switch (kind) {
    case LINK_REQUEST:
        read.ticket = read_u64(reader);
        read.bytes = read_text(reader, REQUEST_BYTES_MAX);
        break;
    case LINK_ANSWER:
        answer_read(reader, &read);
        break;
    case LINK_STATUS:
        status_read(reader, &read.status);
        break;
    case LINK_DIGEST_ASK:
        read.seq = read_u64(reader);
        digest_read(reader, &read.digest);
        break;
    case LINK_DIGEST_TELL:
        digest_tell_read(reader, &read);
        break;
    default:
        return STATUS_PROTOCOL;
    }
    if (reader->failed) {
        return STATUS_PROTOCOL;
    }
    read.kind = (enum link_item_kind)kind;
    *item = read;
    return STATUS_OK;
}
