#include "tests/simulation/oracle.h"

#include "base/check.h"
#include "ledger/internal.h"
#include "tests/simulation/faults.h"

#include <stdlib.h>
#include <string.h>

enum { INDEXES_MAX = 1 << 18, SEQS_MAX = 1 << 17, TERMS_MAX = 1 << 16 };

struct balance {
    uint64_t seq;
    i128 posted;
    uint64_t entries;
};

struct history {
    struct balance *balances;
    size_t count;
    size_t capacity;
};

struct fact {
    uint64_t index;  /* of its entry */
    uint64_t record; /* hash of its record; 0: not seen */
    enum code code;
    bool boundary; /* the last command of its entry */
    bool has_digest;
    struct digest digest;
};

/* A payment as its client wrote it. */
struct sent {
    uint32_t count;
    int debits[SENT_LEGS_MAX], credits[SENT_LEGS_MAX];
    uint64_t amounts[SENT_LEGS_MAX];
};

static struct {
    struct model model;
    struct sent sent[PAYMENTS_MAX];
    struct model_payment *payments[PAYMENTS_MAX];
    bool forbidden[PAYMENTS_MAX];
    int account_of[MODEL_ACCOUNTS + 1]; /* by the ledger's number */
    int currency_of[MODEL_CURRENCIES + 1];
    uint32_t accounts_count, currencies_count;
    struct history histories[MODEL_ACCOUNTS];
    uint64_t *entries;  /* hash by raft index; 0: none of ours */
    struct text *bytes; /* by raft index */
    uint64_t index_max;
    struct hasher *hasher;
    uint64_t hashed;                     /* seq up to which the digest is being added up anew */
    struct fact *facts;                  /* by seq */
    uint32_t *leaders;                   /* by term */
    uint64_t looked[PROCESSES_MAX];      /* seq up to which a node was looked at */
    uint64_t looked_term[PROCESSES_MAX]; /* its raft term then */
    struct oracle_figures figures;
} oracle;

uint64_t oracle_seq(void)
{
    return oracle.model.seq;
}

struct oracle_figures oracle_figures(void)
{
    return oracle.figures;
}

struct uuid payment_uuid(uint64_t number)
{
    struct uuid uuid = {.bytes = {0x51, 0x3d, 0x75, 0x1a, 0x70, 0x00, 0x70, 0x01}};
    for (int i = 0; i < 8; i++) {
        uuid.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    }
    return uuid;
}

uint64_t payment_number(const struct uuid *uuid)
{
    uint64_t number = 0;
    for (int i = 8; i < 16; i++) {
        number = number << 8 | uuid->bytes[i];
    }
    struct uuid same = payment_uuid(number);
    return number < PAYMENTS_MAX && uuid_equal(&same, uuid) ? number : 0;
}

void oracle_expect(uint64_t number, uint32_t leg, int debit, int credit, uint64_t amount)
{
    assert(number < PAYMENTS_MAX && leg < SENT_LEGS_MAX);
    struct sent *sent = &oracle.sent[number];
    sent->count = leg + 1;
    sent->debits[leg] = debit;
    sent->credits[leg] = credit;
    sent->amounts[leg] = amount;
}

void oracle_forbid(uint64_t number)
{
    oracle.forbidden[number] = true;
    if (oracle_payment(number) != NULL) {
        world_fail("payment %llu was refused as surely not executed, and is in the log",
                   (unsigned long long)number);
    }
}

const struct model_outcome *oracle_payment(uint64_t number)
{
    const struct model_record *record = &oracle.model.records[number];
    return record->payment == NULL ? NULL : &record->outcome;
}

bool oracle_balance(int account, uint64_t seq, i128 *posted, uint64_t *entries)
{
    const struct history *history = &oracle.histories[account];
    size_t low = 0;
    size_t high = history->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (history->balances[middle].seq <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return false;
    }
    *posted = history->balances[low - 1].posted;
    *entries = history->balances[low - 1].entries;
    return true;
}

