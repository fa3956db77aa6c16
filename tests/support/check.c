/* Temporary directories and replayable randomness for tests. */
#include "tests/support/check.h"

#include "base/check.h"
#include "base/crypto.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *test_dir_make(void)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0') {
        parent = "/tmp";
    }
    static const char name[] = "/payledger-test-XXXXXX";
    size_t size = strlen(parent) + sizeof name;
    char *dir = malloc(size);
    assert_non_null(dir);
    int length = snprintf(dir, size, "%s%s", parent, name);
    assert_true(length > 0 && (size_t)length < size);
    if (mkdtemp(dir) == NULL) {
        fail_msg("mkdtemp %s: %s", dir, strerror(errno));
    }
    return dir;
}

static int entry_remove(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
    (void)stat;
    (void)kind;
    (void)place;
    if (remove(path) != 0) {
        (void)fprintf(stderr, "remove %s: %s\n", path, strerror(errno));
    }
    return 0;
}

void test_dir_remove(char *dir)
{
    enum { DESCRIPTORS_MAX = 16 };
    assert_non_null(dir);
    assert_non_null(strstr(dir, "/payledger-test-"));
    (void)nftw(dir, entry_remove, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(dir);
}

uint64_t test_seed(void)
{
    static uint64_t seed;
    if (seed != 0) {
        return seed;
    }
    const char *given = getenv("PAYLEDGER_SEED");
    if (given != NULL) {
        char *end = NULL;
        errno = 0;
        seed = strtoull(given, &end, 10);
        if (errno != 0 || end == given || *end != '\0' || seed == 0) {
            (void)fprintf(stderr, "PAYLEDGER_SEED=%s is not a positive number\n", given);
            exit(EXIT_FAILURE);
        }
    } else {
        random_bytes(&seed, sizeof seed);
        seed |= 1; /* xorshift never leaves zero */
    }
    (void)fprintf(stderr, "PAYLEDGER_SEED=%" PRIu64 "\n", seed);
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    assert_non_null(state);
    assert_true(*state != 0);
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}
