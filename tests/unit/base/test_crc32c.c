/* CRC32C against the vectors of RFC 3720 (B.4), and its two ways against each other. */
#include "base/crc32c.h"

#include "tests/support/check.h"

#include <string.h>

typedef uint32_t crc_function(uint32_t crc, const void *data, size_t size);

static void check_vectors(crc_function *crc)
{
    uint8_t bytes[48] = {0};
    assert_true(crc(0, bytes, 0) == 0);
    assert_true(crc(0, bytes, 32) == 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_true(crc(0, bytes, 32) == 0x62a8ab43);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_true(crc(0, bytes, 32) == 0x46dd794e);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_true(crc(0, bytes, 32) == 0x113fdb5c);
    /* An iSCSI read command. */
    const uint8_t command[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, 0x28, [40] = 0x02};
    assert_true(crc(0, command, 48) == 0xd9963a56);
    assert_true(crc(0, "123456789", 9) == 0xe3069283);
}

static void both_ways_give_the_published_values(void **state)
{
    (void)state;
    check_vectors(crc32c);
    check_vectors(crc32c_by_table);
}

static void both_ways_agree_on_any_size_and_alignment(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)test_random(&random);
    }
    for (uint32_t round = 0; round < 20000; round++) {
        const size_t begin = test_random(&random) % 16;
        const size_t size = test_random(&random) % (sizeof(bytes) - begin);
        const uint32_t before = (uint32_t)test_random(&random);
        assert_true(crc32c(before, bytes + begin, size) ==
                    crc32c_by_table(before, bytes + begin, size));
    }
}

static void parts_give_the_crc_of_the_whole(void **state)
{
    (void)state;
    static const char text[] = "a payment ledger must notice damage";
    const uint32_t whole = crc32c(0, text, sizeof(text));
    for (size_t cut = 0; cut <= sizeof(text); cut++) {
        assert_true(crc32c(crc32c(0, text, cut), text + cut, sizeof(text) - cut) == whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_give_the_published_values),
        cmocka_unit_test(both_ways_agree_on_any_size_and_alignment),
        cmocka_unit_test(parts_give_the_crc_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