void oracle_open(void)
{
    static struct model_payment refused;
    model_init(&oracle.model, PAYMENTS_MAX);
    /* Number 0 stands for an item outside of an entry that makes a batch fail. */
    oracle.model.records[0].payment = &refused;
    oracle.model.records[0].outcome.code = CODE_INSUFFICIENT_FUNDS;
    oracle.payments[0] = &refused;
    oracle.entries = calloc(INDEXES_MAX, sizeof(*oracle.entries));
    oracle.bytes = calloc(INDEXES_MAX, sizeof(*oracle.bytes));
    assert(oracle.bytes != NULL && hasher_open(&oracle.hasher) == STATUS_OK);
    oracle.facts = calloc(SEQS_MAX, sizeof(*oracle.facts));
    oracle.leaders = calloc(TERMS_MAX, sizeof(*oracle.leaders));
    assert(oracle.entries != NULL && oracle.facts != NULL && oracle.leaders != NULL);
    oracle.facts[0].boundary = true;
}

/* ---- the canonical log --------------------------------------------------------------------- */

static int account_named(const struct entry_ref *ref)
{
    if (ref->number != 0) {
        if (ref->number > oracle.accounts_count) {
            world_fail("an entry names account number %llu, which is not open",
                       (unsigned long long)ref->number);
        }
        return oracle.account_of[ref->number];
    }
    for (int i = 0; i < MODEL_ACCOUNTS; i++) {
        if (text_equal(ref->text, text_of(model_account_name(i)))) {
            return i;
        }
    }
    world_fail("an entry names an unknown account");
}

static int currency_named(struct text code)
{
    for (int i = 0; i < MODEL_CURRENCIES; i++) {
        if (text_equal(code, text_of(model_currency_name(i)))) {
            return i;
        }
    }
    world_fail("an entry names an unknown currency");
}

static int currency_of(const struct entry_ref *ref)
{
    if (ref->number != 0) {
        assert(ref->number <= oracle.currencies_count);
        return oracle.currency_of[ref->number];
    }
    return ref->text.size == 0 ? MODEL_NONE : currency_named(ref->text);
}

static void compare_sent(const struct model_payment *payment)
{
    const struct sent *sent = &oracle.sent[payment->id];
    bool same = sent->count == payment->legs_count;
    for (uint32_t i = 0; same && i < sent->count; i++) {
        const struct model_leg *leg = &payment->legs[i];
        same = leg->debit == sent->debits[i] && leg->credit == sent->credits[i] &&
               leg->amount == sent->amounts[i];
    }
    if (!same) {
        world_fail("payment %llu is in the log otherwise than it was sent",
                   (unsigned long long)payment->id);
    }
}

static struct model_payment *payment_of(const struct entry_payment *from)
{
    uint64_t number = payment_number(&from->id);
    if (number == 0 || number >= PAYMENTS_MAX) {
        world_fail("an entry has a payment that nobody sent");
    }
    if (oracle.forbidden[number]) {
        world_fail("payment %llu was refused as surely not executed, and got into the log",
                   (unsigned long long)number);
    }
    struct model_payment *payment = calloc(1, sizeof(*payment));
    assert(payment != NULL);
    payment->id = number;
    payment->short_form = from->short_form;
    payment->valid_until_ns = from->has_valid_until ? from->valid_until_ns : 0;
    payment->reference = MODEL_NONE;
    payment->legs_count = from->legs_count;
    for (uint32_t i = 0; i < from->legs_count; i++) {
        payment->legs[i] = (struct model_leg){.debit = account_named(&from->legs[i].debit),
                                              .credit = account_named(&from->legs[i].credit),
                                              .currency = currency_of(&from->legs[i].currency),
                                              .amount = from->legs[i].amount};
    }
    compare_sent(payment);
    return payment;
}

static struct model_command command_of(const struct entry_command *from)
{
    struct model_command command = {.kind = from->kind};
    if (from->kind == COMMAND_PAYMENT) {
        command.payment = payment_of(&from->payment);
    } else if (from->kind == COMMAND_ACCOUNT_OPEN) {
        const struct entry_ref name = {.text = from->account_open.id};
        command.account = account_named(&name);
        command.currency = currency_of(&from->account_open.currency);
        command.debit_normal = from->account_open.debit_normal;
        command.unlimited = from->account_open.overdraft_kind == OVERDRAFT_UNLIMITED;
        command.limit = from->account_open.overdraft_limit;
    } else {
        command.currency = currency_named(from->currency_create.code);
        command.scale = from->currency_create.scale;
    }
    return command;
}

