/*
 * The strict check: whatever it accepts is UTF-8, is accepted again, and its spans lie in the text
 * in document order, each a number or an object of its own.
 */
#include "base/check.h"
#include "gateway/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_BYTES_MAX = 65536, FUZZ_VALUES_MAX = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text text = {(const char *)data, size};
    struct json_scan scan;
    json_scan_init(&scan, FUZZ_BYTES_MAX, FUZZ_VALUES_MAX);
    enum code code = json_check(&scan, text);
    assert(scan.error_offset <= size);
    if (code == CODE_OK) {
        assert(json_utf8_valid(text));
        uint32_t count = scan.spans_count;
        assert(count <= scan.values_count);
        uint32_t offset = 0;
        for (uint32_t i = 0; i < count; i++) {
            struct json_span span = scan.spans[i];
            assert(span.size > 0 && span.size <= size && span.offset <= size - span.size);
            assert(i == 0 || span.offset > offset);
            offset = span.offset;
            assert((text.data[offset] == '{') == (text.data[offset + span.size - 1] == '}'));
        }
        assert(json_check(&scan, text) == CODE_OK);
        assert(scan.spans_count == count);
    }
    json_scan_deinit(&scan);
    return 0;
}
