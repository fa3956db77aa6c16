/*
 * The Content-Security-Policy of the status page. Its inline scripts and styles are allowed by
 * their hashes alone (CSP Level 3, 8.4), so that text which finds its way into the page never runs.
 */
#include "gateway/route.h"

#include "base/check.h"
#include "base/crypto.h"

#include <stdio.h>
#include <string.h>

enum { HASH_TEXT_BYTES = 45, HASHES_MAX = 4 }; /* base64 of 32 bytes, and a terminator */

static void hash_text(struct text content, char text[HASH_TEXT_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const struct digest digest = digest_of(content.data, content.size);
    uint8_t bytes[DIGEST_BYTES + 1] = {0}; /* one zero makes the last group whole */
    memcpy(bytes, digest.bytes, DIGEST_BYTES);
    for (size_t i = 0; i < 11; i++) {
        const uint32_t group =
            (uint32_t)bytes[3 * i] << 16 | (uint32_t)bytes[3 * i + 1] << 8 | bytes[3 * i + 2];
        for (size_t j = 0; j < 4; j++) {
            text[4 * i + j] = digits[group >> (18 - 6 * j) & 63];
        }
    }
    text[43] = '=';
    text[44] = '\0';
}

static const char *text_find(struct text text, const char *wanted)
{
    return text.size == 0 ? NULL : memmem(text.data, text.size, wanted, strlen(wanted));
}

/* Appends the hashes of all elements with this plain tag; false where there are too many. */
static bool hashes_append(struct text page, const char *open, const char *close, size_t *size,
                          char policy[ROUTE_POLICY_BYTES])
{
    for (uint32_t count = 0;; count++) {
        const char *begin = text_find(page, open);
        if (begin == NULL) {
            return true;
        }
        begin += strlen(open);
        page.size -= (size_t)(begin - page.data);
        page.data = begin;
        const char *end = text_find(page, close);
        if (end == NULL || count == HASHES_MAX) {
            return false;
        }
        char hash[HASH_TEXT_BYTES];
        hash_text((struct text){.data = begin, .size = (size_t)(end - begin)}, hash);
        const int added =
            snprintf(policy + *size, ROUTE_POLICY_BYTES - *size, " 'sha256-%s'", hash);
        if (added < 0 || (size_t)added >= ROUTE_POLICY_BYTES - *size) {
            return false;
        }
        *size += (size_t)added;
    }
}

static bool policy_append(const char *text, size_t *size, char policy[ROUTE_POLICY_BYTES])
{
    const size_t added = strlen(text);
    if (added >= ROUTE_POLICY_BYTES - *size) {
        return false;
    }
    memcpy(policy + *size, text, added + 1);
    *size += added;
    return true;
}

bool route_page_policy(struct text page, char policy[ROUTE_POLICY_BYTES])
{
    assert(page.data != NULL && policy != NULL);
    size_t size = 0;
    return policy_append("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
                         "form-action 'none'; img-src data:; connect-src 'self'; script-src",
                         &size, policy) &&
           hashes_append(page, "<script>", "</script>", &size, policy) &&
           policy_append("; style-src", &size, policy) &&
           hashes_append(page, "<style>", "</style>", &size, policy);
}