static void remember(int account, uint64_t seq)
{
    const struct model_account *state = &oracle.model.books.accounts[account];
    struct history *history = &oracle.histories[account];
    if (history->count == history->capacity) {
        history->capacity = history->capacity == 0 ? 64 : 2 * history->capacity;
        history->balances =
            realloc(history->balances, history->capacity * sizeof(*history->balances));
        assert(history->balances != NULL);
    }
    history->balances[history->count++] =
        (struct balance){.seq = seq, .posted = model_posted(state), .entries = state->entries};
}

/* What the model made of one command, as a fact about its seq. */
static void note_outcome(const struct model_command *command, const struct model_outcome *outcome,
                         uint64_t index, uint64_t seq)
{
    assert(seq < SEQS_MAX);
    if (outcome->seq != seq) {
        world_fail("the model gives seq %llu to a command of the log, which has %llu (code %d)",
                   (unsigned long long)outcome->seq, (unsigned long long)seq, (int)outcome->code);
    }
    struct fact *fact = &oracle.facts[seq];
    fact->index = index;
    fact->code = outcome->code;
    if (command->kind == COMMAND_ACCOUNT_OPEN) {
        oracle.account_of[++oracle.accounts_count] = command->account;
        remember(command->account, seq);
    } else if (command->kind == COMMAND_CURRENCY_CREATE) {
        oracle.currency_of[++oracle.currencies_count] = command->currency;
    } else {
        oracle.figures.payments++;
        for (uint32_t i = 0; i < outcome->rows_count; i++) {
            remember(outcome->rows[i].account, seq);
        }
    }
}

static void run_group(const struct model_command *commands, uint32_t count, bool atomic,
                      bool aborted, const struct entry_header *header, uint64_t index)
{
    static struct model_command with_outsider[BATCH_ITEMS_MAX + 1];
    static struct model_outcome outcomes[BATCH_ITEMS_MAX + 1];
    memcpy(with_outsider, commands, count * sizeof(*commands));
    with_outsider[count] =
        (struct model_command){.kind = COMMAND_PAYMENT, .payment = oracle.payments[0]};
    uint64_t seq = oracle.model.seq;
    model_run(&oracle.model, with_outsider, aborted ? count + 1 : count, atomic, header->term,
              header->time_ns, outcomes);
    for (uint32_t i = 0; i < count; i++) {
        note_outcome(&commands[i], &outcomes[i], index, ++seq);
        model_outcome_free(&outcomes[i]);
    }
}

static void run_entry(const struct entry_header *header, struct reader *items, uint64_t index)
{
    static struct model_command commands[BATCH_ITEMS_MAX];
    static struct entry_command command;
    while (reader_left(items) > 0) {
        struct entry_item item;
        if (entry_item_read(items, &item) != STATUS_OK) {
            world_fail("an entry's item is damaged");
        }
        bool atomic = item.kind == ENTRY_ITEM_GROUP;
        uint32_t count = atomic ? item.group_count : 1;
        for (uint32_t i = 0; i < count; i++) {
            struct entry_item inner;
            struct text form;
            if ((atomic && entry_item_read(items, &inner) != STATUS_OK) ||
                entry_command_read(items, &command, &form) != STATUS_OK) {
                world_fail("an entry's command is damaged");
            }
            commands[i] = command_of(&command);
        }
        run_group(commands, count, atomic, atomic && item.group_aborted, header, index);
    }
}

static void entry_new(uint64_t index, const uint8_t *bytes, size_t size)
{
    struct entry_header header;
    struct reader items;
    if (entry_read(bytes, size, &header, &items) != STATUS_OK) {
        world_fail("the entry at index %llu is damaged", (unsigned long long)index);
    }
    oracle.figures.entries++;
    if (header.count == 0) {
        return;
    }
    if (header.first_seq != oracle.model.seq + 1) {
        world_fail("the entry at index %llu is void: its first seq is %llu after %llu",
                   (unsigned long long)index, (unsigned long long)header.first_seq,
                   (unsigned long long)oracle.model.seq);
    }
    run_entry(&header, &items, index);
    if (oracle.model.seq != header.first_seq + header.count - 1) {
        world_fail("the entry at index %llu has %u commands, the model made %llu of it",
                   (unsigned long long)index, header.count,
                   (unsigned long long)(oracle.model.seq + 1 - header.first_seq));
    }
    oracle.facts[oracle.model.seq].boundary = true;
}

