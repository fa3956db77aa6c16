/*
 * The few protobuf messages of etcd's KV service that a payment needs, written and read by hand.
 * Field numbers: etcd's rpc.proto and kv.proto (api v3).
 */
#ifndef BENCH_ETCD_MESSAGE_H
#define BENCH_ETCD_MESSAGE_H

#include "base/bytes.h"

enum { ETCD_ACCOUNT_KEY_BYTES = 9, ETCD_PAYMENT_KEY_BYTES = 17, ETCD_ACCOUNT_BYTES = 32 };

/* What a client knows of an account: the key's last change, and its counters. */
struct etcd_account {
    uint64_t revision; /* mod_revision; 0: nothing known */
    uint64_t debits_posted, credits_posted, debits_held, credits_held;
};

struct etcd_payment {
    uint8_t id[16];
    uint32_t debit, credit;
    uint64_t amount_minor;
};

struct etcd_outcome {
    bool succeeded;
    bool exists;                       /* the payment's id was there: a replay */
    uint64_t revision;                 /* of the store, with this change in it */
    struct etcd_account debit, credit; /* where it did not succeed: what they are now */
};

/* "a" and eight digits. */
void etcd_account_key(uint32_t account, uint8_t key[ETCD_ACCOUNT_KEY_BYTES]);

/* Puts accounts [first, first + count) with zero counters, in one transaction. */
void etcd_write_open(struct buffer *buffer, uint32_t first, uint32_t count);

/*
 * One payment: where its id is new and both accounts are as known, puts the payment and the two
 * accounts; otherwise reads all three.
 */
void etcd_write_payment(struct buffer *buffer, const struct etcd_payment *payment,
                        const struct etcd_account *debit, const struct etcd_account *credit);

/* The accounts [first, first + count). */
void etcd_write_range(struct buffer *buffer, uint32_t first, uint32_t count);

/* A TxnResponse; false where it is malformed. */
bool etcd_read_outcome(const uint8_t *bytes, size_t size, const struct etcd_payment *payment,
                       struct etcd_outcome *outcome);

/* A RangeResponse: calls `each` for every account in it; false where it is malformed. */
bool etcd_read_range(const uint8_t *bytes, size_t size,
                     void (*each)(void *data, uint32_t account, const struct etcd_account *now),
                     void *data);

#endif
