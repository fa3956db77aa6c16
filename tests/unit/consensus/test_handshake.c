#include "consensus/handshake.h"

#include "base/check.h"
#include "tests/support/check.h"

#include <string.h>

static struct handshake example(void)
{
    struct handshake hello = {.kind = CONNECTION_LINK, .refusal = REFUSAL_NONE, .from = 7, .to = 9};
    memset(hello.cluster_id.bytes, 0xab, sizeof hello.cluster_id.bytes);
    memset(hello.incarnation, 0xcd, sizeof hello.incarnation);
    return hello;
}

static void frame_survives_the_way(void **state)
{
    (void)state;
    struct handshake sent = example();
    struct handshake got = {0};
    uint8_t frame[HANDSHAKE_BYTES];
    handshake_encode(&sent, frame);
    assert_int_equal(handshake_decode(frame, &got), REFUSAL_NONE);
    assert_int_equal(got.kind, sent.kind);
    assert_int_equal(got.from, 7);
    assert_int_equal(got.to, 9);
    assert_memory_equal(got.cluster_id.bytes, sent.cluster_id.bytes, DIGEST_BYTES);
    assert_memory_equal(got.incarnation, sent.incarnation, 16);
}

static void every_kind_and_refusal_survives(void **state)
{
    (void)state;
    for (int kind = CONNECTION_RAFT; kind <= CONNECTION_COPY; kind++) {
        for (int refusal = REFUSAL_NONE; refusal < REFUSAL_COUNT; refusal++) {
            struct handshake sent = example();
            struct handshake got = {0};
            uint8_t frame[HANDSHAKE_BYTES];
            sent.kind = (enum connection_kind)kind;
            sent.refusal = (enum refusal)refusal;
            handshake_encode(&sent, frame);
            assert_int_equal(handshake_decode(frame, &got), REFUSAL_NONE);
            assert_int_equal(got.kind, kind);
            assert_int_equal(got.refusal, refusal);
        }
    }
}

static void frame_with_a_wrong_field_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        enum refusal refusal;
    } cases[] = {
        {0, REFUSAL_PROTOCOL}, {3, REFUSAL_PROTOCOL}, {4, REFUSAL_VERSION},
        {5, REFUSAL_VERSION},  {6, REFUSAL_KIND},     {7, REFUSAL_PROTOCOL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct handshake hello = example();
        uint8_t frame[HANDSHAKE_BYTES];
        handshake_encode(&hello, frame);
        frame[cases[i].at] ^= 0x70;
        assert_int_equal(handshake_decode(frame, &hello), cases[i].refusal);
    }
}

static void kinds_next_to_the_known_ones_are_refused(void **state)
{
    (void)state;
    struct handshake hello = example();
    uint8_t frame[HANDSHAKE_BYTES];
    handshake_encode(&hello, frame);
    frame[6] = CONNECTION_RAFT - 1;
    assert_int_equal(handshake_decode(frame, &hello), REFUSAL_KIND);
    frame[6] = CONNECTION_COPY + 1;
    assert_int_equal(handshake_decode(frame, &hello), REFUSAL_KIND);
    frame[6] = CONNECTION_COPY;
    frame[7] = REFUSAL_COUNT;
    assert_int_equal(handshake_decode(frame, &hello), REFUSAL_PROTOCOL);
}

/* The bytes are a contract with nodes of other versions (docs/format.md). */
static void the_bytes_are_where_the_format_says(void **state)
{
    (void)state;
    struct handshake hello = example();
    uint8_t frame[HANDSHAKE_BYTES];
    hello.from = 0x01020304;
    handshake_encode(&hello, frame);
    static const uint8_t head[] = {'P', 'D', 'E', 'R', 1, 0, 2, 0, 0xab};
    static const uint8_t from_to[] = {0xab, 4, 3, 2, 1, 9, 0, 0, 0, 0xcd};
    assert_memory_equal(frame, head, sizeof head);
    assert_memory_equal(frame + 39, from_to, sizeof from_to);
    assert_int_equal(frame[HANDSHAKE_BYTES - 1], 0xcd);
}

static void every_refusal_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < REFUSAL_COUNT; i++) {
        const char *text = refusal_text((enum refusal)i);
        assert_true(strlen(text) > 0);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(text, refusal_text((enum refusal)k));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_survives_the_way),
        cmocka_unit_test(every_kind_and_refusal_survives),
        cmocka_unit_test(frame_with_a_wrong_field_is_refused),
        cmocka_unit_test(kinds_next_to_the_known_ones_are_refused),
        cmocka_unit_test(the_bytes_are_where_the_format_says),
        cmocka_unit_test(every_refusal_has_a_sentence_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