void oracle_on_apply(void *data, uint64_t index, const uint8_t *bytes, size_t size)
{
    struct node *node = data;
    assert(index < INDEXES_MAX);
    uint64_t hash = disk_hash(bytes, size);
    world_note("apply", node->id, index);
    if (oracle.entries[index] == 0) {
        if (index <= oracle.index_max) {
            world_fail("node %u applies an entry at index %llu, where others had none", node->id,
                       (unsigned long long)index);
        }
        oracle.index_max = index;
        oracle.entries[index] = hash;
        char *copy = malloc(size);
        assert(copy != NULL);
        memcpy(copy, bytes, size);
        oracle.bytes[index] = (struct text){.data = copy, .size = size};
        entry_new(index, bytes, size);
    } else if (oracle.entries[index] != hash) {
        world_fail("node %u applies another entry at index %llu than others did", node->id,
                   (unsigned long long)index);
    }
    faults_moment(MOMENT_APPLY, process_current);
    core_on_apply(data, index, bytes, size);
}

void oracle_committed(uint64_t seq)
{
    if (seq > oracle.model.seq) {
        world_fail("seq %llu was answered before any node applied it", (unsigned long long)seq);
    }
    if (seq == 0) {
        return;
    }
    uint64_t index = oracle.facts[seq].index;
    uint32_t count = 0;
    for (uint32_t i = 0; i < processes_count; i++) {
        const struct process *process = &processes[i];
        count += process->rotten || disk_holds(&process->disk, index, oracle.entries[index]);
    }
    if (count < processes_count / 2 + 1) {
        world_fail("seq %llu was answered while %u of %u disks have it", (unsigned long long)seq,
                   count, processes_count);
    }
}

/* ---- each node against it ------------------------------------------------------------------ */

static void look_at_digest(struct process *process, uint64_t seq, const struct digest *digest)
{
    struct fact *fact = &oracle.facts[seq];
    if (!fact->has_digest) {
        fact->has_digest = true;
        fact->digest = *digest;
    } else if (!digest_equal(&fact->digest, digest)) {
        world_fail("node %u has another digest at seq %llu than others", process->id,
                   (unsigned long long)seq);
    }
}

/*
 * The digest once more, from its definition: of the digest before, the entry, and its records.
 * False while the entry goes on, or was not seen from its beginning.
 */
static bool digest_again(uint64_t seq, struct text record, struct digest *digest)
{
    const struct fact *before = &oracle.facts[seq - 1];
    const struct fact *fact = &oracle.facts[seq];
    static const struct digest zero;
    if (before->boundary && (before->has_digest || seq == 1)) {
        struct text entry = oracle.bytes[fact->index];
        hasher_begin(oracle.hasher);
        hasher_add(oracle.hasher, (seq == 1 ? &zero : &before->digest)->bytes, DIGEST_BYTES);
        hasher_add(oracle.hasher, entry.data, entry.size);
    } else if (oracle.hashed != seq - 1) {
        return false;
    }
    hasher_add(oracle.hasher, record.data, record.size);
    oracle.hashed = seq;
    if (fact->boundary) {
        *digest = hasher_end(oracle.hasher);
        oracle.hashed = 0;
    }
    return fact->boundary;
}

static void look_at_seq(struct process *process, uint64_t seq)
{
    struct ledger *ledger = process->node->ledger;
    struct fact *fact = &oracle.facts[seq];
    struct text bytes;
    if (ledger->txn == NULL || store_record_bytes(ledger->txn, seq, &bytes) != STATUS_OK) {
        return; /* committed already: compared from the whole state */
    }
    uint64_t hash = disk_hash(bytes.data, bytes.size);
    if (fact->record == 0) {
        static struct record record;
        fact->record = hash;
        if (record_read(bytes, seq, &record) != STATUS_OK || record.decision.code != fact->code) {
            world_fail("seq %llu: node %u says code %d, the model %d", (unsigned long long)seq,
                       process->id, (int)record.decision.code, (int)fact->code);
        }
    } else if (fact->record != hash) {
        world_fail("node %u has another record at seq %llu than others", process->id,
                   (unsigned long long)seq);
    }
    struct digest digest;
    struct digest again;
    bool known = ledger_digest_at(ledger, seq, &digest) == STATUS_OK;
    if (!fact->has_digest && digest_again(seq, bytes, &again) && known &&
        !digest_equal(&again, &digest)) {
        world_fail("node %u, seq %llu: the digest is not what its definition says", process->id,
                   (unsigned long long)seq);
    }
    if (fact->boundary && known) {
        look_at_digest(process, seq, &digest);
    }
}

