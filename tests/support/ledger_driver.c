#include "tests/support/ledger_driver.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

enum { DRIVER_ERROR_BYTES = 256 };
#define DRIVER_MAP_BYTES ((uint64_t)4 << 30)

static void driver_start(struct driver *driver)
{
    char error[DRIVER_ERROR_BYTES] = "";
    const struct ledger_options options = {.path = driver->dir,
                                           .map_bytes = DRIVER_MAP_BYTES,
                                           .metrics = &driver->metrics,
                                           .abort_on_difference = true};
    const enum status status = ledger_open(&driver->ledger, &options, error, sizeof(error));
    if (status != STATUS_OK) {
        fail_msg("ledger_open: %s: %s", status_name(status), error);
    }
    driver->index = ledger_position(driver->ledger).index;
}

void driver_open(struct driver *driver)
{
    *driver = (struct driver){.now_ns = 1000000000};
    driver->dir = test_dir_make();
    driver_start(driver);
}

static void mark_answered(struct list *answered)
{
    for (struct list *node = list_pop(answered); node != NULL; node = list_pop(answered)) {
        struct ledger_request *request = CONTAINER_OF(node, struct ledger_request, node);
        struct call *call = CONTAINER_OF(request, struct call, request);
        assert_false(call->answered);
        call->answered = true;
    }
}

void driver_resign(struct driver *driver)
{
    struct list answered;
    list_init(&answered);
    ledger_epoch_end(driver->ledger, &answered);
    mark_answered(&answered);
}

/* The call of driver_do whose outcome's texts are still borrowed. */
static struct call *last_call;

void driver_close(struct driver *driver)
{
    call_free(last_call);
    last_call = NULL;
    driver_resign(driver);
    ledger_close(driver->ledger);
    test_dir_remove(driver->dir);
    *driver = (struct driver){0};
}

void driver_restart(struct driver *driver)
{
    driver_resign(driver);
    ledger_close(driver->ledger);
    driver_start(driver);
}

void driver_lead(struct driver *driver)
{
    driver_resign(driver);
    driver->epoch++;
    driver->term++;
    ledger_epoch_begin(driver->ledger, driver->epoch, driver->term);
}

struct call *call_make(enum request_mode mode, const struct command *commands, uint32_t count)
{
    struct call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    buffer_init(&call->bytes, REQUEST_BYTES_MAX);
    request_write_head(&call->bytes, mode, count);
    for (uint32_t i = 0; i < count; i++) {
        command_write(&call->bytes, &commands[i]);
    }
    assert_false(call->bytes.failed);
    call->request.bytes =
        (struct text){.data = (const char *)call->bytes.data, .size = call->bytes.size};
    return call;
}

void call_free(struct call *call)
{
    if (call != NULL) {
        buffer_deinit(&call->bytes);
        buffer_deinit(&call->request.outcomes);
        free(call);
    }
}

void driver_submit(struct driver *driver, struct call *call)
{
    struct list answered;
    list_init(&answered);
    ledger_submit(driver->ledger, &call->request, &answered);
    mark_answered(&answered);
}

struct ledger_entry *driver_verify(struct driver *driver)
{
    struct list answered;
    list_init(&answered);
    struct ledger_entry *entry = NULL;
    driver->now_ns += 1000;
    check_ok(ledger_verify(driver->ledger, driver->now_ns, &entry, &answered));
    mark_answered(&answered);
    if (entry != NULL) {
        entry->proposed = true;
    }
    return entry;
}

struct applied driver_apply(struct driver *driver, const void *data, size_t size)
{
    struct list answered;
    list_init(&answered);
    struct applied applied;
    driver->index++;
    check_ok(ledger_apply(driver->ledger, driver->index, data, size, &applied, &answered));
    mark_answered(&answered);
    return applied;
}

void driver_settle(struct driver *driver)
{
    for (struct ledger_entry *entry = driver_verify(driver); entry != NULL;
         entry = driver_verify(driver)) {
        struct buffer bytes;
        buffer_init(&bytes, ENTRY_BYTES_MAX);
        write_bytes(&bytes, entry->bytes.data, entry->bytes.size);
        const struct applied applied = driver_apply(driver, bytes.data, bytes.size);
        assert_true(applied.own);
        assert_false(applied.was_void);
        assert_false(applied.diverged);
        buffer_deinit(&bytes);
    }
}

void driver_call(struct driver *driver, struct call *call)
{
    driver_submit(driver, call);
    driver_settle(driver);
    assert_true(call->answered);
}

enum code driver_do(struct driver *driver, const struct command *command, struct outcome *outcome)
{
    call_free(last_call);
    last_call = call_make(REQUEST_SINGLE, command, 1);
    driver_call(driver, last_call);
    if (last_call->request.code != CODE_OK) {
        return last_call->request.code;
    }
    struct outcome local;
    struct outcome *target = outcome != NULL ? outcome : &local;
    call_outcome(last_call, 0, target);
    return target->code;
}

