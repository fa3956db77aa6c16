/*
 * A file of payments, turned into params of payment.create with an id each: JSON objects, one a
 * line, or CSV with a head. Every line that can not be sent is an error that names it; nothing is
 * sent of a file with errors.
 */
#ifndef CLIENT_BATCH_FILE_H
#define CLIENT_BATCH_FILE_H

#include "ledger/types.h"

struct batch_item {
    uint64_t line; /* from 1 */
    struct uuid id;
    size_t offset; /* of its JSON in batch_file.json */
    size_t size;
};

struct batch_file {
    struct buffer json;
    struct buffer items; /* struct batch_item */
    uint32_t items_count;
};

struct batch_options {
    const char *name; /* for derived ids; NULL: every payment must have its own */
    /* The scale of a currency; false after a message. For CSV. */
    bool (*scale)(void *data, struct text currency, uint8_t *scale);
    void *data;
};

enum { BATCH_ERROR_BYTES = 512 };

/* STATUS_INVALID: `error` names the line; STATUS_AGAIN: `scale` said no; STATUS_NO_MEMORY. */
enum status MUST_CHECK batch_file_parse(struct batch_file *file, struct text bytes,
                                        const struct batch_options *options,
                                        char error[BATCH_ERROR_BYTES]);
void batch_file_deinit(struct batch_file *file);

struct batch_item batch_file_item(const struct batch_file *file, uint32_t index);
struct text batch_file_json(const struct batch_file *file, const struct batch_item *item);

#endif