void oracle_look(struct process *process)
{
    struct position position = ledger_position(process->node->ledger);
    uint64_t *looked = &oracle.looked[process->place];
    if (position.seq > oracle.model.seq) {
        world_fail("node %u is at seq %llu, the log ends at %llu", process->id,
                   (unsigned long long)position.seq, (unsigned long long)oracle.model.seq);
    }
    if (position.seq == *looked) {
        return;
    }
    world_note("seq", process->id, position.seq);
    for (; *looked < position.seq; (*looked)++) {
        look_at_seq(process, *looked + 1);
    }
    look_at_digest(process, position.seq, &position.digest);
    if (dice_chance(&world.dice, 2)) {
        oracle_compare(process);
    }
}

void oracle_begin_life(struct process *process)
{
    struct position position = ledger_position(process->node->ledger);
    if (position.seq > oracle.model.seq || !oracle.facts[position.seq].boundary) {
        world_fail("node %u starts at seq %llu, which is no end of an entry", process->id,
                   (unsigned long long)position.seq);
    }
    oracle.looked[process->place] = position.seq;
    if (position.seq > 0) {
        look_at_digest(process, position.seq, &position.digest);
    }
    oracle_compare(process);
}

static void compare_account(struct process *process, struct store_txn *txn, uint64_t number,
                            uint64_t seq)
{
    int index = oracle.account_of[number];
    struct account account;
    i128 posted = 0;
    uint64_t entries = 0;
    bool known = oracle_balance(index, seq, &posted, &entries);
    if (store_account(txn, number, &account) != STATUS_OK || !known ||
        account_posted(&account) != posted || account.entries_count != entries) {
        world_fail("node %u, seq %llu: %s differs from the model", process->id,
                   (unsigned long long)seq, model_account_name(index));
    }
}

void oracle_compare(struct process *process)
{
    struct ledger *ledger = process->node->ledger;
    if (ledger_begin(ledger) != STATUS_OK) {
        return;
    }
    struct position position = ledger_position(ledger);
    u128 debits = 0;
    u128 credits = 0;
    for (uint32_t i = 1; i <= position.currencies_count; i++) {
        struct currency currency = {0};
        if (store_currency(ledger->txn, i, &currency) != STATUS_OK ||
            currency.debits_posted != currency.credits_posted) {
            world_fail("node %u, seq %llu: the totals of a currency differ", process->id,
                       (unsigned long long)position.seq);
        }
    }
    for (uint64_t number = 1; number <= position.accounts_count; number++) {
        struct account account = {0};
        compare_account(process, ledger->txn, number, position.seq);
        if (store_account(ledger->txn, number, &account) == STATUS_OK) {
            debits += account.debits_posted;
            credits += account.credits_posted;
        }
    }
    if (debits != credits) {
        world_fail("node %u, seq %llu: money appeared or vanished", process->id,
                   (unsigned long long)position.seq);
    }
    oracle.figures.compared++;
}

void oracle_watch(struct process *process)
{
    const struct raft *raft = process->consensus->raft;
    const struct metrics *metrics = &process->node->metrics;
    uint64_t term = raft_current_term(process->consensus->raft);
    assert(term < TERMS_MAX);
    if (oracle.figures.terms < term) {
        oracle.figures.terms = term;
    }
    if (raft_state(process->consensus->raft) == RAFT_LEADER) {
        if (oracle.leaders[term] == 0) {
            oracle.leaders[term] = process->id;
            oracle.figures.elections++;
            world_note("leader", process->id, term);
        } else if (oracle.leaders[term] != process->id) {
            world_fail("nodes %u and %u lead in term %llu", oracle.leaders[term], process->id,
                       (unsigned long long)term);
        }
    }
    (void)raft;
    if (metric_get(metrics, METRIC_OUTCOME_DIFFERENCES) != 0) {
        world_fail("node %u: an outcome was not the expected one", process->id);
    }
    if (metric_get(metrics, METRIC_ENTRIES_VOID) != 0) {
        world_fail("node %u: a void entry", process->id);
    }
    if (process->node->divergence.asking) {
        world_fail("node %u: the digest in the log is not its own", process->id);
    }
}
