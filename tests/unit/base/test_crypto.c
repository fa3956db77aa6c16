/* Known answers of FIPS 180-4 and RFC 6455. */
#include "base/crypto.h"
#include "tests/support/check.h"

#include <pthread.h>
#include <string.h>

static void expect_digest(struct digest digest, const char *wanted)
{
    char text[DIGEST_HEX_BYTES];
    digest_format(&digest, text);
    assert_string_equal(text, wanted);
}

#define ABC_DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_sha256_known_answers(void **state)
{
    (void)state;
    expect_digest(digest_of(NULL, 0),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_digest(digest_of("abc", 3), ABC_DIGEST);
    expect_digest(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_a_hasher_works_in_steps_and_again(void **state)
{
    (void)state;
    struct hasher *hasher = NULL;
    check_ok(hasher_open(&hasher));
    for (int i = 0; i < 3; i++) {
        hasher_begin(hasher);
        hasher_add(hasher, "a", 1);
        hasher_add(hasher, NULL, 0);
        hasher_add(hasher, "bc", 2);
        expect_digest(hasher_end(hasher), ABC_DIGEST);
    }
    hasher_begin(hasher);
    for (int i = 0; i < 1000000; i++) {
        hasher_add(hasher, "a", 1);
    }
    expect_digest(hasher_end(hasher),
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    /* A digest that is begun anew forgets what was added. */
    hasher_begin(hasher);
    hasher_add(hasher, "junk", 4);
    hasher_begin(hasher);
    hasher_add(hasher, "abc", 3);
    expect_digest(hasher_end(hasher), ABC_DIGEST);
    hasher_close(hasher);
    hasher_close(NULL);
}

static void test_digests_compare(void **state)
{
    (void)state;
    struct digest a = digest_of("a", 1);
    struct digest b = digest_of("a", 1);
    assert_true(digest_equal(&a, &b));
    b.bytes[DIGEST_BYTES - 1] ^= 1;
    assert_false(digest_equal(&a, &b));
}

static void test_random_bytes_differ_and_fill_all(void **state)
{
    (void)state;
    uint8_t first[64] = {0}, second[64] = {0}, all[64] = {0};
    random_bytes(first, sizeof first);
    random_bytes(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    for (int i = 0; i < 200; i++) {
        random_bytes(first, sizeof first);
        for (size_t j = 0; j < sizeof all; j++) {
            all[j] |= first[j];
        }
    }
    for (size_t j = 0; j < sizeof all; j++) {
        assert_int_equal(all[j], 0xff);
    }
    random_bytes(NULL, 0);
}

static void test_websocket_key_of_rfc_6455(void **state)
{
    (void)state;
    char text[29];
    websocket_accept_key(TEXT("dGhlIHNhbXBsZSBub25jZQ=="), text);
    assert_string_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void *digest_many(void *data)
{
    struct digest wanted = digest_of("abc", 3);
    for (int i = 0; i < 10000; i++) {
        struct digest digest = digest_of("abc", 3);
        if (!digest_equal(&digest, &wanted)) {
            return data;
        }
    }
    return NULL;
}

static void test_threads_hash_side_by_side(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, digest_many, state), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result = state;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_hash_side_by_side),
        cmocka_unit_test(test_sha256_known_answers),
        cmocka_unit_test(test_a_hasher_works_in_steps_and_again),
        cmocka_unit_test(test_digests_compare),
        cmocka_unit_test(test_random_bytes_differ_and_fill_all),
        cmocka_unit_test(test_websocket_key_of_rfc_6455),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
