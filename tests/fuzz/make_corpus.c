/*
 * Makes the corpora of the ledger's forms: make_corpus DIRECTORY writes into DIRECTORY/request,
 * entry, answer and record, which must exist. The same program makes the same files.
 */
#include "base/check.h"
#include "ledger/query.h"
#include "ledger/store.h"
#include "tests/support/forms.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILES_PER_CORPUS = 30 };

static void save(const char *root, const char *corpus, int number, const struct buffer *bytes)
{
    char path[4096];
    const int size = snprintf(path, sizeof(path), "%s/%s/%02d", root, corpus, number);
    assert(size > 0 && (size_t)size < sizeof(path));
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes->data, 1, bytes->size, file) != bytes->size ||
        fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

static void make_request(struct forms *forms, int number, struct buffer *out)
{
    const enum request_mode mode = (enum request_mode)(number % 4);
    const uint32_t count = mode == REQUEST_BARRIER  ? 0
                           : mode == REQUEST_SINGLE ? 1
                                                    : 1 + (uint32_t)forms_below(forms, 4);
    request_write_head(out, mode, count);
    for (uint32_t i = 0; i < count; i++) {
        struct command command;
        forms_command(forms, &command);
        command_write(out, &command);
    }
}

static void make_entry(struct forms *forms, int number, struct buffer *out)
{
    const struct uuid id = forms_uuid(forms);
    if (number == 0) {
        entry_write_barrier(out, 7, &id);
        return;
    }
    struct entry_header header = {.term = 1 + forms_below(forms, 9),
                                  .first_seq = 1000 + forms_below(forms, 1000),
                                  .count = 1 + (uint32_t)forms_below(forms, 4),
                                  .time_ns = 1800000000000000000 + number,
                                  .id = id,
                                  .digest_seq = forms_below(forms, 1000)};
    entry_begin(out);
    if (forms_coin(forms)) {
        entry_item_write(out, &(struct entry_item){.kind = ENTRY_ITEM_GROUP,
                                                   .group_count = header.count,
                                                   .group_aborted = forms_coin(forms)});
    }
    for (uint32_t i = 0; i < header.count; i++) {
        struct entry_command command;
        const enum code expected = forms_coin(forms) ? CODE_OK : CODE_INSUFFICIENT_FUNDS;
        entry_item_write(out,
                         &(struct entry_item){.kind = ENTRY_ITEM_COMMAND, .expected = expected});
        forms_entry_command(forms, &command);
        entry_command_write(out, &command);
    }
    entry_finish(out, &header);
}

static void make_answer(struct forms *forms, int number, struct buffer *out)
{
    const uint8_t kind = (uint8_t)(number % 5);
    write_u8(out, kind);
    if (kind == 0) {
        struct outcome outcome;
        forms_outcome(forms, (enum command_kind)(1 + forms_below(forms, 3)), &outcome);
        outcome_write(out, &outcome);
    } else if (kind == 1) {
        struct account_view view;
        forms_account_view(forms, &view);
        account_view_write(out, &view);
    } else if (kind == 2) {
        struct currency_view view;
        forms_currency_view(forms, &view);
        currency_view_write(out, &view);
    } else if (kind == 3) {
        struct payment_view view;
        forms_payment_view(forms, &view);
        payment_view_write(out, &view);
    } else {
        const struct answer_head head = {.code = CODE_NOT_FOUND,
                                         .seq = forms_below(forms, SEQ_MAX),
                                         .cursor = forms_below(forms, 1000),
                                         .count = (uint32_t)forms_below(forms, 9)};
        answer_head_write(out, &head);
    }
}

static void make_record(struct forms *forms, int number, struct buffer *out)
{
    /* The fuzz target makes the seq from the first 8 bytes. */
    const uint64_t seq = 1000 + (uint64_t)number;
    struct entry_command command;
    struct decision decision;
    struct buffer form;
    buffer_init(&form, 64 * 1024);
    forms_entry_command(forms, &command);
    entry_command_write(&form, &command);
    forms_decision(forms, seq, &command, &decision);
    write_u64(out, seq - 1);
    const struct text form_text = {.data = (const char *)form.data, .size = form.size};
    record_write(out, &command.payment.id, form_text, &decision);
    buffer_deinit(&form);
}

int main(int argc, char **argv)
{
    static struct forms forms;
    static const struct {
        const char *name;
        void (*make)(struct forms *forms, int number, struct buffer *out);
    } corpora[] = {{"request", make_request},
                   {"entry", make_entry},
                   {"answer", make_answer},
                   {"record", make_record}};
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    struct buffer out;
    buffer_init(&out, 1024 * 1024);
    for (size_t i = 0; i < ARRAY_COUNT(corpora); i++) {
        forms_init(&forms, 20261123 + i);
        forms.legs_max = 3; /* small files reach the same code */
        for (int number = 0; number < FILES_PER_CORPUS; number++) {
            forms_clear(&forms);
            buffer_clear(&out);
            corpora[i].make(&forms, number, &out);
            assert(!out.failed);
            save(argv[1], corpora[i].name, number, &out);
        }
    }
    buffer_deinit(&out);
    return EXIT_SUCCESS;
}