void call_outcome(const struct call *call, uint32_t index, struct outcome *outcome)
{
    assert_true(call->answered);
    assert_int_equal(call->request.code, CODE_OK);
    assert_true(index < call->request.outcomes_count);
    struct reader reader = reader_of(call->request.outcomes.data, call->request.outcomes.size);
    for (uint32_t i = 0; i <= index; i++) {
        check_ok(outcome_read(&reader, outcome));
        if (outcome->code == CODE_OK && outcome->kind == COMMAND_ACCOUNT_OPEN) {
            struct account_view view;
            check_ok(account_view_read(&reader, &view));
        }
        if (outcome->code == CODE_OK && outcome->kind == COMMAND_CURRENCY_CREATE) {
            struct currency_view view;
            check_ok(currency_view_read(&reader, &view));
        }
    }
    if (index + 1 == call->request.outcomes_count) {
        assert_int_equal(reader_left(&reader), 0);
    }
}

struct uuid uuid_of(uint64_t number)
{
    struct uuid id = {.bytes = {0x01, 0x98, 0xd2, 0xc4, 0xa0, 0xf0, 0x7c, 0x3e}};
    for (uint32_t i = 0; i < sizeof(number); i++) {
        id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    }
    return id;
}

struct command make_currency(const char *code, uint8_t scale)
{
    return (struct command){.kind = COMMAND_CURRENCY_CREATE,
                            .currency_create = {.code = text_of(code), .scale = scale}};
}

struct command make_account(const char *id, const char *currency, bool debit_normal,
                            int64_t overdraft)
{
    return (struct command){
        .kind = COMMAND_ACCOUNT_OPEN,
        .account_open = {.id = text_of(id),
                         .currency = text_of(currency),
                         .debit_normal = debit_normal,
                         .overdraft_kind = overdraft < 0 ? OVERDRAFT_UNLIMITED : OVERDRAFT_LIMIT,
                         .overdraft_limit = overdraft < 0 ? 0 : (u128)overdraft}};
}

struct command make_payment(uint64_t id, const char *debit, const char *credit, u128 amount)
{
    struct command command = {.kind = COMMAND_PAYMENT};
    command.payment.id = uuid_of(id);
    command.payment.short_form = true;
    add_leg(&command, debit, credit, amount);
    command.payment.short_form = true;
    return command;
}

void add_leg(struct command *payment, const char *debit, const char *credit, u128 amount)
{
    struct payment *target = &payment->payment;
    assert_true(target->legs_count < LEGS_MAX);
    target->legs[target->legs_count] =
        (struct leg){.debit = text_of(debit), .credit = text_of(credit), .amount = amount};
    target->legs_count++;
    target->short_form = false;
}

void driver_make_bank(struct driver *driver)
{
    const struct command commands[] = {
        make_currency("EUR", 2),
        make_account("alice", "EUR", false, 0),
        make_account("bob", "EUR", false, 0),
        make_account("shop", "EUR", false, 0),
        make_account("bank", "EUR", false, -1),
        make_payment(1, "bank", "alice", 1000),
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(commands); i++) {
        assert_int_equal(driver_do(driver, &commands[i], NULL), CODE_OK);
    }
}

uint64_t driver_seq(const struct driver *driver)
{
    return ledger_position(driver->ledger).seq;
}

struct applied driver_apply_entry(struct driver *driver, const struct ledger_entry *entry)
{
    static uint8_t bytes[ENTRY_BYTES_MAX];
    const size_t size = entry->bytes.size;
    memcpy(bytes, entry->bytes.data, size);
    return driver_apply(driver, bytes, size);
}

i128 driver_posted(struct driver *driver, const char *id)
{
    struct query query = {.kind = QUERY_ACCOUNT_GET};
    memcpy(query.account, id, strlen(id));
    query.account_size = (uint8_t)strlen(id);
    struct buffer answer;
    buffer_init(&answer, ANSWER_BYTES_MAX);
    check_ok(ledger_query(driver->ledger, &query, &answer));
    struct reader reader = reader_of(answer.data, answer.size);
    struct answer_head head;
    struct account_view view;
    check_ok(answer_head_read(&reader, &head));
    check_ok(account_view_read(&reader, &view));
    const i128 posted = view.posted;
    buffer_deinit(&answer);
    return posted;
}

enum code call_code(const struct call *call, uint32_t index)
{
    static struct outcome outcome;
    call_outcome(call, index, &outcome);
    return outcome.code;
}

struct call *call_make_long(enum request_mode mode, uint64_t first_id, uint32_t count)
{
    static char metadata[METADATA_BYTES_MAX];
    memset(metadata, ' ', sizeof(metadata));
    metadata[0] = '{';
    metadata[sizeof(metadata) - 1] = '}';
    struct command *commands = calloc(count, sizeof(*commands));
    assert_non_null(commands);
    for (uint32_t i = 0; i < count; i++) {
        commands[i] = make_payment(first_id + i, "bank", "bob", 1);
        commands[i].payment.has_metadata = true;
        commands[i].payment.metadata = (struct text){.data = metadata, .size = sizeof(metadata)};
    }
    struct call *call = call_make(mode, commands, count);
    free(commands);
    return call;
}
